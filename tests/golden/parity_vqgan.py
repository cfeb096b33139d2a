"""VQGAN's codec, its quantisers and the GPT over its codes against CompVis/taming-transformers; writes `vqgan.json`.

    python tests/golden/parity_vqgan.py --taming DIR --commit HASH

The reference gets our weights in float64 by the names that `share.published.taming` knows, which also has to tell our
settings and weights from theirs. Reconstructions, maps, losses and gradients by images and codebook are compared in
evaluation and training mode, and the codebook after a step of moving averages: maximum error over maximum value. Their
quantiser of moving averages does not run as it is (two names are undefined), and counts vectors of a batch, where ours
has fair shares: it gets the names, counts and an epsilon brought to its scale.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from golden.filling import sparse  # noqa: E402
from golden.vqgan import (  # noqa: E402
    BETA,
    CASES,
    CLASSES,
    LOSSES,
    Case,
    answers,
    images,
    key,
    member,
    prior,
    prior_answers,
    said,
    spoken,
)  # fmt: skip
from sparring.networks.gpt import CodePrior  # noqa: E402
from sparring.networks.vqgan import Codec  # noqa: E402
from sparring.share.published.taming import codec, our_name  # noqa: E402


def reference(root: Path) -> Any:
    """Their modules of networks; what they import beside torch and numpy is stood in for."""
    stubs = {"einops": {"rearrange": rearranged}, "transformers": {"top_k_top_p_filtering": None}}
    for name, attributes in stubs.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(attributes)
    sys.path.insert(0, str(root))
    parts = {"model": "diffusionmodules.model", "quantize": "vqvae.quantize", "mingpt": "transformer.mingpt"}
    return types.SimpleNamespace(**{k: importlib.import_module(f"taming.modules.{v}") for k, v in parts.items()})


def rearranged(x: Tensor, pattern: str) -> Tensor:
    """Axes in another order, which is all that is asked of it."""
    before, after = (side.split() for side in pattern.split("->"))
    return x.permute([before.index(axis) for axis in after])


def counterpart(networks: Any, case: Case, ours: Codec) -> nn.Module:
    """Their codec with our weights; `share` is how much of a fair share one of their counts is."""
    told = case.settings
    sides = [case.shape[1] // 2**level for level in case.attention]
    shared = {
        "ch": told["width"], "out_ch": case.shape[0], "ch_mult": case.multipliers, "num_res_blocks": case.blocks,
        "attn_resolutions": sides, "in_channels": case.shape[0], "resolution": case.shape[1],
        "z_channels": told["latent"], "double_z": False,
    }  # fmt: skip
    theirs = nn.Module()
    theirs.encoder, theirs.decoder = networks.model.Encoder(**shared), networks.model.Decoder(**shared)
    places = len(images(case)) * case.shape[1] * case.shape[2] // ours.multiple**2
    share = told["codes"] / places
    if case.how == "gradient":
        theirs.quantize = networks.quantize.VectorQuantizer2(told["codes"], told["dim"], BETA)
    else:
        networks.quantize.num_tokens, networks.quantize.codebook_dim = told["codes"], told["dim"]
        theirs.quantize = networks.quantize.EMAVectorQuantizer(told["codes"], told["dim"], BETA)
        theirs.quantize.embedding.eps = ours.quantiser.epsilon / share
    theirs.quant_conv = nn.Conv2d(told["latent"], told["dim"], 1)
    theirs.post_quant_conv = nn.Conv2d(told["dim"], told["latent"], 1)
    mine = ours.state_dict()
    scale = dict.fromkeys(("quantize.embedding.cluster_size", "quantize.embedding.embed_avg"), share)
    theirs.load_state_dict({name: mine[our_name(name)] / scale.get(name, 1.0) for name in theirs.state_dict()})
    return theirs


def check_names(case: Case, ours: Codec, theirs: nn.Module) -> None:
    """What is told from their weights is our codec."""
    loss = {"loss.discriminator.main.0.weight": torch.zeros(1)}
    settings, weights = codec(theirs.state_dict() | loss)
    listed = {"multipliers": list(case.multipliers), "attention": list(case.attention)}
    assert settings == {"network": "vqgan:Codec", "channels": case.shape[0], **case.settings, **listed}
    mine = ours.state_dict()
    assert weights.keys() == mine.keys()
    for name in mine.keys() - ({"quantiser.usage"} if case.how == "gradient" else set()):
        torch.testing.assert_close(weights[name], mine[name], atol=1e-12, rtol=0)


def their_answers(theirs: Any, case: Case, loss: str) -> dict[str, Tensor]:
    x = images(case).requires_grad_()
    theirs.quantize.legacy = loss == "legacy"
    maps = theirs.quant_conv(theirs.encoder(x))
    chosen, total, (_, _, indices) = theirs.quantize(maps)
    made = theirs.decoder(theirs.post_quant_conv(chosen))
    return answers(x, theirs.quantize.embedding.weight, maps, indices.view(-1, *maps.shape[2:]), made, total)


def their_prior(networks: Any, ours: CodePrior) -> Any:
    """Their GPT with our weights; the label is an embedding put in front."""
    width, layers, heads = ours.places.shape[1], len(ours.blocks), ours.blocks[0].heads
    theirs = networks.mingpt.GPT(ours.codes, ours.z_dim, n_layer=layers, n_head=heads, n_embd=width)
    pairs = [(theirs.tok_emb, ours.embedding), (theirs.ln_f, ours.norm), (theirs.head, ours.head)]
    for other, block in zip(theirs.blocks, ours.blocks, strict=True):
        pairs += [(other.ln1, block.norms[0]), (other.ln2, block.norms[1]), (other.attn.proj, block.out)]
        pairs += [(other.mlp[0], block.dense[0]), (other.mlp[2], block.dense[2])]
        parts = zip(block.attention.weight.chunk(3), block.attention.bias.chunk(3), strict=True)
        for layer, (weight, bias) in zip((other.attn.query, other.attn.key, other.attn.value), parts, strict=True):
            layer.load_state_dict({"weight": weight, "bias": bias})
    for other, layer in pairs:
        other.load_state_dict(layer.state_dict())
    with torch.no_grad():
        theirs.pos_emb.copy_(ours.places[None])
    return theirs


def both_priors(networks: Any, classes: int) -> list[dict[str, Tensor]]:
    """The answers of ours and of theirs."""
    ours = prior(classes)
    theirs = their_prior(networks, ours)
    indices, labels = spoken(ours)
    start = ours.start.weight[torch.zeros(4, dtype=torch.int64) if labels is None else labels].detach()[:, None]
    found = prior_answers(theirs(indices[:, :-1], embeddings=start)[0], theirs.pos_emb)
    found["gradient"] = found["gradient"].view_as(ours.places)
    return [prior_answers(ours.logits(indices, labels), ours.places), found]


def compared(name: str, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> dict[str, list[float]]:
    """Golden numbers of theirs, if ours are the same."""
    assert ours.keys() == theirs.keys()
    errors = {k: float((ours[k] - theirs[k]).detach().abs().max() / theirs[k].detach().abs().max()) for k in theirs}
    print(f"{name}: " + ", ".join(f"{k} {error:.1e}" for k, error in errors.items()))
    assert max(errors.values()) < 1e-5, name
    return {k: sparse(tensor) for k, tensor in theirs.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--taming", type=Path, required=True)
    parser.add_argument("--commit", required=True, help="of the folder")
    told = parser.parse_args()
    torch.set_default_dtype(torch.double)
    networks, found = reference(told.taming), {}
    for case in CASES:
        for mode in ("eval", "train"):
            for loss in LOSSES[case.how]:
                ours = member(case).train(mode == "train")
                theirs = counterpart(networks, case, ours).train(mode == "train")
                check_names(case, ours, theirs)
                name = key(case, mode, loss)
                found[name] = compared(name, said(ours, case, loss), their_answers(theirs, case, loss))
    for classes in CLASSES:
        found[f"prior-{classes}"] = compared(f"prior-{classes}", *both_priors(networks, classes))
    text = {"reference": f"CompVis/taming-transformers {told.commit[:7]}", "answers": found}
    (HERE / "vqgan.json").write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    main()
