"""The embedded network: its weights are the stated ones, and its distance grows with damage to the pictures."""

from __future__ import annotations

import gzip
from importlib.resources import files

import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from sparring import features
from sparring.metrics.frechet import frechet


@pytest.fixture(scope="module")
def clothes() -> torch.Tensor:
    """2,000 of the Fashion-MNIST test pictures that ship with the package."""
    packed = files("sparring.data") / "embedded" / "t10k-images-idx3-ubyte.gz"
    pixels = np.frombuffer(gzip.decompress(packed.read_bytes()), np.uint8, offset=16, count=2000 * 28 * 28)
    return torch.from_numpy(pixels.copy()).view(2000, 1, 28, 28)


def test_the_weights_are_the_stated_ones() -> None:
    # what benchmarks/train_grey_features.py wrote; a change of this line makes all earlier scores incomparable
    assert features.load("grey28").checksum == "5315d1cec7da9f4db2070c414faac89685d81208f52eb37f3644a85b6576f12b"


def test_it_knows_clothes(clothes: torch.Tensor) -> None:
    packed = files("sparring.data") / "embedded" / "t10k-labels-idx1-ubyte.gz"
    labels = np.frombuffer(gzip.decompress(packed.read_bytes()), np.uint8, offset=8, count=2000)
    logits = features.load("grey28").features(clothes).logits
    assert logits is not None
    right = logits.argmax(1) - 10 == torch.from_numpy(labels.copy())
    assert right.float().mean() > 0.9  # benchmarks/train_grey_features.py: 91.57 % of all 10,000


@pytest.mark.parametrize("damage", ["noise", "blur", "fewer classes"])
def test_the_distance_grows_with_the_damage(clothes: torch.Tensor, damage: str) -> None:
    network = features.load("grey28")
    real, fake = network.features(clothes[:1000]), clothes[1000:]
    scores = [frechet(real, network.features(_damaged(fake, damage, i)))[0].value for i in range(4)]
    assert scores == sorted(scores)
    assert scores[3] > 2 * scores[0]


def _damaged(images: torch.Tensor, damage: str, strength: int) -> torch.Tensor:
    if strength == 0:
        return images
    if damage == "noise":
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
        return (images + noise * 8 * 2**strength).clamp(0, 255).to(torch.uint8)
    if damage == "blur":
        blocks = avg_pool2d(images.float(), (2, 4, 7)[strength - 1])
        return interpolate(blocks, size=(28, 28), mode="bilinear").to(torch.uint8)
    kept = len(images) // 5**strength  # a collapse: fewer and fewer pictures, repeated
    return images[:kept].repeat(-(-len(images) // kept), 1, 1, 1)[: len(images)]
