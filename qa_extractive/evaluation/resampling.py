"""Bootstrap intervals over whole documents, since the rows of one document are not independent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.metrics.bootstrap import Interval, Statistic, bootstrap_statistic_interval
from qa_extractive.metrics.classes import class_counts, macro_f1_of
from qa_extractive.metrics.columns import Bools, Floats
from qa_extractive.metrics.risk_coverage import RiskCoverage
from qa_extractive.metrics.scores import calibration_error
from qa_extractive.types import Example


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """Draws of whole documents, and figures of rows as ``Statistic``s of the documents drawn.

    Attributes:
        units: The number of each document.
        n_resamples: How often to draw; 0 for never.
        seed: Of the draws.
    """

    units: dict[tuple[str, str], int]
    n_resamples: int
    seed: int

    @classmethod
    def of(cls, rows: Iterable[ScoredRow], n_resamples: int, seed: int) -> Resampling:
        """Number the documents of these rows; a row without one is its own."""
        documents = dict.fromkeys(unit_of(row.example) for row in rows)
        return cls({unit: i for i, unit in enumerate(documents)}, n_resamples, seed)

    @property
    def n_units(self) -> int:
        """The distinct documents."""
        return len(self.units)

    def mean(self, values: Floats, rows: Sequence[ScoredRow]) -> Statistic:
        """The mean of the values of these rows, (n_rows,)."""
        units = self._units_of(rows)
        sums = np.bincount(units, weights=values, minlength=self.n_units)
        counts = np.bincount(units, minlength=self.n_units)

        def mean(drawn: NDArray[np.intp]) -> float | None:
            n = counts[drawn].sum()
            return float(sums[drawn].sum() / n) if n else None

        return mean

    def auroc(self, probs: Floats, labels: Bools, rows: Sequence[ScoredRow]) -> Statistic:
        """The area under the ROC curve of these rows; a document drawn twice weighs twice."""
        units = self._units_of(rows)
        distinct, groups = np.unique(probs, return_inverse=True)

        def area(drawn: NDArray[np.intp]) -> float | None:
            weights = np.bincount(drawn, minlength=self.n_units)[units]
            positive = np.bincount(groups, weights=weights * labels, minlength=distinct.size)
            negative = np.bincount(groups, weights=weights * ~labels, minlength=distinct.size)
            n_pairs = positive.sum() * negative.sum()
            return float(positive @ (np.cumsum(negative) - negative / 2) / n_pairs) if n_pairs else None

        return area

    def aurc(self, confidences: Floats, right: Bools, rows: Sequence[ScoredRow]) -> Statistic:
        """The area under the risk-coverage curve of these rows; a document drawn twice weighs twice."""
        units = self._units_of(rows)
        distinct, groups = np.unique(-confidences, return_inverse=True)

        def area(drawn: NDArray[np.intp]) -> float | None:
            weights = np.bincount(drawn, minlength=self.n_units)[units]
            n_rows = np.bincount(groups, weights=weights, minlength=distinct.size)
            n_wrong = np.bincount(groups, weights=weights * ~right, minlength=distinct.size)
            met = n_rows > 0
            answered, wrong = (np.cumsum(n[met]).astype(np.int64) for n in (n_rows, n_wrong))
            return RiskCoverage(-distinct[met], answered, wrong).aurc

        return area

    def calibration_error(self, probs: Floats, outcomes: Bools, rows: Sequence[ScoredRow]) -> Statistic:
        """The calibration error of these rows, in bins of the rows drawn; None where none is drawn.

        Resampling adds chance once more, so that an interval may lie above its value.
        """
        units = self._units_of(rows)

        def error(drawn: NDArray[np.intp]) -> float | None:
            taken = np.repeat(np.arange(units.size), np.bincount(drawn, minlength=self.n_units)[units])
            return calibration_error(probs[taken], outcomes[taken])

        return error

    def macro_f1(
        self, true: Sequence[str], given: Sequence[str | None], rows: Sequence[ScoredRow]
    ) -> Statistic:
        """The macro F1 of classes of these rows; a document drawn twice weighs twice."""
        units = self._units_of(rows)
        counts = class_counts(true, given)
        by_unit = np.zeros((self.n_units, *counts.shape[1:]), dtype=np.int64)
        np.add.at(by_unit, units, counts)
        return lambda drawn: macro_f1_of(by_unit[drawn].sum(axis=0))

    def interval(self, statistic: Statistic) -> Interval | None:
        """95 % interval of a statistic; None without resamples or two documents."""
        if not self.n_resamples:
            return None
        return bootstrap_statistic_interval(
            statistic, self.n_units, n_resamples=self.n_resamples, seed=self.seed
        )

    def _units_of(self, rows: Sequence[ScoredRow]) -> NDArray[np.intp]:
        return np.array([self.units[unit_of(row.example)] for row in rows], dtype=np.intp)


def unit_of(example: Example) -> tuple[str, str]:
    """What is drawn as a whole: the document of a row or, without one, the row."""
    return ("document", example.document) if example.document else ("row", example.id)
