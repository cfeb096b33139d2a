"""The `train` command: static flags, and the named recipe's own parameters beside them."""

from __future__ import annotations

import inspect
import json as json_format
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import Parameter

from sparring.errors import UsageError

__all__ = ["Json", "Trust", "answer", "size_of", "train_command"]

Trust = Annotated[
    tuple[str, ...],
    Parameter(negative="", consume_multiple=False, help="Your own modules that the run's recipe names, repeatable."),
]
Json = Annotated[bool, Parameter(negative="", help="Print the result as JSON, for machines.")]


def train_command(words: Sequence[str]) -> Callable[..., None]:
    """`train` as a function whose signature has the parameters of the recipe that the words name."""
    name = _named_recipe(words)
    return _train_with([]) if name is None else _with_parameters(_function(name))


def answer(result: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a result on standard output, for a machine or for a person; raises OSError where it cannot be written."""
    if as_json or text:
        print(json_format.dumps(result, indent=1) if as_json else text, flush=True)


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
    start: Annotated[Path | None, Parameter(name="--from")] = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    device: str | None = None,
    threads: int | None = None,
    progress: Literal["auto", "bar", "lines", "none"] = "auto",
    tensorboard: Annotated[bool, Parameter(negative="")] = False,
    trust: Trust = (),
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
        A folder (flat, or one sub-folder a class), a zip, an .npz or .npy, IDX files, mnist, fashion-mnist,
        kmnist, cifar10 or cifar100, or the name of a 2-D point set; nothing for the embedded Fashion-MNIST test images.
    recipe
        One of `sparring recipes`, or your own as package.module:function; by default the best for data and machine.
        Changes follow with +, such as dcgan+loss=hinge+augment=ada (see `sparring recipes`).
    size
        Height and width in pixels, 64 or 48x64; by default the images' own, or what suits them.
    channels
        1 grey, 3 RGB, 4 RGBA; by default (auto) what most of the images have.
    images
        Stop after so many real images: 20000, 500k, 2M.
    minutes
        Stop after about so many minutes; by default 5 on a CPU, 60 on a GPU.
    seed
        Seed of every random draw; 0 by default.
    out
        The run's folder; by default a new one under runs/.
    start
        Begin with the weights of another run, wherever they fit: other data, other classes. Its recipe and size are
        the defaults; add +freeze=N to a recipe to keep D's first N layers as they are.
    resume
        Go on with the run in --out, to the end of its budget; --images is then a new total, --minutes come on top.
    device
        cpu, cuda or cuda:N; by default a GPU if there is one.
    threads
        CPU threads; by default the cores this process may use.
    progress
        How to show progress; auto is a bar on a terminal and lines elsewhere.
    tensorboard
        Also write the numbers for TensorBoard.
    """
    from sparring.recipes.spelling import recipe_named
    from sparring.training import train

    chosen = None if recipe is None else recipe_named(recipe, **parameters)
    run = train(
        chosen,
        data,
        size=size_of(size),
        channels=int(channels) if channels in ("1", "3", "4") else channels,  # type: ignore[arg-type]
        images=images,
        minutes=minutes,
        seed=seed,
        out=out,
        start=start,
        resume=resume,
        device=device,
        threads=threads,
        progress=progress,
        tensorboard=tensorboard,
        trust=trust,
    )
    records = run.records()
    scores: list[Any] = next((record["scores"] for record in reversed(records) if "scores" in record), [])
    answer({"run": str(run.path), "seen": run.checkpoint.seen, "scores": scores}, json, "")


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


def _function(word: str) -> Callable[..., Any]:
    """The function of the recipe that a word names."""
    from sparring.recipes.spelling import recipe_function, split_word

    return recipe_function(split_word(word)[0])


def _with_parameters(function: Callable[..., Any]) -> Callable[..., None]:
    """`train` with the keyword parameters of a recipe function, documented by its docstring."""
    from docstring_parser import parse

    from sparring.recipes.spelling import parameters_of

    described = {p.arg_name: p.description or "" for p in parse(function.__doc__ or "").params}
    name = getattr(function, "__name__", "the recipe")
    hints, accepted = parameters_of(function, name)
    taken = sorted(set(accepted) & set(inspect.signature(_train).parameters))
    if taken:
        raise UsageError(f"the recipe's parameter {taken[0]!r} is also a flag of train; give it another name")
    group = f"Parameters of {name}"
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


def size_of(text: str | None) -> tuple[int, int] | None:
    """`64` or `48x64` as (height, width)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no size; write 64, or 48x64 for height 48 and width 64")
    return int(parts[0]), int(parts[-1])
