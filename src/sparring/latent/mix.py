"""`mix()`: coarse layers of one image with fine layers of another (Karras et al. 2019, section 3.1, figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from sparring.engine.checkpoint import write_durably
from sparring.engine.sampler import ClassChoice, TrainedGenerator
from sparring.errors import UsageError
from sparring.paths import expanded
from sparring.pictures import grid, png, to_uint8

__all__ = ["images_of", "layers_named", "mix", "require_layers", "table", "write_table"]

_MOST_LAYERS = 1000


def mix(
    generator: TrainedGenerator,
    rows: Sequence[int],
    columns: Sequence[int],
    layers: Sequence[int],
    *,
    classes: ClassChoice | None = None,
    truncation: float | None = None,
) -> Tensor:
    """Every row's image with the styles of every column's at some layers: uint8 `[rows + 1, columns + 1, c, h, w]`.

    Row 0 and column 0 are the images themselves, the corner is empty. Layer 0 is the coarsest; there are
    `generator.style_layers`. All images are of one class, by default that of the first row's seed.

    Raises UsageError where the generator has no styles, and for layers that it does not have.
    """
    if not generator.style_layers:
        raise UsageError("this generator has no styles to mix; train stylegan or stylegan2")
    if not rows or not columns or not layers:
        raise UsageError("a table needs seeds for rows and for columns, and layers; give some of each")
    require_layers(generator, layers)
    generator.require_truncation(truncation)
    seeds = [*rows, *columns]
    labels = generator.labels(len(seeds), classes=generator.labels(1, seeds[0]) if classes is None else classes)
    z, network = torch.cat([generator.latents(1, seed) for seed in seeds]), generator.network
    styles = generator.styles(z, labels, truncation=truncation)
    with torch.inference_mode():
        mine, theirs = styles[: len(rows)], styles[len(rows) :]
        top = images_of(network, theirs)
        found = [torch.cat([torch.zeros_like(top[:1]), top])]
        for style in mine:
            mixed = style.expand(len(columns), -1, -1).clone()
            mixed[:, list(layers)] = theirs[:, list(layers)]
            found.append(images_of(network, torch.cat([style[None], mixed])))
    return torch.stack(found)


def require_layers(generator: TrainedGenerator, layers: Sequence[int]) -> Sequence[int]:
    """The layers themselves; raises UsageError for one that the generator does not have."""
    count = generator.style_layers
    wrong = [layer for layer in layers if not 0 <= layer < count]
    if wrong:
        raise UsageError(f"there is no layer {wrong[0]}; this generator has 0 (coarse) to {count - 1} (fine)")
    return layers


def layers_named(text: str) -> list[int]:
    """Layers as people write them: `0-3`, `4,5`, `0,2-4`; raises UsageError for others.

    >>> layers_named("0,2-4")
    [0, 2, 3, 4]
    """
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            named = range(int(first), int(last if dash else first) + 1)
            if not 0 < len(named) <= _MOST_LAYERS:
                raise ValueError(part)
            found += named
    except ValueError as error:
        raise UsageError(f"{text!r} is no list of layers; write for example 0-3 or 4,5") from error
    return found


def table(images: Tensor) -> Image.Image:
    """Images `[rows, columns, c, h, w]`, of `mix` or of `directions.walk`, as one picture."""
    return grid(images.flatten(0, 1), columns=images.shape[1])


def write_table(images: Tensor, path: str | Path) -> Path:
    """Write `table` as a PNG; raises DiskError if it cannot be written."""
    path = expanded(path)
    write_durably(path, png(table(images), {"Software": "sparring"}))
    return path


def images_of(network: torch.nn.Module, styles: Tensor) -> Tensor:
    """Images one by one, so that none depends on its neighbours."""
    return torch.cat([to_uint8(network.synthesis(style[None])).cpu() for style in styles])  # type: ignore[operator]
