"""How far a run is: a line on a terminal, JSON lines for machines, or nothing."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from qa_extractive.cli.terminal import print_on_stderr, replace_line
from qa_extractive.types import Answer

if TYPE_CHECKING:
    from qa_extractive.batch import Batch, RowResult
    from qa_extractive.batch.summary import Counts

Style = Literal["line", "json", "nothing"]

_N_EXAMPLES = 5
_SECONDS_BETWEEN: dict[Style, float] = {"line": 0.2, "json": 10.0, "nothing": float("inf")}


class EventLog:
    """JSON lines on stderr. One that cannot be written stops nothing.

    Attributes:
        is_lost: Whether some line could not be written, as on a full disk; not because nobody reads them.
    """

    def __init__(self) -> None:
        """Begin with nothing lost."""
        self.is_lost = False

    def write(self, event: str, **values: Any) -> None:
        """Print one line."""
        try:
            print_on_stderr(event_line(event, **values) + "\n")
        except BrokenPipeError:
            pass
        except OSError:
            self.is_lost = True


def event_line(event: str, **values: Any) -> str:
    """The JSON of an event."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"time": now, "event": event, **values})


@contextmanager
def warnings_shown(style: Style, log: EventLog, *, is_quiet: bool) -> Iterator[None]:
    """Have what the package warns of as JSON lines where the rest is, and not at all where nothing is."""
    logger = logging.getLogger("qa_extractive")
    handler = _EventHandler(log)
    level, propagates = logger.level, logger.propagate
    if is_quiet:
        logger.setLevel(logging.ERROR)
    elif style == "json":
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


class _EventHandler(logging.Handler):
    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.write("warning", message=record.getMessage())


class Watcher:
    """Keeps the first results and shows how far a run is.

    Attributes:
        first: The results of the first few rows of this run.
    """

    def __init__(self, n_rows: int, style: Style, log: EventLog) -> None:
        """Take how many rows there are and how to show how many are done.

        Args:
            n_rows: Rows to answer.
            style: How.
            log: Where to, in JSON.
        """
        self._log = log
        self.first: list[RowResult] = []
        self._n_rows = n_rows
        self._n_resumed = self._n_done = self._n_abstained = 0
        self._is_started = False
        self._style = style
        self._started = self._shown = time.monotonic()

    def start(self, counts: Counts) -> None:
        """Begin after these rows."""
        self._is_started = True
        self._n_resumed = self._n_done = counts.n_rows
        self._n_abstained = counts.n_abstained
        if self._style == "json":
            self._log.write("start", rows=self._n_rows, resumed=counts.n_rows)

    def see(self, batch: Batch) -> None:
        """Count a batch, and show it if it is time to."""
        self.first += batch.results[: _N_EXAMPLES - len(self.first)]
        self._n_done += len(batch.results)
        self._n_abstained += sum(isinstance(r.outcome, Answer) and r.outcome.abstained for r in batch.results)
        self._show_in_time()

    def see_counts(self, counts: Counts) -> None:
        """Take the counts of all rows so far, and show them if it is time to."""
        if self._is_started:
            self._n_done, self._n_abstained = counts.n_rows, counts.n_abstained
            self._show_in_time()
        else:
            self.start(counts)

    def _show_in_time(self) -> None:
        now = time.monotonic()
        if now - self._shown >= _SECONDS_BETWEEN[self._style]:
            self._shown = now
            self._show(now - self._started)

    def _show(self, seconds: float) -> None:
        rate = (self._n_done - self._n_resumed) / seconds
        left = int((self._n_rows - self._n_done) / rate)
        share = self._n_abstained / self._n_done
        if self._style == "json":
            values = {"rows_per_s": round(rate, 2), "seconds_left": left, "abstained_share": round(share, 4)}
            self._log.write("progress", rows=self._n_done, of=self._n_rows, **values)
        else:
            done = f"{self._n_done:,} of {self._n_rows:,} rows, {rate:.1f} rows/s"
            replace_line(f"{done}, {_clock(left)} left, {share:.0%} abstained")

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._style == "line":
            replace_line("")


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
