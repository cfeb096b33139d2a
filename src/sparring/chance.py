"""Every random draw of a run, as a function of what it is for: no generator state is ever stored.

A draw is named by its parts (run seed, stream, round, turn, ...); the same parts give the same numbers on every
machine and after every resume. Numbers are made on the CPU, so that a GPU run draws the same z as a CPU run.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sparring.errors import UsageError

__all__ = ["KINDS", "Draw", "draw", "generator", "latents", "permutation", "seed_of", "truncated", "without_memory"]

KINDS = ("normal", "uniform")
"""Distributions of z."""

Draw: TypeAlias = Callable[[int, int, str], Tensor]
"""Noise `[n, dim]` of a kind, for (n, dim, kind): what the engine lends to games, penalties and augmentations."""


def seed_of(*parts: int | str) -> int:
    """A 63-bit seed from any sequence of integers and words (BLAKE2b of their text).

    >>> seed_of(0, "z", 7) == seed_of(0, "z", 7), seed_of(0, "z", 7) == seed_of(0, "z", 8)
    (True, False)
    """
    text = "\x1f".join(f"{'str' if isinstance(part, str) else 'int'}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A fresh CPU generator for the draw that `parts` name."""
    return torch.Generator().manual_seed(seed_of(*parts))


def permutation(n: int, *parts: int | str) -> Tensor:
    """A permutation of 0..n-1, int64 `[n]`."""
    return torch.randperm(n, generator=generator(*parts))


def latents(seeds: list[int], dim: int, kind: str = "normal") -> Tensor:
    """One z per seed, `[len(seeds), dim]`: image i depends on its own seed and on nothing else.

    `kind` is `normal`, N(0, 1), or `uniform`, U(-1, 1).

    >>> bool((latents([3, 4], 8)[1] == latents([4], 8)[0]).all())
    True
    """
    return torch.stack([draw(dim, kind, generator("sample", seed)) for seed in seeds])


def truncated(z: Tensor, threshold: float) -> Tensor:
    """z from N(0, 1) as z from the normal distribution cut off at `threshold` deviations (Brock et al. 2019, 3.1).

    Every number moves to the same quantile of the cut distribution, which has the law of drawing again until all
    numbers lie inside, but is continuous in the threshold: a seed's image changes gently with it.

    >>> [round(x, 3) for x in truncated(torch.tensor([-9.0, 0.0, 1.0]), 0.5).tolist()]
    [-0.5, 0.0, 0.334]
    """
    wide = torch.special.ndtr(z.double())
    low = torch.special.ndtr(torch.tensor(-float(threshold), dtype=torch.double))
    cut: Tensor = torch.special.ndtri(low + wide * (1 - 2 * low)).clamp(-threshold, threshold).to(z.dtype)
    return cut


def draw(shape: int | tuple[int, ...], kind: str, source: torch.Generator) -> Tensor:
    """Noise of a kind (`normal` or `uniform`) from a generator, float32."""
    size = (shape,) if isinstance(shape, int) else shape
    if kind not in KINDS:
        raise UsageError(f"there is no z of kind {kind!r}; there are: {', '.join(KINDS)}")
    if kind == "uniform":
        return torch.rand(size, generator=source) * 2 - 1
    return torch.randn(size, generator=source)


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Networks that are built in here have the shapes of their tensors and no numbers, and warn of nothing.

    Tensors are on the `meta` device, where what sets numbers and leaves shapes alone is left out: torch would load its
    compiler for a second, to find in Python that there is nothing to set.
    """
    with torch.device("meta"), _Unset(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


_SETS = {Tensor.normal_, Tensor.uniform_, functional.normalize}


class _Unset(TorchFunctionMode):
    """Leaves numbers as they are where there are none."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SETS or getattr(func, "__module__", None) == "torch.nn.init":
            tensor = args[0] if args else kwargs.get("tensor", kwargs.get("input"))
            if tensor.is_meta:
                return tensor
        return func(*args, **kwargs)
