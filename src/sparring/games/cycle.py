"""The game of four players: two translators between two kinds of images that do not pair up, and a judge of each kind.

CycleGAN (Zhu et al. 2017): what went there and back is to be what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, final

import torch
from torch import Tensor, nn

from sparring.errors import UsageError
from sparring.fitting import Shape
from sparring.game import Batch, Context, Task
from sparring.games.pool import Pool
from sparring.games.terms import terms_named
from sparring.games.verdicts import note_verdicts, opposed, require_unpaired
from sparring.games.views import WHOLE, Pieces
from sparring.objectives.distances import absolute
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import Leaf
from sparring.recipe import Turn

__all__ = ["CycleGame"]

_TRANSLATORS, _JUDGES = ("a_to_b", "b_to_a"), ("judge_a", "judge_b")
_TERMS = {_TRANSLATORS: {"adversarial", "cycle", "identity"}, _JUDGES: {"adversarial"}}


@final
class CycleGame:
    """Players `a_to_b`, `b_to_a`, `judge_a` and `judge_b`, made by two factories of (shape).

    Reals have two classes, A and B, and a batch has equally many of each. A turn of both translators has the terms
    `adversarial`, `cycle` and `identity`, each the sum of both directions; a turn of both judges compares reals with
    fakes that come out of a pool of the last `pool` ones (Shrivastava et al. 2017), which is saved with the run; of
    several processes each has a pool of its own, and the first one's is saved, so that resuming is not exact. In a
    round whose translators move first, judges see the reals and fakes of that turn, as the authors' do. Turns are about
    the `pieces` of reals that they are shown.
    """

    differentiable: frozenset[Leaf] = frozenset()

    def __init__(
        self,
        *,
        translator: Callable[..., nn.Module],
        judge: Callable[..., nn.Module],
        loss: AdversarialLoss,
        pool: int = 50,
        direction: Literal["AtoB", "BtoA"] = "AtoB",
        pieces: Pieces = WHOLE,
    ) -> None:
        self.translator, self.judge, self.loss, self.direction = translator, judge, loss, direction
        self.pieces = pieces
        require_unpaired(loss)
        if direction not in ("AtoB", "BtoA"):
            raise UsageError(f"direction {direction!r} cannot be; give AtoB or BtoA")
        if not 0 <= pool <= 100_000:
            raise UsageError(f"a pool of {pool} images cannot be; give a number from 0")
        self.pool = pool
        self._pools: dict[str, Pool] = {}
        self._state: dict[str, Tensor] = {}
        self._kept: list[tuple[int, dict[str, Tensor], dict[str, Tensor]]] = []  # `seen`, reals and fakes of a round

    def build(self, shape: Shape, classes: int) -> dict[str, nn.Module]:
        """All four for images of a shape."""
        if classes != 2 or shape[1:] == (1, 1):
            has = f"{classes} classes" if classes else "no classes"
            raise UsageError(
                f"this recipe needs images of two kinds, and the data have {has}; give two folders, A and B"
            )
        shape = self.pieces.shape(shape)
        self._pools = {name: Pool(self.pool, shape) for name in ("a", "b")}
        self._state = {f"pool_{name}.{k}": t for name, pool in self._pools.items() for k, t in pool.begin().items()}
        players = {name: self.translator(shape) for name in _TRANSLATORS}
        return players | {name: self.judge(shape) for name in _JUDGES}

    @property
    def state(self) -> dict[str, Tensor]:
        """The pools."""
        return self._state

    def task(self, images: Tensor, labels: Tensor | None) -> Task:
        """The images of one kind; what is wanted is the other kind."""
        sides = _sides(images, labels)
        first, second = ("a", "b") if self.direction == "AtoB" else ("b", "a")
        return Task(sides[first], sides[second], paired=False)

    def exhibit(self, players: Mapping[str, nn.Module], images: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Images of either kind, and what becomes of them."""
        sides = _sides(images, labels)
        n = min(map(len, sides.values()))
        a, b = sides["a"][:n], sides["b"][:n]
        return {"A": a, "A to B": players["a_to_b"](a), "B": b, "B to A": players["b_to_a"](b)}

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Every term that the turn names."""
        if turn.players not in _TERMS or turn.penalties:
            raise UsageError("in this game both translators or both judges take a turn, without penalties")
        named = terms_named(turn, _TERMS[turn.players])
        return self._translate(named, batch, ctx) if turn.players == _TRANSLATORS else self._judge(batch, ctx)

    def _translate(self, named: set[str], batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """There and back again, from both sides (Zhu et al. 2017, eq. 3)."""
        real = _sides(self.pieces(batch.real, batch.z), batch.labels, equal=True)
        to_b, to_a = ctx.players["a_to_b"], ctx.players["b_to_a"]
        fake = {"a": to_a(real["b"]), "b": to_b(real["a"])}
        self._kept = [kept for kept in self._kept if kept[0] == ctx.seen]  # no other round's: they are not saved
        self._kept.append((ctx.seen, real, {name: images.detach() for name, images in fake.items()}))
        values = {}
        if "adversarial" in named:
            values["adversarial"] = torch.stack([self._fooled(ctx, name, fake[name]) for name in fake]).sum()
        if "cycle" in named:
            back = absolute(to_a(fake["b"]), real["a"]), absolute(to_b(fake["a"]), real["b"])
            values["cycle"] = back[0].mean() + back[1].mean()
        if "identity" in named:
            same = absolute(to_a(real["a"]), real["a"]), absolute(to_b(real["b"]), real["b"])
            values["identity"] = same[0].mean() + same[1].mean()
        return values

    def _fooled(self, ctx: Context, name: str, fake: Tensor) -> Tensor:
        """What a judge says of fakes, as their maker's loss."""
        logits = ctx.players[f"judge_{name}"](fake).logits
        return opposed(self.loss, self.loss.generator, logits, logits, ctx.mean).mean()

    def _judge(self, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Each judge on its own kind."""
        mine = bool(self._kept) and self._kept[0][0] == ctx.seen
        real, fake = self._kept.pop(0)[1:] if mine else self._made(batch, ctx)
        values, verdicts = [], []
        for name, pool in self._pools.items():
            held = {key: self._state[f"pool_{name}.{key}"] for key in ("images", "count")}
            shown = pool.exchange(held, fake[name], batch.z(len(fake[name]), 2, "uniform"))
            judge = ctx.players[f"judge_{name}"]
            on_real, on_fake = judge(real[name]), judge(shown)
            values.append(opposed(self.loss, self.loss.discriminator, on_real.logits, on_fake.logits, ctx.mean).mean())
            verdicts.append((on_real.per_image.detach(), on_fake.per_image.detach()))
        note_verdicts(ctx, self.loss, *(torch.cat(side) for side in zip(*verdicts, strict=True)))
        return {"adversarial": torch.stack(values).sum()}

    def _made(self, batch: Batch, ctx: Context) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        real = _sides(self.pieces(batch.real, batch.z), batch.labels, equal=True)
        with torch.no_grad():
            return real, {"a": ctx.players["b_to_a"](real["b"]), "b": ctx.players["a_to_b"](real["a"])}


def _sides(images: Tensor, labels: Tensor | None, *, equal: bool = False) -> dict[str, Tensor]:
    """The images of either kind; as many of each, where a batch is to be split."""
    if labels is None:
        raise UsageError("images of two kinds need labels that tell them apart; give two folders, A and B")
    if not equal:
        sides = {"a": images[labels == 0], "b": images[labels == 1]}
        if not all(map(len, sides.values())):
            raise UsageError(f"these {len(images)} images are all of one kind; give some of both, A and B")
        return sides
    order = labels.argsort(stable=True)  # a balanced batch has equally many of each, and nobody need count them
    half = len(images) // 2
    if 2 * half != len(images):
        raise UsageError(f"a batch of {len(images)} does not split into both kinds; use an even one")
    return {"a": images[order[:half]], "b": images[order[half:]]}
