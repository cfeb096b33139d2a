"""GANs for everybody: train, watch, measure, keep.

import sparring as sp

run = sp.train(sp.recipes.dcgan(), data="photos/", size=64, minutes=30, out="runs/photos")
run.generator.sample(64, seed=0)
sp.evaluate(run)
sp.export(run, "photos-gan/")
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring import recipes
    from sparring.data import open_data
    from sparring.data.loader import Loader
    from sparring.engine.rounds import rounds
    from sparring.engine.rundir import Run
    from sparring.engine.sampler import TrainedGenerator
    from sparring.errors import SparringError
    from sparring.evaluation import evaluate
    from sparring.latent.interpolate import interpolate
    from sparring.latent.mix import mix
    from sparring.latent.project import project
    from sparring.recipe import Recipe
    from sparring.recipes.spelling import recipe_named
    from sparring.report import write_report
    from sparring.share.export import export
    from sparring.share.importing import import_weights
    from sparring.share.load import load, load_translator
    from sparring.share.translations import translate
    from sparring.training import train

__version__ = "0.1.0"

# Threads that wait must sleep, not spin: beside any other busy program spinning threads cost a factor of ten and more.
# OpenMP reads this when torch is first loaded, so it stands before everything else.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOMES = {
    "Loader": "sparring.data.loader",
    "Recipe": "sparring.recipe",
    "Run": "sparring.engine.rundir",
    "SparringError": "sparring.errors",
    "TrainedGenerator": "sparring.engine.sampler",
    "evaluate": "sparring.evaluation",
    "export": "sparring.share.export",
    "import_weights": "sparring.share.importing",
    "interpolate": "sparring.latent.interpolate",
    "load": "sparring.share.load",
    "load_translator": "sparring.share.load",
    "mix": "sparring.latent.mix",
    "open_data": "sparring.data",
    "project": "sparring.latent.project",
    "recipe_named": "sparring.recipes.spelling",
    "rounds": "sparring.engine.rounds",
    "train": "sparring.training",
    "translate": "sparring.share.translations",
    "write_report": "sparring.report",
}

__all__ = [
    "Loader",
    "Recipe",
    "Run",
    "SparringError",
    "TrainedGenerator",
    "evaluate",
    "export",
    "import_weights",
    "interpolate",
    "load",
    "load_translator",
    "mix",
    "open_data",
    "project",
    "recipe_named",
    "recipes",
    "rounds",
    "train",
    "translate",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: `import sparring` itself is immediate."""
    if name == "recipes":
        return importlib.import_module("sparring.recipes")
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'sparring' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
