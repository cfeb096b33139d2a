"""The command line: thin commands over the public functions; errors are one sentence and an exit code."""

from sparring.cli.commands import main

__all__ = ["main"]
