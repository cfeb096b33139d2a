"""StyleGAN2's round against the same round of NVlabs/stylegan2-ada-pytorch, beside the project, on the CPU.

    python benchmarks/stylegan2_speed.py --reference DIR --threads 2

Their networks, their loss and their phases (R1 in one round of 16, path lengths in one of 4), in pure PyTorch, against
our recipe through the engine: same sizes, batch and images. Blocks of 16 rounds alternate, so that a busy machine slows
both; the ratio is the median of neighbouring blocks', with the smallest and the largest. Memory is what the peak of a
process of its own grows by for each further image of a batch.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import resource
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch

from sparring.data import open_data
from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.rounds import rounds
from sparring.engine.state import State
from sparring.recipes import stylegan2

ROUNDS, RATE, GAMMA = 16, 2.5e-3, 0.05


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    if options.alone:
        steps = ours(options, options.batch) if options.alone == "ours" else theirs(options, options.batch)
        for _ in range(ROUNDS):
            next(steps)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    sides = {"ours": ours(options, options.batch), "theirs": theirs(options, options.batch)}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for block in range(options.blocks + 1):
        for name, steps in sides.items():
            begin = time.perf_counter()
            for _ in range(ROUNDS):
                next(steps)
            if block:  # the first one warms up
                times[name].append(time.perf_counter() - begin)
    pairs = [b / a for a, b in zip(times["ours"], times["theirs"], strict=True)]
    speeds = {name: options.batch * ROUNDS / median(found) for name, found in times.items()}
    print(f"{options.size} px, width {options.width}, most {options.most}, batch {options.batch}")
    print(f"images/s: ours {speeds['ours']:.1f}, theirs {speeds['theirs']:.1f}")
    print(
        f"ratio {median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f}) over {len(pairs)} pairs of {ROUNDS} rounds"
    )
    few, many = 2 * options.batch, 4 * options.batch
    memory = {name: _peak(options, name, many) - _peak(options, name, few) for name in sides}
    per_image = {name: grown / (many - few) / 1024 for name, grown in memory.items()}
    print("MiB per image: " + ", ".join(f"{name} {mib:.2f}" for name, mib in per_image.items()))


def ours(options: argparse.Namespace, batch: int) -> Iterator[object]:
    """Rounds of the recipe."""
    data = open_data(options.data)
    recipe = stylegan2(
        width=options.width,
        most=options.most,
        z_dim=options.z_dim,
        mapping_layers=2,
        gamma=GAMMA,
        rate=RATE,
        batch=batch,
    )
    bound = recipe.bind(data.shape, 0, len(data), 1_000_000)
    devices = Devices("cpu", options.threads)
    state = State(bound, seed=0, device=devices.device)
    yield from rounds(bound, Loader(data, torch.arange(len(data)), seed=0), state=state, devices=devices)


def theirs(options: argparse.Namespace, batch: int) -> Iterator[object]:
    """The phases of their training loop, without its files and pictures."""
    sys.path.insert(0, str(options.reference))
    sys.modules.setdefault("requests", types.ModuleType("requests"))
    networks, losses = (importlib.import_module(f"training.{name}") for name in ("networks", "loss"))
    data = open_data(options.data)
    channels, size, _ = data.shape
    common = {"channel_base": options.width * size, "channel_max": options.most, "num_fp16_res": 0}
    generator = networks.Generator(
        z_dim=options.z_dim, c_dim=0, w_dim=options.z_dim, img_resolution=size, img_channels=channels,
        mapping_kwargs={"num_layers": 2}, synthesis_kwargs=common,
    ).train().requires_grad_(False)  # fmt: skip
    judge = networks.Discriminator(
        c_dim=0, img_resolution=size, img_channels=channels, epilogue_kwargs={"mbstd_group_size": 4}, **common
    ).train().requires_grad_(False)  # fmt: skip
    average = copy.deepcopy(generator).eval()
    loss: Any = losses.StyleGAN2Loss("cpu", generator.mapping, generator.synthesis, judge, r1_gamma=GAMMA)
    phases = []
    for name, module, every in (("G", generator, 4), ("D", judge, 16)):
        share = every / (every + 1)
        adam = torch.optim.Adam(module.parameters(), lr=RATE * share, betas=(0.0, 0.99**share), eps=1e-8)
        phases += [(f"{name}main", module, adam, 1), (f"{name}reg", module, adam, every)]
    loader, label, place = Loader(data, torch.arange(len(data)), seed=0), torch.zeros(batch, 0), 0
    while True:
        for _ in range(ROUNDS):
            images, _labels = loader.draw(place, batch, slice(0, batch))
            place += batch
            real = images.float() / 127.5 - 1
            for name, module, adam, every in phases:
                if (place // batch - 1) % every:
                    continue
                adam.zero_grad(set_to_none=True)
                module.requires_grad_(True)
                loss.accumulate_gradients(
                    phase=name, real_img=real, real_c=label, gen_z=torch.randn(batch, options.z_dim), gen_c=label,
                    sync=True, gain=every,
                )  # fmt: skip
                module.requires_grad_(False)
                for parameter in module.parameters():
                    if parameter.grad is not None:
                        torch.nan_to_num(parameter.grad, nan=0, posinf=1e5, neginf=-1e5, out=parameter.grad)
                adam.step()
            with torch.no_grad():
                for mine, weight in zip(average.parameters(), generator.parameters(), strict=True):
                    mine.copy_(weight.lerp(mine, 0.999))
            yield None


def _peak(options: argparse.Namespace, side: str, batch: int) -> int:
    """The most memory of a process of its own, KiB."""
    words = [sys.executable, __file__, *sys.argv[1:], "--alone", side, "--batch", str(batch)]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--reference", type=Path, required=True, help="a checkout of stylegan2-ada-pytorch")
    parser.add_argument("--data", required=True, help="square images of 64, 128, ... pixels")
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--most", type=int, default=64)
    parser.add_argument("--z-dim", type=int, default=64)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--alone", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.size = open_data(options.data).shape[1]
    return options


if __name__ == "__main__":
    main()
