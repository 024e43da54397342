"""What a calibration gains across folds, as rows of a table."""

from __future__ import annotations

from qa_extractive.export.cross_fit import CrossFit
from qa_extractive.report.cells import decimal, percent


def held_rows(fitted: CrossFit) -> tuple[tuple[str, str, str], ...]:
    """Name, before and after of each figure, the threshold last."""
    before, after = fitted.before, fitted.after
    low, high = min(fitted.fold_thresholds), max(fitted.fold_thresholds)
    return (
        ("F1 at the threshold, %", percent(before.f1), percent(after.f1)),
        ("risk: given answers that are not right, %", percent(before.risk), percent(after.risk)),
        ("coverage: rows answered, %", percent(before.coverage), percent(after.coverage)),
        (
            "calibration error of answerable",
            decimal(before.answerable_error),
            decimal(after.answerable_error),
        ),
        ("calibration error of score", decimal(before.score_error), decimal(after.score_error)),
        ("Brier score of answerable", decimal(before.answerable_brier), decimal(after.answerable_brier)),
        (
            "threshold",
            decimal(fitted.threshold_before),
            f"{decimal(fitted.calibration.threshold)} (in the folds {decimal(low)} to {decimal(high)})",
        ),
    )
