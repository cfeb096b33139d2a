"""A pool of earlier fakes, so that a judge does not forget what it was shown (Shrivastava et al. 2017, section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from sparring.fitting import Shape

__all__ = ["Pool"]


@final
@dataclass(frozen=True)
class Pool:
    """Up to `size` images of a shape: an image that comes goes in while there is room.

    Afterwards it is shown as it is with probability 1/2; otherwise it takes the place of a random one of the pool,
    which is shown in its place (Zhu et al. 2017, section 4). What it holds are tensors that its owner keeps.
    """

    size: int
    shape: Shape

    def begin(self) -> dict[str, Tensor]:
        """An empty pool: `images` `[size, c, h, w]` and their `count`."""
        return {"images": torch.zeros(self.size, *self.shape), "count": torch.zeros((), dtype=torch.int64)}

    def exchange(self, held: dict[str, Tensor], images: Tensor, draw: Tensor) -> Tensor:
        """Images to show for those that come; `held` is changed. `draw` `[n, 2]` is uniform in [-1, 1].

        >>> pool, held = Pool(1, (1, 1, 1)), Pool(1, (1, 1, 1)).begin()
        >>> come = torch.tensor([5.0, 7.0]).view(2, 1, 1, 1)
        >>> pool.exchange(held, come, torch.tensor([[0.0, 0.0], [0.5, 0.0]])).flatten().tolist(), held["images"].item()
        ([5.0, 5.0], 7.0)
        """
        if not self.size:
            return images
        shown = []
        for image, (chance, place) in zip(images, draw.add(1).div(2), strict=True):
            full = held["count"] >= self.size
            drawn = (place * self.size).long().clamp(max=self.size - 1)
            slot = torch.where(full, drawn, held["count"]).view(1)
            old, out = held["images"].index_select(0, slot)[0], full & (chance >= 0.5)
            shown.append(torch.where(out, old, image))
            keeps = torch.where(full & ~out, old, image)
            held["images"].index_copy_(0, slot, keeps[None].to(held["images"].dtype))
            held["count"].add_((~full).long())
        return torch.stack(shown)
