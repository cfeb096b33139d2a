"""What a run leaves behind while it goes on: records, grids, checkpoints, each at moments counted in `seen`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar, final

from sparring.console import Display
from sparring.engine.checkpoint import save
from sparring.engine.devices import matrix_rate
from sparring.engine.rounds import Round
from sparring.errors import DiskError, DivergedError
from sparring.report import write_report
from sparring.tracking import Tracker
from sparring.training.session import Session

__all__ = ["Keeper"]

_Written = TypeVar("_Written")

_GRIDS = 40
_LOGS = 400
_PATIENCE = 5
_SECONDS_BETWEEN_REPORTS = 20
_SECONDS_BETWEEN_CHECKPOINTS = 600


@final
class Keeper:
    """Keeps the files of one session. A full disk is a warning, and at the fifth checkpoint in a row an error."""

    def __init__(self, session: Session, screen: Display, tracking: Tracker | None) -> None:
        self._session, self._screen, self._tracking = session, screen, tracking
        budget = session.bound.facts.budget
        self._log_every = max(budget // _LOGS, 1)
        self._grid_every = max(budget // _GRIDS, 1)
        self._early = [budget // 320, budget // 160, budget // 80]
        self._begun = time.perf_counter()
        self._last_record = (session.state.seen, self._begun)
        self._last_report = self._last_checkpoint = self._begun
        self._failures = 0  # checkpoints in a row that could not be written
        self._refused = False
        self._saved = -1

    def after(self, played: Round) -> None:
        """Whatever is due after a round: the record before the checkpoint, so that no resume loses a line."""
        before, now = played.seen - played.batch, played.seen
        end = now >= self._session.until
        if now // self._log_every > before // self._log_every or end:
            self.record()
        early = any(before < moment <= now for moment in self._early)
        if early or end or now // self._grid_every > before // self._grid_every:
            self.grid()
            self.checkpoint(last=False)
            if time.perf_counter() - self._last_report > _SECONDS_BETWEEN_REPORTS:
                self.tolerate(lambda: write_report(self._session.run, standing="training"))
                self._last_report = time.perf_counter()
        elif time.perf_counter() - self._last_checkpoint > _SECONDS_BETWEEN_CHECKPOINTS:
            self.checkpoint(last=False)

    def record(self) -> None:
        """Append the interval's means to the log and show them."""
        session = self._session
        if session.state.bad:
            raise DivergedError(
                f"training diverged before {session.state.seen} images: a loss or gradient was not finite, and no bad "
                "step was taken. Lower the learning rate or raise the penalty's weight"
            )
        seen, now = session.state.seen, time.perf_counter()
        speed = (seen - self._last_record[0]) / max(now - self._last_record[1], 1e-9)
        share = speed * session.card.get("operations_per_image", 0.0) / matrix_rate(session.devices.device.type)
        record = {
            "seen": seen,
            "round": session.state.round,
            "seconds": round(session.seconds + now - self._begun, 3),
            "images_per_second": round(speed, 2),
            "matrix_share": round(share, 4),
            **session.state.notes.means(),
        }
        session.state.notes.clear()
        self._last_record = (seen, now)
        self.tolerate(lambda: session.run.append(record))
        self._screen.show(record, session.until)
        self._track(lambda tracking: tracking.record(record))

    def grid(self) -> None:
        """Keep a grid from the same z as every other."""
        session = self._session
        images, columns = session.grid()
        seen, reach = session.state.seen, session.reach
        path = self.tolerate(lambda: session.run.keep_grid(seen, images, columns=columns, reach=reach))
        if path is not None:
            self._track(lambda tracking: tracking.picture(seen, path))

    def checkpoint(self, *, last: bool) -> None:
        """Save the state, unless a number of it is not finite."""
        session = self._session
        if self._saved == session.state.seen:
            return
        wrong = session.state.not_finite()
        if wrong:
            raise DivergedError(
                f"training diverged at {session.state.seen} images: {wrong} is not finite; the checkpoint before it is "
                "intact. Lower the learning rate"
            )
        record = {**session.state.scalars(), "recipe": session.identity}

        def write() -> None:
            save(session.run.path / "checkpoints", session.state.tensors(), record)
            self._failures, self._saved, self._last_checkpoint = 0, session.state.seen, time.perf_counter()

        if last or self._failures == _PATIENCE - 1:
            self._require_run()
            write()
            return
        self._failures += 1  # unless it is written
        self.tolerate(write)

    def tolerate(self, write: Callable[[], _Written]) -> _Written | None:
        """What `write` gives; None where the disk refused, which is said when it begins to."""
        try:
            self._require_run()
            written = write()
        except DiskError as error:
            if not self._refused:
                self._screen.say(f"{error} (training goes on)")
            self._refused = True
            return None
        self._refused = False
        return written

    def _require_run(self) -> None:
        """Raises DiskError where the folder has gone, which nothing is to be written back into without its recipe."""
        run = self._session.run
        if not run.exists:
            raise DiskError(f"{run.path} has no recipe.json any more, so nothing is kept there; put the folder back")

    def _track(self, write: Callable[[Tracker], None]) -> None:
        """Tell TensorBoard, if it is told anything; a writer that has failed once never writes again."""
        if self._tracking is None:
            return
        try:
            write(self._tracking)
        except OSError as error:
            self._tracking = None
            self._screen.say(f"TensorBoard is told no more ({error.strerror or error}); training goes on")
