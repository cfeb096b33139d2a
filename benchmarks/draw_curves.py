"""Draw the curves of `default_against_dcgan.py`: distance against CPU seconds, both axes logarithmic.

python benchmarks/draw_curves.py docs/results/default/curves.json docs/results/default/curves.svg
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 400, 60, 50
STYLE = {"ours": ("#1d5fd1", "", "sparring train"), "baseline": ("#b4530a", "6 4", "DCGAN script")}


def main() -> None:
    source, target = map(Path, sys.argv[1:3])
    target.write_text(draw(json.loads(source.read_text())["rows"]))


def draw(rows: list[dict[str, Any]]) -> str:
    """The SVG: one line for each run, labelled at its end."""
    seconds, distances = [r["cpu_seconds"] for r in rows], [r["distance"] for r in rows]
    low, high = math.floor(math.log2(min(distances))), math.ceil(math.log2(max(distances)))

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - 130) * math.log(value / min(seconds)) / math.log(max(seconds) / min(seconds))

    def y(value: float) -> float:
        return 20 + (HEIGHT - BOTTOM - 20) * (high - math.log2(value)) / (high - low)

    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>']
    for power in range(low, high + 1):
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 125}" y1="{y(2**power):.1f}" y2="{y(2**power):.1f}" stroke="#ddd"/>'
        )
        parts.append(f'<text x="{LEFT - 8}" y="{y(2**power) + 4:.1f}" text-anchor="end">{2**power:g}</text>')
    for mark in sorted({round(s, -1) for s in seconds}):
        parts.append(f'<text x="{x(mark or 1):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{mark:.0f}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - 130) / 2}" y="{HEIGHT - 8}" text-anchor="middle">CPU seconds</text>')
    parts.append(
        f'<text x="{LEFT}" y="14">Fréchet distance to held-out images (grey28 features), lower is better</text>'
    )
    for who, (colour, dash, label) in STYLE.items():
        for seed in sorted({r["seed"] for r in rows}):
            line = [(x(r["cpu_seconds"]), y(r["distance"])) for r in rows if (r["who"], r["seed"]) == (who, seed)]
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in line)
            parts.append(
                f'<polyline points="{points}" fill="none" stroke-width="2" stroke="{colour}" '
                f'stroke-dasharray="{dash}"/>'
            )
        end = [r for r in rows if r["who"] == who][-1]
        parts.append(
            f'<text x="{x(end["cpu_seconds"]) + 8:.1f}" y="{y(end["distance"]) + 4:.1f}" fill="{colour}">{label}</text>'
        )
    body = "\n".join(parts)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
    head += 'font-family="sans-serif" font-size="13">'
    return f"{head}\n<title>Distance against CPU seconds</title>\n{body}\n</svg>\n"


if __name__ == "__main__":
    main()
