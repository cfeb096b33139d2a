"""Penalties: `penalty(inputs, state) -> (value per image, state)`, differentiable twice.

A penalty is a value made of a function and the images it differentiates. The functions are public too, for other
settings: `PenaltyFunction(partial(interpolated_gradient, target=0.0))`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from sparring.chance import Draw
from sparring.objectives.distances import root

__all__ = [
    "Leaf",
    "PenaltyFunction",
    "PenaltyInputs",
    "consistency",
    "drift",
    "dragan",
    "flipped_and_shifted",
    "interpolated_gradient",
    "label_smoothing",
    "lecam",
    "moved_away",
    "perturbed_gradient",
    "r1",
    "r2",
    "running_anchors",
    "wgan_gp",
]

State: TypeAlias = Mapping[str, Tensor]
Leaf: TypeAlias = Literal["real", "fake", "latents"]


@dataclass(frozen=True)
class PenaltyInputs:
    """What was shown and said in a turn.

    `real` `[n, c, h, w]` and `fake` `[m, c, h, w]` are the images before any augmentation, the leaves of the graph
    where a penalty differentiates them, empty where the turn shows none; `real_logits` `[n]` and `fake_logits` `[m]`
    are the answers; `discriminator` maps images `[k, c, h, w]` to logits `[k]` for penalties that look elsewhere.
    `latents` `[m, ...]` are what the fakes were made from. `network` is the player on turn. `draw(n, dim, kind)` gives
    noise `[n, dim]`, `normal` or `uniform` in [-1, 1], a function of the seed and the round; `mean` is the mean over
    the images of all processes.
    """

    discriminator: Callable[..., Tensor]
    real: Tensor
    fake: Tensor
    real_logits: Tensor
    fake_logits: Tensor
    labels: Tensor | None = None
    fake_labels: Tensor | None = None
    latents: Tensor | None = None
    network: nn.Module = field(default_factory=nn.Module)
    draw: Draw = field(default=lambda n, dim, kind: _not_lent())
    mean: Callable[[Tensor], Tensor] = field(default=lambda x: x.mean(0))

    @cached_property
    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """Gradients of each image's logit with respect to that image, (real, fake), one pass for both sides.

        None for a side whose images are not differentiated.
        """
        asked = [side for side in (self.real, self.fake) if side.requires_grad]
        found = iter(torch.autograd.grad(self.real_logits.sum() + self.fake_logits.sum(), asked, create_graph=True))
        real = next(found) if self.real.requires_grad else None
        return real, next(found) if self.fake.requires_grad else None

    def judge(self, images: Tensor, side: Literal["real", "fake"]) -> Tensor:
        """Logits `[k]` of the first k images of a side, changed."""
        labels = self.labels if side == "real" else self.fake_labels
        return self.discriminator(images) if labels is None else self.discriminator(images, labels[: len(images)])

    def noise_like(self, images: Tensor, kind: str) -> Tensor:
        """Noise of the shape of images."""
        return self.draw(len(images), math.prod(images.shape[1:]), kind).view_as(images)

    def shares(self, n: int) -> Tensor:
        """Numbers from U(0, 1), one for each image, `[n, 1, 1, 1]`."""
        return (self.draw(n, 1, "uniform").view(n, 1, 1, 1) + 1) / 2


@dataclass(frozen=True)
class PenaltyFunction:
    """A penalty and what it differentiates, which the game makes leaves of the graph before they are used.

    `per_image` says that it is a statement about single images, which a network with batch norm cannot keep; `turn` is
    the player in whose turn it can be computed. One of logits with an `origin` is not for losses that only compare
    logits, which would follow it without end. One that `moves` images is not for a D that sees others beside them,
    which stay where they are.
    """

    function: Callable[[PenaltyInputs, State], tuple[Tensor, State]]
    differentiates: tuple[Leaf, ...] = ()
    per_image: bool = False
    turn: Literal["discriminator", "generator", "any"] = "discriminator"
    origin: bool = False
    moves: bool = False

    def __call__(self, inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
        return self.function(inputs, state)


def _r1(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """1/2 |grad D(x)|^2 on reals, so that its weight is gamma (Mescheder et al. 2018, eq. 9)."""
    return _half_squared_norm(inputs.gradients[0]), state


def _r2(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """1/2 |grad D(G(z))|^2 on fakes (Mescheder et al. 2018, eq. 10)."""
    return _half_squared_norm(inputs.gradients[1]), state


def interpolated_gradient(
    inputs: PenaltyInputs, state: State, *, target: float = 1.0, one_sided: bool = False
) -> tuple[Tensor, State]:
    """(|grad D(x^)| - target)^2 at x^ = e x + (1 - e) G(z), e from U(0, 1) each (Gulrajani et al. 2017, eq. 3).

    `one_sided` punishes only norms above the target (their section 4, "two-sided penalty").
    """
    n = min(len(inputs.real), len(inputs.fake))
    share = inputs.shares(n)
    between = share * inputs.real[:n].detach() + (1 - share) * inputs.fake[:n].detach()
    gap = _gradient_norm(inputs, between) - target
    return (gap.relu() if one_sided else gap).square(), state


def perturbed_gradient(
    inputs: PenaltyInputs, state: State, *, target: float = 1.0, spread: float = 0.5
) -> tuple[Tensor, State]:
    """(|grad D(x + d)| - target)^2 around reals (Kodali et al. 2017, algorithm 1).

    As in the authors' code, d = e s u with u from U(0, 1) for each number, s = `spread` times the standard deviation of
    the batch, and e from U(0, 1) for each image.
    """
    real = inputs.real.detach()
    middle = inputs.mean(real.flatten(1).mean(1))
    deviation = inputs.mean((real - middle).square().flatten(1).mean(1)).sqrt()
    step = inputs.shares(len(real)) * spread * deviation * (inputs.noise_like(real, "uniform") + 1) / 2
    return (_gradient_norm(inputs, real + step) - target).square(), state


def running_anchors(inputs: PenaltyInputs, state: State, *, decay: float = 0.99) -> tuple[Tensor, State]:
    """(D(x) - a_F)^2 + (D(G(z)) - a_R)^2 with running means a_R, a_F of D's answers (Tseng et al. 2021).

    The means include this round's answers and begin with the first ones.
    """
    now = {"real": inputs.mean(inputs.real_logits.detach()), "fake": inputs.mean(inputs.fake_logits.detach())}
    anchors = {side: state[side].lerp(mean, 1 - decay) if side in state else mean for side, mean in now.items()}
    fakes = (inputs.fake_logits - anchors["real"]).square().mean()
    return (inputs.real_logits - anchors["fake"]).square() + fakes, anchors


def moved_away(
    inputs: PenaltyInputs,
    state: State,
    *,
    change: Callable[[Tensor, Draw], Tensor],
    sides: tuple[Literal["real", "fake"], ...] = ("real", "fake"),
) -> tuple[Tensor, State]:
    """|D(x) - D(T(x))|^2 for a `change` T that keeps what an image shows, on both sides (Zhao et al. 2020b)."""
    total = inputs.real_logits.new_zeros(1)
    shown = {"real": (inputs.real, inputs.real_logits), "fake": (inputs.fake, inputs.fake_logits)}
    for side in sides:
        images, logits = shown[side]
        total = total + (logits - inputs.judge(change(images.detach(), inputs.draw), side)).square().mean()
    return total, state


def flipped_and_shifted(images: Tensor, draw: Draw, *, reach: float = 0.125) -> Tensor:
    """Half of the images flipped left to right, each moved by up to `reach` of its size, filled by reflection.

    Zhao et al. 2020b: flips and shifts of at most 4 of 32 pixels. Points (h = w = 1) are left alone.
    """
    n, _, height, width = images.shape
    flip, down, right = draw(n, 3, "uniform").unbind(1)
    images = torch.where((flip < 0).view(n, 1, 1, 1), images.flip(3), images)
    rows = _reflected(torch.arange(height, device=images.device) - _whole(down, reach * height), height)
    columns = _reflected(torch.arange(width, device=images.device) - _whole(right, reach * width), width)
    images = images.gather(2, rows.view(n, 1, height, 1).expand_as(images))
    return images.gather(3, columns.view(n, 1, 1, width).expand_as(images))


def _drift(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """D(x)^2 on reals, which keeps logits without an origin near 0 (Karras et al. 2018, appendix A.1)."""
    return inputs.real_logits.square(), state


def _label_smoothing(inputs: PenaltyInputs, state: State) -> tuple[Tensor, State]:
    """D(x) on reals: with weight a, one-sided label smoothing to 1 - a (Salimans et al. 2016, section 3.4).

    Cross-entropy with target t is softplus(-D) + (1 - t) D, and 1/2 (D - t)^2 is 1/2 (D - 1)^2 + (1 - t) D but for a
    constant: the same summand smooths logistic losses and least squares.
    """
    return inputs.real_logits, state


def _not_lent() -> Tensor:
    raise AssertionError("the game must lend its draws to a penalty that needs chance")


def _half_squared_norm(gradient: Tensor | None) -> Tensor:
    """Half the squared norm of each image's gradient, summed over channels and pixels: `[n]`."""
    assert gradient is not None, "the penalty must list what it differentiates"
    return gradient.square().flatten(1).sum(1) / 2


def _gradient_norm(inputs: PenaltyInputs, images: Tensor) -> Tensor:
    """|grad D| at each of some images that stand for reals, `[n]`; its own gradient at zero is zero."""
    at = images.requires_grad_()
    (gradient,) = torch.autograd.grad(inputs.judge(at, "real").sum(), at, create_graph=True)
    return root(gradient.square().flatten(1).sum(1))


def _whole(share: Tensor, reach: float) -> Tensor:
    """Whole steps `[n, 1]` up to `reach`, from shares in [-1, 1]."""
    most = int(reach)
    return (share * (most + 0.5)).round().clamp(-most, most).long()[:, None]


def _reflected(places: Tensor, size: int) -> Tensor:
    """Places outside 0..size-1 mirrored at the border pixel, which is not repeated."""
    if size == 1:
        return torch.zeros_like(places)
    places = places.abs() % (2 * size - 2)
    return torch.where(places >= size, 2 * size - 2 - places, places)


r1 = PenaltyFunction(_r1, differentiates=("real",), per_image=True)
r2 = PenaltyFunction(_r2, differentiates=("fake",), per_image=True)
wgan_gp = PenaltyFunction(interpolated_gradient, per_image=True)
dragan = PenaltyFunction(perturbed_gradient, per_image=True)
lecam = PenaltyFunction(running_anchors)
consistency = PenaltyFunction(partial(moved_away, change=flipped_and_shifted), moves=True)
drift = PenaltyFunction(_drift)
label_smoothing = PenaltyFunction(_label_smoothing, origin=True)
