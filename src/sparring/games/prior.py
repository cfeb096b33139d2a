"""The game of one player: a prior learns which codes follow which, from images that a finished codec has written.

The second stage of VQGAN (Esser et al. 2021, section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparring.errors import UsageError
from sparring.fitting import Shape
from sparring.game import Batch, Context
from sparring.games.terms import terms_named
from sparring.objectives.penalties import Leaf
from sparring.recipe import Turn

__all__ = ["PriorGame"]


@final
class PriorGame:
    """A player `generator` (see `networks.gpt.CodePrior`), made by a factory of (shape, classes); None is refused.

    Its only term, `cross_entropy`, is -log p(code | codes before it), in nats a code. A `conditional` one is told the
    label. The codec inside it is given (`Recipe.given`) and stands still.
    """

    differentiable: frozenset[Leaf] = frozenset()

    def __init__(self, *, generator: Callable[..., nn.Module] | None, conditional: bool = False) -> None:
        self.generator, self.conditional = generator, conditional

    def build(self, shape: Shape, classes: int) -> dict[str, nn.Module]:
        """The prior of images of a shape."""
        if self.generator is None:
            raise UsageError("a prior needs a codec; train vqgan first, and name its run: --codec RUN")
        if self.conditional and classes < 1:
            raise UsageError(
                "labels were asked for, and the data have none; leave them out, or give one folder a class"
            )
        told = classes if self.conditional else 0
        return {"generator": self.generator(shape, told)}

    @property
    def state(self) -> dict[str, Tensor]:
        """Nothing is kept between rounds."""
        return {}

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """The only term."""
        if turn.penalties:
            raise UsageError("this game takes no penalties; leave them out")
        terms_named(turn, {"cross_entropy"})
        prior: Any = ctx.players["generator"]
        labels = batch.labels if self.conditional else None
        codes = prior.tokens(batch.real)
        logits = prior.logits(codes, labels)
        flat = cross_entropy(logits.flatten(0, 1).float(), codes.flatten())
        ctx.note(guessed=(logits.detach().argmax(2) == codes.flatten(1)).float().mean())
        return {"cross_entropy": flat}
