"""`sparring compare`: pairs share data and z, and the verdict can be that there is none."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from conftest import Point, played_here
from sparring import comparison
from sparring.comparison import Comparison, Difference, Setting, _differences, _scores, as_markdown, compare
from sparring.data.loader import Loader
from sparring.data.points import MIXTURES
from sparring.engine.checkpoint import save
from sparring.engine.sampler import TrainedGenerator
from sparring.engine.state import State
from sparring.errors import UsageError

TINY = Setting(data="ring8", images=600)


def silent(text: str) -> None:
    """Nobody listens."""


def test_recipes_are_trained_scored_and_tested(folder: Path) -> None:
    said: list[str] = []
    found = compare(["gan", "lsgan"], setting=TINY, seeds=range(2), out=folder, say=said.append)
    assert len(said) == 4
    assert [d.measure for d in found.differences] == ["modes", "near", "KL"]
    assert all(difference.pairs == 2 for difference in found.differences)
    again = compare(["gan", "lsgan"], setting=TINY, seeds=range(2), out=folder, say=said.append)
    assert len(said) == 4
    assert again.trials == found.trials
    assert json.loads((folder / "comparison.json").read_text())["recipes"] == ["gan", "lsgan"]
    pictures = sorted(p.name for p in (folder / "samples").iterdir())
    assert [name.rpartition("-")[0] for name in pictures] == ["gan-0", "gan-1", "lsgan-0", "lsgan-1"]
    compare(["gan"], setting=replace(TINY, n=60), seeds=[0], out=folder, say=silent)  # another setting
    assert len(list((folder / "samples").iterdir())) == 5


def test_trials_on_data_that_have_changed_are_played_again(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    setting = Setting(data=str(tmp_path / "set.npz"), images=64, n=50, features="grey28")
    for seed, played in ((0, 1), (0, 1), (1, 2), (1, 2)):
        random = np.random.RandomState(seed)
        np.savez(tmp_path / "set.npz", images=random.randint(0, 256, (20, 16, 16), dtype=np.uint8))
        compare(["dcgan"], setting=setting, seeds=[0], out=folder, say=said.append)
        assert len(said) == played


def test_the_same_play_spelled_otherwise_makes_no_difference(folder: Path) -> None:
    """A change to what a recipe does anyway: the same data and z give the same numbers, in every pair."""
    found = compare(["gan", "gan+loss=non_saturating"], setting=TINY, seeds=range(3), say=silent)
    one, two = ([t["values"] for t in found.trials if t["recipe"] == word] for word in found.recipes)
    assert one == two
    assert all("no evidence of a difference" in difference.sentence() for difference in found.differences)


@pytest.mark.parametrize("setting", [TINY, replace(TINY, images=None, minutes=1.0)])
def test_an_interrupted_training_goes_on_bit_for_bit(
    setting: Setting, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of a pair, in its third round of ten; minutes are measured once for each, as 600 images here."""
    saves: list[int] = []

    def dying(folder: Path, tensors: object, record: dict[str, int]) -> None:
        save(folder, tensors, record)  # type: ignore[arg-type]
        saves.append(record["round"])
        if len(saves) == 12:
            raise KeyboardInterrupt

    measured = iter([600, 600])
    monkeypatch.setattr(comparison, "measure_pace", lambda *_: None)
    monkeypatch.setattr(comparison, "affordable", lambda *_: next(measured))
    monkeypatch.setattr("sparring.trials._SECONDS_BETWEEN_SAVES", -1)
    monkeypatch.setattr("sparring.trials.save", dying)
    with pytest.raises(KeyboardInterrupt):
        compare(["gan", "lsgan"], setting=setting, seeds=[1], out=folder, say=silent)
    (kept,) = (folder / "unfinished").iterdir()
    assert kept.name.startswith("lsgan-1-")
    found = compare(["gan", "lsgan"], setting=setting, seeds=[1], out=folder, say=silent)
    assert saves == [*range(1, 10), 1, 2, 3, *range(4, 10)]
    assert not (folder / "unfinished").exists()
    whole = compare(["gan", "lsgan"], setting=TINY, seeds=[1], say=silent)
    for one, two in zip(found.trials, whole.trials, strict=True):
        assert (one["values"], one["seen"]) == (two["values"], two["seen"])


@pytest.mark.parametrize(
    "setting",
    [Setting(images=200, size=(28, 28), subset=50, n=200, features="grey28"), Setting("ring8", minutes=1)],
)
def test_a_process_of_its_own_keeps_a_training_until_it_is_noted(
    setting: Setting, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the very folder that is removed then: what a command is told is all that the setting says."""

    def play(setting: Setting, word: str, seed: int, devices: object, place: Path) -> dict[str, Any]:
        keep = comparison._kept(place, setting, word, seed)
        assert keep is not None
        keep.mkdir(parents=True)
        return {"recipe": word, "seed": seed, "values": {}, "seen": 1, "seconds": 1.0, "diverged": False}

    monkeypatch.setattr(comparison, "_play", play)
    monkeypatch.setattr(comparison, "side_by_side", played_here(folder, capsys, []))
    compare(["gan", "lsgan"], setting=setting, seeds=[3], out=folder, jobs=2, say=silent)
    assert not (folder / "unfinished").exists()


def test_verdicts() -> None:
    """Six pairs can give p = 1/32; fewer cannot come below 0.05, which is said."""
    clear = Difference("fid", "a", "b", (20.0, 10.0), -10.0, -12.0, -8.0, 1 / 32, 6)
    assert clear.sentence() == "fid: b is better than a (-10 [-12, -8] over 6 pairs, p 0.0312)"
    few = Difference("near", "a", "b", (0.5, 0.9), 0.4, 0.3, 0.5, 0.25, 3)
    assert "no evidence of a difference" in few.sentence()
    assert "3 pairs cannot give a p below 0.25" in few.sentence()


@pytest.mark.parametrize(
    ("measure", "less"), [("modes", "worse"), ("near", "worse"), ("KL", "better"), ("fid", "better"), ("kid", "better")]
)
def test_a_verdict_knows_which_way_a_measure_is_better(measure: str, less: str) -> None:
    below = Difference(measure, "a", "b", (2.0, 1.0), -1.0, -1.5, -0.5, 1 / 32, 6)
    above = replace(below, gap=1.0, low=0.5, high=1.5)
    more = {"worse": "better", "better": "worse"}[less]
    assert below.sentence().startswith(f"{measure}: b is {less} than a (-1 [-1.5, -0.5]")
    assert above.sentence().startswith(f"{measure}: b is {more} than a (+1 [0.5, 1.5]")


def test_images_are_scored_by_features(folder: Path) -> None:
    found = compare(["gan"], setting=Setting(images=200, subset=50, n=200), seeds=[0], say=silent)
    assert set(found.trials[0]["values"]) == {"fid", "kid"}
    assert "| `gan` | 0 |" in as_markdown(found)


def test_differences_from_the_first_recipe_by_hand() -> None:
    """Gaps of -1..-6, mean -3.5, variance 3.5: 2 of 64 ways of their signs are as extreme, and of two measures twice.

    Student's t with 5 degrees of freedom is 2.571 in every table. The other measure never differs: p is 1.
    """
    values = {"a": {"fid": [10.0, 11, 12, 13, 14, 15], "near": [0.5] * 6}, "b": {"fid": [9.0] * 6, "near": [0.5] * 6}}
    done = {
        (word, seed): {"values": {name: numbers[seed] for name, numbers in of.items()}}
        for word, of in values.items()
        for seed in range(6)
    }
    fid, near = _differences(["a", "b"], range(6), done)
    assert (fid.measure, fid.first, fid.second, fid.means) == ("fid", "a", "b", (12.5, 9.0))
    assert fid.gap == pytest.approx(-3.5)
    assert (fid.high - fid.gap, fid.gap - fid.low) == pytest.approx((2.571 * (3.5 / 6) ** 0.5,) * 2, rel=5e-3)
    assert (fid.p, fid.pairs, fid.tests) == (pytest.approx(2 * 2 / 64), 6, 2)
    assert (near.measure, near.gap, near.p, near.tests) == ("near", 0.0, 1.0, 2)
    (turned, _) = _differences(["b", "a"], range(6), done)
    assert (turned.gap, turned.means, turned.p) == (pytest.approx(3.5), (9.0, 12.5), fid.p)


def test_many_measures_are_corrected_for() -> None:
    """Six pairs and two measures: the least p of 1/32 is doubled, and the sentence says that it cannot be smaller."""
    found = Difference("fid", "a", "b", (20.0, 10.0), -10.0, -12.0, -8.0, 2 / 32, 6, tests=2)
    assert "6 pairs cannot give a p below 0.062" in found.sentence()


def test_a_training_has_its_seed_its_subset_and_scores_on_reals_that_it_never_saw(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 240 greys, each with a number of its own, 24 are held out, and both seeds are to see the same 50 others.

    What is trained here ends with weights of -1, and 0.25 on average; the training of seed 3 diverged.
    """
    np.savez(folder / "set.npz", images=np.arange(240, dtype=np.uint8)[:, None, None].repeat(16, 1).repeat(16, 2))
    setting = Setting(data=str(folder / "set.npz"), images=64, subset=50, n=30, features="grey28")
    seeds: list[int] = []
    trained: list[list[int]] = []
    scored: list[tuple[list[int], set[float]]] = []

    def play(bound: object, loader: Loader, state: State, *_: object, **__: object) -> bool:
        seeds.append(state.seed)
        trained.append(loader.draw(0, len(loader), slice(None))[0][:, 0, 0, 0].tolist())
        player = state.players["generator"]
        assert player.average is not None
        for network, number in ((player.network, -1.0), (player.average, 0.25)):
            for tensor in network.state_dict().values():
                tensor.fill_(number)
        return state.seed != 3

    def evaluate(generator: TrainedGenerator, reals: Tensor, *, n: int, **_: object) -> tuple[()]:
        assert n == 30
        (bias, *_) = [tensor for name, tensor in generator.network.named_parameters() if name.endswith("bias")]
        scored.append((reals[:, 0, 0, 0].tolist(), set(bias.tolist())))
        return ()

    monkeypatch.setattr(comparison, "play", play)
    monkeypatch.setattr(comparison, "evaluate", evaluate)
    found = compare(["gan"], setting=setting, seeds=[3, 4], say=silent)
    assert seeds == [3, 4]
    assert len(set(trained[0])) == 50
    assert max(trained[0]) - min(trained[0]) > 150  # of all images, not of the first ones
    assert sorted(trained[0]) == sorted(trained[1])
    assert trained[0] != trained[1]
    for reals, weights in scored:
        assert len(set(reals)) == 24
        assert not set(reals) & set(trained[0])
        assert weights == {0.25}
    assert [trial["diverged"] for trial in found.trials] == [True, False]


def test_what_cannot_be_compared(folder: Path) -> None:
    with pytest.raises(UsageError, match="only once"):
        compare(["gan", "gan"], setting=TINY, say=silent)
    with pytest.raises(UsageError, match="the same budget"):
        compare(["gan"], setting=Setting(data="ring8"), say=silent)
    for minutes in (float("nan"), -3.0):
        with pytest.raises(UsageError, match="minutes cannot be"):
            compare(["gan"], setting=Setting(data="ring8", minutes=minutes), say=silent)
    with pytest.raises(UsageError, match="-5 is no number of images"):
        compare(["gan"], setting=Setting(data="ring8", images=-5), say=silent)
    with pytest.raises(UsageError, match="ring8 would be taken for the data of that name"):
        compare(["gan"], setting=TINY, out="ring8", say=silent)
    np.savez(folder / "set.npz", images=np.zeros((20, 16, 16), np.uint8))
    for place in ({"out": folder}, {"out": folder / "found"}, {"work": folder / "by" / "and by"}):
        with pytest.raises(UsageError, match=r"lies in the data \(.*\), to which it would be added; choose another"):
            compare(["gan"], setting=Setting(data=str(folder), images=64, features="grey28"), say=silent, **place)
    beside = Setting(folder / "set.npz", images=64, n=50, features="grey28")  # type: ignore[arg-type]
    assert compare(["gan"], setting=beside, seeds=[0], out=folder, say=silent).setting.data == str(folder / "set.npz")
    with pytest.raises(UsageError, match="a subset of 1 images"):
        compare(["gan"], setting=Setting(images=100, subset=1), say=silent)


@pytest.mark.parametrize(
    ("recipe", "setting", "words"),
    [
        ("pix2pix", Setting(images=100), "pix2pix answers questions, which compare does not ask"),
        ("vqgan", Setting(images=100), "vqgan answers questions"),
        ("gan", Setting(images=100, n=2), "2 generated images cannot be scored"),
        ("gan", Setting(images=100, features="grey82"), "there is no feature network 'grey82'"),
    ],
)
def test_what_could_not_be_scored_is_not_trained(
    recipe: str, setting: Setting, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "play", None)
    with pytest.raises(UsageError, match=words):
        compare(["gan", recipe] if recipe != "gan" else ["gan"], setting=setting, say=silent)


def test_one_seed_cannot_be_tested() -> None:
    trial = {"recipe": "a", "seed": 0, "values": {"fid": 1.0}, "seen": 5, "diverged": False}
    found = Comparison(TINY, ("a", "b"), (trial, {**trial, "recipe": "b"}), ())
    assert "1 seed cannot be tested" in as_markdown(found)


def test_a_comparison_goes_on_with_the_eyes_that_it_began_with(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Better features that are at hand later are another comparison: no score of one stands beside the other's."""
    np.savez(tmp_path / "set.npz", images=np.random.RandomState(0).randint(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    setting, said = Setting(data=str(tmp_path / "set.npz"), images=16, n=10), list[str]()
    monkeypatch.setattr(comparison, "best_for", lambda shape: "grey28")
    found = compare(["gan"], setting=setting, seeds=np.arange(1), out=folder, say=said.append)
    assert found.setting.features == "grey28"
    compare(["gan"], setting=setting, seeds=[0], out=folder, say=said.append)
    assert len(said) == 1
    monkeypatch.setattr(comparison, "best_for", lambda shape: "lite0")
    compare(["gan"], setting=setting, seeds=[0], out=folder, say=said.append)
    assert len(said) == 2


def test_images_in_a_folder_named_like_points_are_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring8").mkdir()
    np.save(tmp_path / "ring8/a.npy", np.random.RandomState(0).randint(0, 256, (20, 8, 8), dtype=np.uint8))
    found = compare(["gan"], setting=Setting(data="ring8", images=16, n=10), seeds=[0], say=silent)
    assert list(found.trials[0]["values"]) == ["fid", "kid"]


def test_nothing_near_a_mode_is_as_bad_as_a_single_mode() -> None:
    found = _scores(TrainedGenerator(Point(at=99.0)), MIXTURES["ring8"], torch.zeros(1), None, Setting())
    assert found == {"modes": 0.0, "near": 0.0, "KL": math.log(8)}


def test_size_and_images_are_written_as_for_training(tmp_path: Path) -> None:
    few: dict[str, Any] = {"n": 3, "features": "grey28", "data": str(images_of_grey(tmp_path))}
    settings = Setting(size=(8, 8), images=64, **few), Setting(size=8, images="64", **few)
    one, two = (compare(["gan+width=4"], setting=setting, seeds=[0], say=lambda _: None) for setting in settings)
    assert one.setting == two.setting
    assert one.trials[0]["values"] == two.trials[0]["values"]


def images_of_grey(folder: Path) -> Path:
    """Forty flat images."""
    np.savez(folder / "flat.npz", images=np.arange(40, dtype=np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2))
    return folder / "flat.npz"
