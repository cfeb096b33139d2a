"""Images as codes: a codec with a judge (VQGAN), and a prior that writes codes of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from sparring.engine.rundir import Run
from sparring.errors import UsageError
from sparring.games.autoencoder import AutoencoderGame
from sparring.games.prior import PriorGame
from sparring.networks.gpt import CodePrior
from sparring.networks.patchgan import PatchDiscriminator
from sparring.networks.vqgan import Codec
from sparring.objectives.losses import hinge
from sparring.recipe import Ema, Given, Optim, Paper, Recipe, Term, Turn, fitted
from sparring.recipes.averages import halflife
from sparring.recipes.choice import eyes_for
from sparring.recipes.phases import moment, warm_then_falling

__all__ = ["vqgan", "vqgan_prior"]

_ESSER = Paper(
    "Esser, Rombach & Ommer",
    "Taming Transformers for High-Resolution Image Synthesis",
    2021,
    "https://arxiv.org/abs/2012.09841",
)
_OORD = Paper(
    "van den Oord, Vinyals & Kavukcuoglu",
    "Neural Discrete Representation Learning",
    2017,
    "https://arxiv.org/abs/1711.00937",
)


def vqgan(
    *,
    width: int = 32,
    halvings: int = 3,
    blocks: int = 1,
    codes: int = 512,
    dim: int = 64,
    quantiser: Literal["average", "gradient"] = "average",
    beta: float = 0.25,
    revive: float = 0.03,
    rate: float = 5e-4,
    batch: int = 8,
    absolute: float = 1.0,
    perceptual: float = 1.0,
    adversarial: float = 0.8,
    begin: float = 0.4,
    layers: int = 3,
    eyes: str | None = None,
    mirror: bool = True,
) -> Recipe:
    """VQGAN: images as codes of a learned book, and back so that a judge takes them for real (Esser et al. 2021).

    Its codec makes nothing by itself: `vqgan_prior` learns to write codes. The judge begins late, and its weight
    follows from what either loss pulls at the decoder's last layer.

    Parameters
    ----------
    width
        Channels next to the image; the paper has 128.
    halvings
        How often the sides are halved: 3 makes 8x8 codes of 64 pixels. The paper's f = 16 halves 4 times.
    blocks
        Residual blocks at each size; the paper has 2.
    codes
        Entries of the codebook; the paper has 1024.
    dim
        Dimensions of an entry; the paper has 256.
    quantiser
        Whether entries follow averages of what they stand for (van den Oord et al. 2017, appendix A), or a gradient.
    beta
        Weight of the commitment of the encoder to the codes (eq. 4).
    revive
        An entry that is used less than this share of its turn is put where images are; 0 leaves it.
    rate
        Adam's learning rate for both players.
    batch
        Images of a round.
    absolute
        Weight of the absolute error.
    perceptual
        Weight of what a feature network sees.
    adversarial
        Weight of the adversarial loss, on top of the one that follows from the gradients.
    begin
        Share of the run after which the judge comes in.
    layers
        Strided layers of D.
    eyes
        The feature network of the perceptual loss; by default the best one at hand for the images.
    mirror
        Flip half of the images left to right.
    """
    if not 1 <= halvings <= 8:
        raise UsageError(f"images halved {halvings} times cannot be; give a number from 1 to 8")
    start = moment(begin)
    terms = [Term("absolute", absolute), Term("perceptual", perceptual), Term("commitment", beta)]
    terms += [Term("codebook")] if quantiser == "gradient" else []
    terms = [term for term in terms if term.weight]
    alone = Turn(("codec",), tuple(terms), end=start if adversarial else None)
    judged = (
        Turn(("codec",), (*terms, Term("adversarial", adversarial)), begin=start),
        Turn(("discriminator",), begin=start),
    )
    optim = Optim(rate=rate, betas=(0.5, 0.9))
    multipliers = tuple(min(2 ** max(level - 1, 0), 4) for level in range(halvings + 1))
    return Recipe(
        name="vqgan",
        summary="images as codes of a learned book, read back for a judge; see vqgan_prior",
        papers=(_ESSER, _OORD),
        game=partial(
            AutoencoderGame,
            codec=partial(
                Codec, width=width, multipliers=multipliers, blocks=blocks, codes=codes, dim=dim, quantiser=quantiser
            ),
            discriminator=partial(PatchDiscriminator, width=width, layers=layers),
            loss=hinge,
            eyes=fitted(partial(eyes_for, given=eyes)),
            absolute_weight=absolute,
            perceptual_weight=perceptual,
            revive=revive,
        ),
        turns=(alone, *judged) if adversarial else (alone,),
        optims={"codec": optim, "discriminator": optim},
        batch=batch,
        mirror=mirror,
        sampler="codec",
    )


def vqgan_prior(
    *,
    codec: str | None = None,
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    dropout: float = 0.1,
    rate: float = 1e-3,
    batch: int = 32,
    labels: bool = False,
    mirror: bool = True,
) -> Recipe:
    """A prior for the codes of a trained VQGAN: a small GPT that writes them one by one (Esser et al. 2021, 3.2).

    What it writes, the codec reads: both are kept, sampled and exported together.

    Parameters
    ----------
    codec
        The folder of a finished run of `vqgan`; its checkpoint's hash is part of the recipe.
    width
        Numbers of a position between the layers.
    depth
        Layers of attention.
    heads
        Heads of each layer; the width divides by it.
    dropout
        Dropout while training.
    rate
        Adam's learning rate, which falls along half a cosine after a short warm-up.
    batch
        Images of a round.
    labels
        Tell it the class of each image, so that classes can be asked for.
    mirror
        Flip half of the images left to right.
    """
    factory, given = _codec_of(codec) if codec else (None, {})
    prior = partial(CodePrior, width=width, layers=depth, heads=heads, dropout=dropout)
    optim = Optim(rate=fitted(partial(warm_then_falling, rate=rate)), betas=(0.9, 0.95))
    return Recipe(
        name="vqgan_prior",
        summary="writes the codes of a trained vqgan one by one: what makes it generate",
        papers=(_ESSER,),
        game=partial(PriorGame, generator=partial(prior, codec=factory) if factory else None, conditional=labels),
        turns=(Turn(("generator",), (Term("cross_entropy"),)),),
        optims={"generator": optim},
        emas={"generator": Ema(halflife=fitted(halflife))},
        batch=batch,
        mirror=mirror,
        given=given,
    )


def _codec_of(folder: str) -> tuple[Callable[..., nn.Module], dict[str, Given]]:
    """The network of a run's codec, and where its weights are."""
    run = Run(folder)
    recipe = run.bound.recipe
    if recipe.game_class is not AutoencoderGame:
        raise UsageError(f"{folder} is a run of {recipe.name}, which has no codec; name a run of vqgan")
    given = Given(str(run.path.resolve()), "codec", run.checkpoint.digest)
    return recipe.game_arguments["codec"], {"generator.codec": given}
