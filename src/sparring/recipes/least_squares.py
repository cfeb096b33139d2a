"""Least squares instead of cross-entropy: fakes far on the right side of the boundary are still pulled in."""

from __future__ import annotations

from sparring.objectives.losses import least_squares
from sparring.recipe import Optim, Paper, Recipe
from sparring.recipes.players import players, two_players

__all__ = ["lsgan"]

_MAO = Paper("Mao et al.", "Least Squares Generative Adversarial Networks", 2017, "https://arxiv.org/abs/1611.04076")


def lsgan(
    *,
    network: str = "dcgan",
    width: int | None = None,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """LSGAN: D regresses to 1 and 0, G to 1 (Mao et al. 2017).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    return two_players(
        "lsgan",
        "least squares in place of cross-entropy",
        (_MAO,),
        least_squares,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
    )
