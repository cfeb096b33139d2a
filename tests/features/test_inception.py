"""The canonical Inception's code path, with made-up weights in the layout of the published file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from sparring import features
from sparring.errors import FileUnusableError, ShapeError, UsageError
from sparring.features.inception import Inception, load_inception

NAME = "weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file like torch-fidelity's; its own network makes it, with the download replaced."""
    path = tmp_path_factory.mktemp("weights") / NAME
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        patch.setattr("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", lambda *_, **__: {})
        torch.manual_seed(0)
        torch.save(FeatureExtractorInceptionV3("x", ["2048"], verbose=False).state_dict(), path)
    return path.parent


def test_equals_torch_fidelity(published: Path) -> None:
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    theirs = FeatureExtractorInceptionV3(
        "x", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(published / NAME), verbose=False
    )
    network = load_inception(published / NAME)
    seen = network.features(images)
    values, logits = theirs(images)
    assert seen.logits is not None
    torch.testing.assert_close(seen.values, values)
    torch.testing.assert_close(seen.logits, logits)
    assert network.name == "inception, other weights"


def test_found_in_the_named_folder(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARRING_FEATURES", str(published))
    assert features.load("inception").dimension == 2048


def test_without_weights_the_error_says_which_file_goes_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARRING_FEATURES", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        features.load("inception")
    for part in (NAME, "https://", str(tmp_path), "grey28"):
        assert part in str(caught.value)
    monkeypatch.delenv("SPARRING_FEATURES")
    with pytest.raises(UsageError, match="environment variable SPARRING_FEATURES"):
        features.load("inception")


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(FileUnusableError, match="does not hold torch-fidelity's Inception"):
        load_inception(tmp_path / "other.pth")


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sparring.features.inception.find_spec", lambda name: None)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="need torch-fidelity; in sparring's folder, pip install"):
        load_inception(tmp_path / "other.pth")


def test_images_that_end_before_its_layers() -> None:
    with pytest.raises(ShapeError, match="need images of 28 pixels, and these have 24x32; take lite0"):
        Inception.layers(None, torch.zeros(2, 3, 24, 32))  # type: ignore[arg-type]
