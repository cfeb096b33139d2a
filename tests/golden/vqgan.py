"""The codecs and the prior over their codes whose answers are golden, at toy widths, with the weights of `filling`."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from golden.filling import combination, fill
from sparring.networks.gpt import CodePrior
from sparring.networks.vqgan import Codec

BETA = 0.25


class Case(NamedTuple):
    """A codec, and the size of its images; theirs has 32 groups in every norm, so no width is smaller."""

    shape: tuple[int, int, int]
    multipliers: tuple[int, ...]
    blocks: int
    attention: tuple[int, ...]
    how: str

    @property
    def settings(self) -> dict[str, Any]:
        """What `Codec` takes beside the shape."""
        more = {"multipliers": self.multipliers, "blocks": self.blocks, "attention": self.attention}
        return {"width": 32, "codes": 24, "dim": 4, "latent": 6, "quantiser": self.how, **more}


CASES = [
    Case(shape, multipliers, blocks, attention, how)
    for shape, multipliers, blocks, attention in (
        ((3, 16, 16), (1, 2), 1, (1,)),
        ((1, 20, 28), (1, 1, 2), 2, (1, 2)),
    )
    for how in ("gradient", "average")
]
CLASSES = (0, 3)


def member(case: Case) -> Codec:
    """One of them in float64, filled; a moving average of counts is positive, and sums to the number of codes."""
    network = Codec(case.shape, **case.settings).double()
    fill(network)
    usage = network.quantiser.usage
    usage.abs_().add_(0.5).div_(usage.mean())
    return network


def prior(classes: int) -> CodePrior:
    """A prior over the codes of a toy codec, in float64, filled; 12 places."""
    toy = partial(Codec, width=2, multipliers=(1, 1), blocks=1, codes=10, dim=2)
    network = CodePrior((1, 6, 8), classes, codec=toy, width=12, layers=2, heads=3).double()
    fill(network)
    return network


def images(case: Case) -> Tensor:
    """Three fixed images."""
    return torch.randn(3, *case.shape, generator=torch.Generator().manual_seed(11), dtype=torch.double)


def spoken(network: CodePrior) -> tuple[Tensor, Tensor | None]:
    """Codes of four images and their labels."""
    indices = torch.randint(network.codes, (4, network.z_dim), generator=torch.Generator().manual_seed(12))
    return indices, torch.arange(4) % network.classes if network.classes else None


def paper(codebook: Tensor, commitment: Tensor) -> Tensor:
    """The quantiser's loss as the papers have it."""
    return codebook + BETA * commitment


def legacy(codebook: Tensor, commitment: Tensor) -> Tensor:
    """The quantiser's loss that the authors trained with."""
    return BETA * codebook + commitment


def averaged(codebook: Tensor, commitment: Tensor) -> Tensor:
    """What is left of it where the codebook is a moving average."""
    return BETA * commitment


LOSSES = {"gradient": {"paper": paper, "legacy": legacy}, "average": {"averaged": averaged}}


def answers(
    x: Tensor, codebook: Tensor, maps: Tensor, indices: Tensor, made: Tensor, total: Tensor
) -> dict[str, Tensor]:
    """What a codec made of x, gradients of images and loss together, and the codebook where it has moved by itself."""
    flat = made.flatten()
    asked = [x, codebook] if codebook.requires_grad else [x]
    slopes = torch.autograd.grad((flat * combination(flat)).sum() + 100 * total, asked)
    found = {"maps": maps, "indices": indices.double(), "output": flat, "loss": total, "gradient": slopes[0]}
    return found | {"codebook": slopes[1] if codebook.requires_grad else codebook}


def said(network: Codec, case: Case, loss: str) -> dict[str, Tensor]:
    """The answers of ours."""
    x = images(case).requires_grad_()
    maps = network.encode(x)
    found = network.quantiser(maps)
    total = LOSSES[case.how][loss](found.codebook, found.commitment)
    return answers(x, network.quantiser.codebook, maps, found.indices, network.decode(found.maps), total)


def prior_answers(logits: Tensor, places: Tensor) -> dict[str, Tensor]:
    """Logits, and their gradient by the places' embeddings."""
    flat = logits.flatten()
    (slope,) = torch.autograd.grad((flat * combination(flat)).sum(), places)
    return {"logits": flat, "gradient": slope}


def key(case: Case, mode: str, loss: str) -> str:
    """The name of an answer."""
    return "-".join(map(str, (*case.shape, case.how, mode, loss)))
