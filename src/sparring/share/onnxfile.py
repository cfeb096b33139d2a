"""A generator as ONNX, for programs without torch: `z` `[batch, z_dim]` -> `images` `[batch, c, h, w]` in [-1, 1].

With classes there is a second input, `labels`, int64 `[batch]`.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sparring.engine.sampler import TrainedGenerator
from sparring.errors import SparringError, UsageError

__all__ = ["onnx_bytes"]

_TOLERANCE = 1e-4  # of a range of 2; a step of 8 bits is 8e-3
_BATCHES = (1, 3, 8)
_LARGEST_BATCH = 1024


def onnx_bytes(generator: TrainedGenerator, about: Mapping[str, str]) -> bytes:
    """The generator as one ONNX file with any batch size up to 1,024; `about` becomes its metadata.

    The file was run by onnxruntime on batches of 1, 3 and 8 and gave the network's numbers to 1e-4. Raises UsageError
    if the packages for it are missing, SparringError if the network has no ONNX form or the numbers differ.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if not _installed(name)]
    if missing:
        raise UsageError(f"ONNX needs {' and '.join(missing)}: pip install 'sparring[export]'")
    model = _model(generator)
    for key, word in about.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, word
    content: bytes = model.SerializeToString(deterministic=True)
    difference = _difference(generator, content)
    if not difference <= _TOLERANCE:
        raise SparringError(
            f"the ONNX form of {generator.source} differs from the network by up to {difference:.1g} (tolerance "
            f"{_TOLERANCE}); nothing was written. Export to safetensors, and please report it"
        )
    return content


def _installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # what stands in its place has no origin
        return False


def _model(generator: TrainedGenerator) -> Any:
    """The ONNX model. Traced at batch 3, because torch specialises on 1; without traces of this machine's paths."""
    given = _inputs(generator, 3)
    device = next(generator.network.parameters()).device
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*axis name.*")  # z and labels share their batch, and shall
            program = torch.onnx.export(
                generator.network,
                tuple(value.to(device) for value in given.values()),
                dynamo=True,
                verbose=False,
                external_data=False,
                input_names=list(given),
                output_names=["images"],
                dynamic_shapes=tuple({0: batch} for _ in given),
            )
    except RuntimeError as error:  # the base of the exporter's own errors
        reason = type(error).__name__
        raise SparringError(f"{generator.source} has no ONNX form ({reason}); export to safetensors") from error
    assert program is not None
    model = program.model_proto
    for graph in (model.graph, *model.functions):
        for part in (*graph.node, *graph.value_info):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    return model


def _inputs(generator: TrainedGenerator, n: int) -> dict[str, Tensor]:
    """What the network takes for `n` images, by the names that the file gives it."""
    labels = generator.labels(n)
    return {"z": generator.latents(n)} | ({} if labels is None else {"labels": labels})


def _difference(generator: TrainedGenerator, content: bytes) -> float:
    """The largest difference between the file's images and the network's, on several batch sizes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    device = next(generator.network.parameters()).device
    differences = []
    for n in _BATCHES:
        given = _inputs(generator, n)
        with torch.inference_mode():
            expected = generator.network(*(value.to(device) for value in given.values())).cpu()
        (images,) = session.run(["images"], {name: value.numpy() for name, value in given.items()})
        differences.append((torch.from_numpy(images) - expected).abs().max())
    return float(torch.stack(differences).max())  # NaN where any is NaN
