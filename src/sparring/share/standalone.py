"""Drawing images with torch and safetensors alone: the first part of every exported `generate.py`.

What is reached from here is copied into the script (see `bundle`), so this file imports little.
"""

from __future__ import annotations

import argparse
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sparring.chance import latents
from sparring.engine.sampler import classes_of, in_turn, render

__all__ = ["main", "png_bytes", "sample", "sample_files", "trained"]

_CHUNK = 64


def main(network: Any, source: str, names: Sequence[str] = ()) -> None:
    """The command line: load the weights next to this file, draw, write. `names` are those of the classes."""
    parser = argparse.ArgumentParser(description=f"Draw images from {source}.")
    parser.add_argument("-n", type=int, default=16, help="how many (16)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the first; the next ones count up (0)")
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to (samples)")
    if classes_of(network):
        parser.add_argument("--class", dest="label", help="a class by number or name (all in turn)")
    if network.z_kind == "normal":
        parser.add_argument("--truncation", type=float, help="calmer images, the nearer to 0 the more (none)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps, ... (cpu)")
    wish = parser.parse_args()
    if wish.n < 1:
        parser.error(f"{wish.n} samples cannot be drawn; ask for 1 or more")
    truncation, label = vars(wish).get("truncation"), vars(wish).get("label")
    if truncation is not None and not 0 < truncation < math.inf:
        parser.error(f"a truncation of {truncation} cannot be; give a number above 0, such as 0.5")
    known = {str(k): k for k in range(classes_of(network))} | {name: k for k, name in enumerate(names)}
    if label is not None and label not in known:
        parser.error(f"there is no class {label!r}; give one of {', '.join(known)}")
    labels = None if label is None else torch.full((wish.n,), known[label])
    try:
        network = trained(network)
    except (OSError, RuntimeError, SafetensorError) as error:
        parser.error(f"generator.safetensors beside this file cannot be used ({str(error).splitlines()[0]})")
    try:
        wish.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"{wish.out} cannot be a folder ({error.strerror}); choose another place")
    try:
        network.to(wish.device)
    except (AssertionError, RuntimeError) as error:  # torch says so in either way
        parser.error(f"{wish.device} cannot be used ({str(error).splitlines()[0]}); leave --device out")
    for name, content in sample_files(
        network, wish.n, seed=wish.seed, labels=labels, truncation=truncation, source=source
    ):
        (wish.out / name).write_bytes(content)
        print(wish.out / name)


def trained(network: Any, weights: str | Path | None = None) -> Any:
    """A network with the weights of a safetensors file, by default of the one next to this file."""
    network.load_state_dict(load_file(weights or Path(__file__).with_name("generator.safetensors")))
    return network.eval()


def sample(
    network: Any, n: int, *, seed: int = 0, labels: Tensor | None = None, truncation: float | None = None
) -> Tensor:
    """Images of the seeds `seed`..`seed + n - 1`: uint8 `[n, c, h, w]` (points: float32 `[n, 2, 1, 1]`).

    Image i depends on its own seed and class and on nothing else: z is drawn seed by seed, and every batch has the same
    size. `labels` `[n]` are by default the seeds modulo the classes; `truncation` draws styles towards their mean by a
    factor, or z within so many deviations where there are no styles.
    """
    z = latents(list(range(seed, seed + n)), network.z_dim, network.z_kind)
    labels = in_turn(n, seed, classes_of(network)) if labels is None else labels
    return render(network, z, labels, truncation=truncation)


def sample_files(
    network: Any,
    n: int,
    *,
    seed: int = 0,
    labels: Tensor | None = None,
    truncation: float | None = None,
    source: str = "",
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files of `n` samples: a PNG for each image, or one table of all points.

    The seed is in the name, and in the PNG with the class and the `source` of the weights.
    """
    rows = ["seed,x,y"]
    labels = in_turn(n, seed, classes_of(network)) if labels is None else labels
    for first in range(0, n, _CHUNK):
        some = slice(first, min(first + _CHUNK, n))
        asked = None if labels is None else labels[some]
        images = sample(network, some.stop - first, seed=seed + first, labels=asked, truncation=truncation)
        for place, image in enumerate(images):
            number = seed + first + place
            if image.shape[1:] == (1, 1):
                rows.append(",".join([str(number), *(f"{x:.9g}" for x in image.flatten().tolist())]))
                continue
            words = {"Software": source, "Seed": str(number)}
            words |= {} if asked is None else {"Class": str(int(asked[place]))}
            words |= {} if truncation is None else {"Truncation": f"{truncation:g}"}
            yield f"seed-{number:06d}.png", png_bytes(image, words)
    if len(rows) > 1:
        yield "points.csv", "\n".join([*rows, ""]).encode()


def png_bytes(image: Tensor, text: Mapping[str, str]) -> bytes:
    """A uint8 image `[c, h, w]` as PNG bytes with text chunks (ISO/IEC 15948).

    1, 3 and 4 channels are grey, RGB and RGBA; of other counts the first one or three are kept.
    """
    channels = image.shape[0] if image.shape[0] in (1, 3, 4) else (3 if image.shape[0] > 4 else 1)
    colour = {1: 0, 3: 2, 4: 6}[channels]
    _, height, width = image.shape
    rows = image[:channels].permute(1, 2, 0).flatten(1)
    changes = rows.clone()
    changes[1:] -= rows[:-1]  # filter 2: what changes from the row above, modulo 256
    pixels = b"".join(b"\2" + bytes(row) for row in changes.tolist())
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))]
    chunks += [(b"tEXt", f"{key}\0{word}".encode("latin-1", "replace")) for key, word in text.items() if word]
    chunks += [(b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
