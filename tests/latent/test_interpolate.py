"""A walk passes exactly through its seeds, keeps to where z lives, and can be written down."""

from __future__ import annotations

import errno
import io
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sparring.cli.latent_commands import directions, mix
from sparring.cli.latent_commands import interpolate as walk
from sparring.engine.sampler import TrainedGenerator
from sparring.errors import DiskError, UsageError
from sparring.latent.interpolate import interpolate, lerp, slerp, strip, write_film, write_strip
from sparring.networks.dcgan import Generator as Convolutional
from sparring.networks.mlp import Generator as Perceptron
from sparring.pictures import film, scatter

SHAPES = [(1, 28, 28), (3, 32, 32), (3, 32, 48), (4, 16, 16), (2, 1, 1)]
SEEDS = [5, 5000, 2]


def generator_of(shape: tuple[int, int, int], z_kind: str = "normal") -> TrainedGenerator:
    torch.manual_seed(0)
    if shape[1:] == (1, 1):
        return TrainedGenerator(Perceptron(shape, z_dim=2, z_kind=z_kind, width=8, layers=1))
    network = Convolutional(shape, width=4, z_dim=6, z_kind=z_kind)
    for weight in network.parameters():
        weight.data.mul_(4)  # images that a lossy film does not hold for the same
    return TrainedGenerator(network)


class Recorder(torch.nn.Module):
    """A generator whose images are its z."""

    def __init__(self, z_kind: str) -> None:
        super().__init__()
        self.z_dim, self.z_kind = 64, z_kind
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        return z[:, :, None, None] * self.weight


@pytest.mark.parametrize("how", ["spherical", "linear"])
@pytest.mark.parametrize("z_kind", ["normal", "uniform"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("loop", [False, True])
def test_a_walk_passes_exactly_through_its_seeds(shape, z_kind, how, loop):
    generator = generator_of(shape, z_kind)
    frames = interpolate(generator, SEEDS, steps=3, how=how, loop=loop)
    assert len(frames) == (9 if loop else 7)
    for place, seed in enumerate(SEEDS):
        assert torch.equal(frames[3 * place], generator.sample(1, seed=seed)[0])


def test_a_step_of_one_is_only_the_seeds():
    generator = generator_of((1, 28, 28))
    frames = interpolate(generator, SEEDS, steps=1)
    assert torch.equal(frames, torch.cat([generator.sample(1, seed=seed) for seed in SEEDS]))


def test_more_frames_than_a_batch():
    generator = generator_of((1, 28, 28))
    frames = interpolate(generator, [0, 1], steps=100)
    assert torch.equal(frames[100], generator.sample(1, seed=1)[0])


def test_normal_z_keeps_its_length_and_uniform_z_its_cube():
    normal = interpolate(TrainedGenerator(Recorder("normal")), [0, 1], steps=8).flatten(1)
    lengths = normal.norm(dim=1)
    assert bool((lengths[1:-1] >= lengths[[0, -1]].min() * 0.99).all())
    straight = interpolate(TrainedGenerator(Recorder("normal")), [0, 1], steps=8, how="linear").flatten(1).norm(dim=1)
    assert float(straight[4]) < 0.8 * float(lengths[4])
    uniform = interpolate(TrainedGenerator(Recorder("uniform")), [0, 1], steps=8).flatten(1)
    assert torch.allclose(uniform[4], (uniform[0] + uniform[8]) / 2)
    assert float(uniform.abs().max()) <= 1


def test_slerp_by_hand():
    a, b = torch.tensor([[1.0, 0.0], [3.0, 0.0]]), torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    third = slerp(a, b, 1 / 3)  # a third of a right angle is 30 degrees
    expected = torch.tensor([math.cos(math.pi / 6), math.sin(math.pi / 6)])
    assert torch.allclose(third, torch.stack([expected, 3 * expected]))


@pytest.mark.parametrize("between", [slerp, lerp])
def test_ends_are_exact(between):
    source = torch.Generator().manual_seed(0)
    a, b = torch.randn(500, 7, generator=source), torch.randn(500, 7, generator=source)
    assert torch.equal(between(a, b, 0.0), a)
    assert torch.equal(between(a, b, 1.0), b)


def test_an_arc_turns_evenly():
    a, b = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(3))
    a, b = a / a.norm(), b / b.norm()
    turns = [float((slerp(a, b, k / 8) * slerp(a, b, (k + 1) / 8)).sum().clamp(-1, 1).acos()) for k in range(8)]
    assert turns == pytest.approx([sum(turns) / 8] * 8, rel=1e-3)


@pytest.mark.parametrize(
    ("a", "b"),
    [([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0], [2.0, 4.0]), ([1.0, 0.0], [-1.0, 0.0])],
    ids=["same", "parallel", "opposite"],
)
def test_where_there_is_no_arc_it_is_the_line(a, b):
    a, b = torch.tensor([a]), torch.tensor([b])
    for t in (0.0, 0.25, 1.0):
        assert torch.allclose(slerp(a, b, t), lerp(a, b, t))


@pytest.mark.parametrize(
    ("keywords", "words"),
    [({"seeds": [1]}, "two seeds"), ({"steps": 0}, "1 or more"), ({"how": "crooked"}, "spherical or linear")],
)
def test_what_cannot_be_meant(keywords, words):
    with pytest.raises(UsageError, match=words):
        interpolate(generator_of((1, 28, 28)), **({"seeds": SEEDS} | keywords))


@pytest.mark.parametrize("loop", [False, True])
def test_a_strip_has_a_row_for_each_pair(loop):
    frames = interpolate(generator_of((3, 32, 48)), SEEDS, steps=4, loop=loop)
    sheet = strip(frames, steps=4, loop=loop)
    rows = 3 if loop else 2
    assert sheet.size == (5 * 49 + 1, rows * 33 + 1)
    last_of_first_row = sheet.crop((4 * 49 + 1, 1, 5 * 49, 33))
    first_of_second_row = sheet.crop((1, 34, 49, 66))
    assert last_of_first_row.tobytes() == first_of_second_row.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ending", [".gif", ".webp", ".png", ".apng"])
def test_a_film_has_all_frames(tmp_path: Path, shape, ending):
    frames = interpolate(generator_of(shape), SEEDS, steps=3)
    path = write_film(frames, tmp_path / f"walk{ending}")
    with Image.open(path) as film:
        assert film.n_frames == 7
        assert min(film.size) >= 100


@pytest.mark.parametrize("ending", [".gif", ".apng"])
def test_clear_pixels_of_a_film_stay_clear(ending):
    """A dot that moves leaves nothing where it was."""
    frames = [Image.new("RGBA", (24, 24), (0, 0, 0, 0)) for _ in range(3)]
    for place, frame in enumerate(frames):
        frame.paste((200, 30, 30, 255), (8 * place, 0, 8 * place + 8, 8))
    with Image.open(io.BytesIO(film(frames, ending))) as made:
        for place in range(3):
            made.seek(place)
            assert np.count_nonzero(np.asarray(made.convert("RGBA"))[:, :, 3]) == 64


@pytest.mark.parametrize("shape", SHAPES)
def test_a_strip_can_be_written(tmp_path: Path, shape):
    frames = interpolate(generator_of(shape), SEEDS, steps=3, loop=True)
    path = write_strip(frames, tmp_path / "strip.png", steps=3, loop=True)
    with Image.open(path) as sheet:
        sheet.load()


def test_a_path_of_points_shows_its_seeds():
    points = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])[:, :, None, None]
    sheet = strip(points, steps=2)
    colours = {sheet.getpixel((round((x / 1.1 + 1) * 160), 160)) for x in (-1.0, 1.0)}
    assert colours == {(200, 60, 20)}
    assert sheet.getpixel((200, 160)) == (0, 120, 80)


@pytest.mark.parametrize(
    ("command", "words"), [(walk, {"seeds": "1,2"}), (mix, {"rows": "1", "cols": "2"}), (directions, {})]
)
def test_a_png_is_not_written_under_the_name_of_a_jpeg(command, words, tmp_path: Path):
    with pytest.raises(UsageError, match=r"sheet\.jpg would be a PNG under another name"):
        command(tmp_path / "there is no run", out=tmp_path / "sheet.jpg", **words)


def test_a_film_of_another_kind_is_refused_before_the_walk(tmp_path: Path):
    with pytest.raises(UsageError, match=r"a film cannot be written as '\.avi'"):
        walk(tmp_path / "there is no run", seeds="1,2", film=tmp_path / "walk.avi")


def test_films_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    frames = interpolate(generator_of((1, 28, 28)), SEEDS, steps=1)
    with pytest.raises(UsageError, match=r"\.gif"):
        write_film(frames, tmp_path / "walk.avi")
    (tmp_path / "file").touch()
    with pytest.raises(DiskError, match="another place"):
        write_film(frames, tmp_path / "file" / "walk.gif")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match="pip install av"):
        write_film(frames, tmp_path / "walk.mp4")
    with pytest.raises(DiskError):
        write_strip(frames, tmp_path / "file" / "strip.png", steps=1)


def test_a_film_that_broke_off_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    frames = interpolate(generator_of((1, 28, 28)), SEEDS, steps=1)
    path = write_film(frames, tmp_path / "walk.gif")
    before = path.read_bytes()

    def full(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[:6])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("sparring.engine.checkpoint._write_all", full)
    with pytest.raises(DiskError, match="No space left"):
        write_film(frames, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class Labelled(torch.nn.Module):
    """Black for class 0, white for class 1."""

    z_dim, z_kind, classes = 2, "normal", 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return (labels.float() * 2 - 1)[:, None, None, None].expand(-1, 1, 2, 2) + 0 * self.weight


@pytest.mark.parametrize(
    ("steps", "loop", "shown"), [(4, False, [0, 0, 1, 1, 1]), (3, False, [0, 0, 1, 1]), (2, True, [0, 1, 1, 0])]
)
def test_a_class_is_shown_until_half_way(steps, loop, shown):
    frames = interpolate(TrainedGenerator(Labelled()), [1, 2], steps=steps, loop=loop, classes=[0, 1])
    assert (frames[:, 0, 0, 0] // 255).tolist() == shown


def test_of_points_up_is_up():
    pixels = np.asarray(scatter(torch.tensor([0.0, 0.5]).view(1, 2, 1, 1), side=100, reach=1.0))
    assert np.flatnonzero((pixels != 255).any(axis=(1, 2))).max() < 50
