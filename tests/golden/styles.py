"""The style-based networks whose answers are golden, at toy widths, with the weights of `filling`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from golden.filling import fill
from sparring.networks import stylegan2

CLASSES, WIDTH, MOST, Z, W, LAYERS = 5, 4, 16, 10, 12, 3

CASES = [
    (player, architecture, size, classes)
    for player in ("generator", "discriminator")
    for architecture in ("skip", "residual", "plain")
    for size, classes in ((16, 0), (32, CLASSES))
]


def member(player: str, architecture: str, size: int, classes: int) -> nn.Module:
    """One of them in float64, filled; G's noise without strength in training, where it is drawn anew."""
    shape, common = (3, size, size), {"width": WIDTH, "most": MOST, "mapping_layers": LAYERS}
    if player == "discriminator":
        network: nn.Module = stylegan2.Discriminator(shape, classes, architecture=architecture, **common)  # type: ignore[arg-type]
    else:
        network = stylegan2.Generator(
            shape,
            classes,
            z_dim=Z,
            w_dim=W,
            mixing=0.0,
            architecture=architecture,
            **common,  # type: ignore[arg-type]
        )
    network = network.double()
    fill(network)
    return network


def quiet(network: nn.Module) -> None:
    """No noise: that of training is drawn anew by either side."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("strength"):
                parameter.zero_()


def inputs(player: str, size: int) -> tuple[Tensor, Tensor]:
    """Four fixed inputs and their labels."""
    shape = (Z,) if player == "generator" else (3, size, size)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(11), dtype=torch.double)
    return x, torch.arange(4) % CLASSES
