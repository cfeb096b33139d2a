"""The two-player game: a generator turns z, and perhaps labels, into images; a discriminator tells them from reals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sparring.augment.augmentation import Augmentation
from sparring.errors import UsageError
from sparring.fitting import Shape
from sparring.game import Batch, Context
from sparring.games.lookahead import Ahead, Judge, look_ahead
from sparring.games.terms import terms_named
from sparring.games.verdicts import note_verdicts, opposed
from sparring.networks.growing import grow, seen_at
from sparring.networks.layers import StyleBased, Verdict, pyramid
from sparring.networks.modifiers import MinibatchDeviation, MinibatchDiscrimination
from sparring.objectives.losses import AdversarialLoss
from sparring.objectives.penalties import Leaf, PenaltyInputs
from sparring.recipe import Turn

__all__ = ["TwoPlayerGame"]


@final
class TwoPlayerGame:
    """Players `generator` and `discriminator`, made by two factories of (shape, classes).

    `modifiers` change D after it was built, each a function of (network, shape, classes): spectral norm, minibatch
    discrimination, labels. `together` shows D reals and fakes in one batch, which is faster, unless its verdicts depend
    on the others of a batch. `fakes_per_real` is the number of fakes D sees for every real.

    A `conditional` game gives both players labels: fakes have labels as frequent as the reals', or, where a loss or a
    penalty sets them beside reals, those reals' own. The auxiliary classifier of Odena et al. 2017 has two terms:
    `classification` is what D says of the classes of reals, in G's turn of fakes; `fake_classification`, in D's turn
    alone, is the paper's second one, of fakes.

    With `packing` m > 1, D judges m images at a time, stacked along the channels (Lin et al. 2018): a batch of n
    images is n / m packs. `augment` changes all that D is shown. With `unroll` k > 0, G plays against D as it would be
    after k more steps down its adversarial loss on the same batch (Metz et al. 2017).
    """

    differentiable: frozenset[Leaf] = frozenset({"real", "fake", "latents"})

    def __init__(
        self,
        *,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        modifiers: tuple[Callable[..., nn.Module], ...] = (),
        conditional: bool = False,
        together: bool = False,
        fakes_per_real: float = 1.0,
        packing: int = 1,
        augment: Augmentation | None = None,
        unroll: int = 0,
    ) -> None:
        if not 0 < fakes_per_real < 1e6:
            raise UsageError(f"D needs fakes, not {fakes_per_real} of them for every real; give a positive number")
        if not 1 <= packing <= 64:
            raise UsageError(f"packs of {packing} images cannot be; give a number from 1 to 64")
        if not 0 <= unroll <= 100:
            raise UsageError(f"looking {unroll} steps ahead cannot be; give a number from 0 to 100")
        if augment is not None and not augment.suits(loss.boundary):
            raise UsageError("the logits of this loss have no origin, so no strength can follow them; give a schedule")
        if conditional and packing > 1:
            raise UsageError("the images of a pack have one label each, but D takes one; leave packing or labels out")
        if conditional and loss.pairing != "none" and fakes_per_real != 1:
            raise UsageError("fakes are compared with reals of their own label, one each; leave fakes_per_real at 1")
        self.generator, self.discriminator, self.modifiers = generator, discriminator, modifiers
        self.loss, self.conditional, self.together, self.fakes_per_real = loss, conditional, together, fakes_per_real
        self.packing, self.augment, self.unroll = packing, augment, unroll
        self._shape: Shape = (0, 0, 0)
        self._at_once = together
        self._state: dict[str, Tensor] = {} if augment is None else augment.begin()
        self._kept: tuple[int, _Shown, Tensor] | None = None  # `seen`, fakes with their graph, real logits

    def build(self, shape: Shape, classes: int) -> dict[str, nn.Module]:
        """Both players for images of a shape."""
        if self.augment is not None:
            self.augment.check(shape)
        if self.conditional and classes < 1:
            raise UsageError(
                "this recipe needs classes, and the data have none; give one folder a class, or choose a recipe without"
            )
        self._shape = shape
        told = classes if self.conditional else 0
        packed = (shape[0] * self.packing, *shape[1:])
        generator: Any = self.generator(shape, told)
        discriminator = self.discriminator(packed, told)
        if generator.z_dim < 1:
            raise UsageError(f"z of {generator.z_dim} numbers cannot be; give 1 or more (z_dim)")
        if self.conditional and not getattr(generator, "classes", 0):
            raise UsageError(f"{type(generator).__module__} has a generator that takes no labels; add labels=concat")
        heard = getattr(discriminator, "takes_labels", False)
        for modify in self.modifiers:
            discriminator = modify(discriminator, packed, told)
            heard = heard or getattr(discriminator, "takes_labels", False)
        if self.conditional and not heard:
            module = type(discriminator).__module__
            raise UsageError(f"{module} makes a D that takes no labels; add labels=concat, or projection")
        self._at_once = self.together and not _looks_around(discriminator)
        return {"generator": generator, "discriminator": discriminator}

    @property
    def state(self) -> dict[str, Tensor]:
        """The controller of the augmentation's strength, where there is one."""
        return self._state

    def terms(self, turn: Turn, batch: Batch, ctx: Context) -> dict[str, Tensor]:
        """Every term that the turn names, and its penalties.

        Where G is awake in D's turn, G's next turn goes on from those fakes and those reals' logits. In a turn of both
        players each moves against the other as it was.
        """
        if ctx.level is not None:
            for network in ctx.players.values():
                grow(network, ctx.level)
        both = set(turn.players) == {"generator", "discriminator"}
        play = _Play(self, turn, terms_named(turn, _TERMS["both" if both else turn.players[0]]), batch, ctx)
        if both:
            return play.both()
        return play.generator() if turn.players == ("generator",) else play.discriminator()


_TERMS = {
    "discriminator": {"adversarial", "classification", "fake_classification"},
    "generator": {"adversarial", "classification", "feature_matching"},
    "both": {"adversarial"},
}


@final
@dataclass(frozen=True)
class _Shown:
    """Images, or packs of them, and their labels where the game has any."""

    images: Tensor
    labels: Tensor | None

    def __len__(self) -> int:
        return len(self.images)

    def leaf(self, differentiated: bool) -> _Shown:
        """The same without what it was made from; a leaf of the graph where somebody differentiates it."""
        return _Shown(self.images.detach().requires_grad_(differentiated), self.labels)

    def and_also(self, other: _Shown) -> _Shown:
        """Both, one after the other."""
        labels = None if self.labels is None or other.labels is None else torch.cat([self.labels, other.labels])
        return _Shown(torch.cat([self.images, other.images]), labels)


@final
class _Play:
    """One turn of the game."""

    def __init__(self, game: TwoPlayerGame, turn: Turn, named: set[str], batch: Batch, ctx: Context) -> None:
        self.game, self.turn, self.named, self.batch, self.ctx = game, turn, named, batch, ctx
        self.wanted = {side for penalty in turn.penalties for side in penalty.of.differentiates}

    def discriminator(self) -> dict[str, Tensor]:
        """Reals against fakes made without a graph; G is not on turn."""
        if not self.named and all(penalty.of.differentiates == ("real",) for penalty in self.turn.penalties):
            return self._alone()
        game, awake = self.game, "generator" in self.turn.awake
        _, made = self._fakes(max(round(self.batch.size * game.fakes_per_real), 1), graph=awake)
        fake = self._packed(made).leaf("fake" in self.wanted)
        real = self._reals().leaf("real" in self.wanted)
        if game._at_once:  # each side changed by itself, whose draws are those of the global sample
            shown = self._changed(real).and_also(self._changed(fake))
            verdict = _ask(self.ctx.players["discriminator"], shown.images, shown.labels)
            on_real, on_fake = _halves(verdict, len(real))
        else:
            on_real, on_fake = self._verdict(real), self._verdict(fake)
        real_logits, fake_logits = on_real.per_image, on_fake.per_image
        self._note(real_logits.detach(), fake_logits.detach())
        game._kept = (self.ctx.seen, made, real_logits.detach()) if awake else None
        inputs = self._inputs("discriminator", real, fake, real_logits, fake_logits)
        values = {}
        if "adversarial" in self.named:
            values["adversarial"] = self._pairs(game.loss.discriminator, real_logits, fake_logits).mean()
        for name, verdict, side in (("classification", on_real, real), ("fake_classification", on_fake, fake)):
            if name in self.named:
                values[name] = _classes_told(verdict, side)
        return {**values, **self._penalties(inputs)}

    def _alone(self) -> dict[str, Tensor]:
        """Penalties of reals and nothing else, as StyleGAN2 steps them: nobody asks for fakes."""
        real = self._reals().leaf(True)
        logits, none = self._verdict(real).per_image, real.images[:0].detach()
        return self._penalties(self._inputs("discriminator", real, _Shown(none, None), logits, logits[:0]))

    def generator(self) -> dict[str, Tensor]:
        """Fakes against fresh reals where the loss pairs them; a real's logit is a constant for G."""
        game, values = self.game, {}
        kept, game._kept = game._kept, None
        if kept and ("latents" in self.wanted or kept[0] != self.ctx.seen):  # another round's are not saved
            kept = None
        latents, made = (None, kept[1]) if kept else self._fakes(self.batch.size, graph=True)
        fake = self._packed(made) if self.named else made  # penalties alone ask no D, which looks at packs
        fake_logits = fake.images.new_empty(0)
        if {"adversarial", "classification"} & self.named:
            judge = self._judge_ahead(fake) if game.unroll else self._verdict
            verdict = judge(fake)
            fake_logits = real_logits = verdict.per_image
            if game.loss.pairing != "none":
                with torch.set_grad_enabled(game.unroll > 0):
                    real_logits = kept[2] if kept and not game.unroll else judge(self._reals()).per_image
            if "adversarial" in self.named:
                values["adversarial"] = self._pairs(game.loss.generator, real_logits, fake_logits).mean()
            if "classification" in self.named:
                values["classification"] = _classes_told(verdict, fake)
        if "feature_matching" in self.named:
            values["feature_matching"] = self._feature_matching(fake)
        none = _Shown(fake.images[:0], None)
        inputs = self._inputs("generator", none, made, fake_logits[:0], fake_logits, latents)
        return {**values, **self._penalties(inputs)}

    def both(self) -> dict[str, Tensor]:
        """Simultaneous play on the same z: D's loss without a way into G, and G's through a D that stands still."""
        game, network = self.game, self.ctx.players["discriminator"]
        if game.unroll or game.fakes_per_real != 1:
            raise UsageError("players that move at once cannot look ahead or count fakes; take turns")
        if "latents" in self.wanted:
            raise UsageError("in a turn of both players penalties are D's, and D sees no latents; take turns")
        _, made = self._fakes(self.batch.size, graph=True)
        fake, real = self._packed(made), self._reals().leaf("real" in self.wanted)
        shown = fake.leaf("fake" in self.wanted)
        still = Ahead(network, {k: p.detach() for k, p in network.named_parameters()}, _copies(network))
        real_logits, shown_logits = self._verdict(real).per_image, self._verdict(shown).per_image
        self._note(real_logits.detach(), shown_logits.detach())
        theirs = self._pairs(game.loss.discriminator, real_logits, shown_logits).mean()
        fooled = self._verdict(fake, still).per_image
        mine = self._pairs(game.loss.generator, real_logits.detach(), fooled).mean()
        inputs = self._inputs("discriminator", real, shown, real_logits, shown_logits)
        return {"adversarial": theirs + mine, **self._penalties(inputs)}

    def _feature_matching(self, fake: _Shown) -> Tensor:
        """|E f(x) - E f(G(z))|^2 on D's last inner layer (Salimans et al. 2016, section 3.1)."""
        with torch.no_grad():
            real = self.ctx.mean(self._features(self._reals()))
        return (real - self.ctx.mean(self._features(fake))).square().sum()

    def _features(self, shown: _Shown) -> Tensor:
        discriminator: Any = self.ctx.players["discriminator"]
        features: Tensor = discriminator.features(self._augmented(shown.images), shown.labels)[-1].flatten(1)
        return features.to(torch.promote_types(features.dtype, torch.float32))  # small differences of means are wanted

    def _judge_ahead(self, fake: _Shown) -> Callable[[_Shown], Verdict]:
        """D after `unroll` more steps against these fakes; the way through those steps leads back to G."""
        network = self.ctx.players["discriminator"]
        real, shown = self._changed(self._reals()), self._changed(fake)

        def loss(judge: Judge) -> Tensor:
            on_real, on_fake = (_ask(judge, side.images, side.labels).per_image for side in (real, shown))
            return self._pairs(self.game.loss.discriminator, on_real, on_fake).mean()

        state, steps = self.ctx.optimizer_state("discriminator"), self.game.unroll
        ahead = look_ahead(network, state, loss, steps, mean=self.ctx.mean)
        return lambda side: self._verdict(side, ahead)

    def _fakes(self, n: int, *, graph: bool) -> tuple[Tensor, _Shown]:
        """What penalties may differentiate by (styles where G has any, otherwise z), and the images, with labels."""
        generator: Any = self.ctx.players["generator"]
        z = self.batch.z(n, generator.z_dim, generator.z_kind).requires_grad_("latents" in self.wanted)
        labels = self._fake_labels(n) if self.game.conditional else None
        with torch.set_grad_enabled(graph):
            if "latents" in self.wanted and isinstance(generator, StyleBased):
                styles = generator.styles(z, labels)
                return styles, _Shown(generator.synthesis(styles), labels)
            return z, _Shown(_ask(generator, z.view_as(z), labels), labels)

    def _fake_labels(self, n: int) -> Tensor | None:
        """Labels of n fakes: as frequent as the reals', or, of those that are set beside a real, that one's own."""
        # Penalties of D may mix a fake with a real (Gulrajani et al. 2017), which must then be of one class.
        mixed = "discriminator" in self.turn.players and bool(self.turn.penalties)
        theirs = self.batch.labels if mixed or self.game.loss.pairing != "none" else None
        if theirs is None or n > len(theirs):
            drawn = self.batch.fake_labels(n)
            return drawn if theirs is None else torch.cat([theirs, drawn[len(theirs) :]])
        return theirs[:n]

    def _reals(self) -> _Shown:
        real, level = self.batch.real, self.ctx.level
        if level is not None:
            real = seen_at(real, level, pyramid(self.game._shape).doublings)
        return self._packed(_Shown(real, self.batch.labels if self.game.conditional else None))

    def _packed(self, shown: _Shown) -> _Shown:
        """`[n, c, h, w]` as packs `[n / m, m c, h, w]`."""
        m, images = self.game.packing, shown.images
        if m == 1:
            return shown
        if len(images) % m:
            low, high = len(images) // m * m or m, -(-len(images) // m) * m
            use = f"{low} or {high}" if low != high else str(low)
            raise UsageError(f"a batch of {len(images)} does not split into packs of {m}; use {use}")
        return _Shown(images.reshape(len(images) // m, m * images.shape[1], *images.shape[2:]), None)

    def _augmented(self, packs: Tensor) -> Tensor:
        """What D is shown, each image of a pack changed by itself."""
        augment, state = self.game.augment, self.game._state
        if augment is None:
            return packs.view_as(packs)  # not the leaf itself, which profilers cannot hook under autograd.grad
        images = packs.reshape(-1, self.game._shape[0], *packs.shape[2:])
        return augment(images, state, self.ctx.seen, self.batch.z).reshape(packs.shape)

    def _changed(self, shown: _Shown) -> _Shown:
        """A side as D is shown it."""
        return _Shown(self._augmented(shown.images), shown.labels)

    def _verdict(self, shown: _Shown, judge: Judge | None = None) -> Verdict:
        """What D, or what stands for it, says of a side, augmented."""
        found: Verdict = _ask(judge or self.ctx.players["discriminator"], self._augmented(shown.images), shown.labels)
        return found

    def _judge(self, packs: Tensor, labels: Tensor | None = None) -> Tensor:
        return self._verdict(_Shown(packs, labels)).per_image

    def _pairs(self, function: Callable[[Tensor, Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
        return opposed(self.game.loss, function, real, fake, self.ctx.mean)

    def _inputs(
        self, player: str, real: _Shown, fake: _Shown, real_logits: Tensor, fake_logits: Tensor, z: Tensor | None = None
    ) -> PenaltyInputs:
        return PenaltyInputs(
            self._judge, real.images, fake.images, real_logits, fake_logits,
            labels=real.labels, fake_labels=fake.labels,
            latents=z, network=self.ctx.players[player], draw=self.batch.z, mean=self.ctx.mean,
        )  # fmt: skip

    def _penalties(self, inputs: PenaltyInputs) -> dict[str, Tensor]:
        return {penalty.name: self.ctx.penalise(penalty, inputs).mean() for penalty in self.turn.penalties}

    def _note(self, real: Tensor, fake: Tensor) -> None:
        """What D thinks, and the augmentation's strength."""
        loss, ctx, augment, state = self.game.loss, self.ctx, self.game.augment, self.game._state
        note_verdicts(ctx, loss, real, fake)
        if augment is not None:
            if loss.boundary is not None:
                sign = ctx.mean((real - loss.boundary).sign())
                augment.listen(state, sign, self.batch.size * ctx.processes, self.turn.times, self.batch.parts)
            ctx.note(augmentation=augment.now(state, ctx.seen, real))


def _ask(network: Callable[..., Any], x: Tensor, labels: Tensor | None) -> Any:
    """A network's answer; labels are handed over only where the game has any."""
    return network(x) if labels is None else network(x, labels)


def _halves(verdict: Verdict, reals: int) -> tuple[Verdict, Verdict]:
    """A verdict on reals and fakes together, taken apart."""
    classes = verdict.class_logits
    sides = slice(0, reals), slice(reals, None)
    first, second = (Verdict(verdict.logits[s], None if classes is None else classes[s]) for s in sides)
    return first, second


def _classes_told(verdict: Verdict, shown: _Shown) -> Tensor:
    """-log P(class | image) by D's class logits (Odena et al. 2017, eq. 3)."""
    if verdict.class_logits is None or shown.labels is None:
        raise UsageError("this discriminator tells no classes apart; give it labels=classes")
    return cross_entropy(verdict.class_logits.float(), shown.labels)


def _looks_around(network: nn.Module) -> bool:
    """Whether a verdict depends on the others of its batch: by batch norm, or by a statistic that is shown to D."""
    kinds = (nn.modules.batchnorm._BatchNorm, MinibatchDeviation, MinibatchDiscrimination)
    return any(isinstance(module, kinds) for module in network.modules())


def _copies(network: nn.Module) -> dict[str, Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers()}
