"""Conditional networks against public reference code that lies beside the project; writes `conditional.json`.

    python tests/golden/parity_conditional.py --mimicry DIR --studiogan DIR --biggan DIR

The references get our weights, renamed, in float64; outputs and gradients by the input are compared in evaluation and
training mode: maximum error over maximum value. What the references do otherwise is set to what the papers' own code
does and said in the file.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from golden.conditional import CLASSES, MEMBERS, WIDTH, inputs, member  # noqa: E402
from golden.filling import combination, singular, sparse  # noqa: E402


def weights(module: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Our weight before any spectral norm, and the bias."""
    if hasattr(module, "parametrizations"):
        return module.parametrizations.weight.original, module.bias if hasattr(module, "bias") else None
    return module.weight, getattr(module, "bias", None)


def copy(theirs: nn.Module, ours: nn.Module) -> None:
    """One layer: weight, bias, running statistics, and the singular vectors of old spectral norms."""
    with torch.no_grad():
        if isinstance(ours, nn.BatchNorm2d):
            for mine, name, other in (
                ("running_mean", "running_mean", "stored_mean"),
                ("running_var", "running_var", "stored_var"),
            ):
                target = getattr(theirs, name) if hasattr(theirs, name) else getattr(theirs, other)
                target.copy_(getattr(ours, mine))
            if ours.affine:
                gain = theirs.weight if hasattr(theirs, "weight") and theirs.weight is not None else theirs.gain
                gain.copy_(ours.weight)
                theirs.bias.copy_(ours.bias)
            if hasattr(theirs, "eps"):
                theirs.eps = ours.eps
            return
        weight, bias = weights(ours)
        target = theirs.weight_orig if hasattr(theirs, "weight_orig") else theirs.weight
        target.copy_(weight.view_as(target))
        if bias is not None:
            theirs.bias.copy_(bias)
        left, right = singular(weight)
        if hasattr(theirs, "weight_u"):
            theirs.weight_u.copy_(left)
            theirs.weight_v.copy_(right)
        for name in ("u0", "sn_u"):
            if hasattr(theirs, name):
                getattr(theirs, name).copy_(left[None])


def copy_table(theirs: Any, ours: Any) -> None:
    """StudioGAN's conditional norm: linear maps of a one-hot label, the scale's minus one."""
    with torch.no_grad():
        theirs.gain.weight.copy_((ours.scale.weight - 1).t())
        theirs.bias.weight.copy_(ours.shift.weight.t())
    copy(theirs.bn, ours.norm)


def copy_up(theirs: Any, ours: Any, names: tuple[str, str, str, str, str], norm: Callable[[Any, Any], None]) -> None:
    first, second, up, same, short = names
    norm(getattr(theirs, first), ours.norms[0])
    norm(getattr(theirs, second), ours.norms[1])
    for name, layer in ((up, ours.up), (same, ours.same), (short, ours.short)):
        copy(getattr(theirs, name), layer)


def copy_down(theirs: Any, ours: Any, names: tuple[str, str, str]) -> None:
    for name, layer in zip(names, (ours.same, ours.last, ours.short), strict=True):
        if not isinstance(layer, nn.Identity):
            copy(getattr(theirs, name), layer)


def mimicry_projection(size: int, root: Path) -> Any:
    for name in ("torch_mimicry", "torch_mimicry.nets", "torch_mimicry.nets.cgan_pd", "torch_mimicry.training"):
        package = types.ModuleType(name)  # its own would import what draws and measures
        package.__path__ = [str(root / name.replace(".", "/"))]
        sys.modules.setdefault(name, package)
    sys.modules["torch_mimicry.training"].metric_log = None
    module = importlib.import_module(f"torch_mimicry.nets.cgan_pd.cgan_pd_{size}")
    full = 2 * WIDTH if size == 32 else 16 * WIDTH
    theirs = getattr(module, f"CGANPDDiscriminator{size}")(num_classes=CLASSES, ndf=full).double()
    ours = member("projection_discriminator", size)
    for layer in theirs.modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False  # in place, the way past would see the ReLU as well, which Chainer's code does not do
    for place, block in enumerate(ours.network.blocks, start=1):
        copy_down(getattr(theirs, f"block{place}"), block, ("c1", "c2", "c_sc"))
    copy(getattr(theirs, f"l{len(ours.network.blocks) + 1}"), ours.network.head)
    copy(theirs.l_y, ours.embedding)
    return ours, lambda x, y: theirs(x, y).flatten(), theirs


def studio_modules(root: Path) -> Any:
    """StudioGAN's ResNets without the rest of its workshop."""
    utils = types.ModuleType("utils")
    misc = types.ModuleType("utils.misc")
    misc.dummy_context_mgr = contextlib.nullcontext
    utils.misc = misc
    sys.modules |= {"utils": utils, "utils.misc": misc}
    utils.__path__ = [str(root / "src" / "utils")]
    ops = importlib.import_module("utils.ops")
    spec = importlib.util.spec_from_file_location("studio_resnet", root / "src" / "models" / "resnet.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.torch = types.SimpleNamespace(**{**vars(torch), "float32": torch.float64})
    parts = types.SimpleNamespace(
        g_bn=ops.ConditionalBatchNorm2d,
        g_conv2d=ops.conv2d,
        g_linear=ops.linear,
        g_act_fn=nn.ReLU(inplace=False),
        d_conv2d=ops.snconv2d,
        d_linear=ops.snlinear,
        d_embedding=ops.sn_embedding,
        d_act_fn=nn.ReLU(inplace=False),
    )
    model = types.SimpleNamespace(info_type="N/A", g_info_injection="N/A")
    return module, parts, model


def studio_generator(size: int, root: Path) -> Any:
    module, parts, model = studio_modules(root)
    theirs = module.Generator(
        12, 0, size, WIDTH, False, [], "cBN", CLASSES, "xavier", None, False, parts, model
    ).double()
    ours = member("resnet_generator", size)
    copy(theirs.linear0, ours.entry)
    for block, mine in zip(theirs.blocks, ours.blocks, strict=True):
        copy_up(block[0], mine, ("bn1", "bn2", "conv2d1", "conv2d2", "conv2d0"), copy_table)
    copy(theirs.bn4, ours.norm)
    copy(theirs.conv2d5, ours.head)
    return ours, theirs, theirs


def studio_auxiliary(size: int, root: Path) -> Any:
    module, parts, model = studio_modules(root)
    theirs = module.Discriminator(
        size, WIDTH, True, False, [], "AC", "W/O", 0, False, CLASSES, "xavier", None, False, parts, model
    ).double()
    ours = member("auxiliary_discriminator", size)
    for block, mine in zip(theirs.blocks, ours.network.blocks, strict=True):
        copy_down(block[0], mine, ("conv2d1", "conv2d2", "conv2d0"))
    copy(theirs.linear1, ours.network.head)
    copy(theirs.linear2, ours.classes)

    def said(x: Tensor, y: Tensor) -> Tensor:
        found = theirs(x, y)
        return torch.cat([found["adv_output"].flatten(), found["cls_output"].flatten()])

    return ours, said, theirs


def biggan_modules(root: Path) -> Any:
    sys.modules.setdefault("sync_batchnorm", types.SimpleNamespace(SynchronizedBatchNorm2d=None))  # type: ignore[arg-type]
    sys.path.insert(0, str(root))
    for name in [name for name in sys.modules if name.split(".")[0] in ("layers", "BigGAN", "utils")]:
        del sys.modules[name]
    return importlib.import_module("BigGAN")


def copy_told(theirs: Any, ours: Any) -> None:
    copy(theirs.gain, ours.scale)
    copy(theirs.bias, ours.shift)
    copy(theirs, ours.norm)


def copy_attention(theirs: Any, ours: Any) -> None:
    for name, layer in (("theta", ours.query), ("phi", ours.key), ("g", ours.value), ("o", ours.out)):
        copy(getattr(theirs, name), layer)
    with torch.no_grad():
        theirs.gamma.copy_(ours.gamma)


def biggan_generator(size: int, root: Path) -> Any:
    module = biggan_modules(root)
    slots, attention = (4, 16) if size == 32 else (5, 32)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = module.Generator(
            G_ch=WIDTH,
            dim_z=6 * slots,
            resolution=size,
            G_attn=str(attention),
            n_classes=CLASSES,
            shared_dim=7,
            hier=True,
            G_shared=True,
            no_optim=True,
        ).double()
    ours = member("biggan_generator", size)
    with torch.no_grad():
        theirs.shared.weight.copy_(ours.shared.weight)
    copy(theirs.linear, ours.entry)
    for level, (block, mine) in enumerate(zip(theirs.blocks, ours.blocks, strict=True)):
        copy_up(block[0], mine, ("bn1", "bn2", "conv1", "conv2", "conv_sc"), copy_told)
        if len(block) > 1:
            copy_attention(block[1], ours.attentions[str(level)])
    copy(theirs.output_layer[0], ours.norm)
    copy(theirs.output_layer[2], ours.head)
    return ours, lambda z, y: theirs(z, theirs.shared(y)), theirs


def biggan_discriminator(size: int, root: Path) -> Any:
    module = biggan_modules(root)
    attention = "0" if size == 32 else "32"
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = module.Discriminator(D_ch=WIDTH, resolution=size, D_attn=attention, n_classes=CLASSES).double()
    ours = member("biggan_discriminator", size)
    for block, mine in zip(theirs.blocks, ours.network.blocks, strict=True):
        copy_down(block[0], mine[0] if isinstance(mine, nn.Sequential) else mine, ("conv1", "conv2", "conv_sc"))
        if len(block) > 1:
            copy_attention(block[1], mine[1])
    copy(theirs.linear, ours.network.head)
    copy(theirs.embed, ours.embedding)
    return ours, lambda x, y: theirs(x, y).flatten(), theirs


CASES: dict[str, tuple[str, Callable[[int, Path], Any]]] = {
    "projection_discriminator": ("mimicry", mimicry_projection),
    "resnet_generator": ("studiogan", studio_generator),
    "auxiliary_discriminator": ("studiogan", studio_auxiliary),
    "biggan_generator": ("biggan", biggan_generator),
    "biggan_discriminator": ("biggan", biggan_discriminator),
}
NAMES = {
    "mimicry": "kwotsin/mimicry",
    "studiogan": "POSTECH-CVLab/PyTorch-StudioGAN",
    "biggan": "ajbrock/BigGAN-PyTorch",
}


def slope(values: Tensor, at: Tensor) -> Tensor:
    """The gradient of a fixed combination of outputs."""
    return torch.autograd.grad((values * combination(values)).sum(), at)[0]


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Maximum error over maximum value."""
    return float((ours - theirs).detach().abs().max() / theirs.detach().abs().max())


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in NAMES:
        parser.add_argument(f"--{name}", type=Path, required=True)
    roots = vars(parser.parse_args())
    for root in roots.values():
        sys.path.insert(0, str(root))
    found: dict[str, Any] = {}
    for case, (reference, make) in CASES.items():
        commit = subprocess.run(
            ["git", "-C", str(roots[reference]), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for size in MEMBERS[case][1]:
            ours, theirs, network = make(size, roots[reference])
            x, labels = inputs(case, size)
            for mode in ("eval", "train"):
                ours.train(mode == "train")
                network.train(mode == "train")
                one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
                said = ours(one, labels)
                parts = [said] if isinstance(said, Tensor) else [said.logits, said.class_logits]
                mine = torch.cat([part.flatten() for part in parts if part is not None])
                other = theirs(two, labels).flatten()
                slopes = slope(mine, one), slope(other, two)
                errors = distance(mine, other), distance(*slopes)
                print(f"{case} {size} {mode}: output {errors[0]:.1e}, gradient {errors[1]:.1e}")
                assert max(errors) < 1e-5, case
                found[f"{case}-{size}-{mode}"] = {
                    "reference": f"{NAMES[reference]} {commit[:7]}",
                    "output": sparse(other),
                    "gradient": sparse(slopes[1]),
                }
    (HERE / "conditional.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
