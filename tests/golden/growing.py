"""The growing networks whose answers are golden, at toy widths, with the weights of `filling`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from golden.filling import fill
from sparring.networks import progan, stylegan

CLASSES, WIDTH, MOST, Z, LAYERS = 5, 4, 8, 10, 3

CASES = [
    (player, size, classes, level)
    for player in ("progan-generator", "progan-discriminator", "stylegan-generator")
    for size, classes, level in ((16, 0, 2.0), (16, 0, 1.75), (32, CLASSES, 3.0), (32, CLASSES, 1.75))
]


def member(player: str, size: int, classes: int, level: float) -> nn.Module:
    """One of them in float64, filled, at a level; noise without strength, because either side draws its own."""
    shape = (3, size, size)
    if player == "progan-discriminator":
        network: nn.Module = progan.Discriminator(shape, classes, width=WIDTH, most=MOST)
    elif player == "progan-generator":
        network = progan.Generator(shape, classes, width=WIDTH, most=MOST, z_dim=Z)
    else:
        network = stylegan.Generator(shape, classes, width=WIDTH, most=MOST, z_dim=Z, mapping_layers=LAYERS, mixing=0.0)
    network = network.double()
    fill(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("strength"):
                parameter.zero_()
    network.grow(level)  # type: ignore[operator]
    return network


def inputs(player: str, size: int, level: float) -> tuple[Tensor, Tensor]:
    """Four fixed inputs and their labels; images of the level's size."""
    side = 4 * 2 ** int(-(-level // 1))
    shape = (Z,) if player.endswith("generator") else (3, side, side)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(11), dtype=torch.double)
    return x, torch.arange(4) % CLASSES
