"""The game of codes: a codec writes images as codes and reads them back, and a judge wants what it reads to look real.

VQGAN's first stage (Esser et al. 2021, section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from sparring.errors import UsageError
from sparring.fitting import Shape
from sparring.game import Batch, Context, Task
from sparring.games.eyes import Eyes
from sparring.games.terms import terms_named
from sparring.games.verdicts import note_verdicts, opposed, require_unpaired
from sparring.objectives.distances import absolute
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import Leaf
from sparring.recipe import Turn

__all__ = ["AutoencoderGame"]

_TERMS = {
    "codec": {"absolute", "perceptual", "codebook", "commitment", "adversarial"},
    "discriminator": {"adversarial"},
}
_FLOOR, _MOST = 1e-4, 1e4


@final
class AutoencoderGame:
    """Players `codec` (see `networks.vqgan`) and `discriminator`, made by two factories of (shape).

    The codec's terms: `absolute`, `perceptual` (as the network that `eyes` names sees both; their sum is the
    reconstruction loss), `codebook` and `commitment` of its quantiser, and `adversarial`, which is multiplied by
    |gradient of the reconstruction loss| / (|gradient of the adversarial loss| + 1e-4), at the decoder's last layer and
    at most 1e4 (Esser et al. 2021, eq. 7). Their weights inside that ratio are `absolute_weight` and
    `perceptual_weight`, those that the turn gives them outside.

    A code whose usage (see `Quantiser`) falls below `revive` of its fair share is put where the encoder is now.
    """

    differentiable: frozenset[Leaf] = frozenset()

    def __init__(
        self,
        *,
        codec: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        eyes: str | None = None,
        absolute_weight: float = 1.0,
        perceptual_weight: float = 1.0,
        revive: float = 0.0,
    ) -> None:
        require_unpaired(loss)
        if not 0 <= revive < 1:
            raise UsageError(f"codes below {revive} of an even share cannot be revived; give a number from 0 to 1")
        self.codec, self.discriminator, self.loss, self.revive = codec, discriminator, loss, revive
        self.absolute_weight, self.perceptual_weight, self._eyes = absolute_weight, perceptual_weight, Eyes(eyes)

    def build(self, shape: Shape, classes: int) -> dict[str, nn.Module]:
        """Both players for images of a shape."""
        if shape[1:] == (1, 1):
            raise UsageError("this recipe writes images as codes, and points have no size; give images")
        return {"codec": self.codec(shape), "discriminator": self.discriminator(shape)}

    @property
    def state(self) -> dict[str, Tensor]:
        """Nothing: the codebook's statistics belong to the codec."""
        return {}

    def task(self, images: Tensor, labels: Tensor | None) -> Task:
        """An image is asked for itself."""
        return Task(images, images)

    def exhibit(self, players: Mapping[str, nn.Module], images: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """Images, and what is left of them after the codes."""
        return {"image": images, "from codes": players["codec"](images)}

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Every term that the turn names."""
        (player,) = turn.players
        if turn.penalties:
            raise UsageError("this game takes no penalties; leave them out")
        named = terms_named(turn, _TERMS[player])
        return self._write(named, batch, ctx) if player == "codec" else self._judge(batch, ctx)

    def _write(self, named: set[str], batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """The codec's turn."""
        codec: Any = ctx.players["codec"]
        images = batch.real
        maps = codec.encode(images)
        if self.revive:
            drawn = codec.quantiser.drawn(maps, batch.z(codec.codes, 1, "uniform")[:, 0].add(1).div(2))
            # Every process gives vectors of its images to its share of the codes: the book is the same everywhere.
            mine = torch.arange(codec.codes, device=drawn.device) % ctx.processes == ctx.process
            codec.quantiser.revive(ctx.mean((drawn * mine[:, None])[None]) * ctx.processes, self.revive)
        found = codec.quantiser(maps, mean=ctx.mean)
        made = codec.decode(found.maps)
        values = {"absolute": absolute(made, images).mean(), "codebook": found.codebook, "commitment": found.commitment}
        rebuilt = self.absolute_weight * values["absolute"]
        if "perceptual" in named:
            values["perceptual"] = self._eyes.distance(made, images).mean()
            rebuilt = rebuilt + self.perceptual_weight * values["perceptual"]
        if "adversarial" in named:
            logits = ctx.players["discriminator"](made).logits
            fooled = opposed(self.loss, self.loss.generator, logits, logits, ctx.mean).mean()
            weight = _balance(rebuilt, fooled, codec.last_layer, ctx.mean)
            values["adversarial"] = weight * fooled
            ctx.note(adversarial_weight=weight)
        ctx.note(codes_used=codec.quantiser.used)
        return {name: value for name, value in values.items() if name in named}

    def _judge(self, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """D's turn: images against what is left of them."""
        images, judge = batch.real, ctx.players["discriminator"]
        codec: Any = ctx.players["codec"]
        with torch.no_grad():
            made = codec.image_of(codec.codes_of(images))  # not `codec(images)`, which moves the quantiser's averages
        on_real, on_fake = judge(images), judge(made)
        note_verdicts(ctx, self.loss, on_real.per_image.detach(), on_fake.per_image.detach())
        loss = opposed(self.loss, self.loss.discriminator, on_real.logits, on_fake.logits, ctx.mean)
        return {"adversarial": loss.mean()}


def _balance(rebuilt: Tensor, fooled: Tensor, last: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """How many times stronger the reconstruction pulls at the last layer than the judge does, over all processes."""
    mine, theirs = (_pull(loss, last, mean).norm() for loss in (rebuilt, fooled))
    weight: Tensor = (mine / (theirs + _FLOOR)).clamp(max=_MOST)
    return weight


def _pull(loss: Tensor, last: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """The gradient over all processes' images, in this one's layout, which is the order in which a norm is summed."""
    (gradient,) = torch.autograd.grad(loss, last, retain_graph=True)
    return torch.empty_like(gradient).copy_(mean(gradient[None]))
