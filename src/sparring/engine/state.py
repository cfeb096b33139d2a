"""All that a run must remember, and nothing else: saved whole, restored bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor

from sparring.chance import seed_of
from sparring.engine.checkpoint import under
from sparring.engine.players import Player
from sparring.errors import FileUnusableError
from sparring.networks.growing import grow
from sparring.recipe import BoundRecipe
from sparring.schedule import value

__all__ = ["Notes", "State"]


@final
class State:
    """Players, game and penalty state, the clock `seen`, the round, the data cursor, and the interval's notes."""

    def __init__(self, bound: BoundRecipe, *, seed: int, device: torch.device) -> None:
        facts, recipe = bound.facts, bound.recipe
        torch.manual_seed(seed_of(seed, "weights"))
        self.game = recipe.game()
        networks = self.game.build(facts.shape, facts.classes)
        if recipe.growth is not None:
            for network in networks.values():
                grow(network, value(recipe.growth, 0))
        self.players = {
            name: Player(name, network.to(device), recipe.optims.get(name), recipe.emas.get(name))
            for name, network in networks.items()
        }
        for key, tensor in self.game.state.items():
            self.game.state[key] = tensor.to(device)
        self.penalties: dict[str, dict[str, Tensor]] = {}
        self.notes = Notes()
        self.bad = torch.zeros((), dtype=torch.bool, device=device)
        self.seed, self.seen, self.round, self.drawn = seed, 0, 0, 0

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state, by a name of its own."""
        found: dict[str, Tensor] = {}
        for name, player in self.players.items():
            found |= {f"players.{name}.{key}": tensor for key, tensor in player.state().items()}
        found |= {f"game.{key}": tensor for key, tensor in self.game.state.items()}
        for name, state in self.penalties.items():
            found |= {f"penalties.{name}:{key}": tensor for key, tensor in state.items()}
        found |= {f"notes.{key}": tensor for key, tensor in self.notes.tensors().items()}
        return found

    def scalars(self) -> dict[str, int]:
        """The counters."""
        return {"seed": self.seed, "seen": self.seen, "round": self.round, "drawn": self.drawn}

    def load(self, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Restore what `tensors` and `scalars` gave; raises FileUnusableError where they do not fit."""
        groups: dict[str, dict[str, Tensor]] = {"players": {}, "game": {}, "penalties": {}, "notes": {}}
        for name, tensor in tensors.items():
            group, _, rest = name.partition(".")
            if group not in groups:
                raise FileUnusableError(
                    f"the checkpoint holds {name!r}, which this version does not know; update sparring"
                )
            groups[group][rest] = tensor
        mine, theirs = ({key: t.shape for key, t in found.items()} for found in (self.game.state, groups["game"]))
        if other := sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)):
            raise FileUnusableError(
                f"the checkpoint's game does not fit this recipe ({other[0]!r} is missing, unknown or of another shape)"
            )
        for name, player in self.players.items():
            player.load(under(f"{name}.", groups["players"]))
        for key, tensor in groups["game"].items():
            self.game.state[key].copy_(tensor)
        self.penalties = {}
        for name, tensor in groups["penalties"].items():
            penalty, _, key = name.rpartition(":")
            self.penalties.setdefault(penalty, {})[key] = tensor.to(self.bad.device)
        self.notes = Notes.of(groups["notes"], self.bad.device)
        self.seed, self.seen = int(scalars["seed"]), int(scalars["seen"])
        self.round, self.drawn = int(scalars["round"]), int(scalars["drawn"])

    def not_finite(self) -> str | None:
        """What is not finite, by its name, or None: such a state is never saved.

        Where steps were left out, the state lags behind its clock, however finite its numbers are.
        """
        if self.bad:
            return "a loss or a gradient before it"
        floats = {name: t for name, t in self.tensors().items() if t.is_floating_point() and t.numel()}
        finite = torch.stack([torch.isfinite(t).all() for t in floats.values()]).tolist()
        return next((name for name, good in zip(floats, finite, strict=True) if not good), None)


@final
class Notes:
    """Means over an interval, kept on the device and read once: no round trip in a round."""

    _FOLD = 512

    def __init__(self) -> None:
        self._recent: dict[str, list[Tensor]] = {}
        self._sums: dict[str, Tensor] = {}

    def add(self, values: Mapping[str, Tensor]) -> None:
        """One more number for each name."""
        for name, number in values.items():
            recent = self._recent.setdefault(name, [])
            recent.append(number.detach())
            if len(recent) >= self._FOLD:
                self._fold(name)

    def means(self) -> dict[str, float]:
        """The mean of each name over the interval."""
        for name in self._recent:
            self._fold(name)
        return {name: float(total / count) for name, (total, count) in self._sums.items()}

    def clear(self) -> None:
        """Begin the next interval."""
        self._recent, self._sums = {}, {}

    def tensors(self) -> dict[str, Tensor]:
        """The open interval, to be saved: `sums.` (sum and count) and `recent.` (numbers not yet summed)."""
        found = {f"sums.{name}": pair for name, pair in self._sums.items()}
        found |= {f"recent.{name}": torch.stack(recent) for name, recent in self._recent.items() if recent}
        return found

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], device: torch.device) -> Notes:
        """The interval that `tensors` gave."""
        notes = cls()
        for name, tensor in tensors.items():
            kind, _, key = name.partition(".")
            if kind == "sums":
                notes._sums[key] = tensor.to(device)
            else:
                notes._recent[key] = list(tensor.to(device).unbind())
        return notes

    def _fold(self, name: str) -> None:
        recent = self._recent[name]
        if not recent:
            return
        total = torch.stack(recent).double().sum()
        pair = torch.stack([total, torch.full_like(total, len(recent))])
        self._sums[name] = self._sums[name] + pair if name in self._sums else pair
        self._recent[name] = []
