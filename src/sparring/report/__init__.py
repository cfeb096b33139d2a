"""The report of a run: its film, its curves and its recipe in one HTML file that opens without a server."""

from sparring.report.page import write_report

__all__ = ["write_report"]
