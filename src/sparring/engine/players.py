"""A player in training: its network, its optimiser and the moving average of its weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

from sparring.engine.checkpoint import under
from sparring.engine.sampler import settled
from sparring.errors import FileUnusableError
from sparring.game import OptimizerState
from sparring.recipe import Ema, Optim
from sparring.schedule import value

__all__ = ["Player"]

_Pairs: TypeAlias = list[tuple[Tensor, Tensor]]


@final
class Player:
    """One player. `average` is the network with averaged weights, or None where the recipe keeps none."""

    def __init__(self, name: str, network: nn.Module, optim: Optim | None, ema: Ema | None) -> None:
        self.name, self.network, self.optim, self.ema = name, network, optim, ema
        self.parameters = {key: p for key, p in network.named_parameters() if p.requires_grad}  # others are frozen
        self.optimizer = _optimizer(optim, list(self.parameters.values())) if optim else None
        self.average = copy.deepcopy(network).requires_grad_(False).eval() if ema else None
        self._averaged, self._copied = _pairs(self.average, network) if self.average is not None else ([], [])
        self._on_turn = True

    def set_on_turn(self, on_turn: bool) -> None:
        """Freeze or unfreeze: nobody computes weight gradients for a player that is not on turn."""
        if on_turn != self._on_turn:
            for parameter in self.parameters.values():
                parameter.requires_grad_(on_turn)
            self._on_turn = on_turn

    def gradients(self) -> list[Tensor]:
        """The gradients of the last backward pass."""
        return [p.grad for p in self.parameters.values() if p.grad is not None]

    def optimizer_state(self, seen: int) -> OptimizerState:
        """The optimiser after `seen` images, to look at and not to change."""
        assert self.optimizer is not None
        assert self.optim is not None
        moments = {name: MappingProxyType(self.optimizer.state.get(p, {})) for name, p in self.parameters.items()}
        return OptimizerState(self.optim, *_settings(self.optim, seen), MappingProxyType(moments))

    def step(self, seen: int, bad: Tensor) -> None:
        """One optimiser step at the scheduled rate, masked where `bad` (a float scalar on the device) is 1."""
        assert self.optimizer is not None
        assert self.optim is not None
        rate, betas = _settings(self.optim, seen)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
            if "betas" in group:
                group["betas"] = betas
        if self.optimizer.defaults.get("fused"):
            self.optimizer.found_inf = bad  # type: ignore[attr-defined]
            self.optimizer.step()
        elif not bad.item():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def begin_anew(self) -> None:
        """Forget the optimiser's moments."""
        if self.optimizer is not None:
            self.optimizer.state.clear()

    def follow(self, images: int, seen: int) -> None:
        """Move the average towards the weights after a round of so many images, at `seen` in all."""
        if self.average is None or self.ema is None:
            return
        halflife = float(value(self.ema.halflife, seen))
        if self.ema.ramp:
            halflife = min(halflife, self.ema.ramp * seen)
        keep = 0.5 ** (images / max(halflife, 1e-8))
        torch._foreach_lerp_([mine for mine, _ in self._averaged], [theirs for _, theirs in self._averaged], 1 - keep)
        for mine, theirs in self._copied:
            mine.copy_(theirs)

    def shown(self, *, standing: int | None = None) -> nn.Module:
        """The network that people see, a copy in evaluation mode: the average, or the weights where there is none.

        `standing` batches measure its statistics, by default as many as the recipe says.
        """
        if self.average is None or self.ema is None:
            return copy.deepcopy(self.network).eval()
        if not self.ema.standing:
            return copy.deepcopy(self.average).eval()
        return settled(self.average, min(self.ema.standing, standing or self.ema.standing))

    def state(self) -> dict[str, Tensor]:
        """Everything to save: weights, buffers, optimiser moments, averages."""
        found = {f"weights.{name}": tensor for name, tensor in self.network.state_dict().items()}
        if self.average is not None:
            found |= {f"average.{name}": tensor for name, tensor in self.average.state_dict().items()}
        if self.optimizer is not None:
            for name, parameter in self.parameters.items():
                for key, moment in self.optimizer.state.get(parameter, {}).items():
                    if isinstance(moment, Tensor):
                        found[f"optimizer.{name}.{key}"] = moment
        return found

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state` gave; raises FileUnusableError if names or shapes do not fit."""
        try:
            self.network.load_state_dict(under("weights.", state))
            if self.average is not None:
                self.average.load_state_dict(under("average.", state))
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise FileUnusableError(f"the checkpoint's {self.name} does not fit this recipe ({reason})") from error
        if self.optimizer is not None:
            for name, parameter in self.parameters.items():
                moments = under(f"optimizer.{name}.", state)
                moments = {key: moment for key, moment in moments.items() if "." not in key}
                if moments:
                    self.optimizer.state[parameter] = {k: _like(parameter, m) for k, m in moments.items()}


def _settings(optim: Optim, seen: int) -> tuple[float, tuple[float, float]]:
    """The rate and the betas after so many images."""
    first, second = (float(value(beta, seen)) for beta in optim.betas)
    return float(value(optim.rate, seen)), (first, second)


def _optimizer(optim: Optim, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser of a recipe; fused where torch has a fused one, whose step can be masked on the device."""
    rate, betas = _settings(optim, 0)
    if optim.kind == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=betas, eps=optim.eps, fused=True)
    if optim.kind == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=optim.momentum, fused=True)
    return torch.optim.RMSprop(parameters, lr=rate, momentum=optim.momentum, eps=optim.eps, foreach=True)


def _like(parameter: Tensor, moment: Tensor) -> Tensor:
    """A moment where its parameter is, and laid out in memory as it is (fused steps walk both together)."""
    if moment.shape == parameter.shape:
        return torch.empty_like(parameter, requires_grad=False).copy_(moment)
    return moment.to(parameter.device, copy=True)


_DIRECTIONS = ("._u", "._v")
"""Singular vectors of spectral norms: a mean of unit vectors is none."""


def _pairs(average: nn.Module, network: nn.Module) -> tuple[_Pairs, _Pairs]:
    """The tensors of an average beside those of its network, which keep their places: to be averaged, to be copied."""
    theirs = {name: tensor.detach() for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    averaged: _Pairs = []
    copied: _Pairs = []
    for name, mine in [*average.named_parameters(), *average.named_buffers()]:
        follows = mine.is_floating_point() and not name.endswith(_DIRECTIONS)
        (averaged if follows else copied).append((mine, theirs[name]))
    return averaged, copied
