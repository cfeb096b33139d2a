"""Vector quantisation: maps whose every place is one of few codes (van den Oord et al. 2017; Esser et al. 2021)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from sparring.networks.layers import require_choice

__all__ = ["Quantised", "Quantiser"]


@dataclass(frozen=True)
class Quantised:
    """What became of maps z `[n, dim, h, w]`, whose nearest codes are e.

    `maps` are e, `[n, dim, h, w]`; their gradient goes to z as if nothing had happened. `indices` name the codes, int64
    `[n, h, w]`. `codebook` is the mean of (sg(z) - e)^2 over all numbers, `commitment` that of (z - sg(e))^2, where sg
    stops gradients: scalars without weights.
    """

    maps: Tensor
    indices: Tensor
    codebook: Tensor
    commitment: Tensor


class Quantiser(nn.Module):
    """Maps z `[n, dim, h, w]` -> the nearest of `codes` vectors at every place (Esser et al. 2021, eq. 2).

    With `gradient` the codes are parameters, moved by a loss: codebook + beta commitment is that of both papers
    (van den Oord et al. 2017, eq. 3, beta = 0.25; Esser et al. 2021, eq. 4); beta codebook + commitment is what the
    authors of VQGAN trained with, their code's "legacy". With `average` the codes are buffers, each the moving average
    of what chose it (van den Oord et al. 2017, appendix A), and the loss is beta commitment.

    `usage` is a moving average in either case, of how often a code is chosen, as a multiple of its fair share: 1 where
    all are chosen alike, at any batch size, of any maps. It moves in training mode, by 1 - `decay` a batch; `used` is
    the share of codes that reach `threshold`.
    """

    usage: Tensor
    sums: Tensor

    def __init__(
        self,
        codes: int,
        dim: int,
        *,
        how: Literal["gradient", "average"] = "gradient",
        decay: float = 0.99,
        epsilon: float = 1e-5,
        threshold: float = 0.1,
    ) -> None:
        super().__init__()
        self.codes, self.dim, self.how = codes, dim, how
        self.decay, self.epsilon, self.threshold = decay, epsilon, threshold
        start = torch.empty(codes, dim).uniform_(-1 / codes, 1 / codes)
        self.codebook: Tensor
        if require_choice(how, ("gradient", "average"), "quantiser") == "gradient":
            self.codebook = nn.Parameter(start)
        else:
            self.register_buffer("codebook", start)
            self.register_buffer("sums", start.clone())  # as if each code had had its fair share of vectors like itself
        self.register_buffer("usage", torch.ones(codes))

    @property
    def used(self) -> Tensor:
        """The share of codes whose usage is `threshold` or more, a scalar."""
        return (self.usage >= self.threshold).to(self.usage.dtype).mean()

    def nearest(self, maps: Tensor) -> Tensor:
        """Indices `[n, h, w]` of the codes nearest to maps `[n, dim, h, w]`; the first of several as near."""
        with torch.no_grad(), torch.autocast(maps.device.type, enabled=False):
            vectors = maps.to(self.codebook.dtype).permute(0, 2, 3, 1)
            # |z - e|^2 without |z|^2, which is the same for all codes.
            return (self.codebook.square().sum(1) - 2 * vectors @ self.codebook.t()).argmin(3)

    def lookup(self, indices: Tensor) -> Tensor:
        """Maps `[n, dim, h, w]` of indices `[n, h, w]`."""
        return embedding(indices, self.codebook).permute(0, 3, 1, 2)

    def forward(self, maps: Tensor, *, mean: Callable[[Tensor], Tensor] | None = None) -> Quantised:
        """The maps quantised; in training mode the averages move afterwards.

        `mean` is the mean over the images of all processes, `[n, ...]` -> `[...]`; by default that of these images.
        """
        maps = maps.to(self.codebook.dtype)
        indices = self.nearest(maps)
        chosen = self.lookup(indices)
        if self.training:
            with torch.autocast(maps.device.type, enabled=False):
                self._move(maps, indices, mean or _mean)
        return Quantised(
            maps=chosen.detach() + (maps - maps.detach()),  # in this order the numbers are those of the codes, exactly
            indices=indices,
            codebook=(chosen - maps.detach()).square().mean(),
            commitment=(maps - chosen.detach()).square().mean(),
        )

    @torch.no_grad()
    def drawn(self, maps: Tensor, draw: Tensor) -> Tensor:
        """Vectors of `maps` `[n, dim, h, w]`, one for each code, `[codes, dim]`; `draw` `[codes]` is from U(0, 1)."""
        vectors = maps.detach().to(self.codebook.dtype).permute(0, 2, 3, 1).flatten(0, 2)
        places = (draw.to(vectors.device) * len(vectors)).long().clamp(0, len(vectors) - 1)
        return vectors[places]

    @torch.no_grad()
    def revive(self, fresh: Tensor, threshold: float) -> None:
        """Put vectors `[codes, dim]`, the same on all processes, in place of codes whose usage is below `threshold`.

        A revived code begins with its fair share of usage. An optimiser's moments stay as they were.
        """
        dead = self.usage < threshold
        self.codebook.copy_(torch.where(dead[:, None], fresh, self.codebook))
        self.usage.masked_fill_(dead, 1.0)
        if self.how == "average":
            self.sums.copy_(torch.where(dead[:, None], fresh, self.sums))

    @torch.no_grad()
    def _move(self, maps: Tensor, indices: Tensor, mean: Callable[[Tensor], Tensor]) -> None:
        """N <- decay N + (1 - decay) n, m <- decay m + (1 - decay) sum z, e <- m / N (appendix A), N in fair shares.

        Each N is smoothed by epsilon as Laplace did, so that none is zero, and their sum stays what it was.
        """
        chosen = indices.flatten(1)[:, :, None] == torch.arange(self.codes, device=indices.device)
        share = self.codes / chosen.shape[1]
        self.usage.lerp_(mean(chosen.sum(1).to(self.usage.dtype)) * share, 1 - self.decay)
        if self.how == "gradient":
            return
        sums = chosen.to(maps.dtype).transpose(1, 2) @ maps.flatten(2).transpose(1, 2)
        self.sums.lerp_(mean(sums) * share, 1 - self.decay)
        total = self.usage.sum()
        smooth = (self.usage + self.epsilon) / (total + self.codes * self.epsilon) * total
        self.codebook.copy_(self.sums / smooth[:, None])


def _mean(x: Tensor) -> Tensor:
    return x.mean(0)
