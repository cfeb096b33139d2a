"""Data: folders, archives, arrays and point sets, prepared once and indexed in whole batches of bytes."""

from sparring.data.dataset import Dataset
from sparring.data.opening import open_data
from sparring.data.report import IntakeReport, Skipped
from sparring.data.split import Split, split_held_out

__all__ = ["Dataset", "IntakeReport", "Skipped", "Split", "open_data", "split_held_out"]
