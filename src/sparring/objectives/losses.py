"""Adversarial losses: pure, element-wise functions of logits. A loss is a value; the mean belongs to the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor
from torch.nn.functional import relu, softplus

__all__ = [
    "AdversarialLoss",
    "hinge",
    "least_squares",
    "minimax",
    "non_saturating",
    "relativistic_average",
    "relativistic_pairing",
    "share_right",
    "wasserstein",
]

LogitFunction: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class AdversarialLoss:
    """What D and G minimise, as functions of (real logits, fake logits).

    The two tensors broadcast: `[n]` with `[n]` gives `[n]`; where a game has more fakes than reals it passes
    `[n, 1]` and `[1, m]`, whose mean over all pairs is the same expectation.

    `pairing` is `none`; `pair` when every fake is compared with a real; `average` when each side is compared with the
    other's mean, which the game subtracts beforehand. For both, G's turn is shown reals as well.
    `boundary` is the logit that separates real from fake, None where logits have no origin.
    `logistic` says whether sigmoid(logit) is a probability.
    """

    discriminator: LogitFunction
    generator: LogitFunction
    pairing: Literal["none", "pair", "average"] = "none"
    boundary: float | None = 0.0
    logistic: bool = False


def share_right(loss: AdversarialLoss, real: Tensor, fake: Tensor) -> Tensor:
    """How often D is right, a scalar in [0, 1]: at the loss's boundary, else P(D(real) > D(fake)) over all pairs.

    >>> import torch
    >>> float(share_right(non_saturating, torch.tensor([1.0, -1.0]), torch.tensor([-1.0, -2.0])))
    0.75
    >>> float(share_right(wasserstein, torch.tensor([5.0, 6.0]), torch.tensor([5.5, 4.0])))
    0.75
    """
    if loss.boundary is None:
        gap = real[:, None] - fake[None, :]
        return (gap.sign().mean() + 1) / 2
    return ((real - loss.boundary).sign().mean() - (fake - loss.boundary).sign().mean() + 2) / 4


def _logistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(x) - log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1)."""
    return softplus(-real) + softplus(fake)


def _saturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - D(G(z))) (Goodfellow et al. 2014, eq. 1)."""
    return -softplus(fake)


def _logistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D(G(z)) (Goodfellow et al. 2014, section 3)."""
    return softplus(-fake)


def _least_squares_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2 (Mao et al. 2017, eq. 9)."""
    return ((real - 1).square() + fake.square()) / 2


def _least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """1/2 (D(G(z)) - 1)^2 (Mao et al. 2017, eq. 9)."""
    return (fake - 1).square() / 2


def _hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))) (Lim & Ye 2017)."""
    return relu(1 - real) + relu(1 + fake)


def _wasserstein_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """D(G(z)) - D(x) (Arjovsky et al. 2017, eq. 2, as a loss)."""
    return fake - real


def _negative_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-D(G(z)) (Arjovsky et al. 2017; Lim & Ye 2017)."""
    return -fake


def _pairing_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """f(D(G(z)) - D(x)) with f = softplus (Jolicoeur-Martineau 2018; Huang et al. 2024, eq. 2)."""
    return softplus(fake - real)


def _pairing_generator(real: Tensor, fake: Tensor) -> Tensor:
    """The same with the sides exchanged (Huang et al. 2024, eq. 2)."""
    return softplus(real - fake)


def _average_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log D~(G(z)) - log(1 - D~(x)), both relative to the other side's mean (Jolicoeur-Martineau 2018, eq. 12)."""
    return softplus(-fake) + softplus(real)


minimax = AdversarialLoss(_logistic_discriminator, _saturating_generator, logistic=True)
non_saturating = AdversarialLoss(_logistic_discriminator, _logistic_generator, logistic=True)
least_squares = AdversarialLoss(_least_squares_discriminator, _least_squares_generator, boundary=0.5)
hinge = AdversarialLoss(_hinge_discriminator, _negative_generator)
wasserstein = AdversarialLoss(_wasserstein_discriminator, _negative_generator, boundary=None)
relativistic_pairing = AdversarialLoss(_pairing_discriminator, _pairing_generator, pairing="pair", boundary=None)
relativistic_average = AdversarialLoss(_logistic_discriminator, _average_generator, pairing="average", boundary=None)
