"""A prior over the codes of images: a small GPT in raster order (Esser et al. 2021, section 3.2; Radford et al. 2019).

It owns the codec whose codes it speaks, so that it is a generator like any other: z -> images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from sparring.errors import UsageError
from sparring.networks.layers import require_count

__all__ = ["CodePrior"]

Past = tuple[Tensor, Tensor]
"""Keys and values of a block so far, `[n, heads, places, width / heads]` each."""


class CodePrior(nn.Module):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]` in [-1, 1]: codes one after the other, then the codec.

    There is a number of z for each place, from U(-1, 1), which decides its code: an image is a function of its z. The
    first place is told the label, if there are `classes`, every other one the codes before it. `codec(shape)` makes a
    `vqgan.Codec`, or what has its `multiple`, `codes`, `codes_of` and `image_of`; it stays as it is, in evaluation
    mode. `temperature` and `top_k` are what `sharpen` takes, and may be changed at any time.
    """

    takes_labels = True
    z_kind = "uniform"

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        codec: Callable[..., Any],
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        dropout: float = 0.0,
        temperature: float = 1.0,
        top_k: int | None = None,
    ) -> None:
        super().__init__()
        require_count(layers, "layers", least=1)
        if width % heads:
            raise UsageError(f"a width of {width} does not split into {heads} heads; use a multiple of {heads}")
        self.codec = codec(shape).requires_grad_(False).eval()
        self.grid = (shape[1] // self.codec.multiple, shape[2] // self.codec.multiple)
        self.classes, self.codes, self.z_dim = classes, int(self.codec.codes), math.prod(self.grid)
        self.start = nn.Embedding(max(classes, 1), width)
        self.embedding = nn.Embedding(self.codes, width)
        self.places = nn.Parameter(torch.zeros(self.z_dim, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([_Block(width, heads, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, self.codes, bias=False)
        for part in (self.start, self.embedding, self.blocks, self.head):
            _initialise(part)
        self.sharpen(temperature, top_k)

    def sharpen(self, temperature: float = 1.0, top_k: int | None = None) -> None:
        """Draw from logits over `temperature`, of the `top_k` likeliest codes only; None is all.

        Raises UsageError for what cannot be.
        """
        if not 0 < temperature < math.inf:
            raise UsageError(f"a temperature of {temperature} cannot be; give a number above 0, such as 0.9")
        if top_k is not None and not 1 <= top_k <= self.codes:
            raise UsageError(f"the likeliest {top_k} of {self.codes} codes cannot be; give 1 to {self.codes}, or none")
        self.temperature, self.top_k = temperature, top_k

    def train(self, mode: bool = True) -> CodePrior:
        super().train(mode)
        self.codec.eval()
        return self

    @torch.no_grad()
    def tokens(self, images: Tensor) -> Tensor:
        """The codes of images, int64 `[n, z_dim]`, row by row."""
        indices: Tensor = self.codec.codes_of(images)
        return indices.flatten(1)

    def logits(self, indices: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits of the code at each place, `[n, z_dim, codes]`, given those before it: `indices`, as of `tokens`."""
        start = self._start(indices.shape[0], labels)
        x = torch.cat([start, self.embedding(indices.flatten(1)[:, :-1])], 1)
        x = self.dropout(x + self.places)
        for block in self.blocks:
            x, _ = block(x)
        said: Tensor = self.head(self.norm(x))
        return said

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.codec.image_of(self.sample(z, labels).unflatten(1, self.grid))
        return images.clamp(-1, 1)

    def sample(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The codes that z `[n, z_dim]` decides, int64 `[n, z_dim]`: the first that is likelier than z, all in all.

        That is the inverse of the distribution function at (z + 1) / 2. Each place is one pass over one place, since
        keys and values of those before it are kept.
        """
        x, found = self._start(z.shape[0], labels), []
        past: list[Past | None] = [None] * len(self.blocks)
        for place in range(self.z_dim):
            x = self.dropout(x + self.places[place])
            for level, block in enumerate(self.blocks):
                x, past[level] = block(x, past[level])
            indices = self._inverse(self.head(self.norm(x[:, 0])), (z[:, place : place + 1] + 1) / 2)
            found.append(indices)
            x = self.embedding(indices)[:, None]
        return torch.stack(found, 1)

    def _start(self, n: int, labels: Tensor | None) -> Tensor:
        """What stands before the first code, `[n, 1, width]`; `n` may be a symbol, where the network is traced."""
        if not self.classes:
            return self.start.weight.expand(n, -1)[:, None]
        if labels is None:
            raise UsageError(f"this prior was made for {self.classes} classes; give a label for each image")
        told: Tensor = self.start(labels)
        return told[:, None]

    def _inverse(self, logits: Tensor, level: Tensor) -> Tensor:
        """The first codes `[n]` whose cumulative probability exceeds a level `[n, 1]` in [0, 1]; logits `[n, codes]`.

        Where rounding, or a level of 1, leaves none, it is the last that has any probability.
        """
        logits = logits.to(torch.promote_types(logits.dtype, level.dtype)) / self.temperature
        if self.top_k is not None:
            least = logits.topk(self.top_k).values[:, -1:]
            logits = logits.masked_fill(logits < least, -math.inf)
        below = logits.softmax(1).cumsum(1)
        return ((below <= level) & (below < below[:, -1:])).sum(1)


class _Block(nn.Module):
    """x + attention(norm(x)), then x + dense(GELU(dense(norm(x)))), four times as wide inside."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """Places `[n, places, width]` and what they attended to; with a past, one place that comes after it."""
        query, key, value = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.attention(self.norms[0](x)).chunk(3, 2)
        )
        if past is not None:
            key, value = (torch.cat(pair, 2) for pair in zip(past, (key, value), strict=True))
        rate = self.dropout.p if self.dropout.training else 0.0
        found = scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=past is None)
        x = x + self.dropout(self.out(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.dense(self.norms[1](x))), (key, value)


def _initialise(network: nn.Module) -> None:
    """Weights N(0, 0.02), biases 0 (Radford et al. 2019)."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
