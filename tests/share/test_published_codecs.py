"""Published checkpoints become our weights; what does not fit is refused in one sentence.

That the names mean the same is proven by `tests/golden/parity_vqgan.py`, where the reference itself has them.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sparring.errors import FileUnusableError
from sparring.networks.vqgan import Codec
from sparring.share.published.taming import codec, our_name

BLOCK, ATTENTION = ("norm1", "conv1", "norm2", "conv2"), ("norm", "q", "k", "v", "proj_out")


def their_names(blocks: int, *, ema: bool) -> list[str]:
    """What a codec of sizes (1, 2), attending at the smaller one, is called there (read off the reference)."""
    parts = ["quant_conv", "post_quant_conv"]
    for side, way, more in (("encoder", "down", 0), ("decoder", "up", 1)):
        parts += [f"{side}.{part}" for part in ("conv_in", "norm_out", "conv_out")]
        parts += [f"{side}.mid.block_{k}.{part}" for k in (1, 2) for part in BLOCK]
        parts += [f"{side}.mid.attn_1.{part}" for part in ATTENTION]
        for level in (0, 1):
            parts += [f"{side}.{way}.{level}.block.{j}.{part}" for j in range(blocks + more) for part in BLOCK]
        parts += [f"{side}.{way}.1.attn.{j}.{part}" for j in range(blocks + more) for part in ATTENTION]
        parts.append(f"{side}.{way}.{more}.{way}sample.conv")
        parts.append(f"{side}.{way}.{1 - more}.block.0.nin_shortcut")
    parts = [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    moved = ["quantize.embedding.cluster_size", "quantize.embedding.embed_avg"] if ema else []
    return [*parts, "quantize.embedding.weight", *moved]


def published(*, blocks: int = 1, ema: bool = False) -> tuple[Codec, dict[str, Tensor]]:
    """A codec, and the checkpoint that it would be there, with parts that are not of it."""
    torch.manual_seed(0)
    settings = {"width": 4, "multipliers": (1, 2), "blocks": blocks, "codes": 6, "dim": 3, "latent": 5}
    ours = Codec((2, 4, 4), **settings, quantiser="average" if ema else "gradient")  # type: ignore[arg-type]
    state = ours.state_dict()
    tensors = {name: state[our_name(name)] for name in their_names(blocks, ema=ema)}
    loss = {"loss.perceptual_loss.lin0.model.1.weight": torch.ones(1), "colorize": torch.ones(3, 1, 1, 1)}
    return ours, tensors | loss


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("ema", [False, True])
def test_a_checkpoint_becomes_our_codec(blocks: int, ema: bool) -> None:
    ours, tensors = published(blocks=blocks, ema=ema)
    if ema:  # counts of a batch of 50 vectors
        tensors["quantize.embedding.cluster_size"] = torch.tensor([0.0, 10.0, 10.0, 10.0, 10.0, 10.0])
        tensors["quantize.embedding.embed_avg"] = tensors["quantize.embedding.embed_avg"] * 50 / 6
    settings, weights = codec(tensors)
    assert (settings.pop("network"), settings.pop("channels")) == ("vqgan:Codec", 2)
    assert settings == {
        "width": 4, "multipliers": [1, 2], "blocks": blocks, "attention": [1], "codes": 6, "dim": 3, "latent": 5,
        "quantiser": "average" if ema else "gradient",
    }  # fmt: skip
    made = Codec((2, 8, 4), **settings)
    made.load_state_dict(weights)
    expected = [1.0] * 6 if not ema else [0.0, 1.2, 1.2, 1.2, 1.2, 1.2]
    assert made.quantiser.usage.tolist() == pytest.approx(expected)
    with torch.no_grad():
        ours.quantiser.usage.copy_(made.quantiser.usage)
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(weights[name], tensor)


def test_no_attention_but_in_the_middle() -> None:
    _, tensors = published()
    settings, _ = codec({name: tensor for name, tensor in tensors.items() if ".attn." not in name})
    assert settings["attention"] == []


def gumbel(tensors: dict[str, Tensor]) -> None:
    tensors["quantize.embed.weight"] = tensors.pop("quantize.embedding.weight")
    tensors["quantize.proj.weight"] = torch.ones(6, 5, 1, 1)


def uneven(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("decoder.up.1.attn.1")]:
        del tensors[name]


def no_codebook(tensors: dict[str, Tensor]) -> None:
    del tensors["quantize.embedding.weight"]


def more(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.clock.weight"] = torch.ones(1)


def other_width(tensors: dict[str, Tensor]) -> None:
    tensors["decoder.conv_out.bias"] = torch.ones(3)


def odd_width(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.down.1.block.0.conv1.weight"] = torch.ones(7, 4, 3, 3)


def flat(tensors: dict[str, Tensor]) -> None:
    tensors["quant_conv.weight"] = torch.ones(3, 5)


def no_width(tensors: dict[str, Tensor]) -> None:
    tensors["encoder.conv_in.weight"] = torch.ones(0, 2, 3, 3)


def no_levels(tensors: dict[str, Tensor]) -> None:
    for name in [name for name in tensors if name.startswith("encoder.down")]:
        del tensors[name]


def uncounted(tensors: dict[str, Tensor]) -> None:
    tensors["quantize.embedding.embed_avg"] = torch.ones(6, 3)


def nothing(tensors: dict[str, Tensor]) -> None:
    tensors.clear()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (gumbel, "Gumbel"),
        (uneven, "lacks 'decoder.levels.1.attentions.1"),
        (no_codebook, "no quantiser.codebook"),
        (more, "has 'encoder.clock.weight'"),
        (other_width, r"decoder.head.bias of this VQGAN is \[3\] instead of \[2\]"),
        (odd_width, r"4 and then \[4, 7\] channels"),
        (flat, "no before.weight of 4 axes"),
        (no_width, "0 and then"),
        (no_levels, "is it another network"),
        (uncounted, "no count"),
        (nothing, "is it a VQGAN's checkpoint"),
    ],
)
def test_what_does_not_fit_is_refused(spoil: Callable[[dict[str, Tensor]], None], words: str) -> None:
    _, tensors = published()
    spoil(tensors)
    with pytest.raises(FileUnusableError, match=words):
        codec(tensors)


def test_what_we_exported_is_not_published() -> None:
    with pytest.raises(FileUnusableError, match="this is what sparring exported"):
        codec(published()[0].state_dict())
