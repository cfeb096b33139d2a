"""The loop's own promises: who moves when, what stops it, and what is kept."""

from __future__ import annotations

import itertools
import math
import os
import stat
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conftest import noise_loader
from sparring.engine import pace
from sparring.engine.checkpoint import checkpoints, newest, save
from sparring.engine.devices import Devices
from sparring.engine.players import Player
from sparring.engine.rounds import rounds
from sparring.engine.rundir import Run
from sparring.engine.state import Notes, State
from sparring.errors import DiskError, DivergedError, FileUnusableError, UsageError
from sparring.games.two_player import TwoPlayerGame
from sparring.networks.layers import Verdict
from sparring.objectives.losses import non_saturating
from sparring.objectives.penalties import PenaltyFunction, PenaltyInputs
from sparring.recipe import BoundRecipe, Constraint, Optim, Penalty, Recipe, Term, Turn, fitted
from sparring.recipes.spelling import recipe_named
from sparring.schedule import Linear, Steps
from test_contracts import bound, play, small


class Judge(nn.Module):
    """D(x) = w x for points, so that everything can be worked out by hand."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, x: Tensor) -> Verdict:
        return Verdict(x.flatten(1) @ self.weight)


class Shift(nn.Module):
    """G(z) = z + b."""

    z_dim, z_kind = 2, "normal"

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2))

    def forward(self, z: Tensor) -> Tensor:
        return (z + self.shift).view(-1, 2, 1, 1)


def toy(**changes: object) -> Recipe:
    """The smallest game."""
    recipe = Recipe(
        name="toy",
        summary="two numbers against two numbers",
        papers=(),
        game=partial(TwoPlayerGame, generator=Shift, discriminator=Judge, loss=non_saturating),
        turns=(Turn(("discriminator",)), Turn(("generator",))),
        optims={name: Optim(kind="sgd", rate=0.1) for name in ("generator", "discriminator")},
        batch=8,
    )
    return recipe.but(**changes)


def after(recipe: Recipe, n: int, devices: Devices) -> State:
    return play(recipe.bind((2, 1, 1), 0, 96, 1000), n, devices)


def test_seen_counts_reals_of_rounds_and_drawn_counts_all(devices: Devices) -> None:
    state = after(toy(turns=(Turn(("discriminator",), times=3), Turn(("generator",)))), 4, devices)
    assert (state.seen, state.round, state.drawn) == (4 * 8, 4, 3 * 4 * 8)


def test_turns_rest_and_end_by_seen(devices: Devices) -> None:
    never = Turn(("generator",), begin=10_000)
    ended = Turn(("generator",), end=0)
    second = Turn(("generator",), every=2)
    for turn, moves in ((never, False), (ended, False), (second, True)):
        state = after(toy(turns=(Turn(("discriminator",)), turn)), 1, devices)
        assert bool(state.players["generator"].network.shift.abs().sum() > 0) is moves  # type: ignore[union-attr, operator]


def test_five_turns_see_five_different_z(devices: Devices) -> None:
    seen: list[Tensor] = []

    class Spy(Shift):
        def forward(self, z: Tensor) -> Tensor:
            seen.append(z.clone())
            return super().forward(z)

    game = partial(TwoPlayerGame, generator=Spy, discriminator=Judge, loss=non_saturating)
    after(toy(game=game, turns=(Turn(("discriminator",), times=5), Turn(("generator",)))), 1, devices)
    drawn = [z for z in seen if z.device.type == "cpu" and len(z) == 8]
    assert len({tuple(z.flatten().tolist()) for z in drawn}) == 6


def test_a_turn_moves_its_player_only(devices: Devices) -> None:
    """One SGD step of G by hand: -rate * mean(-sigmoid(-D(G(z))) w), and no gradient reaches D."""
    state = after(toy(turns=(Turn(("generator",)),)), 1, devices)
    assert torch.equal(state.players["discriminator"].network.weight, torch.tensor([1.0, 0.0]))  # type: ignore[arg-type]
    shift = state.players["generator"].network.shift.detach()  # type: ignore[union-attr, operator]
    assert float(shift[0]) > 0
    assert float(shift[1]) == 0
    assert all(p.grad is None for p in state.players["discriminator"].network.parameters())


def test_lazy_penalties_are_weighted_up(devices: Devices) -> None:
    """A constant penalty P(w) = sum(w), every 4 rounds: the step is 4 times that of every round."""

    def value(inputs: PenaltyInputs, state: object) -> tuple[Tensor, object]:
        return inputs.discriminator(torch.ones(1, 2, 1, 1)), state

    moves = {}
    for every in (1, 4):
        penalty = Penalty("flat", of=PenaltyFunction(value), weight=1.0, every=every)  # type: ignore[arg-type]
        state = after(toy(turns=(Turn(("discriminator",), (penalty, Term("adversarial", 0.0))),)), 4, devices)
        moves[every] = state.players["discriminator"].network.weight.detach()
    torch.testing.assert_close(moves[1], moves[4])
    torch.testing.assert_close(moves[1], torch.tensor([1.0, 0.0]) - 0.4)  # type: ignore[arg-type]


def test_constraints_follow_each_step(devices: Devices) -> None:
    def clip(network: nn.Module) -> None:
        for parameter in network.parameters():
            parameter.data.clamp_(-0.01, 0.01)

    state = after(toy(constraints=(Constraint("discriminator", clip),)), 2, devices)
    assert float(state.players["discriminator"].network.weight.abs().max()) <= 0.01  # type: ignore[union-attr, operator, arg-type]


def test_unequal_batches(devices: Devices) -> None:
    fitted = bound("gan", (1, 8, 8), fakes_per_real=2.5, generator_batch=0.5, generator_turns=2, discriminator_turns=2)
    state = play(fitted, 3, devices)
    assert state.not_finite() is None
    assert state.seen == 3 * 8


def test_a_turn_rests_where_all_its_terms_do(devices: Devices) -> None:
    """A lazy penalty in a turn of its own, in one round of three; nothing else moves the weight 1 of D."""

    def shrink(inputs: PenaltyInputs, state: Any) -> tuple[Tensor, Any]:
        weight: Tensor = inputs.network.weight  # type: ignore[assignment]
        return weight.square().sum().expand(1), state

    lazy = Penalty("small", PenaltyFunction(shrink), weight=0.5, every=3)
    alone = toy(turns=(Turn(("discriminator",), (lazy,)),), optims={"discriminator": Optim(kind="sgd", rate=0.1)})
    playing = rounds(alone.bind((2, 1, 1), 0, 96, 1000), noise_loader((2, 1, 1)), devices=devices)
    weights = (r.state.players["discriminator"].state()["weights.weight"] for r in itertools.islice(playing, 4))
    found = [float(weight[0]) for weight in weights]
    assert found == pytest.approx([0.7, 0.7, 0.7, 0.49])  # w - 0.1 x 3 x w
    with pytest.raises(UsageError, match="a turn of generator has nothing to minimise; give it a term"):
        Turn(("generator",), ())


@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize("poison", ["weight", "rate"])
def test_what_is_not_finite_stops_the_round_and_no_step_is_taken(kind: str, poison: str, devices: Devices) -> None:
    optims = {
        name: Optim(kind=kind, rate=1e38 if poison == "rate" else 0.01) for name in ("generator", "discriminator")
    }
    fitted = toy(optims=optims).bind((2, 1, 1), 0, 96, 1000)
    state = State(fitted, seed=0, device=devices.device)
    if poison == "weight":
        state.players["generator"].network.shift.data[0] = float("nan")  # type: ignore[union-attr, index, operator]
    playing = rounds(fitted, noise_loader((2, 1, 1)), state=state, devices=devices)
    with pytest.raises(DivergedError, match=r"(discriminator|generator)'s turn of round \d"):
        list(itertools.islice(playing, 10))
    if poison == "weight":
        assert torch.equal(state.players["discriminator"].network.weight, torch.tensor([1.0, 0.0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["adam", "sgd", "rmsprop"])
def test_a_masked_step_is_as_if_it_had_not_been(kind: str) -> None:
    """As on a GPU, where nobody looks whether a gradient is finite before the step."""
    after = []
    for masked in (True, False):
        layer = nn.Linear(2, 1)
        player = Player("g", layer, Optim(kind=kind, rate=0.1), None)  # type: ignore[arg-type]
        nn.init.ones_(layer.weight)
        if masked:
            layer.weight.grad, layer.bias.grad = torch.full((1, 2), math.inf), torch.ones(1)
            player.step(0, torch.tensor(1.0))
            assert torch.equal(layer.weight.detach(), torch.ones(1, 2))
            assert layer.weight.grad is None
        layer.weight.grad, layer.bias.grad = torch.tensor([[0.5, -2.0]]), torch.ones(1)
        player.step(0, torch.tensor(0.0))
        after.append(layer.weight.detach())
    assert torch.equal(*after)
    assert ((after[0] - 1).sign() == torch.tensor([-1.0, 1.0])).all()


class Another:
    """What `Devices` has of Accelerate, beside another process that has met a number that is not finite."""

    def reduce(self, tensor: Tensor, how: str) -> Tensor:
        return tensor + 1 if how == "sum" else tensor


def test_all_processes_stop_where_one_of_them_must() -> None:
    fitted, devices = toy().bind((2, 1, 1), 0, 96, 1000), Devices("cpu", threads=1)
    assert not devices.anywhere(torch.tensor(False))
    devices._accelerator = Another()
    assert devices.anywhere(torch.tensor(False))
    with pytest.raises(DivergedError, match="what another process has, is not finite in the discriminator's turn"):
        next(rounds(fitted, noise_loader((2, 1, 1)), devices=devices))


def test_a_state_whose_steps_were_left_out_is_not_saved(devices: Devices) -> None:
    """On a GPU the flag is read at intervals, and weights that stood still are finite."""
    state = State(toy().bind((2, 1, 1), 0, 96, 1000), seed=0, device=devices.device)
    assert state.not_finite() is None
    state.bad.fill_(True)
    assert state.not_finite() == "a loss or a gradient before it"


def test_schedules_reach_the_optimiser(devices: Devices) -> None:
    optim = Optim(rate=Linear(0.0, 1.0, over=80), betas=(0.0, Linear(0.5, 0.9, over=80)))
    state = after(toy(optims={"generator": optim, "discriminator": optim}), 5, devices)
    optimizer = state.players["generator"].optimizer
    assert optimizer is not None
    group = optimizer.param_groups[0]
    assert group["lr"] == pytest.approx(32 / 80)  # the rate of the fifth round, begun after 32 images
    assert group["betas"] == pytest.approx((0.0, 0.5 + 0.4 * 32 / 80))


def test_schedules_reach_the_weights_of_terms(devices: Devices) -> None:
    """A penalty w on D(x) = w x, whose weight rises from 0 to 1 in two rounds: steps of 0.1 x (0, 1/2, 1)."""

    def value(inputs: PenaltyInputs, state: Any) -> tuple[Tensor, Any]:
        return inputs.discriminator(torch.ones(1, 2, 1, 1)), state

    rising = Penalty("rising", PenaltyFunction(value), weight=Linear(0.0, 1.0, over=16))
    recipe = toy(turns=(Turn(("discriminator",), (rising, Term("adversarial", 0.0))),))
    playing = rounds(recipe.bind((2, 1, 1), 0, 96, 1000), noise_loader((2, 1, 1)), devices=devices)
    weights = (r.state.players["discriminator"].state()["weights.weight"] for r in itertools.islice(playing, 4))
    assert [float(weight[0]) for weight in weights] == pytest.approx([1.0, 0.95, 0.85, 0.75])


def test_batches_split_over_processes() -> None:
    devices = Devices("cpu", threads=1)
    devices.world, devices.rank = 4, 1
    assert devices.share(32) == slice(8, 16)
    with pytest.raises(UsageError, match="batch 30 does not split over 4 processes; use 28 or 32"):
        devices.share(30)


@pytest.mark.parametrize(
    ("word", "fits", "said"),
    [
        ("dcgan+batch=16", 5, r"a batch of 16 does not fit into memory; 4 does \(--batch 4\)"),
        ("dcgan+batch=8", 0, "not even a batch of 1 fits into memory; use smaller images"),
        ("dcgan+batch=12+accumulate=4", 4, r"a batch of 12 does not fit into memory; 4 does"),
        ("dcgan+batch=4+accumulate=4", 1, r"not even a batch of 4 in 4 parts \(accumulate\) fits"),
        ("gan+batch=16+packing=4", 2, "not even a batch of 4 fits"),
        ("gan+batch=4+batch_norm=true", 1, "not even a batch of 2 fits"),
    ],
)
def test_memory_that_runs_out_is_answered_by_a_batch_that_plays(
    word: str, fits: int, said: str, monkeypatch: pytest.MonkeyPatch, devices: Devices
) -> None:
    """As if no more than so many images fitted."""
    real = pace._time

    def time(fitted: BoundRecipe, batch: int, *others: Any) -> tuple[float, float]:
        if batch > fits:
            raise MemoryError
        return real(fitted, batch, *others)

    monkeypatch.setattr(pace, "_time", time)
    fitted = recipe_named(word, width=4).bind((1, 16, 16), 0, images=96, budget=1000)
    with pytest.raises(UsageError, match=said):
        pace.measure_pace(fitted, noise_loader((1, 16, 16), classes=0), devices)


def test_minutes_count_the_batches_that_are_played(monkeypatch: pytest.MonkeyPatch, devices: Devices) -> None:
    """A second a round, of 8 and of 16 images that are cut to 6 and 15: by hand, (1/6 + 1/15) / 2 an image."""
    monkeypatch.setattr(pace, "_time", lambda fitted, batch, *_: (1 / batch, 0.0))
    fitted = toy(batch=Steps((8, 16), at=(0, 500)), accumulate=3).bind((2, 1, 1), 0, 96, 1000)
    measured = pace.measure_pace(fitted, noise_loader((2, 1, 1)), devices)
    assert measured.seconds_per_image == pytest.approx((1 / 6 + 1 / 15) / 2)


def test_minutes_count_rounds_of_batches_between_the_measured_ones(
    monkeypatch: pytest.MonkeyPatch, devices: Devices
) -> None:
    """A round of 2 seconds and half a second an image, at batches 1, 2, ... 50: on average 2 H(50) / 50 + 1/2 an image.

    H(50) = 1 + 1/2 + ... + 1/50 = 4.499205; three of those batches are measured.
    """
    asked = []

    def time(fitted: BoundRecipe, batch: int, *_: Any) -> tuple[float, float]:
        asked.append(batch)
        return 2 / batch + 0.5, 0.0

    monkeypatch.setattr(pace, "_time", time)
    fitted = toy(batch=Linear(1, 51, over=1000)).bind((2, 1, 1), 0, 96, 1000)
    measured = pace.measure_pace(fitted, noise_loader((2, 1, 1)), devices)
    assert asked == [1, 26, 50]
    assert measured.seconds_per_image == pytest.approx(2 * 4.499205 / 50 + 0.5, rel=1e-6)


def test_minutes_of_windows_that_meet_at_one_budget_only(monkeypatch: pytest.MonkeyPatch, devices: Devices) -> None:
    """Both players' fixed begin, and others that end with half of the budget: of a small one no round has any."""
    monkeypatch.setattr(pace, "_time", lambda fitted, batch, *_: (float(len(fitted.recipe.turns)), 0.0))
    players = ("discriminator", "generator")
    late = [Turn((name,), begin=600) for name in players]
    early = [Turn((name,), end=fitted(lambda facts: facts.budget / 2)) for name in players]
    recipe = toy().but(turns=(*late, *early))
    measured = pace.measure_pace(recipe.bind((2, 1, 1), 0, 96, 2000), noise_loader((2, 1, 1)), devices)
    shorter = measured.over(recipe.bind((2, 1, 1), 0, 96, 1000))  # from 500 to 600 nobody plays
    assert 2.0 <= shorter.seconds_per_image <= 4.0


def test_turns_of_a_scheduled_batch_split_as_it_does(devices: Devices) -> None:
    """Half of ten is five, of which two parts take four."""
    turns = (Turn(("discriminator",), batch_fraction=0.5), Turn(("generator",)))
    recipe = toy(batch=Steps((8, 10), at=(0, 8)), accumulate=2).but(turns=turns)
    state = after(recipe, 3, devices)
    assert (state.round, state.seen) == (3, 28)


def test_checkpoints_are_pruned_only_behind_newer_ones(devices: Devices, folder: Path) -> None:
    state = after(toy(), 1, devices)
    for seen in (8, 16, 24, 32):
        state.seen = seen
        save(folder, state.tensors(), state.scalars())
    assert [c.seen for c in checkpoints(folder)] == [32, 24, 16]
    assert not list(folder.glob(".tmp-*"))


def test_a_checkpoint_is_never_pruned_by_its_own_save(folder: Path) -> None:
    """Beside three that have seen more, which another run may have left, the oldest of those goes."""
    for seen in (100, 200, 300, 50):
        save(folder, {"weight": torch.zeros(1)}, {"seen": seen})
    assert [c.seen for c in checkpoints(folder)] == [300, 200, 50]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_full_disk_loses_nothing(call: str, devices: Devices, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno
    import os

    state = after(toy(), 1, devices)
    good = save(folder, state.tensors(), state.scalars())

    def full(*arguments: object, **keywords: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    state.seen = 99
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(DiskError, match=r"No space left on device\); free some space or choose another place"):
            save(folder, state.tensors(), state.scalars())
    assert newest(folder) == good
    assert [path.name for path in folder.iterdir()] == [good.path.name]


def test_a_checkpoint_of_another_recipe_is_refused(devices: Devices, folder: Path) -> None:
    save(folder, after(toy(), 1, devices).tensors(), {"seen": 8, "round": 1, "drawn": 8, "seed": 0})
    found = newest(folder)
    assert found is not None
    from sparring.engine.checkpoint import read

    other = State(small("gan").bind((1, 8, 8), 0, 96, 1000), seed=0, device=devices.device)
    with pytest.raises(FileUnusableError, match="does not fit this recipe"):
        other.load(*read(found))


@pytest.mark.parametrize(
    "change",
    [{"game.strength": None}, {"game.strength": torch.zeros(2)}, {"game.unheard_of": torch.zeros(())}],
    ids=["missing", "shape", "unknown"],
)
def test_a_game_of_another_recipe_is_refused(change: dict[str, Tensor | None], devices: Devices) -> None:
    fitted = recipe_named("gan+augment=ada", width=4).bind((1, 8, 8), 0, 96, 1000)
    state = State(fitted, seed=0, device=devices.device)
    changed = {name: tensor for name, tensor in (state.tensors() | change).items() if tensor is not None}
    with pytest.raises(FileUnusableError, match=r"game does not fit this recipe \('(strength|unheard_of)' is"):
        state.load(changed, state.scalars())


def test_the_means_of_a_long_interval_forget_nothing() -> None:
    """The numbers 0 to 1299, of which 512 at a time are summed: by hand, half of 1299."""
    notes = Notes()
    for number in range(1300):
        notes.add({"loss": torch.tensor(float(number))})
    assert notes.means() == {"loss": pytest.approx(649.5)}


def test_a_torn_log_is_read_and_mended(folder: Path) -> None:
    run = Run(folder)
    run.append({"seen": 1})
    run.append({"seen": 2})
    with (folder / "log.jsonl").open("a") as log:
        log.write('{"seen": 3, "lo')
    run.append({"resumed_at": 1})
    run.append({"seen": 2, "again": True})
    assert run.records() == [{"seen": 1}, {"resumed_at": 1}, {"seen": 2, "again": True}]


def test_a_save_reaches_the_disk_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(number: int) -> None:
        said.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    def renamed(old: Path, new: Path) -> None:
        said.append("rename")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    save(folder, {"weight": torch.zeros(1)}, {"seen": 1})
    assert said == ["file", "rename", "folder"]


def test_a_reader_renames_nothing(folder: Path) -> None:
    good, bad = (save(folder, {"weight": torch.zeros(1)}, {"seen": seen}) for seen in (1, 2))
    bad.path.write_bytes(b"")
    assert newest(folder) == good
    assert bad.path.exists()
    assert newest(folder, mend=True) == good
    assert not bad.path.exists()
