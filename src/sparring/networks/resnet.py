"""The residual players of SNGAN and of projection GANs (Miyato et al. 2018, tables 4 and 5; Miyato & Koyama 2018).

With classes, G's batch norm is conditional. Spectral norm and labels are put on D by modifiers.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from sparring.networks.layers import ConvDown, UpConv, pyramid, widths_of
from sparring.networks.residual import BlockDown, BlockUp, ConditionalNorm, SummedJudge

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]` in [-1, 1].

    A dense layer, a block for every doubling, batch norm, ReLU and a 3x3 convolution. From 48 px on `width` is the
    number of channels next to the image, doubling towards the base, at most 16 x width (64 is the paper's); smaller
    images have 4 x width everywhere.
    """

    takes_labels = True

    def __init__(
        self,
        shape: tuple[int, int, int],
        classes: int = 0,
        *,
        width: int = 64,
        z_dim: int = 128,
        z_kind: str = "normal",
    ) -> None:
        super().__init__()
        sizes = pyramid(shape)
        self.base, self.classes, self.z_dim, self.z_kind = sizes.base, classes, z_dim, z_kind
        same = [4 * width] * (sizes.doublings + 1)
        widths = widths_of(width, 16 * width, sizes.doublings)[::-1] if _is_large(shape) else same
        self.entry = nn.Linear(z_dim, widths[0] * math.prod(sizes.base))
        self.blocks = nn.ModuleList(
            [
                BlockUp(inputs, outputs, first=_norm(inputs, classes), second=_norm(outputs, classes))
                for inputs, outputs in pairwise(widths)
            ]
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Conv2d(widths[-1], shape[0], 3, padding=1)
        _initialise(self)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.entry(z).unflatten(1, (-1, *self.base))
        told = () if labels is None else (labels,)
        for block in self.blocks:
            x = block(x, *told)
        images: Tensor = self.head(relu(self.norm(x)))
        return images.tanh()


class Discriminator(SummedJudge):
    """Images `[n, c, h, w]` -> Verdict with logits `[n]`: residual blocks, ReLU, a sum over places, a dense layer.

    From 48 px on a block for every halving and one more, `width` channels next to the image, doubling, at most
    16 x width; smaller images have four blocks of 2 x width, of which the first two halve. `wide` blocks have as many
    channels in their middle as go out, others as come in. At 48 px the paper (table 5) halves once more, to 3 px.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int = 0, *, width: int = 64, wide: bool = False) -> None:
        doublings = pyramid(shape).doublings
        large = _is_large(shape)
        widths = widths_of(width, 16 * width, doublings) if large else [2 * width] * 4
        halvings = doublings if large else min(doublings, 2)
        blocks = [
            BlockDown(
                inputs, outputs, hidden=outputs if wide or not place else inputs, down=place < halvings, first=not place
            )
            for place, (inputs, outputs) in enumerate(pairwise([shape[0], *widths]))
        ]
        super().__init__(blocks, widths[-1])
        _initialise(self)


def _is_large(shape: tuple[int, int, int]) -> bool:
    return min(shape[1:]) >= 48


def _norm(channels: int, classes: int) -> nn.Module:
    return ConditionalNorm(channels, classes) if classes else nn.BatchNorm2d(channels)


def _initialise(network: nn.Module) -> None:
    """Glorot's uniform weights, in a block's 3x3 convolutions times sqrt(2); biases 0, as in the authors' code."""
    inside = {m for b in network.modules() if isinstance(b, BlockUp | BlockDown) for m in b.children()}
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | UpConv | ConvDown):
            spatial = module in inside and module.weight.dim() == 4 and module.weight.shape[2] == 3
            nn.init.xavier_uniform_(module.weight, math.sqrt(2) if spatial else 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
