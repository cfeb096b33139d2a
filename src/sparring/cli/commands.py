"""The commands, and `main`, which turns every error into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.table import Table

from sparring import __version__
from sparring.cli.benchmarks import compare, modes
from sparring.cli.train_command import Json, Trust, answer, train_command
from sparring.errors import SparringError, UsageError

__all__ = ["main"]

Classes = Annotated[
    str | None,
    Parameter(
        name="--class",
        help="A class by name or number, or one for each image, separated by commas; by default all in turn.",
    ),
]
RunFolder = Annotated[Path, Parameter(help="The folder of a run, or of an exported generator.")]

app = App(
    name="sparring",
    help="GANs for everybody: train, watch, measure, keep.",
    version=__version__,
    help_format="markdown",
    result_action="return_value",
)


app.command(modes)
app.command(compare)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0 done, 2 usage, 3 data, 4 file, 5 diverged, 6 in use, 74 disk."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if "train" in app:
            del app["train"]
        app.command(train_command(words), name="train")
        app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        _fail(" ".join(str(error).split()), 2)
    except SparringError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except (RuntimeError, MemoryError) as error:
        from sparring.engine.pace import out_of_memory

        if not out_of_memory(error):
            raise
        _fail("memory ran out; use a smaller --batch, smaller images (--size), or fewer samples at once", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


@app.command
def recipes(*, json: Json = False) -> None:
    """List the recipes, with their papers, and the changes that they can take.

    Example: `sparring recipes`
    """
    from sparring import recipes as family
    from sparring.recipes.changes import CHANGES

    listed = [getattr(family, name)() for name in family.__all__]
    if json:
        papers = {r.name: {"summary": r.summary, "papers": [str(p) for p in r.papers]} for r in listed}
        answer(papers, json, "")
        return
    table = Table("recipe", "what it is", "paper", box=None, pad_edge=False)
    for found in listed:
        table.add_row(found.name, found.summary, f"{found.papers[0].authors} {found.papers[0].year}")
    Console().print(table)
    changes = Table("change", "as in --recipe dcgan+loss=hinge+augment=ada", box=None, pad_edge=False)
    for name, change in CHANGES.items():
        changes.add_row(f"+{name}=", (change.__doc__ or "").partition("\n")[0])
    Console().print()
    Console().print(changes)


@app.command
def sample(
    run: RunFolder, /, *, n: Annotated[int, Parameter(name=["-n", "--n"])] = 64, seed: int = 0,
    classes: Classes = None, truncation: float | None = None,
    out: Path = Path("samples"), trust: Trust = (), json: Json = False,
) -> None:  # fmt: skip
    """Draw images: image i has the seed SEED + i, whatever else is drawn with it.

    Example: `sparring sample runs/photos -n 64 --seed 0 --class cat --out drawn/`

    Parameters
    ----------
    n
        How many.
    seed
        Seed of the first image.
    truncation
        Better images of fewer kinds: z within so many standard deviations, or styles drawn towards their mean by this
        factor (0.5 is strong).
    out
        Folder for the PNGs, named by their seeds, and the sheet `grid.png`.
    """
    from sparring.share.load import load
    from sparring.share.sheets import write_samples

    generator = load(run, trust=trust)
    wanted = _classes(classes, generator.names)
    paths = write_samples(generator, out, n=n, seed=seed, classes=wanted, truncation=truncation)
    answer({"images": [str(path) for path in paths]}, json, f"{n} images and a sheet in {out}")


@app.command
def interpolate(
    run: RunFolder,
    /,
    *,
    seeds: str,
    steps: int = 8,
    how: Literal["spherical", "linear"] = "spherical",
    classes: Classes = None,
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
    truncation
        As for sample.
    out
        The strip, a PNG.
    film
        Also a film: .gif, .webp, .apng, or .mp4 where a codec is installed.
    """
    from sparring.latent.interpolate import interpolate as walk
    from sparring.latent.interpolate import write_film, write_strip
    from sparring.share.load import load

    generator = load(run, trust=trust)
    wanted = _classes(classes, generator.names)
    frames = walk(generator, _numbers(seeds), steps=steps, how=how, classes=wanted, truncation=truncation)
    written = [write_strip(frames, out, steps=steps)]
    written += [write_film(frames, film)] if film else []
    answer({"files": [str(path) for path in written]}, json, "wrote " + " and ".join(map(str, written)))


@app.command
def mix(
    run: RunFolder,
    /,
    *,
    rows: str,
    cols: str,
    layers: str = "0-3",
    classes: Classes = None,
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
    truncation
        Draw styles towards their mean by this factor: 0.7 is usual.
    out
        The table, a PNG.
    """
    from sparring.latent.mix import layers_named, write_table
    from sparring.latent.mix import mix as mixed
    from sparring.share.load import load

    generator = load(run, trust=trust)
    wanted = _classes(classes, generator.names)
    images = mixed(
        generator, _numbers(rows), _numbers(cols), layers_named(layers), classes=wanted, truncation=truncation
    )
    answer({"file": str(write_table(images, out))}, json, f"wrote {out}")


@app.command
def export(
    run: RunFolder,
    /,
    *,
    to: Annotated[list[Literal["safetensors", "onnx"]] | None, Parameter(consume_multiple=True)] = None,
    out: Path | None = None,
    licence: str | None = None,
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Keep the generator: weights and card (safetensors) or ONNX, safe to share; the discriminator is not shipped.

    Example: `sparring export runs/photos --to safetensors onnx --licence CC-BY-4.0 --out photos-gan/`

    Parameters
    ----------
    to
        safetensors (the default) and onnx, either or both.
    out
        The folder to write; by default the run's name with -export.
    licence
        The licence of the generator, for its card.
    """
    from sparring.engine.rundir import Run
    from sparring.share.export import export as write

    folder = write(
        Run(run, trust=trust),
        out or run.with_name(f"{run.name}-export"),
        to=tuple(to or ["safetensors"]),
        licence=licence,
    )
    answer({"folder": str(folder), "files": sorted(p.name for p in folder.iterdir())}, json, f"exported to {folder}")


@app.command
def evaluate(
    run: Annotated[Path, Parameter(help="The folder of a run or of an exported generator, or a folder of images.")],
    data: str | None = None,
    /,
    *,
    metrics: str = "fid,kid,is",
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    features: str | None = None,
    per_class: Annotated[bool, Parameter(negative="")] = False,
    truncation: float | None = None,
    seed: int = 0,
    device: str | None = None,
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Measure generated images against held-out or other reals: value, interval, protocol.

    Example: `sparring evaluate runs/photos --metrics fid,kid,is`

    Parameters
    ----------
    data
        The reals to compare with; by default those held out from the run's training.
    metrics
        From fid, kid, is (Inception Score), precision_recall, separated by commas.
    n
        Generated images; by default 5,000, or 1,000 where the features are slow.
    features
        The feature network; by default the best one for the images that is at hand.
    per_class
        Compare each class with its own reals, with -n divided by the classes of each.
    truncation
        As for sample.
    seed
        Seed of the first generated image.
    """
    from sparring.data import open_data
    from sparring.engine.rundir import Run
    from sparring.evaluation import evaluate as measure
    from sparring.evaluation import sentence
    from sparring.share.load import load

    subject = (
        Run(run, trust=trust)
        if Run(run).exists
        else load(run, trust=trust)
        if (run / "card.json").exists()
        else open_data(run)
    )
    scores = measure(
        subject, data, metrics=tuple(metrics.split(",")), n=n, features=features, per_class=per_class,
        truncation=truncation, seed=seed, device=device,
    )  # fmt: skip
    answer({"scores": [s.to_json() for s in scores]}, json, "\n".join(sentence(s) for s in scores))


def _classes(text: str | None, names: Sequence[str]) -> list[str] | None:
    """One class, whose name may have a comma, or several with commas in between."""
    if text is None:
        return None
    return [text] if text in names else [part.strip() for part in text.split(",")]


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{text!r} is no list of seeds; write for example 1,2,3") from None


def _fail(sentence: str, code: int) -> None:
    """One sentence on standard error, and out."""
    print(f"sparring: {sentence}", file=sys.stderr)
    sys.exit(code)
