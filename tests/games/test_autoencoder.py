"""The game of codes: every term by hand, how both losses are balanced, and codes that nobody chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from image_games import Drawn, Lent, Patches, noise, played
from sparring.games.autoencoder import AutoencoderGame
from sparring.games.eyes import Eyes
from sparring.networks.quantiser import Quantised, Quantiser
from sparring.objectives.losses import hinge
from sparring.recipe import Term, Turn


class _Rounding:
    """A quantiser whose codes are the whole numbers."""

    used = torch.tensor(0.25)

    def __call__(self, maps: Tensor, *, mean: Any) -> Quantised:
        rounded = maps.detach().round()
        commitment = (maps - rounded).square().mean()
        return Quantised(maps + (rounded - maps).detach(), rounded.long(), commitment.detach(), commitment)


class Book(nn.Module):
    """A codec of one pixel: codes are rounded numbers."""

    codes = 4

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.inner, self.head = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(0.5))
        self.quantiser = _Rounding()

    def encode(self, x: Tensor) -> Tensor:
        return self.inner * x

    def decode(self, maps: Tensor) -> Tensor:
        return self.head * maps

    @property
    def last_layer(self) -> Tensor:
        return self.head

    def codes_of(self, x: Tensor) -> Tensor:
        return self.encode(x).round()

    def image_of(self, indices: Tensor) -> Tensor:
        return self.decode(indices)


def test_codes_by_hand() -> None:
    """The adversarial loss is scaled by both gradients at the last layer (Esser et al. 2021, eq. 7)."""
    game = AutoencoderGame(codec=Book, discriminator=Patches, loss=hinge, absolute_weight=2.0)
    players = game.build((1, 4, 4), 0)
    images = noise(3, 1, 4, 4)
    terms = (Term("absolute", 2.0), Term("commitment"), Term("adversarial"))
    values, lent = played(game, Turn(("codec",), terms), Drawn(images), players)
    codes = (2 * images).round()
    made = 0.5 * codes
    assert values["absolute"].item() == pytest.approx((made - images).abs().mean().item(), rel=1e-5)
    assert values["commitment"].item() == pytest.approx((2 * images - codes).square().mean().item(), rel=1e-5)
    mine = 2.0 * ((made - images).sign() * codes).mean()  # d absolute / d head
    theirs = -0.7 * codes.mean()
    weight = abs(mine) / (abs(theirs) + 1e-4)
    assert lent.noted["adversarial_weight"].item() == pytest.approx(weight.item(), rel=1e-4)
    assert values["adversarial"].item() == pytest.approx((-0.7 * made.mean() * weight).item(), rel=1e-4)
    assert lent.noted["codes_used"] == 0.25
    values, _ = played(game, Turn(("discriminator",)), Drawn(images), players)
    expected = (torch.relu(1 - 0.7 * images) + torch.relu(1 + 0.7 * made)).mean()
    assert values["adversarial"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_both_parts_of_the_reconstruction_are_balanced_with_their_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eyes that see squared differences: d perceptual / d head is the mean of 2 (made - x) codes."""
    monkeypatch.setattr(Eyes, "distance", lambda self, made, wanted: (made - wanted).square().flatten(1).mean(1))
    game = AutoencoderGame(codec=Book, discriminator=Patches, loss=hinge, absolute_weight=2.0, perceptual_weight=3.0)
    players = game.build((1, 4, 4), 0)
    images = noise(3, 1, 4, 4)
    turn = Turn(("codec",), (Term("absolute"), Term("perceptual"), Term("adversarial")))
    values, lent = played(game, turn, Drawn(images), players)
    codes = (2 * images).round()
    gap = 0.5 * codes - images
    assert values["perceptual"].item() == pytest.approx(gap.square().mean().item(), rel=1e-5)
    mine = (2.0 * gap.sign() * codes + 3.0 * 2 * gap * codes).mean()
    weight = abs(mine) / (abs(0.7 * codes.mean()) + 1e-4)
    assert lent.noted["adversarial_weight"].item() == pytest.approx(weight.item(), rel=1e-4)


@pytest.mark.parametrize(("revive", "moves"), [(0.5, True), (0.3, False)])
def test_codes_below_a_share_of_use_are_put_where_the_encoder_is(revive: float, moves: bool) -> None:
    """Of two codes the far one has 0.4 of its fair share of use; maps are the images times two."""

    class Shelf(Book):
        def __init__(self, shape: tuple[int, int, int]) -> None:
            super().__init__(shape)
            self.codes, self.quantiser = 2, Quantiser(2, 1)  # type: ignore[assignment]
            self.quantiser.codebook.data.copy_(torch.tensor([[0.0], [99.0]]))
            self.quantiser.usage.copy_(torch.tensor([1.6, 0.4]))

    game = AutoencoderGame(codec=Shelf, discriminator=Patches, loss=hinge, revive=revive)
    players = game.build((1, 4, 4), 0)
    images = noise(3, 1, 4, 4)
    played(game, Turn(("codec",), (Term("absolute"),)), Drawn(images), players)
    near, far = players["codec"].quantiser.codebook.flatten().tolist()
    assert near == 0
    assert (far in (2 * images).flatten().tolist()) is moves
    assert (far == 99) is not moves


def test_processes_revive_codes_from_images_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes with dark and with bright images each gives half of the codes: none lies between."""

    class Shelf(Book):
        def __init__(self, shape: tuple[int, int, int]) -> None:
            super().__init__(shape)
            self.codes, self.quantiser = 6, Quantiser(6, 1)  # type: ignore[assignment]
            self.quantiser.usage.zero_()

    given: list[Tensor] = []
    monkeypatch.setattr(Quantiser, "revive", lambda self, fresh, threshold: given.append(fresh.clone()))
    for process, images in enumerate((noise(3, 1, 4, 4) - 5, noise(3, 1, 4, 4) + 5)):
        game = AutoencoderGame(codec=Shelf, discriminator=Patches, loss=hinge, revive=0.5)
        players = game.build((1, 4, 4), 0)
        monkeypatch.setattr(Lent, "processes", 2)
        monkeypatch.setattr(Lent, "process", process)
        played(game, Turn(("codec",), (Term("absolute"),)), Drawn(images), players)
    whole = (given[0] + given[1]).flatten() / 2  # the mean over both of what each gives
    assert [(code < -7, code > 7) for code in whole.tolist()] == [(True, False), (False, True)] * 3


def test_both_losses_are_balanced_over_all_processes() -> None:
    """Halves of a batch, with the mean over both, have the weight of the whole; each by itself has another."""
    game = AutoencoderGame(codec=Book, discriminator=Patches, loss=hinge)
    players = game.build((1, 4, 4), 0)
    images = noise(4, 1, 4, 4)
    images[2:] += 1
    turn = Turn(("codec",), (Term("absolute"), Term("adversarial")))

    def weight(part: Tensor, mean: Callable[[Tensor], Tensor]) -> float:
        lent = Lent(players)
        lent.mean = mean  # type: ignore[method-assign]
        game.terms(turn, Drawn(part), lent)  # type: ignore[arg-type]
        return float(lent.noted["adversarial_weight"])

    rows: list[Tensor] = []
    one = weight(images[2:], lambda x: rows.append(x) or x.mean(0))  # type: ignore[func-returns-value]
    both = weight(images[:2], lambda x: torch.cat([x, rows.pop(0)]).mean(0))
    assert both == pytest.approx(weight(images, lambda x: x.mean(0)), rel=1e-5)
    assert both != pytest.approx(one, rel=0.1)
    assert not rows
