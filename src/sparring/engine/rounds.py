"""The loop. Every game is played here: players take turns, a turn is one backward pass and one step.

`rounds()` is a generator that yields after every round; training, tests and everything live iterate over it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from sparring.chance import draw, generator, seed_of
from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.state import State
from sparring.errors import DivergedError, UsageError
from sparring.game import OptimizerState
from sparring.objectives.penalties import PenaltyInputs
from sparring.pictures import scaled
from sparring.recipe import BoundRecipe, Penalty, Recipe, Turn
from sparring.schedule import value

__all__ = ["Round", "batch_at", "rounds"]


@dataclass(frozen=True)
class Round:
    """A round that was played: its index, the images seen after it, its global batch, and the state it left."""

    index: int
    seen: int
    batch: int
    state: State


def rounds(
    bound: BoundRecipe,
    loader: Loader,
    *,
    seed: int = 0,
    state: State | None = None,
    devices: Devices | None = None,
    until: float = math.inf,
) -> Iterator[Round]:
    """Play rounds until `until` images were seen, going on from `state` (by default from the beginning).

    Every draw is a function of (seed, stream, round, turn, global sample index): stopping after any round and going
    on from its state gives the same weights, bit for bit. Raises DivergedError before a step that is not finite; on a
    GPU, which is not to be waited for, such steps are left out instead, and `state.bad` says so.
    """
    devices = devices or Devices()
    if bound.recipe.given and state is None:
        raise UsageError(f"{bound.recipe.name} begins with another run's weights; play it by train, or give a state")
    state = state or State(bound, seed=seed, device=devices.device)
    recipe = bound.recipe
    while state.seen < until:
        batch = batch_at(recipe, state.seen, devices.world)
        ordinal = 0
        for turn in recipe.turns:
            due = turn.due(state.round, state.seen)
            for _ in range(turn.times if due else 0):
                assert due is not None
                _play(_Context(bound, loader, devices, state, batch, ordinal, due.players[0]), due)
                ordinal += 1
        begins_anew = _stage(recipe, state.seen) != _stage(recipe, state.seen + batch)
        state.seen += batch
        state.round += 1
        for player in state.players.values():
            player.follow(batch, state.seen)
            if begins_anew:
                player.begin_anew()
        yield Round(state.round - 1, state.seen, batch, state)


def batch_at(recipe: Recipe, seen: float, processes: int = 1) -> int:
    """The global batch after `seen` images; one that follows a schedule is cut to what splits into equal parts."""
    return _splitting(recipe, max(int(value(recipe.batch, seen)), 1), processes)


def _splitting(recipe: Recipe, batch: int, processes: int) -> int:
    """Images of a round or a turn: of a schedule as many as split, for nobody has chosen each of its numbers."""
    pieces = processes * recipe.accumulate
    return max(batch // pieces, 1) * pieces if callable(recipe.batch) else batch


def _stage(recipe: Recipe, seen: int) -> tuple[int, int] | None:
    """Between which levels growing players are after `seen` images."""
    level = None if recipe.growth is None else value(recipe.growth, seen)
    return None if level is None else (math.floor(level), math.ceil(level))


def _play(context: _Context, turn: Turn) -> None:
    """One turn: the sum of its terms, one backward pass (or one for each part of its batch), one masked step."""
    state, devices = context.state, context.devices
    devices.seed(seed_of(state.seed, "dropout", state.round, context.ordinal, devices.rank))
    for name, player in state.players.items():
        player.set_on_turn(name in turn.players or name in turn.awake)
    parts = context.bound.recipe.accumulate
    turn = replace(turn, awake=()) if parts > 1 and turn.awake else turn  # graphs of all parts would be kept at once
    cursor, losses, told = state.drawn, [], []
    for part in range(parts):
        batch = _Batch(context, turn, cursor, part, parts)
        with devices.precision():
            found = state.game.terms(turn, batch, context)
            loss = torch.stack([weight * found[name] for name, weight in _weights(turn, state.seen)]).sum()
        (loss / parts if parts > 1 else loss).backward()
        losses.append(loss.detach())
        told.append({name: value.detach() for name, value in found.items()})
        state.drawn = max(state.drawn, batch.cursor)
    total = _mean(losses)
    values = {name: _mean([one[name] for one in told]) for name in told[0]}
    movers = [state.players[name] for name in turn.players]
    devices.average_(gradient for player in movers for gradient in player.gradients())
    norms = {player.name: _norm(player.gradients(), total) for player in movers}
    bad = devices.anywhere((~torch.isfinite(torch.stack([total, *norms.values()]))).any())
    if devices.device.type == "cpu" and bad:
        raise DivergedError(_evidence(state, turn, values, norms))
    state.bad.logical_or_(bad)
    for player in movers:
        player.step(state.seen, state.bad.float())
        for constraint in context.bound.recipe.constraints:
            if constraint.player == player.name:
                constraint.apply(player.network)
    who = "+".join(turn.players)
    state.notes.add({f"{who}/{name}": value for name, value in values.items()})
    state.notes.add({f"{name}/gradient": norm for name, norm in norms.items()})


def _weights(turn: Turn, seen: int) -> list[tuple[str, float]]:
    """The turn's terms with their weights now; a lazy penalty makes up for the rounds it rests."""
    return [
        (term.name, float(value(term.weight, seen)) * (term.every if isinstance(term, Penalty) else 1))
        for term in turn.terms
    ]


def _mean(numbers: list[Tensor]) -> Tensor:
    return numbers[0] if len(numbers) == 1 else torch.stack(numbers).mean()


def _norm(gradients: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(torch._foreach_norm(gradients)).norm() if gradients else torch.zeros_like(like)


def _evidence(state: State, turn: Turn, values: Mapping[str, Tensor], norms: Mapping[str, Tensor]) -> str:
    """What was not finite, in a sentence."""
    named = {f"the {name} term": tensor.item() for name, tensor in values.items()}
    named |= {f"the gradient norm of the {name}": tensor.item() for name, tensor in norms.items()}
    found = (f"{what} is {number}" for what, number in named.items() if not math.isfinite(number))
    worst = next(found, "the sum, or what another process has, is not finite")
    return (
        f"training diverged: {worst} in the {' and '.join(turn.players)}'s turn of round {state.round} "
        f"({state.seen} images seen); no step was taken. Lower the learning rate or raise the penalty's weight"
    )


@final
class _Context:
    """The context of one turn: what the engine lends the game."""

    def __init__(
        self, bound: BoundRecipe, loader: Loader, devices: Devices, state: State, batch: int, ordinal: int, who: str
    ) -> None:
        self.bound, self.loader, self.devices, self.state = bound, loader, devices, state
        self.batch, self.ordinal, self.who = batch, ordinal, who

    @property
    def seen(self) -> int:
        return self.state.seen

    @property
    def level(self) -> float | None:
        growth = self.bound.recipe.growth
        return None if growth is None else value(growth, self.state.seen)

    @property
    def processes(self) -> int:
        return self.devices.world

    @property
    def process(self) -> int:
        return self.devices.rank

    @property
    def players(self) -> Mapping[str, nn.Module]:
        return {name: player.network for name, player in self.state.players.items()}

    def mean(self, x: Tensor) -> Tensor:
        return self.devices.mean(x)

    def penalise(self, penalty: Penalty, inputs: PenaltyInputs) -> Tensor:
        name = f"{self.who}/{penalty.name}"
        found, state = penalty.of(inputs, self.state.penalties.get(name, {}))
        self.state.penalties[name] = dict(state)
        return found

    def note(self, **values: Tensor) -> None:
        self.state.notes.add(values)

    def optimizer_state(self, player: str) -> OptimizerState:
        return self.state.players[player].optimizer_state(self.state.seen)


def _moved(numbers: Tensor, device: torch.device) -> Tensor:
    """What is on its way to a GPU keeps nobody waiting: torch waits for the GPU where memory is not pinned."""
    return numbers.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else numbers


@final
class _Batch:
    """The batch of one turn, drawn when asked for."""

    def __init__(self, context: _Context, turn: Turn, cursor: int, part: int, parts: int) -> None:
        self._context, self.parts = context, parts
        self._place = part * context.devices.world + context.devices.rank
        images = max(round(context.batch * turn.batch_fraction), 1)
        self._global = _splitting(context.bound.recipe, images, context.devices.world)
        self._part = context.devices.share(self._global, part, parts)
        self._begin = self.cursor = cursor
        self._real: tuple[Tensor, Tensor | None] | None = None
        self._noises = self._namings = 0

    @property
    def size(self) -> int:
        return int(self._part.stop - self._part.start)

    @property
    def real(self) -> Tensor:
        return self._reals()[0]

    @property
    def labels(self) -> Tensor | None:
        return self._reals()[1]

    def z(self, n: int, dim: int, kind: str = "normal") -> Tensor:
        context, pieces = self._context, self._context.devices.world * self.parts
        source = generator(context.state.seed, "z", context.state.round, context.ordinal, self._noises)
        self._noises += 1
        whole = draw((n * pieces, dim), kind, source)
        return _moved(whole[self._place * n : (self._place + 1) * n], context.devices.device)

    def fake_labels(self, n: int) -> Tensor:
        context, pieces = self._context, self._context.devices.world * self.parts
        source = generator(context.state.seed, "labels", context.state.round, context.ordinal, self._namings)
        self._namings += 1
        whole = context.loader.labels(source, n * pieces)
        return _moved(whole[self._place * n : (self._place + 1) * n], context.devices.device)

    def _reals(self) -> tuple[Tensor, Tensor | None]:
        """The next reals of the stream; asking twice in a turn gives the same."""
        if self._real is None:
            device = self._context.devices.device
            images, labels = self._context.loader.draw(self._begin, self._global, self._part)
            self.cursor = self._begin + self._global
            self._real = scaled(_moved(images, device)), None if labels is None else _moved(labels, device)
        return self._real
