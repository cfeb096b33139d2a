"""The engine against a plain eager loop: same networks, same batch, same threads, pair by pair in one run.

    python benchmarks/speed.py --threads 2

The plain loop is what a good script does: data in memory, default Adam, the generator under `no_grad` in D's turn;
upsampling and convolution are two layers, weights lie as torch lays them, nobody is frozen, no average is kept. The
engine runs as in training, moving average and statistics included. Each half of a pair is a process of its own (memory
settings are the process's), both take turns, and the median of the ratios is printed.

The networks: a generator that upsamples and convolves, 128 channels wide up to 16 px and 64 at 32 px, against a light
discriminator with dropout, the layout of the best-known 32 px script; and the `dcgan` recipe, whose generator is made
of transposed convolutions.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sparring import recipes
from sparring.data import open_data, split_held_out
from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.networks.layers import UpConv, Verdict
from sparring.recipe import BoundRecipe

CASES = {"upsample and convolve": "upsample", "transposed convolution": "transposed"}


def main() -> None:
    options = _options()
    if options.half:
        _serve(options)
        return
    for name, upsample in CASES.items():
        halves = {half: _start(half, upsample, options) for half in ("plain", "engine")}
        ratios, speeds = [], {"plain": [], "engine": []}
        for _ in range(options.pairs):
            for half, process in halves.items():
                speeds[half].append(_ask(process))
            ratios.append(speeds["engine"][-1] / speeds["plain"][-1])
        for process in halves.values():
            process.kill()
            process.communicate()
        print(
            f"{name}: engine {statistics.median(speeds['engine']):.0f} images/s, plain "
            f"{statistics.median(speeds['plain']):.0f} images/s, ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f} over {options.pairs} pairs, {options.threads} threads)",
            flush=True,
        )


class Upsampler(nn.Module):
    """z to 32 px by nearest upsampling and 3x3 convolutions."""

    z_dim, z_kind = 100, "normal"

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.entry = nn.Linear(100, 128 * 8 * 8)
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(128), UpConv(128, 128, bias=False)),
            *(nn.BatchNorm2d(128), nn.LeakyReLU(0.2, True), UpConv(128, 64, bias=False)),
            *(nn.BatchNorm2d(64), nn.LeakyReLU(0.2, True), nn.Conv2d(64, shape[0], 3, padding=1), nn.Tanh()),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.layers(self.entry(z).unflatten(1, (128, 8, 8)))
        return images


class Light(nn.Module):
    """Four strided 3x3 convolutions with dropout and batch norm."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((shape[0], 16, 32, 64, 128)):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2, True), nn.Dropout2d(0.25)]
            layers += [nn.BatchNorm2d(outputs)] if outputs > 16 else []
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 2 * 2, 1), nn.Flatten(0))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Verdict:
        return Verdict(self.layers(x))


def _start(half: str, upsample: str, options: argparse.Namespace) -> subprocess.Popen[str]:
    words = [sys.executable, __file__, "--half", half, "--upsample", upsample, "--threads", str(options.threads)]
    words += ["--rounds", str(options.rounds)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "passive"}
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    _ask(process)  # warm
    return process


def _ask(process: subprocess.Popen[str]) -> float:
    """One measurement, in images a second."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    return float(json.loads(process.stdout.readline()))


def _serve(options: argparse.Namespace) -> None:
    """Play `rounds` rounds for every line on standard input and say how fast."""
    dataset = open_data(size=(32, 32))
    loader = Loader(dataset, split_held_out(dataset).train, seed=0)
    recipe = recipes.dcgan()
    if options.upsample == "upsample":
        players = {"generator": Upsampler, "discriminator": Light}
        recipe = recipe.but(game=partial(recipe.game.func, **{**recipe.game.keywords, **players}))  # type: ignore[attr-defined]
    fitted = recipe.bind(dataset.shape, 10, len(loader), 1_000_000)
    batch = int(fitted.recipe.batch)  # type: ignore[arg-type]
    playing = _engine(fitted, loader, options.threads) if options.half == "engine" else _plain(fitted, loader, options)
    for _ in sys.stdin:
        begin = time.perf_counter()
        for _ in itertools.islice(playing, options.rounds):
            pass
        print(json.dumps(options.rounds * batch / (time.perf_counter() - begin)), flush=True)


def _engine(fitted: BoundRecipe, loader: Loader, threads: int) -> Iterator[object]:
    return rounds(fitted, loader, devices=Devices("cpu", threads))


def _plain(fitted: BoundRecipe, loader: Loader, options: argparse.Namespace) -> Iterator[None]:
    """The plain loop, on networks with the same weights and two layers where ours folds them into one."""
    torch.set_num_threads(options.threads)
    players = State(fitted, seed=0, device=torch.device("cpu")).players
    g, d = (_unfold(player.network.to(memory_format=torch.contiguous_format)) for player in players.values())
    to_g, to_d = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))
    reals = loader.draw(0, len(loader), slice(None))[0].float() / 127.5 - 1
    batch = int(fitted.recipe.batch)  # type: ignore[arg-type]
    one, zero = torch.ones(batch), torch.zeros(batch)

    def loss(images: Tensor, target: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(d(images).logits, target)

    while True:
        for rows in torch.randperm(len(reals)).split(batch):
            if len(rows) < batch:
                continue
            with torch.no_grad():
                fake = g(torch.randn(batch, 100))
            to_d.zero_grad()
            (loss(reals[rows], one) + loss(fake, zero)).backward()
            to_d.step()
            to_g.zero_grad()
            loss(g(torch.randn(batch, 100)), one).backward()
            to_g.step()
            yield


def _unfold(network: nn.Module) -> nn.Module:
    """The same function with every folded layer as the two layers that it stands for."""
    for name, child in network.named_children():
        if isinstance(child, UpConv):
            convolution = nn.Conv2d(child.weight.shape[1], child.weight.shape[0], 3, padding=1, bias=False)
            convolution.weight.data.copy_(child.weight.data)
            setattr(network, name, nn.Sequential(nn.Upsample(scale_factor=2), convolution))
        else:
            _unfold(child)
    return network


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--half", choices=["plain", "engine"], help=argparse.SUPPRESS)
    parser.add_argument("--upsample", default="transposed", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
