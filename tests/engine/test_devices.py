"""Where the work happens, as far as it can be told without a GPU and in one process."""

from __future__ import annotations

import pytest
import torch
from torch._utils import _get_device_index

from sparring.engine.devices import find_device
from sparring.errors import UsageError


def test_a_gpu_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.cuda.set_device` asks `_get_device_index`, which refuses a GPU without one."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [_get_device_index(find_device(name)) for name in (None, "cuda", "cuda:1")] == [0, 0, 1]
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(UsageError, match="the GPUs are cuda:0 to cuda:1"):
        find_device("cuda:2")
