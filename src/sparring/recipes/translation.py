"""Images made of other images: pairs (pix2pix), and two kinds that do not pair up (CycleGAN)."""

from __future__ import annotations

from functools import partial
from typing import Literal

from sparring.games.cycle import CycleGame
from sparring.games.paired import PairedGame
from sparring.games.questions import Halves
from sparring.games.views import Pieces
from sparring.networks.johnson import ResNetTranslator
from sparring.networks.patchgan import PatchDiscriminator
from sparring.networks.unet import UNet
from sparring.objectives.losses import least_squares, non_saturating
from sparring.recipe import Optim, Paper, Recipe, Term, Turn, fitted
from sparring.recipes.phases import kept_then_falling

__all__ = ["cyclegan", "pix2pix"]

_ISOLA = Paper(
    "Isola, Zhu, Zhou & Efros",
    "Image-to-Image Translation with Conditional Adversarial Networks",
    2017,
    "https://arxiv.org/abs/1611.07004",
)
_ZHU = Paper(
    "Zhu, Park, Isola & Efros",
    "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    2017,
    "https://arxiv.org/abs/1703.10593",
)

Direction = Literal["AtoB", "BtoA"]


def pix2pix(
    *,
    width: int = 64,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 1,
    absolute: float = 100.0,
    adversarial: float = 1.0,
    dropout: float = 0.5,
    norm: Literal["instance", "batch"] = "instance",
    layers: int = 3,
    direction: Direction = "AtoB",
    mirror: bool = True,
    jitter: float = 1.0,
) -> Recipe:
    """pix2pix: a U-Net answers, a judge of patches sees question and answer, L1 keeps them near (Isola et al. 2017).

    The learning rate is kept for the first half of the run and falls to zero over the second.

    Parameters
    ----------
    width
        Channels of the layer next to the image, in both players.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Pairs of a round.
    absolute
        Weight of the mean absolute error, lambda of eq. 4.
    adversarial
        Weight of the adversarial loss in G's turn; 0 leaves a U-Net that only minimises the absolute error.
    dropout
        Dropout of G's inner stages, its only noise, in training and afterwards.
    norm
        With pairs one at a time the paper's batch norm is instance norm, which needs no other statistics afterwards.
    layers
        Strided layers of D: 3 judge patches of 70 pixels, 2 of 34.
    direction
        AtoB makes the second image of a pair from the first, BtoA the first from the second.
    mirror
        Flip half of the pairs left to right.
    jitter
        How many times larger pairs are made, of which a random piece of their own size is shown, another every round.
        The paper makes 286 pixels of 256, which is 1.117; 1 shows images as they are.
    """
    rates = Optim(rate=fitted(partial(kept_then_falling, rate=rate)), betas=(beta1, 0.999))
    judged = (Term("adversarial", 0.5),)
    turns = (
        Turn(("discriminator",), judged),
        Turn(("generator",), (Term("adversarial", adversarial), Term("absolute", absolute))),
    )
    only = (Turn(("generator",), (Term("absolute", absolute),)),)
    return Recipe(
        name="pix2pix",
        summary="pairs: a U-Net makes one image of the other, a judge of patches sees both",
        papers=(_ISOLA,),
        game=partial(
            PairedGame,
            generator=partial(UNet, width=width, norm=norm, dropout=dropout),
            discriminator=partial(PatchDiscriminator, width=width, layers=layers, norm=norm),
            loss=non_saturating,
            question=Halves(direction),
            pieces=Pieces(stretch=jitter),
        ),
        turns=turns if adversarial else only,
        optims={"generator": rates, "discriminator": rates},
        batch=batch,
        mirror=mirror,
        reading="pairs",
    )


def cyclegan(
    *,
    width: int = 64,
    blocks: int = 9,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 2,
    cycle: float = 10.0,
    identity: float = 0.5,
    pool: int = 50,
    layers: int = 3,
    upsample: Literal["transposed", "nearest"] = "transposed",
    residual: bool = False,
    direction: Direction = "AtoB",
    mirror: bool = True,
    jitter: float = 1.0,
) -> Recipe:
    """CycleGAN: two translators whose way there and back is to change nothing, and two judges (Zhu et al. 2017).

    The learning rate is kept for the first half of the run and falls to zero over the second.

    Parameters
    ----------
    width
        Channels of the layer next to the image, in all players.
    blocks
        Residual blocks of each translator: the paper has 9 from 256 pixels on, 6 below.
    rate
        Adam's learning rate for all players.
    beta1
        Adam's momentum.
    batch
        Images of a round, half of either kind; the paper shows one of each.
    cycle
        Weight of the way there and back, lambda of eq. 3.
    identity
        Weight of leaving images of the right kind alone, times that of the cycle.
    pool
        Earlier fakes that the judges are shown among new ones.
    layers
        Strided layers of each judge: 3 see patches of 70 pixels, 2 of 34.
    upsample
        How translators double sizes: as the paper's, or by repeating pixels, which leaves no pattern of its own.
    residual
        What a translator makes is added to what it is given, with which it begins: for kinds that are much alike.
    direction
        Which translator is the one that is kept, AtoB or BtoA; the other is in the run as well.
    mirror
        Flip half of the images left to right.
    jitter
        How many times larger images are made, of which a random piece of their own size is shown, another every round.
        The paper makes 286 pixels of 256, which is 1.117; 1 shows images as they are.
    """
    rates = Optim(rate=fitted(partial(kept_then_falling, rate=rate)), betas=(beta1, 0.999))
    # The authors' code regresses G's fakes by (D - 1)^2, twice the half that the loss has here, and D by halves.
    wishes = [Term("adversarial", 2.0), Term("cycle", cycle)]
    wishes += [Term("identity", identity * cycle)] if identity else []
    return Recipe(
        name="cyclegan",
        summary="two kinds of images that do not pair up: there and back is to change nothing",
        papers=(_ZHU,),
        game=partial(
            CycleGame,
            translator=partial(ResNetTranslator, width=width, blocks=blocks, upsample=upsample, residual=residual),
            judge=partial(PatchDiscriminator, width=width, layers=layers, norm="instance"),
            loss=least_squares,
            pool=pool,
            direction=direction,
            pieces=Pieces(stretch=jitter),
        ),
        turns=(Turn(("a_to_b", "b_to_a"), tuple(wishes)), Turn(("judge_a", "judge_b"))),
        optims=dict.fromkeys(("a_to_b", "b_to_a", "judge_a", "judge_b"), rates),
        batch=batch,
        mirror=mirror,
        balanced=True,
        reading="sides",
        sampler="a_to_b" if direction == "AtoB" else "b_to_a",
    )
