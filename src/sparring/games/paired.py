"""The game of answers: a generator makes of a given image the one that was wanted, as a discriminator sees it.

pix2pix (Isola et al. 2017) and super-resolution (Ledig et al. 2017; Wang et al. 2018) are this game with another
question and other terms.
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
from sparring.games.questions import Question
from sparring.games.terms import terms_named
from sparring.games.verdicts import note_verdicts, opposed
from sparring.games.views import WHOLE, Pieces
from sparring.networks.layers import Verdict
from sparring.objectives.distances import absolute
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import Leaf, PenaltyInputs
from sparring.recipe import Turn

__all__ = ["PairedGame"]

_TERMS = {"discriminator": {"adversarial"}, "generator": {"adversarial", "absolute", "perceptual"}}


@final
class PairedGame:
    """Players `generator`, a translator, and `discriminator`, made by two factories of (shape).

    `question` makes the given image and the wanted one of each real. With `shown_given` D sees the given image beside
    the answer, as more channels. Losses are taken of every logit, patch by patch, and averaged afterwards. G's terms:
    `adversarial`, `absolute` (mean |answer - wanted|) and `perceptual` (as the network that `eyes` names sees them).

    Every turn has pairs of its own; questions are about the `pieces` of reals that it is shown.
    """

    differentiable: frozenset[Leaf] = frozenset({"real", "fake"})

    def __init__(
        self,
        *,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        question: Question,
        shown_given: bool = True,
        eyes: str | None = None,
        pieces: Pieces = WHOLE,
    ) -> None:
        self.generator, self.discriminator, self.loss = generator, discriminator, loss
        self.question, self.shown_given, self._eyes = question, shown_given, Eyes(eyes)
        self.pieces = pieces

    def build(self, shape: Shape, classes: int) -> dict[str, nn.Module]:
        """Both players for reals of a shape."""
        self.question.shapes(shape)  # held-out reals are asked as a whole
        given, wanted = self.question.shapes(self.pieces.shape(shape))
        judged = (given[0] + wanted[0], *wanted[1:]) if self.shown_given else wanted
        return {"generator": self.generator(given), "discriminator": self.discriminator(judged)}

    @property
    def state(self) -> dict[str, Tensor]:
        """Nothing is kept between rounds."""
        return {}

    def task(self, images: Tensor, labels: Tensor | None) -> Task:
        """The question, and its answers."""
        return Task(*self.question(images))

    def exhibit(self, players: Mapping[str, nn.Module], images: Tensor, labels: Tensor | None) -> dict[str, Tensor]:
        """What is given, what is made of it, what is wanted."""
        given, wanted = self.question(images)
        return {"given": given, "made": players["generator"](given), "wanted": wanted}

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Every term that the turn names, and its penalties."""
        (player,) = turn.players
        named = terms_named(turn, _TERMS[player])
        for penalty in turn.penalties:
            if penalty.of.moves and self.shown_given:
                raise UsageError(f"{penalty.name} moves answers away from the questions beside them; leave it out")
        given, wanted = self.question(self.pieces(batch.real, batch.z))
        if player == "discriminator":
            return self._judge(turn, batch, ctx, given, wanted)
        made = ctx.players["generator"](given)
        values = {}
        if "absolute" in named:
            values["absolute"] = absolute(made, wanted).mean()
        if "perceptual" in named:
            values["perceptual"] = self._eyes.distance(made, wanted).mean()
        if "adversarial" in named:
            fake = real = self._verdict(ctx, given, made).logits
            if self.loss.pairing != "none":
                with torch.no_grad():
                    real = self._verdict(ctx, given, wanted).logits
            values["adversarial"] = opposed(self.loss, self.loss.generator, real, fake, ctx.mean).mean()
        return values | self._penalties(turn, batch, ctx, (given, wanted[:0], made))

    def _judge(self, turn: Turn, batch: Batch, ctx: Context, given: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """D's turn: what was wanted against what is made."""
        differentiated = {side for penalty in turn.penalties for side in penalty.of.differentiates}
        with torch.no_grad():
            made = ctx.players["generator"](given)
        real = wanted.detach().requires_grad_("real" in differentiated)
        fake = made.detach().requires_grad_("fake" in differentiated)
        on_real, on_fake = self._verdict(ctx, given, real), self._verdict(ctx, given, fake)
        note_verdicts(ctx, self.loss, on_real.per_image.detach(), on_fake.per_image.detach())
        loss = opposed(self.loss, self.loss.discriminator, on_real.logits, on_fake.logits, ctx.mean)
        values = {"adversarial": loss.mean()}
        return values | self._penalties(turn, batch, ctx, (given, real, fake), on_real, on_fake)

    def _verdict(self, ctx: Context, given: Tensor, answer: Tensor) -> Verdict:
        shown = torch.cat([given, answer], 1) if self.shown_given else answer.view_as(answer)
        verdict: Verdict = ctx.players["discriminator"](shown)
        return verdict

    def _penalties(
        self,
        turn: Turn,
        batch: Batch,
        ctx: Context,
        images: tuple[Tensor, Tensor, Tensor],
        on_real: Verdict | None = None,
        on_fake: Verdict | None = None,
    ) -> dict[str, Tensor]:
        """The turn's penalties of what was given, real and fake, and of what D said of the last two."""
        if not turn.penalties:
            return {}
        given, real, fake = images
        (player,) = turn.players

        def judge(answer: Tensor, *_: Any) -> Tensor:
            return self._verdict(ctx, given, answer).per_image

        none = fake.new_empty(0)
        real_logits, fake_logits = (none if verdict is None else verdict.per_image for verdict in (on_real, on_fake))
        inputs = PenaltyInputs(
            judge, real, fake, real_logits, fake_logits, network=ctx.players[player], draw=batch.z, mean=ctx.mean
        )
        return {penalty.name: ctx.penalise(penalty, inputs).mean() for penalty in turn.penalties}
