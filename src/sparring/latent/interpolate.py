"""`interpolate()`: a walk through z from seed to seed, as frames, as a strip and as a film."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from sparring.engine.checkpoint import write_durably
from sparring.engine.sampler import ClassChoice, TrainedGenerator
from sparring.errors import UsageError
from sparring.paths import expanded
from sparring.pictures import film, film_ending, grid, picture, png, scatter

__all__ = ["interpolate", "lerp", "slerp", "strip", "write_film", "write_strip"]

_FILM_SIDE = 192
_SHOWN_SIDE = 320


def interpolate(
    generator: TrainedGenerator,
    seeds: Sequence[int],
    *,
    steps: int = 8,
    how: Literal["spherical", "linear"] = "spherical",
    loop: bool = False,
    classes: ClassChoice | None = None,
    truncation: float | None = None,
) -> Tensor:
    """Images on the way from seed to seed, `steps` from one to the next: uint8 `[frames, c, h, w]` (points: float32).

    Frame `k * steps` is the image of seed number k, bit for bit; the last frame is that of the last seed. With `loop`
    the walk goes on to the frame before the first one, so that a film of it closes.

    Normal z is walked along arcs (`slerp`): in many dimensions almost all of its mass lies near a sphere of radius
    sqrt(dim), and a straight line cuts through the inside, which training never met (White 2016, section 2.1). Uniform
    z fills a cube, which has no such sphere and which arcs may leave, but lines never do: it is walked along lines
    whatever `how` says.

    A generator with classes shows one of them all the way, or as many `classes` as there are seeds, each until half
    way to the next; by default that of the first seed, modulo the classes. `truncation` is that of `sample`.

    Raises UsageError for fewer than two seeds, less than one step, and for what the generator does not have.
    """
    if len(seeds) < 2:
        raise UsageError(f"a walk needs two seeds or more, not {len(seeds)}; give for example --seeds 1,2,3")
    if steps < 1:
        raise UsageError(f"{steps} steps lead nowhere; give 1 or more")
    if how not in ("spherical", "linear"):
        raise UsageError(f"there is no {how!r} walk; use spherical or linear")
    between = slerp if how == "spherical" and generator.z_kind == "normal" else lerp
    stops = torch.cat([generator.latents(1, seed) for seed in seeds])
    labels = generator.labels(len(seeds), classes=generator.labels(1, seeds[0]) if classes is None else classes)
    stops = torch.cat([stops, stops[:1]]) if loop else stops
    z = torch.cat([between(a[None], b[None], k / steps) for a, b in pairwise(stops) for k in range(steps)])
    z = z if loop else torch.cat([z, stops[-1:]])
    nearest = (torch.arange(len(z)) + steps // 2) // steps % len(seeds)
    return generator.images(z, None if labels is None else labels[nearest], truncation=truncation)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The share `t` of the way from `a` to `b` (`[n, dim]`) along an arc, with the angle of their directions.

    At 0 and 1 it is `a` and `b` to the bit; between vectors of one length all lengths are equal. Between the
    same direction or opposite ones, where no arc stands out, it is the straight line (Shoemake 1985; White 2016).

    >>> slerp(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 0.5)
    tensor([[1.4142, 1.4142]])
    """
    cosine = torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1)[..., None]
    angle = cosine.acos()
    sine = angle.sin()  # quotients of sines, so that x / x = 1 at either end
    arc = ((1 - t) * angle).sin() / sine * a + (t * angle).sin() / sine * b
    return torch.where(sine > 1e-3, arc, lerp(a, b, t))


def lerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The share `t` of the way from `a` to `b` along a straight line; at 0 and 1 it is `a` and `b` to the bit.

    >>> lerp(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 0.5)
    tensor([[1., 1.]])
    """
    return (1 - t) * a + t * b


def strip(frames: Tensor, *, steps: int, loop: bool = False) -> Image.Image:
    """The frames of `interpolate` as one picture: a row from each seed's image to the next one's, both shown.

    Points are drawn as their path through the plane, with the seeds' points larger.
    """
    stops = list(range(0, len(frames) + loop, steps))
    if frames.shape[-2:] == (1, 1):
        return _path(torch.cat([frames, frames[:1]]) if loop else frames, stops)
    rows = [torch.arange(a, b + 1) % len(frames) for a, b in pairwise(stops)]
    return grid(frames[torch.cat(rows)], columns=steps + 1)


def write_strip(frames: Tensor, path: str | Path, *, steps: int, loop: bool = False) -> Path:
    """Write `strip` as a PNG; raises DiskError if it cannot be written."""
    path = expanded(path)
    write_durably(path, png(strip(frames, steps=steps, loop=loop), {"Software": "sparring"}))
    return path


def write_film(frames: Tensor, path: str | Path, *, seconds: float = 4.0) -> Path:
    """Write the frames as a film of so many seconds that repeats: .gif, .webp, .png (APNG), or .mp4 with PyAV.

    Small images are enlarged without smoothing; points are drawn one after the other, in one window. Raises
    UsageError for other endings, DiskError if the file cannot be written; what was there before is then left alone.
    """
    path = expanded(path)
    ending = film_ending(path)
    if frames.shape[-2:] == (1, 1):
        reach = _reach(frames)
        pictures = [scatter(frames[: k + 1], reach=reach) for k in range(len(frames))]
    else:
        scale = max(_FILM_SIDE // max(frames.shape[-2:]), 1)
        size = (frames.shape[-1] * scale, frames.shape[-2] * scale)
        pictures = [picture(frame).resize(size, Image.Resampling.NEAREST) for frame in frames]
    write_durably(path, film(pictures, ending, seconds=seconds))
    return path


def _path(points: Tensor, stops: Sequence[int]) -> Image.Image:
    """Points `[n, 2, 1, 1]` joined in their order, those at `stops` larger, on the window of `pictures.scatter`."""
    reach = _reach(points)
    sheet = scatter(points, side=_SHOWN_SIDE, reach=reach)
    pen = ImageDraw.Draw(sheet)
    across = ((points.flatten(1)[:, :2].float() / reach + 1) * _SHOWN_SIDE / 2).nan_to_num(-9)
    places = [(x, _SHOWN_SIDE - y) for x, y in across.tolist()]
    pen.line(places, fill=(0, 120, 80), width=1)
    for x, y in (places[stop] for stop in stops):
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=(200, 60, 20))
    return sheet


def _reach(points: Tensor) -> float:
    """Half the width of a window that holds all points."""
    return max(float(points.abs().nan_to_num(0).max()) * 1.1, 1e-3)
