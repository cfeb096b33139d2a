"""The original: two perceptrons, a value function, k steps of one for every step of the other."""

from __future__ import annotations

from functools import partial
from typing import Literal

from sparring.games.two_player import TwoPlayerGame
from sparring.names import choose
from sparring.networks import mlp
from sparring.objectives.losses import AdversarialLoss, minimax, non_saturating
from sparring.recipe import Ema, Facts, Optim, Paper, Recipe, Turn, fitted
from sparring.recipes.averages import halflife

__all__ = ["gan"]

_GOODFELLOW = Paper("Goodfellow et al.", "Generative Adversarial Nets", 2014, "https://arxiv.org/abs/1406.2661")


def gan(
    *,
    loss: Literal["non_saturating", "minimax"] = "non_saturating",
    width: int = 256,
    layers: int = 2,
    batch_norm: bool = False,
    dropout: float = 0.0,
    rate: float = 2e-4,
    batch: int = 64,
    fakes_per_real: float = 1.0,
    generator_batch: float = 1.0,
    discriminator_turns: int = 1,
    generator_turns: int = 1,
    z_dim: int | None = None,
) -> Recipe:
    """The original GAN: multilayer perceptrons and Algorithm 1 (Goodfellow et al. 2014).

    Adam and leaky ReLU where the paper has momentum, maxout and dropout.

    Parameters
    ----------
    loss
        What G minimises: `non_saturating` is section 3's advice, `minimax` is equation 1.
    width
        Units of each hidden layer of both players.
    layers
        Hidden layers of both players.
    batch_norm
        Batch norm in the hidden layers of both players.
    dropout
        Dropout in the discriminator, the probability of dropping.
    rate
        Adam's learning rate for both players.
    batch
        Reals of a round.
    fakes_per_real
        Fakes that the discriminator sees for every real.
    generator_batch
        The generator's batch as a fraction of `batch`.
    discriminator_turns
        k of Algorithm 1.
    generator_turns
        Generator turns of a round.
    z_dim
        Dimensions of z; by default 100 for images and 2 for points.
    """
    return Recipe(
        name="gan",
        summary="the original: multilayer perceptrons, k discriminator turns a round",
        papers=(_GOODFELLOW,),
        game=partial(
            TwoPlayerGame,
            generator=partial(
                mlp.Generator,
                z_dim=fitted(_z_dim) if z_dim is None else z_dim,
                width=width,
                layers=layers,
                batch_norm=batch_norm,
            ),
            discriminator=partial(
                mlp.Discriminator, width=width, layers=layers, batch_norm=batch_norm, dropout=dropout
            ),
            loss=original_loss(loss),
            fakes_per_real=fakes_per_real,
        ),
        turns=(
            Turn(("discriminator",), times=discriminator_turns),
            Turn(("generator",), times=generator_turns, batch_fraction=generator_batch),
        ),
        optims={name: Optim(rate=rate, betas=(0.5, 0.999)) for name in ("generator", "discriminator")},
        emas={"generator": Ema(halflife=fitted(halflife))},
        batch=batch,
    )


def _z_dim(facts: Facts) -> int:
    return 2 if facts.points else 100


def original_loss(name: str) -> AdversarialLoss:
    """One of the two losses of the paper's section 3; raises UsageError for other names."""
    losses = {"non_saturating": non_saturating, "minimax": minimax}
    return losses[choose(name, losses, "loss")]
