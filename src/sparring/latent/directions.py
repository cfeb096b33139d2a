"""Directions in latent space along which images change most, found without a label.

`principal()` looks at where a generator's first layer goes (Härkönen et al. 2020, GANSpace), `factorised()` at its
weights alone (Shen & Zhou 2021, SeFa). Where a generator has styles they are directions of styles, otherwise of z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from sparring.chance import latents
from sparring.engine.sampler import ClassChoice, TrainedGenerator
from sparring.errors import UsageError
from sparring.latent.mix import images_of, require_layers
from sparring.latent.slopes import require_slopes

__all__ = ["Directions", "factorised", "principal", "require_walk", "walk"]

_NOTHING = 1e-10  # of the largest eigenvalue, the square of what float32 leaves of nothing


@dataclass(frozen=True)
class Directions:
    """Unit `vectors` `[k, dim]` of styles or of z, the strongest first, and the deviation of latents along each."""

    vectors: Tensor
    deviations: Tensor

    def __len__(self) -> int:
        return len(self.vectors)


def principal(
    generator: TrainedGenerator, k: int = 6, *, n: int = 4096, seed: int = 0, classes: ClassChoice | None = None
) -> Directions:
    """Principal components of styles, of n seeds; without styles, of the first layer (GANSpace, sections 2.1 and 2.2).

    In the second case a direction of z is what best explains a component, by least squares. What a class does is left
    out: each counts from its own mean. Raises UsageError for more directions than change anything.
    """
    _check(generator, k)
    if n < 2:
        raise UsageError(f"{n} seeds span no direction; give 2 or more")
    z = latents(list(range(seed, seed + n)), generator.z_dim, generator.z_kind)
    labels = generator.labels(n, seed, classes=classes)
    found = _centred(_entering(generator, z, labels).double(), labels)
    if generator.style_layers:
        values, vectors = _largest(found.t() @ found / (n - 1), k)
        return Directions(vectors.float(), values.clamp(min=0).sqrt().float())
    z = _centred(z.double(), labels)
    if found.shape[1] <= n:
        places = found @ _largest(found.t() @ found, k)[1].t()
    else:  # the same from the products of all rows with each other, of which there are fewer
        values, rows = _largest(found @ found.t(), k)
        places = (rows * values.clamp(min=0).sqrt()[:, None]).t()
    return _along(torch.linalg.lstsq(places, z).solution, z)


def factorised(generator: TrainedGenerator, k: int = 6, *, layers: Sequence[int] | None = None) -> Directions:
    """Eigenvectors of A'A, the largest first, where A is how styles, or z, enter (Shen & Zhou 2021, eq. 9).

    A holds what maps styles to scales, of some `layers` or of all in use, one below the other; without styles it is the
    first layer. Raises UsageError for layers that there are not, and for more directions than change anything.
    """
    _check(generator, k)
    z = latents(list(range(2048)), generator.z_dim, generator.z_kind)
    labels = generator.labels(len(z))
    if generator.style_layers:
        network = generator.network
        chosen = require_layers(generator, range(network.layers_in_use) if layers is None else layers)
        with torch.inference_mode():
            matrix = torch.cat([network.style_weights(layer) for layer in chosen]).cpu().double()
        at = _centred(_entering(generator, z, labels).double(), labels)
    else:
        if layers is not None:
            raise UsageError("this generator has no styles, so no layers to choose; leave them out")
        steps, one = torch.eye(generator.z_dim), generator.labels(1)
        told = None if one is None else one.expand(generator.z_dim)
        matrix = (_entering(generator, steps, told) - _entering(generator, -steps, told)).double().t() / 2
        at = _centred(z.double(), labels)
    return _along(_largest(matrix.t() @ matrix, k)[1], at)


def require_walk(steps: int, reach: float) -> None:
    """Raise UsageError for steps and a reach that cannot be."""
    if not 2 <= steps <= 1000:
        raise UsageError(f"a row of {steps} images cannot be; give a number of steps from 2 to 1000")
    if not 0 < reach < 1e3:
        raise UsageError(f"a reach of {reach} deviations cannot be; give a number above 0, such as 3")


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
    """One seed's image moved along every direction: uint8 `[k, steps, c, h, w]` (see `mix.table`).

    From -`reach` to `reach` deviations; of styles at some `layers`, by default at all. Raises UsageError for a reach or
    steps that cannot be, and for what the generator does not have.
    """
    require_walk(steps, reach)
    generator.require_truncation(truncation)
    z, label = generator.latents(1, seed), generator.labels(1, seed, classes=classes)
    shifts = torch.linspace(-reach, reach, steps)[:, None, None] * (directions.vectors * directions.deviations[:, None])
    rows = []
    if not generator.style_layers:
        if layers is not None:
            raise UsageError("this generator has no styles, so no layers to choose; leave them out")
        for moves in shifts.unbind(1):
            labels = None if label is None else label.expand(steps)
            rows.append(generator.images(z + moves, labels, truncation=truncation))
        return torch.stack(rows)
    chosen = list(require_layers(generator, range(generator.style_layers) if layers is None else layers))
    styles = generator.styles(z, label, truncation=truncation)
    with torch.inference_mode():
        for moves in shifts.to(styles.device).unbind(1):
            moved = styles.expand(steps, -1, -1).clone()
            moved[:, chosen] += moves[:, None]
            rows.append(images_of(generator.network, moved))
    return torch.stack(rows)


def _check(generator: TrainedGenerator, k: int) -> None:
    if generator.shape[1:] == (1, 1):
        raise UsageError("this generator makes points, not images; ask for directions of images")
    require_slopes(generator)
    dim = generator.network.style_weights(0).shape[1] if generator.style_layers else generator.z_dim
    if not 1 <= k <= dim:
        raise UsageError(f"{k} directions cannot be had of {dim} dimensions; ask for 1 to {dim}")


def _entering(generator: TrainedGenerator, z: Tensor, labels: Tensor | None) -> Tensor:
    """What z `[n, z_dim]` becomes first: styles `[n, w_dim]`, or what the first layer says, flat; on the CPU."""
    if generator.style_layers:
        return generator.styles(z, labels)[:, 0].cpu()
    network: Any = generator.network
    device, found = next(network.parameters()).device, []
    layer = None
    for first in range(0, len(z), 256):
        part = z[first : first + 256].to(device)
        told = () if labels is None else (labels[first : first + 256].to(device),)
        with torch.inference_mode():
            layer = layer or _first_layer(network, part[:1], *(t[:1] for t in told))
            found.append(_answer(network, layer, part, *told).cpu())
    return torch.cat(found)


def _centred(rows: Tensor, labels: Tensor | None) -> Tensor:
    """Rows without their mean, or without that of their class."""
    if labels is None:
        return rows - rows.mean(0)
    rows = rows.clone()
    for label in labels.unique():
        rows[labels == label] -= rows[labels == label].mean(0)
    return rows


def _largest(square: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest eigenvalues of a symmetric matrix and their vectors as rows, the largest number positive.

    Raises UsageError where fewer are above nothing, as where a part of z enters later: the others could be any.
    """
    values, vectors = torch.linalg.eigh(square)
    rank = int((values > _NOTHING * values[-1]).sum())
    if k > rank:
        raise UsageError(f"{k} directions cannot be had where what comes first changes along {rank}; ask for fewer")
    rows = vectors.t().flip(0)[:k]
    signs = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    return values.flip(0)[:k], rows * signs


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
    matrix = (weight is not None and weight.dim() > 1) or is_parametrized(module)
    return matrix and not isinstance(module, nn.Embedding)


class _Enough(Exception):  # noqa: N818 - no error: what was asked for is there
    """Ends a forward pass."""


def _answer(network: nn.Module, layer: nn.Module, z: Tensor, *labels: Tensor) -> Tensor:
    """What a layer says to each z, flat: `[n, features]`; what comes after it is not computed."""
    found: list[Tensor] = []

    def enough(_: object, __: object, answer: Tensor) -> None:
        found.append(answer.flatten(1))
        raise _Enough

    hook = layer.register_forward_hook(enough)
    try:
        network(z, *labels)
    except _Enough:
        pass
    finally:
        hook.remove()
    return found[0]
