"""Residual blocks, conditional batch norm and self-attention: the bricks of SNGAN's ResNets, SAGAN and BigGAN.

A block's resampling is folded into its convolutions: nearest doubling or mean pooling beside a 3x3 one is one strided
convolution (see `layers`), and a 1x1 one on the way past changes places with it. The functions and gradients are those
of the papers' blocks, with three tenths fewer multiply-adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, relu

from sparring.networks.layers import ConvDown, DiscriminatorBase, UpConv, Verdict

__all__ = ["BlockDown", "BlockUp", "ConditionalNorm", "SelfAttention", "SummedJudge"]


class ConditionalNorm(nn.Module):
    """Batch norm whose scale and shift are tables over classes (Dumoulin et al. 2017; Miyato & Koyama 2018)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.shift = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.shift.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        told: Tensor = self.norm(x) * self.scale(labels)[:, :, None, None] + self.shift(labels)[:, :, None, None]
        return told


class BlockUp(nn.Module):
    """A generator's block: norm, ReLU, doubling, 3x3, norm, ReLU, 3x3, beside doubling and 1x1 (Miyato et al. 2018).

    `[n, in, h, w]` -> `[n, out, 2h, 2w]`. The norms are `norm(channels)`; what they are told beside x is passed on.
    """

    def __init__(self, inputs: int, outputs: int, *, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.norms = nn.ModuleList([first, second])
        self.up = UpConv(inputs, outputs)
        self.same = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, *told: Tensor) -> Tensor:
        first, second = self.norms
        h = self.up(relu(first(x, *told)))
        h = relu(second(h, *told))
        h, past = self.same(h), interpolate(self.short(x), scale_factor=2)
        return torch.add(h, past)


class BlockDown(nn.Module):
    """A discriminator's block: ReLU, 3x3, ReLU, 3x3, mean pooling, beside 1x1 and mean pooling (Miyato et al. 2018).

    `[n, in, h, w]` -> `[n, out, h/2, w/2]`, or h, w without `down`. The first block of a network has no ReLU in front.
    The middle has `hidden` channels: as many as come in (SNGAN), or go out (SAGAN, BigGAN).
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: int, down: bool = True, first: bool = False) -> None:
        super().__init__()
        self.first, self.down = first, down
        self.same = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.last = ConvDown(hidden, outputs) if down else nn.Conv2d(hidden, outputs, 3, padding=1)
        self.short = nn.Conv2d(inputs, outputs, 1) if down or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.last(relu(self.same(x if self.first else relu(x))))
        return torch.add(h, self.short(avg_pool2d(x, 2) if self.down else x))


class SelfAttention(nn.Module):
    """Every place looks at every other, halved in size: x + gamma o(attention) (Zhang et al. 2019, as they coded it).

    gamma starts at 0. Queries and keys have an eighth of the channels, values half.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(channels // 8, 1), max(channels // 2, 1)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).flatten(2)
        key, value = (max_pool2d(layer(x), 2).flatten(2) for layer in (self.key, self.value))
        weight = (query.transpose(1, 2) @ key).softmax(-1)
        found = (value @ weight.transpose(1, 2)).unflatten(2, x.shape[2:])
        return torch.addcmul(x, self.gamma, self.out(found))


class SummedJudge(DiscriminatorBase):
    """Blocks, ReLU, a sum over places, a dense layer: images `[n, c, h, w]` -> Verdict with logits `[n]`."""

    def __init__(self, blocks: Sequence[nn.Module], width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(width, 1)

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The output of every block, `[n, c, h, w]`, and what is left of the last: its ReLU, summed over places."""
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return [*found, relu(x).sum((2, 3))]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        return Verdict(self.head(last).squeeze(1))
