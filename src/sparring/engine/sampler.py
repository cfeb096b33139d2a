"""A trained generator, ready to draw: image i of seed s depends on s + i, its class, and nothing else."""

from __future__ import annotations

import contextlib
import copy
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from sparring.chance import draw, generator, latents, truncated, without_memory
from sparring.errors import FileUnusableError, SparringError, UsageError
from sparring.networks.gpt import CodePrior
from sparring.networks.layers import StyleBased, Translator
from sparring.networks.vqgan import Codec
from sparring.pictures import data_url, grid, png, to_uint8
from sparring.recipe import BoundRecipe

__all__ = [
    "ClassChoice", "TrainedGenerator", "class_names", "classes_of", "in_turn", "render", "settled", "trained_network",
]  # fmt: skip

ClassChoice: TypeAlias = int | str | Sequence[int | str] | Tensor
"""A class by its number or name, or as many as there are images."""

_UNBUILDABLE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, SparringError, TypeError, ValueError,
)  # fmt: skip
"""What building a network from numbers in a file may raise."""

_MOST_TENSORS = 20_000
"""Parameters of all players of a game that a file may name; ESRGAN's 23 blocks have 700."""


@final
class TrainedGenerator:
    """A generator network in evaluation mode; `names` are those of its classes, where it has any."""

    def __init__(self, network: nn.Module, *, source: str = "", names: Sequence[str] = ()) -> None:
        if isinstance(network, Translator):
            use = "reconstruct, or train a vqgan_prior on it" if isinstance(network, Codec) else "translate"
            raise UsageError(f"{source or 'this run'} makes images from images, not from noise; use {use}")
        self.network: Any = network.eval()
        self.source, self.names = source, tuple(names)

    @classmethod
    def of(
        cls, bound: BoundRecipe, weights: Mapping[str, Tensor], *, source: str = "", names: Sequence[str] = ()
    ) -> TrainedGenerator:
        """The generator of a bound recipe with given weights; raises as `trained_network` does."""
        return cls(trained_network(bound, bound.recipe.sampler, weights), source=source, names=names)

    def __repr__(self) -> str:
        return f"TrainedGenerator({self.source!r}, z_dim={self.z_dim})"

    def _repr_html_(self) -> str:
        """Sixteen samples, for notebooks."""
        return f'<img alt="16 samples" src="{data_url(png(grid(self.sample(16), scale=2)))}">'

    @property
    def z_dim(self) -> int:
        """Dimensions of z."""
        return int(self.network.z_dim)

    @property
    def z_kind(self) -> str:
        """Distribution of z, `normal` or `uniform`."""
        return str(self.network.z_kind)

    @property
    def classes(self) -> int:
        """Classes that can be asked for; 0 where there are none."""
        return classes_of(self.network)

    @property
    def style_layers(self) -> int:
        """Layers that take a style of their own; 0 where styles are unknown."""
        return int(self.network.layers) if isinstance(self.network, StyleBased) else 0

    @property
    def columns(self) -> int:
        """Columns of a sheet of samples: one for each of a few classes, else eight."""
        return self.classes if 2 <= self.classes <= 16 else 8

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image, found by drawing one; points are (2, 1, 1)."""
        channels, height, width = self.sample(1, batch=1).shape[1:]
        return channels, height, width

    def styles(self, z: Tensor, labels: Tensor | None = None, *, truncation: float | None = None) -> Tensor:
        """The styles of z `[n, z_dim]` and labels `[n]`, `[n, layers, w_dim]`, where the generator is."""
        device = next(self.network.parameters()).device
        told = () if labels is None else (labels.to(device),)
        with torch.no_grad():
            found: Tensor = self.network.styles(z.to(device), *told)
            return found if truncation is None else self.network.truncated(found, truncation)

    def latents(self, n: int, seed: int = 0) -> Tensor:
        """z of the seeds `seed`..`seed + n - 1`, `[n, z_dim]`."""
        if n < 1:
            raise UsageError(f"{n} samples cannot be drawn; ask for 1 or more")
        return latents(list(range(seed, seed + n)), self.z_dim, self.z_kind)

    def labels(self, n: int, seed: int = 0, *, classes: ClassChoice | None = None) -> Tensor | None:
        """Labels of `n` images, int64 `[n]`: the classes asked for, by default seed modulo classes; None without any.

        Raises UsageError for classes that do not exist, or where the generator has none.
        """
        if n < 1:
            raise UsageError(f"{n} samples cannot be drawn; ask for 1 or more")
        if classes is None:
            return in_turn(n, seed, self.classes)
        if not self.classes:
            raise UsageError("this generator was trained without classes; leave the class out")
        asked = classes.tolist() if isinstance(classes, Tensor) else classes
        listed: list[object] = [asked] if isinstance(asked, int | str | numbers.Integral) else list(asked)
        found = [self._number(one) for one in listed]
        if len(found) not in (1, n):
            raise UsageError(f"{len(found)} classes for {n} images; give one class, or one for each image")
        return torch.tensor(found).expand(n) if len(found) == 1 else torch.tensor(found)

    def sample(
        self,
        n: int = 16,
        *,
        seed: int = 0,
        classes: ClassChoice | None = None,
        truncation: float | None = None,
        batch: int = 64,
    ) -> Tensor:
        """Images of the seeds `seed`..`seed + n - 1`: uint8 `[n, c, h, w]` (points: float32 `[n, 2, 1, 1]`).

        `classes` are what to draw (see `labels`), `truncation` trades variety for quality (see `images`). Raises
        UsageError if n < 1 and for what the generator does not have.
        """
        labels = self.labels(n, seed, classes=classes)
        return self.images(self.latents(n, seed), labels, truncation=truncation, batch=batch)

    def images(
        self, z: Tensor, labels: Tensor | None = None, *, truncation: float | None = None, batch: int = 64
    ) -> Tensor:
        """The images of given z `[n, z_dim]` and labels `[n]`, as `sample` returns them; each depends on its own alone.

        Without labels, those of the classes in turn. `truncation` draws styles towards their mean by that factor, where
        the generator has styles; otherwise it cuts normal z off at so many deviations (see `chance.truncated`). Raises
        UsageError for a truncation that is not above 0, or of z that is not normal.
        """
        self.require_truncation(truncation)
        return render(self.network, z, self.labels(len(z), classes=labels), truncation=truncation, batch=batch)

    def require_truncation(self, truncation: float | None) -> None:
        """Raise UsageError for a truncation that cannot be."""
        if truncation is not None and not 0 < truncation < math.inf:
            raise UsageError(f"a truncation of {truncation} cannot be; give a number above 0, such as 0.5")
        if truncation is not None and not self.style_layers and self.z_kind != "normal":
            raise UsageError(f"this generator's z is {self.z_kind}, which has no tails to cut; leave truncation out")

    def sharpen(self, temperature: float | None = None, top_k: int | None = None) -> None:
        """From now on draw codes from logits over `temperature`, of the `top_k` likeliest only; None is 1, and all.

        Raises UsageError for a generator that writes no codes, and for what cannot be.
        """
        if not isinstance(self.network, CodePrior):
            raise UsageError("only what writes codes one by one (vqgan_prior) has a temperature and likeliest codes")
        self.network.sharpen(1.0 if temperature is None else temperature, top_k)

    def _number(self, wanted: object) -> int:
        """A class by its number or its name."""
        if isinstance(wanted, str) and wanted in self.names:
            return self.names.index(wanted)
        try:
            number = int(wanted) if isinstance(wanted, str | numbers.Integral) else -1
        except ValueError:
            number = -1
        if 0 <= number < self.classes:
            return int(number)
        known = f" ({', '.join(self.names)})" if self.names and len(self.names) <= 20 else ""
        raise UsageError(f"there is no class {wanted!r}; give one from 0 to {self.classes - 1}{known}")


def trained_network(bound: BoundRecipe, player: str, weights: Mapping[str, Tensor]) -> nn.Module:
    """A player of a bound recipe with given weights; torch's default random numbers are left as they were.

    Raises FileUnusableError if the weights do not fit the recipe, or if its parts cannot be built.
    """
    facts = bound.facts
    try:
        # Shapes first: a file's numbers must not be able to ask for memory, or for time without end.
        with without_memory(), _few_tensors():
            expected = bound.recipe.game().build(facts.shape, facts.classes)[player]
        if {k: t.shape for k, t in expected.state_dict().items()} != {k: t.shape for k, t in weights.items()}:
            raise ValueError("other names or shapes")
        with torch.random.fork_rng(devices=[]):
            network = bound.recipe.game().build(facts.shape, facts.classes)[player]
        network.load_state_dict(weights)
    except _UNBUILDABLE as error:
        raise FileUnusableError(f"the weights do not fit {bound.recipe.name}; was a file replaced?") from error
    return network


@contextlib.contextmanager
def _few_tensors() -> Iterator[None]:
    """Raises ValueError in the middle of building networks of more parameters than `_MOST_TENSORS`."""
    found = 0

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal found
        found += 1
        if found > _MOST_TENSORS:
            raise ValueError(f"more than {_MOST_TENSORS} tensors")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def in_turn(n: int, seed: int, classes: int) -> Tensor | None:
    """The classes of the seeds `seed`..`seed + n - 1`, modulo their number: int64 `[n]`, or None without any."""
    return (seed % classes + torch.arange(n)) % classes if classes else None


def class_names(recorded: object, where: object) -> tuple[str, ...]:
    """The names of classes as a file records them; raises FileUnusableError for what is no list of names."""
    if not isinstance(recorded, list | tuple) or not all(isinstance(name, str) for name in recorded):
        raise FileUnusableError(f"{where} does not hold names of classes where it should; restore it from a copy")
    return tuple(recorded)


def classes_of(network: nn.Module) -> int:
    """Classes that a generator network takes labels of; 0 where it takes none."""
    return int(getattr(network, "classes", 0))


def render(
    network: nn.Module,
    z: Tensor,
    labels: Tensor | None = None,
    *,
    truncation: float | None = None,
    batch: int = 64,
) -> Tensor:
    """A network's images of z `[n, z_dim]` and labels `[n]`: uint8 `[n, c, h, w]` (points: float32 `[n, 2, 1, 1]`).

    On the CPU. `truncation` is that of styles where the network has any, of z otherwise. Every batch has the same size
    (the last one is filled up), so that an image does not depend on its neighbours. Raises UsageError for a batch
    below 1.
    """
    if batch < 1:
        raise UsageError(f"{batch} images at a time cannot be; give a batch of 1 or more")
    device = next(network.parameters()).device
    if truncation is not None and not isinstance(network, StyleBased):
        z = truncated(z, truncation)
    parts = []
    with torch.inference_mode():
        for first in range(0, len(z), batch):
            part = z[first : first + batch]
            places = torch.arange(first, first + batch).clamp(max=first + len(part) - 1)
            filled = (z[places].to(device),) if labels is None else (z[places].to(device), labels[places].to(device))
            if truncation is not None and isinstance(network, StyleBased):
                images = network.synthesis(network.truncated(network.styles(*filled), truncation))
            else:
                images = network(*filled)
            parts.append(to_uint8(images).cpu()[: len(part)])
    return torch.cat(parts)


def settled(network: nn.Module, batches: int, *, batch: int = 64) -> nn.Module:
    """A copy of a generator whose running statistics are those of its own weights (Brock et al. 2019, appendix C.1).

    Averaged weights never ran in training, so the statistics that were averaged beside them belong to none of them
    exactly. They are replaced by plain means over `batches` batches of random z and labels, the same ones each time;
    estimates of spectral norms settle on the way.
    """
    mine: Any = copy.deepcopy(network)
    norms = [m for m in mine.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    mine.train()
    for module in mine.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    device, classes = next(mine.parameters()).device, classes_of(mine)
    with torch.no_grad():
        for k in range(batches):
            source = generator("standing", k)
            z = draw((batch, int(mine.z_dim)), str(mine.z_kind), source).to(device)
            labels = torch.randint(classes, (batch,), generator=source).to(device) if classes else None
            mine(z) if labels is None else mine(z, labels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return mine.eval()  # type: ignore[no-any-return]
