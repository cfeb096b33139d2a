"""GANs that grow while they are trained."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

from sparring.errors import UsageError
from sparring.games.two_player import TwoPlayerGame
from sparring.networks import progan as progan_networks
from sparring.networks import stylegan as stylegan_networks
from sparring.networks.layers import pyramid
from sparring.objectives.losses import non_saturating, wasserstein
from sparring.objectives.penalties import drift, r1, wgan_gp
from sparring.recipe import Ema, Facts, Optim, Paper, Penalty, Recipe, Term, Turn, fitted
from sparring.recipes.players import by_kind, image_players
from sparring.schedule import Path, Schedule, Steps

__all__ = ["progan", "stylegan"]

_PROGRESSIVE = Paper(
    "Karras, Aila, Laine & Lehtinen",
    "Progressive Growing of GANs for Improved Quality, Stability, and Variation",
    2018,
    "https://arxiv.org/abs/1710.10196",
)
_STYLE = Paper(
    "Karras, Laine & Aila",
    "A Style-Based Generator Architecture for Generative Adversarial Networks",
    2019,
    "https://arxiv.org/abs/1812.04948",
)
_PHASE = 600_000
"""Images for which a level stays, and as many in which the next one is faded in, as in the authors' code.

The first paper itself has 800,000 (Karras et al. 2018, appendix A.1), and a deviation over 16 images where ours is over
4.
"""
_GROWING = 0.6
"""The most of a budget that growing may take."""


def progan(
    *,
    width: int = 32,
    most: int = 512,
    z_dim: int = 512,
    weight: float | None = None,
    drift_weight: float = 1e-3,
    phase: int | None = None,
    rate: float = 1e-3,
    batch: int = 16,
    mirror: bool = False,
) -> Recipe:
    """Progressive GAN: small images first, then twice the size, faded in; Wasserstein distance (Karras et al. 2018).

    Parameters
    ----------
    width
        Channels next to the full image, doubling towards the base; the paper has 16 at 1024 px.
    most
        The most channels anywhere.
    z_dim
        Dimensions of z for images; points are made from 2.
    weight
        Weight of the gradient penalty, lambda; by default the paper's 10, for points 0.1.
    drift_weight
        Weight of D(x)^2, which keeps logits near zero.
    phase
        Images for which a size stays, and as many in which the next one is faded in; by default 600,000,
        or fewer where growing would take more than 60 % of the run.
    rate
        Adam's learning rate for both players.
    batch
        Reals of a round.
    mirror
        Flip half of the reals left to right; leave it off where left and right differ.
    """
    lipschitz = Penalty(
        "gradient_penalty", of=wgan_gp, weight=fitted(partial(by_kind, given=weight, images=10.0, points=0.1))
    )
    size = {"width": width, "most": most}
    near_zero = Penalty("drift", of=drift, weight=drift_weight)
    return Recipe(
        name="progan",
        summary="small images first, then twice the size, faded in",
        papers=(_PROGRESSIVE,),
        game=partial(
            TwoPlayerGame,
            **image_players(progan_networks, generator={**size, "z_dim": z_dim}, discriminator=size),
            loss=wasserstein,
        ),
        turns=(Turn(("discriminator",), (Term("adversarial"), lipschitz, near_zero)), Turn(("generator",))),
        optims={name: Optim(rate=rate, betas=(0.0, 0.99)) for name in ("generator", "discriminator")},
        emas={"generator": Ema(halflife=10_000)},
        batch=batch,
        mirror=mirror,
        growth=fitted(partial(_growth, phase=phase, first=0)),
    )


def stylegan(
    *,
    width: int = 32,
    most: int = 512,
    z_dim: int = 512,
    mapping_layers: int = 8,
    gamma: float | None = None,
    mixing: float = 0.9,
    phase: int | None = None,
    rate: float = 1e-3,
    batch: int = 32,
    mirror: bool = False,
) -> Recipe:
    """StyleGAN: styles and noise for every layer of a generator that grows, R1 (Karras et al. 2019).

    Parameters
    ----------
    width
        Channels next to the full image, doubling towards the base; the paper has 16 at 1024 px.
    most
        The most channels anywhere.
    z_dim
        Dimensions of z and of the styles for images; points are made from 2, without styles.
    mapping_layers
        Layers from z to a style.
    gamma
        Weight of R1; by default the paper's 10, for points 0.1.
    mixing
        The share of images with two styles in training.
    phase
        Images for which a size stays, and as many in which the next one is faded in; by default 600,000,
        or fewer where growing would take more than 60 % of the run. The first size is 8 pixels, or up to 14.
    rate
        Adam's learning rate for both players; from 128 px on 1.5 times, from 256 px twice, from 512 px three times.
    batch
        Reals of a round.
    mirror
        Flip half of the reals left to right; leave it off where left and right differ.
    """
    smooth = Penalty("r1", of=r1, weight=fitted(partial(by_kind, given=gamma, images=10.0, points=0.1)))
    pace = fitted(partial(_rates, rate=rate, phase=phase))
    size = {"width": width, "most": most}
    mapping = {"z_dim": z_dim, "mapping_layers": mapping_layers, "mixing": mixing}
    return Recipe(
        name="stylegan",
        summary="styles and noise for every layer, growing, R1",
        papers=(_STYLE, _PROGRESSIVE),
        game=partial(
            TwoPlayerGame,
            **image_players(stylegan_networks, generator={**size, **mapping}, discriminator=size),
            loss=non_saturating,
        ),
        turns=(Turn(("discriminator",), (Term("adversarial"), smooth)), Turn(("generator",))),
        optims={name: Optim(rate=pace, betas=(0.0, 0.99)) for name in ("generator", "discriminator")},
        emas={"generator": Ema(halflife=10_000)},
        batch=batch,
        mirror=mirror,
        growth=fitted(partial(_growth, phase=phase, first=1)),
    )


def _growth(facts: Facts, *, phase: int | None, first: int) -> Schedule | None:
    """Levels after so many images: one stays for a phase, the next is faded in over another; points do not grow."""
    if facts.points:
        return None
    last = pyramid(facts.shape).doublings
    values, at = [float(min(first, last))], [0.0]
    each = _phase(facts, phase, last - first)
    for level in range(first, last):
        values += [level, level + 1]
        at += [at[-1] + each, at[-1] + 2 * each]
    return Path(tuple(float(v) for v in values), tuple(at))


def _phase(facts: Facts, phase: int | None, doublings: int) -> float:
    """Images of a phase, of which there are two for each doubling."""
    if phase is None:
        return min(_PHASE, _GROWING * facts.budget / max(2 * doublings, 1))
    if not 1 <= phase < math.inf:
        raise UsageError(f"a phase of {phase} images cannot be; give a number from 1, such as 50000")
    return float(phase)


def _rates(facts: Facts, *, rate: float, phase: int | None) -> Schedule:
    """StyleGAN's rates: larger where larger images are made, from the moment that their size is faded in."""
    growth = _growth(facts, phase=phase, first=1)
    if not isinstance(growth, Path):
        return rate
    short = min(facts.shape[1:]) // 2 ** pyramid(facts.shape).doublings
    steps = [(0.0, rate * _faster(short * 2 ** int(growth.values[0])))]
    for (_, low), (begin, high) in pairwise(zip(growth.at, growth.values, strict=True)):
        if high == low:  # a level has stayed; at `begin` the next one starts to be faded in
            steps.append((begin, rate * _faster(short * 2 ** int(high + 1))))
    return rate if len({r for _, r in steps}) == 1 else Steps(tuple(r for _, r in steps), tuple(a for a, _ in steps))


def _faster(size: int) -> float:
    """How many times as fast a network of images of so many pixels learns."""
    return 3.0 if size >= 512 else 2.0 if size >= 256 else 1.5 if size >= 128 else 1.0
