"""What recipes stretch over the budget is what their docs say, to the number."""

from __future__ import annotations

from typing import Any

from sparring.augment.augmentation import Adaptive
from sparring.recipe import Recipe
from sparring.recipes.spelling import recipe_named
from sparring.schedule import Cosine, Linear, Steps

BUDGET = 200_000


def fitted(word: str, shape: tuple[int, int, int] = (1, 32, 32), *, classes: int = 0) -> Recipe:
    return recipe_named(word).bind(shape, classes, 96, BUDGET).recipe


def test_r3gan() -> None:
    recipe = fitted("r3gan")
    assert recipe.optims["generator"].rate == Cosine(1e-3, 2.5e-4, over=BUDGET)
    assert recipe.optims["generator"].betas[1] == Cosine(0.9, 0.99, over=BUDGET)
    assert [penalty.weight for penalty in recipe.turns[0].penalties] == [Cosine(0.5, 0.05, over=BUDGET)] * 2
    assert fitted("r3gan", (2, 1, 1)).optims["generator"].rate == Cosine(1e-3, 5e-5, over=BUDGET)


def test_quick() -> None:
    recipe = fitted("quick", (1, 64, 64))
    assert recipe.optims["generator"].rate == Cosine(1e-3, 5e-5, over=BUDGET, warmup=1000)
    assert recipe.batch == Steps((8, 16, 32), at=(0, BUDGET // 10, BUDGET // 2))


def test_halflives() -> None:
    assert fitted("gan").emas["generator"].halflife == BUDGET // 50
    assert fitted("stylegan2", (3, 32, 32)).emas["generator"].halflife == 10_000


def test_a_rate_that_is_kept_and_then_falls() -> None:
    recipe = fitted("cyclegan", (3, 32, 32), classes=2)
    assert recipe.optims["a_to_b"].rate == Linear(2e-4, 0.0, over=BUDGET / 2, begin=BUDGET / 2)


def test_strengths_of_augmentations() -> None:
    def strength(word: str) -> Any:
        return fitted(word).game_arguments["augment"].strength

    assert strength("gan+augment=ada") == Adaptive(over=BUDGET / 20)
    assert strength("r3gan+augment=ada") == Cosine(0.0, 0.3, over=BUDGET)
    assert strength("gan+augment=instance_noise:0.2") == Linear(0.2, 0.0, over=BUDGET)
