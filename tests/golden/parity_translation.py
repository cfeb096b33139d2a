"""U-Net, ResNet and PatchGAN against the authors' code, RRDBNet likewise; writes `translation.json`.

    python tests/golden/parity_translation.py --junyanz networks.py --esrgan RRDBNet_arch.py

The first is models/networks.py of junyanz/pytorch-CycleGAN-and-pix2pix, the second a file of xinntao/ESRGAN. The
references get our weights in float64 through the mappings of `share.published`, which are thereby tried too. Outputs
and gradients by the input are compared in evaluation and training mode, at two sizes each: maximum error over maximum
value. Instance norm is set to what the authors later made it: without running statistics.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from golden.filling import combination, fill, sparse  # noqa: E402
from golden.translation import CASES, GIVEN, inputs, member  # noqa: E402
from sparring.networks.johnson import ResNetTranslator  # noqa: E402
from sparring.networks.layers import Verdict  # noqa: E402
from sparring.networks.rrdb import RRDBNet  # noqa: E402
from sparring.networks.unet import UNet  # noqa: E402
from sparring.share.published import esrgan, junyanz  # noqa: E402

REFERENCE = "junyanz/pytorch-CycleGAN-and-pix2pix 7891385, xinntao/ESRGAN 73e9b63"
NORMS = {
    "batch": functools.partial(nn.BatchNorm2d, affine=True),
    "instance": functools.partial(nn.InstanceNorm2d, affine=False, track_running_stats=False),
}
NETWORKS = {
    "unet:UNet": UNet,
    "johnson:ResNetTranslator": ResNetTranslator,
    "rrdb:RRDBNet": RRDBNet,
}


def loaded(path: Path) -> Any:
    """A file as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def reference(files: Any, kind: str, norm: str) -> nn.Module:
    """Theirs, with the sizes of `golden.translation`."""
    if kind == "unet":
        network = files.junyanz.UnetGenerator(GIVEN, 2, 6, ngf=2, norm_layer=NORMS[norm])
    elif kind == "resnet":
        network = files.junyanz.ResnetGenerator(GIVEN, 1, ngf=4, norm_layer=NORMS[norm], n_blocks=2)
    elif kind == "patch":
        network = files.junyanz.NLayerDiscriminator(GIVEN, ndf=4, n_layers=3, norm_layer=NORMS[norm])
    else:
        network = files.esrgan.RRDBNet(GIVEN, GIVEN, 6, 2, gc=4)
    return network.double()  # type: ignore[no-any-return]


def adopt(theirs: nn.Module, ours: nn.Module) -> dict[str, str]:
    """Our weights in theirs. Mappings pass tensors on, so writing to what they return writes to the reference.

    Returns our name and the shape of every tensor by their name.
    """
    if not isinstance(ours, UNet | ResNetTranslator | RRDBNet):  # the same layers in the same order
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
        return {}
    mapping = esrgan.translator if isinstance(ours, RRDBNet) else junyanz.translator
    published = theirs.state_dict()
    settings, named = mapping(published)
    shape, network = settings.pop("shape"), NETWORKS[settings.pop("network")]
    network(shape, **settings).load_state_dict(named)
    assert {name: t.shape for name, t in named.items()} == {name: t.shape for name, t in ours.state_dict().items()}
    for name, tensor in ours.state_dict().items():
        named[name].copy_(tensor)
    names = {id(tensor): name for name, tensor in published.items()}
    return {names[id(t)]: f"{name} {'x'.join(map(str, t.shape))}".strip() for name, t in named.items()}


def answers(network: Callable[[Tensor], Any], x: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs, and the gradient of a sum of them by the input."""
    torch.manual_seed(5)
    at = x.clone().requires_grad_()
    said = network(at)
    flat = (said.logits if isinstance(said, Verdict) else said).flatten()
    (slope,) = torch.autograd.grad((flat * combination(flat)).sum(), at)
    return flat.detach(), slope


def compared(name: str, ours: Callable[[Tensor], Any], theirs: Callable[[Tensor], Any], x: Tensor) -> dict[str, Any]:
    """Prints both errors, and returns what is golden of the reference's answers."""
    found, known = answers(ours, x), answers(theirs, x)
    errors = [float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, known, strict=True)]
    print(f"{name}: output {errors[0]:.1e}, gradient {errors[1]:.1e}")
    assert max(errors) < 1e-5, name
    return {"output": sparse(known[0]), "gradient": sparse(known[1])}


def with_dropout(files: Any) -> dict[str, str]:
    """The same masks where either draws them in the same order at the same places; of the sizes that the paper has.

    Returns the names of the last, where dropout moves theirs.
    """
    pairs = []
    for size in (128, 256):
        theirs = files.junyanz.UnetGenerator(GIVEN, GIVEN, size.bit_length() - 1, ngf=1, use_dropout=True)
        pairs.append((size, UNet((GIVEN, size, size), width=1), theirs))
    theirs = files.junyanz.ResnetGenerator(GIVEN, GIVEN, ngf=2, norm_layer=NORMS["batch"], use_dropout=True, n_blocks=2)
    pairs.append((16, ResNetTranslator((GIVEN, 16, 16), width=2, blocks=2, norm="batch", dropout=0.5), theirs))
    for size, ours, theirs in pairs:
        # Masks are drawn in the order of memory.
        ours = ours.double().to(memory_format=torch.contiguous_format)
        fill(ours)
        names = adopt(theirs.double(), ours)
        compared(f"{type(ours).__name__} with dropout, {size} pixels", ours, theirs, inputs((size, size)))
    return names


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--junyanz", type=Path, required=True)
    parser.add_argument("--esrgan", type=Path, required=True)
    paths = parser.parse_args()
    files = argparse.Namespace(junyanz=loaded(paths.junyanz), esrgan=loaded(paths.esrgan))
    found, names = {}, {}
    for kind, norm, size in CASES:
        for mode in ("eval", "train"):
            ours, theirs = member(kind, norm), reference(files, kind, norm)
            names[f"{kind}-{norm}".strip("-")] = adopt(theirs, ours)
            name = "-".join(filter(None, (kind, norm, f"{size[0]}x{size[1]}", mode)))
            found[name] = compared(name, ours.train(mode == "train"), theirs.train(mode == "train"), inputs(size))
            if isinstance(ours, RRDBNet):
                ours.unit = True
                compared(f"{name}, of [0, 1]", ours, lambda x, theirs=theirs: 2 * theirs((x + 1) / 2) - 1, inputs(size))
    names["resnet-dropout"] = with_dropout(files)
    text = {"reference": REFERENCE, "answers": found, "names": {kind: table for kind, table in names.items() if table}}
    (HERE / "translation.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
