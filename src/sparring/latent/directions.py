"""Directions in latent space along which images change most, found without a label.

`principal()` looks at where a generator's first layer goes (Härkönen et al. 2020, GANSpace), `factorised()` at its
weights alone (Shen & Zhou 2021, SeFa). Where a generator has styles they are directions of styles, otherwise of z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from sparring.chance import latents
from sparring.engine.checkpoint import write_durably
from sparring.engine.sampler import ClassChoice, TrainedGenerator
from sparring.errors import UsageError
from sparring.latent.mix import layers_checked
from sparring.networks.layers import StyleBased
from sparring.pictures import grid, png, to_uint8

__all__ = ["Directions", "factorised", "principal", "sheet", "walk", "write_sheet"]


@dataclass(frozen=True)
class Directions:
    """Unit `vectors` `[k, dim]` of styles or of z, the strongest first, and the deviation of latents along each."""

    vectors: Tensor
    deviations: Tensor

    def __len__(self) -> int:
        return len(self.vectors)


def principal(generator: TrainedGenerator, k: int = 6, *, n: int = 8192, seed: int = 0) -> Directions:
    """Principal components of styles, of n seeds; without styles, of the first layer (GANSpace, sections 2.1 and 2.2).

    In the second case a direction of z is what best explains a component, by least squares. Raises UsageError for more
    directions than there are dimensions.
    """
    _check(generator, k)
    network, device = generator.network, _device(generator)
    z = latents(list(range(seed, seed + n)), generator.z_dim, generator.z_kind).to(device)
    labels = generator.labels(n)
    told: tuple[Tensor, ...] = () if labels is None else (labels.to(device),)
    with torch.inference_mode():
        if generator.style_layers:
            found = _styles(network, z, *told)[:, 0].double()
            values, vectors = _largest(torch.cov(found.t()), k)
            return Directions(vectors.float().cpu(), values.clamp(min=0).sqrt().float().cpu())
        layer = _first_layer(network, z[:2], *(t[:2] for t in told))
        answers = _answers(network, layer, z, *told).double()
        answers = answers - answers.mean(0)
        z = (z - z.mean(0)).double()
        _, vectors = _largest(answers.t() @ answers / (n - 1), k) if answers.shape[1] <= n else _dual(answers, k)
        places = answers @ vectors.t()
        moved = torch.linalg.lstsq(places, z).solution
        return _along(moved, z)


def factorised(generator: TrainedGenerator, k: int = 6, *, layers: Sequence[int] | None = None) -> Directions:
    """Eigenvectors of A'A, the largest first, where A is how styles, or z, enter (Shen & Zhou 2021, eq. 9).

    A holds what maps styles to scales, of some `layers` or of all, one below the other; without styles it is the first
    layer. Raises UsageError for layers that there are not, and for more directions than there are dimensions.
    """
    _check(generator, k)
    network, device = generator.network, _device(generator)
    with torch.inference_mode():
        if generator.style_layers:
            chosen = layers_checked(generator, range(generator.style_layers) if layers is None else layers)
            matrix = torch.cat([network.style_weights(layer) for layer in chosen]).double()
            z = latents(list(range(2048)), generator.z_dim, generator.z_kind).to(device)
            labels = generator.labels(2048)
            at = _styles(network, z, *(() if labels is None else (labels.to(device),)))[:, 0].double()
        else:
            if layers is not None:
                raise UsageError("this generator has no styles, so no layers to choose; leave them out")
            label = generator.labels(1)
            told: tuple[Tensor, ...] = () if label is None else (label.to(device),)
            at = latents(list(range(2048)), generator.z_dim, generator.z_kind).to(device)
            layer = _first_layer(network, at[:1], *told)
            steps = torch.eye(generator.z_dim, device=device)
            told = tuple(t.expand(generator.z_dim) for t in told)
            matrix = (_answers(network, layer, steps, *told) - _answers(network, layer, -steps, *told)).double().t() / 2
            at = at.double()
        _, vectors = _largest(matrix.t() @ matrix, k)
        return _along(vectors, at)


def walk(
    generator: TrainedGenerator,
    directions: Directions,
    *,
    seed: int = 0,
    reach: float = 3.0,
    steps: int = 7,
    layers: Sequence[int] | None = None,
    classes: ClassChoice | None = None,
    truncation: float | None = None,
) -> Tensor:
    """One seed's image moved along every direction: uint8 `[k, steps, c, h, w]`.

    From -`reach` to `reach` deviations; of styles at some `layers`, by default at all. Raises UsageError for a reach or
    steps that cannot be, and for what the generator does not have.
    """
    if not 0 < reach < 1e3 or not 2 <= steps <= 1000:
        raise UsageError(f"{steps} steps over {reach} deviations lead nowhere; give at least 2, and a reach such as 3")
    generator.check(truncation)
    network, device = generator.network, _device(generator)
    z = generator.latents(1, seed).to(device)
    label = generator.labels(1, seed, classes=classes)
    told = () if label is None else (label.to(device),)
    shifts = torch.linspace(-reach, reach, steps)[:, None, None] * (directions.vectors * directions.deviations[:, None])
    rows = []
    if not generator.style_layers:
        if layers is not None:
            raise UsageError("this generator has no styles, so no layers to choose; leave them out")
        for moves in shifts.unbind(1):
            labels = None if label is None else label.expand(steps)
            rows.append(generator.images(z.cpu() + moves, labels, truncation=truncation))
        return torch.stack(rows)
    chosen = list(layers_checked(generator, range(generator.style_layers) if layers is None else layers))
    with torch.inference_mode():
        styles = network.styles(z, *told)
        styles = styles if truncation is None else network.truncated(styles, truncation)
        for moves in shifts.to(device).unbind(1):
            moved = styles.expand(steps, -1, -1).clone()
            moved[:, chosen] += moves[:, None]
            rows.append(torch.cat([to_uint8(network.synthesis(style[None])).cpu() for style in moved]))
    return torch.stack(rows)


def sheet(images: Tensor) -> Image.Image:
    """The images of `walk` as one picture, a row for each direction."""
    return grid(images.flatten(0, 1), columns=images.shape[1])


def write_sheet(images: Tensor, path: str | Path) -> Path:
    """Write `sheet` as a PNG; raises DiskError if it cannot be written."""
    path = Path(path)
    write_durably(path, png(sheet(images), {"Software": "sparring"}))
    return path


def _check(generator: TrainedGenerator, k: int) -> None:
    network: Any = generator.network
    dim = int(network.mapping.average.numel()) if generator.style_layers else generator.z_dim
    if not 1 <= k <= dim:
        raise UsageError(f"{k} directions cannot be had of {dim} dimensions; ask for 1 to {dim}")


def _device(generator: TrainedGenerator) -> torch.device:
    return next(generator.network.parameters()).device  # type: ignore[no-any-return]


def _styles(network: StyleBased, z: Tensor, labels: Tensor | None = None) -> Tensor:
    return torch.cat(
        [
            network.styles(part, *(() if labels is None else (labels[k * 1024 : k * 1024 + len(part)],)))
            for k, part in enumerate(z.split(1024))
        ]
    )


def _largest(square: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest eigenvalues of a symmetric matrix and their vectors as rows, the first number not negative."""
    values, vectors = torch.linalg.eigh(square)
    rows = vectors.t().flip(0)[:k]
    signs = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    return values.flip(0)[:k], rows * signs


def _dual(rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The same of rows' second moments, where there are more columns than rows."""
    _, _, vectors = torch.linalg.svd(rows, full_matrices=False)
    return rows.new_zeros(k), vectors[:k]


def _along(vectors: Tensor, at: Tensor) -> Directions:
    """Directions of unit length, and how far latents `at` spread along them."""
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    return Directions(vectors.float().cpu(), (at @ vectors.t()).std(0).float().cpu())


def _first_layer(network: nn.Module, z: Tensor, *labels: Tensor) -> nn.Module:
    """The first module with weights of its own, not counting tables of labels, that an input goes through."""
    seen: list[nn.Module] = []

    def note(module: nn.Module, _: object, __: object) -> None:
        seen.append(module)

    own = [m for m in network.modules() if _maps(m)]
    hooks = [module.register_forward_hook(note) for module in own]
    try:
        network(z, *labels)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise UsageError("this generator has no layer whose directions could be found")
    return seen[0]


def _maps(module: nn.Module) -> bool:
    """Whether a module multiplies by weights of its own."""
    weight = module._parameters.get("weight")
    matrix = weight is not None and weight.dim() > 1
    return (matrix or hasattr(module, "parametrizations")) and not isinstance(module, nn.Embedding)


def _answers(network: nn.Module, layer: nn.Module, z: Tensor, *labels: Tensor) -> Tensor:
    """What a layer says to each z, flat: `[n, features]`."""
    found: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, answer: found.append(answer.flatten(1)))
    try:
        for k, part in enumerate(z.split(256)):
            network(part, *(told[k * 256 : k * 256 + len(part)] for told in labels))
    finally:
        hook.remove()
    return torch.cat(found)
