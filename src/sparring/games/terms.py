"""The terms that a turn names."""

from __future__ import annotations

from collections.abc import Collection

from sparring.errors import UsageError
from sparring.recipe import Turn

__all__ = ["terms_named"]


def terms_named(turn: Turn, known: Collection[str]) -> set[str]:
    """The names of a turn's terms, penalties left out; raises UsageError for one that its game does not know."""
    named = {term.name for term in turn.terms} - {penalty.name for penalty in turn.penalties}
    if unknown := named - set(known):
        who = " and ".join(turn.players)
        raise UsageError(f"a turn of {who} has no term {min(unknown)!r}; it has {', '.join(sorted(known))}")
    return named
