"""Games of images, measured on images that no run has seen, against what needs no game.

    python benchmarks/images.py pairs RUN RUN_WITHOUT_JUDGE --test FOLDER --out docs/results/images/pix2pix
    python benchmarks/images.py sides RUN --test FOLDER --out docs/results/images/cyclegan
    python benchmarks/images.py larger RUN --test FOLDER --out docs/results/images/esrgan
    python benchmarks/images.py codes VQGAN_RUN PRIOR_RUN DCGAN_RUN --out docs/results/images/vqgan

`pairs` scores runs on other pairs. `sides` reads testA and testB, whose files pair up by name, and asks whether an
image made of A's is nearer to its own counterpart than to the others, in lite0's features; untranslated images are the
baseline, and those of trainB are as near as any could come in KID. `larger` shrinks photos, enlarges them by the run
and by bicubic interpolation, and scores tiles of 96 pixels. `codes` counts codes over all images, and compares a prior
with codes that are drawn for each place by themselves, and with another generator. Each writes results.json and a
picture.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
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
from sparring.engine.translator import interleaved
from sparring.evaluation import evaluate
from sparring.features import FeatureNetwork, load
from sparring.games.questions import shrunken
from sparring.metrics import Score, metric_named
from sparring.metrics.fidelity import fidelities, scored
from sparring.metrics.intervals import mean_interval
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
    run, eyes = Run(arguments.runs[0]), load("lite0")
    size = run.bound.facts.shape[1:]
    a, b, others = (
        data.images(torch.arange(len(data)))
        for data in (open_data(arguments.test / name, size=(size[0], size[1])) for name in ("testA", "testB", "trainB"))
    )
    made = run.translator().translate(a)
    kid, seen = metric_named("kid"), eyes.features(b)
    rows: dict[str, Any] = {"others of B": {"kid": _plain(kid.measure(seen, eyes.features(others))[0])}}
    for name, images in (("untranslated", a), (arguments.runs[0].name, made)):
        rows[name] = {"kid": _plain(kid.measure(seen, eyes.features(images))[0]), **_retrieved(eyes, images, b)}
        rows[name] |= {which: _plain(scored(fidelities()[which], b, images, eyes)) for which in _NEAR}
    places = torch.arange(0, len(a), len(a) // (2 * _SHOWN))[: 2 * _SHOWN]
    return rows, interleaved((a[places], made[places], b[places])), 12


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


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pairs", "sides", "larger", "codes"))
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--test", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=1000)
    arguments = parser.parse_args(words)
    rows, images, columns = {"pairs": pairs, "sides": sides, "larger": larger, "codes": codes}[arguments.what](
        arguments
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    grid(images, columns=columns).save(arguments.out / "picture.png")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
