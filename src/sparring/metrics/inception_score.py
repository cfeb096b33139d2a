"""The Inception Score: are the fakes recognisable, and do they cover the classes (Salimans et al. 2016, section 4)?

It never looks at a real image, so a generator can score well and be far from the data. Its logits must classify
something that the images can show: the protocol of the network names the classes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sparring.errors import DataError, UsageError
from sparring.features.network import Features
from sparring.metrics.inputs import matrix
from sparring.metrics.intervals import mean_interval
from sparring.metrics.score import Fact, Metric, Score

__all__ = ["inception_score", "score_of_classes"]


def score_of_classes(real: Features, fake: Features, *, splits: int = 10, split_seed: int = 2020) -> tuple[Score]:
    """exp of the mean KL divergence of p(class | image) from p(class), from 1 (worst) to the number of classes.

    The mean over `splits` parts of the shuffled fakes, as torch-fidelity takes it; `real` is not used. The parts share
    no image, so the interval is Student's for the mean of independent scores. Raises UsageError where the network has
    no logits, DataError with fewer than two images a part.
    """
    if fake.logits is None:
        raise UsageError("the inception score needs class logits, which this network has not; choose fid or kid")
    if splits < 5:
        raise UsageError(f"{splits} splits are too few for an interval; use at least 5")
    logits = matrix(fake.logits, least=1, what="fake")
    n = len(logits)
    if n < 2 * splits:
        raise DataError(f"{n} fake images do not fill {splits} splits; give at least {2 * splits}")
    logits = logits[torch.from_numpy(np.random.RandomState(split_seed).permutation(n))]
    parts = [logits[i * n // splits : (i + 1) * n // splits] for i in range(splits)]
    scores = torch.stack([_score(part) for part in parts])
    value, low, high = mean_interval(scores.tolist())
    protocol: dict[str, Fact] = {
        "fake": n,
        "classes": logits.shape[1],
        "splits": splits,
        "split_seed": split_seed,
        "interval": "95 %, Student's over the splits",
    }
    low, high = max(1.0, low), min(float(logits.shape[1]), high)
    return (Score("inception_score", value, low, high, higher_is_better=True, protocol=protocol),)


def _score(logits: Tensor) -> Tensor:
    """exp(E KL(p(y|x) || p(y))) of logits [n, k]."""
    log_p = logits.log_softmax(1)
    # Not the logarithm of a mean: a class that no image can be has p = 0 there, and 0 times infinity.
    log_mean = log_p.logsumexp(0) - math.log(len(logits))
    return (log_p.exp() * (log_p - log_mean)).sum(1).mean().exp()


inception_score = Metric("inception_score", measure=score_of_classes, reads="logits")
