"""Style-based GANs."""

from __future__ import annotations

from functools import partial

from sparring.games.two_player import TwoPlayerGame
from sparring.networks import stylegan2 as networks
from sparring.objectives.losses import non_saturating
from sparring.objectives.paths import path_length
from sparring.objectives.penalties import r1
from sparring.recipe import Ema, Facts, Optim, Paper, Penalty, Recipe, Turn, fitted
from sparring.recipes.players import image_players

__all__ = ["stylegan2"]

_KARRAS = Paper(
    "Karras, Laine, Aittala, Hellsten, Lehtinen & Aila",
    "Analyzing and Improving the Image Quality of StyleGAN",
    2020,
    "https://arxiv.org/abs/1912.04958",
)
_ADA = Paper(
    "Karras, Aittala, Hellsten, Laine, Lehtinen & Aila",
    "Training Generative Adversarial Networks with Limited Data",
    2020,
    "https://arxiv.org/abs/2006.06676",
)
_R1_EVERY, _PATHS_EVERY = 16, 4


def stylegan2(
    *,
    width: int = 32,
    most: int = 512,
    z_dim: int = 512,
    mapping_layers: int = 8,
    gamma: float | None = None,
    path_weight: float = 2.0,
    mixing: float = 0.9,
    rate: float = 2.5e-3,
    batch: int = 32,
    mirror: bool = False,
) -> Recipe:
    """StyleGAN2: styles scale convolutions, lazy R1 and path lengths in turns of their own (Karras et al. 2020).

    With few images add `+augment=ada` (Karras et al. 2020, the second paper); flips (`mirror`) double them.

    Parameters
    ----------
    width
        Channels next to the image, doubling towards the base; the paper has 32 at 1024 px.
    most
        The most channels anywhere.
    z_dim
        Dimensions of z and of the styles for images; points are made from 2, without styles.
    mapping_layers
        Layers from z to a style; 8 in the paper, 2 in ADA's for small images.
    gamma
        Weight of R1; by default 0.0002 times the pixels over the batch, ADA's rule.
    path_weight
        Weight of the path lengths; 0 leaves them out, as ADA's settings for CIFAR-10 do.
    mixing
        The share of images with two styles in training.
    rate
        Adam's learning rate for both players.
    batch
        Reals of a round.
    mirror
        Flip half of the reals left to right; leave it off where left and right differ.
    """
    # A lazy term is a step of its own in one round of k. Its weight times k keeps its share; the optimiser sees k + 1
    # steps where there were k, so its rate and betas are those of k / (k + 1) of a step (appendix B).
    size = {"width": width, "most": most, "mapping_layers": mapping_layers}
    smooth = Penalty("r1", of=r1, weight=fitted(partial(_gamma, gamma=gamma, batch=batch)))
    even = Penalty("path_length", of=path_length, weight=_PATHS_EVERY * path_weight)
    paths = (Turn(("generator",), (even,), every=_PATHS_EVERY, batch_fraction=0.5),) if path_weight else ()
    return Recipe(
        name="stylegan2",
        summary="styles that scale convolutions, path lengths, lazy R1",
        papers=(_KARRAS, _ADA),
        game=partial(
            TwoPlayerGame,
            **image_players(networks, generator={**size, "z_dim": z_dim, "mixing": mixing}, discriminator=size),
            loss=non_saturating,
        ),
        turns=(
            Turn(("discriminator",)),
            Turn(("discriminator",), (smooth,), every=_R1_EVERY),
            Turn(("generator",)),
            *paths,
        ),
        optims={
            "discriminator": _lazy(rate, _R1_EVERY),
            "generator": _lazy(rate, _PATHS_EVERY) if path_weight else Optim(rate=rate, betas=(0.0, 0.99)),
        },
        emas={"generator": Ema(halflife=batch * 10_000 / 32, ramp=0.05)},
        batch=batch,
        mirror=mirror,
    )


def _lazy(rate: float, every: int) -> Optim:
    """Adam for a player that takes one lazy step in addition to every so many of its others."""
    share = every / (every + 1)
    return Optim(rate=rate * share, betas=(0.0, 0.99**share))


def _gamma(facts: Facts, *, gamma: float | None, batch: int) -> float:
    """R1's weight in a turn every 16 rounds; ADA's rule takes the pixels, points have little to be divided by."""
    fitting = 0.1 if facts.points else 0.0002 * facts.shape[1] * facts.shape[2] / max(batch, 1)
    return _R1_EVERY * (fitting if gamma is None else gamma)
