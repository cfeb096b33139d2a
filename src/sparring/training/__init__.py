"""`train()`: rounds plus a run folder, with grids, log, checkpoints, a final score and the report."""

from sparring.training.playing import train

__all__ = ["train"]
