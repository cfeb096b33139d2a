"""Seeds, and networks of shapes alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from sparring.chance import seed_of, without_memory


def conv(**more: str) -> nn.Module:
    """Every way in which numbers are set."""
    layer = parametrizations.spectral_norm(nn.Conv2d(3, 4, 3, **more))  # type: ignore[arg-type]
    nn.init.normal_(layer.bias)  # type: ignore[arg-type]
    nn.functional.normalize(dim=0, input=layer.bias)  # type: ignore[arg-type]
    layer.register_buffer("noise", torch.zeros(4, **more).uniform_().normal_())  # type: ignore[call-overload]
    return layer


def test_shapes_and_no_numbers() -> None:
    state = torch.get_rng_state()
    with without_memory():
        shapes = conv().state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(tensor.is_meta for tensor in shapes.values())
    assert {name: t.shape for name, t in shapes.items()} == {name: t.shape for name, t in conv().state_dict().items()}


def test_numbers_that_are_there_are_set() -> None:
    with without_memory():
        layer = conv(device="cpu")
        nn.init.ones_(layer.bias)  # type: ignore[arg-type]
    assert layer.bias.tolist() == [1, 1, 1, 1]  # type: ignore[operator, union-attr]
    assert layer.noise.abs().min() > 0  # type: ignore[operator, union-attr]
    assert layer.parametrizations.weight[0]._u.norm().item() == pytest.approx(1)  # type: ignore[union-attr, index]


@pytest.mark.parametrize("name", ["quick", "dcgan"])
def test_binding_does_not_load_a_compiler(name: str) -> None:
    """It takes a second, of every command that reads a run."""
    code = f"""
import sys
from sparring.recipes.spelling import recipe_named
recipe_named({name!r}).bind((1, 28, 28), 0, 96, 1000)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbers_of_numpy_are_numbers() -> None:
    assert seed_of(np.int64(3), "z") == seed_of(3, "z") != seed_of("3", "z")
