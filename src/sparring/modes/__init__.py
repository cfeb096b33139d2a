"""Benchmarks of mode collapse: known modes, published protocols, many seeds, intervals and tests."""

from sparring.modes.benchmark import run_modes
from sparring.modes.protocols import PROTOCOLS, SETS, Protocol

__all__ = ["PROTOCOLS", "SETS", "Protocol", "run_modes"]
