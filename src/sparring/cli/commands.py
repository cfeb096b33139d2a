"""The commands, and `main`, which turns every error into one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, final

from cyclopts import App, CycloptsError, Parameter, Token, convert
from rich.console import Console
from rich.table import Table

from sparring import __version__
from sparring.cli.benchmarks import compare, modes
from sparring.cli.image_commands import Direction, import_, player_of, reconstruct, translate
from sparring.cli.latent_commands import (
    Classes,
    RunFolder,
    classes_listed,
    directions,
    interpolate,
    mix,
    project,
)
from sparring.cli.train_command import Json, Trust, answer, train_command
from sparring.console import standard_error
from sparring.errors import SparringError, UsageError

__all__ = ["main"]


@final
class _Screen(Console):
    """Standard output, of which `main` is told that its reader has left; rich itself would exit with 1."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _strictly(kind: Any, tokens: Sequence[Token]) -> Any:
    """What cyclopts reads, but a fraction is no whole number."""
    found = convert(kind, tokens)
    if isinstance(found, int) and not isinstance(found, bool) and any("." in token.value for token in tokens):
        raise ValueError
    return found


app = App(
    default_parameter=Parameter(converter=_strictly),
    name="sparring",
    help="GANs for everybody: train, watch, measure, keep.",
    version=__version__,
    help_format="markdown",
    result_action="return_value",
    suppress_keyboard_interrupt=False,
    console=_Screen(),
)


for command in (modes, compare, interpolate, mix, directions, project, translate, reconstruct):
    app.command(command)
app.command(import_, name="import")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code: 0 done, 2 usage, 3 data, 4 file, 5 diverged, 6 in use, 74 disk."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error: a name it has no letters for is no fault
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
        from sparring.engine.devices import out_of_memory

        if not out_of_memory(error):
            raise
        _fail("memory ran out; use smaller images, fewer at once, or a smaller batch", 2)
    except BrokenPipeError:
        _let_go()
        sys.exit(0)
    except OSError as error:
        _let_go()
        _fail(
            f"{error.filename or 'a file'} cannot be used ({error.strerror or error}); check the path and its rights",
            74,
        )
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
    screen = _Screen()
    screen.print(table)
    changes = Table("change", "as in --recipe dcgan+loss=hinge+augment=ada", box=None, pad_edge=False)
    for name, change in CHANGES.items():
        changes.add_row(f"+{name}=", (change.__doc__ or "").partition("\n")[0])
    screen.print()
    screen.print(changes)


@app.command
def sample(
    run: RunFolder, /, *, n: Annotated[int, Parameter(name=["-n", "--n"])] = 64, seed: int = 0,
    classes: Classes = None, truncation: float | None = None, temperature: float | None = None,
    top_k: int | None = None, out: Path = Path("samples"), trust: Trust = (), json: Json = False,
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
        factor (0.5 is strong); by default none.
    temperature
        For generators that write codes: below 1 they write likelier ones than they have learnt.
    top_k
        For generators that write codes: only among the so many likeliest at each place; by default among all.
    out
        Folder for the PNGs, named by their seeds, and the sheet `grid.png`.
    """
    from sparring.share.load import load
    from sparring.share.sheets import write_samples

    generator = load(run, trust=trust)
    if temperature is not None or top_k is not None:
        generator.sharpen(temperature, top_k)
    wanted = classes_listed(classes, generator.names)
    paths = write_samples(generator, out, n=n, seed=seed, classes=wanted, truncation=truncation)
    answer({"images": [str(path) for path in paths]}, json, f"{n} images and a sheet in {out}")


@app.command
def export(
    run: Annotated[Path, Parameter(help="The folder of a run.")],
    /,
    *,
    to: Annotated[list[Literal["safetensors", "onnx"]] | None, Parameter(consume_multiple=True, negative="")] = None,
    out: Path | None = None,
    licence: str | None = None,
    direction: Direction = None,
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
    direction
        For runs with translators both ways; by default the one that was to be kept.
    """
    from sparring.engine.rundir import Run
    from sparring.share.export import export as write

    chosen = Run(run, trust=trust)
    home = chosen.path.resolve()
    folder = write(
        chosen,
        out or home.parent / f"{home.name or 'run'}-export",
        to=tuple(to or ["safetensors"]),
        licence=licence,
        player=player_of(direction),
    )
    answer({"folder": str(folder), "files": sorted(p.name for p in folder.iterdir())}, json, f"exported to {folder}")


@app.command
def evaluate(
    run: Annotated[Path, Parameter(help="The folder of a run or of an exported generator, or a folder of images.")],
    data: str | None = None,
    /,
    *,
    metrics: str | None = None,
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
        From fid, kid, is (Inception Score), precision_recall, separated by commas; for what makes images of images
        also psnr, absolute_error, sharpness and perceptual. By default fid,kid,is; of points fid,kid.
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
    device
        cpu, cuda or cuda:N; by default a GPU if there is one.
    """
    from sparring.data import open_data
    from sparring.engine.rundir import Run
    from sparring.evaluation import evaluate as measure
    from sparring.metrics.wording import sentence
    from sparring.share.card import CARD, TRANSLATOR, read_card
    from sparring.share.load import load

    exported = (run / CARD).exists()
    if exported and read_card(run)["kind"] == TRANSLATOR:
        raise UsageError(f"{run} is an exported translator, and what it learnt from is its run's; evaluate the run")
    subject = (
        Run(run, trust=trust)
        if Run(run).exists
        else load(run, trust=trust)
        if exported
        else open_data(run, max_side=256)
    )
    named = None if metrics is None else metrics.split(",")
    scores = measure(
        subject, data, metrics=named, n=n, features=features, per_class=per_class,
        truncation=truncation, seed=seed, device=device,
    )  # fmt: skip
    answer({"scores": [s.to_json() for s in scores]}, json, "\n".join(sentence(s) for s in scores))


def _let_go() -> None:
    """Let go of a standard output that refuses to be written to; else Python tries again, and complains, as it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(sentence: str, code: int) -> None:
    """One sentence on standard error, and out."""
    print(f"sparring: {sentence}", file=standard_error())
    sys.exit(code)
