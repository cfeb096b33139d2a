"""The conditional networks whose answers are golden, at toy widths, with the weights of `filling`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from golden.filling import fill
from sparring.networks import biggan, resnet
from sparring.networks.conditioning import project_labels, tell_classes
from sparring.networks.modifiers import spectral_norm

CLASSES, WIDTH = 5, 8


def projection_discriminator(size: int) -> nn.Module:
    """Miyato & Koyama's D."""
    shape = (3, size, size)
    return spectral_norm(project_labels(resnet.Discriminator(shape, width=WIDTH), shape, CLASSES), shape)


def resnet_generator(size: int) -> nn.Module:
    """Their G, with conditional batch norm."""
    return resnet.Generator((3, size, size), CLASSES, width=WIDTH, z_dim=12)


def auxiliary_discriminator(size: int) -> nn.Module:
    """A residual D that tells classes; the reference has no bias there."""
    shape = (3, size, size)
    network = tell_classes(resnet.Discriminator(shape, width=WIDTH, wide=True), shape, CLASSES)
    network.classes.bias = None
    return spectral_norm(network, shape)


def biggan_generator(size: int) -> nn.Module:
    """BigGAN's G with hierarchical z, a shared embedding and self-attention."""
    slots, attention = (4, 16) if size == 32 else (5, 32)
    return biggan.Generator((3, size, size), CLASSES, width=WIDTH, z_dim=6 * slots, shared=7, attention=attention)


def biggan_discriminator(size: int) -> nn.Module:
    """BigGAN's D; at 64 px with self-attention."""
    shape = (3, size, size)
    network = biggan.Discriminator(shape, width=WIDTH, attention=0 if size == 32 else 32)
    return spectral_norm(project_labels(network, shape, CLASSES), shape)


MEMBERS: dict[str, tuple[Callable[[int], nn.Module], tuple[int, int]]] = {
    "projection_discriminator": (projection_discriminator, (32, 128)),
    "resnet_generator": (resnet_generator, (32, 64)),
    "auxiliary_discriminator": (auxiliary_discriminator, (32, 64)),
    "biggan_generator": (biggan_generator, (32, 64)),
    "biggan_discriminator": (biggan_discriminator, (32, 64)),
}


def member(name: str, size: int) -> nn.Module:
    """One of them in float64, filled."""
    network = MEMBERS[name][0](size).double()
    fill(network)
    return network


def inputs(name: str, size: int) -> tuple[Tensor, Tensor]:
    """Four fixed inputs and their labels."""
    z_dim = {"resnet_generator": 12, "biggan_generator": 6 * (4 if size == 32 else 5)}
    shape = (z_dim[name],) if name in z_dim else (3, size, size)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(11), dtype=torch.double)
    return x, torch.arange(4) % CLASSES
