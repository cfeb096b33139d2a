"""VQGAN's codec: images as maps of codes, some halvings smaller, and back (Esser et al. 2021, section 3.1).

Layers are those of the authors' code, which are the U-Net's of Ho et al. 2020 without its skips and its clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention, silu

from sparring.errors import UsageError
from sparring.networks.layers import Translator, UpConv, require_count, require_multiple
from sparring.networks.quantiser import Quantiser

__all__ = ["Codec"]

_GROUPS = 32


class Codec(Translator):
    """Images `[n, c, h, w]` -> the same images as far as codes can say them, nominally in [-1, 1], without squashing.

    `width` times each of `multipliers` are the channels at each size, from the image's down; every size has `blocks`
    residual blocks (the decoder one more), all but the last are halved. Places attend to each other in the middle, and
    after each block of the sizes in `attention`: True is the smallest one, False none, or their numbers, 0 that of the
    image. A place is one of `codes` vectors of `dim` numbers, made of `latent` channels (as many as `dim` where None).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        width: int = 128,
        multipliers: Sequence[int] = (1, 1, 2, 2, 4),
        blocks: int = 2,
        attention: bool | Sequence[int] = True,
        codes: int = 1024,
        dim: int = 256,
        latent: int | None = None,
        quantiser: Literal["gradient", "average"] = "gradient",
    ) -> None:
        super().__init__()
        last = len(multipliers) - 1
        if isinstance(attention, bool):
            attention = (last,) if attention else ()
        if not all(0 <= level <= last for level in attention):
            raise UsageError(f"attention at sizes {list(attention)} cannot be; give numbers from 0 to {last}")
        require_count(blocks, "blocks", least=1)
        self.given = self.channels = shape[0]
        self.multiple = 2**last
        self.check(*shape[1:])
        widths = [width * factor for factor in multipliers]
        self.least = 2 if min(widths[-2:]) <= _GROUPS else 1  # norms of single channels have nothing in single places
        latent = latent or dim
        self.encoder = _Encoder(shape[0], latent, width, widths, blocks, attention)
        self.before = nn.Conv2d(latent, dim, 1)
        self.quantiser = Quantiser(codes, dim, how=quantiser)
        self.after = nn.Conv2d(dim, latent, 1)
        self.decoder = _Decoder(shape[0], latent, widths, blocks + 1, attention)

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return self.quantiser.codes

    @property
    def last_layer(self) -> Tensor:
        """The weight that makes pixels, at which losses are weighed against each other (Esser et al. 2021, eq. 7)."""
        weight: Tensor = self.decoder.head.weight
        return weight

    def check(self, height: int, width: int) -> None:
        """Raise ShapeError, with the nearest sizes, for images whose sides do not halve so often."""
        require_multiple(height, width, self.multiple, why=", the side that a code stands for,")

    def encode(self, x: Tensor) -> Tensor:
        """Maps `[n, dim, h / multiple, w / multiple]` of images, not quantised yet."""
        self.check(*x.shape[2:])
        maps: Tensor = self.before(self.encoder(x))
        return maps

    def decode(self, maps: Tensor) -> Tensor:
        """Images of quantised maps."""
        images: Tensor = self.decoder(self.after(maps))
        return images

    def codes_of(self, x: Tensor) -> Tensor:
        """Indices of codes, int64 `[n, h / multiple, w / multiple]`, of images; nothing is learnt."""
        return self.quantiser.nearest(self.encode(x))

    def image_of(self, indices: Tensor) -> Tensor:
        """Images of indices of codes."""
        return self.decode(self.quantiser.lookup(indices))

    def forward(self, x: Tensor) -> Tensor:
        """The images as codes say them; in training mode the quantiser's averages move."""
        return self.decode(self.quantiser(self.encode(x)).maps)


class _Encoder(nn.Module):
    """Images -> maps `[n, latent, h / multiple, w / multiple]`."""

    def __init__(
        self, channels: int, latent: int, width: int, widths: list[int], blocks: int, attention: Sequence[int]
    ) -> None:
        super().__init__()
        self.entry = nn.Conv2d(channels, width, 3, padding=1)
        self.levels = nn.ModuleList()
        for level, (inputs, outputs) in enumerate(pairwise([width, *widths])):
            resize = _Down(outputs) if level < len(widths) - 1 else None
            self.levels.append(_Level(inputs, outputs, blocks, attends=level in attention, resize=resize))
        self.middle = _middle(widths[-1])
        self.norm = _norm(widths[-1])
        self.head = nn.Conv2d(widths[-1], latent, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        for level in self.levels:
            x = level(x)
        maps: Tensor = self.head(silu(self.norm(self.middle(x))))
        return maps


class _Decoder(nn.Module):
    """Maps `[n, latent, h, w]` -> images; its levels are counted as the encoder's are, and run backwards."""

    def __init__(self, channels: int, latent: int, widths: list[int], blocks: int, attention: Sequence[int]) -> None:
        super().__init__()
        self.entry = nn.Conv2d(latent, widths[-1], 3, padding=1)
        self.middle = _middle(widths[-1])
        self.levels = nn.ModuleList()
        for level, (outputs, inputs) in enumerate(pairwise([*widths, widths[-1]])):
            resize = UpConv(outputs, outputs) if level else None
            self.levels.append(_Level(inputs, outputs, blocks, attends=level in attention, resize=resize))
        self.norm = _norm(widths[0])
        self.head = nn.Conv2d(widths[0], channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.middle(self.entry(maps))
        for level in reversed(self.levels):
            x = level(x)
        images: Tensor = self.head(silu(self.norm(x)))
        return images


class _Level(nn.Module):
    """The blocks of one size, each with attention behind it or none, then the way to the next size."""

    def __init__(self, inputs: int, outputs: int, blocks: int, *, attends: bool, resize: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_Block(outputs if place else inputs, outputs) for place in range(blocks)])
        self.attentions = nn.ModuleList([_Attention(outputs) if attends else nn.Identity() for _ in range(blocks)])
        self.resize = nn.Identity() if resize is None else resize

    def forward(self, x: Tensor) -> Tensor:
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            x = attention(block(x))
        resized: Tensor = self.resize(x)
        return resized


class _Block(nn.Module):
    """x + 3x3(swish(norm(3x3(swish(norm(x)))))), with a 1x1 convolution on the way past where the width changes."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([_norm(inputs), _norm(outputs)])
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        before, between = self.norms
        h = self.second(silu(between(self.first(silu(before(x))))))
        return torch.add(self.short(x), h)


class _Attention(nn.Module):
    """Every place looks at every other, one head, beside x itself (Vaswani et al. 2017, eq. 1; Ho et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.query, self.key, self.value, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        query, key, value = (
            layer(h).flatten(2).transpose(1, 2)[:, None] for layer in (self.query, self.key, self.value)
        )
        found = scaled_dot_product_attention(query, key, value)[:, 0].transpose(1, 2)
        return torch.add(x, self.out(found.unflatten(2, x.shape[2:])))


class _Down(nn.Module):
    """Half the size: a 3x3 convolution of stride 2, zeros on the right and below only, as the authors have it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.layer(pad(x, (0, 1, 0, 1)))
        return halved


def _middle(channels: int) -> nn.Sequential:
    return nn.Sequential(_Block(channels, channels), _Attention(channels), _Block(channels, channels))


def _norm(channels: int) -> nn.GroupNorm:
    """Group norm of 32 groups, or as many as divide the channels."""
    groups = next(groups for groups in range(_GROUPS, 0, -1) if channels % groups == 0)
    return nn.GroupNorm(groups, channels, eps=1e-6)
