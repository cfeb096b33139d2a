"""The vocabulary: what a recipe is made of.

A recipe chooses a game and its players. In every round the players take turns. A game says what each player
minimises; the engine says when; neither knows the other (see `game`). Everything here is frozen data.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from sparring.binding import RecipeWarning, require_playable
from sparring.chance import without_memory
from sparring.data.options import Reading
from sparring.errors import UsageError
from sparring.fitting import Facts, Shape, derived, fit, fitted
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import PenaltyFunction
from sparring.schedule import Schedule, ends

if TYPE_CHECKING:
    from sparring.game import Game

__all__ = [
    "BoundRecipe",
    "Constraint",
    "Ema",
    "Facts",
    "Given",
    "Optim",
    "Paper",
    "Penalty",
    "Recipe",
    "RecipeWarning",
    "Term",
    "Turn",
    "derived",
    "fitted",
]


@dataclass(frozen=True)
class Term:
    """One summand of a turn that the game knows by name: `adversarial`, `cycle`, `reconstruction`, ..."""

    name: str
    weight: Schedule = 1.0

    def __post_init__(self) -> None:
        _refuse_weight(self.name, self.weight)


@dataclass(frozen=True)
class Penalty:
    """One summand of a turn that works for any game: a function of the discriminator around some images.

    With `every` > 1 it is lazy: computed in one round of `every`, with its weight multiplied by `every`
    (Karras et al. 2020, appendix B).
    """

    name: str
    of: PenaltyFunction
    weight: Schedule
    every: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.every <= 1024:
            raise UsageError(f"a penalty every {self.every} rounds cannot be; give a number from 1 to 1024")
        _refuse_weight(self.name, self.weight)


@dataclass(frozen=True)
class Turn:
    """One backward pass of a sum of terms and one optimiser step, for one player or several.

    `times` repeats it within a round; `every` takes it in one round of so many; `begin` and `end` bound it in images
    seen; `batch_fraction` scales its batch against the round's. `awake` players do not move in this turn, but what
    they make in it keeps its graph, for the game to use in their own turn of the same round. Where all its terms rest
    in a round, so does the turn.
    """

    players: tuple[str, ...]
    terms: tuple[Term | Penalty, ...] = field(default_factory=lambda: (Term("adversarial"),))
    times: int = 1
    every: int = 1
    begin: float = 0
    end: float | None = None
    batch_fraction: float = 1.0
    awake: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.times < 1 or self.every < 1:
            raise UsageError(f"turns ({self.times}) and intervals ({self.every}) count from 1; give a larger number")
        names = [term.name for term in self.terms]
        if not names:
            raise UsageError(f"a turn of {' and '.join(self.players)} has nothing to minimise; give it a term")
        if len(set(names)) < len(names):
            raise UsageError(
                f"a turn has two terms called {max(names, key=names.count)!r}; give each a name of its own"
            )
        if not 0 < self.batch_fraction < 1e6:
            raise UsageError(f"a turn needs a batch, not a fraction of {self.batch_fraction}; give a positive number")

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """The terms that are penalties."""
        return tuple(term for term in self.terms if isinstance(term, Penalty))

    def within(self, seen: float) -> bool:
        """Whether a moment lies between its bounds."""
        return seen >= self.begin and (self.end is None or seen < self.end)

    def due(self, round_index: int, seen: int) -> Turn | None:
        """This turn with the terms that are due in a round, or None where the turn itself rests."""
        if round_index % self.every or not self.within(seen):
            return None
        terms = tuple(t for t in self.terms if not (isinstance(t, Penalty) and round_index % t.every))
        if not terms:
            return None
        return dataclasses.replace(self, terms=terms) if len(terms) < len(self.terms) else self


@dataclass(frozen=True)
class Constraint:
    """A change of a player's weights after each of its steps (WGAN's clipping)."""

    player: str
    apply: Callable[[nn.Module], None]


@dataclass(frozen=True)
class Optim:
    """An optimiser: `adam`, `sgd` or `rmsprop`. The rate and Adam's betas may be schedules."""

    kind: str = "adam"
    rate: Schedule = 2e-4
    betas: tuple[Schedule, Schedule] = (0.0, 0.99)
    momentum: float = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if self.kind not in ("adam", "sgd", "rmsprop"):
            raise UsageError(f"there is no optimiser {self.kind!r}; use adam, sgd or rmsprop")
        rates = ends(self.rate)
        for rate in rates:
            if not 0 <= rate < math.inf or not any(rates):
                raise UsageError(f"a learning rate of {rate} cannot be; give a number above 0, such as 0.0002")
        for beta in (*ends(self.betas[0]), *ends(self.betas[1])):
            if not 0 <= beta < 1:
                raise UsageError(f"a beta of {beta} cannot be; give a number from 0 to below 1")


@dataclass(frozen=True)
class Ema:
    """A moving average of a player's weights, with a half-life in images so that it means the same at any batch size.

    Early on the half-life is at most `ramp` times the images seen. Running statistics (floating-point buffers) are
    averaged like weights, because they belong to them; counters (integer buffers) are copied. With `standing` > 0,
    they are measured anew over so many batches whenever the average is used (Brock et al. 2019, appendix C.1).
    """

    halflife: Schedule
    ramp: float = 0.05
    standing: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.standing <= 1024:
            raise UsageError(f"statistics of {self.standing} batches cannot be; give a number from 0 to 1024")
        if not 0 <= self.ramp < math.inf:
            raise UsageError(f"a ramp of {self.ramp} cannot be; give a number from 0")


@dataclass(frozen=True)
class Paper:
    """Where a recipe comes from."""

    authors: str
    title: str
    year: int
    url: str

    def __str__(self) -> str:
        stop = "" if self.title.endswith(("?", "!")) else "."
        return f"{self.authors} ({self.year}): {self.title}{stop} {self.url}"


@dataclass(frozen=True)
class Given:
    """Weights that a player begins with: those of a player of a finished run, known by its checkpoint's hash."""

    run: str
    player: str
    checkpoint: str


@dataclass(frozen=True)
class Recipe:
    """A game, its players and when they play; free of the data's shape.

    `game` makes the game; `batch` is the number of real images a round adds to `seen`; `optims` and `emas` go by
    player; `sampler` is the player that is kept; `mirror` flips half of the reals left to right; `balanced` draws reals
    of every class equally often, however many there are. A turn's batch is played in `accumulate` parts, one after the
    other, whose gradients are added up before the step: the memory of one part for the batch of all. Statistics of the
    batch are then those of a part, and running means of penalties move with every part.

    `reading` is what the game takes: single images, tiles of large ones, pairs, or two sides that do not pair up, which
    are always balanced. `given` are weights that parts of players, named `player` or `player.part`, begin with and that
    other runs made.

    With `growth`, a schedule of levels (see `networks.growing`), players grow while they are trained; when a level
    begins to be faded in and when it is there, optimisers begin anew, as their moments belong to another network.
    """

    name: str
    summary: str
    papers: tuple[Paper, ...]
    game: Callable[[], Game]
    turns: tuple[Turn, ...]
    optims: Mapping[str, Optim]
    batch: Schedule = 64
    emas: Mapping[str, Ema] = field(default_factory=dict)
    constraints: tuple[Constraint, ...] = ()
    mirror: bool = False
    balanced: bool = False
    accumulate: int = 1
    growth: Schedule | None = None
    reading: Reading = "images"
    given: Mapping[str, Given] = field(default_factory=dict)
    sampler: str = "generator"

    @property
    def game_class(self) -> Callable[..., Game]:
        """What makes the game, without the arguments that it is made with."""
        return self.game.func if isinstance(self.game, functools.partial) else self.game

    @property
    def game_arguments(self) -> Mapping[str, Any]:
        """The arguments that the game is made with, by name."""
        return self.game.keywords if isinstance(self.game, functools.partial) else {}

    @property
    def loss(self) -> AdversarialLoss | None:
        """The adversarial loss that the game is made with, where it has one."""
        loss = self.game_arguments.get("loss")
        return loss if isinstance(loss, AdversarialLoss) else None

    @property
    def of_images(self) -> bool:
        """Whether its players make images from images, not from noise: whether its game is a `game.ImageGame`."""
        return hasattr(self.game_class, "exhibit")  # a class, of which no protocol with properties can be asked

    def but(self, **changes: Any) -> Recipe:
        """A copy with some fields changed; raises UsageError for a field that does not exist."""
        unknown = sorted(set(changes) - {field.name for field in dataclasses.fields(self)})
        if unknown:
            raise UsageError(f"a recipe has no field {unknown[0]!r}; see help(sparring.recipe.Recipe)")
        return dataclasses.replace(self, **changes)

    def playing(self, **changes: Any) -> Recipe:
        """A copy whose game is made with some other arguments: `loss`, `augment`, `packing`, the players, ...

        Raises UsageError for an argument that the game does not take.
        """
        made = self.game_class
        unknown = sorted(set(changes) - set(inspect.signature(made).parameters))
        if unknown:
            raise UsageError(f"the game of {self.name} does not take {unknown[0]!r}; see help({made.__name__})")
        return dataclasses.replace(self, game=functools.partial(made, **{**self.game_arguments, **changes}))

    def cite(self) -> str:
        """The papers, one a line."""
        return "\n".join(str(paper) for paper in self.papers)

    def bind(self, shape: Shape, classes: int, images: int, budget: int) -> BoundRecipe:
        """Resolve everything that depends on the data, and refuse what cannot be built.

        Raises ShapeError with the nearest possible sizes, UsageError for numbers that cannot be meant.
        """
        facts = Facts((shape[0], shape[1], shape[2]), classes, images, budget)
        recipe = fit(self, facts)
        if recipe.reading == "sides" and not recipe.balanced:
            raise UsageError(f"{self.name} needs as many of one side as of the other; leave balance=none out")
        if not 1 <= recipe.accumulate <= 1024:
            raise UsageError(f"a batch in {recipe.accumulate} parts cannot be; give a number from 1 to 1024")
        for batch in ends(recipe.batch):
            if not 1 <= batch <= 1e7:
                raise UsageError(f"a batch of {batch:g} cannot be; give 1 or more")
        try:
            with without_memory():
                game = recipe.game()
                players = game.build(facts.shape, facts.classes)
        except (RuntimeError, ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError) as error:
            reason = str(error).splitlines()[0]
            raise UsageError(f"{self.name} cannot be built with these parameters ({reason}); change them") from error
        if recipe.balanced and facts.classes < 2:
            raise UsageError(f"{self.name} balances classes, but these data have {facts.classes}; leave balancing out")
        require_playable(recipe, game, players)
        return BoundRecipe(recipe, facts)


@dataclass(frozen=True)
class BoundRecipe:
    """A recipe fitted to facts: what `recipe.json` stores and the engine plays."""

    recipe: Recipe
    facts: Facts


def _refuse_weight(name: str, weight: Schedule) -> None:
    """Weights are finite and not negative."""
    for end in ends(weight):
        if not 0 <= end < math.inf:
            raise UsageError(f"a weight of {end} for {name} cannot be; give a number from 0")
