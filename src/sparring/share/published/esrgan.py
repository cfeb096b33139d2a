"""Generators of xinntao/ESRGAN and of those after it: their weights by our names.

Three spellings are about: the authors' own, an older one of theirs in which many networks are passed on, and
BasicSR's, which is Real-ESRGAN's. With b blocks, i from 0 to b - 1, j from 1 to 3, and k from 1 to 5,

    ours                               authors'                 older                       BasicSR's
    first                              conv_first               model.0                     conv_first
    blocks.i.dense.(j-1).layers.(k-1)  RRDB_trunk.i.RDBj.convk  model.1.sub.i.RDBj.convk.0  body.i.rdbj.convk
    trunk                              trunk_conv               model.1.sub.b               conv_body
    ups.0                              upconv1                  model.3                     conv_up1
    ups.1                              upconv2                  model.6                     conv_up2
    fine                               HRconv                   model.8                     conv_hr
    last                               conv_last                model.10                    conv_last

The older spelling counts layers: every doubling less takes 3 off the last two numbers. Images are in [0, 1].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.networks.rrdb import RRDBNet
from sparring.share.published.renaming import kernel, renamed

__all__ = ["translator"]

_AUTHORS = {
    "first": "conv_first",
    "dense": "RRDB_trunk.{i}.RDB{j}.conv{k}",
    "trunk": "trunk_conv",
    "ups.0": "upconv1",
    "ups.1": "upconv2",
    "fine": "HRconv",
    "last": "conv_last",
}
_BASICSR = {
    "first": "conv_first",
    "dense": "body.{i}.rdb{j}.conv{k}",
    "trunk": "conv_body",
    "ups.0": "conv_up1",
    "ups.1": "conv_up2",
    "fine": "conv_hr",
    "last": "conv_last",
}


def translator(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights of a published generator, see the table above.

    Raises FileUnusableError if the file holds none, or one whose pixels are folded into channels before the first
    layer (Real-ESRGAN's for twice the size).
    """
    column = _column(tensors)
    blocks = 0
    while column["dense"].format(i=blocks, j=1, k=1) + ".weight" in tensors:
        blocks += 1
    width, given = kernel(tensors, column["first"] + ".weight").shape[:2]
    if given > 4:
        raise FileUnusableError(
            f"the first layer takes {given} channels, as of images whose pixels are folded into channels, which is not "
            "read; give a generator that takes images as they are"
        )
    doublings = sum(f"{column[name]}.weight" in tensors for name in ("ups.0", "ups.1") if name in column)
    settings: dict[str, Any] = {
        "channels": kernel(tensors, column["last"] + ".weight").shape[0],
        "width": width,
        "blocks": blocks,
        "growth": kernel(tensors, column["dense"].format(i=0, j=1, k=1) + ".weight").shape[0],
        "scale": 2**doublings,
        "unit": True,
    }
    layers = {ours: theirs for ours, theirs in column.items() if ours != "dense"}
    for i in range(blocks):
        for j in range(3):
            for k in range(5):
                layers[f"blocks.{i}.dense.{j}.layers.{k}"] = column["dense"].format(i=i, j=j + 1, k=k + 1)
    shape = (given, 32, 32)
    weights = renamed(tensors, layers, lambda: RRDBNet(shape, **settings))
    return {"network": "rrdb:RRDBNet", "shape": shape, **settings}, weights


def _column(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The column of the table that the file is in; raises FileUnusableError if it is in none."""
    for column in (_AUTHORS, _BASICSR):
        if f"{column['trunk']}.weight" in tensors:
            return column
    if "model.1.sub.0.RDB1.conv1.0.weight" in tensors:
        return _older(tensors)
    raise FileUnusableError(
        "these are not the weights of ESRGAN's generator, which have trunk_conv.weight, conv_body.weight or "
        "model.1.sub.0.RDB1.conv1.0.weight; give a file like RRDB_ESRGAN_x4.pth"
    )


def _older(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The older spelling, as long as the file's list of layers is."""
    blocks = sum(name.startswith("model.1.sub.") and name.endswith(".RDB1.conv1.0.weight") for name in tensors)
    last = max(int(found[1]) for name in tensors if (found := re.match(r"model\.(\d{1,3})\.", name)))
    ups = {f"ups.{up}": f"model.{3 + 3 * up}" for up in range((last - 4) // 3)}
    dense, trunk = "model.1.sub.{i}.RDB{j}.conv{k}.0", f"model.1.sub.{blocks}"
    return {
        "first": "model.0",
        "dense": dense,
        "trunk": trunk,
        **ups,
        "fine": f"model.{last - 2}",
        "last": f"model.{last}",
    }
