"""`project()`: the latents of a generator whose image is nearest to a given one (Karras et al. 2020, appendix D).

Gradient descent on styles, or on z, from the best of some seeds. Images are compared at every size from their own down
to 4 pixels, where the paper takes a perceptual distance, whose network would have to be downloaded; noise stays as it
is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sparring.chance import generator as chance
from sparring.engine.checkpoint import write_durably
from sparring.engine.sampler import ClassChoice, TrainedGenerator
from sparring.errors import UsageError
from sparring.latent.interpolate import write_film
from sparring.latent.slopes import require_slopes
from sparring.paths import expanded
from sparring.pictures import grid, png, scaled, to_uint8
from sparring.tensorfile import serialise

__all__ = ["Projection", "Space", "project", "write_projection"]

Space: TypeAlias = Literal["w", "w+", "z"]
_FRAMES = 48


@dataclass(frozen=True)
class Projection:
    """What was found: `latents` (styles `[layers, w_dim]`, or z `[z_dim]`), and images uint8 `[c, h, w]`.

    `error` is the root mean square difference of the image and the target in levels of 255, `start` that of the seed
    it began from; `frames` show the way.
    """

    space: Space
    latents: Tensor
    target: Tensor
    image: Tensor
    frames: Tensor
    start: float
    error: float

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in dB: 20 log10(255 / error)."""
        return math.inf if self.error == 0 else 20 * math.log10(255 / self.error)

    @property
    def score(self) -> dict[str, str | float | None]:
        """What a machine reads; the PSNR of equal images, which is infinite, is null."""
        psnr = self.psnr if math.isfinite(self.psnr) else None
        return {"space": self.space, "start": self.start, "error": self.error, "psnr": psnr}


def project(
    generator: TrainedGenerator,
    target: Tensor,
    *,
    space: Space | None = None,
    steps: int = 500,
    rate: float = 0.05,
    candidates: int = 256,
    seed: int = 0,
    classes: ClassChoice | None = None,
) -> Projection:
    """Latents of a target, uint8 `[c, h, w]`.

    `space` is `w+`, a style for every layer; `w`, one for all, which stays nearer to what the generator makes; or `z`.
    By default `w+` where there are styles, otherwise `z`. Steps follow the paper: the rate rises over a twentieth and
    falls over the last quarter, and latents are shaken, less and less, for the first three quarters. The descent begins
    at the nearest of `candidates` seeds from `seed` on, or at the mean style if that is nearer. Without `classes` the
    class is that of the seed it begins from.

    Raises UsageError for a target of another shape, for what the generator does not have, and where images do not
    change gently with latents.
    """
    space = space or ("w+" if generator.style_layers else "z")
    if space not in get_args(Space):
        raise UsageError(f"there is no space {space!r}; use {', '.join(get_args(Space))}")
    if space != "z" and not generator.style_layers:
        raise UsageError(f"this generator has no styles, so no space {space}; use z")
    if steps < 1 or candidates < 1 or not 0 < rate <= 10:
        raise UsageError(
            f"{steps} steps at a rate of {rate} from {candidates} seeds cannot be; give one or more of each, and a "
            "rate such as 0.05"
        )
    network: Any = generator.network
    device = next(network.parameters()).device
    if target.shape[-2:] == (1, 1):
        raise UsageError("points are not projected; give an image")
    wanted = scaled(target.to(device))[None]
    require_slopes(generator)
    latents, label = _begin(generator, wanted, space, candidates, seed, classes)
    if label is not None:
        label = label.to(device)
    shaken = 0.05 * (1.0 if space == "z" else float(_spread(generator)))

    def drawn(at: Tensor) -> Tensor:
        if space == "z":
            made: Tensor = network(at) if label is None else network(at, label)
            return made
        found: Tensor = network.synthesis(at.expand(-1, network.layers, -1))
        return found

    found, frames = _descended(drawn, latents, wanted, steps, rate, shaken, chance("project", seed))
    found = found if space == "z" else found.expand(-1, network.layers, -1)
    target = target.cpu()
    return Projection(
        space, found[0].cpu(), target, frames[-1], torch.stack(frames),
        _difference(frames[0], target), _difference(frames[-1], target),
    )  # fmt: skip


def _descended(
    drawn: Callable[[Tensor], Tensor],
    latents: Tensor,
    wanted: Tensor,
    steps: int,
    rate: float,
    shaken: float,
    source: torch.Generator,
) -> tuple[Tensor, list[Tensor]]:
    """The nearest latents on the way down, looked at with every frame, and images on the way, the last one theirs."""
    nearest, least, frames = latents.clone(), math.inf, []

    def look() -> None:
        nonlocal nearest, least
        with torch.no_grad():
            image = drawn(latents)
            frames.append(to_uint8(image)[0].cpu())
            if (distance := float(_distance(image.clamp(-1, 1), wanted))) < least:  # as it is shown
                nearest, least = latents.detach().clone(), distance

    look()
    latents.requires_grad_()
    optimizer = torch.optim.Adam([latents], lr=rate)
    for step in range(steps):
        share = (step + 0.5) / steps
        optimizer.param_groups[0]["lr"] = rate * _ramp(share)
        noise = torch.randn(latents.shape, generator=source).to(latents.device) * shaken * max(1 - share / 0.75, 0) ** 2
        (latents.grad,) = torch.autograd.grad(_distance(drawn(latents + noise), wanted), latents)
        optimizer.step()
        if (step + 1) * _FRAMES // steps > step * _FRAMES // steps:
            look()
    with torch.no_grad():
        frames.append(to_uint8(drawn(nearest))[0].cpu())
    return nearest, frames


def write_projection(projection: Projection, out: str | Path) -> Path:
    """A folder of the target beside what was found, the way there as a film, latents as safetensors, and the score.

    Raises DiskError if it cannot be written.
    """
    out = expanded(out)
    pair = torch.stack([projection.target, projection.image])
    write_durably(out / "projection.png", png(grid(pair, columns=2), {"Software": "sparring"}))
    write_film(projection.frames, out / "way.gif")
    name = "z" if projection.space == "z" else "styles"
    write_durably(out / "latents.safetensors", serialise({name: projection.latents.contiguous()}, {}))
    write_durably(out / "score.json", (json.dumps(projection.score, indent=1) + "\n").encode())
    return out


def _begin(
    generator: TrainedGenerator, wanted: Tensor, space: Space, candidates: int, seed: int, classes: ClassChoice | None
) -> tuple[Tensor, Tensor | None]:
    """The nearest of some seeds: z `[1, z_dim]` or styles `[1, 1 or layers, w_dim]`, and its label."""
    network: Any = generator.network
    z = generator.latents(candidates, seed)
    chosen = generator.labels(candidates, seed, classes=classes)
    images = scaled(generator.images(z, chosen).to(wanted.device))
    if images.shape[1:] != wanted.shape[1:]:
        shapes = [" x ".join(map(str, shape)) for shape in (wanted.shape[1:], images.shape[1:])]
        raise UsageError(f"the image is {shapes[0]}, the generator makes {shapes[1]} (channels, height, width)")
    distances = torch.stack([_distance(image[None], wanted) for image in images])
    best = int(distances.argmin())
    label = None if chosen is None else chosen[best : best + 1]
    at = z[best : best + 1].to(wanted.device)
    if space == "z":
        return at.clone(), label
    style = generator.styles(at, label)
    with torch.no_grad():
        mean = network.truncated(style, 0.0)[:, :1].expand_as(style)
        if _distance(network.synthesis(mean), wanted) < distances[best]:
            style = mean
    return (style if space == "w+" else style[:, :1]).clone(), label


def _spread(generator: TrainedGenerator) -> Tensor:
    """How far styles are from their mean, root mean square (appendix D)."""
    styles = generator.styles(generator.latents(1024), generator.labels(1024))[:, 0]
    return styles.var(0).sum().sqrt()


def _ramp(share: float) -> float:
    """The rate over a descent: up in a twentieth, down in the last quarter along half a cosine (appendix D)."""
    return min(share / 0.05, 1.0) * (0.5 - 0.5 * math.cos(math.pi * min((1 - share) / 0.25, 1.0)))


def _distance(images: Tensor, wanted: Tensor) -> Tensor:
    """Mean square difference, averaged over all sizes: what is coarse counts at every one of them."""
    found = [(images - wanted).square().mean()]
    difference = images - wanted
    while min(difference.shape[2:]) >= 8:
        difference = avg_pool2d(difference, 2)
        found.append(difference.square().mean())
    return torch.stack(found).mean()


def _difference(image: Tensor, target: Tensor) -> float:
    """Root mean square difference of uint8 images."""
    return float((image.double() - target.double()).square().mean().sqrt())
