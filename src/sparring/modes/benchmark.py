"""Many trials: resumable, side by side in processes of their own, summed up as JSON, table and picture."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sparring.engine.checkpoint import write_durably
from sparring.engine.devices import Devices
from sparring.errors import UsageError
from sparring.modes.picture import draw_samples, sheet, slug
from sparring.modes.protocols import PROTOCOLS, SETS, Protocol
from sparring.modes.table import Summary, as_markdown, summarise
from sparring.modes.trial import Trial, control, play_trial
from sparring.names import choose
from sparring.pictures import png
from sparring.trials import Journal, side_by_side

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
    chosen = protocol_of(data, protocol, rounds)
    folder = None if out is None else Path(out)
    place = folder or (None if work is None else Path(work))
    journal = Journal(folder)
    done = [Trial.from_json(plain) for plain in journal.read()]
    wanted = [(word, seed) for seed in seeds for word in recipes]
    left = [pair for pair in wanted if not any(_is(trial, data, chosen, *pair) for trial in done)]
    for trial in _play_all(data, chosen, left, digits=digits, jobs=jobs, threads=threads, place=place):
        done.append(trial)
        journal.append(trial.to_json())
        say(_line(trial))
    asked = [trial for trial in done if any(_is(trial, data, chosen, *pair) for pair in wanted)]
    summary = summarise(data, chosen, asked, control(data, chosen, digits=digits))
    if folder is not None:
        write_durably(folder / "summary.json", (json.dumps(summary.to_json(), indent=1) + "\n").encode())
        write_durably(folder / "table.md", as_markdown(summary).encode())
        if (folder / "samples").is_dir():
            write_durably(folder / "samples.png", png(sheet(folder / "samples", list(dict.fromkeys(recipes)))))
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
        keep = None if place is None else place / "unfinished" / f"{slug(word)}-{protocol.name}-{seed}"
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


def _is(trial: Trial, data: str, protocol: Protocol, word: str, seed: int) -> bool:
    return (trial.data, trial.protocol, trial.recipe, trial.seed) == (data, protocol.name, word, seed)


def _line(trial: Trial) -> str:
    count = trial.count
    return (
        f"{trial.recipe}, seed {trial.seed}: {count.captured} of {count.modes} modes, {count.near:.1%} near one, core "
        f"{count.core_ratio:.2f}, KL {count.divergence:.3f} ({trial.seconds:.0f} s)" + ", diverged" * trial.diverged
    )
