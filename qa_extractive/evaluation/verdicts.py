"""Verdicts on yes/no questions -> how often they are right, and how often they would be without reading."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qa_extractive.evaluation.resampling import Resampling, unit_of
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.metrics.bootstrap import Interval
from qa_extractive.metrics.classes import macro_f1
from qa_extractive.metrics.columns import Bools, mean_or_none
from qa_extractive.metrics.question_words import told_by_words
from qa_extractive.metrics.scores import calibration_error
from qa_extractive.types import VERDICTS


@dataclass(frozen=True, slots=True)
class ClassScores:
    """How well verdicts are told.

    Attributes:
        accuracy: Share of the rows that are told the right one; a row that is told none is wrong.
        accuracy_interval: 95 % bootstrap interval of it.
        macro_f1: Mean F1 of the verdicts that are right for some row.
        macro_f1_interval: 95 % bootstrap interval of it.
    """

    accuracy: float | None
    accuracy_interval: Interval | None
    macro_f1: float | None
    macro_f1_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a system says to the answerable yes/no questions whose right verdict is known, as shipped.

    Attributes:
        n: Such rows; at least one.
        n_given: Those that it gives a verdict to: it neither failed nor abstained, and has such a head.
        scores: Of all n rows.
        accuracy_given: Share of the verdicts given that are right; None where none is given.
        calibration_error: Of ``verdict_score`` as the probability that the verdict given is right, over at
            most 15 bins; None where all are right or all wrong.
        calibration_interval: 95 % bootstrap interval of it, which may lie above it.
    """

    n: int
    n_given: int
    scores: ClassScores
    accuracy_given: float | None
    calibration_error: float | None
    calibration_interval: Interval | None

    @property
    def coverage(self) -> float:
        """Share of the rows that are given a verdict, in [0, 1]."""
        return self.n_given / self.n

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {
            "n": self.n,
            "n_given": self.n_given,
            "coverage": self.coverage,
            **dataclasses.asdict(self.scores),
            "accuracy_given": self.accuracy_given,
            "calibration_error": self.calibration_error,
            "calibration_error_interval": self.calibration_interval,
        }


@dataclass(frozen=True, slots=True)
class VerdictFloor:
    """What verdicts are worth that are given without reading any text.

    Attributes:
        n: Answerable yes/no questions whose right verdict is known; at least one.
        majority: The verdict that is right for most of them.
        by_majority: Giving that one to each.
        by_words: Telling it by the words of the question alone, with a classifier taught on the rows of
            other documents; None where there are no two documents.
    """

    n: int
    majority: str
    by_majority: ClassScores
    by_words: ClassScores | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return dataclasses.asdict(self)


def verdict_floor(rows: Sequence[ScoredRow], *, n_bootstrap: int, seed: int) -> VerdictFloor | None:
    """That of a data set, whatever answers it; None where no right verdict is known.

    Raises:
        QAError: scikit-learn is missing.
    """
    own = _yes_no_rows(rows)
    if not own:
        return None
    true = _true(own)
    majority = Counter(true).most_common(1)[0][0]
    resampling = Resampling.of(rows, n_bootstrap, seed)
    units = [unit_of(row.example) for row in own]
    told = told_by_words([row.example.question.question for row in own], true, units)
    return VerdictFloor(
        len(own),
        majority,
        _scores([majority] * len(own), own, resampling),
        None if told is None else _scores(told, own, resampling),
    )


def verdicts_of(rows: Sequence[ScoredRow], resampling: Resampling) -> Verdicts | None:
    """What a system says to the answerable yes/no questions; None where no right verdict is known."""
    own = _yes_no_rows(rows)
    if not own:
        return None
    given = [row for row in own if row.verdict is not None]
    right = _right([row.verdict for row in given], given)
    has_both = bool(right.any() and not right.all())
    probs = np.array([row.verdict_score for row in given], dtype=np.float64)
    error = resampling.calibration_error(probs, right, given)
    return Verdicts(
        n=len(own),
        n_given=len(given),
        scores=_scores([row.verdict for row in own], own, resampling),
        accuracy_given=mean_or_none(right.astype(np.float64)),
        calibration_error=calibration_error(probs, right) if has_both else None,
        calibration_interval=resampling.interval(error) if has_both else None,
    )


def _yes_no_rows(rows: Sequence[ScoredRow]) -> list[ScoredRow]:
    """Those whose right verdict is known, which are answerable."""
    return [row for row in rows if row.example.verdict in VERDICTS]


def _scores(said: Sequence[str | None], rows: Sequence[ScoredRow], resampling: Resampling) -> ClassScores:
    right, true = _right(said, rows).astype(np.float64), _true(rows)
    return ClassScores(
        accuracy=mean_or_none(right),
        accuracy_interval=resampling.interval(resampling.mean(right, rows)),
        macro_f1=macro_f1(true, said),
        macro_f1_interval=resampling.interval(resampling.macro_f1(true, said, rows)),
    )


def _right(said: Sequence[str | None], rows: Sequence[ScoredRow]) -> Bools:
    return np.array([a == b for a, b in zip(said, _true(rows), strict=True)], dtype=np.bool_)


def _true(rows: Sequence[ScoredRow]) -> list[str]:
    return [str(row.example.verdict) for row in rows]
