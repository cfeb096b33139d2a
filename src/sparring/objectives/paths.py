"""Path length regularisation: a step in latent space moves the image by the same length everywhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sparring.objectives.distances import root
from sparring.objectives.penalties import PenaltyFunction, PenaltyInputs, State

__all__ = ["path_length", "path_lengths"]


def path_lengths(inputs: PenaltyInputs, state: State, *, decay: float = 0.01) -> tuple[Tensor, State]:
    """(|J^T y| - a)^2 with y from N(0, I) over the pixels, a its running mean (Karras et al. 2020, eq. 4).

    J is the generator's Jacobian at `latents`: w `[n, layers, dim]` for style generators, whose squared lengths are
    averaged over the layers, z `[n, dim]` for others. y is divided by the square root of the pixels of a channel, so
    that lengths do not grow with the size.
    """
    assert inputs.latents is not None, "the penalty must list latents as differentiated"
    height, width = inputs.fake.shape[-2:]
    noise = inputs.noise_like(inputs.fake, "normal") / math.sqrt(height * width)
    (gradient,) = torch.autograd.grad((inputs.fake * noise).sum(), inputs.latents, create_graph=True)
    wide = torch.promote_types(gradient.dtype, torch.float32)  # in bfloat16 a mean would not move by a hundredth
    squared = gradient.to(wide).square().sum(-1)
    squared = squared.flatten(1).mean(1) if squared.dim() > 1 else squared
    lengths = root(squared)
    before = state.get("mean", torch.zeros_like(lengths[0].detach())).to(lengths.dtype)
    mean = before.lerp(inputs.mean(lengths.detach()), decay)
    return (lengths - mean).square(), {"mean": mean}


path_length = PenaltyFunction(path_lengths, differentiates=("latents",), per_image=True, turn="generator")
