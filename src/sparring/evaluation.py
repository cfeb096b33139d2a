"""Measuring honestly: images -> features -> scores, each with its protocol and interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from sparring.data import Dataset, open_data
from sparring.engine.devices import find_device
from sparring.engine.rundir import Run
from sparring.engine.sampler import TrainedGenerator
from sparring.errors import DataError, UsageError
from sparring.features import FeatureNetwork, Features, best_for, load
from sparring.metrics import Metric, Score, metric_named

__all__ = ["evaluate", "sentence"]

Subject: TypeAlias = Run | TrainedGenerator | Dataset
_MOST = 50_000
"""Reals that are looked at."""

_SHORT = {"is": "inception_score", "pr": "precision_recall"}
_MANY, _FEW = 5000, 1000
"""Generated images by default: with a small feature network, and with a large one."""


def evaluate(
    subject: Subject | str | Path,
    data: str | Path | Dataset | Tensor | None = None,
    *,
    metrics: Sequence[str] = ("fid", "kid", "is"),
    n: int | None = None,
    features: str | None = None,
    seed: int = 0,
    device: str | None = None,
) -> tuple[Score, ...]:
    """Scores of generated images against real ones.

    `subject` is a run or its folder, a trained generator, or a data set of generated images. `data` are the reals;
    for a run they are by default the images held out from its training; images can also be given as they are, uint8
    `[n, c, h, w]`. `metrics` are names of `sparring.metrics`, with `is` for the Inception Score; `features` names a
    network of `sparring.features`, by default the best at hand for the images; `n` images of the seeds `seed`..
    `seed + n - 1` are generated, by default 5,000, or 1,000 where features are slow. Points of the plane are their
    own features.

    Raises UsageError for names that do not exist or what cannot be measured, DataError for missing reals.
    """
    subject = Run(subject) if isinstance(subject, str | Path) else subject
    chosen = [metric_named(_SHORT.get(name.strip(), name.strip())) for name in metrics]
    real, origin = _reals(subject, data)
    if n is not None and not 2 <= n <= 10_000_000:
        raise UsageError(f"{n} generated images cannot be measured; ask for 2 or more")
    if real.shape[-2:] == (1, 1):
        fake = _fakes(subject, n or _MANY, seed)
        seen = Features(real.flatten(1)), Features(fake.flatten(1))
        return _measure(chosen, *seen, {"features": "coordinates", **origin}, seed)
    if real.shape[1] == 2:
        raise UsageError("images of two channels have no feature network; score one channel or three")
    network = load(features or best_for((real.shape[1], real.shape[2], real.shape[3])))
    place = find_device(device)
    network.module.to(place)
    if isinstance(subject, Run | TrainedGenerator):
        (subject.generator if isinstance(subject, Run) else subject).network.to(place)
    fake = _fakes(subject, n or (_MANY if network.dimension <= 128 else _FEW), seed)
    size = f"{real.shape[2]}x{real.shape[3]}"
    protocol = {**network.protocol(_visible(real[:1]).shape[1]), "size": size, **_flattening(real), **origin}
    return _measure(chosen, _look(network, real), _look(network, fake), protocol, seed)


def sentence(score: Score) -> str:
    """A score as a person reads it: value, interval, and under which protocol.

    >>> sentence(Score("fid", 12.345, 11.9, 12.8, False, {"features": "grey28", "real": 1000, "fake": 5000}))
    'FID 12.35 [11.9, 12.8]: 5,000 generated against 1,000 real images, features grey28'
    """
    facts = score.protocol
    numbers = [f"{int(facts[side]):,}" for side in ("fake", "real") if side in facts]
    counts = f"{numbers[0]} generated against {numbers[1]} real images" if len(numbers) == 2 else "generated images"
    said = [counts, f"features {facts.get('features', 'unknown')}"]
    said += [str(facts[key]) for key in ("split",) if key in facts]
    name = score.name.upper() if len(score.name) <= 3 else score.name.replace("_", " ").capitalize()
    return f"{name} {score.value:.4g} [{score.low:.4g}, {score.high:.4g}]: {', '.join(said)}"


def _measure(
    metrics: Sequence[Metric], real: Features, fake: Features, protocol: dict[str, str], seed: int
) -> tuple[Score, ...]:
    """Every metric that the features can give; raises UsageError for one that they cannot."""
    scores: list[Score] = []
    for metric in metrics:
        if metric.reads == "logits" and fake.logits is None:
            raise UsageError(f"{metric.name} needs class logits, which these features do not have; leave it out")
        scores += [score.beside(**protocol, seed=seed) for score in metric.measure(real, fake)]
    return tuple(scores)


def _reals(subject: Subject, data: str | Path | Dataset | Tensor | None) -> tuple[Tensor, dict[str, str]]:
    """The reals to compare with and what to say of them."""
    if data is None:
        if not isinstance(subject, Run):
            raise UsageError("there is nothing to compare with; name the real images as well")
        return _held_out(subject)
    if isinstance(data, Tensor):
        return data, {}
    dataset = data if isinstance(data, Dataset) else open_data(data, size=_size_of(subject))
    share = "all" if len(dataset) <= _MOST else f"the first {_MOST:,}"
    return _all(dataset), {"data": dataset.fingerprint[:16], "split": f"{share} of {dataset.name}"}


def _held_out(run: Run) -> tuple[Tensor, dict[str, str]]:
    """The images a run held out; all of them where its data were too few to hold any out."""
    recorded = run.card["data"]
    shape = recorded["shape"]
    size = None if shape[1:] == [1, 1] else (shape[1], shape[2])
    dataset = open_data(recorded["source"], size=size, channels=recorded["channels"])
    if dataset.fingerprint != recorded["fingerprint"]:
        raise DataError(
            f"{recorded['source'] or 'the embedded data'} no longer holds what {run.path} was trained on; "
            "name the real images to compare with"
        )
    held_out = torch.tensor(recorded["held_out"], dtype=torch.int64)
    if len(held_out) < 2:
        return _all(dataset), {"data": dataset.fingerprint[:16], "split": "the training images (none were held out)"}
    return dataset.images(held_out), {"data": dataset.fingerprint[:16], "split": "held out from training"}


def _size_of(subject: Subject) -> tuple[int, int] | None:
    """The size the reals must have to be compared with a subject's images; None for points."""
    if isinstance(subject, Dataset):
        height, width = subject.shape[1:]
    else:
        generator = subject.generator if isinstance(subject, Run) else subject
        height, width = generator.sample(1).shape[2:]
    return None if (height, width) == (1, 1) else (height, width)


def _fakes(subject: Subject, n: int, seed: int) -> Tensor:
    if isinstance(subject, Dataset):
        return _all(subject)
    generator = subject.generator if isinstance(subject, Run) else subject
    return generator.sample(n, seed=seed)


def _all(dataset: Dataset) -> Tensor:
    return dataset.images(torch.arange(min(len(dataset), _MOST)))


def _look(network: FeatureNetwork, images: Tensor) -> Features:
    return network.features(_visible(images))


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
