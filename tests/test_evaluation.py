"""Scores of generators with classes: who is asked for, and classes by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from conftest import Point
from sparring.chance import latents
from sparring.data import open_data
from sparring.engine.sampler import TrainedGenerator
from sparring.errors import DataError, ShapeError, UsageError
from sparring.evaluation import _asked, _reals, _visible, _Wish, evaluate
from sparring.metrics import Score
from sparring.metrics.wording import sentence
from sparring.pictures import to_uint8


class Blobs(nn.Module):
    """Points around (10 label, 0); class 2 is drawn in the wrong place."""

    z_dim, z_kind, classes = 2, "normal", 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        place = torch.stack([10.0 * labels, 7.0 * (labels == 2)], 1)
        return (z + place)[:, :, None, None]


class Greys(nn.Module):
    """Grey images of 28 pixels."""

    z_dim, z_kind, shape = 2, "normal", (1, 28, 28)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, z: Tensor) -> Tensor:
        return z.mean(1)[:, None, None, None].expand(-1, 1, 28, 28).tanh()


def reals(counts: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    labels = torch.cat([torch.full((n,), k) for k, n in enumerate(counts)])
    noise = torch.randn(len(labels), 2, generator=torch.Generator().manual_seed(3))
    return (noise + torch.stack([10.0 * labels, torch.zeros(len(labels))], 1))[:, :, None, None], labels


def test_classes_are_asked_for_as_often_as_the_reals_have_them() -> None:
    """Nine in ten reals are of class 0: with labels the mixture is met, without them it is not."""
    images, labels = reals((900, 100, 0))
    generator = TrainedGenerator(Blobs(), names=("a", "b", "c"))
    (fair,) = evaluate(generator, images, labels=labels, metrics=("fid",), n=2000)
    (even,) = evaluate(generator, images, metrics="fid", n=2000)
    assert fair.value < 0.5
    assert even.value > 10
    assert "labels" not in fair.protocol  # which say what logits classify
    assert fair.protocol["asked"] == "as often as among the reals"
    assert even.protocol["asked"] == "each class equally often"


def test_each_class_by_itself() -> None:
    images, labels = reals((200, 200, 200))
    found = evaluate(
        TrainedGenerator(Blobs(), names=("a", "b", "c")), images, labels=labels, metrics=("fid",), n=900, per_class=True
    )
    by_name = {score.protocol["class"]: score.value for score in found}
    assert set(by_name) == {"a", "b", "c"}
    assert max(by_name["a"], by_name["b"]) < 1
    assert by_name["c"] == pytest.approx(49, rel=0.1)  # 7 squared
    assert sentence(found[2]).startswith("c: FID ")
    assert found[0].protocol["fake"] == 300


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_a_seed_shows_the_class_that_sampling_gives_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = reals((200, 200, 200))
    generator, asked = TrainedGenerator(Blobs(), names=("a", "b", "c")), []
    monkeypatch.setattr(
        generator.network, "forward", lambda z, given: asked.append(given) or Blobs.forward(generator.network, z, given)
    )
    evaluate(generator, images, labels=labels, metrics=("fid",), n=90, per_class=True, seed=seed)
    assert torch.equal(torch.cat(asked)[:90], generator.labels(90, seed))


def test_the_generated_are_held_against_the_reals_and_not_the_other_way_round() -> None:
    """Fakes in the middle of wide reals all look real, and show next to nothing of them."""
    wide = torch.randn(400, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    precision, recall = evaluate(TrainedGenerator(Point()), wide, metrics="pr", n=300)
    assert (precision.name, recall.name) == ("precision", "recall")
    assert (precision.protocol["real"], precision.protocol["fake"]) == (400, 300)
    assert precision.value > 0.95
    assert recall.value < 0.1


def test_the_images_of_the_seeds_that_were_asked_for_are_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 7 with three images is seeds 7, 8 and 9, whose z depend on nothing else."""
    generator, drawn = TrainedGenerator(Point()), []
    monkeypatch.setattr(generator.network, "forward", lambda z: drawn.append(z) or Point.forward(generator.network, z))
    (score,) = evaluate(generator, reals((9, 0, 0))[0], metrics="fid", n=3, seed=7)
    assert score.protocol["seed"] == 7
    assert torch.equal(torch.cat(drawn)[:3], latents([7, 8, 9], 2))


def test_transparent_pixels_are_seen_over_white() -> None:
    """By hand: of a fifth (51 of 255) 10 / 5 + 255 * 4 / 5 = 206, of 64 (640 + 255 * 191) / 255 = 193.5 and more."""
    alphas = torch.tensor([0, 51, 64, 255], dtype=torch.uint8)
    colours = torch.tensor([10, 20, 30], dtype=torch.uint8).expand(4, 3)
    seen = _visible(torch.cat([colours, alphas[:, None]], 1)[:, :, None, None])[:, :, 0, 0]
    assert seen.tolist() == [[255, 255, 255], [206, 208, 210], [194, 196, 199], [10, 20, 30]]
    assert seen.dtype == torch.uint8


def test_classes_that_cannot_be_compared() -> None:
    images, labels = reals((200, 1, 0))
    generator = TrainedGenerator(Blobs())
    with pytest.raises(UsageError, match="only where both"):
        evaluate(generator, images, metrics=("fid",), n=90, per_class=True)
    (score,) = evaluate(generator, images, labels=labels, metrics=("fid",), n=90, per_class=True)
    assert score.protocol["class"] == "0"  # one real is too few, none at all as well
    with pytest.raises(DataError, match="no class has enough real images"):
        evaluate(generator, images[200:], labels=labels[200:], metrics=("fid",), n=90, per_class=True)
    with pytest.raises(UsageError, match="4 images are too few for 3 classes; generate 9"):
        evaluate(generator, images, labels=labels, metrics=("fid",), n=4, per_class=True)


def test_classes_are_the_same_by_name(tmp_path: Path) -> None:
    """The reals have another class in front, and so other numbers: cats are compared with cats, dark or bright."""
    source = torch.Generator().manual_seed(0)
    levels = {
        "made": {"cat": 90, "dog": 200},
        "real": {"ant": 20, "cat": 90, "dog": 200},
        "crossed": {"cat": 200, "dog": 90},
    }
    for folder, classes in levels.items():
        for name, level in classes.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for k in range(12):
                noise = torch.randint(-15, 16, (16, 16), generator=source)
                Image.fromarray((level + noise).to(torch.uint8).numpy()).save(tmp_path / folder / name / f"{k}.png")
    made = open_data(tmp_path / "made")
    found, crossed = (
        evaluate(made, open_data(tmp_path / reals), metrics=("kid",), features="grey28", per_class=True)
        for reals in ("real", "crossed")
    )
    for scores in (found, crossed):
        assert [score.protocol["class"] for score in scores] == ["cat", "dog"]
    assert max(score.value for score in found) < 0.5 < min(score.value for score in crossed)


def test_a_metric_that_wants_more_images_leaves_the_others(tmp_path: Path) -> None:
    """Twelve images of a class do not fill the ten splits of the Inception Score."""
    pixels = np.random.RandomState(0).randint(0, 256, (24, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "made", images=pixels, labels=np.arange(24) % 2)
    made = open_data(tmp_path / "made.npz")
    found = evaluate(made, made, metrics=("is", "kid", "fid"), features="grey28", per_class=True)
    assert [(score.protocol["class"], score.name) for score in found] == [
        ("0", "kid"), ("0", "fid"), ("1", "kid"), ("1", "fid")
    ]  # fmt: skip
    with pytest.raises(DataError, match="no class has enough real images, or enough generated ones"):
        evaluate(made, made, metrics=("is",), features="grey28", per_class=True)


def test_reals_and_labels_that_do_not_fit() -> None:
    images, labels = reals((20, 20, 0))
    generator = TrainedGenerator(Blobs())
    with pytest.raises(ShapeError, match=r"reals of shape \[40, 2\] are no images"):
        evaluate(generator, images.flatten(1))
    for wrong in (labels[:3], labels[:, None], labels.float()):
        with pytest.raises(UsageError, match="do not fit 40 reals; give one integer for each"):
            evaluate(generator, images, labels=wrong, per_class=True)


def test_truncation_is_said_and_done() -> None:
    images, labels = reals((300, 300, 0))
    generator = TrainedGenerator(Blobs())
    (whole,) = evaluate(generator, images, labels=labels, metrics=("fid",), n=1000)
    (cut,) = evaluate(generator, images, labels=labels, metrics=("fid",), n=1000, truncation=0.2)
    assert cut.protocol["truncation"] == "0.2"
    assert cut.value > whole.value + 0.5  # 2 (1 - 0.115)^2 in variance


def test_names_matter_only_where_classes_do(tmp_path: Path) -> None:
    """A generator without classes is compared with any reals, whatever the classes of its training were called."""
    images, labels = reals((200, 200, 0))
    for name, tensor, names in (("real", images, ["tabby", "siamese"]), ("made", images + 0.1, ["cat", "dog"])):
        pixels = to_uint8(tensor.repeat(1, 1, 8, 8)[:, 0] / 20).numpy()
        np.savez(tmp_path / name, images=pixels, labels=labels.numpy(), label_names=names)
    mine, theirs = open_data(tmp_path / "made.npz"), open_data(tmp_path / "real.npz")
    (score,) = evaluate(mine, theirs, metrics=("kid",), features="grey28")
    assert score.value < 1
    with pytest.raises(UsageError, match="none of the classes cat, dog"):
        evaluate(mine, theirs, metrics=("kid",), features="grey28", per_class=True)
    with pytest.raises(UsageError, match="compared as many as there are"):
        evaluate(mine, theirs, metrics=("kid",), features="grey28", n=100)


def test_reals_have_the_channels_of_the_images(tmp_path: Path) -> None:
    """Grey fakes against a folder of colour images: their grey."""
    for place in range(12):
        Image.new("RGB", (28, 28), (20 * place, 0, 255 - 20 * place)).save(tmp_path / f"{place}.png")
    grey = TrainedGenerator(Greys())
    (score,) = evaluate(grey, tmp_path, metrics=("fid",), n=20)
    assert "grey28" in str(score.protocol["features"])


def test_fakes_unlike_the_reals_are_said_to_be(tmp_path: Path) -> None:
    pixels = np.random.RandomState(0).randint(0, 256, (12, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "grey", images=pixels)
    np.savez(tmp_path / "wide", images=np.stack([pixels[:, :16, :16]] * 3, axis=-1))
    grey, wide = open_data(tmp_path / "grey.npz"), open_data(tmp_path / "wide.npz")
    (alike,) = evaluate(grey, grey, metrics=("fid",), features="grey28")
    (unlike,) = evaluate(grey, wide, metrics=("fid",), features="grey28")
    assert not [fact for fact in alike.protocol if fact.startswith("fake_")]
    assert (unlike.protocol["size"], unlike.protocol["fake_size"]) == ("16x16", "28x28")
    assert str(unlike.protocol["colour"]).startswith("luminance")
    assert unlike.protocol["fake_colour"] == "as is"


def test_of_many_images_some_from_all_over_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files lie class by class: the first half would be of one class alone."""
    np.savez(tmp_path / "set", images=np.zeros((40, 28, 28), np.uint8), labels=np.arange(40) // 20)
    data = open_data(tmp_path / "set.npz")
    monkeypatch.setattr("sparring.evaluation._MOST", 20)
    found = _reals(data, data, None)
    assert found.labels is not None
    assert 5 <= int(found.labels.sum()) <= 15
    assert found.origin["split"] == "20 of set.npz"
    (score,) = evaluate(data, data, metrics="kid", features="grey28")
    assert (score.protocol["fakes"], score.protocol["fake"]) == ("20 of 40", 20)


def test_points_have_the_usual_scores_without_classes() -> None:
    images = reals((20, 0, 0))[0]
    generator = TrainedGenerator(Point())
    assert [score.name for score in evaluate(generator, images, n=20)] == ["fid", "kid"]
    with pytest.raises(UsageError, match="inception_score needs class logits"):
        evaluate(generator, images, metrics="is", n=20)


def test_the_classes_asked_for_go_with_the_seeds() -> None:
    real = torch.arange(3).repeat(40)
    first, _ = _asked(3, _Wish(40, 0, False, None), real)
    later, _ = _asked(3, _Wish(30, 10, False, None), real)
    assert first is not None
    assert later is not None
    assert torch.equal(first[10:], later)


def test_a_line_says_what_its_number_cannot() -> None:
    """Four images of each side for every dimension, and colours that the network sees."""
    colour = "luminance 0.299 R + 0.587 G + 0.114 B"
    for fake, seen, said in (
        (256, "as is", []),
        (255, "as is", ["too few images"]),
        (256, colour, ["colours are not seen"]),
    ):
        facts = {"features": "grey28", "real": 300, "fake": fake, "dimensions": 64, "colour": seen}
        line = sentence(Score("fid", 1.0, 0.5, 1.5, False, facts))
        assert [words for words in ("too few images", "colours are not seen") if words in line] == said
