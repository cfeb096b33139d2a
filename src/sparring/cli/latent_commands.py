"""The commands that walk through latent space: `interpolate`, `mix`, `directions`, `project`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from sparring.cli.train_command import Json, Trust, answer
from sparring.errors import UsageError

__all__ = ["Classes", "RunFolder", "classes_listed", "directions", "interpolate", "mix", "project"]

Classes = Annotated[
    str | None,
    Parameter(
        name="--class",
        help="A class by name or number, or one for each image, separated by commas; by default all in turn.",
    ),
]
OneClass = Annotated[str | None, Parameter(name="--class")]
RunFolder = Annotated[Path, Parameter(help="The folder of a run, or of an exported generator.")]


def interpolate(
    run: RunFolder,
    /,
    *,
    seeds: str,
    steps: int = 8,
    how: Literal["spherical", "linear"] = "spherical",
    classes: OneClass = None,
    truncation: float | None = None,
    out: Path = Path("interpolation.png"),
    film: Path | None = None,
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Walk through latent space from seed to seed, as a strip and as a film.

    Example: `sparring interpolate runs/photos --seeds 1,2,3 --film walk.gif`

    Parameters
    ----------
    seeds
        The images to pass through, such as 1,2,3.
    steps
        Steps from one to the next.
    how
        Along the sphere (for normal z) or along the straight line.
    classes
        A class by name or number, or one for each seed, separated by commas; by default that of the first seed.
    truncation
        As for sample.
    out
        The strip, a PNG.
    film
        Also a film: .gif, .webp, .apng, or .mp4 where a codec is installed.
    """
    from sparring.latent.interpolate import interpolate as walk
    from sparring.latent.interpolate import write_film, write_strip
    from sparring.pictures import film_ending, require_png
    from sparring.share.load import load

    require_png(out)
    if film:
        film_ending(film)
    generator = load(run, trust=trust)
    wanted = classes_listed(classes, generator.names)
    frames = walk(generator, _numbers(seeds), steps=steps, how=how, classes=wanted, truncation=truncation)
    written = [write_strip(frames, out, steps=steps)]
    written += [write_film(frames, film)] if film else []
    answer({"files": [str(path) for path in written]}, json, "wrote " + " and ".join(map(str, written)))


def mix(
    run: RunFolder,
    /,
    *,
    rows: str,
    cols: str,
    layers: str = "0-3",
    classes: OneClass = None,
    truncation: float | None = None,
    out: Path = Path("mixing.png"),
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Mix styles: each row's image with the styles of each column's at some layers, as a table.

    Example: `sparring mix runs/faces --rows 1,2,3 --cols 4,5,6,7 --layers 0-3 --out mixing.png`

    Parameters
    ----------
    rows
        Seeds of the rows, such as 1,2,3.
    cols
        Seeds of the columns.
    layers
        The layers that come from the columns, 0 the coarsest: 0-3, or 4,5.
    classes
        The class of all images, by name or number; by default that of the first row's seed.
    truncation
        Draw styles towards their mean by this factor: 0.7 is usual.
    out
        The table, a PNG.
    """
    from sparring.latent.mix import layers_named, write_table
    from sparring.latent.mix import mix as mixed
    from sparring.pictures import require_png
    from sparring.share.load import load

    require_png(out)
    generator = load(run, trust=trust)
    wanted = classes_listed(classes, generator.names)
    images = mixed(
        generator, _numbers(rows), _numbers(cols), layers_named(layers), classes=wanted, truncation=truncation
    )
    answer({"file": str(write_table(images, out))}, json, f"wrote {out}")


def directions(
    run: RunFolder,
    /,
    *,
    method: Literal["pca", "factorised"] = "pca",
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 6,
    seed: int = 0,
    reach: float = 3.0,
    steps: int = 7,
    layers: str | None = None,
    classes: OneClass = None,
    truncation: float | None = None,
    out: Path = Path("directions.png"),
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Find the directions of latent space that change images most, without labels, and walk along them.

    Example: `sparring directions runs/faces -n 5 --seed 3 --layers 0-3 --out directions.png`

    Parameters
    ----------
    method
        pca: where styles, or the first layer, go (GANSpace); factorised: the weights alone (SeFa).
    n
        How many, the strongest first: a row each.
    seed
        The image in the middle of every row (of an odd number of steps).
    reach
        How far to go either way, in standard deviations.
    steps
        Images of a row.
    layers
        The layers whose styles move, 0 the coarsest: 0-3, or 4,5; by default all. factorised looks at these alone.
    classes
        The class of the image, by name or number; by default that of its seed.
    truncation
        As for sample.
    out
        The picture, a PNG.
    """
    from sparring.latent.directions import factorised, principal, require_walk, walk
    from sparring.latent.mix import layers_named, write_table
    from sparring.pictures import require_png
    from sparring.share.load import load

    require_png(out)
    generator = load(run, trust=trust)
    chosen = None if layers is None else layers_named(layers)
    wanted = _one_class(classes, generator.names)
    require_walk(steps, reach)
    generator.require_truncation(truncation)
    generator.labels(1, seed, classes=wanted)
    found = principal(generator, n, classes=wanted) if method == "pca" else factorised(generator, n, layers=chosen)
    images = walk(
        generator, found, seed=seed, reach=reach, steps=steps, layers=chosen, classes=wanted, truncation=truncation
    )
    answer({"file": str(write_table(images, out))}, json, f"wrote {out}")


def project(
    run: RunFolder,
    image: Annotated[Path, Parameter(help="The image to look for.")],
    /,
    *,
    space: Literal["w", "w+", "z"] | None = None,
    steps: int = 500,
    rate: float = 0.05,
    seed: int = 0,
    classes: OneClass = None,
    out: Path = Path("projected"),
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Find the latents whose image is nearest to a given one, and show the way there as a film.

    Example: `sparring project runs/faces portrait.png --space w+ --out projected`

    Parameters
    ----------
    space
        w+ (a style for each layer, nearest), w (one style, more like what the generator makes), or z.
    steps
        Steps of the descent.
    rate
        Its learning rate.
    seed
        The first of 256 seeds of which the nearest begins.
    classes
        The class of the image, by name or number; by default that of the seed that begins.
    out
        A folder for the picture, the film, the latents and the score.
    """
    from sparring.data.single import read_image
    from sparring.latent.project import project as nearest
    from sparring.latent.project import write_projection
    from sparring.share.load import load

    generator = load(run, trust=trust)
    if generator.shape[1:] == (1, 1):
        raise UsageError("this generator makes points, not images; project images")
    wanted = _one_class(classes, generator.names)
    target = read_image(image, generator.shape)
    found = nearest(generator, target, space=space, steps=steps, rate=rate, seed=seed, classes=wanted)
    write_projection(found, out)
    answer(
        {"folder": str(out), **found.score},
        json,
        f"{out}: {found.error:.1f} of 255 away (root mean square; PSNR {found.psnr:.1f} dB), from {found.start:.1f}",
    )


def classes_listed(text: str | None, names: Sequence[str]) -> list[str] | None:
    """One class, whose name may have a comma, or several with commas in between."""
    if text is None:
        return None
    return [text] if text in names else [part.strip() for part in text.split(",")]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{text!r} is no list of seeds; write for example 1,2,3") from None


def _one_class(text: str | None, names: Sequence[str]) -> list[str] | None:
    """As `classes_listed`; raises UsageError for several."""
    wanted = classes_listed(text, names)
    if wanted is not None and len(wanted) > 1:
        raise UsageError(f"{len(wanted)} classes cannot be looked at together; give one, or none for all of them")
    return wanted
