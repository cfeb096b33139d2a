"""`import`: networks that others published, as folders that `translate` and `reconstruct` take; no code is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sparring import recipes
from sparring.engine.sampler import trained_network
from sparring.engine.translator import TrainedTranslator
from sparring.errors import FileUnusableError, UsageError
from sparring.features.network import sha256_of
from sparring.names import choose, discover
from sparring.paths import expanded
from sparring.recipe import BoundRecipe, Recipe
from sparring.share.card import WEIGHTS, imported_card
from sparring.share.export import translator_words, write_export
from sparring.share.published import esrgan, junyanz, taming
from sparring.tensorfile import read_safetensors, read_torch_file, serialise, tensors_of

__all__ = ["PUBLISHED", "import_weights"]

_Read = Callable[[Mapping[str, Tensor]], tuple[dict[str, Any], dict[str, Tensor]]]

PUBLISHED: Mapping[str, _Read] = {
    "cyclegan": junyanz.translator,
    "esrgan": esrgan.translator,
    "pix2pix": junyanz.translator,
    "vqgan": taming.codec,
}
"""Recipes whose published weights can be read, and who knows their names."""


def import_weights(file: str | Path, name: str, out: str | Path, *, licence: str | None = None) -> Path:
    """Read the weights of a published network and write them to the folder `out` under our names, with a card.

    `file` is a torch file (.pth, .ckpt), which is read without running anything in it, or safetensors; `name` says of
    which recipe: cyclegan, esrgan, pix2pix or vqgan. Sizes and settings are read off the weights.

    Raises FileUnusableError for what is no such network, UsageError for an unknown name or a foreign folder, DiskError.
    """
    read, file = PUBLISHED[choose(name, PUBLISHED, "published network")], expanded(file)
    settings, weights = read(_tensors(file))
    bound = _bound(name, settings)
    weights = {key: tensor.contiguous() for key, tensor in weights.items()}
    trained = TrainedTranslator(trained_network(bound, bound.recipe.sampler, weights), source=name)
    card = imported_card(bound, trained, file=file.name, digest=sha256_of(file), licence=licence)
    return write_export(expanded(out), card, {WEIGHTS: serialise(weights, {"sparring": translator_words(card)})})


def _tensors(file: Path) -> Mapping[str, Tensor]:
    if not file.is_file():
        raise FileUnusableError(f"there is no file {file}; give the published weights, a .pth, .ckpt or .safetensors")
    return read_safetensors(file).tensors if file.suffix == ".safetensors" else tensors_of(read_torch_file(file))


def _bound(name: str, settings: Mapping[str, Any]) -> BoundRecipe:
    """The recipe whose sampler is the network with these settings."""
    settings = dict(settings)
    network: Callable[..., nn.Module] = discover("networks")[settings.pop("network")]
    if name == "vqgan":
        side = 2 ** (len(settings["multipliers"]) + 3)
        shape, made = (int(settings.pop("channels")), side, side), partial(network, **settings)
        return recipes.vqgan().playing(codec=made).bind(shape, 0, images=1, budget=1)
    given, height, width = settings.pop("shape")
    if name == "esrgan":
        scale = settings["scale"]
        if scale not in (2, 4):
            raise UsageError(f"a network that makes images {scale} times larger is none of super-resolution's here")
        made = partial(network, **settings)
        shape = (given, height * scale, width * scale)
        return recipes.esrgan(scale=scale).playing(generator=made).bind(shape, 0, images=1, budget=1)
    made = partial(network, **settings)
    if name == "cyclegan":
        return recipes.cyclegan().playing(translator=made).bind((given, height, width), 2, images=1, budget=1)
    found: Recipe = recipes.pix2pix().playing(generator=made)
    return found.bind((2 * given, height, width), 0, images=1, budget=1)
