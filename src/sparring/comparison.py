"""Recipes compared seed by seed, on the same data in the same order and from the same z: do they differ?

A seed fixes every draw of a run, so that the trainings of a pair differ in their recipes alone (recipes with another
batch, another z or other turns draw other z, of course). The answer may well be that there is no evidence of a
difference.
"""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.chance import permutation
from sparring.data import Dataset, open_data, split_held_out
from sparring.data.loader import Loader
from sparring.data.opening import require_apart
from sparring.data.options import sides_of
from sparring.data.points import MIXTURES, Mixture
from sparring.engine.checkpoint import write_durably
from sparring.engine.devices import Devices
from sparring.engine.endowment import endow
from sparring.engine.pace import affordable, measure_pace
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.errors import UsageError
from sparring.evaluation import evaluate
from sparring.features import best_for, load
from sparring.metrics.intervals import mean_interval
from sparring.metrics.modes import count_modes
from sparring.metrics.significance import holm, larger_paired
from sparring.paths import expanded
from sparring.pictures import grid, png
from sparring.recipe import BoundRecipe, Recipe
from sparring.recipes.spelling import recipe_named
from sparring.schedule import images_of
from sparring.trials import Journal, play, require_trials, side_by_side, slug, unfinished

__all__ = ["Comparison", "Difference", "Setting", "as_markdown", "compare"]

HIGHER_IS_BETTER = {"modes": True, "near": True, "KL": False, "fid": False, "kid": False}


@dataclass(frozen=True)
class Setting:
    """What all trainings of a comparison share.

    `size` and `images` are written as for `train`: 64 or (48, 64), 20000 or "20k". `images` or `minutes` is the budget
    of each; `subset` trains on so many of the training images; `n` images are drawn for the scores, against the
    held-out reals (against the training images where there are none held out).
    """

    data: str | None = None
    size: int | tuple[int, int] | None = None
    images: int | str | None = None
    minutes: float | None = None
    subset: int | None = None
    n: int = 5000
    features: str | None = None


@dataclass(frozen=True)
class Difference:
    """Second minus first in one measure: the mean over pairs, its 95 % interval, and two-sided p by exchanged signs.

    p is corrected for all `tests` of the comparison (Holm 1979).
    """

    measure: str
    first: str
    second: str
    means: tuple[float, float]
    gap: float
    low: float
    high: float
    p: float
    pairs: int
    tests: int = 1

    def sentence(self) -> str:
        """What can be said of it."""
        least = min(2 * self.tests / 2**self.pairs, 1.0)
        shown = f"{self.gap:+.3g} [{self.low:.3g}, {self.high:.3g}] over {self.pairs} pairs, p {self.p:.3g}"
        if self.p >= 0.05:
            few = f"; {self.pairs} pairs cannot give a p below {least:.2g}" if least >= 0.05 else ""
            return f"{self.measure}: no evidence of a difference ({shown}{few})"
        better = (self.gap > 0) is HIGHER_IS_BETTER[self.measure]
        return f"{self.measure}: {self.second} is {'better' if better else 'worse'} than {self.first} ({shown})"


@dataclass(frozen=True)
class Comparison:
    """The trials, as plain values, and what they say of each recipe against the first."""

    setting: Setting
    recipes: tuple[str, ...]
    trials: tuple[dict[str, Any], ...]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "setting": asdict(self.setting),
            "recipes": list(self.recipes),
            "trials": list(self.trials),
            "differences": [{**asdict(d), "verdict": d.sentence()} for d in self.differences],
        }


def compare(
    recipes: Sequence[str],
    *,
    setting: Setting,
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
    work: str | Path | None = None,
    jobs: int = 1,
    threads: int = 1,
    say: Callable[[str], None] = print,
) -> Comparison:
    """Train every recipe with every seed, score it, and test the differences from the first.

    With `out`, trials that are there already, on data that have not changed since, are not played again, and the folder
    gets `comparison.jsonl`, `comparison.json`, `table.md` and a picture of each trial's samples; an interrupted
    training goes on where it was.
    `work` is a folder for pictures and unfinished trainings alone. `jobs` run side by side.
    """
    images = None if setting.images is None else images_of(setting.images)
    data = None if setting.data is None else str(setting.data)
    setting = replace(setting, data=data, size=sides_of(setting.size), images=images)
    seeds = [int(seed) for seed in seeds]
    require_trials(recipes, seeds=seeds, jobs=jobs, threads=threads)
    if setting.minutes is not None and not 0 < setting.minutes <= 1e6:
        raise UsageError(f"{setting.minutes} minutes cannot be; give a number above 0, for example 0.5")
    if (setting.images is None) == (setting.minutes is None):
        raise UsageError("all trainings need the same budget; give either images or minutes")
    _check_scores(recipes, setting)
    if setting.minutes is not None:
        setting = replace(setting, minutes=float(setting.minutes))  # as processes of their own read it
    if setting.features is None and not (dataset := _opened(setting, recipe_named(recipes[0]))).points:
        setting = replace(setting, features=best_for(dataset.shape))  # going on later, or elsewhere, sees by the same
    folder = None if out is None else expanded(out)
    place = folder or (None if work is None else expanded(work))
    if place is not None:
        require_apart(setting.data, place)
    journal = Journal(folder, "comparison.jsonl")
    shared = json.loads(json.dumps(asdict(setting)))
    earlier = [t for t in journal.open() if t.get("setting") == shared and t["recipe"] in recipes]
    held = {word: _opened(setting, recipe_named(word)).fingerprint for word in {t["recipe"] for t in earlier}}
    done = {(t["recipe"], t["seed"]): t for t in earlier if t.get("data", held[t["recipe"]]) == held[t["recipe"]]}
    wanted = [(word, seed) for seed in seeds for word in recipes]
    left = [pair for pair in wanted if pair not in done]
    for trial in _play_all(left, setting, shared, jobs=jobs, threads=threads, place=place):
        pair = trial["recipe"], trial["seed"]
        done[pair] = trial
        journal.append(trial, _kept(place, setting, *pair))
        values = ", ".join(f"{name} {value:.4g}" for name, value in trial["values"].items())
        say(
            f"{trial['recipe']}, seed {trial['seed']}: {values} ({trial['seen']:,} images, {trial['seconds']:.0f} s)"
            + ", diverged" * trial["diverged"]
        )
    journal.close()
    trials = tuple(done[pair] for pair in wanted)
    found = Comparison(setting, tuple(recipes), trials, tuple(_differences(recipes, seeds, done)))
    if folder is not None:
        write_durably(folder / "comparison.json", (json.dumps(found.to_json(), indent=1) + "\n").encode())
        write_durably(folder / "table.md", as_markdown(found).encode())
    return found


def as_markdown(found: Comparison) -> str:
    """Scores by recipe and seed, and the verdicts."""
    names = list(found.trials[0]["values"])
    seeds = list(dict.fromkeys(trial["seed"] for trial in found.trials))
    lines = [f"| recipe | seed | {' | '.join(names)} | images |", "|---" * (3 + len(names)) + "|"]
    for word in found.recipes:
        for trial in (t for t in found.trials if t["recipe"] == word):
            values = " | ".join(f"{trial['values'][name]:.4g}" for name in names)
            end = ", diverged" * trial["diverged"]
            lines.append(f"| `{word}` | {trial['seed']} | {values} | {trial['seen']:,}{end} |")
    lines.append("")
    lines += [f"* {difference.sentence()}" for difference in found.differences]
    if not found.differences and len(found.recipes) > 1:
        lines.append(f"* {len(seeds)} seed{'s' * (len(seeds) > 1)} cannot be tested; give at least 2")
    return "\n".join(lines) + "\n"


def _play_all(
    pairs: Sequence[tuple[str, int]],
    setting: Setting,
    shared: Mapping[str, Any],
    *,
    jobs: int,
    threads: int,
    place: Path | None,
) -> Iterator[dict[str, Any]]:
    """The trials, as they end."""
    if jobs > 1:
        commands = [_command(setting, word, seed, place) for word, seed in pairs]
        for answer in side_by_side(commands, jobs=jobs, threads=threads):
            yield {**answer["trials"][0], "setting": shared}
        return
    devices = Devices("cpu", threads)
    for word, seed in pairs:
        yield {**_play(setting, word, seed, devices, place), "setting": shared}


def _command(setting: Setting, word: str, seed: int, place: Path | None) -> list[str]:
    """One trial as words for sparring."""
    words = ["compare", word, "--seeds", "1", "--first-seed", str(seed), "-n", str(setting.n)]
    flags: dict[str, object] = {
        "data": setting.data,
        "images": setting.images,
        "minutes": setting.minutes,
        "subset": setting.subset,
    }
    flags |= {"features": setting.features, "size": "x".join(map(str, sides_of(setting.size) or ())) or None}
    flags |= {"work": place}
    return words + [part for name, value in flags.items() if value is not None for part in (f"--{name}", str(value))]


def _kept(place: Path | None, setting: Setting, word: str, seed: int) -> Path | None:
    """The folder of a training until it is noted."""
    return unfinished(place, _named(setting, word, seed))


def _named(setting: Setting, word: str, seed: int) -> str:
    """A training as the name of a file, in a folder that may hold those of other settings."""
    return f"{slug(word)}-{seed}-{hashlib.blake2b(str(setting).encode(), digest_size=4).hexdigest()}"


def _play(setting: Setting, word: str, seed: int, devices: Devices, place: Path | None) -> dict[str, Any]:
    """One training and its scores."""
    begun, recipe = time.perf_counter(), recipe_named(word)
    dataset = _opened(setting, recipe)
    split = split_held_out(dataset, reading=recipe.reading)
    train = split.train
    if setting.subset is not None:
        if not 2 <= setting.subset <= len(train):
            raise UsageError(f"a subset of {setting.subset} images cannot be; give a number from 2 to {len(train)}")
        train = train[permutation(len(train), 0, "subset")[: setting.subset]]
    loader = Loader(dataset, train, seed=seed, mirror=recipe.mirror, balanced=recipe.balanced)
    keep = _kept(place, setting, word, seed)
    bind = partial(recipe.bind, dataset.shape, len(dataset.classes), len(train))
    budget = _budget(setting, bind, loader, devices, keep)
    bound = bind(budget=budget)
    state = State(bound, seed=seed, device=devices.device)
    endow(state, recipe)
    about = f"{dataset.fingerprint[:16]} {setting.subset}"
    finite = play(bound, loader, state, devices, until=budget, about=about, keep=keep)
    generator = TrainedGenerator(state.players[recipe.sampler].shown())
    if place is not None:
        picture = grid(generator.sample(2500 if dataset.points else 64))
        path = place / "samples" / f"{_named(setting, word, seed)}.png"
        write_durably(path, png(picture, {"recipe": word, "seed": str(seed)}))
    places, _ = replace(split, train=train).shown()
    mixture = MIXTURES.get(dataset.name) if dataset.points else None
    values = _scores(generator, mixture, dataset.images(places), dataset.labels_at(places), setting)
    seconds = round(time.perf_counter() - begun, 1)
    return {
        "recipe": word,
        "seed": seed,
        "values": values,
        "seen": state.seen,
        "seconds": seconds,
        "diverged": not finite,
        "data": dataset.fingerprint,
    }


def _opened(setting: Setting, recipe: Recipe) -> Dataset:
    """The data of all trials, as a recipe reads them."""
    return open_data(setting.data, size=setting.size, reading=recipe.reading)


def _budget(
    setting: Setting, bind: Callable[..., BoundRecipe], loader: Loader, devices: Devices, keep: Path | None
) -> int:
    """The images of a training; how many fit into its minutes is measured once, however often it is interrupted."""
    if setting.minutes is None:
        return images_of(setting.images or 0)
    measured = Journal(keep, "budget.jsonl")
    if found := measured.open():
        return int(found[0]["images"])
    pace = measure_pace(bind(budget=200_000), loader, devices)
    images = affordable(lambda budget: bind(budget=budget), pace, setting.minutes)
    measured.append({"images": images})
    return images


def _scores(
    generator: TrainedGenerator, mixture: Mixture | None, reals: Tensor, labels: Tensor | None, setting: Setting
) -> dict[str, float]:
    """The measures that suit the data."""
    if mixture is not None:
        count = count_modes(generator.sample(2500).flatten(1), torch.as_tensor(mixture.centres), mixture.sigma)
        most = math.log(count.modes)  # as bad as a single mode, where nothing is near any
        divergence = most if math.isnan(count.divergence) else count.divergence
        return {"modes": float(count.captured), "near": count.near, "KL": divergence}
    found = evaluate(generator, reals, labels=labels, metrics=("fid", "kid"), n=setting.n, features=setting.features)
    return {score.name: score.value for score in found}


def _check_scores(recipes: Sequence[str], setting: Setting) -> None:
    """Refuse what could not be scored once it is trained."""
    for word in recipes:
        if recipe_named(word).of_images:
            raise UsageError(f"{word} answers questions, which compare does not ask; train each, and evaluate its run")
    if setting.n < 3:
        raise UsageError(f"{setting.n} generated images cannot be scored; ask for 3 or more")
    if setting.features is not None:
        load(setting.features)


def _differences(
    recipes: Sequence[str], seeds: Sequence[int], done: Mapping[tuple[str, int], Mapping[str, Any]]
) -> list[Difference]:
    """Every recipe against the first, in every measure; nothing where there are fewer than two pairs."""
    if len(seeds) < 2:
        return []
    first, found = recipes[0], []
    for second in recipes[1:]:
        for measure in done[first, seeds[0]]["values"]:
            one, two = ([float(done[word, seed]["values"][measure]) for seed in seeds] for word in (first, second))
            gaps = [b - a for a, b in zip(one, two, strict=True)]
            p = min(1.0, 2 * min(larger_paired(two, one), larger_paired(one, two)))
            means = (statistics.fmean(one), statistics.fmean(two))
            found.append(Difference(measure, first, second, means, *mean_interval(gaps), p, len(gaps)))
    corrected = holm([difference.p for difference in found])
    return [replace(d, p=p, tests=len(found)) for d, p in zip(found, corrected, strict=True)]
