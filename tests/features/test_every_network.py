"""One contract for every feature network whose weights are here, and what is said about those whose are not."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

from sparring import features
from sparring.errors import ShapeError, UsageError
from sparring.features import FeatureNetwork
from sparring.features.network import _with_channels


@functools.cache
def loaded(name: str) -> FeatureNetwork:
    return features.load(name)


@pytest.fixture(params=list(features.sources()))
def network(request: pytest.FixtureRequest) -> FeatureNetwork:
    sentence = features.sources()[request.param].missing()
    if sentence is not None:
        pytest.skip(sentence)
    return loaded(request.param)


def pictures(n: int, channels: int, size: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, channels, size, size), generator=random, dtype=torch.uint8)


@pytest.mark.parametrize(("channels", "size"), [(1, 28), (1, 32), (3, 64)])
def test_features_of_any_pictures(network: FeatureNetwork, channels: int, size: int) -> None:
    seen = network.features(pictures(3, channels, size))
    assert seen.values.shape == (3, network.dimension)
    assert seen.values.dtype == torch.float32
    assert bool(seen.values.isfinite().all())
    assert seen.values.std() > 0
    assert (seen.logits is None) == (network.labels is None)
    assert (seen.values.requires_grad, seen.values.is_inference()) == (False, False)


def test_a_picture_is_seen_alike_in_any_company(network: FeatureNetwork) -> None:
    many = pictures(5, 1, 28)
    alone, together = network.features(many[3:4]), network.features(many)[3:4]
    torch.testing.assert_close(alone.values, together.values, rtol=1e-4, atol=1e-5)


def test_colour_is_treated_as_the_protocol_says(network: FeatureNetwork) -> None:
    grey = pictures(2, 1, 28)
    torch.testing.assert_close(
        network.features(grey).values, network.features(grey.expand(-1, 3, -1, -1)).values, rtol=1e-4, atol=1e-5
    )
    assert "luminance" in network.protocol(3)["colour"] or network.channels == 3
    assert "repeated" in network.protocol(1)["colour"] or network.channels == 1


def test_the_protocol_names_the_weights(network: FeatureNetwork) -> None:
    facts = network.protocol(1)
    assert facts["features"] == network.name
    assert len(facts["features_sha256"]) == 64
    assert facts["resize"]


def test_loading_draws_no_random_number(network: FeatureNetwork) -> None:
    state = torch.get_rng_state()
    features.load(network.name)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "bad", [torch.zeros(2, 1, 28, 28), pictures(2, 2, 28), pictures(2, 1, 28)[0], pictures(0, 1, 28)]
)
def test_what_is_not_a_batch_of_pictures_is_refused(bad: torch.Tensor) -> None:
    with pytest.raises(ShapeError):
        loaded("grey28").features(bad)


def test_the_best_network_of_those_that_are_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPARRING_FEATURES", raising=False)
    assert features.best_for((1, 32, 32)) == "grey28"
    here = features.sources()["lite0"].missing() is None
    assert features.best_for((3, 64, 64)) == ("lite0" if here else "grey28")
    (tmp_path / "weights-inception-2015-12-05-6726825d.pth").touch()
    monkeypatch.setenv("SPARRING_FEATURES", str(tmp_path))
    assert features.best_for((3, 64, 64)) == "inception"
    assert features.best_for((1, 28, 28)) == "grey28"


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UsageError, match="did you mean 'grey28'"):
        features.load("gray28")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_inner_layers_carry_gradients(network: FeatureNetwork, channels: int) -> None:
    """Layers of images in [-1, 1] at their own size; a loss of them pulls at every channel that is looked at."""
    images = (pictures(2, channels, 64).float() / 127.5 - 1).requires_grad_()
    layers = network.layers(images)
    assert len(layers) >= 4
    assert all(layer.dim() == 4 and len(layer) == 2 for layer in layers)
    sizes = [layer.shape[2] for layer in layers]
    assert sizes == sorted(sizes, reverse=True)
    (pull,) = torch.autograd.grad(sum(layer.square().mean() for layer in layers), images)
    assert bool((pull[:, : min(channels, 3)].flatten(2).abs().sum(2) > 0).all())


def test_colours_become_grey_by_their_luminance() -> None:
    """ITU-R BT.601, by hand: 0.299, 0.587 and 0.114 of 255."""
    primaries = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255]], dtype=torch.uint8)[:, :, None, None]
    assert _with_channels(primaries, 1).flatten().tolist() == [76, 150, 29]
