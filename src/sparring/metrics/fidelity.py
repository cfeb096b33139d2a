"""How near answers are to those that were wanted, image by image: for games whose questions have an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.errors import DataError, ShapeError
from sparring.features.distance import perceptual as distance
from sparring.features.network import FeatureNetwork
from sparring.metrics.intervals import mean_interval
from sparring.metrics.score import Fact, Score
from sparring.names import discover
from sparring.pictures import scaled

__all__ = ["Fidelity", "absolute_error", "fidelities", "perceptual", "psnr", "scored", "sharpness"]

_MOST_DECIBELS = 100.0
_BATCH = 64


@dataclass(frozen=True)
class Fidelity:
    """A measure by its name: `measure(wanted, made, network)` of uint8 images `[n, c, h, w]` gives `[n]` numbers."""

    name: str
    measure: Callable[[Tensor, Tensor, FeatureNetwork | None], Tensor]
    higher_is_better: bool
    unit: str


def fidelities() -> Mapping[str, Fidelity]:
    """Every one by its name.

    >>> list(fidelities())
    ['absolute_error', 'perceptual', 'psnr', 'sharpness']
    """
    found = (member for member in discover("metrics").values() if isinstance(member, Fidelity))
    return {one.name: one for one in found}


def scored(fidelity: Fidelity, wanted: Tensor, made: Tensor, network: FeatureNetwork | None = None) -> Score:
    """The mean over answers, with Student's interval. Raises ShapeError for other shapes, DataError for under two."""
    if wanted.shape != made.shape:
        raise ShapeError(f"answers {list(made.shape)} cannot be compared with {list(wanted.shape)}; give equal shapes")
    if len(wanted) < 2:
        raise DataError("one answer has no interval; give at least 2")
    parts = zip(wanted.split(_BATCH), made.split(_BATCH), strict=True)
    values = torch.cat([fidelity.measure(a, b, network) for a, b in parts]).double()
    protocol: dict[str, Fact] = {
        "answers": len(values),
        "unit": fidelity.unit,
        "interval": "95 %, Student's over the answers",
    }
    return Score(fidelity.name, *mean_interval(values.tolist()), fidelity.higher_is_better, protocol)


def _psnr(wanted: Tensor, made: Tensor, network: FeatureNetwork | None) -> Tensor:
    """10 log10(255^2 / mean squared error); equal images have 100 dB.

    >>> round(_psnr(torch.zeros(1, 1, 1, 1), torch.full((1, 1, 1, 1), 25.5), None).item(), 6)
    20.0
    """
    error = (wanted.double() - made.double()).square().flatten(1).mean(1)
    return (10 * torch.log10(255.0**2 / error)).clamp(max=_MOST_DECIBELS)


def _absolute_error(wanted: Tensor, made: Tensor, network: FeatureNetwork | None) -> Tensor:
    """Mean |wanted - made|, with white 1 and black 0."""
    return (wanted.double() - made.double()).abs().flatten(1).mean(1) / 255


def _sharpness(wanted: Tensor, made: Tensor, network: FeatureNetwork | None) -> Tensor:
    """The mean difference of neighbouring pixels over that of the wanted image: below 1 is blurred, above is noisy.

    What differs by less than a tenth of a grey level counts as flat, and differs by that.

    >>> flat = torch.full((1, 1, 8, 8), 90, dtype=torch.uint8)
    >>> _sharpness(flat, flat, None).item()  # as sharp as was wanted, although nothing is
    1.0
    """
    mine, theirs = (_contrast(images).clamp(min=0.1) for images in (made, wanted))
    return mine / theirs


def _contrast(images: Tensor) -> Tensor:
    x = images.double()
    across, down = (x.diff(dim=dim).abs().flatten(1).mean(1) for dim in (3, 2))
    return across + down


def _perceptual(wanted: Tensor, made: Tensor, network: FeatureNetwork | None) -> Tensor:
    """The distance of inner layers (Zhang et al. 2018, without learned weights), of those no loss here looks at."""
    if network is None:
        raise ShapeError("a perceptual distance needs a feature network, and these images have none; leave it out")
    device = next(network.module.parameters()).device
    with torch.inference_mode():
        theirs, mine = (network.layers(scaled(x.to(device))) for x in (wanted, made))
        return distance(theirs[1::2], mine[1::2]).cpu()


psnr = Fidelity("psnr", _psnr, higher_is_better=True, unit="dB")
absolute_error = Fidelity("absolute_error", _absolute_error, higher_is_better=False, unit="of white")
sharpness = Fidelity("sharpness", _sharpness, higher_is_better=True, unit="of the wanted image's")
perceptual = Fidelity("perceptual", _perceptual, higher_is_better=False, unit="of every second layer, from the second")
