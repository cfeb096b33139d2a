"""What papers report for the same tasks, with what differs from the protocols here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published"]


@dataclass(frozen=True)
class Published:
    """A row of a paper's table: numbers as printed, None where it has none."""

    source: str
    method: str
    captured: str
    near: str | None
    divergence: str | None
    differs: str


_LIN = "Lin et al. 2018, table 1"
_LIN_DIFFERS = "mean and standard error of 10 trials of 400,000 rounds; KL as here"
_VEEGAN = "Srivastava et al. 2017, table 1"
_VEEGAN_DIFFERS = "mean of 5 runs; other networks; other widths of the modes"
_METZ = "Lin et al. 2018, table 3"
_METZ_DIFFERS = "mean and standard error of 50 trials, D of a quarter of G's size, 500,000 rounds"

PUBLISHED: Mapping[str, tuple[Published, ...]] = {
    "ring8": (
        Published(_LIN, "GAN", "6.3 ± 0.5", "98.2 ± 0.2 %", "0.45 ± 0.09", _LIN_DIFFERS),
        Published(_LIN, "PacGAN2", "7.9 ± 0.1", "95.6 ± 2.0 %", "0.07 ± 0.03", _LIN_DIFFERS),
        Published(_LIN, "PacGAN3", "7.8 ± 0.1", "97.7 ± 0.3 %", "0.10 ± 0.02", _LIN_DIFFERS),
        Published(_LIN, "PacGAN4", "7.8 ± 0.1", "95.9 ± 1.4 %", "0.07 ± 0.02", _LIN_DIFFERS),
        Published(_VEEGAN, "Unrolled GAN (5)", "7.6", "35.6 %", None, _VEEGAN_DIFFERS),
        Published(_VEEGAN, "VEEGAN", "8", "52.9 %", None, _VEEGAN_DIFFERS),
    ),
    "grid25": (
        Published(_LIN, "GAN", "17.3 ± 0.8", "94.8 ± 0.7 %", "0.70 ± 0.07", _LIN_DIFFERS),
        Published(_LIN, "PacGAN2", "23.8 ± 0.7", "91.3 ± 0.8 %", "0.13 ± 0.04", _LIN_DIFFERS),
        Published(_LIN, "PacGAN3", "24.6 ± 0.4", "94.2 ± 0.4 %", "0.06 ± 0.02", _LIN_DIFFERS),
        Published(_LIN, "PacGAN4", "24.8 ± 0.2", "93.6 ± 0.6 %", "0.04 ± 0.01", _LIN_DIFFERS),
        Published(_VEEGAN, "Unrolled GAN (5)", "23.6", "16 %", None, _VEEGAN_DIFFERS),
        Published(_VEEGAN, "VEEGAN", "24.6", "40 %", None, _VEEGAN_DIFFERS),
    ),
    "grid100": (),
    "stacked-mnist": (
        Published(_METZ, "DCGAN", "78.5 ± 17.56", None, "5.21 ± 0.19", _METZ_DIFFERS),
        Published(_METZ, "PacDCGAN2", "484.5 ± 32.99", None, "2.61 ± 0.22", _METZ_DIFFERS),
        Published(_METZ, "PacDCGAN3", "601.3 ± 32.18", None, "2.00 ± 0.17", _METZ_DIFFERS),
        Published(_METZ, "PacDCGAN4", "667.4 ± 29.00", None, "1.81 ± 0.15", _METZ_DIFFERS),
    ),
}
