"""What became of the rows of a table, counted as they pass."""

from __future__ import annotations

import time
from array import array
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from qa_extractive.rows.answer_rows import BATCH_SIZE
from qa_extractive.rows.results import Batch, RowError, RowResult
from qa_extractive.types import UNSURE

_N_FIRST_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed rows of one kind.

    Attributes:
        kind: As in ``RowError``.
        n_rows: How many there are.
        first: Row number and message of the first few.
    """

    kind: str
    n_rows: int
    first: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of the rows up to some row.

    Attributes:
        n_rows: Rows read, and written.
        n_answered: Those with an answer.
        n_abstained: Those whose context does not say, or perhaps.
        n_repeated: Those of either kind whose answer is an earlier row's.
        failures: The others, by kind, in order of first appearance.
        n_unsure: Those abstained whose ``status`` is "unsure": the best span is worth a look.
    """

    n_rows: int = 0
    n_answered: int = 0
    n_abstained: int = 0
    n_repeated: int = 0
    failures: tuple[Failures, ...] = ()
    n_unsure: int = 0

    @property
    def n_failed(self) -> int:
        """Rows with an ``error``."""
        return sum(failures.n_rows for failures in self.failures)

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain values that ``json`` can write."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Counts:
        """What ``to_dict`` made, through JSON or not."""
        failures = (
            Failures(each["kind"], each["n_rows"], tuple((row, text) for row, text in each["first"]))
            for each in values["failures"]
        )
        return cls(**{**values, "failures": tuple(failures)})


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a table.

    Attributes:
        n_rows: Rows written, in this run and in those that it continues.
        n_answered: Those with an answer.
        n_abstained: Those whose context does not say, or perhaps.
        failures: The others, by kind, in order of first appearance.
        seconds: From the first row read to the last one written, in this run.
        batch_ms: Time of each full batch of this run, in order; see ``Batch.ms``.
        short_batch_ms: Time of each batch of fewer than ``BATCH_SIZE`` questions.
        n_resumed: Rows that an earlier run had written.
        n_repeated: Rows whose answer is that of an earlier row with the same texts.
        is_complete: Whether all rows of the table are written, so that the output is there.
        n_unsure: Those abstained whose ``status`` is "unsure".
    """

    n_rows: int
    n_answered: int
    n_abstained: int
    failures: tuple[Failures, ...]
    seconds: float
    batch_ms: tuple[float, ...]
    short_batch_ms: tuple[float, ...] = ()
    n_resumed: int = 0
    n_repeated: int = 0
    is_complete: bool = True
    n_unsure: int = 0

    @property
    def n_failed(self) -> int:
        """Rows with an ``error``."""
        return sum(failures.n_rows for failures in self.failures)

    @property
    def rows_per_s(self) -> float:
        """Rows a second in this run, reading and writing included."""
        return (self.n_rows - self.n_resumed) / self.seconds if self.seconds > 0.0 else 0.0

    def batch_quantile_ms(self, share: float) -> float | None:
        """The time that this share of the full batches kept to (1.0: the longest); None if there is none."""
        return float(np.quantile(self.batch_ms, share)) if self.batch_ms else None

    def n_batches_over(self, budget_s: float) -> int:
        """Batches that took longer than the budget; a short one that did counts as well."""
        return sum(ms > budget_s * 1000.0 for ms in (*self.batch_ms, *self.short_batch_ms))


class Tally:
    """Counts rows and batches as they pass, in eight bytes a batch."""

    def __init__(self, start: Counts) -> None:
        """Go on from these counts."""
        self._started = time.perf_counter()
        self._n_resumed = start.n_rows
        self._n_rows, self._n_answered = start.n_rows, start.n_answered
        self._n_abstained, self._n_repeated = start.n_abstained, start.n_repeated
        self._n_unsure = start.n_unsure
        self._failures = {failures.kind: failures for failures in start.failures}
        self._full_ms = array("d")
        self._short_ms = array("d")

    def add_times(self, batch: Batch) -> None:
        """Note how long a batch took."""
        if batch.n_questions:
            (self._full_ms if batch.n_questions == BATCH_SIZE else self._short_ms).append(batch.ms)

    def add(self, result: RowResult) -> None:
        """Count a row."""
        self._n_rows += 1
        self._n_repeated += result.is_repeated
        if isinstance(result.outcome, RowError):
            self._add_failure(result.row.number, result.outcome)
        elif result.outcome.abstained:
            self._n_abstained += 1
            self._n_unsure += result.outcome.status == UNSURE
        else:
            self._n_answered += 1

    def _add_failure(self, number: int, error: RowError) -> None:
        known = self._failures.get(error.kind, Failures(error.kind, 0, ()))
        first = (*known.first, (number, error.message))[:_N_FIRST_FAILURES]
        self._failures[error.kind] = Failures(error.kind, known.n_rows + 1, first)

    def add_counts(self, counts: Counts) -> None:
        """Count rows that were counted elsewhere."""
        self._n_rows += counts.n_rows
        self._n_answered += counts.n_answered
        self._n_abstained += counts.n_abstained
        self._n_repeated += counts.n_repeated
        self._n_unsure += counts.n_unsure
        for each in counts.failures:
            known = self._failures.get(each.kind, Failures(each.kind, 0, ()))
            first = tuple(sorted({*known.first, *each.first})[:_N_FIRST_FAILURES])
            self._failures[each.kind] = Failures(each.kind, known.n_rows + each.n_rows, first)

    def counts(self) -> Counts:
        """The rows so far."""
        failures = tuple(self._failures.values())
        done = (self._n_rows, self._n_answered, self._n_abstained, self._n_repeated)
        return Counts(*done, failures, self._n_unsure)

    def summary(self, written: Counts, *, is_complete: bool) -> Summary:
        """What became of the rows that are written; others may have been counted."""
        return Summary(
            n_rows=written.n_rows,
            n_answered=written.n_answered,
            n_abstained=written.n_abstained,
            failures=written.failures,
            seconds=time.perf_counter() - self._started,
            batch_ms=tuple(self._full_ms),
            short_batch_ms=tuple(self._short_ms),
            n_resumed=self._n_resumed,
            n_repeated=written.n_repeated,
            n_unsure=written.n_unsure,
            is_complete=is_complete,
        )
