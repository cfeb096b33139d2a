"""Verdicts of both sides against each other: losses of pairs, and what a log says of them. For every game with a D."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from sparring.errors import UsageError
from sparring.game import Context
from sparring.objectives.losses import AdversarialLoss, share_right

__all__ = ["note_verdicts", "opposed", "require_unpaired"]


def opposed(
    loss: AdversarialLoss,
    side: Callable[[Tensor, Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    mean: Callable[[Tensor], Tensor],
) -> Tensor:
    """The loss of each pair of logits `[n, ...]`; of all pairs where there are more of one side, with the same mean.

    `side` is the loss's function for one of the players. Relative to the other side's mean where the loss wants that:
    of patches, that of the same patch over the images.
    """
    if loss.pairing == "average":
        real, fake = real - mean(fake), fake - mean(real)
    return side(real, fake) if len(real) == len(fake) else side(real[:, None], fake[None, :])


def require_unpaired(loss: AdversarialLoss) -> None:
    """Raises UsageError for a loss that compares fakes with reals, for games whose makers see no reals of the judge."""
    if loss.pairing != "none":
        raise UsageError(
            "a relativistic loss compares fakes with reals, which makers in this game are not shown; choose another, "
            "such as least_squares or hinge"
        )


def note_verdicts(ctx: Context, loss: AdversarialLoss, real: Tensor, fake: Tensor) -> None:
    """Mean logits, how often D is right, and probabilities where the loss is logistic, of one logit an image."""
    values = {"real_logit": real.mean(), "fake_logit": fake.mean(), "right": share_right(loss, real, fake)}
    if loss.logistic:
        values |= {"real_probability": real.sigmoid().mean(), "fake_probability": fake.sigmoid().mean()}
    ctx.note(**values)
