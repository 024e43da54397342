"""A calibration fitted to labelled rows, and what it gains, measured on rows it was not fitted on.

Rows are parted into folds of whole documents. For each fold a calibration is fitted to the others and
applied to it; what is reported of "after" are these rows together. Needs scikit-learn and scipy.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qa_extractive.data.documents import place_of
from qa_extractive.errors import DataError
from qa_extractive.inference.calibration import Calibration
from qa_extractive.inference.calibration_fit import (
    MIN_EXAMPLES,
    BoolArray,
    FitRows,
    FloatArray,
    fit_rows,
    risk_table,
)
from qa_extractive.metrics.scores import brier_score, calibration_error


@dataclass(frozen=True, slots=True)
class Held:
    """What a calibration does to rows that it was not fitted on.

    Attributes:
        answerable_error: Calibration error of ``answerable``, in [0, 1].
        answerable_brier: Its Brier score, in [0, 1].
        score_error: Calibration error of ``score``, in [0, 1].
        f1: Mean token F1 at the threshold, a right abstention counting 1, in [0, 1].
        coverage: Share of the rows answered.
        risk: Share of the given answers that are not right; None where none is given.
    """

    answerable_error: float
    answerable_brier: float
    score_error: float
    f1: float
    coverage: float
    risk: float | None


@dataclass(frozen=True, slots=True)
class CrossFit:
    """A calibration fitted to all rows, and both the old and the new one on rows they never saw.

    Attributes:
        calibration: Fitted to all rows; its risk table is of the probabilities that rows got across folds.
        n: Rows.
        n_answerable: Rows whose context answers the question.
        n_folds: Folds of whole documents.
        threshold_before: That of the calibration the model had.
        fold_thresholds: The thresholds found without each fold: how much they vary.
        before: The calibration that the model had, on all rows.
        after: Those fitted without each fold, on that fold.
    """

    calibration: Calibration
    n: int
    n_answerable: int
    n_folds: int
    threshold_before: float
    fold_thresholds: tuple[float, ...]
    before: Held
    after: Held

    @property
    def is_better(self) -> bool:
        """Whether ``answerable`` tells more than before and no F1 is lost for it."""
        return not self.worse

    @property
    def worse(self) -> tuple[str, ...]:
        """What did not get better across folds, in words; none where the new calibration is to be had."""
        before, after = self.before, self.after
        lines = []
        if after.answerable_brier >= before.answerable_brier:
            lines.append("the probabilities tell no more than before")
        if after.f1 < before.f1:
            lines.append(f"F1 at the threshold falls from {100 * before.f1:.1f} to {100 * after.f1:.1f}")
        return tuple(lines)

    @property
    def is_riskier(self) -> bool:
        """Whether more of the given answers are wrong than before, across folds."""
        return self.after.risk is not None and self.after.risk > (self.before.risk or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write, without the calibration but for its threshold."""
        values = {name: getattr(self, name) for name in ("n", "n_answerable", "n_folds", "threshold_before")}
        return {
            **values,
            "threshold": self.calibration.threshold,
            "fold_thresholds": list(self.fold_thresholds),
            "before": asdict(self.before),
            "after": asdict(self.after),
            "is_better": self.is_better,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Applied:
    """Calibrations applied to rows, (n,) each."""

    answerable: FloatArray
    right: FloatArray
    answered: BoolArray


def check_rows(rows: FitRows) -> None:
    """Raise DataError, with what is missing, where rows are too few or of one kind."""
    n_with = int(rows.answerable.sum())
    n_without = len(rows) - n_with
    if rows.can_fit and len(set(rows.documents)) >= 2:
        return
    raise DataError(
        f"a calibration needs at least {MIN_EXAMPLES} rows of several texts, with and without an answer in "
        f"them: there are {len(rows)} usable rows of {len(set(rows.documents))} texts, {n_with} with an "
        f"answer and {n_without} without"
    )


def cross_fit(
    rows: FitRows,
    current: Calibration,
    *,
    fitted_on: str,
    n_folds: int = 5,
    seed: int = 17,
    answerable_share: float | None = None,
) -> CrossFit:
    """Fit a calibration to rows and measure it across folds.

    Args:
        rows: Of the model that is to be calibrated, which was not trained on them.
        current: The calibration that it has; it was not fitted to these rows.
        fitted_on: In words: which logits, which data.
        n_folds: Folds at most, at least 2; fewer where there are fewer documents.
        seed: Of the order in which documents go to folds.
        answerable_share: As of ``fit_rows``.

    Raises:
        DataError: The rows are too few, of one document or of one kind.
    """
    check_rows(rows)
    fold_of = _folds(rows.documents, n_folds, seed)
    fitted = [
        _fit_without(rows, fold_of == fold, current, answerable_share) for fold in range(fold_of.max() + 1)
    ]
    applied = _applied(rows.features, fitted, fold_of)
    calibration = replace(fit_rows(rows, fitted_on, answerable_share), verdict=current.verdict)
    return CrossFit(
        calibration=replace(calibration, risk_table=risk_table(applied.answerable, rows.right)),
        n=len(rows),
        n_answerable=int(rows.answerable.sum()),
        n_folds=len(fitted),
        threshold_before=current.threshold,
        fold_thresholds=tuple(each.threshold for each in fitted),
        before=_held(rows, _applied(rows.features, [current], np.zeros_like(fold_of))),
        after=_held(rows, applied),
    )


def _folds(documents: npt.NDArray[np.str_], n_folds: int, seed: int) -> npt.NDArray[np.intp]:
    """The fold of each row, (n,): documents in a random order, dealt out in turn."""
    ordered = sorted(set(documents.tolist()), key=lambda document: place_of(document, seed))
    place = {document: i % n_folds for i, document in enumerate(ordered)}
    return np.array([place[document] for document in documents.tolist()], dtype=np.intp)


def _fit_without(
    rows: FitRows, fold: BoolArray, current: Calibration, answerable_share: float | None
) -> Calibration:
    """Fitted to the rows of the other folds; where these are of one kind, the calibration there was."""
    others = rows.where(~fold)
    is_one_kind = bool(others.answerable.all()) or not others.answerable.any()
    return current if is_one_kind else fit_rows(others, "the other folds", answerable_share)


def _applied(features: FloatArray, calibrations: list[Calibration], number: npt.NDArray[np.intp]) -> _Applied:
    """What each row gets of the calibration of its number."""
    answerable, right = (
        np.stack([getattr(each, part).prob(features) for each in calibrations])
        for part in ("answerable", "right")
    )
    thresholds = np.array([each.threshold for each in calibrations])[number]
    every = np.arange(len(features))
    return _Applied(
        answerable[number, every], right[number, every], np.asarray(answerable[number, every] >= thresholds)
    )


def _held(rows: FitRows, applied: _Applied) -> Held:
    answered = applied.answered
    return Held(
        answerable_error=calibration_error(applied.answerable, rows.answerable) or 0.0,
        answerable_brier=brier_score(applied.answerable, rows.answerable) or 0.0,
        score_error=calibration_error(applied.right, rows.right) or 0.0,
        f1=float(np.where(answered, rows.f1, ~rows.answerable).mean()),
        coverage=float(answered.mean()),
        risk=float((answered & ~rows.right).sum() / answered.sum()) if answered.any() else None,
    )
