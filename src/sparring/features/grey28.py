"""Grey28: a small network for grey images of 28 or 32 pixels, whose weights ship with the package.

Inception has seen photographs of 299 pixels; a digit is as strange to it as it is small, and 2,048 dimensions want tens
of thousands of images. This network has 64 dimensions, so that the covariance of 1,000 held-out images has full rank
with room to spare, and it was trained as a classifier of MNIST and Fashion-MNIST jointly (20 classes, training sets
only) by `benchmarks/train_grey_features.py`: 99.30 % and 91.57 % of the test sets right. Its numbers compare only with
its own.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import interpolate

from sparring.chance import without_memory
from sparring.features.network import FeatureNetwork, Features, FeatureSource, LayeredNetwork, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Grey28", "source"]

_DIMENSION = 64
_CLASSES = 20


class Grey28(LayeredNetwork):
    """uint8 [n, 1, h, w] -> 64 features (the mean over the last map, after its ReLU) and 20 class logits."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(  # 28 px
            _convolution(1, 32, stride=2),  # 14 px
            _convolution(32, 32),
            _convolution(32, 64, stride=2),  # 7 px
            _convolution(64, 64),
            _convolution(64, _DIMENSION),
        )
        self.classes = nn.Linear(_DIMENSION, _CLASSES)

    def forward(self, images: Tensor) -> Features:
        x = images.float()
        if images.shape[2:] != (28, 28):
            x = interpolate(x, size=(28, 28), mode="bilinear", antialias=True, align_corners=False)
        values = self.maps(x / 127.5 - 1).mean(dim=(2, 3))
        return Features(values, self.classes(values))

    def layers(self, x: Tensor) -> list[Tensor]:
        found = []
        for stage in self.maps:
            x = stage(x)
            found.append(x)
        return found


def _load() -> FeatureNetwork:
    with as_file(files("sparring.features") / "grey28.safetensors") as path:
        weights, checksum = load_file(path), sha256_of(path)
    with without_memory():
        module = Grey28()
    module.load_state_dict(weights, assign=True)
    return FeatureNetwork(
        name="grey28",
        checksum=checksum,
        dimension=_DIMENSION,
        channels=1,
        resize="28 px as is, else to 28x28: bilinear, antialiased, half-pixel centres, not rounded",
        labels="10 MNIST and 10 Fashion-MNIST classes",
        module=module.eval().requires_grad_(False),
    )


def _convolution(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


source = FeatureSource("grey28", load=_load, missing=lambda: None)
