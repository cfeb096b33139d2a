"""What a game says to the engine and the engine to a game: the protocols between what is minimised and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from sparring.fitting import Shape
from sparring.objectives.penalties import Leaf, PenaltyInputs
from sparring.recipe import Optim, Penalty, Turn

__all__ = ["Batch", "Context", "Game", "ImageGame", "OptimizerState", "Task"]


@dataclass(frozen=True)
class OptimizerState:
    """An optimiser at one moment, to look at: what it is, its rate and betas now, its moments by parameter."""

    optim: Optim
    rate: float
    betas: tuple[float, float]
    moments: Mapping[str, Mapping[str, Tensor]]


class Batch(Protocol):
    """What a turn draws from, lazily: what is not asked for costs nothing."""

    @property
    def size(self) -> int:
        """Images of this turn on this process."""

    @property
    def parts(self) -> int:
        """In how many parts, one after the other, the turn is played; this is one of them."""

    @property
    def real(self) -> Tensor:
        """Reals `[size, c, h, w]` in [-1, 1] (points as they are); fresh for every turn."""

    @property
    def labels(self) -> Tensor | None:
        """Labels of the reals, int64 `[size]`, or None."""

    def fake_labels(self, n: int) -> Tensor:
        """Labels for fakes, int64 `[n]`, as frequent as among the reals; a function of what `z` is one of."""

    def z(self, n: int, dim: int, kind: str = "normal") -> Tensor:
        """Noise `[n, dim]`, a function of (seed, round, turn, global sample index)."""


class Context(Protocol):
    """What the engine lends a game for one turn."""

    @property
    def seen(self) -> int:
        """Real images shown before this round."""

    @property
    def level(self) -> float | None:
        """How far the players have grown before this round, or None where they do not grow."""

    @property
    def processes(self) -> int:
        """Processes that share the batch."""

    @property
    def process(self) -> int:
        """Which of them this is, from 0."""

    @property
    def players(self) -> Mapping[str, nn.Module]:
        """All players; those not on turn are frozen."""

    def mean(self, x: Tensor) -> Tensor:
        """The mean of `[n, ...]` over the images of all processes, `[...]`, differentiable.

        Every batch statistic goes through it.
        """

    def penalise(self, penalty: Penalty, inputs: PenaltyInputs) -> Tensor:
        """The penalty of each image, `[n]`; its state is kept under its name and saved with the run."""

    def note(self, **values: Tensor) -> None:
        """Numbers for the log, averaged over the interval; no host round trip."""

    def optimizer_state(self, player: str) -> OptimizerState:
        """A read-only view of a player's optimiser, for games that look ahead."""


class Game(Protocol):
    """What each player minimises. Built by `Recipe.game()`; its `state` is saved with the run."""

    def build(self, shape: Shape, classes: int) -> dict[str, nn.Module]:
        """The players for data of a shape, by name, with initial weights drawn from torch's default generator."""

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """The value of each of the turn's terms, unweighted: scalars, by name."""

    @property
    def state(self) -> dict[str, Tensor]:
        """Tensors the game keeps between rounds, filled in by `build`; the engine moves them to its device."""

    @property
    def differentiable(self) -> frozenset[Leaf]:
        """What penalties may differentiate in its turns; nothing where it takes no penalties."""


@dataclass(frozen=True)
class Task:
    """What a translator is asked and what the answers should be, images in [-1, 1]; `paired`: answer i is question i's.

    Where they are not paired, answers are compared as a whole.
    """

    given: Tensor
    wanted: Tensor
    paired: bool = True


@runtime_checkable
class ImageGame(Game, Protocol):
    """A game whose sampler makes images from images (`networks.layers.Translator`), not from z."""

    def task(self, images: Tensor, labels: Tensor | None) -> Task:
        """What the sampler is asked of some reals in [-1, 1], and the answers."""

    def exhibit(self, players: Mapping[str, nn.Module], images: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """The columns of a picture that shows what the players make of some reals, in [-1, 1], by their titles."""
