"""Figures of a whole set: SQuAD scores, answerability and calibration.

Pure functions of columns, one entry a row. A figure that is not defined (no rows, one class only) is
None, never NaN; a column that cannot be scored (lengths that differ, a NaN, an unknown label) is a
DataError. The matching of strings is in ``text``, selective risk in ``risk_coverage``, intervals in
``bootstrap``.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qa_extractive.errors import DataError, QAError
from qa_extractive.metrics.columns import (
    Bools,
    Floats,
    Ints,
    mean_or_none,
    paired_columns,
    prob_column,
    require_same_length,
)
from qa_extractive.metrics.text import SquadVersion, best_exact_match, best_token_f1
from qa_extractive.metrics.thresholds import answer_gains, best_cut


@dataclass(frozen=True, slots=True, eq=False)
class RowScores:
    """The SQuAD scores of each row: what bootstraps and slices start from.

    Attributes:
        em: Exact match, (n_rows,), 0 or 1.
        f1: Token F1, (n_rows,), in [0, 1].
        answerable: Whether the row has references, (n_rows,).
    """

    em: Floats
    f1: Floats
    answerable: Bools


@dataclass(frozen=True, slots=True)
class SquadScores:
    """The figures of the official SQuAD scripts, in [0, 1] instead of percent; None where there are no rows.

    Attributes:
        em: Mean exact match.
        f1: Mean token F1.
        n: Rows.
        has_ans_em: Mean exact match of the answerable rows.
        has_ans_f1: Mean token F1 of the answerable rows.
        n_has_ans: Answerable rows.
        no_ans_em: Mean exact match of the unanswerable rows: the share answered with nothing.
        no_ans_f1: Mean token F1 of the unanswerable rows.
        n_no_ans: Unanswerable rows.
        best_em: Exact match at the best no-answer threshold; None without no-answer probabilities.
        best_em_threshold: That threshold: a row is answered while its no-answer probability is at most it.
        best_f1: Token F1 at the best no-answer threshold for it.
        best_f1_threshold: That threshold.
    """

    em: float | None
    f1: float | None
    n: int
    has_ans_em: float | None
    has_ans_f1: float | None
    n_has_ans: int
    no_ans_em: float | None
    no_ans_f1: float | None
    n_no_ans: int
    best_em: float | None = None
    best_em_threshold: float | None = None
    best_f1: float | None = None
    best_f1_threshold: float | None = None

    def __post_init__(self) -> None:
        """Raise DataError where the counts do not add up or a mean lies outside [0, 1]."""
        if self.n != self.n_has_ans + self.n_no_ans:
            raise DataError(
                f"{self.n_has_ans} answerable and {self.n_no_ans} unanswerable rows are not {self.n}"
            )
        means = (self.em, self.f1, self.has_ans_em, self.has_ans_f1, self.no_ans_em, self.no_ans_f1)
        if any(mean is not None and not 0.0 <= mean <= 1.0 for mean in means):
            raise DataError(f"SQuAD scores must lie in [0, 1], got {means}")


def squad_rows(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, version: SquadVersion = "2.0"
) -> RowScores:
    """Exact match and token F1 of each row, the best over its references.

    Raises:
        DataError: If the columns differ in length, the version is unknown, or a row of version 1.1 has
            no references.
    """
    if version not in ("1.1", "2.0"):
        raise DataError(f"unknown SQuAD version {version!r}: give '1.1' or '2.0'")
    require_same_length(predictions=len(predictions), references=len(references))
    rows = list(zip(predictions, references, strict=True))
    return RowScores(
        em=np.array([best_exact_match(p, r, version=version) for p, r in rows], dtype=np.float64),
        f1=np.array([best_token_f1(p, r, version=version) for p, r in rows], dtype=np.float64),
        answerable=np.array([len(r) > 0 for r in references], dtype=np.bool_),
    )


def squad_scores(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    version: SquadVersion = "2.0",
    no_answer_probs: ArrayLike | None = None,
) -> SquadScores:
    """The figures of the official SQuAD script.

    Args:
        predictions: The answers, (n_rows,); the empty string where the system abstained.
        references: The references of each row, (n_rows,); none means that it is unanswerable.
        version: "1.1" or "2.0"; they differ in empty answers (see token_f1 and gold_references).
        no_answer_probs: The probability that a row has no answer, (n_rows,); asks for the ``best_*``
            figures. The predictions should then be the answers from before any abstention.

    Raises:
        DataError: If the columns do not fit together, or version 1.1 is given an unanswerable row or
            no-answer probabilities.
    """
    if version == "1.1" and no_answer_probs is not None:
        raise DataError("SQuAD 1.1 has no no-answer threshold: use version 2.0 with no_answer_probs")
    rows = squad_rows(predictions, references, version=version)
    scores = squad_means(rows)
    return scores if no_answer_probs is None else _with_best(scores, rows, predictions, no_answer_probs)


def squad_means(rows: RowScores) -> SquadScores:
    """The figures of rows that are scored already."""
    has_ans, no_ans = rows.answerable, ~rows.answerable
    return SquadScores(
        em=mean_or_none(rows.em),
        f1=mean_or_none(rows.f1),
        n=rows.em.size,
        has_ans_em=mean_or_none(rows.em[has_ans]),
        has_ans_f1=mean_or_none(rows.f1[has_ans]),
        n_has_ans=int(has_ans.sum()),
        no_ans_em=mean_or_none(rows.em[no_ans]),
        no_ans_f1=mean_or_none(rows.f1[no_ans]),
        n_no_ans=int(no_ans.sum()),
    )


def _with_best(
    scores: SquadScores, rows: RowScores, predictions: Sequence[str], no_answer_probs: ArrayLike
) -> SquadScores:
    probs = prob_column(no_answer_probs)
    require_same_length(predictions=len(predictions), no_answer_probs=probs.size)
    if scores.n == 0:
        return scores
    answered = np.array([bool(prediction) for prediction in predictions])
    best_em, best_em_threshold = _best_threshold(rows.em, rows.answerable, answered, probs)
    best_f1, best_f1_threshold = _best_threshold(rows.f1, rows.answerable, answered, probs)
    return dataclasses.replace(
        scores,
        best_em=best_em,
        best_em_threshold=best_em_threshold,
        best_f1=best_f1,
        best_f1_threshold=best_f1_threshold,
    )


def _best_threshold(
    scores: Floats, answerable: Bools, answered: Bools, no_answer_probs: Floats
) -> tuple[float, float]:
    """The best mean score over no-answer thresholds, and the threshold, as the v2.0 script finds them.

    The script starts from abstaining everywhere (which it calls threshold 0) and admits one row at a
    time, so among equal probabilities it may count a part of them, which no threshold reaches.
    """
    best = best_cut(
        -no_answer_probs,
        answer_gains(scores, answerable, answered),
        start=int(np.count_nonzero(~answerable)),
        parts_ties=True,
    )
    return best.total / scores.size, 0.0 if best.above is None else -best.above


def answerability_auroc(answerable_probs: ArrayLike, answerable: ArrayLike) -> float | None:
    """Area under the ROC curve: how often an answerable row outranks an unanswerable one (a tie is 1/2).

    Args:
        answerable_probs: (n_rows,); any finite numbers, only their order counts.
        answerable: Whether each row is answerable, (n_rows,).

    Returns:
        The area, in [0, 1]; None where only one class is present.
    """
    probs, labels = paired_columns(answerable_probs, answerable)
    return float(_sklearn_metrics().roc_auc_score(labels, probs)) if _has_both(labels) else None


def answerability_average_precision(answerable_probs: ArrayLike, answerable: ArrayLike) -> float | None:
    """Average precision of finding the answerable rows, without interpolation; chance is their share.

    Args:
        answerable_probs: (n_rows,); any finite numbers, only their order counts.
        answerable: Whether each row is answerable, (n_rows,).

    Returns:
        The average precision, in [0, 1]; None where only one class is present.
    """
    probs, labels = paired_columns(answerable_probs, answerable)
    return float(_sklearn_metrics().average_precision_score(labels, probs)) if _has_both(labels) else None


def answerability_f1(answerable_probs: ArrayLike, answerable: ArrayLike, *, threshold: float) -> float | None:
    """F1 of "answered" for "answerable": harmonic mean of precision and recall at one threshold.

    Args:
        answerable_probs: (n_rows,); any finite numbers. Rows at or above the threshold are answered.
        answerable: Whether each row is answerable, (n_rows,).
        threshold: The threshold that the system is used at.

    Returns:
        The F1, in [0, 1], 0 where nothing is answered; None where no row is answerable. Answering
        everything gives 2 s / (1 + s) with s the share of answerable rows, so chance is high.
    """
    probs, labels = paired_columns(answerable_probs, answerable)
    answered = probs >= threshold
    if not labels.any():
        return None
    return float(2 * np.count_nonzero(answered & labels) / (answered.sum() + labels.sum()))


def brier_score(probs: ArrayLike, outcomes: ArrayLike) -> float | None:
    """Mean squared difference between probabilities and outcomes, (n_rows,) each; None without rows.

    In [0, 1], lower is better; always saying 0.5 gives 0.25.
    """
    values, labels = paired_columns(prob_column(probs), outcomes)
    return mean_or_none(np.square(values - labels))


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationBins:
    """What was promised and what came true, in bins of about equally many rows; no bin is empty.

    Attributes:
        mean_probs: Mean probability of each bin, (n_bins,), ascending.
        rates: Share of its outcomes that came true, (n_bins,).
        n_rows: Its rows, (n_bins,).
    """

    mean_probs: Floats
    rates: Floats
    n_rows: Ints

    @property
    def error(self) -> float | None:
        """Mean distance between promise and outcome, weighted by rows, in [0, 1]; None without rows."""
        if self.n_rows.size == 0:
            return None
        return float(np.average(np.abs(self.mean_probs - self.rates), weights=self.n_rows))


def calibration_bins(probs: ArrayLike, outcomes: ArrayLike, *, n_bins: int = 15) -> CalibrationBins:
    """Sort rows by probability into bins of equal mass, equal probabilities into the same bin.

    So the bins depend on the rows but not on their order; ties or few rows leave fewer than ``n_bins``.

    Args:
        probs: Probabilities in [0, 1], (n_rows,).
        outcomes: Whether each came true, (n_rows,).
        n_bins: The most bins there can be.
    """
    if n_bins < 1:
        raise DataError(f"n_bins must be positive, got {n_bins}")
    values, labels = paired_columns(prob_column(probs), outcomes)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - counts / 2
    bins = (mid_ranks * n_bins / max(1, values.size)).astype(np.int64)[inverse]
    _, bins, n_rows = np.unique(bins, return_inverse=True, return_counts=True)
    mean_probs, rates = (np.bincount(bins, weights=column) / n_rows for column in (values, labels))
    return CalibrationBins(mean_probs, rates, n_rows)


def calibration_error(probs: ArrayLike, outcomes: ArrayLike, *, n_bins: int = 15) -> float | None:
    """Expected calibration error over bins of equal mass (see calibration_bins), in [0, 1].

    Chance differences within bins only ever add to it: compare it between sets of about equal size.
    """
    return calibration_bins(probs, outcomes, n_bins=n_bins).error


def _has_both(labels: Bools) -> bool:
    return bool(labels.any() and not labels.all())


def _sklearn_metrics() -> Any:
    try:
        return importlib.import_module("sklearn.metrics")
    except ImportError as error:
        raise QAError(
            "AUROC and average precision need scikit-learn: pip install 'qa-extractive[train]'"
        ) from error
