"""The command line: thin commands over the public functions; errors are one sentence and an exit code."""

from __future__ import annotations

import inspect
import json as json_format
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.table import Table

from sparring import __version__
from sparring.errors import SparringError, UsageError

__all__ = ["main"]

Json = Annotated[bool, Parameter(negative="", help="Print the result as JSON, for machines.")]
RunFolder = Annotated[Path, Parameter(help="The folder of a run, or of an exported generator.")]

app = App(
    name="sparring",
    help="GANs for everybody: train, watch, measure, keep.",
    version=__version__,
    help_format="markdown",
    result_action="return_value",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0 done, 2 usage, 3 data, 4 file, 5 diverged, 6 in use, 74 disk."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _add_train(words)
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


def _train(
    data: str | None = None,
    /,
    *,
    recipe: str | None = None,
    size: str | None = None,
    channels: Literal["auto", "1", "3", "4"] | None = None,
    images: str | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    out: Path | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    device: str | None = None,
    threads: int | None = None,
    progress: Literal["auto", "bar", "lines", "none"] = "auto",
    tensorboard: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
    **parameters: Any,
) -> None:
    """Train a GAN on your own images.

    Example: `sparring train photos/ --size 64 --minutes 30 --out runs/photos`

    Ctrl-C stops after saving; `sparring train --resume --out runs/photos` goes on, bit for bit. A recipe's own
    parameters are shown by `sparring train --recipe NAME --help`.

    Parameters
    ----------
    data
        A folder (flat, or one sub-folder a class), a zip, an .npz or .npy, IDX files, the name of a torchvision set
        or of a 2-D point set; nothing for the embedded Fashion-MNIST test images.
    recipe
        One of `sparring recipes`, or your own as package.module:function; by default the best for data and machine.
    size
        Height and width in pixels, 64 or 48x64; by default the images' own, or what suits them.
    channels
        1 grey, 3 RGB, 4 RGBA; by default (auto) what most of the images have.
    images
        Stop after so many real images: 20000, 500k, 2M.
    minutes
        Stop after about so many minutes; 5 on a CPU by default.
    seed
        Seed of every random draw; 0 by default.
    out
        The run's folder; by default a new one under runs/.
    resume
        Go on with the run in --out.
    device
        cpu, cuda or cuda:N; by default a GPU if there is one.
    threads
        CPU threads; by default the cores this process may use.
    progress
        How to show progress; auto is a bar on a terminal and lines elsewhere.
    tensorboard
        Also write the numbers for TensorBoard.
    """
    from sparring.training import train

    chosen = _recipe(recipe, parameters) if recipe else None
    run = train(
        chosen,
        data,
        size=_size(size),
        channels=int(channels) if channels in ("1", "3", "4") else channels,  # type: ignore[arg-type]
        images=images,
        minutes=minutes,
        seed=seed,
        out=out,
        resume=resume,
        device=device,
        threads=threads,
        progress=progress,
        tensorboard=tensorboard,
    )
    records = run.records()
    scores: list[Any] = next((record["scores"] for record in reversed(records) if "scores" in record), [])
    _answer({"run": str(run.path), "seen": run.checkpoint.seen, "scores": scores}, json, "")


@app.command
def recipes(*, json: Json = False) -> None:
    """List the recipes, with their papers.

    Example: `sparring recipes`
    """
    from sparring import recipes as family

    listed = [getattr(family, name)() for name in family.__all__]
    if json:
        papers = {r.name: {"summary": r.summary, "papers": [str(p) for p in r.papers]} for r in listed}
        _answer(papers, json, "")
        return
    table = Table("recipe", "what it is", "paper", box=None, pad_edge=False)
    for found in listed:
        table.add_row(found.name, found.summary, f"{found.papers[0].authors} {found.papers[0].year}")
    Console().print(table)


@app.command
def sample(
    run: RunFolder, /, *, n: Annotated[int, Parameter(name=["-n", "--n"])] = 64, seed: int = 0,
    out: Path = Path("samples"), json: Json = False,
) -> None:  # fmt: skip
    """Draw images: image i has the seed SEED + i, whatever else is drawn with it.

    Example: `sparring sample runs/photos -n 64 --seed 0 --out drawn/`

    Parameters
    ----------
    n
        How many.
    seed
        Seed of the first image.
    out
        Folder for the PNGs, named by their seeds, and the sheet `grid.png`.
    """
    from sparring.share.load import load
    from sparring.share.sheets import write_samples

    paths = write_samples(load(run), out, n=n, seed=seed)
    _answer({"images": [str(path) for path in paths]}, json, f"{n} images and a sheet in {out}")


@app.command
def interpolate(
    run: RunFolder,
    /,
    *,
    seeds: str,
    steps: int = 8,
    how: Literal["spherical", "linear"] = "spherical",
    out: Path = Path("interpolation.png"),
    film: Path | None = None,
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
    out
        The strip, a PNG.
    film
        Also a film: .gif, .webp, .apng, or .mp4 where a codec is installed.
    """
    from sparring.latent.interpolate import interpolate as walk
    from sparring.latent.interpolate import write_film, write_strip
    from sparring.share.load import load

    frames = walk(load(run), _numbers(seeds), steps=steps, how=how)
    written = [write_strip(frames, out, steps=steps)]
    written += [write_film(frames, film)] if film else []
    _answer({"files": [str(path) for path in written]}, json, "wrote " + " and ".join(map(str, written)))


@app.command
def export(
    run: RunFolder,
    /,
    *,
    to: Annotated[list[Literal["safetensors", "onnx"]] | None, Parameter(consume_multiple=True)] = None,
    out: Path | None = None,
    licence: str | None = None,
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
    from sparring.share.export import export as write

    folder = write(run, out or run.with_name(f"{run.name}-export"), to=tuple(to or ["safetensors"]), licence=licence)
    _answer({"folder": str(folder), "files": sorted(p.name for p in folder.iterdir())}, json, f"exported to {folder}")


@app.command
def evaluate(
    run: Annotated[Path, Parameter(help="The folder of a run or of an exported generator, or a folder of images.")],
    data: str | None = None,
    /,
    *,
    metrics: str = "fid,kid,is",
    n: Annotated[int | None, Parameter(name=["-n", "--n"])] = None,
    features: str | None = None,
    seed: int = 0,
    device: str | None = None,
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
    seed
        Seed of the first generated image.
    """
    from sparring.data import open_data
    from sparring.engine.rundir import Run
    from sparring.evaluation import evaluate as measure
    from sparring.evaluation import sentence
    from sparring.share.load import load

    subject = Run(run) if Run(run).exists else load(run) if (run / "card.json").exists() else open_data(run)
    scores = measure(subject, data, metrics=tuple(metrics.split(",")), n=n, features=features, seed=seed, device=device)
    _answer({"scores": [s.to_json() for s in scores]}, json, "\n".join(sentence(s) for s in scores))


def _add_train(words: Sequence[str]) -> None:
    """Register `train`, with the named recipe's own parameters beside the static ones."""
    name = _named_recipe(words)
    if "train" in app:
        del app["train"]
    app.command(_with_parameters(_recipe_function(name)) if name else _plain_train(), name="train")


def _named_recipe(words: Sequence[str]) -> str | None:
    """The value of `--recipe` among the words of a train command."""
    if not words or words[0] != "train":
        return None
    for place, word in enumerate(words):
        if word == "--recipe" and place + 1 < len(words):
            return words[place + 1]
        if word.startswith("--recipe="):
            return word.partition("=")[2]
    return None


def _recipe_function(name: str) -> Callable[..., Any]:
    """A recipe by its name, or a person's own by package.module:function."""
    from sparring import names, recipes

    if ":" in name:
        function: Callable[..., Any] = names.member_named(name)
        if not callable(function):
            raise UsageError(f"{name} is no function that returns a recipe; name one")
        return function
    chosen: Callable[..., Any] = getattr(recipes, names.choose(name, recipes.__all__, "recipe"))
    return chosen


def _recipe(name: str, parameters: dict[str, Any]) -> Any:
    """The recipe that a function of that name makes."""
    from sparring.recipe import Recipe

    recipe = _recipe_function(name)(**parameters)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"{name} returns {type(recipe).__name__}, not a Recipe; name a function that returns one")
    return recipe


def _plain_train() -> Callable[..., None]:
    """`train` without a recipe's parameters."""
    return _train_with([])


def _with_parameters(function: Callable[..., Any]) -> Callable[..., None]:
    """`train` with the keyword parameters of a recipe function, documented by its docstring."""
    from docstring_parser import parse

    described = {p.arg_name: p.description or "" for p in parse(function.__doc__ or "").params}
    try:
        hints, accepted = get_type_hints(function), inspect.signature(function).parameters
    except (TypeError, ValueError, NameError) as error:
        raise UsageError(f"the parameters of {function!r} cannot be read ({error}); annotate them") from error
    taken = sorted(set(accepted) & set(inspect.signature(_train).parameters))
    if taken:
        raise UsageError(f"the recipe's parameter {taken[0]!r} is also a flag of train; give it another name")
    group = f"Parameters of {getattr(function, '__name__', 'the recipe')}"
    extra = []
    for parameter in accepted.values():
        note = Parameter(help=described.get(parameter.name, ""), group=group)
        kind: Any = Annotated[hints.get(parameter.name, str), note]
        extra.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))
    return _train_with(extra)


def _train_with(extra: list[inspect.Parameter]) -> Callable[..., None]:
    """A function like `_train` whose open end is closed by explicit parameters."""
    hints = get_type_hints(_train, include_extras=True)
    static = [p.replace(annotation=hints[p.name]) for p in inspect.signature(_train).parameters.values()][:-1]

    def train(*arguments: Any, **keywords: Any) -> None:
        given = {p.name: keywords[p.name] for p in extra if p.name in keywords}
        fixed = {name: word for name, word in keywords.items() if name not in given}
        _train(*arguments, **fixed, **given)

    train.__doc__ = _train.__doc__
    train.__signature__ = inspect.Signature([*static, *extra])  # type: ignore[attr-defined]
    train.__annotations__ = {p.name: p.annotation for p in [*static, *extra]}
    return train


def _size(text: str | None) -> tuple[int, int] | None:
    """`64` or `48x64` as (height, width)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no size; write 64, or 48x64 for height 48 and width 64")
    return int(parts[0]), int(parts[-1])


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{text!r} is no list of seeds; write for example 1,2,3") from None


def _answer(result: dict[str, Any], as_json: bool, text: str) -> None:
    """The result on standard output, for a machine or for a person."""
    if as_json:
        print(json_format.dumps(result, indent=1))
    elif text:
        print(text)


def _fail(sentence: str, code: int) -> None:
    """One sentence on standard error, and out."""
    print(f"sparring: {sentence}", file=sys.stderr)
    sys.exit(code)
