"""Small matrices, one for each image: of the plane `[n, 3, 3]` and of colours `[n, 4, 4]`, homogeneous."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["hue_turned", "lit", "luma_flipped", "saturated", "scaled", "shifted", "spread", "turned"]

_THIRD = 1 / math.sqrt(3)


def scaled(x: Tensor, y: Tensor) -> Tensor:
    """(x, y) -> (sx x, sy y)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[x, zero, zero], [zero, y, zero], [zero, zero, one]])


def shifted(x: Tensor, y: Tensor) -> Tensor:
    """(x, y) -> (x + tx, y + ty)."""
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[one, zero, x], [zero, one, y], [zero, zero, one]])


def turned(angle: Tensor) -> Tensor:
    """A rotation by an angle in radians."""
    zero, one, cos, sin = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _matrix([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])


def lit(light: Tensor) -> Tensor:
    """The same added to each colour."""
    zero, one = torch.zeros_like(light), torch.ones_like(light)
    return _matrix([[one, zero, zero, light], [zero, one, zero, light], [zero, zero, one, light], [zero] * 3 + [one]])


def spread(contrast: Tensor) -> Tensor:
    """Each colour times the same."""
    return _around_luma(contrast, contrast, torch.zeros_like(contrast))


def luma_flipped(flip: Tensor) -> Tensor:
    """Light and dark exchanged where `flip` is 1: a reflection along the grey axis."""
    return _around_luma(1 - 2 * flip, torch.ones_like(flip), torch.zeros_like(flip))


def saturated(saturation: Tensor) -> Tensor:
    """The distance from the grey axis times `saturation`."""
    return _around_luma(torch.ones_like(saturation), saturation, torch.zeros_like(saturation))


def hue_turned(angle: Tensor) -> Tensor:
    """A rotation about the grey axis (Rodrigues' formula)."""
    return _around_luma(torch.ones_like(angle), angle.cos(), angle.sin())


def _around_luma(along: Tensor, across: Tensor, around: Tensor) -> Tensor:
    """a v v^T + b (I - v v^T) + c [v]_x for the grey axis v = (1, 1, 1) / sqrt 3."""
    axis = along.new_full((3,), _THIRD)
    grey = axis[:, None] * axis[None, :]
    cross = along.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * _THIRD
    parts = ((along, grey), (across, torch.eye(3, device=along.device, dtype=along.dtype) - grey), (around, cross))
    found = torch.zeros(len(along), 4, 4, device=along.device, dtype=along.dtype)
    found[:, :3, :3] = torch.stack([factor[:, None, None] * matrix for factor, matrix in parts]).sum(0)
    found[:, 3, 3] = 1
    return found


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
