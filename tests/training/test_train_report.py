"""A training report is written as it is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from qa_extractive.training.report import REPORT_FILE, TrainReport


def test_a_report_is_saved_as_it_is(tmp_path: Path) -> None:
    report = TrainReport("é/base", {"squad": 2}, {"removed": 1}, 3, 4, 0.5, 1.25, None, 0, 7, 3, 2)
    report.save(tmp_path)
    assert TrainReport(**json.loads((tmp_path / REPORT_FILE).read_text(encoding="utf-8"))) == report
    other = dataclasses.replace(report, dev_f1=0.5, n_dev=9)
    other.save(tmp_path)
    values = json.loads((tmp_path / REPORT_FILE).read_text(encoding="utf-8"))
    assert (values["dev_f1"], values["n_dev"], values["n_examples"]) == (0.5, 9, {"squad": 2})
