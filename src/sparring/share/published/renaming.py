"""Weights of one code by the names of another: a table of layers, followed to the last tensor."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from sparring.chance import without_memory
from sparring.errors import FileUnusableError

__all__ = ["kernel", "renamed"]

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def kernel(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The weight of a convolution, `[a, b, h, w]`; raises FileUnusableError if there is none."""
    found = tensors.get(name)
    if found is None:
        raise FileUnusableError(f"the file has no {name}; give the weights of the generator, all of them")
    if found.dim() != 4:
        raise FileUnusableError(f"{name} has {found.dim()} dimensions where a convolution has 4; give another file")
    return found


def renamed(
    tensors: Mapping[str, Tensor], layers: Mapping[str, str], make: Callable[[], nn.Module]
) -> dict[str, Tensor]:
    """The tensors by the names of a network, given for each of its layers the name of theirs.

    A layer that has no weights here, instance norm, may have running statistics there: PyTorch before 0.4 wrote them,
    and they were not used. Raises FileUnusableError if a tensor is missing, of another shape, or left over.
    """
    with without_memory():
        network = make()
    found, left = {}, set(tensors)
    for name, like in network.state_dict().items():
        layer, kind = name.rsplit(".", 1)
        theirs = f"{layers[layer]}.{kind}"
        left.discard(theirs)
        # Counted since PyTorch 0.4.1, and used by nothing where the momentum is given.
        tensor = tensors.get(theirs, torch.tensor(0) if kind == "num_batches_tracked" else None)
        if tensor is None:
            raise FileUnusableError(f"the file has no {theirs}; give the weights of the generator, all of them")
        if tensor.shape != like.shape:
            shapes = " where ".join("x".join(map(str, t.shape)) or "one number" for t in (tensor, like))
            raise FileUnusableError(f"{theirs} is {shapes} belongs, by the other layers; give another file")
        found[name] = tensor
    left -= {f"{layers[layer]}.{kind}" for layer in layers for kind in _STATISTICS if layer.endswith("norm")}
    if left:
        raise FileUnusableError(f"{min(left)} is no part of such a generator; give another file")
    return found
