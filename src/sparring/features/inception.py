"""The canonical Inception of FID, as published numbers mean it: torch-fidelity's port of the 2015 TensorFlow graph.

No package ships its weights, so they are a file that a person puts somewhere: in the folder that the environment
variable SPARRING_FEATURES names, or anywhere with `load_inception(path)`.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from sparring.errors import FileUnusableError, ShapeError, UsageError
from sparring.features.network import FeatureNetwork, Features, FeatureSource, LayeredNetwork, sha256_of
from sparring.paths import expanded

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Inception", "load_inception", "source"]

_FILE = "weights-inception-2015-12-05-6726825d.pth"
_ADDRESS = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{_FILE}"
_UNINSTALLED = "inception features need torch-fidelity; in sparring's folder, pip install '.[eval]'"
_STEM = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d",
)  # fmt: skip
_SHA256 = "6726825d"
"""How the checksum of the canonical file begins; the file carries it in its name."""


class Inception(LayeredNetwork):
    """uint8 [n, 3, h, w] -> 2,048 pooled features and 1,008 logits without their bias, as the Inception Score wants."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.body = _body(weights)

    def forward(self, images: Tensor) -> Features:
        values, logits = self.body(images)
        return Features(values, logits)

    def layers(self, x: Tensor) -> list[Tensor]:
        """The stem and the first blocks. Raises ShapeError for images of less than 28 pixels, which end before them."""
        if min(x.shape[2:]) < 28:
            raise ShapeError(
                f"inception's layers need images of 28 pixels, and these have {x.shape[2]}x{x.shape[3]}; take lite0"
            )
        found = []
        for name in _STEM:
            x = getattr(self.body, name)(x)
            if not name.startswith("MaxPool"):
                found.append(x)
        return found


def load_inception(path: Path | str) -> FeatureNetwork:
    """The network with the weights of a torch file, which is read without running anything in it.

    Weights other than the canonical ones are accepted, and the network's name says so.
    Raises FileUnusableError for a file that is no such network, UsageError where torch-fidelity is not installed.
    """
    if find_spec("torch_fidelity") is None:
        raise UsageError(_UNINSTALLED)
    from sparring.tensorfile import read_torch_file, tensors_of

    path = expanded(path)
    weights = tensors_of(read_torch_file(path))
    try:
        module = Inception(weights)
    except RuntimeError as error:
        raise FileUnusableError(f"{path.name} does not hold torch-fidelity's Inception; get {_ADDRESS}") from error
    checksum = sha256_of(path)
    return FeatureNetwork(
        name="inception" if checksum.startswith(_SHA256) else "inception, other weights",
        checksum=checksum,
        dimension=2048,
        channels=3,
        resize="to 299x299: bilinear as TensorFlow 1 does it (no antialiasing, corner origin)",
        labels="1,008 Inception classes",
        module=module.eval().requires_grad_(False),
        batch=32,
    )


def _body(weights: dict[str, Tensor]) -> nn.Module:
    """The library's network with these weights, without its download and without its unpickling."""
    import torch_fidelity.feature_extractor_inceptionv3 as library

    download = library.load_state_dict_from_url
    # Its constructor insists on fetching the weights itself, so for that moment the fetching is ours.
    library.load_state_dict_from_url = lambda *_, **__: weights
    try:
        with torch.random.fork_rng(devices=[]):  # it draws initial weights from the default generator
            outputs = ["2048", "logits_unbiased"]
            body: nn.Module = library.FeatureExtractorInceptionV3("inception", outputs, verbose=False)
    finally:
        library.load_state_dict_from_url = download
    return body


def _path() -> Path:
    return expanded(os.environ.get("SPARRING_FEATURES", "")) / _FILE


def _missing() -> str | None:
    if find_spec("torch_fidelity") is None:
        return _UNINSTALLED
    if "SPARRING_FEATURES" in os.environ and _path().is_file():
        return None
    folder = os.environ.get("SPARRING_FEATURES") or "a folder named by the environment variable SPARRING_FEATURES"
    return f"the weights of inception are not here; put {_ADDRESS} into {folder}"


source = FeatureSource("inception", load=lambda: load_inception(_path()), missing=_missing)
