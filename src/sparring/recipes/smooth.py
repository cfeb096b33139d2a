"""Smooth discriminators: gradients bounded around the data, or weights of unit spectral norm."""

from __future__ import annotations

from functools import partial

from sparring.networks.modifiers import spectral_norm
from sparring.objectives.losses import hinge, non_saturating
from sparring.objectives.penalties import dragan as around_reals
from sparring.recipe import Optim, Paper, Penalty, Recipe, Term, Turn, fitted
from sparring.recipes.players import by_kind, players, two_players

__all__ = ["dragan", "sngan"]

_KODALI = Paper(
    "Kodali, Abernethy, Hays & Kira", "On Convergence and Stability of GANs", 2017, "https://arxiv.org/abs/1705.07215"
)
_MIYATO = Paper(
    "Miyato, Kataoka, Koyama & Yoshida",
    "Spectral Normalization for Generative Adversarial Networks",
    2018,
    "https://arxiv.org/abs/1802.05957",
)
_LIM = Paper("Lim & Ye", "Geometric GAN", 2017, "https://arxiv.org/abs/1705.02894")


def dragan(
    *,
    network: str = "dcgan",
    width: int | None = None,
    weight: float | None = None,
    rate: float = 2e-4,
    beta1: float = 0.5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """DRAGAN: the gradient of D is held at norm 1 around the data (Kodali et al. 2017, algorithm 1).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`; D is built without batch norm.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    weight
        Weight of the gradient penalty, lambda; the paper's 10, for points 0.1.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    recipe = two_players(
        "dragan",
        "a gradient penalty around the data",
        (_KODALI,),
        non_saturating,
        players(network, width=width, z_dim=z_dim, judge_norm=False),
        optim=Optim(rate=rate, betas=(beta1, 0.999)),
        batch=batch,
    )
    size = fitted(partial(by_kind, given=weight, images=10.0, points=0.1))
    penalty = Penalty("gradient_penalty", of=around_reals, weight=size)
    return recipe.but(turns=(Turn(("discriminator",), (Term("adversarial"), penalty)), Turn(("generator",))))


def sngan(
    *,
    network: str = "sngan",
    width: int | None = None,
    rate: float = 2e-4,
    beta1: float = 0.0,
    discriminator_turns: int = 5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """SNGAN: spectral normalisation in every layer of D, and the hinge loss (Miyato et al. 2018).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`; D is built without batch norm.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    rate
        Adam's learning rate for both players.
    beta1
        Adam's momentum.
    discriminator_turns
        D's turns of a round.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    recipe = two_players(
        "sngan",
        "spectral normalisation in D, hinge loss",
        (_MIYATO, _LIM),
        hinge,
        players(network, width=width, z_dim=z_dim, judge_norm=False),
        optim=Optim(rate=rate, betas=(beta1, 0.9)),
        batch=batch,
        modifiers=(spectral_norm,),
        together=True,
    )
    return recipe.but(turns=(Turn(("discriminator",), times=discriminator_turns), Turn(("generator",))))
