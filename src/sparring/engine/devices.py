"""Where the work happens: device, processes, threads, memory. The only module that knows Accelerate."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import time
from collections.abc import Iterable
from typing import Any, final

import torch
from torch import Tensor

from sparring.errors import UsageError

__all__ = ["Devices", "cores", "find_device", "machine", "matrix_rate", "out_of_memory"]


@final
class Devices:
    """This process's device and its place among the processes started by `torchrun` (one, if none were)."""

    def __init__(self, device: str | None = None, threads: int | None = None) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        self.threads = threads or max(cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")), 1)
        torch.set_num_threads(self.threads)
        _keep_memory_blocks()
        torch.set_flush_denormal(True)
        self._accelerator = _accelerator(device) if self.world > 1 else None
        self.device = self._accelerator.device if self._accelerator else find_device(device)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)

    @property
    def main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, batch: int, part: int = 0, parts: int = 1) -> slice:
        """This process's piece of a global batch that is played in `parts`; raises UsageError where it does not split.

        All processes are in the same part at once, so that parts lie one after the other as well.
        """
        pieces = self.world * parts
        if batch % pieces:
            sizes = sorted({batch // pieces * pieces or pieces, -(-batch // pieces) * pieces})
            over = f"{self.world} processes" if parts == 1 else f"{parts} parts of {self.world} processes"
            raise UsageError(f"batch {batch} does not split over {over}; use {' or '.join(map(str, sizes))}")
        size, place = batch // pieces, part * self.world + self.rank
        return slice(place * size, (place + 1) * size)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of a batch `[n, ...]` over all processes, `[...]`, differentiable."""
        local = x.mean(0)
        if self._accelerator is None:
            return local
        from torch.distributed.nn.functional import all_reduce

        total: Tensor = all_reduce(local)
        return total / self.world

    def anywhere(self, flag: Tensor) -> Tensor:
        """Whether a flag, a scalar, is up on any process: what all must do alike, or wait for each other for ever."""
        if self._accelerator is None:
            return flag
        total: Tensor = self._accelerator.reduce(flag.float(), "sum")
        return total > 0

    def average_(self, tensors: Iterable[Tensor]) -> None:
        """Average gradients over the processes in place, in one flat all-reduce."""
        if self._accelerator is None:
            return
        listed = list(tensors)
        flat = self._accelerator.reduce(torch.cat([t.flatten() for t in listed]), "mean")
        for tensor, part in zip(listed, flat.split([t.numel() for t in listed]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def seed(self, number: int) -> None:
        """Seed the default generators, for dropout.

        Not `torch.manual_seed`: where CUDA is not in use, that queues a stack trace for it at every call.
        """
        torch.default_generator.manual_seed(number)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(number)

    def precision(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision on GPUs that have bfloat16; nothing elsewhere."""
        if self.device.type == "cuda" and torch.cuda.is_bf16_supported():
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()


def cores() -> int:
    """The cores this process may use, which may be fewer than the machine has.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
        return max(min(allowed, _quota() or allowed), 1)
    return os.cpu_count() or 1


@functools.cache
def matrix_rate(device: str = "cpu", seconds: float = 0.2) -> float:
    """The machine's measured float32 matrix rate, in floating-point operations a second."""
    n = 1024
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    out, done, begin = a @ b, 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        torch.mm(a, b, out=out)
        if device != "cpu":
            torch.cuda.synchronize()
        done += 1
    return 2 * n**3 * max(done, 1) / elapsed


def machine(devices: Devices) -> dict[str, Any]:
    """What a run was trained on, for its records."""
    return {
        "device": torch.cuda.get_device_name() if devices.device.type == "cuda" else _processor(),
        "processes": devices.world,
        "threads": devices.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def find_device(name: str | None) -> torch.device:
    """The device a person names, else the best there is; raises UsageError for one that is not here.

    A GPU has a number, the first one unless it is named: torch can make no other the current one.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"there is no device {name!r}; use cpu, cuda or cuda:0") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"{name} asks for a GPU, but this torch sees none; leave --device out to use the CPU")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"{name} is not here; the GPUs are cuda:0 to cuda:{torch.cuda.device_count() - 1}")
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {name!r} is not supported; use cpu, cuda or cuda:0")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, in any of torch's ways of saying so.

    >>> out_of_memory(RuntimeError("required rank 4 tensor to use channels_last memory format"))
    False
    """
    words = str(error).lower()
    said = ("allocate memory", "out of memory", "not enough memory")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(way in words for way in said)


def _accelerator(device: str | None) -> Any:
    from accelerate import Accelerator

    return Accelerator(cpu=device == "cpu" or not torch.cuda.is_available())


@functools.cache
def _keep_memory_blocks() -> None:
    """Ask glibc to reuse large blocks instead of mapping and unmapping them in every round.

    Page faults cost 15-30 % of a CPU round otherwise. M_MMAP_MAX (-4) 0: no block is mapped on its own;
    M_TRIM_THRESHOLD (-1): freed memory is kept.
    """
    if platform.system() != "Linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-4, 0)
        libc.mallopt(-1, 2**31 - 1)


def _quota() -> int | None:
    """The container's CPU quota in whole cores, if it has one (cgroup v2)."""
    with contextlib.suppress(OSError, ValueError), open("/sys/fs/cgroup/cpu.max") as file:
        quota, period = file.read().split()
        return max(int(int(quota) / int(period)), 1)
    return None


def _processor() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "CPU"
