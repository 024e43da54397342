"""Selective answering: what answering only the most confident rows costs in coverage and saves in risk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qa_extractive.metrics.columns import Floats, Ints, mean_or_none, paired_columns


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """What answering only the most confident rows costs, one point for each threshold that differs.

    Attributes:
        thresholds: Confidences, (n_points,), descending; the rows at or above one are answered.
        n_answered: Rows answered at each threshold, (n_points,); the last are all rows.
        n_wrong: Those among them that are not right, (n_points,).
    """

    thresholds: Floats
    n_answered: Ints
    n_wrong: Ints

    @property
    def coverages(self) -> Floats:
        """Share of the rows answered, (n_points,), ascending to 1."""
        return self.n_answered / self.n_answered[-1:]

    @property
    def risks(self) -> Floats:
        """Share of the answers given that are wrong, (n_points,)."""
        return self.n_wrong / self.n_answered

    @property
    def aurc(self) -> float | None:
        """Mean risk over answering the 1, 2, ... n most confident rows; None without rows.

        Geifman and El-Yaniv 2017, arXiv 1705.08500; rows of equal confidence enter in random order,
        in expectation. Lower is better, the risk at full coverage is chance.
        """
        wrong = self._expected_wrong()
        return mean_or_none(wrong / np.arange(1, wrong.size + 1))

    @property
    def augrc(self) -> float | None:
        """Area under the generalised risk (wrong answers given, of all rows) over coverage, in [0, 0.5].

        Traub et al. 2024, arXiv 2407.01032: the mean rate of undetected errors, by trapezoids from
        (0, 0); with error rate e it is (1 - AUROC) e (1 - e) + e^2 / 2. None without rows.
        """
        wrong = self._expected_wrong()
        return float((wrong.sum() - wrong[-1] / 2) / wrong.size**2) if wrong.size else None

    def coverage_at(self, precision: float) -> float | None:
        """The largest coverage of a threshold whose answers are right at least this often.

        0.0 where no threshold reaches the precision, None without rows. Measured on these rows: it
        promises nothing about others.
        """
        if self.n_answered.size == 0:
            return None
        precisions = (self.n_answered - self.n_wrong) / self.n_answered
        return float(self.coverages[precisions >= precision].max(initial=0.0))

    def _expected_wrong(self) -> Floats:
        """Wrong answers among the k most confident rows, (n_rows,) for k = 1 ... n, ties in expectation."""
        n = int(self.n_answered[-1]) if self.n_answered.size else 0
        points = np.concatenate([[0], self.n_answered]), np.concatenate([[0], self.n_wrong])
        return np.asarray(np.interp(np.arange(1, n + 1), *points))


def risk_coverage(confidences: ArrayLike, right: ArrayLike) -> RiskCoverage:
    """The risk-coverage curve of answers.

    Args:
        confidences: How sure the system is of each answer, (n_rows,); any finite numbers.
        right: Whether each answer is right, (n_rows,).
    """
    values, labels = paired_columns(confidences, right)
    thresholds, inverse, counts = np.unique(-values, return_inverse=True, return_counts=True)
    wrong = np.bincount(inverse, weights=~labels, minlength=counts.size).astype(np.int64)
    return RiskCoverage(-thresholds, np.cumsum(counts), np.cumsum(wrong))
