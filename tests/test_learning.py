"""Every recipe learns: from points on a ring it finds all eight modes, on one thread in seconds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sparring import recipes
from sparring.data import open_data, split_held_out
from sparring.data.loader import Loader
from sparring.data.points import MIXTURES
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.sampler import TrainedGenerator
from test_contracts import OF_IMAGES

LEARNS = {
    "gan": (150_000, 0.6),
    "dcgan": (150_000, 0.6),
    "r3gan": (120_000, 0.6),
    "quick": (120_000, 0.6),
    "lsgan": (150_000, 0.6),
    "dragan": (150_000, 0.6),
    "pacgan": (150_000, 0.4),
    "wgan": (150_000, 0.4),
    "wgan_gp": (120_000, 0.4),
    "sngan": (150_000, 0.4),
    "unrolled": (60_000, 0.4),
    "minibatch_discrimination": (160_000, 0.4),
    "feature_matching": (200_000, 0.4),
    "cgan": (120_000, 0.6),
    "acgan": (150_000, 0.4),
    "projection_gan": (120_000, 0.4),
    "biggan": (120_000, 0.4),
    "stylegan2": (150_000, 0.4),
    "progan": (150_000, 0.4),
    "stylegan": (150_000, 0.4),
}
"""Images, and the share of samples near a mode: the slower learners get a lower bar, ten times a blind G's 3 %."""
SETTINGS: dict[str, dict[str, Any]] = {
    "minibatch_discrimination": {"rate": 1e-3, "kernels": 20},
    "wgan": {"discriminator_turns": 2, "rate": 1e-3},
    "wgan_gp": {"discriminator_turns": 2},
    "sngan": {"discriminator_turns": 1, "rate": 1e-3},
    "projection_gan": {"discriminator_turns": 1, "rate": 1e-3},
    "biggan": {"discriminator_turns": 1, "rate": 1e-3, "discriminator_rate": 1e-3, "orthogonality": 0.0},
    "stylegan2": {"path_weight": 0.0, "gamma": 0.1},
}
"""What makes a test short enough."""


@pytest.mark.parametrize("name", [name for name in recipes.__all__ if name not in OF_IMAGES])
def test_ring_of_eight(name: str, devices: Devices) -> None:
    """At least 2 % of the samples at each of 8 modes, and most samples near one (a blind G has 3 % there)."""
    budget, bar = LEARNS[name]
    data = open_data("ring8", count=20_000)
    centres = torch.as_tensor(MIXTURES["ring8"].centres).float()
    data.labels = torch.cdist(data.images(torch.arange(len(data))).flatten(1), centres).argmin(1)  # a mode is a class
    split = split_held_out(data)
    fitted = getattr(recipes, name)(**SETTINGS.get(name, {})).bind(data.shape, 8, len(split.train), budget)
    state = None
    for played in rounds(fitted, Loader(data, split.train, seed=0), seed=0, devices=devices, until=budget):
        state = played.state
    assert state is not None
    generator = TrainedGenerator(state.players["generator"].shown())
    distance, mode = torch.cdist(generator.sample(2000).flatten(1), centres).min(1)
    near = distance < 0.1
    shares = [float((near & (mode == k)).float().mean()) for k in range(8)]
    assert min(shares) > 0.02, shares
    assert sum(shares) > bar, shares
    if generator.classes:
        obeyed = near & (mode == torch.arange(2000) % 8)
        assert float(obeyed.sum() / near.sum()) > 0.9
