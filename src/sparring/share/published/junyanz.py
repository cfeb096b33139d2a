"""Generators of junyanz/pytorch-CycleGAN-and-pix2pix: which of the two a file holds, and its weights by our names.

A residual network (CycleGAN's) has one list of layers, of which those that hold weights are

    theirs                        ours                    with b blocks
    model.1, model.2              entry.conv, .norm
    model.4, model.5              downs.0.conv, .norm
    model.7, model.8              downs.1.conv, .norm
    model.(10 + i).conv_block.1   blocks.i.first.conv     i from 0 to b - 1; .2 is the norm
    model.(10 + i).conv_block.5   blocks.i.second.conv    .6 is the norm; trained with dropout, .6 and .7
    model.(10 + b), (11 + b)      ups.0.conv, .norm
    model.(13 + b), (14 + b)      ups.1.conv, .norm
    model.(17 + b)                exit

A U-Net (pix2pix's) is nested: level 0, the outermost, is `model.model`, level 1 is `model.model.1.model`, and every
further level adds `.3.model`. Within level k of those,

    theirs at level   0    between   innermost    ours
                      0    1         1            downs.k.conv
                           2                      downs.k.norm
                      3    5         3            ups.k.conv
                           6         4            ups.k.norm

Norms with weights are batch norm, and those without are instance norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.networks.johnson import ResNetTranslator
from sparring.networks.unet import UNet
from sparring.share.published.renaming import kernel, renamed

__all__ = ["translator"]


def translator(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights of a published generator, see the tables above.

    Dropout is not in the weights: the U-Net's settings leave it at the paper's half. Raises FileUnusableError if the
    file holds neither of the two.
    """
    if "model.model.0.weight" in tensors:
        return _unet(tensors)
    if "model.1.weight" in tensors:
        return _resnet(tensors)
    raise FileUnusableError(
        "these are not the weights of a generator of CycleGAN or pix2pix, which begin with model.1.weight or "
        "model.model.0.weight; give a file like latest_net_G.pth"
    )


def _resnet(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    width, given = kernel(tensors, "model.1.weight").shape[:2]
    blocks = 0
    while f"model.{10 + blocks}.conv_block.1.weight" in tensors:
        blocks += 1
    settings: dict[str, Any] = {
        "channels": kernel(tensors, f"model.{17 + blocks}.weight").shape[0],
        "width": width,
        "blocks": blocks,
        "norm": _norm(tensors),
    }
    sixth = tensors.get("model.10.conv_block.6.weight")
    second = 6 if sixth is not None and sixth.dim() == 4 else 5
    layers = {"exit": f"model.{17 + blocks}"}
    pairs = {"entry": 1, "downs.0": 4, "downs.1": 7, "ups.0": 10 + blocks, "ups.1": 13 + blocks}
    for ours, place in pairs.items():
        layers |= {f"{ours}.conv": f"model.{place}", f"{ours}.norm": f"model.{place + 1}"}
    for block in range(blocks):
        for ours, place in (("first", 1), ("second", second)):
            theirs = f"model.{10 + block}.conv_block"
            layers[f"blocks.{block}.{ours}.conv"] = f"{theirs}.{place}"
            layers[f"blocks.{block}.{ours}.norm"] = f"{theirs}.{place + 1}"
    shape = (given, 256, 256)
    weights = renamed(tensors, layers, lambda: ResNetTranslator(shape, **settings))
    return {"network": "johnson:ResNetTranslator", "shape": shape, **settings}, weights


def _unet(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    width, given = kernel(tensors, "model.model.0.weight").shape[:2]
    levels, deeper = ["model.model"], "model.model.1.model"
    while f"{deeper}.1.weight" in tensors:
        levels.append(deeper)
        deeper += ".3.model"
    settings: dict[str, Any] = {
        "channels": kernel(tensors, "model.model.3.weight").shape[1],
        "width": width,
        "norm": _norm(tensors),
        "doublings": len(levels),
    }
    layers: dict[str, str] = {}
    for level, theirs in enumerate(levels):
        down, up = (0, 3) if level == 0 else (1, 3) if level == len(levels) - 1 else (1, 5)
        layers |= {f"downs.{level}.conv": f"{theirs}.{down}", f"ups.{level}.conv": f"{theirs}.{up}"}
        if level:
            layers[f"ups.{level}.norm"] = f"{theirs}.{up + 1}"
        if 0 < level < len(levels) - 1:
            layers[f"downs.{level}.norm"] = f"{theirs}.{down + 1}"
    shape = (given, 2 ** len(levels), 2 ** len(levels))
    weights = renamed(tensors, layers, lambda: UNet(shape, **settings))
    return {"network": "unet:UNet", "shape": shape, **settings}, weights


def _norm(tensors: Mapping[str, Tensor]) -> str:
    """Whether norms have weights, which are the only ones of a single dimension."""
    scales = (name for name, tensor in tensors.items() if name.endswith(".weight") and tensor.dim() == 1)
    return "batch" if any(scales) else "instance"
