"""What a frozen feature network is: uint8 images in, float32 features (and class logits) out, its identity attached.

A score is a property of the images *and* of the eyes that looked at them, so a network carries its name, the sha256 of
its weight file and the rule by which it brings images to its own size; `protocol()` puts all three into every result.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sparring.errors import ShapeError

__all__ = ["FeatureNetwork", "FeatureSource", "Features", "LayeredNetwork", "sha256_of"]


@dataclass(frozen=True, eq=False)
class Features:
    """What a network saw: `values` [n, d], and `logits` [n, k] where the network also classifies; float32, on the CPU.

    >>> len(Features(torch.zeros(5, 64))[:3])
    3
    """

    values: Tensor
    logits: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: slice | Tensor) -> Features:
        """The same features for some of the images."""
        return Features(self.values[rows], None if self.logits is None else self.logits[rows])


class LayeredNetwork(nn.Module, ABC):
    """A feature network as torch knows it: uint8 images in, `Features` out, and its inner layers for losses."""

    @abstractmethod
    def forward(self, images: Tensor) -> Features:
        """Features of uint8 `[n, channels, h, w]`."""

    @abstractmethod
    def layers(self, x: Tensor) -> list[Tensor]:
        """Inner layers of images in [-1, 1] at their own size, from shallow to deep, `[n, c, h, w]` each."""


@dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A frozen network together with everything that must be said about it beside a score.

    `module` takes uint8 [n, channels, h, w] in its own channel count and returns `Features`; it does its own resizing,
    by the rule that `resize` states in words. `labels` names what the logits classify (an Inception Score means
    nothing without it), or is None where there are no logits.
    """

    name: str
    checksum: str
    dimension: int
    channels: int
    resize: str
    labels: str | None
    module: LayeredNetwork
    batch: int = 250

    def features(self, images: Tensor) -> Features:
        """Features of uint8 images [n, c, h, w] (c = 1 or 3, any size): `values` [n, d]; without gradients.

        Grey images are repeated for an RGB network; RGB images become luminance for a grey one (`protocol` says so).
        They go through `module` `batch` at a time, on the device of its weights.
        Raises ShapeError for anything but uint8 images.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ShapeError(
                f"features are taken from uint8 images [n, 1 or 3, height, width], not from "
                f"{images.dtype} {list(images.shape)}; scale to 0..255 and convert first"
            )
        if len(images) == 0:
            raise ShapeError("there are no images to take features from; give at least one")
        weight = next(self.module.parameters())
        with torch.inference_mode():
            parts = [self._some(part.to(weight.device)) for part in torch.split(images, self.batch)]
        logits = [part.logits.cpu() for part in parts if part.logits is not None]
        # clone: an inference tensor could not be used in any later computation that records gradients
        return Features(
            torch.cat([part.values.cpu() for part in parts]).clone(), torch.cat(logits).clone() if logits else None
        )

    def layers(self, images: Tensor) -> list[Tensor]:
        """Inner layers of images `[n, c, h, w]` in [-1, 1], differentiable, at the images' own size, shallow to deep.

        Of images with alpha or more channels the first three are looked at, of two the first.
        """
        few = images[:, : 3 if images.shape[1] >= 3 else 1]
        if few.shape[1] != self.channels:
            few = few.expand(-1, 3, -1, -1) if self.channels == 3 else _luminance(few)
        return self.module.layers(few)

    def to(self, device: torch.device | str) -> FeatureNetwork:
        """This network, with its weights moved to a device."""
        self.module.to(device)
        return self

    def protocol(self, channels: int) -> dict[str, str]:
        """What to state beside a score of images with this many channels: network, checksum, resize and colour rule."""
        colour = {(1, 3): "grey repeated to RGB", (3, 1): "luminance 0.299 R + 0.587 G + 0.114 B"}
        facts = {
            "features": self.name,
            "features_sha256": self.checksum,
            "resize": self.resize,
            "colour": colour.get((channels, self.channels), "as is"),
        }
        return facts if self.labels is None else {**facts, "labels": self.labels}

    def _some(self, images: Tensor) -> Features:
        seen: Features = self.module(_with_channels(images, self.channels))
        return seen


@dataclass(frozen=True)
class FeatureSource:
    """Where a network comes from: a module of this package holds one, and that is how it is found.

    `missing()` is None when `load()` will succeed, else one sentence saying what to install or which file to put where.
    """

    name: str
    load: Callable[[], FeatureNetwork]
    missing: Callable[[], str | None]


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _with_channels(images: Tensor, channels: int) -> Tensor:
    """uint8 [n, 1 or 3, h, w] -> uint8 [n, channels, h, w]."""
    if images.shape[1] == channels:
        return images
    if channels == 3:
        return images.expand(-1, 3, -1, -1)
    return _luminance(images).round().to(torch.uint8)


def _luminance(images: Tensor) -> Tensor:
    """RGB `[n, 3, h, w]` as grey `[n, 1, h, w]`, by ITU-R BT.601."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=images.device).view(1, 3, 1, 1)
    return (images * weights).sum(1, keepdim=True)
