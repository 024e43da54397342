"""What is measured of answers, as pure functions; a figure that is not defined is None."""

from __future__ import annotations

from qa_extractive.metrics.bootstrap import bootstrap_interval, bootstrap_statistic_interval
from qa_extractive.metrics.risk_coverage import RiskCoverage, risk_coverage
from qa_extractive.metrics.scores import (
    CalibrationBins,
    RowScores,
    SquadScores,
    answerability_auroc,
    answerability_average_precision,
    brier_score,
    calibration_bins,
    calibration_error,
    squad_rows,
    squad_scores,
)
from qa_extractive.metrics.text import (
    best_exact_match,
    best_rouge_l,
    best_token_f1,
    exact_match,
    normalize_answer,
    rouge_l,
    token_f1,
)

__all__ = [
    "CalibrationBins",
    "RiskCoverage",
    "RowScores",
    "SquadScores",
    "answerability_auroc",
    "answerability_average_precision",
    "best_exact_match",
    "best_rouge_l",
    "best_token_f1",
    "bootstrap_interval",
    "bootstrap_statistic_interval",
    "brier_score",
    "calibration_bins",
    "calibration_error",
    "exact_match",
    "normalize_answer",
    "risk_coverage",
    "rouge_l",
    "squad_rows",
    "squad_scores",
    "token_f1",
]
