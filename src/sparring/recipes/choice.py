"""Which recipe a person gets who names none: the best of them for the size of the data and this machine."""

from __future__ import annotations

from sparring.recipe import Recipe

__all__: list[str] = []


def default_recipe(shape: tuple[int, int, int], *, gpu: bool) -> tuple[Recipe, str]:
    """A recipe and the reason, in words."""
    from sparring import recipes

    if shape[1:] == (1, 1):
        return recipes.r3gan(), "points learn best with relativistic pairing and both gradient penalties"
    if gpu:
        return recipes.r3gan(width=384), "on a GPU, the strongest modern baseline"
    return recipes.quick(), "learns fastest on a CPU"
