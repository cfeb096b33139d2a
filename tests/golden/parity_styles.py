"""StyleGAN2's players against NVlabs/stylegan2-ada-pytorch beside the project; writes `styles.json`.

    python tests/golden/parity_styles.py --stylegan2 DIR

The reference gets our weights, renamed, in float64 (it casts to float32 by name, which is made to mean float64 here);
outputs and gradients by the input are compared in evaluation and training mode: maximum error over maximum value. In
training, noise has no strength, because either side draws its own, and the running mean of w is compared as well.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from golden.filling import combination, sparse  # noqa: E402
from golden.styles import CASES, CLASSES, LAYERS, MOST, WIDTH, W, Z, inputs, member, quiet  # noqa: E402

ARCHITECTURES = {"skip": "skip", "residual": "resnet", "plain": "orig"}


def reference(root: Path) -> Any:
    """Their networks, in float64."""
    sys.path.insert(0, str(root))
    sys.modules.setdefault("requests", types.ModuleType("requests"))
    double = types.SimpleNamespace(**{**vars(torch), "float32": torch.float64})
    for name in ("torch_utils.ops.upfirdn2d", "torch_utils.ops.bias_act", "torch_utils.ops.conv2d_resample"):
        importlib.import_module(name).torch = double
    networks = importlib.import_module("training.networks")
    networks.torch = double
    return networks


def copy(theirs: Any, ours: Any) -> None:
    """A layer: weight and, where there is one, bias."""
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.view_as(theirs.weight))
        if getattr(ours, "bias", None) is not None:
            theirs.bias.copy_(ours.bias)


def copy_mapping(theirs: Any, ours: Any) -> None:
    if ours.embedding is not None:
        copy(theirs.embed, ours.embedding)
    for place, layer in enumerate(ours.layers):
        copy(getattr(theirs, f"fc{place}"), layer)
    with torch.no_grad():
        if hasattr(theirs, "w_avg"):
            theirs.w_avg.copy_(ours.average)


def copy_generator(theirs: Any, ours: Any) -> None:
    copy_mapping(theirs.mapping, ours.mapping)
    for level, block in enumerate(ours.blocks):
        other = getattr(theirs.synthesis, f"b{4 * 2**level}")
        with torch.no_grad():
            if level == 0:
                other.const.copy_(ours.start)
            for name, layer in (("conv0", block.first), ("conv1", block.second)):
                if layer is not None:
                    copy(getattr(other, name), layer)
                    copy(getattr(other, name).affine, layer.style)
                    getattr(other, name).noise_strength.copy_(layer.strength)
                    getattr(other, name).noise_const.copy_(layer.noise)
        if block.paint is not None:
            copy(other.torgb, block.paint)
            copy(other.torgb.affine, block.paint.style)
        if block.short is not None:
            copy(other.skip, block.short)


def copy_discriminator(theirs: Any, ours: Any, size: int) -> None:
    for level, block in enumerate(ours.blocks):
        other = getattr(theirs, f"b{size // 2**level}")
        if level == 0 or ours.skip:
            copy(other.fromrgb, ours.entries[level])
        copy(other.conv0, block.same)
        copy(other.conv1, block.down)
        if block.short is not None:
            copy(other.skip, block.short)
    last = theirs.b4
    if ours.skip:
        copy(last.fromrgb, ours.entries[-1])
    for name, layer in (("conv", ours.last), ("fc", ours.dense), ("out", ours.head)):
        copy(getattr(last, name), layer)
    if ours.mapping is not None:
        copy_mapping(theirs.mapping, ours.mapping)


def counterpart(networks: Any, case: tuple[str, str, int, int], ours: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Their network with our weights, as a function of input and labels."""
    player, architecture, size, classes = case
    common = {"channel_base": WIDTH * size, "channel_max": MOST, "architecture": ARCHITECTURES[architecture]}
    if player == "generator":
        theirs = networks.Generator(
            z_dim=Z, c_dim=classes, w_dim=W, img_resolution=size, img_channels=3,
            mapping_kwargs={"num_layers": LAYERS}, synthesis_kwargs={**common, "num_fp16_res": 0},
        ).double()  # fmt: skip
        copy_generator(theirs, ours)
    else:
        theirs = networks.Discriminator(
            c_dim=classes, img_resolution=size, img_channels=3, mapping_kwargs={"num_layers": LAYERS}, **common
        ).double()
        copy_discriminator(theirs, ours, size)

    def said(x: Tensor, labels: Tensor) -> Tensor:
        theirs.train(ours.training)
        told = one_hot(labels, CLASSES).double() if classes else x.new_zeros(len(x), 0)
        if player == "discriminator":
            return theirs(x, told).flatten()
        images = theirs(x, told, noise_mode="random" if ours.training else "const")
        if ours.training:
            torch.testing.assert_close(theirs.mapping.w_avg, ours.mapping.average)
        return images.flatten()

    return said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stylegan2", type=Path, required=True)
    root = parser.parse_args().stylegan2
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    networks, found = reference(root), {}
    for case in CASES:
        player, architecture, size, classes = case
        for mode in ("eval", "train"):
            ours = member(*case).train(mode == "train")
            if mode == "train":
                quiet(ours)
            theirs = counterpart(networks, case, ours)
            x, labels = inputs(player, size)
            answers = []
            for network in (partial(logits, ours, classes), theirs):
                at = x.clone().requires_grad_()
                values = network(at, labels)
                (slope,) = torch.autograd.grad((values * combination(values)).sum(), at)
                answers.append((values.detach(), slope))
            errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(*answers, strict=True)]
            name = f"{player}-{architecture}-{size}-{classes}-{mode}"
            print(f"{name}: output {errors[0]:.1e}, gradient {errors[1]:.1e}")
            assert max(errors) < 1e-5, name
            found[name] = {"output": sparse(answers[1][0]), "gradient": sparse(answers[1][1])}
    text = {"reference": f"NVlabs/stylegan2-ada-pytorch {commit[:7]}", "answers": found}
    (HERE / "styles.json").write_text(json.dumps(text, indent=1) + "\n")


def logits(network: nn.Module, classes: int, x: Tensor, labels: Tensor) -> Tensor:
    """Our network's answer, flat."""
    said = network(x, labels) if classes else network(x)
    return said.flatten() if isinstance(said, Tensor) else said.logits  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
