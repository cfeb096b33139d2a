"""Modern baselines: relativistic pairing with gradient penalties on both sides, no normalisation, no tricks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from sparring.games.two_player import TwoPlayerGame
from sparring.networks import mlp
from sparring.networks import r3gan as networks
from sparring.objectives.losses import relativistic_pairing
from sparring.objectives.penalties import r1, r2
from sparring.recipe import Ema, Facts, Optim, Paper, Penalty, Recipe, Term, Turn, fitted
from sparring.recipes.averages import halflife
from sparring.schedule import Cosine

__all__ = ["r3gan"]

_HUANG = Paper(
    "Huang, Gokaslan, Kuleshov & Tompkin",
    "The GAN is dead; long live the GAN! A Modern GAN Baseline",
    2024,
    "https://arxiv.org/abs/2501.05441",
)
_MESCHEDER = Paper(
    "Mescheder, Geiger & Nowozin",
    "Which Training Methods for GANs do actually Converge?",
    2018,
    "https://arxiv.org/abs/1801.04406",
)


def r3gan(
    *,
    width: int | None = None,
    blocks: int = 2,
    gamma: float | None = None,
    rate: float | None = None,
    batch: int | None = None,
    every: int = 1,
    mirror: bool = False,
    z_dim: int = 64,
) -> Recipe:
    """R3GAN: relativistic pairing with R1 and R2 on residual networks without normalisation (Huang et al. 2024).

    The paper augments images as well, by ADA's pipe with half of its colours and with holes; `+augment=ada` adds it as
    its own paper has it.

    Parameters
    ----------
    width
        Channels of the stages up to 32 px; the paper has 768, the default is 32, on the scale of a CPU. Of points,
        units of perceptrons, by default 128.
    blocks
        Residual blocks of a stage.
    gamma
        Weight of both penalties at the start; it falls to a tenth. By default fitted to the data's shape.
    rate
        Adam's learning rate at the start, by default 1e-3; it falls to a quarter, on points to a twentieth.
    batch
        Reals of a round; by default 32, of points 128.
    every
        Compute the penalties in one round of so many, weighted up; the paper computes them in every round.
    mirror
        Flip half of the reals left to right, as the paper does; leave it off where left and right differ.
    z_dim
        Dimensions of z for images; points are made from 2.
    """
    rates = fitted(partial(_rate, rate=rate))
    optim = Optim(rate=rates, betas=(0.0, fitted(_beta2)))
    penalties = tuple(
        Penalty(name, of=of, weight=fitted(partial(_gamma, gamma=gamma)), every=every)
        for name, of in (("r1", r1), ("r2", r2))
    )
    return Recipe(
        name="r3gan",
        summary="residual networks without normalisation, relativistic pairing, R1 and R2",
        papers=(_HUANG, _MESCHEDER),
        game=partial(
            TwoPlayerGame,
            generator=fitted(partial(_generator, width=width, blocks=blocks, z_dim=z_dim)),
            discriminator=fitted(partial(_discriminator, width=width, blocks=blocks)),
            loss=relativistic_pairing,
            together=True,
        ),
        turns=(Turn(("discriminator",), (Term("adversarial"), *penalties)), Turn(("generator",))),
        optims={"generator": optim, "discriminator": optim},
        emas={"generator": Ema(halflife=fitted(halflife))},
        batch=fitted(_batch) if batch is None else batch,
        mirror=mirror,
    )


def _generator(facts: Facts, *, width: int | None, blocks: int, z_dim: int) -> Callable[..., nn.Module]:
    if facts.points:
        return partial(mlp.Generator, z_dim=2, width=128 if width is None else width, layers=3)
    return partial(networks.Generator, width=32 if width is None else width, blocks=blocks, z_dim=z_dim)


def _discriminator(facts: Facts, *, width: int | None, blocks: int) -> Callable[..., nn.Module]:
    if facts.points:
        return partial(mlp.Discriminator, width=128 if width is None else width, layers=3)
    return partial(networks.Discriminator, width=32 if width is None else width, blocks=blocks)


def _batch(facts: Facts) -> int:
    return 128 if facts.points else 32


def _rate(facts: Facts, *, rate: float | None) -> Cosine:
    """The paper falls from 2e-4 to 5e-5 over its 20 million images; narrow networks take larger steps.

    On points the last weights go on circling at a quarter of the rate: one seed in three lost modes of grid25 again.
    """
    start = 1e-3 if rate is None else rate
    return Cosine(start, start / (20 if facts.points else 4), over=facts.budget)


def _beta2(facts: Facts) -> Cosine:
    """From 0.9, quick to adapt, to 0.99 (the paper's warm-up)."""
    return Cosine(0.9, 0.99, over=facts.budget)


def _gamma(facts: Facts, *, gamma: float | None) -> Cosine:
    """Falls to a tenth, as in the paper; the start grows with the pixels like its presets (0.5 at 32 px, 2 at 64)."""
    fitting = 0.1 if facts.points else 0.5 * (facts.shape[1] * facts.shape[2]) / 32**2
    start = fitting if gamma is None else gamma
    return Cosine(start, start / 10, over=facts.budget)
