"""Measuring honestly: images -> features -> scores, each with its protocol and interval."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from sparring.chance import generator, permutation
from sparring.data import Dataset, open_data
from sparring.data.options import Channels, Reading
from sparring.data.split import recorded_split
from sparring.engine.devices import find_device
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator, in_turn
from sparring.errors import DataError, ShapeError, UsageError
from sparring.features import FeatureNetwork, Features, best_for, load
from sparring.game import ImageGame
from sparring.metrics import Metric, Score, metric_named
from sparring.metrics import metrics as metric_names
from sparring.metrics.fidelity import fidelities, scored
from sparring.names import choose
from sparring.pictures import scaled, to_uint8

__all__ = ["evaluate"]

Subject: TypeAlias = Run | TrainedGenerator | Dataset
_MOST = 50_000
"""Images of a data set that are looked at."""

_USUAL = ("fid", "kid", "is")
_SHORT = {"is": "inception_score", "pr": "precision_recall"}
_MANY, _FEW = 5000, 1000
"""Generated images by default: with a small feature network, and with a large one."""


def evaluate(
    subject: Subject | str | Path,
    data: str | Path | Dataset | Tensor | None = None,
    *,
    labels: Tensor | None = None,
    metrics: str | Sequence[str] | None = None,
    n: int | None = None,
    features: str | None = None,
    per_class: bool = False,
    truncation: float | None = None,
    seed: int = 0,
    device: str | None = None,
) -> tuple[Score, ...]:
    """Scores of generated images against real ones.

    `subject` is a run or its folder, a trained generator, or a data set of generated images. `data` are the reals;
    for a run they are by default the images held out from its training; images can also be given as they are, uint8
    `[n, c, h, w]`, with their `labels`. `metrics` are names of `sparring.metrics`, or one, with `is` for the Inception
    Score, by default `fid`, `kid` and, where the features classify, `is`; `features` names a network of
    `sparring.features`, by default the best at hand for the images; `n` images of the seeds `seed`..`seed + n - 1` are
    generated, by default 5,000, or 1,000 where features are slow. Points of the plane are their own features. Of more
    than 50,000 images of a data set, so many from all over it are looked at.

    A generator with classes is asked for them as often as the reals have them, or for each equally often where the
    reals have no labels. `per_class` compares each class with its own reals, n divided by the classes of each.
    `truncation` is that of `TrainedGenerator.images`.

    A run whose players make images of images answers the questions in the reals, and its answers are compared with
    those that were wanted; names of `metrics.fidelity` (psnr, absolute_error, sharpness, perceptual) compare them one
    by one, where the questions have an answer each.

    Raises UsageError for names that do not exist or what cannot be measured, DataError for missing reals.
    """
    subject = Run(subject) if isinstance(subject, str | Path) else subject
    listed = [metrics] if isinstance(metrics, str) else metrics or _USUAL
    named = [_SHORT.get(name.strip(), name.strip()) for name in listed]
    if isinstance(subject, Run) and isinstance(game := subject.bound.recipe.game(), ImageGame):
        if n is not None or per_class or truncation is not None:
            raise UsageError("a translator answers what it is asked; leave n, classes and truncation out")
        return _measure_answers(
            subject, game, _reals(subject, data, labels), named, features, seed, device, asked=metrics is not None
        )
    chosen = [metric_named(name) for name in named]
    if isinstance(subject, Dataset) and n is not None:
        raise UsageError("finished images are compared as many as there are; leave n out")
    reals = _reals(subject, data, labels)
    made = subject.generator if isinstance(subject, Run) else subject  # once: a run that goes on will have newer ones
    if per_class or (not isinstance(made, Dataset) and made.classes):
        reals = _named_alike(reals, _names(made))
    if per_class and (reals.labels is None or not _classes(made)):
        raise UsageError("classes can be compared only where both the generator and the reals have them")
    if n is not None and not 2 <= n <= 10_000_000:
        raise UsageError(f"{n} generated images cannot be measured; ask for 2 or more")
    points = reals.images.shape[-2:] == (1, 1)
    if reals.images.shape[1] == 2 and not points:
        raise UsageError("images of two channels have no feature network; score one channel or three")
    network = None if points else load(features or best_for(_shape(reals.images)))
    chosen = _given_by(network, chosen, asked=metrics is not None)
    place = find_device(device)
    if network is not None:
        network.module.to(place)
        if isinstance(made, TrainedGenerator):
            made.network.to(place)
    if per_class and n is not None and n < 3 * _classes(made):
        raise UsageError(f"{n} images are too few for {_classes(made)} classes; generate {3 * _classes(made)}")
    n = n or (_MANY if network is None or network.dimension <= 128 else _FEW)
    wish = _Wish(n, seed, per_class, truncation)
    fakes = _fakes(made, wish, reals)
    protocol = {**_protocol_of_both(network, reals.images, fakes.images), **reals.origin, **fakes.origin}
    seen = _look(network, reals.images), _look(network, fakes.images)
    if not per_class:
        return _measure(chosen, *seen, protocol, seed)
    return _measure_classes(chosen, (seen[0], reals.labels), (seen[1], fakes.labels), protocol, seed, _names(made))


def _measure_answers(
    run: Run,
    game: ImageGame,
    reals: _Images,
    names: Sequence[str],
    features: str | None,
    seed: int,
    device: str | None,
    *,
    asked: bool,
) -> tuple[Score, ...]:
    """Scores of what a translator makes of the questions in some reals, against the answers."""
    task = game.task(scaled(reals.images), reals.labels)
    given, wanted = to_uint8(task.given), to_uint8(task.wanted)
    for name in names:
        choose(name, [*metric_names(), *fidelities()], "metric")
    if not task.paired and (alone := sorted(set(names) & set(fidelities()))):
        raise UsageError(f"{alone[0]} compares answers one by one, and these questions have none of their own")
    network = load(features or best_for(_shape(wanted))).to(find_device(device))
    far = _given_by(network, [metric_named(name) for name in names if name not in fidelities()], asked=asked)
    translator = run.translator()
    translator.network.to(find_device(device))
    made = translator.translate(given, seed=seed)
    protocol = {**_protocol(network, wanted), **reals.origin, "fakes": f"answers to {len(given):,} questions"}
    scores = _measure(far, _look(network, wanted), _look(network, made), protocol, seed) if far else ()
    near = [scored(fidelities()[name], wanted, made, network) for name in names if name in fidelities()]
    return scores + tuple(score.beside(**protocol, seed=seed) for score in near)


@dataclass(frozen=True)
class _Images:
    """One side of a comparison, with its labels if it has any, their names, and what to say of it."""

    images: Tensor
    labels: Tensor | None = None
    names: Sequence[str] = ()
    origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wish:
    """What is to be generated."""

    n: int
    seed: int
    per_class: bool
    truncation: float | None


def _given_by(network: FeatureNetwork | None, metrics: Sequence[Metric], *, asked: bool) -> list[Metric]:
    """The metrics that the features can give; raises UsageError for one that was asked for and that they cannot."""
    classified = network is not None and network.labels is not None
    beyond = [metric for metric in metrics if metric.reads == "logits" and not classified]
    if asked and beyond:
        raise UsageError(f"{beyond[0].name} needs class logits, which these features do not have; leave it out")
    return [metric for metric in metrics if metric not in beyond]


def _measure(
    metrics: Sequence[Metric], real: Features, fake: Features, protocol: Mapping[str, str], seed: int
) -> tuple[Score, ...]:
    """Every metric, one after the other."""
    scores: list[Score] = []
    for metric in metrics:
        scores += [score.beside(**protocol, seed=seed) for score in metric.measure(real, fake)]
    return tuple(scores)


def _measure_classes(
    metrics: Sequence[Metric],
    real: tuple[Features, Tensor | None],
    fake: tuple[Features, Tensor | None],
    protocol: Mapping[str, str],
    seed: int,
    names: Sequence[str],
) -> tuple[Score, ...]:
    """Every metric on each class that has enough images for it."""
    (seen, labels), (made, asked) = real, fake
    assert labels is not None
    assert asked is not None
    scores: list[Score] = []
    for label in torch.unique(asked).tolist():
        mine, theirs = (labels == label).nonzero().flatten(), (asked == label).nonzero().flatten()
        name = names[label] if label < len(names) else str(label)
        for metric in metrics:
            with contextlib.suppress(DataError):  # a class with too few images for a metric has no score in it
                scores += _measure([metric], seen[mine], made[theirs], {**protocol, "class": name}, seed)
    if not scores:
        raise DataError(
            "no class has enough real images, or enough generated ones, for these metrics; "
            "name more reals, generate more, or leave classes together"
        )
    return tuple(scores)


def _named_alike(reals: _Images, names: Sequence[str]) -> _Images:
    """The reals with the numbers that the subject's classes have, by name; -1 for classes that it does not have.

    Where either side has no names, numbers are taken as they are.
    """
    if reals.labels is None or not names or not reals.names or tuple(names) == tuple(reals.names):
        return reals
    numbers = [names.index(name) if name in names else -1 for name in reals.names]
    if max(numbers) < 0:
        raise UsageError(
            f"the reals have none of the classes {', '.join(names[:5])}; name reals that have some of them"
        )
    return replace(reals, labels=torch.tensor(numbers)[reals.labels])


def _reals(subject: Subject, data: str | Path | Dataset | Tensor | None, labels: Tensor | None) -> _Images:
    """The reals to compare with and what to say of them."""
    if isinstance(data, Tensor):
        if data.ndim != 4:
            raise ShapeError(f"reals of shape {list(data.shape)} are no images; give them as [n, channels, h, w]")
        if labels is not None and (labels.shape != data.shape[:1] or labels.is_floating_point()):
            raise UsageError(
                f"labels of shape {list(labels.shape)} and type {labels.dtype} do not fit {len(data):,} reals; "
                "give one integer for each"
            )
        return _Images(data, labels)
    if labels is not None:
        raise UsageError("labels belong to reals that are given as a tensor; a data set has its own")
    if data is None:
        if not isinstance(subject, Run):
            raise UsageError("there is nothing to compare with; name the real images as well")
        return _held_out(subject)
    reading: Reading = subject.bound.recipe.reading if isinstance(subject, Run) else "images"
    dataset = data
    if not isinstance(dataset, Dataset):
        dataset = open_data(dataset, size=_size_of(subject), channels=_channels_of(subject, reading), reading=reading)
    share = "all" if len(dataset) <= _MOST else f"{_MOST:,}"
    return _all(dataset, f"{share} of {dataset.name}")


def _held_out(run: Run) -> _Images:
    """The images a run held out; those it was trained on where its data were too few to hold any out."""
    recorded = run.card["data"]
    shape = recorded["shape"]
    size = None if shape[1:] == [1, 1] else (shape[1], shape[2])
    reading = run.bound.recipe.reading
    dataset = open_data(recorded["source"], size=size, channels=recorded["channels"], reading=reading)
    if dataset.fingerprint != recorded["fingerprint"]:
        raise DataError(
            f"{recorded['source'] or 'the embedded data'} no longer holds what {run.path} was trained on; "
            "name the real images to compare with"
        )
    places, said = recorded_split(dataset, recorded["held_out"], reading).shown()
    return _some(dataset, places[:_MOST], said)


def _channels_of(subject: Subject, reading: Reading) -> Channels:
    """The channels the reals must have to be compared with a subject's images."""
    channels = subject.bound.facts.shape[0] if isinstance(subject, Run) else subject.shape[0]
    channels = channels // 2 if reading == "pairs" else channels
    return {1: 1, 3: 3, 4: 4}.get(channels, "auto")  # type: ignore[return-value]


def _size_of(subject: Subject) -> tuple[int, int] | None:
    """The size the reals must have to be compared with a subject's images; None for points."""
    if isinstance(subject, Run):
        height, width = subject.bound.facts.shape[1:]
    else:
        height, width = subject.shape[1:]
    return None if (height, width) == (1, 1) else (height, width)


def _fakes(made: TrainedGenerator | Dataset, wish: _Wish, reals: _Images) -> _Images:
    """The generated images; of a generator with classes, with the labels that were asked for."""
    if isinstance(made, Dataset):
        if wish.truncation is not None:
            raise UsageError("only a generator can be truncated, not finished images; leave truncation out")
        part = {"fakes": f"{_MOST:,} of {len(made):,}"} if len(made) > _MOST else {}
        return replace(_all(made, ""), origin=part)
    origin, labels = {}, None
    if made.classes and wish.per_class:
        labels = in_turn(wish.n, wish.seed, made.classes)
        origin = {"asked": "each class equally often"}
    elif made.classes:
        labels, said = _asked(made.classes, wish, reals.labels)
        origin = {"asked": said}
    if wish.truncation is not None:
        origin["truncation"] = f"{wish.truncation:g}"
    images = made.images(made.latents(wish.n, wish.seed), labels, truncation=wish.truncation)
    return _Images(images, labels, (), origin)


def _asked(classes: int, wish: _Wish, real_labels: Tensor | None) -> tuple[Tensor | None, str]:
    """Which classes to ask for, seed by seed, and in words."""
    seeds = range(wish.seed, wish.seed + wish.n)
    known = None if real_labels is None else real_labels[real_labels >= 0]
    if known is None or not len(known) or int(known.max()) >= classes:
        return in_turn(wish.n, wish.seed, classes), "each class equally often"
    ends = torch.bincount(known, minlength=classes).double().cumsum(0) / len(known)
    shares = torch.cat([torch.rand(1, generator=generator("label", s), dtype=torch.double) for s in seeds])
    return torch.searchsorted(ends, shares, right=True).clamp(max=classes - 1), "as often as among the reals"


def _classes(made: TrainedGenerator | Dataset) -> int:
    """How many classes generated images can be told apart by."""
    return len(made.classes) if isinstance(made, Dataset) else made.classes


def _names(made: TrainedGenerator | Dataset) -> Sequence[str]:
    """The names of the classes of generated images."""
    return made.classes if isinstance(made, Dataset) else made.names


def _all(dataset: Dataset, split: str) -> _Images:
    """A whole data set, or images from all over a large one, whose files may lie class by class."""
    return _some(dataset, permutation(len(dataset), "evaluated")[:_MOST].sort().values, split)


def _some(dataset: Dataset, places: Tensor, split: str) -> _Images:
    """The images of a data set at some places."""
    origin = {"data": dataset.fingerprint[:16], "split": split}
    return _Images(dataset.images(places), dataset.labels_at(places), dataset.classes, origin)


def _protocol(network: FeatureNetwork | None, images: Tensor) -> dict[str, str]:
    """What is to be said of the features."""
    if network is None:
        return {"features": "coordinates"}
    size = f"{images.shape[2]}x{images.shape[3]}"
    return {**network.protocol(_visible(images[:1]).shape[1]), "size": size, **_flattening(images)}


def _protocol_of_both(network: FeatureNetwork | None, reals: Tensor, fakes: Tensor) -> dict[str, str]:
    """What is to be said of the features of reals, and of those of fakes of another size or with other channels."""
    mine, theirs = _protocol(network, fakes), _protocol(network, reals)
    facts = [fact for fact in {**theirs, **mine} if mine.get(fact) != theirs.get(fact)]
    return theirs | {f"fake_{fact}": mine.get(fact, "as is") for fact in facts}


def _look(network: FeatureNetwork | None, images: Tensor) -> Features:
    return Features(images.flatten(1)) if network is None else network.features(_visible(images))


def _shape(images: Tensor) -> tuple[int, int, int]:
    return images.shape[1], images.shape[2], images.shape[3]


def _flattening(images: Tensor) -> dict[str, str]:
    """What `_visible` does, for the protocol."""
    channels = images.shape[1]
    if channels in (1, 3):
        return {}
    return {"channels": "alpha over white" if channels == 4 else f"the first 3 of {channels} channels"}


def _visible(images: Tensor) -> Tensor:
    """Images as feature networks see them: RGBA over white; of more channels the first three."""
    channels = images.shape[1]
    if channels in (1, 3):
        return images
    if channels != 4:
        return images[:, :3]
    colour, alpha = images[:, :3].float(), images[:, 3:].float() / 255
    return (colour * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
