"""A run is a folder: `recipe.json`, `log.jsonl`, `samples/`, `checkpoints/`, `report.html`."""

from __future__ import annotations

import contextlib
import html
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, final

import filelock
from torch import Tensor

from sparring.engine.checkpoint import Checkpoint, newest, read, sweep, under, write_durably, writing
from sparring.engine.sampler import TrainedGenerator, class_names, settled, trained_network
from sparring.engine.state import State
from sparring.engine.translator import TrainedTranslator
from sparring.errors import DiskError, FileUnusableError, FolderInUseError
from sparring.names import choose
from sparring.paths import expanded
from sparring.pictures import data_url, grid, png
from sparring.recipe import BoundRecipe
from sparring.recipe_file import from_json, to_json

__all__ = ["FORMAT", "Run"]

FORMAT = 1


@final
class Run:
    """A run on disk. Reading needs no lock: files are immutable once they have their name.

    `trust` are the modules, beside sparring's own, whose parts its recipe may name; a run cannot grant that itself.
    """

    def __init__(self, path: str | Path, *, trust: Iterable[str] = ()) -> None:
        self.path = expanded(path)
        self.trust = tuple(trust)
        self._generator: tuple[Checkpoint, TrainedGenerator] | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        """The newest sample grid and where it stands, for notebooks."""
        grids = self.grids()
        picture = f'<img alt="samples" src="{data_url(grids[-1][1].read_bytes())}">' if grids else ""
        seen = grids[-1][0] if grids else 0
        return f"<p><b>{html.escape(self.bound.recipe.name)}</b> after {seen:,} images</p>{picture}"

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return os.path.exists(self.path / "recipe.json")  # False where one may not look

    @cached_property
    def card(self) -> dict[str, Any]:
        """The content of `recipe.json`; raises FileUnusableError if it is missing, damaged or newer."""
        path = self.path / "recipe.json"
        try:
            card: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise FileUnusableError(
                f"{self.path} is not a run (it has no recipe.json); give the folder of a run"
            ) from error
        except (OSError, ValueError, RecursionError) as error:
            raise FileUnusableError(f"{path} cannot be read ({error}); restore it from a copy") from error
        if not (isinstance(card, dict) and isinstance(card.get("format"), int) and _complete(card)):
            raise FileUnusableError(f"{path} is not the record of a run; restore it from a copy")
        if card["format"] > FORMAT:
            raise FileUnusableError(
                f"{path} has format {card['format']}, this version reads up to {FORMAT}; update sparring"
            )
        return card

    @property
    def trust_words(self) -> tuple[str, ...]:
        """What a command about this run says, so that its recipe may name the modules that are trusted."""
        return tuple(word for module in self.trust for word in ("--trust", module))

    @property
    def bound(self) -> BoundRecipe:
        """The recipe as it was fitted to the data."""
        return from_json(self.card["recipe"], trust=self.trust)

    @property
    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint that verifies; raises FileUnusableError if there is none."""
        found = newest(self.path / "checkpoints")
        if found is None:
            raise FileUnusableError(f"{self.path} has no checkpoint yet; let it train a little longer")
        return found

    @property
    def generator(self) -> TrainedGenerator:
        """The generator of the newest checkpoint, with averaged weights where the recipe keeps them.

        Read once for each checkpoint.
        """
        self.bound  # noqa: B018 - a recipe that cannot be read is the first thing to say
        checkpoint = self.checkpoint
        if self._generator is None or self._generator[0] != checkpoint:
            self._generator = checkpoint, self.generator_at(checkpoint)
        return self._generator[1]

    def generator_at(self, checkpoint: Checkpoint) -> TrainedGenerator:
        """The generator of one checkpoint; raises FileUnusableError if it is damaged or does not fit the recipe."""
        bound = self.bound
        name = bound.recipe.sampler
        weights, source = self.weights(checkpoint, name), f"{bound.recipe.name} {checkpoint.digest}"
        names = class_names(self.card["data"]["classes"], self.path / "recipe.json")
        generator = TrainedGenerator.of(bound, weights, source=source, names=names)
        standing = bound.recipe.emas[name].standing if name in bound.recipe.emas else 0
        if standing:
            generator.network = settled(generator.network, standing)
        return generator

    def weights(self, checkpoint: Checkpoint, player: str) -> dict[str, Tensor]:
        """A player's weights in a checkpoint, averaged where the recipe keeps averages."""
        kind = "average" if player in self.bound.recipe.emas else "weights"
        tensors, _ = read(checkpoint)
        return under(f"players.{player}.{kind}.", tensors)

    def translator(self, player: str | None = None) -> TrainedTranslator:
        """The translator of the newest checkpoint: the one that is kept, or another player.

        Raises FileUnusableError as `generator` does, UsageError where there is no such player or it is no translator.
        """
        self.bound  # noqa: B018 - a recipe that cannot be read is the first thing to say
        return self.translator_at(self.checkpoint, player)

    def translator_at(self, checkpoint: Checkpoint, player: str | None = None) -> TrainedTranslator:
        """The translator of one checkpoint; raises as `translator` does."""
        bound = self.bound
        name = player or bound.recipe.sampler
        choose(name, bound.recipe.optims, f"player of {bound.recipe.name}")
        network = trained_network(bound, name, self.weights(checkpoint, name))
        return TrainedTranslator(network, source=f"{bound.recipe.name} {checkpoint.digest}")

    def records(self) -> list[dict[str, Any]]:
        """The log, without what a resume played again and without lines that are torn or damaged."""
        try:
            lines = (self.path / "log.jsonl").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return []
        found: list[dict[str, Any]] = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                record = json.loads(line)
                if not isinstance(record, dict) or not isinstance(record.get("seen", 0), int):
                    continue
                if isinstance(record.get("resumed_at"), int):
                    found = [earlier for earlier in found if earlier.get("seen", 0) <= record["resumed_at"]]
                found.append(record)
        return found

    def grids(self) -> list[tuple[int, Path]]:
        """(seen, path) of the sample grids, oldest first."""
        paths = sorted((self.path / "samples").glob("seen-*.png"))
        counted = [(path.stem.removeprefix("seen-"), path) for path in paths]
        return [(int(seen), path) for seen, path in counted if seen.isdecimal()]

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the one trainer of this folder; raises FolderInUseError at once if another process is."""
        lock = filelock.FileLock(self.path / "LOCK", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
            for folder in (self.path, self.path / "samples", self.path / "checkpoints"):
                folder.mkdir(exist_ok=True)
                sweep(folder)
        except filelock.Timeout as error:
            raise FolderInUseError(
                f"another process is training in {self.path}; wait for it, stop it, or choose another --out"
            ) from error
        except (OSError, NotImplementedError) as error:
            lock.release()
            reason = getattr(error, "strerror", None) or error
            raise DiskError(f"{self.path} cannot hold a run ({reason}); choose another --out") from error
        try:
            yield
        finally:
            lock.release()

    def begin(self, bound: BoundRecipe, card: Mapping[str, Any]) -> None:
        """Write `recipe.json`: from now on this folder is a run."""
        content = {"format": FORMAT, **card, "recipe": to_json(bound)}
        write_durably(self.path / "recipe.json", (json.dumps(content, indent=1) + "\n").encode())
        self.__dict__.pop("card", None)

    def restore(self, state: State, identity: str) -> int:
        """Load the newest intact checkpoint into `state`, and return its `seen`.

        Raises FileUnusableError if there is none that is intact, or if it is not of this run (`identity`).
        """
        found = newest(self.path / "checkpoints", mend=True)
        if found is not None:
            tensors, record = read(found)
            if record.get("recipe") != identity:
                raise FileUnusableError(
                    f"{found.path} belongs to a run with another recipe or seed; remove it from this folder"
                )
            state.load(tensors, record)
        return state.seen

    def append(self, record: Mapping[str, Any]) -> None:
        """One line for the log, flushed; a line torn by a kill stays alone on its own."""
        path = self.path / "log.jsonl"
        with writing(path), path.open("ab+") as file:
            if file.tell() and not _ends_a_line(file):
                file.write(b"\n")
            file.write((json.dumps(record) + "\n").encode())

    def keep_grid(self, seen: int, images: Any, *, columns: int = 8, reach: float | None = None) -> Path:
        """Write the sample grid of a moment; of points, in a window of half-width `reach`."""
        path = self.path / "samples" / f"seen-{seen:012d}.png"
        write_durably(
            path, png(grid(images, columns=columns, reach=reach), {"Software": "sparring", "seen": str(seen)})
        )
        return path


def _complete(card: Mapping[str, Any]) -> bool:
    """Whether a record has what every reader relies on."""
    kinds = {"recipe": dict, "seed": int, "data": dict}
    return card["format"] > FORMAT or (
        all(isinstance(card.get(name), kind) for name, kind in kinds.items())
        and isinstance(card.get("machine", {}), dict)
        and _are_data(card["data"])
    )


def _are_data(data: Mapping[str, Any]) -> bool:
    """Whether these are the facts of a data set that every reader relies on."""
    kinds = {"source": str | None, "name": str, "fingerprint": str, "channels": str | int, "images": int}
    lists = {"shape": int, "classes": str, "held_out": int}
    return (
        all(name in data and isinstance(data[name], kind) for name, kind in kinds.items())
        and all(isinstance(data.get(name), list) for name in lists)
        and all(isinstance(item, kind) for name, kind in lists.items() for item in data[name])
        and len(data["shape"]) == 3
        and all(0 <= place < data["images"] for place in data["held_out"])
    )


def _ends_a_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return bool(file.read(1) == b"\n")
