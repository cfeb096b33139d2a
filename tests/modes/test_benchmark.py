"""`sparring modes`: trials, protocols, tables; tiny lengths, real code."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from conftest import played_here
from sparring import recipes
from sparring.engine.checkpoint import save
from sparring.engine.devices import Devices
from sparring.engine.rounds import Round, batch_at, rounds
from sparring.engine.signals import StopRequest
from sparring.errors import DiskError, FileUnusableError, Interrupted, UsageError
from sparring.metrics.modes import ModeCount
from sparring.modes import PROTOCOLS, SETS, Protocol, benchmark, run_modes
from sparring.modes.benchmark import protocol_of
from sparring.modes.protocols import rebased, rounds_of
from sparring.modes.table import Mean, as_markdown, summarise
from sparring.modes.trial import Trial, _lasting, play_trial
from sparring.recipe import Given, Turn
from sparring.recipes.spelling import recipe_named
from sparring.trials import Journal, slug


def silent(text: str) -> None:
    """Nobody listens."""


def trial(word: str, seed: int, captured: int, near: float, divergence: float = 0.1) -> Trial:
    return Trial("ring8", "quick", word, seed, 10, ModeCount(8, captured, near, 1.0, divergence), 1.0)


def test_trials_are_kept_and_not_played_again(folder: Path) -> None:
    said: list[str] = []
    first = run_modes("ring8", ["gan", "lsgan"], rounds=3, seeds=range(2), out=folder, say=said.append)
    assert len(said) == 4
    again = run_modes("ring8", ["gan", "lsgan"], rounds=3, seeds=range(2), out=folder, say=said.append)
    assert len(said) == 4
    assert [t.to_json() for t in again.trials] == [t.to_json() for t in first.trials]
    assert {p.name for p in folder.iterdir()} == {"trials.jsonl", "summary.json", "table.md", "samples", "samples.png"}
    assert "NaN" not in (folder / "summary.json").read_text()
    more = run_modes("ring8", ["gan"], rounds=4, seeds=range(1), out=folder, say=said.append)
    assert len(said) == 5  # another length is another protocol
    assert more.protocol.name == "quick-4"
    assert len(list((folder / "samples").iterdir())) == 3  # which has a picture of its own


@pytest.mark.parametrize(("with_out", "with_work"), [(True, True), (True, False), (False, True), (False, False)])
def test_real_samples_are_counted_but_for_a_trial_of_a_larger_benchmark(
    with_out: bool, with_work: bool, folder: Path
) -> None:
    places = {"out": folder / "out" if with_out else None, "work": folder / "work" if with_work else None}
    found = run_modes("ring8", ["gan"], rounds=1, seeds=[1], say=silent, **places)
    assert (found.control is None) == (with_work and not with_out)


def test_the_same_seed_is_the_same_trial() -> None:
    one, two, other = (
        run_modes("grid25", ["pacgan"], rounds=4, seeds=[seed], say=silent).trials[0].to_json() for seed in (0, 0, 1)
    )
    for found in (one, two, other):
        del found["seconds"]
    assert json.dumps(one) == json.dumps(two)
    assert json.dumps(one) != json.dumps(other)


def test_a_turn_of_every_fourth_round_is_a_quarter() -> None:
    """Ten turns: eight rounds of one turn and, in two of them, of another."""
    lazy = recipes.gan().but(turns=(Turn(("discriminator",)), Turn(("generator",), every=4)))
    assert rounds_of(lazy, replace(PROTOCOLS["ring8"]["quick"], turns=10, rounds=None)) == 8


@pytest.mark.parametrize(
    ("word", "rounds"),
    [("gan", 4), ("r3gan", 4), ("wgan", 1), ("unrolled", 1), ("unrolled+steps=2", 2)],
)
def test_a_trial_lasts_for_its_turns(word: str, rounds: int) -> None:
    """Eight turns are four rounds of a plain recipe, whatever its batch, and one of six turns."""
    short = replace(PROTOCOLS["ring8"]["own"], turns=8)
    found, samples = play_trial("ring8", short, word, 0, Devices("cpu", threads=1))
    assert found.rounds == rounds
    assert samples.shape == (2500, 2)


def test_an_interrupted_trial_goes_on_bit_for_bit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a save's round; the second call ends where an undisturbed one does."""
    monkeypatch.setattr("sparring.trials._SECONDS_BETWEEN_SAVES", -1)
    short, devices = replace(PROTOCOLS["ring8"]["quick"], rounds=6), Devices("cpu", threads=1)
    whole, expected = play_trial("ring8", short, "gan", 1, devices)
    saves: list[int] = []

    def dying(folder: Path, tensors: object, record: dict[str, int]) -> None:
        save(folder, tensors, record)  # type: ignore[arg-type]
        saves.append(record["round"])
        if record["round"] == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("sparring.trials.save", dying)
    with pytest.raises(KeyboardInterrupt):
        play_trial("ring8", short, "gan", 1, devices, keep=folder / "kept")
    found, samples = play_trial("ring8", short, "gan", 1, devices, keep=folder / "kept")
    assert saves == [1, 2, 3, 4, 5]
    assert torch.equal(samples, expected)
    assert replace(found, seconds=0.0).to_json() == replace(whole, seconds=0.0).to_json()


@pytest.mark.parametrize("place", [2, 5])
@pytest.mark.parametrize("seconds", [-1, 3600])
def test_a_signal_saves_a_trial_that_goes_on(
    place: int, seconds: float, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its third round of six, or in the last; what is saved stays until the trial is in the journal."""
    request = StopRequest()

    def stopping(*where: Any, **more: Any) -> Iterator[Round]:
        for played in rounds(*where, **more):
            request.signal = signal.SIGTERM if played.index == place else None
            yield played

    monkeypatch.setattr("sparring.trials._SECONDS_BETWEEN_SAVES", seconds)
    monkeypatch.setattr("sparring.trials.listening", lambda: nullcontext(request))
    monkeypatch.setattr("sparring.trials.rounds", stopping)
    with pytest.raises(Interrupted, match="stopped and saved") as found:
        run_modes("ring8", ["gan"], rounds=6, seeds=[1], out=folder, say=silent)
    assert found.value.exit_code == 143
    (kept,) = (folder / "unfinished").iterdir()
    monkeypatch.setattr(Journal, "append", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_modes("ring8", ["gan"], rounds=6, seeds=[1], out=folder, say=silent)
    assert kept.is_dir()
    monkeypatch.undo()
    after = run_modes("ring8", ["gan"], rounds=6, seeds=[1], out=folder, say=silent).trials[0]
    assert not (folder / "unfinished").exists()
    whole, _ = play_trial("ring8", protocol_of("ring8", "quick", 6), "gan", 1, Devices("cpu", threads=1))
    assert replace(after, seconds=0.0).to_json() == replace(whole, seconds=0.0).to_json()


@pytest.mark.parametrize(("data", "digits", "rounds"), [("ring8", None, 7), ("stacked-mnist", "digits.npz", None)])
def test_a_process_of_its_own_plays_the_trial_that_was_asked_for(
    data: str,
    digits: str | None,
    rounds: int | None,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And keeps it in the very folder that is removed once it is noted: a command says all that a trial depends on."""
    played: list[tuple[object, ...]] = []
    told: list[dict[str, int]] = []

    def play(
        data: str, protocol: Protocol, word: str, seed: int, _: Devices, *, digits: str | None, keep: Path
    ) -> tuple[Trial, None]:
        keep.mkdir(parents=True)
        played.append((data, protocol, word, seed, digits))
        return Trial(data, protocol.name, word, seed, 10, ModeCount(8, 8, 1.0, 1.0, 0.1), 1.0), None

    monkeypatch.setattr(benchmark, "play_trial", play)
    monkeypatch.setattr(benchmark, "side_by_side", played_here(folder, capsys, told))
    monkeypatch.setattr(benchmark, "control", lambda *_, **__: None)
    words = ["gan", "pacgan+packing=3"]
    found = run_modes(
        data,
        words,
        protocol="own",
        rounds=rounds,
        seeds=[3, 4],
        out=folder,
        digits=digits,
        jobs=2,
        threads=3,
        say=silent,
    )
    wanted = [(word, seed) for seed in (3, 4) for word in words]
    assert told == [{"jobs": 2, "threads": 3}]
    assert played == [(data, protocol_of(data, "own", rounds), *pair, digits) for pair in wanted]
    assert [(trial.recipe, trial.seed) for trial in found.trials] == wanted
    assert not (folder / "unfinished").exists()


def test_a_trial_begins_with_weights_that_its_recipe_is_given(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a run that is gone, which is said; without them it would count the modes of something else."""
    given = {"generator": Given(str(folder / "gone"), "generator", "0" * 16)}
    monkeypatch.setattr("sparring.modes.trial.rebased", lambda word, protocol: recipe_named(word).but(given=given))
    with pytest.raises(FileUnusableError, match="gone, whose generator this recipe begins with, is not there any more"):
        play_trial("ring8", protocol_of("ring8", "quick", 1), "gan", 0, Devices("cpu", threads=1))


def test_exact_is_pacgans_protocol() -> None:
    """100 packs, Adam 1e-4 (0.8, 0.999), both players at once, 400,000 rounds, 2,500 samples (the authors' code)."""
    exact = PROTOCOLS["ring8"]["exact"]
    assert (exact.rounds, exact.samples, exact.points) == (400_000, 2500, 100_000)
    recipe = rebased("pacgan+packing=3", exact).bind((2, 1, 1), 0, 100_000, 1000).recipe
    assert recipe.batch == 300
    assert [turn.players for turn in recipe.turns] == [("discriminator", "generator")]
    optim = recipe.optims["generator"]
    assert (optim.rate, optim.betas, optim.eps) == (1e-4, (0.8, 0.999), 1e-8)
    generator, discriminator = recipe.game().build((2, 1, 1), 0).values()
    assert [tuple(p.shape) for n, p in generator.named_parameters() if p.dim() > 1] == [
        (400, 2), (400, 400), (400, 400), (400, 400), (2, 400)
    ]  # fmt: skip
    assert [tuple(p.shape) for n, p in discriminator.named_parameters() if p.dim() > 1] == [
        (1000, 6), (1000, 200), (1000, 200), (1, 200)
    ]  # fmt: skip
    with pytest.raises(UsageError, match="both players move at once, which wgan does not"):
        rebased("wgan", exact)


def test_metz_networks_have_the_published_sizes() -> None:
    """D of 2, 4, 8 channels against G of 64, 32, 16, 8 (a quarter), at 28 pixels by way of 14, 7 and 4."""
    recipe = rebased("gan", PROTOCOLS["stacked-mnist"]["exact"]).bind((3, 28, 28), 0, 100, 1000).recipe
    generator, discriminator = recipe.game().build((3, 28, 28), 0).values()
    assert [p.shape[0] for n, p in discriminator.named_parameters() if p.dim() == 4] == [2, 4, 8]
    assert generator(torch.randn(2, 256)).shape == (2, 3, 28, 28)
    assert generator.entry.out_features == 64 * 4 * 4


def test_every_set_has_every_protocol() -> None:
    for name in SETS:
        assert set(PROTOCOLS[name]) == {"exact", "quick", "networks", "own"}
    with pytest.raises(UsageError, match="did you mean 'ring8'"):
        protocol_of("ring9", "quick")
    with pytest.raises(UsageError, match="-1 rounds cannot be"):
        protocol_of("ring8", "quick", -1)


def test_intervals_and_tests_by_hand() -> None:
    """Six of ten modes against eight, five seeds each: one way of 252 is as extreme, three measures are corrected."""
    trials = [trial("gan", k, 6 - k % 2, 0.5) for k in range(5)] + [trial("pacgan", k, 8, 0.5) for k in range(5)]
    summary = summarise("ring8", PROTOCOLS["ring8"]["quick"], trials, ModeCount(8, 8, 0.98, 1.0, 0.0))
    gan, pacgan = summary.rows
    assert gan.means["captured"].value == pytest.approx(5.6)
    assert gan.means["captured"].low == pytest.approx(5.6 - 2.776 * math.sqrt(0.3 / 5), rel=1e-3)
    assert pacgan.better["captured"] == pytest.approx(3 / 252)
    assert pacgan.better["near"] == 1.0
    table = as_markdown(summary)
    assert "| `pacgan` | 5 | 8.0 (8.0 to 8.0) |" in table
    assert "modes (p 0.012)" in table
    assert "98.89 %" in table
    assert "Lin et al. 2018" in table


@pytest.mark.parametrize(("gan", "pacgan", "p"), [(0.5, 0.1, 3 / 252), (0.1, 0.5, 1.0)])
def test_less_divergence_is_better(gan: float, pacgan: float, p: float) -> None:
    """Five seeds against five that differ in nothing else: one way of 252, of three measures, or every way."""
    trials = [trial(word, k, 8, 0.5, kl) for word, kl in (("gan", gan), ("pacgan", pacgan)) for k in range(5)]
    _, row = summarise("ring8", PROTOCOLS["ring8"]["quick"], trials, None).rows
    assert row.better == {"captured": 1.0, "near": 1.0, "divergence": pytest.approx(p)}


def test_samples_of_which_none_is_near_diverge_as_far_as_a_single_mode() -> None:
    """KL of one mode of eight from all of them is log 8."""
    trials = [trial("gan", k, 0, 0.0, math.nan) for k in range(2)]
    (row,) = summarise("ring8", PROTOCOLS["ring8"]["quick"], trials, None).rows
    assert row.means["divergence"] == Mean(*[pytest.approx(math.log(8))] * 3)


def test_no_evidence_is_said() -> None:
    trials = [trial(word, k, 6 + k % 2, 0.5) for word in ("gan", "lsgan") for k in range(5)]
    table = as_markdown(summarise("ring8", PROTOCOLS["ring8"]["quick"], trials, ModeCount(8, 8, 0.98, 1.0, 0.0)))
    assert "| no evidence |" in table
    assert "No evidence of an improvement for `lsgan`." in table


def test_one_value_has_no_interval() -> None:
    assert math.isnan(Mean.of([3.0]).low)
    assert (Mean.of([0.1, 0.9], 1.0).low, Mean.of([0.1, 0.9], 1.0).high) == (0.0, 1.0)  # no share beyond either
    assert math.isnan(Mean.of([3.0, math.nan]).value)


def test_a_torn_journal_goes_on_and_a_damaged_one_is_refused(folder: Path) -> None:
    journal = Journal(folder, "trials.jsonl")
    assert journal.open() == []
    journal.append({"a": 1})
    journal.append({"a": 2})
    with (folder / "trials.jsonl").open("a") as file:
        file.write('{"a": 3')
    assert journal.open() == [{"a": 1}, {"a": 2}]
    journal.append({"a": 4})
    assert journal.open() == [{"a": 1}, {"a": 2}, {"a": 4}]
    for content, words in ((b"nonsense\n", "damaged"), (b"\xff\xfe\n", "damaged"), (b"1\n", "not a journal")):
        (folder / "trials.jsonl").write_bytes(content)
        with pytest.raises(FileUnusableError, match=words):
            journal.open()
    (folder / "trials.jsonl").write_text('{"other": 1}\n')
    with pytest.raises(FileUnusableError, match="another kind"):
        run_modes("ring8", ["gan"], rounds=2, seeds=[0], out=folder, say=silent)
    with pytest.raises(DiskError, match="cannot hold trials"):
        run_modes("ring8", ["gan"], rounds=2, seeds=[0], out="/dev/null/x", say=silent)


@pytest.mark.parametrize(
    ("recipes", "more", "words"),
    [
        (["gan", "gan"], {}, "only once"),
        (["gan", "typo"], {}, "there is no recipe 'typo'"),
        (["gan"], {"seeds": []}, "at least one"),
        (["gan"], {"jobs": 0}, "0 jobs cannot be"),
        (["gan"], {"threads": -1}, "-1 threads cannot be"),
        (["gan", "dcgan"], {}, "dcgan is the same play as gan"),
        (["gan+rate=1"], {}, "gives every recipe the same rate"),
        (["esrgan"], {"protocol": "own"}, "esrgan makes images of images"),
        (["unrolled"], {"protocol": "exact"}, "both players move at once, which unrolled"),
    ],
)
def test_nothing_is_trained_that_cannot_be_meant(recipes: list[str], more: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        run_modes("ring8", recipes, **{"rounds": 2, "seeds": [0], "say": silent, **more})


@pytest.mark.parametrize(("word", "last"), [("quick", 32), ("quick+accumulate=3", 30)])
def test_a_ramped_batch_reaches_its_end(word: str, last: int) -> None:
    """quick's batch of 8, 16 and 32 on images, cut to its parts: 200 rounds use up the budget they are bound to."""
    bound = _lasting(recipe_named(word), (1, 16, 16), 1000, 200)
    seen = 0
    for _ in range(200):
        seen += batch_at(bound.recipe, seen)
    assert seen == pytest.approx(bound.facts.budget, rel=0.02)
    assert batch_at(bound.recipe, seen) == last


def test_few_seeds_are_said_to_be_few() -> None:
    """Two recipes of three measures and three seeds: 6 tests over 20 ways cannot come below 0.3."""
    trials = [trial(word, k, c, 0.5) for word, c in (("gan", 1), ("a", 8), ("b", 8)) for k in range(3)]
    table = as_markdown(summarise("ring8", PROTOCOLS["ring8"]["quick"], trials, ModeCount(8, 8, 0.98, 1.0, 0.0)))
    assert "cannot give a corrected p below 0.3" in table


@pytest.mark.parametrize("words", [("gan+penalty=r1:1.5", "gan+penalty=r1:1:5"), ("a" * 90, "a" * 91), ("..", "...")])
def test_no_two_words_share_a_file(words: tuple[str, str]) -> None:
    one, two = map(slug, words)
    assert one != two
    assert max(len(one), len(two)) < 80
    assert not set("/:\\") & set(one + two)


def test_trials_of_other_digits_are_other_trials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []

    def pretended(data: str, protocol: Protocol, word: str, seed: int, *_: Any, digits: Any, keep: Any) -> Any:
        played.append(digits)
        found = Trial(data, protocol.name, word, seed, 1, ModeCount(1000, 5, 1.0, 1.0, 1.0), 0.1, digits=digits)
        return found, torch.zeros(4, 3, 4, 4, dtype=torch.uint8)

    monkeypatch.setattr(benchmark, "play_trial", pretended)
    monkeypatch.setattr(benchmark, "control", lambda *_, **__: None)
    monkeypatch.setattr(benchmark, "stacked", lambda digits: SimpleNamespace(about=digits))
    for digits in ("A", "A", "B"):
        found = run_modes("stacked-mnist", ["gan"], rounds=1, seeds=[1], out=folder, digits=digits, say=silent)
        assert [trial.digits for trial in found.trials] == [digits]
    assert played == ["A", "B"]
