"""A trained generator, ready to draw: image i of seed s depends on s + i and on nothing else."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from sparring.chance import latents
from sparring.errors import UsageError
from sparring.pictures import data_url, grid, png, to_uint8

__all__ = ["TrainedGenerator"]


@final
class TrainedGenerator:
    """A generator network in evaluation mode."""

    def __init__(self, network: nn.Module, *, source: str = "") -> None:
        self.network: Any = network.eval()
        self.source = source

    def __repr__(self) -> str:
        return f"TrainedGenerator({self.source!r}, z_dim={self.z_dim})"

    def _repr_html_(self) -> str:
        """Sixteen samples, for notebooks."""
        return f'<img alt="16 samples" src="{data_url(png(grid(self.sample(16), scale=2)))}">'

    @property
    def z_dim(self) -> int:
        """Dimensions of z."""
        return int(self.network.z_dim)

    @property
    def z_kind(self) -> str:
        """Distribution of z, `normal` or `uniform`."""
        return str(self.network.z_kind)

    def latents(self, n: int, seed: int = 0) -> Tensor:
        """z of the seeds `seed`..`seed + n - 1`, `[n, z_dim]`."""
        if n < 1:
            raise UsageError(f"{n} samples cannot be drawn; ask for 1 or more")
        return latents(list(range(seed, seed + n)), self.z_dim, self.z_kind)

    def sample(self, n: int = 16, *, seed: int = 0, batch: int = 64) -> Tensor:
        """Images of the seeds `seed`..`seed + n - 1`: uint8 `[n, c, h, w]` (points: float32 `[n, 2, 1, 1]`).

        Raises UsageError if n < 1.
        """
        return self.images(self.latents(n, seed), batch=batch)

    def images(self, z: Tensor, *, batch: int = 64) -> Tensor:
        """The images of given z `[n, z_dim]`, as `sample` returns them.

        Every batch has the same size (the last one is filled up), so that an image does not depend on its neighbours.
        """
        device = next(self.network.parameters()).device
        parts = []
        with torch.inference_mode():
            for part in z.split(batch):
                filled = torch.cat([part, part[:1].expand(batch - len(part), -1)]) if len(part) < batch else part
                parts.append(to_uint8(self.network(filled.to(device))).cpu()[: len(part)])
        return torch.cat(parts)
