"""``benchmarks/open_data.py`` and the table that it writes into benchmarks/results/open_data.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

ROOT = Path(__file__).resolve().parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")
    import open_data

RESULT: dict[str, Any] = {
    "n_rows": 1200,
    "n_has_ans": 1000,
    "n_failed": 3,
    "em": 0.5,
    "f1": 0.61249,
    "last_f1": 0.25,
    "tfidf_f1": 0.333,
    "oracle_f1": 1.0,
    "shipped_f1": 0.7,
    "shipped_f1_interval": [0.65, 0.751],
    "evidence_hit_rate": None,
    "auroc": 0.8125,
    "auroc_interval": [0.8, 0.825],
    "score_calibration_error": 0.0456,
    "error_rate": 0.38,
    "aurc": 0.2,
    "aurc_interval": None,
    "coverage_at_90": 0.15,
}


def test_a_row_shows_the_figures_with_their_intervals() -> None:
    cells = [cell.strip() for cell in open_data.table_row("squad2-dev", RESULT).strip("|").split("|")]
    assert cells == [
        "SQuAD 2.0 dev",
        "`DATA/squad/dev-v2.0.json.gz`",
        "no",
        "1,200 (200 without an answer, 3 failed)",
        *("50.0", "61.2", "25.0", "33.3", "100.0", "-", "70.0 [65.0, 75.1]"),
        *("0.812 [0.800, 0.825]", "0.046", "38.0", "0.200", "15.0"),
    ]


def test_a_set_without_results_says_so_and_what_was_trained_on_is_marked() -> None:
    row = open_data.table_row("squad1-train", None)
    assert row.count("not measured") == 13
    assert "`DATA/squad/train-v1.1.json.gz --limit 2000` | **yes**" in row


def test_the_table_goes_between_the_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n\n{open_data.BEGIN}\nold\n{open_data.END}\n\nbelow\n", encoding="utf-8")
    open_data.write_table(page, {"squad2-dev": RESULT})
    text = page.read_text(encoding="utf-8")
    assert text.startswith("above\n\n")
    assert text.endswith("\n\nbelow\n")
    assert "old" not in text
    assert open_data.table_row("squad2-dev", RESULT) in text


def test_the_page_holds_what_was_measured() -> None:
    results = json.loads(open_data.RESULTS.read_text(encoding="utf-8"))
    assert open_data.table(results) in open_data.PAGE.read_text(encoding="utf-8")


def test_figures_are_those_of_metrics_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(open_data, "WORK", tmp_path / "work")
    output = tmp_path / "results.json"
    root = ["--data-root", str(tmp_path)]
    open_data.main([*root, "--only", "demonstration", "--limit", "4", "--output", str(output)])
    found = json.loads(output.read_text(encoding="utf-8"))["demonstration"]
    metrics = json.loads((tmp_path / "work/demonstration/metrics.json").read_text(encoding="utf-8"))
    assert found["n_rows"] == 4
    assert found["shipped_f1"] == metrics["systems"]["default"]["f1"]
    assert found["last_f1"] == metrics["systems"]["baseline:last"]["never_abstaining"]["has_ans_f1"]
    assert found["error_rate"] == metrics["systems"]["default"]["risk_coverage"]["risk"][-1]


def test_a_trial_run_leaves_the_results_of_whole_sets_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        open_data.main(["--data-root", ".", "--limit", "4"])
    assert "another --output" in capsys.readouterr().err
