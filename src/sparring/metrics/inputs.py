"""What every metric demands of the features it is given: matrices of finite numbers, of one width, with enough rows."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.errors import DataError, DivergedError, ShapeError

__all__ = ["matrix", "pair"]


def matrix(features: Tensor, *, least: int, what: str) -> Tensor:
    """`features` as float64 [n, d].

    Raises ShapeError where it is no matrix, DataError where n < `least`, DivergedError where a number is not finite.

    >>> matrix(torch.zeros(2, 3), least=2, what="real").dtype
    torch.float64
    """
    if features.ndim != 2:
        raise ShapeError(f"the {what} features have shape {list(features.shape)}, not [n, d]; flatten them first")
    if len(features) < least:
        raise DataError(f"{len(features)} {what} images are too few for this metric; give at least {least}")
    if not bool(torch.isfinite(features).all()):
        raise DivergedError(f"the {what} features hold numbers that are not finite; look at the images they come from")
    return features.detach().double()


def pair(real: Tensor, fake: Tensor, *, least: int) -> tuple[Tensor, Tensor]:
    """Both sets as float64 [n, d] and [m, d]; raises as `matrix` does, and ShapeError where their widths differ."""
    if real.ndim == fake.ndim == 2 and real.shape[1] != fake.shape[1]:
        raise ShapeError(
            f"real features have {real.shape[1]} dimensions and fake ones {fake.shape[1]}; take both from one network"
        )
    return matrix(real, least=least, what="real"), matrix(fake, least=least, what="fake")
