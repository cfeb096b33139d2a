"""The two-player game: a generator turns z into images, a discriminator tells them from reals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from sparring.errors import UsageError
from sparring.networks.layers import Verdict
from sparring.objectives.losses import AdversarialLoss, share_right
from sparring.objectives.penalties import PenaltyInputs
from sparring.recipe import Batch, Context, Turn

__all__ = ["UnconditionalGame"]


@final
class UnconditionalGame:
    """Players `generator` and `discriminator`, made by two factories of (shape, classes).

    `together` shows D reals and fakes in one batch: the same function for a D without batch statistics, and faster.
    `fakes_per_real` is the number of fakes D sees for every real.
    """

    def __init__(
        self,
        *,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        together: bool = False,
        fakes_per_real: float = 1.0,
    ) -> None:
        if not 0 < fakes_per_real < 1e6:
            raise UsageError(f"D needs fakes, not {fakes_per_real} of them for every real; give a positive number")
        self.generator, self.discriminator = generator, discriminator
        self.loss, self.together, self.fakes_per_real = loss, together, fakes_per_real
        self._kept: tuple[Tensor, Tensor] | None = None  # fakes with their graph and real logits, within a round

    def build(self, shape: tuple[int, int, int], classes: int) -> dict[str, nn.Module]:
        """Both players for images of a shape."""
        return {
            "generator": self.generator(shape, classes),
            "discriminator": self.discriminator(shape, classes),
        }

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """`adversarial` for either player, and the turn's penalties in D's turn.

        Where G is awake in D's turn, G's next turn goes on from those fakes and those reals' logits.
        """
        if turn.players == ("generator",):
            return self._generator_terms(batch, ctx)
        return self._discriminator_terms(turn, batch, ctx)

    @property
    def state(self) -> dict[str, Tensor]:
        """This game remembers nothing."""
        return {}

    def _discriminator_terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Reals against fakes made without a graph; G is not on turn."""
        wanted = {side for penalty in turn.penalties for side in penalty.of.differentiates}
        with torch.set_grad_enabled("generator" in turn.awake):
            made = self._fakes(batch, ctx, max(round(batch.size * self.fakes_per_real), 1))
        fake = made.detach().requires_grad_("fake" in wanted)
        real = batch.real.requires_grad_("real" in wanted)
        if self.together:
            logits = self._judge(ctx, torch.cat([real, fake]))
            real_logits, fake_logits = logits[: len(real)], logits[len(real) :]
        else:
            real_logits, fake_logits = self._judge(ctx, real), self._judge(ctx, fake)
        self._note(ctx, real_logits.detach(), fake_logits.detach())
        self._kept = (made, real_logits.detach()) if "generator" in turn.awake else None
        values = {"adversarial": self._pairs(self.loss.discriminator, real_logits, fake_logits, ctx).mean()}
        inputs = PenaltyInputs(lambda images: self._judge(ctx, images), real, fake, real_logits, fake_logits)
        for penalty in turn.penalties:
            values[penalty.name] = ctx.penalise(penalty, inputs).mean()
        return values

    def _generator_terms(self, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Fakes against fresh reals where the loss pairs them; a real's logit is a constant for G."""
        kept, self._kept = self._kept, None
        fake_logits = self._judge(ctx, kept[0] if kept else self._fakes(batch, ctx, batch.size))
        if self.loss.pairing == "none":
            return {"adversarial": self.loss.generator(torch.zeros_like(fake_logits), fake_logits).mean()}
        with torch.no_grad():
            real_logits = kept[1] if kept else self._judge(ctx, batch.real)
        return {"adversarial": self._pairs(self.loss.generator, real_logits, fake_logits, ctx).mean()}

    def _fakes(self, batch: Batch, ctx: Context, n: int) -> Tensor:
        generator: Any = ctx.players["generator"]
        images: Tensor = generator(batch.z(n, generator.z_dim, generator.z_kind))
        return images

    def _judge(self, ctx: Context, images: Tensor) -> Tensor:
        verdict: Verdict = ctx.players["discriminator"](images)
        return verdict.per_image

    def _pairs(self, function: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor, ctx: Context) -> Tensor:
        """The loss of each pair; of all pairs where there are more of one side, which leaves its mean unchanged."""
        if self.loss.pairing == "average":
            real, fake = real - ctx.mean(fake), fake - ctx.mean(real)
        return function(real, fake) if len(real) == len(fake) else function(real[:, None], fake[None, :])

    def _note(self, ctx: Context, real: Tensor, fake: Tensor) -> None:
        """Logits, how often D is right, and probabilities where the loss is logistic."""
        ctx.note(real_logit=real.mean(), fake_logit=fake.mean(), right=share_right(self.loss, real, fake))
        if self.loss.logistic:
            ctx.note(real_probability=real.sigmoid().mean(), fake_probability=fake.sigmoid().mean())
