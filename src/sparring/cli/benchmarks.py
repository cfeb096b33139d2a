"""The commands that train many times: `modes` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from sparring.cli.train_command import Json, answer, size_of
from sparring.console import standard_error

__all__ = ["compare", "modes"]


def modes(
    data: Annotated[Literal["ring8", "grid25", "grid100", "stacked-mnist"], Parameter(help="Known modes to find.")],
    digits: str | None = None,
    /,
    *,
    recipes: str = "gan,pacgan,r3gan",
    protocol: Literal["quick", "exact", "networks", "own"] = "quick",
    rounds: int | None = None,
    seeds: int = 5,
    first_seed: int = 0,
    jobs: int = 1,
    threads: int = 1,
    out: Path | None = None,
    work: Path | None = None,
    json: Json = False,
) -> None:
    """Count the modes that recipes reach, over seeds, under a published protocol or a quick one.

    Example: `sparring modes ring8 --recipes gan,pacgan,r3gan --seeds 5 --jobs 2 --out modes/ring8`

    Parameters
    ----------
    digits
        For stacked-mnist: the folder or name of MNIST.
    recipes
        Recipes to compare, separated by commas, changes and all: gan,pacgan+packing=3. Tests are against gan.
    protocol
        exact is the papers'; quick is shorter, with the same networks and optimiser for all; networks leaves each
        recipe its own optimiser, own its own networks as well.
    rounds
        Rounds of each trial, in place of the protocol's.
    seeds
        Trials of each recipe.
    first_seed
        The first seed.
    jobs
        Trials side by side.
    threads
        CPU threads of each trial.
    out
        Folder for trials, summary, table and a picture of what seed 0 drew; trials that are there are not played
        again, and an interrupted one goes on where it was.
    work
        Folder for pictures and unfinished trials, where there is no --out.
    """
    from sparring.modes import run_modes
    from sparring.modes.table import as_markdown
    from sparring.trials import cautions_said

    words = [word.strip() for word in recipes.split(",")]
    with cautions_said(_say):
        summary = run_modes(
            data, words, protocol=protocol, rounds=rounds, seeds=range(first_seed, first_seed + seeds),
            out=out, work=work, digits=digits, jobs=jobs, threads=threads, say=_say,
        )  # fmt: skip
    answer(summary.to_json(), json, as_markdown(summary))


def compare(
    *recipes: Annotated[
        str, Parameter(help="Recipes with their changes; the first is what the others are held against.")
    ],
    data: str | None = None,
    size: str | None = None,
    images: str | None = None,
    minutes: float | None = None,
    subset: int | None = None,
    seeds: int = 8,
    first_seed: int = 0,
    n: Annotated[int, Parameter(name=["-n", "--n"])] = 5000,
    features: str | None = None,
    jobs: int = 1,
    threads: int = 1,
    out: Path | None = None,
    work: Path | None = None,
    json: Json = False,
) -> None:
    """Compare recipes seed by seed, on the same data in the same order and from the same z.

    Example: `sparring compare dcgan dcgan+augment=diffaugment --images 100k --seeds 8 --jobs 2`

    Parameters
    ----------
    data
        As for train; nothing for the embedded Fashion-MNIST test images.
    size
        Height and width in pixels, 64 or 48x64.
    images
        Real images that each training sees: 20000, 500k, 2M. Either this or --minutes is needed.
    minutes
        Or about so many minutes for each training.
    subset
        Train on so many of the training images, the same for all.
    seeds
        Trainings of each recipe; few pairs can show no difference at the 5 % level, and the answer says so.
    first_seed
        The first seed.
    n
        Generated images for the scores. Where the modes of points are counted, 2,500 are drawn whatever it says.
    features
        The feature network for the scores; by default the best one for the images that is at hand.
    jobs
        Trainings side by side.
    threads
        CPU threads of each training.
    out
        Folder for trials, table and pictures; trials that are there are not played again, and an interrupted one goes
        on where it was.
    work
        Folder for pictures and unfinished trials, where there is no --out.
    """
    from sparring import comparison
    from sparring.errors import UsageError
    from sparring.trials import cautions_said

    if not recipes:
        raise UsageError("there is nothing to compare; name recipes, such as dcgan r3gan")
    setting = comparison.Setting(data, size_of(size), images, minutes, subset, n=n, features=features)
    with cautions_said(_say):
        found = comparison.compare(
            recipes, setting=setting, seeds=range(first_seed, first_seed + seeds), out=out, work=work, jobs=jobs,
            threads=threads, say=_say,
        )  # fmt: skip
    answer(found.to_json(), json, comparison.as_markdown(found))


def _say(text: str) -> None:
    """A line on standard error, as it is."""
    Console(file=standard_error(), highlight=False, markup=False, soft_wrap=True).print(text)
