"""The model card says what the run did, and no more."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from qa_extractive.config import TrainConfig
from qa_extractive.training.card import CARD_FILE, card, write_card
from qa_extractive.training.report import TrainReport

REPORT = TrainReport(
    base="org/encoder",
    n_examples={"claims": 12, "squad": 345},
    n_negatives={"given": 6, "removed": 7},
    n_windows=678,
    n_steps=90,
    minutes=12.4,
    final_loss=1.23456,
    dev_f1=0.65432,
    n_dev=50,
    n_calibration=60,
    n_fresh=70,
    threads=2,
)


@pytest.mark.parametrize(
    "line",
    [
        "- Base: org/encoder",
        "- Training examples, negatives included: claims 12, squad 345",
        "- Of these unanswerable, by kind: given 6, removed 7",
        "- 678 windows, 90 steps, 12 minutes, 2 threads, mean training loss 1.235",
        "- F1 on held-out documents at their best threshold: 0.654 on 50 examples",
        "- Calibrated on 60 examples of other held-out documents; 70 of still others used for nothing yet",
    ],
)
def test_a_card_states_what_the_run_measured(line: str) -> None:
    assert line in card(REPORT, TrainConfig()).splitlines()


def test_a_card_states_nothing_that_was_not_measured() -> None:
    report = dataclasses.replace(REPORT, dev_f1=None, n_dev=0, n_negatives={})
    text = card(report, TrainConfig())
    assert "best threshold: not measured\n" in text
    assert "by kind: none\n" in text
    assert "None on" not in text


def test_a_card_lists_every_setting(tmp_path: Path) -> None:
    config = TrainConfig(learning_rate=3e-5, max_steps=11, seed=99)
    write_card(tmp_path, REPORT, config)
    text = (tmp_path / CARD_FILE).read_text(encoding="utf-8")
    assert text == card(REPORT, config)
    rows = [line for line in text.splitlines() if line.startswith("| ") and line != "| setting | value |"]
    assert rows == [f"| {f.name} | {getattr(config, f.name)} |" for f in dataclasses.fields(config)]
