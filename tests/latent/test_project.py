"""Projection finds what is there to be found, and says how far away the rest is."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data.single import read_image
from sparring.engine.sampler import TrainedGenerator
from sparring.errors import DataError, UsageError
from sparring.latent.project import _distance, _ramp, _spread, project, write_projection
from sparring.networks import dcgan, mlp, stylegan2
from sparring.networks.gpt import CodePrior
from sparring.tensorfile import read_safetensors
from test_contracts import CODEC


@pytest.fixture(scope="module")
def styled() -> TrainedGenerator:
    torch.manual_seed(0)
    network = stylegan2.Generator((3, 16, 16), 2, width=4, most=8, z_dim=6, mapping_layers=2)
    with torch.no_grad():
        for block in network.blocks:
            block.paint.weight.mul_(0.2)  # type: ignore[union-attr, operator] # nothing is cut off
    return TrainedGenerator(network)


@pytest.mark.parametrize("space", ["w+", "w", "z"])
def test_an_image_of_its_own_is_found(styled: TrainedGenerator, space: str) -> None:
    """A seed that is not among those it may begin from; w+ can only come nearer than w."""
    target = styled.sample(1, seed=9_000, classes=1)[0]
    found = project(styled, target, space=space, steps=150, candidates=16, classes=1)  # type: ignore[arg-type]
    assert found.error < 0.35 * found.start
    assert found.frames.shape[1:] == (3, 16, 16)
    assert torch.equal(found.frames[-1], found.image)
    assert found.psnr == pytest.approx(20 * math.log10(255 / found.error))
    with torch.no_grad():
        if space == "z":
            again = styled.images(found.latents[None], torch.tensor([1]))[0]
        else:
            assert found.latents.shape == (styled.style_layers, 6)
            again = styled.network.synthesis(found.latents[None])[0].add(1).mul(127.5).round().clamp(0, 255)
    torch.testing.assert_close(again.float(), found.image.float(), atol=1, rtol=0)


def test_a_target_among_the_seeds_is_where_it_begins() -> None:
    torch.manual_seed(0)
    plain = TrainedGenerator(dcgan.Generator((1, 16, 16), width=4, z_dim=6))
    found = project(plain, plain.sample(1, seed=7)[0], steps=3, rate=1e-9, candidates=10)
    assert (found.space, found.start) == ("z", 0.0)
    torch.testing.assert_close(found.latents, plain.latents(1, 7)[0], atol=1e-6, rtol=0)


def test_the_same_again(styled: TrainedGenerator) -> None:
    target = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8)
    one, two = (project(styled, target, steps=5, candidates=4, seed=3) for _ in range(2))
    assert torch.equal(one.latents, two.latents)
    assert one.space == "w+"


def test_the_distance_looks_at_every_size() -> None:
    """A shift of the mean counts at all sizes, a checkerboard at the largest alone."""
    zero = torch.zeros(1, 1, 16, 16)
    board = torch.ones(16, 16)
    board[::2, ::2] = board[1::2, 1::2] = -1
    assert float(_distance(zero + 1, zero)) == pytest.approx(1.0)
    assert float(_distance(board.expand(1, 1, -1, -1), zero)) == pytest.approx(1 / 3)


def test_styles_are_shaken_as_far_as_they_spread() -> None:
    """sigma^2 = E |w - mean|^2 (Karras et al. 2020, appendix D): of both numbers together, not of each."""
    torch.manual_seed(0)
    generator = TrainedGenerator(stylegan2.Generator((3, 16, 16), width=4, most=8, z_dim=64, mapping_layers=2))
    with torch.no_grad():
        styles = generator.network.styles(generator.latents(1024))[:, 0]
    expected = (styles - styles.mean(0)).square().sum(1).mean().sqrt()
    assert float(_spread(generator)) == pytest.approx(float(expected), rel=1e-3)


def test_nothing_farther_than_the_start_is_kept(styled: TrainedGenerator) -> None:
    """Few steps shake the latents and do not come back."""
    found = project(styled, styled.sample(1, seed=3)[0], steps=5, candidates=8, rate=1.0)
    assert (found.start, found.error, found.score["psnr"]) == (0.0, 0.0, None)


def test_one_step_is_a_step(styled: TrainedGenerator) -> None:
    target = styled.sample(1, seed=5)[0]
    one, two = (project(styled, target, steps=1, candidates=2, rate=rate).frames for rate in (0.01, 1.0))
    assert torch.equal(one[0], two[0])
    assert not torch.equal(one[1], two[1])


def test_the_rate_rises_and_falls() -> None:
    assert [_ramp(share) for share in (0.0, 0.025, 0.05, 0.75)] == pytest.approx([0, 0.5, 1, 1])
    assert _ramp(0.875) == pytest.approx(0.5)
    assert _ramp(1.0) < 1e-4


def test_everything_is_written(styled: TrainedGenerator, tmp_path: Path) -> None:
    target = styled.sample(1, seed=1)[0]
    found = project(styled, target, steps=4, candidates=2)
    out = write_projection(found, tmp_path / "out")
    assert {p.name for p in out.iterdir()} == {"projection.png", "way.gif", "latents.safetensors", "score.json"}
    assert json.loads((out / "score.json").read_text())["error"] == found.error
    assert torch.equal(read_safetensors(out / "latents.safetensors").tensors["styles"], found.latents)
    with Image.open(out / "way.gif") as film:
        assert film.n_frames >= 2


def test_what_cannot_be_projected(styled: TrainedGenerator, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the image is 3 x 8 x 8, the generator makes 3 x 16 x 16"):
        project(styled, torch.zeros(3, 8, 8, dtype=torch.uint8))
    plain = TrainedGenerator(dcgan.Generator((1, 16, 16), width=4, z_dim=6))
    with pytest.raises(UsageError, match=r"no styles, so no space w\+"):
        project(plain, torch.zeros(1, 16, 16, dtype=torch.uint8), space="w+")
    with pytest.raises(UsageError, match=r"there is no space 'q'; use w, w\+, z"):
        project(styled, torch.zeros(3, 16, 16, dtype=torch.uint8), space="q")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="0 steps at"):
        project(plain, torch.zeros(1, 16, 16, dtype=torch.uint8), steps=0)
    with pytest.raises(UsageError, match="points are not projected"):
        project(TrainedGenerator(mlp.Generator((2, 1, 1), z_dim=2)), torch.zeros(2, 1, 1))
    prior = TrainedGenerator(CodePrior((3, 16, 24), codec=CODEC, width=8, layers=1, heads=2))
    with pytest.raises(UsageError, match="no slope to follow"):
        project(prior, torch.zeros(3, 16, 24, dtype=torch.uint8), steps=1)
    for name, words in (("none.png", "cannot be read"), ("text.png", "give another image file")):
        if name == "text.png":
            (tmp_path / name).write_text("no image")
        with pytest.raises(DataError, match=words):
            read_image(tmp_path / name, (3, 16, 16))


def test_a_file_becomes_the_generators_shape(tmp_path: Path) -> None:
    pixels = np.zeros((40, 20, 3), dtype=np.uint8)
    pixels[10:30] = (250, 20, 20)
    Image.fromarray(pixels).save(tmp_path / "tall.png")
    image = read_image(tmp_path / "tall.png", (3, 16, 16))
    assert image.shape == (3, 16, 16)
    assert image[:, 8, 8].tolist() == [250, 20, 20]  # cropped at the centre
    assert read_image(tmp_path / "tall.png", (1, 16, 16)).shape == (1, 16, 16)
