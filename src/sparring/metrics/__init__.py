"""Metrics: features in, numbers with intervals and protocols out, in float64. One file a metric."""

from __future__ import annotations

from collections.abc import Mapping

from sparring.metrics.floor import real_against_real
from sparring.metrics.score import Metric, Score, better
from sparring.names import choose, discover

__all__ = ["Metric", "Score", "better", "metric_named", "metrics", "real_against_real"]


def metrics() -> Mapping[str, Metric]:
    """Every metric by its name: a `Metric` that a module of this package lists in `__all__` is one.

    >>> list(metrics())
    ['fid', 'inception_score', 'kid', 'precision_recall']
    """
    found = (member for member in discover("metrics").values() if isinstance(member, Metric))
    return {metric.name: metric for metric in found}


def metric_named(name: str) -> Metric:
    """The metric of that name; raises UsageError with the nearest names where there is none."""
    return metrics()[choose(name, metrics(), "metric")]
