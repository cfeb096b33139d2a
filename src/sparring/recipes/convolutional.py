"""Convolutional GANs with batch norm."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import nn

from sparring.games.two_player import TwoPlayerGame
from sparring.networks import dcgan as networks
from sparring.networks import mlp
from sparring.objectives.losses import non_saturating
from sparring.recipe import Ema, Facts, Optim, Paper, Recipe, Turn, fitted
from sparring.recipes.averages import halflife

__all__ = ["dcgan"]

_RADFORD = Paper(
    "Radford, Metz & Chintala",
    "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    2016,
    "https://arxiv.org/abs/1511.06434",
)


def dcgan(
    *,
    width: int = 64,
    upsample: Literal["transposed", "nearest"] = "transposed",
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int = 100,
) -> Recipe:
    """DCGAN: strided convolutions and batch norm in both players (Radford et al. 2016).

    Parameters
    ----------
    width
        Channels of the layer next to the image; the paper's generator has 128 and its batch is 128.
    upsample
        `transposed` convolutions as in the paper, or `nearest` and a convolution, which leaves no checkerboard.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z for images; points are made from 2.
    """
    return Recipe(
        name="dcgan",
        summary="strided convolutions and batch norm, the classic baseline",
        papers=(_RADFORD,),
        game=partial(
            TwoPlayerGame,
            generator=fitted(partial(_generator, width=width, upsample=upsample, z_dim=z_dim)),
            discriminator=fitted(partial(_discriminator, width=width)),
            loss=non_saturating,
        ),
        turns=(Turn(("discriminator",)), Turn(("generator",))),
        optims={name: Optim(rate=rate, betas=(beta1, 0.999)) for name in ("generator", "discriminator")},
        emas={"generator": Ema(halflife=fitted(halflife))},
        batch=batch,
    )


def _generator(
    facts: Facts, *, width: int, upsample: Literal["transposed", "nearest"], z_dim: int
) -> Callable[..., nn.Module]:
    if facts.points:
        return partial(mlp.Generator, z_dim=2, width=4 * width, layers=2, batch_norm=True)
    return partial(networks.Generator, width=width, upsample=upsample, z_dim=z_dim)


def _discriminator(facts: Facts, *, width: int) -> Callable[..., nn.Module]:
    if facts.points:
        return partial(mlp.Discriminator, width=4 * width, layers=2)
    return partial(networks.Discriminator, width=width)
