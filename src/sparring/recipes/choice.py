"""What a person gets who names none: the best recipe for the data and this machine, the best eyes at hand."""

from __future__ import annotations

from sparring.features import best_for, usable
from sparring.recipe import Facts, Recipe

__all__: list[str] = []


def default_recipe(shape: tuple[int, int, int], *, gpu: bool) -> tuple[Recipe, str]:
    """A recipe and the reason, in words."""
    from sparring import recipes

    if shape[1:] == (1, 1):
        return recipes.r3gan(), "points learn best with relativistic pairing and both gradient penalties"
    if gpu:
        return recipes.r3gan(width=384), "on a GPU, the strongest modern baseline"
    return recipes.quick(), "learns fastest on a CPU"


def eyes_for(facts: Facts, *, given: str | None = None) -> str:
    """The feature network for the perceptual loss of images, by default the best of those whose weights are here.

    Raises UsageError for one that cannot look, which a run would otherwise meet when its perceptual loss comes in.
    """
    if given is None:
        return best_for(facts.shape)
    usable(given)
    return given
