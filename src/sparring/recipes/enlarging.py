"""Larger images of small ones: super-resolution with a judge."""

from __future__ import annotations

from functools import partial
from typing import Literal

from sparring.errors import UsageError
from sparring.games.paired import PairedGame
from sparring.games.questions import Shrunken
from sparring.games.views import Pieces
from sparring.networks.patchgan import PatchDiscriminator
from sparring.networks.rrdb import RRDBNet
from sparring.objectives.losses import relativistic_average
from sparring.recipe import Ema, Optim, Paper, Recipe, Term, Turn, fitted
from sparring.recipes.averages import halflife
from sparring.recipes.choice import eyes_for
from sparring.recipes.phases import moment

__all__ = ["esrgan"]

_WANG = Paper(
    "Wang et al.",
    "ESRGAN: Enhanced Super-Resolution Generative Adversarial Networks",
    2018,
    "https://arxiv.org/abs/1809.00219",
)
_LEDIG = Paper(
    "Ledig et al.",
    "Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network",
    2017,
    "https://arxiv.org/abs/1609.04802",
)


def esrgan(
    *,
    scale: Literal[2, 4] = 4,
    width: int = 32,
    blocks: int = 4,
    growth: int = 16,
    rate: float = 2e-4,
    batch: int = 8,
    pretrain: float = 0.4,
    absolute: float = 1.0,
    perceptual: float = 1.0,
    adversarial: float = 0.005,
    layers: int = 3,
    residual: bool = True,
    eyes: str | None = None,
    crop: int = 0,
    turn: bool = True,
    mirror: bool = True,
) -> Recipe:
    """ESRGAN: dense residual blocks enlarge, for the absolute error first, then for a relativistic judge (Wang et al.).

    Photos are cut into tiles (`--size`, a multiple of the scale), so that they keep every pixel. The perceptual loss
    looks through whatever feature network is at hand, at every second of its layers, where the paper has the layer
    before VGG's last activation; the judge is one of patches, where it has one of whole images of 128 pixels.

    Parameters
    ----------
    scale
        How many times longer the sides become, 2 or 4.
    width
        Channels between the blocks, and those of D; the paper has 64.
    blocks
        Residual blocks of dense blocks; the paper has 23.
    growth
        Channels that each layer of a dense block adds; the paper has 32.
    rate
        Adam's learning rate for both players; the paper halves it when the judge comes, and four times after.
    batch
        Tiles of a round; the paper has 16.
    pretrain
        Share of the run in which the absolute error is all that counts.
    absolute
        Weight of the absolute error afterwards; the paper has 0.01, beside features of VGG.
    perceptual
        Weight of what the feature network sees.
    adversarial
        Weight of the adversarial loss; 0 leaves the judge out.
    layers
        Strided layers of D.
    residual
        G's answer is added to the bicubic enlargement, with which it begins; the paper's G makes the whole image, which
        takes a small one many thousands of tiles.
    eyes
        The feature network of the perceptual loss; by default the best one at hand for the images.
    crop
        Side of the random piece of a tile that a round shows, so that no two rounds show the same; 0 shows all of it.
        The paper shows 128 pixels.
    turn
        Turn tiles upside down and on their sides too, each half of the time, as the paper does.
    mirror
        Flip half of the tiles left to right.
    """
    if crop > 0 and crop % scale:
        below = crop - crop % scale
        raise UsageError(f"crop {crop} is no multiple of scale {scale}; give {below} or {below + scale}")
    begin = moment(pretrain)
    wishes = [Term("absolute", absolute), Term("perceptual", perceptual), Term("adversarial", adversarial)]
    judged = [Turn(("discriminator",), begin=begin)] if adversarial else []
    final = Turn(("generator",), tuple(term for term in wishes if term.weight), begin=begin)
    first = [Turn(("generator",), (Term("absolute"),), end=begin)] if pretrain else []
    optim = Optim(rate=rate, betas=(0.9, 0.99))
    return Recipe(
        name="esrgan",
        summary="super-resolution: small images made larger, then sharp for a judge",
        papers=(_WANG, _LEDIG),
        game=partial(
            PairedGame,
            generator=partial(RRDBNet, width=width, blocks=blocks, growth=growth, scale=scale, residual=residual),
            discriminator=partial(PatchDiscriminator, width=width, layers=layers, norm="none"),
            loss=relativistic_average,
            question=Shrunken(scale),
            shown_given=False,
            eyes=fitted(partial(eyes_for, given=eyes)),
            pieces=Pieces(crop, turn),
        ),
        turns=(*first, *judged, final),
        optims={"generator": optim, "discriminator": optim},
        emas={"generator": Ema(halflife=fitted(halflife))},
        batch=batch,
        mirror=mirror,
        reading="tiles",
    )
