"""Progressive GAN's players (Karras et al. 2018, "Progressive Growing of GANs", table 2).

Equalised layers, features of a pixel normalised to length sqrt(c) in G, the standard deviation of groups of images in
D, and both as deep as their level. A doubling and its convolution are computed as one transposed convolution (see
`layers`).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, one_hot

from sparring.networks.equalised import HE, EqualConv, EqualLinear, normalised, softened
from sparring.networks.growing import Growing, blended, halved, painted
from sparring.networks.layers import DiscriminatorBase, Verdict, fold_down, fold_up, pyramid, widths_of
from sparring.networks.modifiers import MinibatchDeviation

__all__ = ["Discriminator", "Generator", "UpEqualConv", "leaky"]


class Generator(Growing):
    """z `[n, z_dim]`, labels `[n]` -> images `[n, c, h, w]`, about in [-1, 1] but not bounded.

    `width` is the number of channels next to the full image, doubling towards the base, at most `most`. z, with a
    one-hot label behind it, is brought to unit length times sqrt(dimensions). In training images have the size of the
    level (see `growing`).
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
    ) -> None:
        sizes = pyramid(shape)
        super().__init__(sizes.doublings)
        self.classes, self.z_dim, self.z_kind, self.base = classes, z_dim, z_kind, sizes.base
        widths = widths_of(width, most, sizes.doublings)[::-1]
        # The authors' gain: their first layer once was a convolution of a 4x4 kernel. So was its bias one's.
        self.entry = EqualLinear(z_dim + classes, widths[0] * math.prod(sizes.base), gain=HE / 4, bias=False)
        self.bias = nn.Parameter(torch.zeros(widths[0]))
        self.first = EqualConv(widths[0], widths[0], gain=HE)
        self.blocks = nn.ModuleList([_Doubling(a, b) for a, b in pairwise(widths)])
        self.paints = nn.ModuleList([EqualConv(w, shape[0], 1) for w in widths])

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.classes:
            assert labels is not None
            z = torch.cat([z, one_hot(labels, self.classes).to(z.dtype)], 1)
        x = self.entry(normalised(z)).unflatten(1, (-1, *self.base)) + self.bias[:, None, None]
        before = x = normalised(leaky(self.first(normalised(leaky(x)))))
        for block in self.blocks[: self.top]:
            before, x = x, block(x)
        return painted(self, self.paints, before, x)


class _Doubling(nn.Module):
    """Nearest x2 upsampling and two 3x3 convolutions, leaky ReLU and pixel normalisation after each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.up = UpEqualConv(inputs, outputs)
        self.same = EqualConv(outputs, outputs, gain=HE)

    def forward(self, x: Tensor) -> Tensor:
        x = normalised(leaky(self.up(x)))
        return normalised(leaky(self.same(x)))


class UpEqualConv(nn.Module):
    """Nearest x2 upsampling, then an equalised 3x3 convolution: `[n, in, h, w]` -> `[n, out, 2h, 2w]`."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        self.scale = HE / math.sqrt(9 * inputs)

    def forward(self, x: Tensor) -> Tensor:
        return conv_transpose2d(x, fold_up(self.weight * self.scale), self.bias, stride=2, padding=1)


class Discriminator(Growing, DiscriminatorBase):
    """Images `[n, c, h, w]` of the full size or of the level's, labels `[n]` -> Verdict with logits `[n]`.

    A 1x1 convolution, a block for every halving, the standard deviation over groups of `group` images as one more
    channel, a 3x3 convolution, two dense layers. With classes there is a logit for each, of which the label's is taken.
    `blur` is StyleGAN's: halvings are convolutions that are filtered before, rather than means of what is there.
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
        blur: bool = False,
    ) -> None:
        sizes = pyramid(shape)
        super().__init__(sizes.doublings)
        self.base, self.deviation = sizes.base, MinibatchDeviation(group)
        widths = widths_of(width, most, sizes.doublings)[::-1]
        self.entries = nn.ModuleList([EqualConv(shape[0], w, 1, gain=HE) for w in widths])
        self.blocks = nn.ModuleList([_Halving(b, a, blur) for a, b in pairwise(widths)])
        last = min(2 * widths[0], most)
        self.last = EqualConv(widths[0] + 1, widths[0], gain=HE)
        self.dense = EqualLinear(widths[0] * math.prod(sizes.base), last, gain=HE)
        self.head = EqualLinear(last, max(classes, 1))

    def features(self, x: Tensor, labels: Tensor | None = None) -> list[Tensor]:
        """The output of every block in use, `[n, c, h, w]`, and of the first dense layer, `[n, c]`."""
        size, found = self.base[0] * 2**self.top, []
        image = halved(x, (x.shape[2] // size).bit_length() - 1)
        x = leaky(self.entries[self.top](image))
        for level in range(self.top, 0, -1):
            x = self.blocks[level - 1](x)
            if level == self.top and self.fade is not None:
                x = blended(leaky(self.entries[level - 1](halved(image, 1))), x, self.fade)
            found.append(x)
        deviation = self.deviation(x.flatten(1))[:, :, None, None].expand(-1, 1, *x.shape[2:])
        x = leaky(self.last(torch.cat([x, deviation], 1)))
        return [*found, leaky(self.dense(x.flatten(1)))]

    def judge(self, last: Tensor, labels: Tensor | None = None) -> Verdict:
        """Logits of the last inner layer."""
        said = self.head(last)
        return Verdict(said.squeeze(1) if labels is None else said.gather(1, labels[:, None]).squeeze(1))


class _Halving(nn.Module):
    """Two 3x3 convolutions, leaky ReLU after each, and a mean over 2x2 pixels; with `blur` within the second one."""

    def __init__(self, inputs: int, outputs: int, blur: bool) -> None:
        super().__init__()
        self.same = EqualConv(inputs, inputs, gain=HE)
        self.down = EqualConv(inputs, outputs, gain=HE)
        self.blur = blur

    def forward(self, x: Tensor) -> Tensor:
        x = leaky(self.same(x))
        if not self.blur:
            return halved(leaky(self.down(x)), 1)
        kernel = fold_down(self.down.weight * self.down.scale)
        return leaky(conv2d(softened(x), kernel, self.down.bias, stride=2, padding=1))


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU 0.2."""
    return leaky_relu(x, 0.2)
