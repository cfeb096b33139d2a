"""What happened to a person's files on their way in: used, skipped with the reason, converted, sized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["IntakeReport", "Refused", "Skipped", "printable"]

_SHOWN = 5


@dataclass(frozen=True)
class Skipped:
    """One file that was left out: its name, safe to print, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class IntakeReport:
    """The account of one intake; `str(report)` is what a person is shown.

    `size` is (height, width); `rule` is the sentence that says how images were brought to it; `conversions` counts
    image files by what was done to them; `ignored` counts files that never claimed to be images. `noun` says what was
    made of them.
    """

    used: int
    size: tuple[int, int]
    rule: str
    skipped: tuple[Skipped, ...] = ()
    ignored: int = 0
    duplicates: int = 0
    conversions: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    noun: str = "images"

    def lines(self) -> list[str]:
        """The report as sentences, the most important first.

        >>> IntakeReport(used=3, size=(8, 8), rule="Kept at 8x8.", conversions={"16-bit scaled": 2}).lines()
        ['3 images used. Kept at 8x8.', '2 images: 16-bit scaled.']
        """
        lines = [f"{self.used:,} {self.noun} used. {self.rule}"]
        if self.skipped:
            lines.append(f"{len(self.skipped):,} files skipped:")
            lines += [f"  {one.name}: {one.reason}" for one in self.skipped[:_SHOWN]]
            if len(self.skipped) > _SHOWN:
                lines.append(f"  and {len(self.skipped) - _SHOWN:,} more")
        if self.ignored:
            lines.append(f"{self.ignored:,} other files ignored.")
        if self.duplicates:
            lines.append(f"{self.duplicates:,} {self.noun} are exact copies of others.")
        lines += [f"{count:,} images: {what}." for what, count in sorted(self.conversions.items())]
        return lines + list(self.notes) + [f"Warning: {warning}" for warning in self.warnings]

    def as_json(self) -> dict[str, Any]:
        """Plain containers, for the file beside the prepared images."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> IntakeReport:
        """The inverse of `as_json`. Raises KeyError or TypeError for anything else."""
        height, width = stored["size"]
        return cls(
            used=stored["used"],
            size=(height, width),
            rule=stored["rule"],
            skipped=tuple(Skipped(one["name"], one["reason"]) for one in stored["skipped"]),
            ignored=stored["ignored"],
            duplicates=stored["duplicates"],
            conversions=dict(stored["conversions"]),
            notes=tuple(stored["notes"]),
            warnings=tuple(stored["warnings"]),
            noun=stored["noun"],
        )

    def __str__(self) -> str:
        return "\n".join(self.lines())


class Refused(Exception):  # noqa: N818 - a verdict on one file, always caught inside this package
    """One file cannot be used; the message is the reason a person is shown."""


def printable(name: str) -> str:
    r"""A file name as literal text: control, bidirectional and undecodable characters become escapes.

    >>> printable("two\nlines\u202egnp.png")
    'two\\nlines\\u202egnp.png'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
