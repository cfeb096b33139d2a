"""The default recipe against the textbook baseline, after the same CPU seconds on the embedded images.

    python benchmarks/default_against_dcgan.py --seconds 560 --seeds 0 1 2 --threads 2 --out docs/results/default

Baseline: the DCGAN of pytorch/examples at 32 px (one stage fewer than its 64 px), as its script trains it: plain
eager loop, Adam 2e-4 (0.5, 0.999), batch 64, images padded from 28 to 32 px; of its raw and its averaged weights the
better one counts at every mark. Ours: what `sparring train` does, without its grids and files. Both see the same
9,000 images, on the same threads, one after the other; the clock is CPU time of the process, evaluation excluded.
The distance is Fréchet's on grey28 features, 5,000 generated against the 1,000 held-out images. Seeds already in the
folder's curves.json and not asked for are kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from clock import at_marks
from torch import Tensor, nn

from sparring.data import open_data, split_held_out
from sparring.data.loader import Loader
from sparring.engine.devices import Devices
from sparring.engine.pace import measure_pace
from sparring.engine.rounds import rounds
from sparring.engine.sampler import TrainedGenerator
from sparring.features import load
from sparring.metrics import metric_named
from sparring.pictures import grid, to_uint8
from sparring.recipes.choice import default_recipe

MARKS = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)


def main() -> None:
    options = _options()
    devices = Devices("cpu", options.threads)
    dataset = open_data()
    split = split_held_out(dataset)
    judge = _Judge(dataset.images(split.held_out))
    rows = _rows_of_others(options.out / "curves.json", options.seeds)
    for seed in options.seeds:
        for name, play in (("ours", ours), ("baseline", baseline)):
            images = None
            for seconds, distance, images in play(dataset, split.train, devices, options.seconds, seed, judge):  # noqa: B007
                rows.append({"who": name, "seed": seed, "cpu_seconds": round(seconds, 1), "distance": distance})
                print(rows[-1], flush=True)
            if seed == 0 and images is not None:
                options.out.mkdir(parents=True, exist_ok=True)
                grid(images[:64], columns=8, scale=2).save(options.out / f"{name}.png")
    result = {"threads": options.threads, "seconds": options.seconds, "torch": torch.__version__, "rows": rows}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "curves.json").write_text(json.dumps(result, indent=1) + "\n")
    for seed in sorted({r["seed"] for r in rows}):
        last = {r["who"]: r["distance"] for r in rows if r["seed"] == seed}
        ratio = last["ours"] / last["baseline"]
        print(f"seed {seed}: ours {last['ours']:.2f}, baseline {last['baseline']:.2f}, ratio {ratio:.2f}")


def _rows_of_others(path: Path, seeds: list[int]) -> list[dict[str, Any]]:
    """The rows of the seeds that are not measured now."""
    if not path.exists():
        return []
    return [row for row in json.loads(path.read_text())["rows"] if row["seed"] not in seeds]


class _Judge:
    """Fréchet distance to the held-out images."""

    def __init__(self, reals: Tensor) -> None:
        self.network, self.metric = load("grey28"), metric_named("fid")
        self.real = self.network.features(reals)

    def __call__(self, images: Tensor) -> float:
        (score,) = self.metric.measure(self.real, self.network.features(images))
        return round(score.value, 3)


def ours(dataset, indices, devices, seconds, seed, judge) -> Iterator[tuple[float, float, Tensor]]:  # type: ignore[no-untyped-def]
    """The default recipe in the engine."""
    recipe, _ = default_recipe(dataset.shape, gpu=False)
    loader = Loader(dataset, indices, seed=seed, mirror=recipe.mirror)
    pace = measure_pace(recipe.bind(dataset.shape, 10, len(indices), 200_000), loader, devices)
    fitted = recipe.bind(dataset.shape, 10, len(indices), pace.images(seconds / devices.threads / 60))
    playing = rounds(fitted, loader, seed=seed, devices=devices)
    for now, played in at_marks(playing, [seconds * mark for mark in MARKS]):
        images = TrainedGenerator(played.state.players["generator"].shown()).sample(5000)
        yield now, judge(images), images


def baseline(dataset, indices, devices, seconds, seed, judge) -> Iterator[tuple[float, float, Tensor]]:  # type: ignore[no-untyped-def]
    """The script as people run it; yields the better of its raw and averaged weights."""
    torch.manual_seed(seed)
    reals = nn.functional.pad(dataset.images(indices).float() / 127.5 - 1, (2, 2, 2, 2), value=-1.0)
    g, d = _generator().apply(_initialise), _discriminator().apply(_initialise)
    averages = [
        torch.optim.swa_utils.AveragedModel(
            g, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(k), use_buffers=True
        )
        for k in (0.99, 0.999)
    ]
    to_d, to_g = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (d, g))
    loss = nn.BCEWithLogitsLoss()

    def steps() -> Iterator[None]:
        while True:
            order = torch.randperm(len(reals))
            for batch in order[: len(order) // 64 * 64].view(-1, 64):
                d.zero_grad()
                one, zero = torch.ones(64), torch.zeros(64)
                loss(d(reals[batch]).flatten(), one).backward()
                fake = g(torch.randn(64, 100, 1, 1))
                loss(d(fake.detach()).flatten(), zero).backward()
                to_d.step()
                g.zero_grad()
                loss(d(fake).flatten(), one).backward()
                to_g.step()
                for average in averages:
                    average.update_parameters(g)
                yield

    for now, _ in at_marks(steps(), [seconds * mark for mark in MARKS]):
        drawn = [_draw(net) for net in (g, *(average.module for average in averages))]
        best = min(drawn, key=judge)
        yield now, judge(best), best


def _draw(generator: nn.Module) -> Tensor:
    """5,000 images, cut back to 28 px."""
    generator.eval()
    source = torch.Generator().manual_seed(1)
    with torch.no_grad():
        images = torch.cat([generator(torch.randn(250, 100, 1, 1, generator=source)) for _ in range(20)])
    generator.train()
    return to_uint8(images[:, :, 2:-2, 2:-2])


def _generator() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs, stride, padding in ((100, 256, 1, 0), (256, 128, 2, 1), (128, 64, 2, 1)):
        layers += [
            nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(True),
        ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 1, 4, 2, 1, bias=False), nn.Tanh())


def _discriminator() -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(1, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for inputs, outputs in ((64, 128), (128, 256)):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(256, 1, 4, 1, 0, bias=False))


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="CPU seconds of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/results/default"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
