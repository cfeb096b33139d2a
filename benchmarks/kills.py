"""Kill the real command again and again; the final weights must be those of the uninterrupted run.

    python benchmarks/kills.py --kills 200

Trains small runs of every recipe with `sparring train`, kills each with SIGKILL at moments spread over its whole life
(a share of them inside a save, at a random system call of it), resumes without a word, and compares the name of the
last checkpoint, which carries its hash, with that of a run nobody touched.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sparring import recipes
from sparring.engine.checkpoint import checkpoints
from test_command import KILL_IN_A_SAVE, newest_name, newest_seen, start, wait_for_checkpoint

CALLS = ["open", "write", "fsync", "close", "replace"]
TOYS = {
    "cyclegan": "--layers 1 --blocks 1",
    "esrgan": "--size 32 --layers 1 --blocks 1 --growth 4",
    "pix2pix": "--layers 1",
    "vqgan": "--layers 1 --blocks 1 --halvings 2 --codes 16 --dim 4 --begin 0.1",
    "vqgan_prior": "--depth 1 --heads 2",
}
"""What makes games of images small."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dice, killed, inside, wrong, runs = random.Random(options.seed), 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _make_noise(root)
        words = {name: _words(name, root) for name in recipes.__all__}
        wholes = {name: _whole(words[name], root / f"whole-{name}") for name in recipes.__all__}
        while killed < options.kills:
            name = recipes.__all__[runs % len(recipes.__all__)]
            out = root / f"run-{runs}"
            runs += 1
            while not _finished(out, wholes[name]):
                if killed < options.kills and dice.random() < 0.9:
                    in_a_save = dice.random() < 0.4
                    killed += _kill(words[name], out, dice, in_a_save=in_a_save)
                    inside += in_a_save
                else:
                    _run(words[name], out)
            same = newest_name(out) == wholes[name]
            wrong += not same
            print(f"{name}: {killed} kills so far, {inside} aimed inside a save, {wrong} runs differ", flush=True)
    print(f"{killed} kills over {runs} runs: {wrong} runs differ from the uninterrupted one")
    sys.exit(wrong > 0)


def _make_noise(root: Path) -> None:
    """Labelled images, and two folders of images that are pairs, kinds or photos, as a game likes."""
    source = np.random.default_rng(0)
    np.savez(
        root / "noise.npz",
        images=source.integers(0, 256, (400, 8, 8), dtype=np.uint8),
        labels=source.integers(0, 3, 400),
    )
    for kind in ("A", "B"):
        (root / "noise" / kind).mkdir(parents=True)
        for k in range(100):
            pixels = source.integers(0, 256, (32, 32), dtype=np.uint8)  # grey, for the smallest perceptual loss
            Image.fromarray(pixels).save(root / "noise" / kind / f"{k:03}.png")


def _words(name: str, root: Path) -> list[str]:
    """What begins a small run; `vqgan_prior` comes after `vqgan`, whose run it takes."""
    data = root / ("noise" if name in TOYS else "noise.npz")
    codec = ["--codec", str(root / "whole-vqgan")] if name == "vqgan_prior" else []
    small = ["--width", "8", "--batch", "8", "--images", "4000", *TOYS.get(name, "").split(), *codec]
    return ["train", str(data), "--recipe", name, *small]


def _start_or_resume(words: list[str], out: Path) -> list[str]:
    begun = (out / "recipe.json").exists()
    return [*(["train", "--resume"] if begun else words), "--out", str(out), "--threads", "1", "--progress", "none"]


def _run(words: list[str], out: Path) -> None:
    process = start(*_start_or_resume(words, out))
    _, err = process.communicate()
    if process.returncode:
        raise SystemExit(err)


def _whole(words: list[str], out: Path) -> str:
    _run(words, out)
    return newest_name(out)


def _finished(out: Path, whole: str) -> bool:
    return bool(checkpoints(out / "checkpoints")) and newest_seen(out) == int(whole.split("-")[1])


def _kill(words: list[str], out: Path, dice: random.Random, *, in_a_save: bool) -> bool:
    """One kill; False where the command had ended before."""
    words = _start_or_resume(words, out)
    if in_a_save:
        process = start(dice.choice(CALLS), dice.randint(1, 3), *words, code=KILL_IN_A_SAVE)
    else:
        process = start(*words)
        wait_for_checkpoint(out, process, newest_seen(out))
        time.sleep(dice.random() * 0.3)
        process.kill()
    process.communicate()
    return process.returncode == -9


if __name__ == "__main__":
    try:
        main()
    except subprocess.SubprocessError as error:
        raise SystemExit(str(error)) from error
