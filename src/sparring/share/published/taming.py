"""VQGAN checkpoints of CompVis/taming-transformers and its kin, as weights of `networks.vqgan` (Esser et al. 2021).

What is left after `loss.` (the discriminator and the perceptual distance), `model_ema.` and `colorize` are dropped goes
over name by name; `I` and `J` count sizes, from the image's down, and blocks:

    theirs                                            ours
    quant_conv, post_quant_conv                       before, after
    quantize.embedding.weight                         quantiser.codebook
    quantize.embedding.cluster_size, .embed_avg       quantiser.usage, quantiser.sums, both in fair shares
    encoder.conv_in, .norm_out, .conv_out             encoder.entry, .norm, .head
    encoder.mid.block_1, .attn_1, .block_2            encoder.middle.0, .1, .2
    encoder.down.I.block.J, .attn.J                   encoder.levels.I.blocks.J, .attentions.J
    encoder.down.I.downsample.conv                    encoder.levels.I.resize.layer
    decoder...up.I.upsample.conv                      decoder...levels.I.resize
    block: norm1, conv1, norm2, conv2, nin_shortcut   norms.0, first, norms.1, second, short
    attn: norm, q, k, v, proj_out                     norm, query, key, value, out

A codebook that was moved by gradient comes without usage, which then begins at a fair share for each code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sparring.chance import without_memory
from sparring.errors import FileUnusableError, SparringError
from sparring.networks.vqgan import Codec

__all__ = ["codec", "our_name"]

_DROPPED = ("loss.", "model_ema.", "colorize")
_RULES = tuple(
    (re.compile(theirs), ours)
    for theirs, ours in (
        (r"^quant_conv\.", "before."),
        (r"^post_quant_conv\.", "after."),
        (r"^quantize\.embedding\.weight$", "quantiser.codebook"),
        (r"^quantize\.embedding\.cluster_size$", "quantiser.usage"),
        (r"^quantize\.embedding\.embed_avg$", "quantiser.sums"),
        (r"^((?:en|de)coder)\.(?:down|up)\.", r"\1.levels."),
        (r"^((?:en|de)coder)\.mid\.block_1\.", r"\1.middle.0."),
        (r"^((?:en|de)coder)\.mid\.attn_1\.", r"\1.middle.1."),
        (r"^((?:en|de)coder)\.mid\.block_2\.", r"\1.middle.2."),
        (r"^((?:en|de)coder)\.conv_in\.", r"\1.entry."),
        (r"^((?:en|de)coder)\.norm_out\.", r"\1.norm."),
        (r"^((?:en|de)coder)\.conv_out\.", r"\1.head."),
        (r"\.block\.", ".blocks."),
        (r"\.attn\.", ".attentions."),
        (r"\.downsample\.conv\.", ".resize.layer."),
        (r"\.upsample\.conv\.", ".resize."),
        (r"\.norm1\.", ".norms.0."),
        (r"\.norm2\.", ".norms.1."),
        (r"\.conv1\.", ".first."),
        (r"\.conv2\.", ".second."),
        (r"\.nin_shortcut\.", ".short."),
        (r"\.q\.", ".query."),
        (r"\.k\.", ".key."),
        (r"\.v\.", ".value."),
        (r"\.proj_out\.", ".out."),
    )
)


def codec(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights of our codec, of a published VQGAN's state dict (see the rule at the head of this file).

    Settings are `network`, `vqgan:Codec`, `channels` of an image, and what `Codec` takes beside its shape. Raises
    FileUnusableError for what it cannot say, such as quantisers that draw (Gumbel) or attention after some blocks only.
    """
    if "quantiser.codebook" in tensors:
        raise FileUnusableError("this is what sparring exported; its folder can be used as it is")
    weights = {our_name(name): tensor for name, tensor in tensors.items() if not name.startswith(_DROPPED)}
    if any(name.startswith(("quantize.proj.", "quantize.embed.")) for name in weights):
        raise FileUnusableError("this VQGAN draws its codes by Gumbel noise; give one that takes the nearest")
    settings = _settings(weights)
    _add_usage(weights)
    _compare(settings, weights)
    return settings, weights


def our_name(name: str) -> str:
    """Our name of one of their weights.

    >>> our_name("encoder.down.4.block.1.nin_shortcut.weight"), our_name("decoder.mid.attn_1.q.bias")
    ('encoder.levels.4.blocks.1.short.weight', 'decoder.middle.1.query.bias')
    """
    for theirs, ours in _RULES:
        name = theirs.sub(ours, name)
    return name


def _settings(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """What the names and shapes say."""
    entry = _shape(weights, "encoder.entry.weight", 4)
    codebook = _shape(weights, "quantiser.codebook", 2)
    levels = _count(weights, r"encoder\.levels\.(\d+)\.")
    blocks = _count(weights, r"encoder\.levels\.0\.blocks\.(\d+)\.")
    widths = [_shape(weights, f"encoder.levels.{level}.blocks.0.first.weight", 4)[0] for level in range(levels)]
    if not levels or not blocks or not entry[0] or any(width % entry[0] for width in widths):
        raise FileUnusableError(f"{entry[0]} and then {widths} channels are not a VQGAN's; is it another network?")
    attention = [level for level in range(levels) if f"encoder.levels.{level}.attentions.0.query.weight" in weights]
    return {
        "network": "vqgan:Codec",
        "channels": entry[1],
        "width": entry[0],
        "multipliers": [width // entry[0] for width in widths],
        "blocks": blocks,
        "attention": attention,
        "codes": codebook[0],
        "dim": codebook[1],
        "latent": _shape(weights, "before.weight", 4)[1],
        "quantiser": "average" if "quantiser.sums" in weights else "gradient",
    }


def _add_usage(weights: dict[str, Tensor]) -> None:
    """Usage and sums as multiples of a fair share, whatever number of vectors a batch of theirs had."""
    codes = len(weights["quantiser.codebook"])
    if "quantiser.sums" not in weights:
        weights["quantiser.usage"] = torch.ones(codes, dtype=weights["quantiser.codebook"].dtype)
        return
    usage = weights.get("quantiser.usage")
    if usage is None or usage.shape != (codes,) or not usage.sum() > 0:
        raise FileUnusableError("this VQGAN has averages of its codes but no count of them; was it never trained?")
    share = codes / usage.sum()
    weights["quantiser.usage"] = usage * share
    weights["quantiser.sums"] = weights["quantiser.sums"] * share


def _compare(settings: dict[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Raise FileUnusableError unless our codec of these settings has exactly these weights."""
    told = {name: value for name, value in settings.items() if name not in ("network", "channels")}
    side = 2 ** (len(settings["multipliers"]) - 1)
    try:
        with without_memory():
            expected = Codec((settings["channels"], side, side), **told).state_dict()
    except (ArithmeticError, RuntimeError, SparringError, ValueError) as error:
        raise FileUnusableError("this VQGAN has settings that cannot be; was the file damaged?") from error
    wrong = sorted(expected.keys() ^ weights.keys())
    if wrong:
        how = "lacks" if wrong[0] in expected else "has"
        raise FileUnusableError(f"this VQGAN {how} {wrong[0]!a}, unlike those that we know; it cannot be had")
    for name, tensor in expected.items():
        if tensor.shape != weights[name].shape:
            shapes = f"{list(weights[name].shape)} instead of {list(tensor.shape)}"
            raise FileUnusableError(f"{name} of this VQGAN is {shapes}, unlike those that we know; it cannot be had")


def _shape(weights: Mapping[str, Tensor], name: str, axes: int) -> tuple[int, ...]:
    """The shape of a weight that every VQGAN has."""
    if name not in weights or weights[name].dim() != axes:
        raise FileUnusableError(f"there is no {name} of {axes} axes among the weights; is it a VQGAN's checkpoint?")
    return tuple(weights[name].shape)


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbers a part of names has."""
    return len({found[1] for name in weights if (found := re.match(pattern, name))})
