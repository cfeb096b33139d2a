"""Bricks that several architectures share: verdicts, the pyramid of sizes, exact foldings, initialisation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad

from sparring.errors import ShapeError, UsageError

__all__ = [
    "ConvDown",
    "DiscriminatorBase",
    "LayeredDiscriminator",
    "Pyramid",
    "StyleBased",
    "Translator",
    "UpConv",
    "Verdict",
    "begin_at_nothing",
    "fold_down",
    "fold_up",
    "initialise_normal",
    "inner_layers",
    "noise_like",
    "norm_layer",
    "pyramid",
    "require_choice",
    "require_count",
    "require_mixing",
    "require_multiple",
    "two_styles",
    "widths_of",
]


@dataclass(frozen=True)
class Verdict:
    """What a discriminator says: raw `logits` `[n, ...]`, and logits of classes `[n, k]` where it tells them apart."""

    logits: Tensor
    class_logits: Tensor | None = None

    @property
    def per_image(self) -> Tensor:
        """One logit per image, float32 or wider, `[n]`: patches and scales are averaged here and nowhere else."""
        logits = self.logits if self.logits.dtype == torch.float64 else self.logits.float()
        return logits.flatten(1).mean(1) if logits.dim() > 1 else logits


@dataclass(frozen=True)
class Pyramid:
    """A size as a small base, doubled `doublings` times."""

    base: tuple[int, int]
    doublings: int


class StyleBased(nn.Module, ABC):
    """A generator in two steps: `styles`, one for each of its `layers`, and `synthesis` of them."""

    layers: int

    @property
    def layers_in_use(self) -> int:
        """Layers that say something now; fewer while a generator grows."""
        return self.layers

    @abstractmethod
    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """z `[n, z_dim]`, labels `[n]` -> styles `[n, layers, w_dim]`."""

    @abstractmethod
    def synthesis(self, styles: Tensor) -> Tensor:
        """Images `[n, c, h, w]` of styles."""

    @abstractmethod
    def truncated(self, styles: Tensor, psi: float) -> Tensor:
        """Styles drawn towards their mean: at 1 they stay, at 0 those drawn are it (Karras et al. 2019, appendix B)."""

    @abstractmethod
    def style_weights(self, layer: int) -> Tensor:
        """What a layer multiplies its style by to set its channels, `[numbers, w_dim]`."""

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.synthesis(self.styles(z, labels))


class Translator(nn.Module, ABC):
    """A network from images to images: `[n, c, h, w]` -> `[n, c', scale h, scale w]`, both in [-1, 1], of any size.

    It is `given` c channels and makes `channels` c'. The sides of what it is given are multiples of `multiple`, and at
    least `least` of them. `reach` is how far away, in given pixels, anything may be that a pixel depends on; None where
    that is the whole image (statistics of it, attention, a bottleneck), which therefore cannot be cut into tiles.
    `noisy` ones draw from the default generator, by layers of dropout that a `TrainedTranslator` keeps on.
    """

    given: int
    channels: int
    multiple: int = 1
    least: int = 1
    scale: int = 1
    reach: int | None = None
    noisy: bool = False

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The images made of `x`."""


class DiscriminatorBase(nn.Module, ABC):
    """A discriminator in two steps: `features`, its inner layers, and `judge`, which looks at the last of them.

    So another part can look at what D has seen: a projection of the label, a statistic of the batch, feature matching.
    """

    @abstractmethod
    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The inner layers of images `[n, c, h, w]`, `[n, ...]` each, from shallow to deep."""

    @abstractmethod
    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Verdict:
        return self.judge(self.features(x, labels)[-1], labels)


class LayeredDiscriminator(DiscriminatorBase):
    """A discriminator whose `layers` follow one another."""

    layers: nn.ModuleList

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The activations of every layer, `[n, c, h, w]`."""
        found = []
        for layer in self.layers:
            x = layer(x)
            found.append(x)
        return found


def noise_like(z: Tensor, kind: str) -> Tensor:
    """Other noise in place of z, of its kind (`normal` or `uniform`, U(-1, 1)), from the default generator."""
    return torch.rand_like(z) * 2 - 1 if kind == "uniform" else torch.randn_like(z)


def require_count(number: int, what: str, *, least: int = 0) -> None:
    """Raises UsageError for fewer than none, or than the `least` that there can be."""
    if number < least:
        raise UsageError(f"{number} {what} cannot be; give {least} or more")


def require_choice(word: str, options: Sequence[str], what: str) -> str:
    """The word itself; raises UsageError where it is none of the options."""
    if word not in options:
        raise UsageError(f"there is no {what} {word!r}; there are: {', '.join(options)}")
    return word


def require_mixing(mixing: float) -> None:
    """Raises UsageError for what is no probability of two styles."""
    if not 0 <= mixing <= 1:
        raise UsageError(f"mixing styles with a probability of {mixing} cannot be; give a number from 0 to 1")


def two_styles(first: Tensor, second: Tensor, layers: int, share: float) -> Tensor:
    """Styles `[n, layers, dim]` of which a share go over to a second one at a random layer (Karras et al. 2019, 3.1).

    `layers` are those in use, among which the change falls; `second` is `[n, 1, dim]`.
    """
    n, device = len(first), first.device
    places = torch.randint(1, layers, (n, 1, 1), device=device)
    mixed = torch.rand(n, 1, 1, device=device) < share
    later = torch.arange(first.shape[1], device=device)[None, :, None] >= places
    return torch.where(mixed & later, second, first)


def pyramid(shape: tuple[int, int, int]) -> Pyramid:
    """The pyramid of an image shape (c, h, w), with the shorter side of its base in 4..7.

    Raises ShapeError with the nearest possible size if the sides do not halve so often.

    >>> pyramid((1, 28, 28)), pyramid((3, 64, 96)).base
    (Pyramid(base=(7, 7), doublings=2), (4, 6))
    """
    _, height, width = shape
    found = _halved(height, width)
    if found is None:
        nearest = _nearest(height, width)
        raise ShapeError(
            f"{height}x{width} pixels do not halve down to a base of 4 to 7; the nearest sizes that do are "
            f"{' and '.join(f'{h}x{w}' for h, w in nearest)} (--size)",
            nearest,
        )
    return found


def _halved(height: int, width: int) -> Pyramid | None:
    """The pyramid of a size, if it has one."""
    doublings = max(int(math.log2(max(min(height, width), 1) / 4)), 0)
    step = 2**doublings
    if min(height, width) < 4 or height % step or width % step:
        return None
    return Pyramid((height // step, width // step), doublings)


def _nearest(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """The nearest possible size that is not larger, if there is one, and the nearest that is not smaller.

    Of those as near the one whose height is nearer.
    """
    down, up = [], []
    for step in (2**doublings for doublings in range(max(height, width, 4).bit_length())):
        high, wide = height // step, width // step
        down += _possible(step, (high, wide), (min(high, 7), wide), (high, min(wide, 7)))
        up += _possible(step, (max(-(-height // step), 4), max(-(-width // step), 4)))

    def distance(size: tuple[int, int]) -> tuple[int, int]:
        high, wide = abs(size[0] - height), abs(size[1] - width)
        return high + wide, high

    return tuple(min(sizes, key=distance) for sizes in (down, up) if sizes)


def _possible(step: int, *bases: tuple[int, int]) -> list[tuple[int, int]]:
    """`step` times the bases whose shorter side is in 4..7."""
    return [(step * height, step * width) for height, width in bases if 4 <= min(height, width) <= 7]


def require_multiple(height: int, width: int, multiple: int, *, least: int = 1, why: str = "") -> None:
    """Raises ShapeError with the nearest possible sizes unless both sides are multiples, and at least `least` of them.

    `why` follows the number.

    >>> require_multiple(64, 96, 32)
    """
    if all(side >= least * multiple and side % multiple == 0 for side in (height, width)):
        return

    def fitted(side: int) -> int:
        return max(side, least) * multiple

    down = fitted(height // multiple), fitted(width // multiple)
    up = fitted(-(-height // multiple)), fitted(-(-width // multiple))
    nearest = (down,) if down == up else (down, up)
    at_least = f" of at least {least * multiple}" if least > 1 else ""
    raise ShapeError(
        f"{height}x{width} pixels are not multiples of {multiple}{why}{at_least} along both sides; the nearest "
        f"{'possible size is' if len(nearest) == 1 else 'possible sizes are'} "
        f"{' and '.join(f'{h}x{w}' for h, w in nearest)} (--size)",
        nearest,
    )


def norm_layer(kind: Literal["batch", "instance", "none"], channels: int) -> nn.Module:
    """Batch norm; instance norm without weights of its own; or nothing."""
    require_choice(kind, ("batch", "instance", "none"), "norm")
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels) if kind == "instance" else nn.Identity()


def widths_of(width: int, most: int, doublings: int) -> list[int]:
    """Channels at each size, from the image to the base: twice as many each time, at most so many.

    >>> widths_of(64, 512, 4)
    [64, 128, 256, 512, 512]
    """
    return [min(width * 2**level, most) for level in range(doublings + 1)]


def fold_up(weight: Tensor) -> Tensor:
    """The 4x4 kernel of one stride-2 transposed convolution that equals nearest x2 upsampling, then this 3x3 kernel.

    `[out, in, 3, 3]` -> `[in, out, 4, 4]`; same function, same borders, 2.25 times fewer multiply-adds: along each
    axis two of the three taps of a neighbour fall on the same source pixel and are summed.
    """
    first, middle, last = weight.unbind(2)
    rows = torch.stack([last, middle + last, first + middle, first], 2)
    first, middle, last = rows.unbind(3)
    return torch.stack([last, middle + last, first + middle, first], 3).transpose(0, 1)


def fold_down(weight: Tensor) -> Tensor:
    """The 4x4 kernel of one stride-2 convolution that equals this 3x3 kernel, then 2x2 mean pooling.

    `[out, in, 3, 3]` -> `[out, in, 4, 4]`.
    """
    shifted = [pad(weight, (dx, 1 - dx, dy, 1 - dy)) for dy in (0, 1) for dx in (0, 1)]
    return torch.stack(shifted).mean(0)


class UpConv(nn.Module):
    """Nearest x2 upsampling, then a 3x3 convolution, computed as one transposed convolution (see `fold_up`).

    `[n, in, h, w]` -> `[n, out, 2h, 2w]`. The weight is the 3x3 one, so published weights fit.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, fold_up(self.weight), self.bias, stride=2, padding=1)


class ConvDown(nn.Module):
    """A 3x3 convolution, then 2x2 mean pooling, computed as one strided convolution (see `fold_down`).

    `[n, in, 2h, 2w]` -> `[n, out, h, w]`.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, fold_down(self.weight), self.bias, stride=2, padding=1)


def inner_layers(network: Any, shape: tuple[int, int, int], classes: int = 0) -> list[Tensor]:
    """A discriminator's inner layers for two blank images, `[2, ...]` each; the look leaves nothing behind."""
    training, device = network.training, next(network.parameters()).device
    network.eval()
    told = (torch.zeros(2, dtype=torch.int64, device=device),) if classes else ()
    found: list[Tensor] = network.features(torch.zeros(2, *shape, device=device), *told)
    network.train(training)
    return found


def begin_at_nothing(conv: nn.Conv2d) -> None:
    """Weights and bias zero: what the layer makes is added to something, which is all there is at first."""
    nn.init.zeros_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def initialise_normal(network: nn.Module, std: float = 0.02) -> None:
    """Weights N(0, std), batch norm's scale N(1, std), biases zero (Radford et al. 2016, section 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | UpConv | ConvDown):
            nn.init.normal_(module.weight, 0.0, std)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, std)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
