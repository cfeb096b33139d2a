"""An augmentation: a pipe and its strength, a schedule or a controller that listens to D (Karras et al. 2020a)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sparring.augment.noise import instance_noise
from sparring.chance import Draw
from sparring.errors import UsageError
from sparring.schedule import Schedule, ends, value

__all__ = ["Adaptive", "Augmentation"]


@dataclass(frozen=True)
class Adaptive:
    """The strength that keeps D from overfitting: r_t = E[sign D(x)] on training images stays at `target`.

    In one round of `every` the strength moves by as much as takes it from 0 to 1 in `over` images, up where r_t is
    above the target and down where it is below (Karras et al. 2020a, section 3.1; they use 500,000 images for runs of
    25 million). For losses whose logits have an origin only.
    """

    over: float
    target: float = 0.6
    every: int = 4

    def __post_init__(self) -> None:
        if isinstance(self.over, int | float) and not self.over > 0:
            raise UsageError(f"the strength cannot rise within {self.over} images; give a positive number")
        if not 0 < self.target < 1:
            raise UsageError(f"a target of {self.target} for E[sign D(x)] cannot be; give a number from 0 to 1")
        if self.every < 1:
            raise UsageError(f"the strength cannot move every {self.every} rounds; give 1 or more")


@dataclass(frozen=True)
class Augmentation:
    """`pipe(images, strength, draw)` on everything that D is shown, in both players' turns.

    For the transforms of images the strength is the probability of each; for `instance_noise` it is sigma.
    """

    pipe: Callable[[Tensor, Tensor, Draw], Tensor]
    strength: Schedule | Adaptive = 1.0

    def __post_init__(self) -> None:
        for end in () if isinstance(self.strength, Adaptive) else ends(self.strength):
            if not 0 <= end < 1e6:
                raise UsageError(f"an augmentation of strength {end} cannot be; give a number from 0")

    def suits(self, boundary: float | None) -> bool:
        """Whether the strength can be had where D's boundary lies there, or nowhere."""
        return boundary is not None or not isinstance(self.strength, Adaptive)

    def check(self, shape: tuple[int, int, int]) -> None:
        """Refuse shapes (c, h, w) that the pipe cannot change: raises UsageError for points, but for their noise."""
        function = self.pipe.func if isinstance(self.pipe, partial) else self.pipe
        if shape[1:] == (1, 1) and function is not instance_noise:
            raise UsageError("points of the plane cannot be augmented like images; leave the augmentation out")

    def begin(self) -> dict[str, Tensor]:
        """The controller's state: strength, and signs, rounds and images since it last moved."""
        if not isinstance(self.strength, Adaptive):
            return {}
        return {name: torch.zeros(()) for name in ("strength", "signs", "rounds", "images")}

    def now(self, state: dict[str, Tensor], seen: int, like: Tensor) -> Tensor:
        """The strength at a moment, a scalar on the images' device."""
        if isinstance(self.strength, Adaptive):
            return state["strength"].clone()  # as it is now: it changes in place
        return torch.full((), float(value(self.strength, seen)), device=like.device)

    def __call__(self, images: Tensor, state: dict[str, Tensor], seen: int, draw: Draw) -> Tensor:
        """Images `[n, c, h, w]` as D is shown them, in full precision: small matrices say where pixels come from."""
        with torch.autocast(images.device.type, enabled=False):
            return self.pipe(images.float(), self.now(state, seen, images), draw)

    def listen(self, state: dict[str, Tensor], sign: Tensor, images: int, turns: int = 1, parts: int = 1) -> None:
        """One of `parts` of one of D's `turns` in a round: the mean sign of its answers on `images` reals.

        No host round trip.
        """
        if not isinstance(self.strength, Adaptive):
            return
        share = 1 / (turns * parts)
        state["signs"] += share * sign
        state["rounds"] += share
        state["images"] += share * (parts * images)
        due = (state["rounds"] > self.strength.every - share / 2).float()
        step = (state["signs"] / state["rounds"] - self.strength.target).sign() * state["images"] / self.strength.over
        state["strength"].add_(due * step).clamp_(0, 1)
        for name in ("signs", "rounds", "images"):
            state[name] *= 1 - due
