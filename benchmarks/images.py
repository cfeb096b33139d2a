"""Games of images, measured on images that no run has seen, against what needs no game.

    python benchmarks/images.py pairs RUN RUN_WITHOUT_JUDGE --test FOLDER --out docs/results/images/pix2pix
    python benchmarks/images.py sides RUN --test FOLDER --out docs/results/images/cyclegan
    python benchmarks/images.py attainable --test FOLDER --out docs/results/images/cyclegan-attainable
    python benchmarks/images.py larger RUN --test FOLDER --out docs/results/images/esrgan
    python benchmarks/images.py codes VQGAN_RUN PRIOR_RUN DCGAN_RUN --out docs/results/images/vqgan

`pairs` scores runs on other pairs. `sides` reads testA and testB, whose files pair up by name, and asks whether an
image made of A's is nearer to its own counterpart than to the others, in lite0's features; untranslated images are the
baseline, and those of trainB are as near as any could come in KID. `attainable` does the same for a translator that
plays no game and is trained on KID itself, from trainA to trainB, and on leaving images alone with the weight `--near`:
a bound and no method. `larger` shrinks photos, enlarges them by the run and by bicubic interpolation, and scores tiles
of 96 pixels. `codes` counts codes over all images, and compares a prior with codes that are drawn for each place by
themselves, and with another generator. Each writes results.json and a picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from sparring.chance import generator
from sparring.data import open_data
from sparring.data.folder import list_folder
from sparring.data.layout import is_picture_name
from sparring.data.single import read_picture
from sparring.engine.rundir import Run
from sparring.engine.translator import TrainedTranslator, interleaved
from sparring.evaluation import evaluate
from sparring.features import FeatureNetwork, load
from sparring.games.questions import shrunken
from sparring.metrics import Score, metric_named
from sparring.metrics.fidelity import fidelities, scored
from sparring.metrics.intervals import mean_interval
from sparring.metrics.kernel import cubic_kernel
from sparring.networks.johnson import ResNetTranslator
from sparring.pictures import grid, scaled, to_uint8
from sparring.share.load import load_translator

_NEAR = ("psnr", "absolute_error", "sharpness", "perceptual")
_TILE, _SHOWN = 96, 8


def pairs(arguments: argparse.Namespace) -> tuple[dict[str, Any], Tensor, int]:
    """Every run on the same pairs."""
    rows, columns = {}, []
    for path in arguments.runs:
        run = Run(path)
        scores = evaluate(run, arguments.test, metrics=("fid", "kid", *_NEAR))
        rows[path.name] = {score.name: _plain(score) for score in scores}
        shape = run.bound.facts.shape
        data = open_data(arguments.test, size=(shape[1], shape[2]), reading="pairs")
        places = torch.arange(0, len(data), len(data) // _SHOWN)[:_SHOWN]
        task = run.bound.recipe.game().task(scaled(data.images(places)), None)  # type: ignore[attr-defined]
        made = run.translator().translate(to_uint8(task.given))
        columns = columns or [to_uint8(task.given), to_uint8(task.wanted)]
        columns.insert(-1, made)
    return rows, interleaved(columns), len(columns) * 2


def sides(arguments: argparse.Namespace) -> tuple[dict[str, Any], Tensor, int]:
    """A run against leaving images as they are."""
    run = Run(arguments.runs[0])
    height, width = run.bound.facts.shape[1:]
    return _beside_untranslated(arguments.runs[0].name, run.translator(), _Sides(arguments.test, (height, width)))


class _Sides:
    """Images of both kinds, and what is asked of them."""

    def __init__(self, folder: Path, size: tuple[int, int] | None = None) -> None:
        self.eyes = load("lite0")
        self.train_a, self.train_b, self.a, self.b = (
            data.images(torch.arange(len(data)))
            for data in (open_data(folder / name, size=size) for name in ("trainA", "trainB", "testA", "testB"))
        )


def _beside_untranslated(name: str, translator: TrainedTranslator, of: _Sides) -> tuple[dict[str, Any], Tensor, int]:
    made = translator.translate(of.a)
    kid, seen = metric_named("kid"), of.eyes.features(of.b)
    rows: dict[str, Any] = {"others of B": {"kid": _plain(kid.measure(seen, of.eyes.features(of.train_b))[0])}}
    for which, images in (("untranslated", of.a), (name, made)):
        rows[which] = {
            "kid": _plain(kid.measure(seen, of.eyes.features(images))[0]),
            **_retrieved(of.eyes, images, of.b),
            **{near: _plain(scored(fidelities()[near], of.b, images, of.eyes)) for near in _NEAR},
        }
    places = torch.arange(0, len(of.a), len(of.a) // (2 * _SHOWN))[: 2 * _SHOWN]
    return rows, interleaved((of.a[places], made[places], of.b[places])), 12


def attainable(arguments: argparse.Namespace) -> tuple[dict[str, Any], Tensor, int]:
    """A translator that is trained on KID itself."""
    of = _Sides(arguments.test)
    network = _trained_on_kid(of, arguments.steps, arguments.near)
    return _beside_untranslated("trained on KID", TrainedTranslator(network), of)


def _trained_on_kid(of: _Sides, steps: int, near: float, batch: int = 16) -> ResNetTranslator:
    """CycleGAN's translator, as small as in its runs here, after so many steps of Adam on KID to trainB."""
    torch.manual_seed(0)
    network = ResNetTranslator((3, *of.a.shape[2:]), width=16, blocks=4, upsample="nearest", residual=True)
    optim = torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.99))
    falling = torch.optim.lr_scheduler.LambdaLR(optim, lambda step: min(1.0, 2 * (1 - step / steps)))
    wanted, latest = of.eyes.features(of.train_b).values, of.eyes.features(of.train_a).values
    draw = generator("attainable")
    for _ in range(steps):
        places = torch.randperm(len(latest), generator=draw)
        chosen, others = places[:batch], places[batch:]
        given = scaled(of.train_a[chosen])
        made = network(given).clamp(-1, 1)
        seen = of.eyes.module((made + 1) * 127.5).values
        # what of KID depends on these images, with all others as they were when last seen
        loss = 2 * cubic_kernel(seen, latest[others]).mean() - 2 * cubic_kernel(seen, wanted).mean()
        optim.zero_grad()
        (loss + near * (made - given).abs().mean()).backward()
        optim.step()
        falling.step()
        latest[chosen] = seen.detach()
    return network


def _retrieved(eyes: FeatureNetwork, images: Tensor, candidates: Tensor) -> dict[str, float]:
    """How often the nearest candidate, by the angle of features, is the image's own counterpart."""
    mine, theirs = (eyes.features(x).values for x in (images, candidates))
    middle = theirs.mean(0)
    mine, theirs = (torch.nn.functional.normalize(x - middle, dim=1) for x in (mine, theirs))
    likeness = mine @ theirs.t()
    rank = (likeness > likeness.diagonal()[:, None]).sum(1) + 1
    return {
        "found first": float((rank == 1).double().mean()),
        "mean reciprocal rank": float((1 / rank.double()).mean()),
        "of": len(candidates),
    }


def larger(arguments: argparse.Namespace) -> tuple[dict[str, Any], Tensor, int]:
    """A run against bicubic interpolation."""
    translator, eyes = load_translator(arguments.runs[0]), load("lite0")
    scale = translator.network.scale
    parts: dict[str, list[Tensor]] = {"given": [], "bicubic": [], "run": [], "wanted": []}
    for file in list_folder(arguments.test).files:
        if not is_picture_name(file.name):
            continue
        photo = read_picture(arguments.test / file.name, translator.channels)[None]
        wanted = photo[:, :, : photo.shape[2] // _TILE * _TILE, : photo.shape[3] // _TILE * _TILE]
        given = shrunken(scaled(wanted), scale)
        bicubic = to_uint8(interpolate(given, scale_factor=scale, mode="bicubic"))
        made = translator.translate(to_uint8(given))
        for name, image in (("bicubic", bicubic), ("run", made), ("wanted", wanted)):
            parts[name].append(_tiles(image, _TILE))
        parts["given"].append(_tiles(to_uint8(given), _TILE // scale))
    tiles = {name: torch.cat(found) for name, found in parts.items()}
    rows = {
        name: {which: _plain(scored(fidelities()[which], tiles["wanted"], tiles[name], eyes)) for which in _NEAR}
        for name in ("bicubic", "run")
    }
    rows["run minus bicubic, tile by tile"] = {which: _difference(which, tiles, eyes) for which in _NEAR}
    places = torch.arange(0, len(tiles["run"]), len(tiles["run"]) // _SHOWN)[:_SHOWN]
    return rows, interleaved([images[places] for images in tiles.values()]), 8


def _difference(which: str, tiles: dict[str, Tensor], eyes: FeatureNetwork) -> list[float]:
    """The mean difference and Student's 95 % interval."""
    measure = fidelities()[which].measure
    run, bicubic = (measure(tiles["wanted"], tiles[name], eyes).double() for name in ("run", "bicubic"))
    return [round(number, 5) for number in mean_interval((run - bicubic).tolist())]


def _tiles(images: Tensor, side: int) -> Tensor:
    found = images.unfold(2, side, side).unfold(3, side, side)
    return found.permute(0, 2, 3, 1, 4, 5).flatten(0, 2).contiguous()


def codes(arguments: argparse.Namespace) -> tuple[dict[str, Any], Tensor, int]:
    """How much of the book is used; a prior, places by themselves, and another generator against held-out images."""
    codec_run, prior_run, *others = map(Run, arguments.runs)
    record = codec_run.card["data"]
    data = open_data(record["source"], size=(record["shape"][1], record["shape"][2]))
    translator, held_out = codec_run.translator(), torch.tensor(record["held_out"])
    codec: Any = translator.network
    with torch.inference_mode():
        chunks = torch.arange(len(data)).split(250)
        written = torch.cat([codec.codes_of(scaled(data.images(chunk))) for chunk in chunks])
    counts = torch.bincount(written.flatten(), minlength=codec.codes).double()
    shares = counts / counts.sum()
    n, size = arguments.n, written.shape[1:]
    drawn = torch.stack([
        written.flatten(1)[torch.randint(len(written), (n,), generator=generator("place", place)), place]
        for place in range(written[0].numel())
    ], 1)  # fmt: skip
    with torch.inference_mode():
        alone = to_uint8(torch.cat([codec.image_of(part.view(-1, *size)) for part in drawn.split(100)]))
    reals, eyes = data.images(held_out), load("lite0")
    kid, seen = metric_named("kid"), eyes.features(reals)
    kept = translator.translate(reals)
    written_by_prior = prior_run.generator.sample(n)
    rows: dict[str, Any] = {
        "codes": codec.codes,
        "codes used at all": int((counts > 0).sum()),
        "perplexity": float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum())),
        "psnr": _plain(scored(fidelities()["psnr"], reals, kept)),
        "kid of reconstructions": _plain(kid.measure(seen, eyes.features(kept))[0]),
        "kid of the prior": _plain(kid.measure(seen, eyes.features(written_by_prior))[0]),
        "kid of places by themselves": _plain(kid.measure(seen, eyes.features(alone))[0]),
    }
    for other in others:
        images = other.generator.sample(n)
        rows[f"kid of {other.path.name}"] = _plain(kid.measure(seen, eyes.features(images))[0])
        rows[f"minutes of {other.path.name}"] = _minutes(other)
    rows |= {"minutes of the codec": _minutes(codec_run), "minutes of the prior": _minutes(prior_run)}
    shown = [reals[:16], kept[:16], written_by_prior[:16], alone[:16], *(o.generator.sample(16) for o in others)]
    return rows, torch.cat(shown), 16


def _minutes(run: Run) -> float:
    return round(max(record.get("seconds", 0.0) for record in run.records()) / 60, 1)


def _plain(score: Score) -> list[float]:
    """Value and interval."""
    return [round(number, 5) for number in (score.value, score.low, score.high)]


_COMMANDS: dict[str, Callable[[argparse.Namespace], tuple[dict[str, Any], Tensor, int]]] = {
    "pairs": pairs,
    "sides": sides,
    "attainable": attainable,
    "larger": larger,
    "codes": codes,
}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=tuple(_COMMANDS))
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--test", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--near", type=float, default=0.0)
    arguments = parser.parse_args(words)
    if arguments.what != "attainable" and not arguments.runs:
        parser.error(f"{arguments.what} measures runs; name one")
    rows, images, columns = _COMMANDS[arguments.what](arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    grid(images, columns=columns).save(arguments.out / "picture.png")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
