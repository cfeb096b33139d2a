"""Whether there is a way downhill: images that change gently with z."""

from __future__ import annotations

import torch

from sparring.engine.sampler import TrainedGenerator
from sparring.errors import UsageError

__all__ = ["require_slopes"]


def require_slopes(generator: TrainedGenerator) -> None:
    """Raises UsageError for a generator whose images are chosen by z, not bent by it, as a prior's over codes are."""
    network = generator.network
    device = next(network.parameters()).device
    z, labels = generator.latents(2).to(device).requires_grad_(), generator.labels(2)
    told = () if labels is None else (labels.to(device),)
    with torch.enable_grad():
        images = network(z, *told)
        bent = images.requires_grad and torch.autograd.grad(images.sum(), z, allow_unused=True)[0] is not None
    if not bent:
        raise UsageError("this generator chooses codes by z, so there is no slope to follow; use sample or interpolate")
