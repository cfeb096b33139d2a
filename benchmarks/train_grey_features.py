"""Train the embedded grey feature network (`sparring.features.grey28`) and state its accuracy.

    python benchmarks/train_grey_features.py MNIST/raw FashionMNIST/raw --out src/sparring/features/grey28.safetensors

Each folder holds the four IDX files of one data set, gzipped or not. The network learns all classes of all folders
jointly, from the training files; the test files are only read for the accuracy printed at the end.
Seeded: the same torch build on the same number of threads gives the same file.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from sparring.features.grey28 import Grey28

SEED = 2014  # the year of the first GAN
BATCH = 128


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folders", nargs="+", type=Path, help="folders of IDX files, in the order of the classes")
    arguments.add_argument("--out", type=Path, required=True, help="where to write the weights (.safetensors)")
    arguments.add_argument("--epochs", type=int, default=4)
    given = arguments.parse_args()

    torch.manual_seed(SEED)
    module = Grey28().to(memory_format=torch.channels_last)
    train([read(folder, "train", 10 * i) for i, folder in enumerate(given.folders)], module, given.epochs)
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, given.out)
    for i, folder in enumerate(given.folders):
        print(f"{folder}: test accuracy {accuracy(module, *read(folder, 't10k', 10 * i)):.2%}")
    print(f"{given.out}: {given.out.stat().st_size:,} bytes")


def train(sets: list[tuple[Tensor, Tensor]], module: Grey28, epochs: int) -> None:
    """Adam under a one-cycle rate (Smith & Topin 2018)."""
    images, labels = (torch.cat(parts) for parts in zip(*sets, strict=True))
    steps = len(images) // BATCH
    optimiser = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.01, fused=True)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=epochs * steps)
    random = np.random.default_rng(SEED)
    for epoch in range(epochs):
        begun, total = time.time(), 0.0
        order = torch.from_numpy(random.permutation(len(images)))
        for rows in order[: steps * BATCH].split(BATCH):
            loss = cross_entropy(module(images[rows]).logits, labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1}: loss {total / steps:.4f}, {time.time() - begun:.0f} s", flush=True)


def accuracy(module: Grey28, images: Tensor, labels: Tensor) -> float:
    module.eval()
    with torch.inference_mode():
        right = [(module(x).logits.argmax(1) == y).sum() for x, y in zip(images.split(500), labels.split(500))]  # noqa: B905
    return float(sum(right)) / len(images)


def read(folder: Path, split: str, first_class: int) -> tuple[Tensor, Tensor]:
    """uint8 [n, 1, 28, 28] and int64 [n] labels, counted from `first_class`."""
    images = idx(folder / f"{split}-images-idx3-ubyte", header=16)
    labels = idx(folder / f"{split}-labels-idx1-ubyte", header=8)
    return images.view(-1, 1, 28, 28), labels.long() + first_class


def idx(path: Path, *, header: int) -> Tensor:
    zipped = path.with_name(path.name + ".gz")
    data = gzip.decompress(zipped.read_bytes()) if zipped.exists() else path.read_bytes()
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=header).copy())


if __name__ == "__main__":
    main()
