"""StyleGAN's generator (Karras et al. 2019, "A Style-Based Generator Architecture", configuration F of table 1).

A learned constant grows into an image; after every convolution noise is added, features are normalised, and a style
sets their scale and offset (AdaIN). D is ProGAN's with filtered halvings.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import instance_norm

from sparring.networks import progan
from sparring.networks.equalised import HE, EqualConv, EqualLinear, normalised, softened
from sparring.networks.growing import Growing, painted
from sparring.networks.layers import (
    StyleBased,
    noise_like,
    pyramid,
    require_count,
    require_mixing,
    two_styles,
    widths_of,
)
from sparring.networks.progan import UpEqualConv, leaky

__all__ = ["Discriminator", "Generator", "Mapping"]

_CUTOFF = 8
"""Layers that truncation reaches: the coarse ones, up to 32 pixels (appendix B)."""


class Discriminator(progan.Discriminator):
    """ProGAN's discriminator with filtered halvings (Karras et al. 2019, section 2)."""

    def __init__(
        self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 32, most: int = 512, group: int = 4
    ) -> None:
        super().__init__(shape, classes, width=width, most=most, group=group, blur=True)


class Mapping(nn.Module):
    """z `[n, z_dim]`, labels `[n]` -> w `[n, dim]`: dense layers that learn a hundredth as fast, leaky ReLU.

    z, with a learned vector of the label behind it, is brought to unit length times sqrt(dimensions). `average` is the
    running mean of w, decay 0.995, of what is to `remember`.
    """

    def __init__(self, z_dim: int, classes: int, dim: int, *, layers: int, rate: float = 0.01) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, z_dim) if classes else None
        sizes = [z_dim * (2 if classes else 1), *[dim] * layers]
        require_count(layers, "layers from z to styles", least=0 if sizes[0] == dim else 1)
        self.layers = nn.ModuleList([EqualLinear(a, b, rate=rate, gain=HE) for a, b in pairwise(sizes)])
        self.average: Tensor
        self.register_buffer("average", torch.zeros(dim))

    def forward(self, z: Tensor, labels: Tensor | None = None, *, remember: bool = True) -> Tensor:
        if self.embedding is not None:
            assert labels is not None
            z = torch.cat([z, self.embedding(labels)], 1)
        x = normalised(z)
        for layer in self.layers:
            x = leaky(layer(x))
        if self.training and remember:
            with torch.no_grad():
                self.average.lerp_(x.mean(0).to(self.average.dtype), 0.005)
        return x


class Generator(Growing, StyleBased):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]`, about in [-1, 1] but not bounded.

    `width` is the number of channels next to the full image, doubling towards the base, at most `most`. In training
    each image has, with probability `mixing`, two styles that change at a random layer in use, noise is drawn anew, and
    images have the size of the level (see `growing`); in evaluation noise is that of the buffers.
    Raises UsageError for a `mixing` that is no probability.
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
        mapping_layers: int = 8,
        mixing: float = 0.9,
    ) -> None:
        sizes = pyramid(shape)
        super().__init__(sizes.doublings)
        require_mixing(mixing)
        self.classes, self.z_dim, self.z_kind, self.mixing = classes, z_dim, z_kind, mixing
        widths = widths_of(width, most, sizes.doublings)[::-1]
        self.mapping = Mapping(z_dim, classes, z_dim, layers=mapping_layers)
        self.start = nn.Parameter(torch.ones(widths[0], *sizes.base))
        self.blocks = nn.ModuleList()
        for level, outputs in enumerate(widths):
            size = (sizes.base[0] * 2**level, sizes.base[1] * 2**level)
            self.blocks.append(_Block(widths[level - 1] if level else 0, outputs, z_dim, size))
        self.paints = nn.ModuleList([EqualConv(w, shape[0], 1) for w in widths])
        self.layers = 2 * sizes.doublings + 2

    @property
    def layers_in_use(self) -> int:
        """Layers that say something at this level."""
        return 2 * self.top + 2

    def styles(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """A style for every layer, `[n, layers, w_dim]`; in training some images have two, one after the other."""
        w: Tensor = self.mapping(z, labels)[:, None].expand(-1, self.layers, -1)
        if not self.training or not self.mixing:
            return w
        other = self.mapping(noise_like(z, self.z_kind), labels, remember=False)[:, None]
        return two_styles(w, other, self.layers_in_use, self.mixing)

    def truncated(self, styles: Tensor, psi: float) -> Tensor:
        """Styles of the coarse layers drawn towards their running mean; fine ones stay."""
        coarse, fine = styles[:, :_CUTOFF], styles[:, _CUTOFF:]
        return torch.cat([self.mapping.average.lerp(coarse, psi), fine], 1)

    def style_weights(self, layer: int) -> Tensor:
        """What a layer multiplies its style by to set scales and offsets, `[2 channels, w_dim]`."""
        block: Any = self.blocks[layer // 2]
        entry: EqualLinear = (block.second if layer % 2 else block.first).style
        return entry.weight * entry.scale

    def synthesis(self, styles: Tensor) -> Tensor:
        """Images of styles `[n, layers, w_dim]`."""
        before = x = self.start[None].expand(styles.shape[0], -1, -1, -1)
        for level, block in enumerate(self.blocks[: self.top + 1]):
            before, x = x, block(x, styles[:, 2 * level : 2 * level + 2])
        return painted(self, self.paints, before, x)


class _Block(nn.Module):
    """One size: an upsampled and filtered convolution (at the base the constant itself), and another."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.up = UpEqualConv(inputs, outputs, bias=False) if inputs else None
        self.first = _Epilogue(outputs, w_dim, size)
        self.same = EqualConv(outputs, outputs, bias=False, gain=HE)
        self.second = _Epilogue(outputs, w_dim, size)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        x = x if self.up is None else softened(self.up(x))
        x = self.first(x, styles[:, 0])
        done: Tensor = self.second(self.same(x), styles[:, 1])
        return done


class _Epilogue(nn.Module):
    """Noise, bias, leaky ReLU, instance normalisation, style: what follows every convolution (figure 1b)."""

    def __init__(self, channels: int, w_dim: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = EqualLinear(w_dim, 2 * channels)
        self.noise: Tensor
        self.register_buffer("noise", torch.randn(size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        noise = torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype) if self.training else self.noise
        x = leaky(x + noise * self.strength[:, None, None] + self.bias[:, None, None])
        # Channels that hardly vary, as those of the first constant, lose less to rounding around 0 than around 1.
        x = instance_norm(x - x[:, :, :1, :1], eps=1e-8)
        scale, offset = self.style(w)[:, :, None, None].chunk(2, 1)
        styled: Tensor = x * (scale + 1) + offset
        return styled
