"""Networks as ONNX, for programs without torch.

A generator: `z` `[batch, z_dim]` -> `images` `[batch, c, h, w]`; with classes there is a second input, `labels`, int64
`[batch]`. A translator: `given` `[batch, c, h, w]` in [-1, 1] -> `images` `[batch, c', scale h, scale w]`, of any sides
that are multiples of the network's. Of images -1 is black and 1 white; networks that do not end in tanh go beyond.
"""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sparring.chance import generator as random_generator
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.translator import TrainedTranslator
from sparring.errors import SparringError, UsageError

__all__ = ["onnx_bytes"]

_TOLERANCE = 1e-4  # of a range of 2; a step of 8 bits is 8e-3
_BATCHES = (1, 3, 8)
_LARGEST_BATCH, _LARGEST_SIDE = 1024, 2**15
_SIDE = 32


def onnx_bytes(trained: TrainedGenerator | TrainedTranslator, about: Mapping[str, str]) -> bytes:
    """The network as one ONNX file with any batch size up to 1,024; `about` becomes its metadata.

    The file was run by onnxruntime on several batch sizes, a translator's on several sizes of images, and gave the
    network's numbers to 1e-4. A translator's dropout is left out of its file, which always makes the same of the same
    image. Raises UsageError if the packages for it are missing, SparringError if the network has no ONNX
    form or the numbers differ.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if not _installed(name)]
    if missing:
        raise UsageError(f"ONNX needs {' and '.join(missing)}: in sparring's folder, pip install '.[export]'")
    form = _of_images(trained) if isinstance(trained, TrainedTranslator) else _of_noise(trained)
    model = _model(form)
    for key, word in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, word
    content: bytes = model.SerializeToString(deterministic=True)
    difference = _difference(form, content)
    if not difference <= _TOLERANCE:
        raise SparringError(
            f"the ONNX form of {form.source} differs from the network by up to {difference:.1g} (tolerance "
            f"{_TOLERANCE}); nothing was written. Export to safetensors, and please report it"
        )
    return content


@dataclass(frozen=True)
class _Form:
    """A network and what it takes: inputs by the names that the file gives them, and which of their sides may vary.

    It is traced with `traced`, none of whose sides is 1 or equal to another, because torch specialises on those. The
    file has to give the numbers of `exact`.
    """

    network: nn.Module
    exact: nn.Module
    source: str
    traced: dict[str, Tensor]
    varying: tuple[dict[int, Any], ...]
    checked: Sequence[dict[str, Tensor]]


def _of_noise(generator: TrainedGenerator) -> _Form:
    def inputs(n: int) -> dict[str, Tensor]:
        labels = generator.labels(n)
        return {"z": generator.latents(n)} | ({} if labels is None else {"labels": labels})

    traced = inputs(3)
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    varying = tuple({0: batch} for _ in traced)
    network = generator.network
    return _Form(network, network, generator.source, traced, varying, [inputs(n) for n in _BATCHES])


def _of_images(translator: TrainedTranslator) -> _Form:
    """Judged in double precision: torch's group norm loses more digits in single precision than onnxruntime's."""
    network = copy.deepcopy(translator.network).eval().cpu()
    multiple = network.multiple
    side = -(-_SIDE // multiple) * multiple

    def inputs(n: int, height: int, width: int) -> dict[str, Tensor]:
        noise = torch.rand(n, network.given, height, width, generator=random_generator("onnx", n))
        return {"given": noise * 2 - 1}

    varying = {0: torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)}
    for place, name in ((2, "height"), (3, "width")):
        count = torch.export.Dim(name, min=2, max=_LARGEST_SIDE // multiple)
        varying[place] = multiple * count if multiple > 1 else count
    checked = [inputs(1, side, side), inputs(3, side, 2 * side), inputs(2, side + 3 * multiple, side + multiple)]
    traced = inputs(3, side + multiple, side + 2 * multiple)
    exact = copy.deepcopy(network).double()
    return _Form(network, exact, translator.source, traced, (varying,), checked)


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # what stands in its place has no origin
        return False


def _model(form: _Form) -> Any:
    """The ONNX model, without traces of this machine's paths."""
    device = next(form.network.parameters()).device
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*axis name.*")  # z and labels share their batch, and shall
            program = torch.onnx.export(
                form.network,
                tuple(value.to(device) for value in form.traced.values()),
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=list(form.traced),
                output_names=["images"],
                dynamic_shapes=form.varying,
            )
    except RuntimeError as error:  # the base of the exporter's own errors
        reason = type(error).__name__
        raise SparringError(f"{form.source} has no ONNX form ({reason}); export to safetensors") from error
    assert program is not None
    model = program.model_proto
    for graph in (model.graph, *model.functions):
        for part in (*graph.node, *graph.value_info):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    return model


def _difference(form: _Form, content: bytes) -> float:
    """The largest difference between the file's images and the network's, over inputs of several sizes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    exact = next(form.exact.parameters())
    differences = []
    for given in form.checked:
        with torch.inference_mode():
            values = (value.to(exact if value.is_floating_point() else exact.device) for value in given.values())
            expected = form.exact(*values).cpu()
        (images,) = session.run(["images"], {name: value.numpy() for name, value in given.items()})
        differences.append((torch.from_numpy(images) - expected).abs().max())
    return float(torch.stack(differences).max())  # NaN where any is NaN
