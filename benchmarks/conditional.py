"""Recipes with classes against DCGAN without, after the same CPU seconds: quality, obedience, every class alone.

    python benchmarks/conditional.py MNIST --seconds 300 --out docs/results/conditional/mnist

Every recipe trains on one thread for so many seconds of CPU time of the process, evaluation excluded. At some marks its
KID is measured on generated images against the held-out ones, at zero for the untrained generator. At the end, for
recipes with classes: the KID of each class and of all together, here against all images of the data, because a class
has too few held-out ones; where the images are digits of MNIST, how often grey28 (99.30 % right on MNIST's test digits,
and never part of training) sees the class that was asked for; and the FID of BigGAN's images against truncation, with
a picture of the same seeds. Recipes that are in the folder's results.json already are not played again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from clock import at_marks

from sparring.data import Dataset, open_data, split_held_out
from sparring.data.loader import Loader
from sparring.data.split import Split
from sparring.engine.devices import Devices
from sparring.engine.pace import affordable, measure_pace
from sparring.engine.rounds import rounds
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.evaluation import evaluate
from sparring.features import load
from sparring.pictures import grid
from sparring.recipes.spelling import recipe_named

RECIPES = (
    "dcgan+width=32,cgan+width=32,acgan+width=32,projection_gan+width=8+discriminator_turns=2+rate=1e-3,"
    "biggan+width=4+discriminator_turns=2+rate=1e-3+discriminator_rate=1e-3"
)
MARKS = (0.1, 0.2, 0.4, 0.7, 1.0)
TRUNCATIONS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, None)
_MOST = 20_000
"""Reals that classes are compared with."""


def main() -> None:
    options = _options()
    devices = Devices("cpu", 1)
    dataset = open_data(options.data)
    split = split_held_out(dataset)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "results.json"
    results: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    for word in options.recipes.split(","):
        if any(r["recipe"] == word and r["seconds"] == options.seconds for r in results):
            continue
        results.append(_trial(word, dataset, split, devices, options))
        path.write_text(json.dumps(results, indent=1) + "\n")
        print(json.dumps({k: v for k, v in results[-1].items() if k != "classes"}), flush=True)
    (options.out / "table.md").write_text(_table(results, options.seconds))


def _trial(word: str, dataset: Dataset, split: Split, devices: Devices, options: argparse.Namespace) -> dict[str, Any]:
    """One recipe: its curve, and what its last generator is worth."""
    curve, generator, seen = [], None, 0
    for seconds, seen, generator in _play(word, dataset, split, devices, options):  # noqa: B007
        curve.append({"cpu_seconds": round(seconds, 1), **_scores(generator, dataset, split, options.n)})
    assert generator is not None
    found = {"recipe": word, "seconds": options.seconds, "seed": options.seed, "seen": seen, "curve": curve}
    columns = generator.classes or 10
    name = word.partition("+")[0]
    grid(generator.sample(8 * columns), columns=columns, scale=2 if dataset.shape[1] < 40 else 1).save(
        options.out / f"{name}.png"
    )
    if generator.classes:
        found["classes"] = _by_class(generator, dataset, options.n)
        if dataset.name == "MNIST":
            found["obeyed"] = _obeyed(generator)
    if name == "biggan":
        found["truncation"] = _truncated(generator, dataset, split, options)
    return found


def _play(
    word: str, dataset: Dataset, split: Split, devices: Devices, options: argparse.Namespace
) -> Iterator[tuple[float, int, TrainedGenerator]]:
    """The generator at every mark, the first of them zero."""
    recipe = recipe_named(word)
    loader = Loader(dataset, split.train, seed=options.seed, mirror=recipe.mirror, balanced=recipe.balanced)
    facts = (dataset.shape, len(dataset.classes), len(split.train))
    pace = measure_pace(recipe.bind(*facts, budget=100_000), loader, devices, seconds=6.0)
    budget = affordable(lambda images: recipe.bind(*facts, budget=images), pace, options.seconds / 60)
    bound = recipe.bind(*facts, budget=budget)
    state = State(bound, seed=options.seed, device=devices.device)
    yield 0.0, 0, TrainedGenerator(state.players["generator"].shown(), names=dataset.classes)
    playing = rounds(bound, loader, seed=options.seed, state=state, devices=devices)
    for now, played in at_marks(playing, [options.seconds * mark for mark in MARKS]):
        yield now, played.seen, TrainedGenerator(state.players["generator"].shown(), names=dataset.classes)


def _scores(generator: TrainedGenerator, dataset: Dataset, split: Split, n: int) -> dict[str, float]:
    found = evaluate(
        generator, dataset.images(split.held_out), labels=dataset.labels_at(split.held_out), metrics=("kid", "fid"), n=n
    )
    return {score.name: round(score.value, 5) for score in found}


def _by_class(generator: TrainedGenerator, dataset: Dataset, n: int) -> dict[str, float]:
    """KID of each class against all its reals, and of all together."""
    images = dataset.images(torch.arange(min(len(dataset), _MOST)))
    labels = None if dataset.labels is None else dataset.labels[:_MOST]
    found = {}
    for each in (True, False):
        scores = evaluate(generator, images, labels=labels, metrics=("kid",), n=2 * n, per_class=each)
        found |= {str(score.protocol.get("class", "all")): round(score.value, 5) for score in scores}
    return found


def _truncated(
    generator: TrainedGenerator, dataset: Dataset, split: Split, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """FID, precision and recall against truncation, and one row of pictures for each."""
    rows, curve = [], []
    for bound in TRUNCATIONS:
        scores = evaluate(
            generator, dataset.images(split.held_out), labels=dataset.labels_at(split.held_out), truncation=bound,
            metrics=("fid", "precision_recall"), n=options.n,
        )  # fmt: skip
        curve.append({"truncation": bound} | {score.name: round(score.value, 4) for score in scores})
        rows.append(generator.sample(20, classes=[k // 2 for k in range(20)], truncation=bound))
    grid(torch.cat(rows), columns=20).save(options.out / "truncation.png")
    return curve


def _obeyed(generator: TrainedGenerator) -> float:
    """How often grey28 sees the digit that was asked for, 5,000 images."""
    logits = load("grey28").features(generator.sample(5000)).logits
    assert logits is not None
    return round(float((logits[:, :10].argmax(1) == torch.arange(5000) % 10).float().mean()), 4)


def _table(results: list[dict[str, Any]], seconds: float) -> str:
    """What a person compares."""
    rows = [r for r in results if r["seconds"] == seconds]
    plain = next((r["curve"][-1]["kid"] for r in rows if r["recipe"].startswith("dcgan")), None)
    lines = [
        "| recipe | images | KID | of untrained | of DCGAN | FID | KID of a class: mean, worst | digit asked for |",
        "|---" * 8 + "|",
    ]
    for row in rows:
        first, last = row["curve"][0], row["curve"][-1]
        classes = {name: kid for name, kid in row.get("classes", {}).items() if name != "all"}
        worst = max(classes.items(), key=lambda item: item[1], default=None)
        lines.append(
            f"| `{row['recipe']}` | {row['seen']:,} | {last['kid']:.4g} | {last['kid'] / first['kid']:.1%} | "
            + (f"{last['kid'] / plain:.2f}" if plain else "")
            + f" | {last['fid']:.4g} | "
            + (f"{sum(classes.values()) / len(classes):.4g}, {worst[1]:.4g} ({worst[0]})" if worst else "")
            + " | "
            + (f"{row['obeyed']:.1%}" if "obeyed" in row else "")
            + " |"
        )
    curve = next((row["truncation"] for row in rows if "truncation" in row), [])
    if curve:
        names = [name for name in curve[0] if name != "truncation"]
        lines += ["", f"| truncation | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
        for point in curve:
            values = " | ".join(f"{point[name]:.4g}" for name in names)
            lines.append(f"| {point['truncation'] or 'none'} | {values} |")
    return "\n".join([*lines, ""])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("--recipes", default=RECIPES)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-n", type=int, default=5000, help="generated images of a score")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    main()
