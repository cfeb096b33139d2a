"""The networks from images to images whose answers are golden, at toy widths, with the weights of `filling`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from golden.filling import fill
from sparring.networks.johnson import ResNetTranslator
from sparring.networks.patchgan import PatchDiscriminator
from sparring.networks.rrdb import RRDBNet
from sparring.networks.unet import UNet

GIVEN = 3
SIZES = {
    "unet": ((64, 64), (64, 128)),
    "resnet": ((16, 16), (12, 24)),
    "patch": ((24, 24), (32, 40)),
    "rrdb": ((8, 8), (5, 11)),
}
CASES = [
    (kind, norm, size)
    for kind, norms in (
        ("unet", ("batch", "instance")),
        ("resnet", ("batch", "instance")),
        ("patch", ("batch", "instance")),
        ("rrdb", ("",)),
    )
    for norm in norms
    for size in SIZES[kind]
]


def member(kind: str, norm: str) -> nn.Module:
    """One of them in float64, filled. The same at every size; without dropout, because either side draws its own."""
    settings: dict[str, Any] = {"norm": norm} if norm else {}
    shape = (GIVEN, *SIZES[kind][0])
    if kind == "unet":
        network: nn.Module = UNet(shape, channels=2, width=2, dropout=0.0, doublings=6, **settings)
    elif kind == "resnet":
        network = ResNetTranslator(shape, channels=1, width=4, blocks=2, **settings)
    elif kind == "patch":
        network = PatchDiscriminator(shape, width=4, **settings)
    else:
        network = RRDBNet(shape, width=6, blocks=2, growth=4)
    network = network.double()
    fill(network)
    return network


def inputs(size: tuple[int, int]) -> Tensor:
    """Two fixed images."""
    return torch.randn(2, GIVEN, *size, generator=torch.Generator().manual_seed(11), dtype=torch.double).tanh()
