"""Instance noise: reals and fakes blurred by the same noise, so that their distributions overlap."""

from __future__ import annotations

import math

from torch import Tensor

from sparring.chance import Draw

__all__ = ["instance_noise"]


def instance_noise(images: Tensor, strength: Tensor, draw: Draw) -> Tensor:
    """x + sigma N(0, I) with sigma = `strength`, in the units of the images (Soenderby et al. 2017).

    The paper lets sigma fall to zero during training: give a `Linear` as the strength.
    """
    return images + strength * draw(len(images), math.prod(images.shape[1:]), "normal").view_as(images)
