"""The model card that a training run writes beside its checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from qa_extractive.config import TrainConfig
from qa_extractive.training.report import TrainReport

CARD_FILE = "README.md"


def write_card(folder: Path, report: TrainReport, config: TrainConfig) -> None:
    """Write ``README.md`` into a checkpoint's folder: base, data, settings and development score."""
    (folder / CARD_FILE).write_text(card(report, config), encoding="utf-8")


def card(report: TrainReport, config: TrainConfig) -> str:
    """The card as Markdown; it states nothing that the run did not measure."""
    settings = dataclasses.asdict(config)
    score = "not measured" if report.dev_f1 is None else f"{report.dev_f1:.3f} on {report.n_dev} examples"
    return "\n".join(
        [
            "# An extractive span reader",
            "",
            "Written by `train.py` of qa_extractive. Answers a question with a verbatim span, or abstains.",
            "",
            f"- Base: {report.base}",
            f"- Training examples, negatives included: {_counts(report.n_examples)}",
            f"- Of these unanswerable, by kind: {_counts(report.n_negatives)}",
            f"- {report.n_windows} windows, {report.n_steps} steps, {report.minutes:.0f} minutes, "
            f"{report.threads} threads, mean training loss {report.final_loss:.3f}",
            *(
                [f"- {report.n_trained:,} of {report.n_parameters:,} parameters trained"]
                if report.n_trained and report.n_parameters
                else []
            ),
            *([f"- The mean of the weights of {report.n_averaged} stages"] if report.n_averaged > 1 else []),
            f"- F1 on held-out documents at their best threshold: {score}",
            f"- Calibrated on {report.n_calibration} examples of other held-out documents; "
            f"{report.n_fresh} of still others used for nothing yet",
            "- The licences of the training data apply: name them here before you publish the model.",
            "",
            "| setting | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in settings.items()),
            "",
        ]
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items()) or "none"
