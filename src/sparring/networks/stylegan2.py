"""StyleGAN2's players (Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN").

G maps z to a style w for every layer, which scales the inputs of that layer's convolution; outputs are scaled back to
unit variance by the weights alone. Noise enters after every convolution. D is a residual network that may look at the
standard deviation of groups of images. Weights lie channels-last, which is faster on a CPU.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, leaky_relu, one_hot

from sparring.networks.equalised import HE, EqualConv, EqualLinear, doubled, filtered_down, filtered_up, normalised
from sparring.networks.layers import (
    DiscriminatorBase,
    StyleBased,
    Verdict,
    noise_like,
    pyramid,
    require_choice,
    require_count,
    require_mixing,
    two_styles,
    widths_of,
)
from sparring.networks.modifiers import MinibatchDeviation

__all__ = ["Discriminator", "Generator", "Mapping"]

Architecture = Literal["skip", "residual", "plain"]


class Mapping(nn.Module):
    """z `[n, z_dim]`, labels `[n]` -> w `[n, dim]`: dense layers that learn a hundredth as fast, leaky ReLU.

    z is brought to unit length times sqrt(z_dim), and so is an embedding of the label beside it. `average` is the
    running mean of w, decay 0.995, of what is to `remember`.
    """

    def __init__(self, z_dim: int, classes: int, dim: int, *, layers: int, rate: float = 0.01) -> None:
        super().__init__()
        self.classes = classes
        self.embedding = EqualLinear(classes, dim) if classes else None
        sizes = [z_dim + (dim if classes else 0), *[dim] * layers]
        require_count(layers, "layers from z to styles", least=0 if sizes[0] == dim else 1)
        self.layers = nn.ModuleList([EqualLinear(a, b, rate=rate, active=True) for a, b in pairwise(sizes)])
        self.average: Tensor
        self.register_buffer("average", torch.zeros(dim))

    def forward(self, z: Tensor | None, labels: Tensor | None = None, *, remember: bool = True) -> Tensor:
        parts = [] if z is None else [normalised(z)]
        if self.embedding is not None and labels is not None:
            known = one_hot(labels, self.classes).to(self.embedding.weight.dtype)
            parts.append(normalised(self.embedding(known)))
        x = torch.cat(parts, 1)
        for layer in self.layers:
            x = layer(x)
        if self.training and remember:
            with torch.no_grad():
                self.average.lerp_(x.mean(0).to(self.average.dtype), 0.005)
        return x


class Generator(StyleBased):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]`, about in [-1, 1] but not bounded.

    `width` is the number of channels next to the image, doubling towards the base, at most `most`. In training each
    image has, with probability `mixing`, two styles that change at a random layer, and noise is drawn anew; in
    evaluation noise is that of the buffers. `architecture` is `skip` (every level adds to the image, the paper's),
    `residual` or `plain`. Raises UsageError for a `mixing` that is no probability.
    """

    takes_labels = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 32,
        most: int = 512,
        z_dim: int = 512,
        z_kind: str = "normal",
        w_dim: int | None = None,
        mapping_layers: int = 8,
        architecture: Architecture = "skip",
        mixing: float = 0.9,
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        require_choice(architecture, get_args(Architecture), "architecture")
        w_dim = w_dim or z_dim
        require_mixing(mixing)
        self.classes, self.z_dim, self.z_kind, self.mixing = classes, z_dim, z_kind, mixing
        widths = widths_of(width, most, sizes.doublings)[::-1]
        self.mapping = Mapping(z_dim, classes, w_dim, layers=mapping_layers)
        self.start = nn.Parameter(torch.randn(widths[0], *sizes.base))
        self.blocks = nn.ModuleList()
        for level, outputs in enumerate(widths):
            size = (sizes.base[0] * 2**level, sizes.base[1] * 2**level)
            paints = architecture == "skip" or level == sizes.doublings
            self.blocks.append(
                _Block(widths[level - 1] if level else 0, outputs, w_dim, size, shape[0] if paints else 0, architecture)
            )
        self.layers = 2 * sizes.doublings + 2
        self.to(memory_format=torch.channels_last)

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """A style for every layer, `[n, layers, w_dim]`; in training some images have two, one after the other."""
        w: Tensor = self.mapping(z, labels)[:, None].expand(-1, self.layers, -1)
        if not self.training or not self.mixing:
            return w
        other = self.mapping(noise_like(z, self.z_kind), labels, remember=False)[:, None]
        return two_styles(w, other, self.layers_in_use, self.mixing)

    def truncated(self, styles: Tensor, psi: float) -> Tensor:
        """Styles drawn towards their running mean."""
        return self.mapping.average.lerp(styles, psi)

    def style_weights(self, layer: int) -> Tensor:
        """What a layer multiplies its style by, `[channels, w_dim]`: to scale its inputs, the last one's to paint."""
        block: Any = self.blocks[min((layer + 1) // 2, len(self.blocks) - 1)]
        last = layer == self.layers - 1
        entry: EqualLinear = (block.paint if last else block.first if layer % 2 else block.second).style
        return entry.weight * entry.scale

    def synthesis(self, styles: Tensor) -> Tensor:
        """Images of styles `[n, layers, w_dim]`."""
        x: Tensor = self.start[None].expand(styles.shape[0], -1, -1, -1)
        image: Tensor | None = None
        for level, block in enumerate(self.blocks):
            x, image = block(x, image, styles[:, max(2 * level - 1, 0) :])
        assert image is not None
        return image


class _Block(nn.Module):
    """One size: a doubling convolution (but at the base), another, and what they paint into the image."""

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, size: tuple[int, int], paints: int, architecture: Architecture
    ) -> None:
        super().__init__()
        self.first = _Styled(inputs, outputs, w_dim, size, up=True) if inputs else None
        self.second = _Styled(outputs, outputs, w_dim, size)
        self.paint = _Paint(outputs, paints, w_dim) if paints else None
        residual = architecture == "residual" and inputs
        self.short = EqualConv(inputs, outputs, 1, bias=False, resample="up") if residual else None

    def forward(self, x: Tensor, image: Tensor | None, styles: Tensor) -> tuple[Tensor, Tensor | None]:
        place, past = 0, None if self.short is None else self.short(x) * math.sqrt(0.5)
        if self.first is not None:
            x, place = self.first(x, styles[:, 0]), 1
        x = self.second(x, styles[:, place])
        x = x if past is None else past + x * math.sqrt(0.5)
        image = None if image is None else filtered_up(image)
        if self.paint is not None:
            painted: Tensor = self.paint(x, styles[:, place + 1])
            image = painted if image is None else image + painted
        return x, image


class _Styled(nn.Module):
    """A modulated and demodulated 3x3 convolution, noise, bias, leaky ReLU (Karras et al. 2020, section 2.2)."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, size: tuple[int, int], *, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.style = EqualLinear(w_dim, inputs, start=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(()))
        self.noise: Tensor
        self.register_buffer("noise", torch.randn(size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        scale = self.style(w)
        # The norm of each output's scaled weights, without scaled weights: sum over i of s_i^2 times sum over k of w^2.
        norms = (scale.square() @ self.weight.square().sum((2, 3)).t() + 1e-8).rsqrt()
        x = x * scale[:, :, None, None]
        x = doubled(x, self.weight) if self.up else conv2d(x, self.weight, padding=1)
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype) if self.training else self.noise
        # The leaky ReLU's factor sqrt(2) goes to what it is applied to, where it costs no pass over the features.
        x = torch.addcmul(noise * (self.strength * HE), x, (norms * HE)[:, :, None, None])
        return leaky_relu(x + (self.bias * HE)[:, None, None], 0.2)


class _Paint(nn.Module):
    """A modulated 1x1 convolution to the image's channels, not demodulated."""

    def __init__(self, inputs: int, channels: int, w_dim: int) -> None:
        super().__init__()
        self.style = EqualLinear(w_dim, inputs, start=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.scale = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        return conv2d(x * (self.style(w) * self.scale)[:, :, None, None], self.weight, self.bias)


class Discriminator(DiscriminatorBase):
    """Images `[n, c, h, w]`, labels `[n]` -> Verdict with logits `[n]`.

    A 1x1 convolution, a block for every halving, the standard deviation over groups of `group` images as one more
    channel, a 3x3 convolution, two dense layers. With classes the logit is the product of the last with an embedding of
    the label, over sqrt(dim). `architecture` is `residual` (the paper's), `skip` or `plain`.
    """

    takes_labels = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 32,
        most: int = 512,
        group: int = 4,
        mapping_layers: int = 8,
        architecture: Architecture = "residual",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        require_choice(architecture, get_args(Architecture), "architecture")
        widths = widths_of(width, most, sizes.doublings)
        self.deviation, self.skip = MinibatchDeviation(group), architecture == "skip"
        self.entries = nn.ModuleList(
            [EqualConv(shape[0], w, 1, active=True) for w in (widths if self.skip else widths[:1])]
        )
        self.blocks = nn.ModuleList([_Halving(a, b, architecture == "residual") for a, b in pairwise(widths)])
        last = widths[-1]
        self.last = EqualConv(last + 1, last, active=True)
        self.dense = EqualLinear(last * math.prod(sizes.base), last, active=True)
        self.head = EqualLinear(last, last if classes else 1)
        self.mapping = Mapping(0, classes, last, layers=mapping_layers) if classes else None
        self.to(memory_format=torch.channels_last)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The output of every block, `[n, c, h, w]`, and of the first dense layer, `[n, c]`."""
        image, found = x, []
        x = self.entries[0](x)
        for level, block in enumerate(self.blocks, start=1):
            x = block(x)
            if self.skip:
                image = filtered_down(image)
                x = x + self.entries[level](image)
            found.append(x)
        deviation = self.deviation(x.flatten(1))[:, :, None, None].expand(-1, 1, *x.shape[2:])
        x = self.last(torch.cat([x, deviation], 1))
        return [*found, self.dense(x.flatten(1))]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        said = self.head(last)
        if self.mapping is None or labels is None:
            return Verdict(said.squeeze(1))
        known = self.mapping(None, labels, remember=False)
        return Verdict((said * known).sum(1) / math.sqrt(said.shape[1]))


class _Halving(nn.Module):
    """A 3x3 convolution and a halving one, leaky ReLU, beside a halving 1x1 one."""

    def __init__(self, inputs: int, outputs: int, residual: bool) -> None:
        super().__init__()
        self.same = EqualConv(inputs, inputs, active=True)
        self.down = EqualConv(inputs, outputs, resample="down", active=True)
        self.short = EqualConv(inputs, outputs, 1, bias=False, resample="down") if residual else None

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.down(self.same(x))
        return h if self.short is None else (h + self.short(x)) * math.sqrt(0.5)
