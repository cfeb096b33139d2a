"""BigGAN's players (Brock et al. 2019, appendix B, the version without bottlenecks).

Labels and spectral norm are put on D by modifiers, as its projection is that of any D; G has spectral norm of its own.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.nn.utils import parametrizations

from sparring.errors import UsageError
from sparring.networks.layers import ConvDown, UpConv, pyramid, require_choice
from sparring.networks.residual import BlockDown, BlockUp, SelfAttention, SummedJudge

__all__ = ["Discriminator", "Generator", "ToldNorm"]

_UP = {4: (16, 16, 8, 4, 2), 5: (16, 16, 8, 4, 2, 1), 6: (16, 16, 8, 8, 4, 2, 1), 7: (16, 16, 8, 8, 4, 2, 1, 1)}
_DOWN = {4: (1, 2, 4, 8, 16), 5: (1, 2, 4, 8, 16, 16), 6: (1, 2, 4, 8, 8, 16, 16), 7: (1, 1, 2, 4, 8, 8, 16, 16)}
"""Widths by doublings, from 64 to 512 px (tables 4 to 6); smaller images have 4 everywhere, as in the authors' code."""

Start = Literal["orthogonal", "normal"]


class ToldNorm(nn.Module):
    """Batch norm whose scale 1 + g(y) and shift b(y) are linear in what it is told, y `[n, dim]`."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(dim, channels, bias=False)
        self.shift = nn.Linear(dim, channels, bias=False)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = (1 + self.scale(told))[:, :, None, None], self.shift(told)[:, :, None, None]
        normed: Tensor = self.norm(x) * scale + shift
        return normed


class Generator(nn.Module):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]` in [-1, 1].

    With `hierarchical` z is cut into chunks: the first enters at the base, the others tell the norms of one block each,
    beside a `shared` embedding of the label; what `z_dim` leaves over is left out. Places attend to each other where
    the feature map's height is `attention` to below twice that; 0 is nowhere. By default it is the paper's 64, for
    images below 128 pixels 32, and nowhere below 64. `width` is the paper's ch.
    """

    takes_labels = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        z_dim: int = 120,
        z_kind: str = "normal",
        shared: int = 128,
        hierarchical: bool = True,
        attention: int | None = None,
        start: Start = "orthogonal",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        widths = [width * factor for factor in _table(_UP, sizes.doublings)]
        self.chunk = z_dim // (sizes.doublings + 1) if hierarchical else z_dim
        if self.chunk < 1:
            raise UsageError(f"z of {z_dim} does not split into {sizes.doublings + 1} chunks; use a larger z_dim")
        self.base, self.classes, self.z_kind = sizes.base, classes, z_kind
        self.z_dim = self.chunk * (sizes.doublings + 1) if hierarchical else z_dim
        told = (shared if classes else 0) + (self.chunk if hierarchical else 0)
        self.shared = nn.Embedding(classes, shared) if classes else None
        self.entry = nn.Linear(self.chunk, widths[0] * math.prod(sizes.base))
        self.blocks, self.attentions = nn.ModuleList(), nn.ModuleDict()
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            self.blocks.append(BlockUp(inputs, outputs, first=_norm(inputs, told), second=_norm(outputs, told)))
            if _attends(sizes.base[0] * 2 ** (level + 1), attention, of=shape[1]):
                self.attentions[str(level)] = SelfAttention(outputs)
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Conv2d(widths[-1], shape[0], 3, padding=1)
        _initialise(self, start)
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | UpConv):
                parametrizations.spectral_norm(module)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        first, *rest = z.split(self.chunk, 1)
        shared = () if self.shared is None or labels is None else (self.shared(labels),)
        x = self.entry(first).unflatten(1, (-1, *self.base))
        for level, block in enumerate(self.blocks):
            told = (*shared, rest[level]) if rest else shared
            x = block(x, torch.cat(told, 1)) if told else block(x)
            if str(level) in self.attentions:
                x = self.attentions[str(level)](x)
        images: Tensor = self.head(relu(self.norm(x)))
        return images.tanh()


class Discriminator(SummedJudge):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`: wide residual blocks, ReLU, a sum over places, a dense layer.

    A block for every halving and one more; images below 64 px have four blocks, of which the first two halve.
    `attention` as in G.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        attention: int | None = None,
        start: Start = "orthogonal",
    ) -> None:
        doublings, height = pyramid(shape).doublings, shape[1]
        factors = _table(_DOWN, doublings) if doublings > 3 else (4, 4, 4, 4)
        halvings = doublings if doublings > 3 else min(doublings, 2)
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(pairwise([shape[0], *(width * factor for factor in factors)])):
            down = place < halvings
            block: nn.Module = BlockDown(inputs, outputs, hidden=outputs, down=down, first=not place)
            height = height // 2 if down else height
            attends = down and _attends(height, attention, of=shape[1])
            layers.append(nn.Sequential(block, SelfAttention(outputs)) if attends else block)
        super().__init__(layers, width * factors[-1])
        _initialise(self, start)


def _table(known: dict[int, tuple[int, ...]], doublings: int) -> tuple[int, ...]:
    """Width factors of a generator from the base to the image, of a discriminator from the image to the base."""
    if doublings <= 3:
        return (4,) * (doublings + 1)
    if doublings in known:
        return known[doublings]
    more = (1,) * (doublings - max(known))
    return known[7] + more if known is _UP else more + known[7]


def _attends(height: int, attention: int | None, *, of: int) -> bool:
    """Whether places of a map attend to each other, in a network `of` images so high."""
    if attention is None:  # at full size the weights of one 64 px image would be four million
        attention = 64 if of >= 128 else 32 if of >= 64 else 0
    return bool(attention) and attention <= height < 2 * attention


def _norm(channels: int, told: int) -> nn.Module:
    return ToldNorm(channels, told) if told else nn.BatchNorm2d(channels)


def _initialise(network: nn.Module, start: Start) -> None:
    """Orthogonal weights (Saxe et al. 2014), or N(0, 0.02) as for small images; biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding | UpConv | ConvDown):
            if require_choice(start, get_args(Start), "start") == "orthogonal":
                nn.init.orthogonal_(module.weight)
            else:
                nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, nn.Conv2d | nn.Linear | UpConv | ConvDown) and module.bias is not None:
            nn.init.zeros_(module.bias)
