"""Wasserstein GANs: D estimates a distance, kept Lipschitz by clipping its weights or by a gradient penalty."""

from __future__ import annotations

from functools import partial

from sparring.objectives.constraints import clip_weights
from sparring.objectives.losses import wasserstein
from sparring.objectives.penalties import wgan_gp as gradient_penalty
from sparring.recipe import Constraint, Optim, Paper, Penalty, Recipe, Term, Turn, fitted
from sparring.recipes.players import by_kind, players, two_players

__all__ = ["wgan", "wgan_gp"]

_ARJOVSKY = Paper("Arjovsky, Chintala & Bottou", "Wasserstein GAN", 2017, "https://arxiv.org/abs/1701.07875")
_GULRAJANI = Paper(
    "Gulrajani et al.", "Improved Training of Wasserstein GANs", 2017, "https://arxiv.org/abs/1704.00028"
)


def wgan(
    *,
    network: str = "dcgan",
    width: int | None = None,
    rate: float | None = None,
    bound: float | None = None,
    discriminator_turns: int = 5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """WGAN: an approximate Wasserstein distance, its critic kept Lipschitz by clipping (Arjovsky et al. 2017).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    rate
        RMSprop's learning rate for both players; the paper's 5e-5, ten times as much for points.
    bound
        D's weights are clipped to [-bound, bound]; the paper's 0.01, for points 0.1.
    discriminator_turns
        D's turns of a round, n_critic of algorithm 1.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    recipe = two_players(
        "wgan",
        "Wasserstein distance, five discriminator turns, clipped weights",
        (_ARJOVSKY,),
        wasserstein,
        players(network, width=width, z_dim=z_dim),
        optim=Optim(kind="rmsprop", rate=fitted(partial(by_kind, given=rate, images=5e-5, points=5e-4))),
        batch=batch,
    )
    clip = partial(clip_weights, bound=fitted(partial(by_kind, given=bound, images=0.01, points=0.1)))
    return recipe.but(
        turns=(Turn(("discriminator",), times=discriminator_turns), Turn(("generator",))),
        constraints=(Constraint("discriminator", clip),),
    )


def wgan_gp(
    *,
    network: str = "dcgan",
    width: int | None = None,
    weight: float | None = None,
    rate: float | None = None,
    beta1: float = 0.0,
    discriminator_turns: int = 5,
    batch: int = 64,
    z_dim: int | None = None,
) -> Recipe:
    """WGAN-GP: the critic's gradient is held at norm 1 between reals and fakes (Gulrajani et al. 2017, algorithm 1).

    Parameters
    ----------
    network
        Architecture of both players, a module of `sparring.networks`; D is built without batch norm.
    width
        Channels next to the image (units, for perceptrons); by default the architecture's own.
    weight
        Weight of the gradient penalty, lambda; the paper's 10, for points 0.1 as in its toy experiments.
    rate
        Adam's learning rate for both players; the paper's 1e-4, for points 1e-3.
    beta1
        Adam's momentum.
    discriminator_turns
        D's turns of a round, n_critic of algorithm 1.
    batch
        Reals of a round.
    z_dim
        Dimensions of z; by default the architecture's own, 2 for points.
    """
    recipe = two_players(
        "wgan_gp",
        "Wasserstein distance with a gradient penalty",
        (_GULRAJANI, _ARJOVSKY),
        wasserstein,
        players(network, width=width, z_dim=z_dim, judge_norm=False),
        optim=Optim(rate=fitted(partial(by_kind, given=rate, images=1e-4, points=1e-3)), betas=(beta1, 0.9)),
        batch=batch,
    )
    size = fitted(partial(by_kind, given=weight, images=10.0, points=0.1))
    penalty = Penalty("gradient_penalty", of=gradient_penalty, weight=size)
    judge = Turn(("discriminator",), (Term("adversarial"), penalty), times=discriminator_turns)
    return recipe.but(turns=(judge, Turn(("generator",))))
