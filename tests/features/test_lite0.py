"""EfficientNet-Lite0: the package's weights are in the right places."""

from __future__ import annotations

import pytest
import torch

from sparring import features
from sparring.features.lite0 import Lite0

sentence = features.sources()["lite0"].missing()
pytestmark = pytest.mark.skipif(sentence is not None, reason=str(sentence))


def test_golden_logits() -> None:
    # measured when the package was chosen: timm 1.0, torch 2.14.1
    module = features.load("lite0").module
    assert isinstance(module, Lite0)
    torch.manual_seed(0)
    with torch.inference_mode():
        logits = module.body(torch.randn(1, 3, 224, 224))[0, :4]
    torch.testing.assert_close(logits, torch.tensor([-2.4259, 0.4861, 1.6930, 0.1688]), rtol=0, atol=1e-3)


def test_features_lead_to_the_logits_of_the_whole_network() -> None:
    module = features.load("lite0").module
    assert isinstance(module, Lite0)
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    with torch.inference_mode():
        whole, seen = module.body(images / 127.5 - 1), module(images)
    torch.testing.assert_close(seen.logits, whole)
