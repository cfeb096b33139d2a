"""Many trials: resumable, side by side in processes of their own, summed up as JSON, table and picture."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sparring.data.opening import require_apart
from sparring.engine.checkpoint import write_durably
from sparring.engine.devices import Devices
from sparring.errors import FileUnusableError, UsageError
from sparring.modes.picture import draw_samples, sheet
from sparring.modes.protocols import PROTOCOLS, SETS, Protocol, rebased
from sparring.modes.table import Summary, as_markdown, summarise
from sparring.modes.trial import Trial, control, play_trial, stacked
from sparring.names import choose
from sparring.paths import expanded
from sparring.pictures import png
from sparring.recipe import BoundRecipe, RecipeWarning
from sparring.recipe_file import to_json
from sparring.trials import Journal, require_trials, side_by_side, slug, unfinished

__all__ = ["protocol_of", "run_modes"]


def run_modes(
    data: str,
    recipes: Sequence[str],
    *,
    protocol: str = "quick",
    rounds: int | None = None,
    seeds: Iterable[int] = range(5),
    out: str | Path | None = None,
    work: str | Path | None = None,
    digits: str | Path | None = None,
    jobs: int = 1,
    threads: int = 1,
    say: Callable[[str], None] = print,
) -> Summary:
    """Count the modes that recipes reach, `data` being one of `SETS`, with each of some seeds.

    With `out`, trials that are there already are not played again, and the folder gets `trials.jsonl`,
    `summary.json`, `table.md` and `samples.png`; an interrupted trial goes on where it was. `work` is a folder for
    pictures and unfinished trials alone. `jobs` trials run side by side, each on so many `threads`.
    """
    seeds, chosen = list(seeds), protocol_of(data, protocol, rounds)
    require_trials(recipes, seeds=seeds, jobs=jobs, threads=threads)
    if digits is not None and data != "stacked-mnist":
        raise UsageError(
            f"{data} is not made of digits, so {str(digits)!r} says nothing; recipes are named by --recipes"
        )
    _refuse_the_same(recipes, chosen, (3, 28, 28) if data == "stacked-mnist" else (2, 1, 1))
    folder = None if out is None else expanded(out)
    place = folder or (None if work is None else expanded(work))
    if place is not None:
        require_apart(digits, place)
    journal = Journal(folder, "trials.jsonl")
    try:
        earlier = [trial for trial in map(Trial.from_json, journal.open()) if trial.data == data]
    except (KeyError, TypeError, AttributeError) as error:
        raise FileUnusableError(f"{folder} holds trials of another kind; choose another --out") from error
    held = stacked(digits).about if any(trial.digits for trial in earlier) else None
    done = {_key(trial): trial for trial in earlier if trial.digits in (None, held)}
    wanted = [(word, seed) for seed in seeds for word in recipes]
    left = [(word, seed) for word, seed in wanted if (data, chosen.name, word, seed) not in done]
    for trial in _play_all(data, chosen, left, digits=digits, jobs=jobs, threads=threads, place=place):
        done[_key(trial)] = trial
        journal.append(trial.to_json(), _kept(place, *_key(trial)))
        say(_line(trial))
    journal.close()
    asked = [done[data, chosen.name, word, seed] for word, seed in wanted]
    alone = folder is not None or work is None  # no trial of a larger benchmark
    summary = summarise(data, chosen, asked, control(data, chosen, digits=digits) if alone else None)
    if folder is not None:
        write_durably(folder / "summary.json", (json.dumps(summary.to_json(), indent=1) + "\n").encode())
        write_durably(folder / "table.md", as_markdown(summary).encode())
        if (folder / "samples").is_dir():
            write_durably(folder / "samples.png", png(sheet(folder / "samples", data, chosen.name, recipes)))
    return summary


def protocol_of(data: str, name: str, rounds: int | None = None) -> Protocol:
    """A data set's protocol by its name, shortened or lengthened where `rounds` are given (its name then says so)."""
    known = PROTOCOLS[choose(data, SETS, "set of modes")]
    chosen = known[choose(name, known, "protocol")]
    if rounds is None:
        return chosen
    if rounds < 1:
        raise UsageError(f"{rounds} rounds cannot be; give 1 or more")
    words = f"{chosen.words}; but {rounds:,} rounds"
    return replace(chosen, name=f"{name}-{rounds}", rounds=rounds, words=words)


def _play_all(
    data: str,
    protocol: Protocol,
    pairs: Sequence[tuple[str, int]],
    *,
    digits: str | Path | None,
    jobs: int,
    threads: int,
    place: Path | None,
) -> Iterator[Trial]:
    """The trials, as they end."""
    if jobs > 1:
        commands = [_command(data, protocol, *pair, digits=digits, place=place) for pair in pairs]
        for answer in side_by_side(commands, jobs=jobs, threads=threads):
            yield Trial.from_json(answer["trials"][0])
        return
    devices = Devices("cpu", threads)
    for word, seed in pairs:
        keep = _kept(place, data, protocol.name, word, seed)
        trial, samples = play_trial(data, protocol, word, seed, devices, digits=digits, keep=keep)
        if place is not None and seed == 0:
            draw_samples(place / "samples", trial, samples)
        yield trial


def _command(
    data: str, protocol: Protocol, word: str, seed: int, *, digits: str | Path | None, place: Path | None
) -> list[str]:
    """One trial as words for sparring."""
    words = ["modes", data, *([str(digits)] if digits else []), "--recipes", word]
    words += ["--seeds", "1", "--first-seed", str(seed)]
    name, _, rounds = protocol.name.partition("-")
    words += ["--protocol", name, *(["--rounds", rounds] if rounds else [])]
    return words + (["--work", str(place)] if place is not None else [])


def _kept(place: Path | None, data: str, protocol: str, word: str, seed: int) -> Path | None:
    """The folder of a trial until it is noted."""
    return unfinished(place, f"{data}-{protocol}-{slug(word)}-{seed}")


def _key(trial: Trial) -> tuple[str, str, str, int]:
    return trial.data, trial.protocol, trial.recipe, trial.seed


def _refuse_the_same(recipes: Sequence[str], protocol: Protocol, shape: tuple[int, int, int]) -> None:
    """Recipes that a protocol makes the same play would be counted twice, and tested against themselves."""
    plays: dict[str, str] = {}
    for word in recipes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecipeWarning)
            bound = rebased(word, protocol).bind(shape, 0, images=1000, budget=1000)
        taken = inspect.signature(bound.recipe.game_class).parameters
        defaults = {name: p.default for name, p in taken.items() if p.default is not p.empty}
        full = bound.recipe.playing(**{**defaults, **bound.recipe.game_arguments})
        play = json.dumps(to_json(BoundRecipe(full.but(name="", summary="", papers=()), bound.facts)), sort_keys=True)
        if play in plays:
            raise UsageError(
                f"under the {protocol.name} protocol {word} is the same play as {plays[play]}; leave one out"
            )
        plays[play] = word


def _line(trial: Trial) -> str:
    """A trial in a line; where classes are the modes, all samples are near one, and there is no width."""
    count = trial.count
    near = "" if trial.data == "stacked-mnist" else f"{count.near:.1%} near one, core {count.core_ratio:.2f}, "
    return (
        f"{trial.recipe}, seed {trial.seed}: {count.captured} of {count.modes} modes, {near}KL {count.divergence:.3f} "
        f"({trial.seconds:.0f} s)" + ", diverged" * trial.diverged
    )
