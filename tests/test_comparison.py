"""`sparring compare`: pairs share data and z, and the verdict can be that there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparring import comparison
from sparring.comparison import Comparison, Difference, Setting, as_markdown, compare
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
    assert sorted(p.name for p in (folder / "samples").iterdir()) == [
        "gan-0.png", "gan-1.png", "lsgan-0.png", "lsgan-1.png"
    ]  # fmt: skip


def test_the_same_play_spelled_otherwise_makes_no_difference(folder: Path) -> None:
    """A change to what a recipe does anyway: the same data and z give the same numbers, in every pair."""
    found = compare(["gan", "gan+loss=non_saturating"], setting=TINY, seeds=range(3), say=silent)
    one, two = ([t["values"] for t in found.trials if t["recipe"] == word] for word in found.recipes)
    assert one == two
    assert all("no evidence of a difference" in difference.sentence() for difference in found.differences)


def test_verdicts() -> None:
    """Six pairs can give p = 1/32; fewer cannot come below 0.05, which is said."""
    clear = Difference("fid", "a", "b", (20.0, 10.0), -10.0, -12.0, -8.0, 1 / 32, 6)
    assert clear.sentence() == "fid: b is better than a (-10 [-12, -8] over 6 pairs, p 0.0312)"
    few = Difference("near", "a", "b", (0.5, 0.9), 0.4, 0.3, 0.5, 0.25, 3)
    assert "no evidence of a difference" in few.sentence()
    assert "3 pairs cannot give a p below 0.25" in few.sentence()


def test_images_are_scored_by_features(folder: Path) -> None:
    found = compare(["gan"], setting=Setting(images=200, subset=50, n=200), seeds=[0], say=silent)
    assert set(found.trials[0]["values"]) == {"fid", "kid"}
    assert "| `gan` | 0 |" in as_markdown(found)


def test_many_measures_are_corrected_for() -> None:
    """Six pairs and two measures: the least p of 1/32 is doubled, and the sentence says that it cannot be smaller."""
    found = Difference("fid", "a", "b", (20.0, 10.0), -10.0, -12.0, -8.0, 2 / 32, 6, tests=2)
    assert "6 pairs cannot give a p below 0.062" in found.sentence()


def test_what_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="only once"):
        compare(["gan", "gan"], setting=TINY, say=silent)
    with pytest.raises(UsageError, match="the same budget"):
        compare(["gan"], setting=Setting(data="ring8"), say=silent)
    for minutes in (float("nan"), -3.0):
        with pytest.raises(UsageError, match="minutes cannot be"):
            compare(["gan"], setting=Setting(data="ring8", minutes=minutes), say=silent)
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
    monkeypatch.setattr(comparison, "rounds", None)
    with pytest.raises(UsageError, match=words):
        compare(["gan", recipe] if recipe != "gan" else ["gan"], setting=setting, say=silent)


def test_one_seed_cannot_be_tested() -> None:
    trial = {"recipe": "a", "seed": 0, "values": {"fid": 1.0}, "seen": 5, "diverged": False}
    found = Comparison(TINY, ("a", "b"), (trial, {**trial, "recipe": "b"}), ())
    assert "1 seed cannot be tested" in as_markdown(found)
