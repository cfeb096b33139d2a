"""The model card for people: `README.md` from `card.json`. Words from outside are shown literally, never as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

__all__ = ["readme"]


def readme(card: Mapping[str, Any]) -> str:
    """The text of `README.md` for a card with its `files`."""
    files = card["files"]
    parts = [
        f"# {_plain(card['name'])}, {_title(card)}",
        *(["![Samples](samples.png)"] if "samples.png" in files else []),
        *(_use(card, files)),
        "## What it is",
        _facts(card),
        "## How good it is",
        _scores(card["scores"]),
        *(["## Beware", "\n".join(f"- {_plain(warning)}" for warning in card["warnings"])] if card["warnings"] else []),
        "## Licence",
        _plain(card["licence"] or "unspecified"),
        "## Papers",
        "\n".join(f"- {_plain(paper)}" for paper in card["papers"]),
        "## Files",
        "\n".join(f"- `{name}`: SHA-256 `{digest}`" for name, digest in files.items()),
    ]
    return "\n\n".join(parts) + "\n"


_RANGE = ", -1 black and 1 white; what lies beyond is to be clipped"


def _points(card: Mapping[str, Any]) -> bool:
    return bool(tuple(card["shape"][1:]) == (1, 1))


def _drawn(card: Mapping[str, Any]) -> str:
    return "points, float32 [16, 2, 1, 1]" if _points(card) else "images, uint8"


def _use(card: Mapping[str, Any], files: Collection[str]) -> list[str]:
    parts = ["## How to use it"]
    if _translates(card):
        return parts + _use_of_translator(card, files)
    if "generate.py" in files:
        parts += [
            "With torch and safetensors and nothing else:",
            "```\npip install torch safetensors\npython generate.py -n 16 --seed 0 --out samples\n```",
            *(["`--class` asks for one of its classes."] if card["classes"] else []),
            "With sparring:",
            f'```python\nimport sparring as sp\n\nsp.load(".").sample(16, seed=0)  # {_drawn(card)}\n```',
        ]
    if "generator.onnx" in files:
        channels, height, width = card["shape"]
        noise = "N(0, 1)" if card["z_kind"] == "normal" else "U(-1, 1)"
        parts.append(
            f"`generator.onnx` runs without torch: `z` `[batch, {card['z_dim']}]` float32, drawn from {noise}, "
            + ("and `labels` `[batch]` int64, give " if card["classes"] else "gives ")
            + f"`images` `[batch, {channels}, {height}, {width}]` float32{'' if _points(card) else _RANGE}."
        )
    return parts


def _use_of_translator(card: Mapping[str, Any], files: Collection[str]) -> list[str]:
    parts = []
    if "generator.safetensors" in files:
        parts += ["With sparring:", "```\nsparring translate . photo.png made.png\n```"]
    if "generator.onnx" in files:
        larger = f", {card['scale']} times larger" if card["scale"] > 1 else ""
        parts.append(
            f"`generator.onnx` runs without torch: `given` `[batch, {card['channels']}, height, width]` float32 in "
            f"[-1, 1]{_sides(card)}, gives `images`{larger}{_RANGE}."
        )
    return parts


def _sides(card: Mapping[str, Any]) -> str:
    return f", whose sides are multiples of {card['multiple']}" if card["multiple"] > 1 else ""


def _translates(card: Mapping[str, Any]) -> bool:
    return bool(card["kind"] == "sparring translator")


def _title(card: Mapping[str, Any]) -> str:
    return "a maker of images from images" if _translates(card) else f"a generator of {_kind_of(card)}"


def _noise(card: Mapping[str, Any]) -> str:
    return f"{card['z_dim']} dimensions, {card['z_kind']}"


def _direction(card: Mapping[str, Any]) -> str:
    """Which way a translator of two goes, such as `A to B`; nothing of the only one."""
    first, to, second = card["player"].partition("_to_") if _translates(card) else ("", "", "")
    return f"{first.upper()} to {second.upper()}" if to else ""


def _taken(card: Mapping[str, Any]) -> str:
    """What a translator takes, and how large it makes it."""
    colour = {1: "grey", 3: "colour", 4: "transparent"}.get(card["channels"], f"{card['channels']}-channel")
    larger = f", and makes them {card['scale']} times larger" if card["scale"] > 1 else ""
    return f"{colour} images of any size{larger}"


def _facts(card: Mapping[str, Any]) -> str:
    data = card["data"]
    rows = {
        "Recipe": f"{_plain(card['name'])}: {_plain(card['summary'])}",
        **({"Takes": _taken(card)} if _translates(card) else {"Makes": _kind_of(card), "Noise": _noise(card)}),
        **({"Direction": _plain(direction)} if (direction := _direction(card)) else {}),
        **({"Began with": ", ".join(f"`{_plain(one)}`" for one in card["begun_with"])} if card["begun_with"] else {}),
        "Trained on": f"{_plain(data['name'] or 'unnamed data')}, {_count(card['trained_on'])} images",
        "Data fingerprint": f"`{_plain(data['fingerprint'] or 'unknown')}`",
        "Images seen": _count(card["seen"]),
        "Weights": {"average": "moving average", "last": "last step"}.get(card["weights"], _plain(card["weights"])),
        "Checkpoint": f"`{card['checkpoint']}`",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows.items())])


def _scores(record: Mapping[str, Any] | None) -> str:
    """Every number with its protocol, as it was recorded."""
    if record is None:
        return "Not measured."
    lines = [f"Measured at {_count(record['seen'])} images seen."]
    for score in record["scores"]:
        fields = score.items() if isinstance(score, Mapping) else [("score", score)]
        lines += ["", *(f"- {_plain(key)}: {_value(value)}" for key, value in fields)]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{_plain(key)} {_value(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return _plain(value if isinstance(value, str) else json.dumps(value))


def _kind_of(card: Mapping[str, Any]) -> str:
    channels, height, width = card["shape"]
    if _points(card):
        return "points of a plane"
    colour = {1: "grey", 3: "colour", 4: "transparent"}.get(channels, f"{channels}-channel")
    return f"{height}x{width} {colour} images"


def _count(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else "unknown"


def _plain(text: Any) -> str:
    """Words that Markdown shows as they are: one line, no markup, no tags, no links."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]#|~])", r"\\\1", line)
