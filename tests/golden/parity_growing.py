"""ProGAN's players and StyleGAN's generator against facebookresearch/pytorch_GAN_zoo; writes `growing.json`.

    python tests/golden/parity_growing.py --zoo DIR

The reference gets our weights in float64, brought to its scale (it multiplies weights and biases of every layer by He's
constant). Outputs and gradients by the input are compared in evaluation and training mode, wholly grown, half grown and
while a level is faded in: maximum error over maximum value. Where it departs from the authors' code it is set to that:
the deviation within a batch is the biased one. Its StyleGAN has no filter after doublings, so ours goes without here.
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
from golden.growing import CASES, CLASSES, LAYERS, Z, inputs, member  # noqa: E402
from golden.parity_styles import logits  # noqa: E402
from sparring.networks import stylegan  # noqa: E402


def reference(root: Path) -> Any:
    """Their modules of networks, imported without the rest of their package."""
    for name, folder in (("zoo", "models"), ("zoo.networks", "models/networks"), ("zoo.utils", "models/utils")):
        package = types.ModuleType(name)
        package.__path__ = [str(root / folder)]
        sys.modules[name] = package
    batch = importlib.import_module("zoo.networks.mini_batch_stddev_module")
    batch.torch = types.SimpleNamespace(  # type: ignore[attr-defined]
        **{**vars(torch), "var": lambda y, axis: torch.var(y, axis, correction=0)}
    )
    progressive = importlib.import_module("zoo.networks.progressive_conv_net")
    return types.SimpleNamespace(progan=progressive, stylegan=importlib.import_module("zoo.networks.styleGAN"))


def copy(theirs: Any, weight: Tensor, bias: Tensor | None) -> None:
    """A layer: what its weights and biases are in use, over their constant."""
    with torch.no_grad():
        theirs.module.weight.copy_(weight.view_as(theirs.module.weight) / theirs.weight)
        theirs.module.bias.zero_()
        if bias is not None:
            theirs.module.bias.copy_(bias / theirs.weight)


def copy_layer(theirs: Any, ours: Any) -> None:
    copy(theirs, ours.weight * ours.scale, None if ours.bias is None else ours.bias * getattr(ours, "rate", 1.0))


def copy_progan_generator(networks: Any, ours: Any) -> Any:
    widths = [paint.weight.shape[1] for paint in ours.paints]
    theirs = networks.progan.GNet(Z + ours.classes, widths[0])
    for width in widths[1 : ours.top + 1]:
        theirs.addScale(width)
    # Theirs has a bias for each number of the first layer, the authors' code and ours one for each channel.
    copy(theirs.formatLayer, ours.entry.weight * ours.entry.scale, ours.bias.repeat_interleave(16))
    pairs = [(theirs.groupScale0[0], ours.first)]
    for other, block in zip(theirs.scaleLayers, ours.blocks, strict=False):
        pairs += [(other[0], block.up), (other[1], block.same)]
    pairs += list(zip(theirs.toRGBLayers, ours.paints, strict=False))
    return filled(theirs, pairs, ours)


def copy_progan_discriminator(networks: Any, ours: Any, classes: int) -> Any:
    widths = [entry.weight.shape[0] for entry in ours.entries]
    theirs = networks.progan.DNet(widths[0], sizeDecisionLayer=max(classes, 1), miniBatchNormalization=True)
    for width in widths[1 : ours.top + 1]:
        theirs.addScale(width)
    pairs = [(theirs.groupScaleZero[0], ours.last), (theirs.groupScaleZero[1], ours.dense)]
    for other, block in zip(theirs.scaleLayers, ours.blocks, strict=False):
        pairs += [(other[0], block.same), (other[1], block.down)]
    pairs += [*zip(theirs.fromRGBLayers, ours.entries, strict=False), (theirs.decisionLayer, ours.head)]
    return filled(theirs, pairs, ours)


def copy_stylegan_generator(networks: Any, ours: Any) -> Any:
    """Theirs has a style for the input, whose length is that of the mapping's; no bias after the constant."""
    theirs = networks.stylegan.GNet(dimInput=Z * (2 if ours.classes else 1), dimMapping=Z, nMappingLayers=LAYERS)
    theirs.phiTruncation = 1.0
    widths = [paint.weight.shape[1] for paint in ours.paints]
    theirs.baseScale0 = nn.Parameter(ours.start.detach()[None].clone())
    theirs.depthScales = [widths[0]]
    theirs.adain00, theirs.adain01 = (networks.stylegan.AdaIN(Z, widths[0]) for _ in range(2))
    theirs.conv0 = networks.stylegan.EqualizedConv2d(
        widths[0], widths[0], 3, equalized=True, initBiasToZero=True, padding=1
    )
    for width in widths[1 : ours.top + 1]:
        theirs.addScale(width)
    with torch.no_grad():
        ours.blocks[0].first.bias.zero_()
    first = ours.blocks[0]
    layers = [(theirs.conv0, first.same.weight * first.same.scale, first.second.bias)]
    styles = [(theirs.adain00, first.first), (theirs.adain01, first.second)]
    for other, block in zip(theirs.scaleLayers, ours.blocks[1:], strict=False):
        layers.append((other[0], block.up.weight * block.up.scale, block.first.bias))
        layers.append((other[2], block.same.weight * block.same.scale, block.second.bias))
        styles += [(other[1], block.first), (other[3], block.second)]
    for layer, weight, bias in layers:
        copy(layer, weight, bias)
    for other, block in styles:  # they multiply by what we add 1 to
        bias = block.style.bias.detach().clone()
        bias[: len(bias) // 2] += 1
        copy(other.styleModulator, block.style.weight * block.style.scale, bias)
    pairs = [*zip(theirs.mapping.FC, ours.mapping.layers, strict=True)]
    return filled(theirs, pairs + list(zip(theirs.toRGBLayers, ours.paints[1:], strict=False)), ours)


def filled(theirs: Any, pairs: list[tuple[Any, Any]], ours: Any) -> Any:
    for other, layer in pairs:
        copy_layer(other, layer)
    theirs.setNewAlpha(0.0 if ours.fade is None else 1 - ours.fade)
    return theirs


def counterpart(networks: Any, case: tuple[str, int, int, float], ours: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Their network with our weights, as a function of input and labels."""
    player, _, classes, _ = case
    if player == "progan-discriminator":
        judge = copy_progan_discriminator(networks, ours, classes)
        return lambda x, labels: judge(x)[torch.arange(len(x)), labels if classes else 0]
    if player == "progan-generator":
        theirs = copy_progan_generator(networks, ours)
    else:
        theirs = copy_stylegan_generator(networks, ours)

    def said(z: Tensor, labels: Tensor) -> Tensor:
        theirs.train(ours.training)
        if classes and player == "progan-generator":
            z = torch.cat([z, one_hot(labels, CLASSES).double()], 1)
        elif classes:
            z = torch.cat([z, ours.mapping.embedding(labels)], 1)
        images: Tensor = theirs(z)
        return images.flatten()

    return said


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--zoo", type=Path, required=True)
    root = parser.parse_args().zoo
    commit = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    torch.set_default_dtype(torch.double)
    networks, found = reference(root), {}
    softened = stylegan.softened
    for case in CASES:
        for mode in ("eval", "train"):
            ours = member(*case).train(mode == "train")
            if mode == "eval" and ours.top < ours.levels and "generator" in case[0]:
                continue  # of full size, which theirs knows nothing of
            theirs = counterpart(networks, case, ours)
            x, labels = inputs(case[0], case[1], case[3])
            answers = []
            stylegan.softened = lambda image: image  # type: ignore[assignment]
            for network in (partial(logits, ours, case[2]), theirs):
                at = x.clone().requires_grad_()
                values = network(at, labels)
                (slope,) = torch.autograd.grad((values * combination(values)).sum(), at)
                answers.append((values.detach(), slope))
            stylegan.softened = softened
            errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(*answers, strict=True)]
            name = "-".join(map(str, (*case, mode)))
            print(f"{name}: output {errors[0]:.1e}, gradient {errors[1]:.1e}")
            assert max(errors) < 1e-5, name
            found[name] = {"output": sparse(answers[1][0]), "gradient": sparse(answers[1][1])}
    text = {"reference": f"facebookresearch/pytorch_GAN_zoo {commit[:7]}", "answers": found}
    (HERE / "growing.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
