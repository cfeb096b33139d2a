"""Published weights by our names: the tables, what a file says of its network, and what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from golden.translation import GIVEN
from sparring.errors import FileUnusableError
from sparring.networks.johnson import ResNetTranslator
from sparring.networks.rrdb import RRDBNet
from sparring.networks.unet import UNet
from sparring.share.published import esrgan, junyanz

# What the authors' code calls its tensors, and which of ours proved to be each: `golden/parity_translation.py`.
NAMES: dict[str, dict[str, str]] = json.loads((Path(__file__).parents[1] / "golden" / "translation.json").read_text())[
    "names"
]

SETTINGS: dict[str, dict[str, Any]] = {
    "unet-batch": {"channels": 2, "width": 2, "norm": "batch", "doublings": 6, "shape": (GIVEN, 64, 64)},
    "unet-instance": {"channels": 2, "width": 2, "norm": "instance", "doublings": 6, "shape": (GIVEN, 64, 64)},
    "resnet-batch": {"channels": 1, "width": 4, "norm": "batch", "blocks": 2, "shape": (GIVEN, 256, 256)},
    "resnet-instance": {"channels": 1, "width": 4, "norm": "instance", "blocks": 2, "shape": (GIVEN, 256, 256)},
    "resnet-dropout": {"channels": 3, "width": 2, "norm": "batch", "blocks": 2, "shape": (GIVEN, 256, 256)},
    "rrdb": {"channels": 3, "width": 6, "blocks": 2, "growth": 4, "scale": 4, "unit": True, "shape": (GIVEN, 32, 32)},
}
NETWORKS = {
    "unet": ("unet:UNet", UNet),
    "resnet": ("johnson:ResNetTranslator", ResNetTranslator),
    "rrdb": ("rrdb:RRDBNet", RRDBNet),
}


def published(kind: str) -> dict[str, Tensor]:
    """A file as the authors' code writes it."""
    shapes = {theirs: ours.partition(" ")[2] for theirs, ours in NAMES[kind].items()}
    return {name: torch.zeros([int(side) for side in shape.split("x") if side]) for name, shape in shapes.items()}


def mapping(kind: str) -> Callable[[dict[str, Tensor]], tuple[dict[str, Any], dict[str, Tensor]]]:
    return esrgan.translator if kind == "rrdb" else junyanz.translator


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_file_tells_its_network(kind: str) -> None:
    tensors = published(kind)
    settings, weights = mapping(kind)(tensors)
    spelling, network = NETWORKS[kind.split("-")[0]]
    assert settings.pop("network") == spelling
    assert settings == SETTINGS[kind]
    for theirs, ours in NAMES[kind].items():
        assert weights[ours.split()[0]] is tensors[theirs]
    network(settings.pop("shape"), **settings).load_state_dict(weights)


def test_the_sizes_of_the_papers() -> None:
    """unet_256 has eight levels and its innermost at the end of seven nestings; what is read is what is given."""
    tensors = {}
    prefix = ["model.model"] + ["model.model.1.model" + ".3.model" * level for level in range(7)]
    widths = [3, 8, 16, 32, 64, 64, 64, 64, 64]
    for level, theirs in enumerate(prefix):
        down, up = (0, 3) if level == 0 else (1, 3) if level == 7 else (1, 5)
        outer, inner = widths[level], widths[level + 1]
        tensors[f"{theirs}.{down}.weight"] = torch.zeros(inner, outer, 4, 4)
        tensors[f"{theirs}.{up}.weight"] = torch.zeros(inner if level == 7 else 2 * inner, outer, 4, 4)
        norms = {f"{theirs}.{up + 1}": outer} if level else {f"{theirs}.{up}": None}
        if 0 < level < 7:
            norms[f"{theirs}.{down + 1}"] = inner
        for name, channels in norms.items():
            if channels is None:
                tensors[f"{name}.bias"] = torch.zeros(3)
                continue
            for tensor in ("weight", "bias", "running_mean", "running_var"):  # before PyTorch 0.4.1: nothing counted
                tensors[f"{name}.{tensor}"] = torch.zeros(channels)
    settings, weights = junyanz.translator(tensors)
    assert settings["shape"] == (3, 256, 256)
    assert (settings["doublings"], settings["width"], settings["norm"]) == (8, 8, "batch")
    UNet(settings["shape"], width=8).load_state_dict(weights)


@pytest.mark.parametrize("kind", ["unet-instance", "resnet-instance"])
def test_statistics_of_instance_norm_are_left(kind: str) -> None:
    """PyTorch before 0.4 wrote them; the authors' own loader drops them."""
    tensors = published(kind)
    places = {"unet-instance": "model.model.1.model.2", "resnet-instance": "model.2"}
    before = junyanz.translator(tensors)[1].keys()
    tensors |= {f"{places[kind]}.{name}": torch.zeros(4) for name in ("running_mean", "running_var")}
    tensors[f"{places[kind]}.num_batches_tracked"] = torch.tensor(3)
    settings, weights = junyanz.translator(tensors)
    assert weights.keys() == before
    assert settings["norm"] == "instance"


BASICSR = {
    "RRDB_trunk": "body",
    "RDB": "rdb",
    "trunk_conv": "conv_body",
    "upconv": "conv_up",
    "HRconv": "conv_hr",
}
OLDER = {
    "conv_first": "model.0",
    "RRDB_trunk": "model.1.sub",
    "trunk_conv": "model.1.sub.2",
    "upconv1": "model.3",
    "upconv2": "model.6",
    "HRconv": "model.8",
    "conv_last": "model.10",
    **{f"conv{k}.": f"conv{k}.0." for k in range(1, 6)},
}


@pytest.mark.parametrize("table", [BASICSR, OLDER], ids=["basicsr", "older"])
def test_the_other_spellings(table: dict[str, str]) -> None:
    """The authors' own script from one to the other, transer_RRDB_models.py, has these; BasicSR's are in its code."""
    tensors, respelt = published("rrdb"), {}
    for name, tensor in tensors.items():
        spelt = name
        for ours, theirs in table.items():
            spelt = spelt.replace(ours, theirs)
        respelt[spelt] = tensor
    settings, weights = esrgan.translator(respelt)
    known_settings, known = esrgan.translator(tensors)
    assert settings == known_settings
    assert all(weights[name] is known[name] for name in known)
    assert weights.keys() == known.keys()


def test_an_older_one_of_half_the_scale() -> None:
    """One doubling less: the last two layers are 3 places earlier."""
    tensors = {
        f"model.{layer}.{kind}": torch.zeros(shape)
        for layer, inputs, outputs in (("0", 3, 6), ("1.sub.1", 6, 6), ("3", 6, 6), ("5", 6, 6), ("7", 6, 3))
        for kind, shape in (("weight", (outputs, inputs, 3, 3)), ("bias", (outputs,)))
    }
    for j in range(1, 4):
        for k in range(1, 6):
            outputs = 6 if k == 5 else 4
            tensors[f"model.1.sub.0.RDB{j}.conv{k}.0.weight"] = torch.zeros(outputs, 6 + 4 * (k - 1), 3, 3)
            tensors[f"model.1.sub.0.RDB{j}.conv{k}.0.bias"] = torch.zeros(outputs)
    settings, weights = esrgan.translator(tensors)
    assert (settings["scale"], settings["blocks"]) == (2, 1)
    assert weights["fine.bias"] is tensors["model.5.bias"]


def broken(kind: str, what: str) -> dict[str, Tensor]:
    tensors = published(kind)
    name = list(tensors)[4]
    if what == "missing":
        del tensors[name]
    elif what == "shape":
        tensors[name] = torch.zeros(7, 7, 7)
    elif what == "more":
        tensors["surplus.bias"] = torch.zeros(1)
    return tensors


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("missing", "the file has no .*; give the weights"),
        ("shape", "dimensions where a convolution has 4|is 7x7x7 where .* belongs"),
        ("more", r"surplus\.bias is no part"),
    ],
)
def test_what_does_not_fit_is_said(kind: str, what: str, says: str) -> None:
    with pytest.raises(FileUnusableError, match=says):
        mapping(kind)(broken(kind, what))


def test_other_files_are_refused() -> None:
    for tensors in ({}, {"conv.weight": torch.zeros(1)}, published("rrdb")):
        with pytest.raises(FileUnusableError, match="not the weights of a generator of CycleGAN or pix2pix"):
            junyanz.translator(tensors)
    for tensors in ({}, published("unet-batch"), published("resnet-batch")):
        with pytest.raises(FileUnusableError, match="not the weights of ESRGAN's generator"):
            esrgan.translator(tensors)
    for name in ("model.1.weight", "model.model.0.weight"):
        with pytest.raises(FileUnusableError):
            junyanz.translator({name: torch.zeros(4)})
        with pytest.raises(FileUnusableError):
            junyanz.translator({name: torch.zeros(4, 3, 4, 4)})
    with pytest.raises(FileUnusableError):
        esrgan.translator({"trunk_conv.weight": torch.zeros(4, 4, 3, 3)})
    with pytest.raises(FileUnusableError):
        esrgan.translator({"model.1.sub.0.RDB1.conv1.0.weight": torch.zeros(4, 4, 3, 3)})


@pytest.mark.parametrize("layer", ["3x", "30000000000", "²", ""])
def test_a_strange_name_is_no_layer(layer: str) -> None:
    """Names of a stranger's file are not taken for numbers, nor for how many layers there are to be."""
    dense = {"model.1.sub.0.RDB1.conv1.0.weight": torch.zeros(4, 4, 3, 3)}
    with pytest.raises(FileUnusableError):
        esrgan.translator(dense | {f"model.{layer}.weight": torch.zeros(1)})


def test_pixels_folded_into_channels_are_refused() -> None:
    tensors = published("rrdb") | {"conv_first.weight": torch.zeros(6, 12, 3, 3)}
    with pytest.raises(FileUnusableError, match="takes 12 channels"):
        esrgan.translator(tensors)
