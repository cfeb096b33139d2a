"""A trained generator, ready to draw: image i of seed s depends on s + i and on nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from sparring.chance import latents
from sparring.errors import FileUnusableError, SparringError, UsageError
from sparring.pictures import data_url, grid, png, to_uint8
from sparring.recipe import BoundRecipe

__all__ = ["TrainedGenerator", "render"]

_UNBUILDABLE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, SparringError, TypeError, ValueError,
)  # fmt: skip
"""What building a network from numbers in a file may raise."""


@final
class TrainedGenerator:
    """A generator network in evaluation mode."""

    def __init__(self, network: nn.Module, *, source: str = "") -> None:
        self.network: Any = network.eval()
        self.source = source

    @classmethod
    def of(cls, bound: BoundRecipe, weights: Mapping[str, Tensor], *, source: str = "") -> TrainedGenerator:
        """The generator of a bound recipe with given weights; torch's default random numbers are left as they were.

        Raises FileUnusableError if the weights do not fit the recipe, or if its parts cannot be built.
        """
        try:
            # Shapes first: a file's numbers must not be able to ask for memory.
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                expected = bound.recipe.game().build(bound.facts.shape, bound.facts.classes)[bound.recipe.sampler]
            if {k: t.shape for k, t in expected.state_dict().items()} != {k: t.shape for k, t in weights.items()}:
                raise ValueError("other names or shapes")
            with torch.random.fork_rng(devices=[]):
                network = bound.recipe.game().build(bound.facts.shape, bound.facts.classes)[bound.recipe.sampler]
            network.load_state_dict(weights)
        except _UNBUILDABLE as error:
            raise FileUnusableError(f"the weights do not fit {bound.recipe.name}; was a file replaced?") from error
        return cls(network, source=source)

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
        """The images of given z `[n, z_dim]`, as `sample` returns them; an image does not depend on its neighbours."""
        return render(self.network, z, batch=batch)


def render(network: nn.Module, z: Tensor, *, batch: int = 64) -> Tensor:
    """A network's images of z `[n, z_dim]`: uint8 `[n, c, h, w]` (points: float32 `[n, 2, 1, 1]`), on the CPU.

    Every batch has the same size (the last one is filled up), so that an image does not depend on its neighbours.
    """
    device = next(network.parameters()).device
    parts = []
    with torch.inference_mode():
        for part in torch.split(z, batch):
            filled = torch.cat([part, part[:1].expand(batch - len(part), -1)]) if len(part) < batch else part
            parts.append(to_uint8(network(filled.to(device))).cpu()[: len(part)])
    return torch.cat(parts)
