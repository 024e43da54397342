"""``benchmarks/cost.py``: what was measured, times all of PubMed, beside hosted models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / "benchmarks")
    import cost


def test_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = []
    for n, one, seconds in ((5, 10.0, [18.0, 20.0, 99.0]), (20, 11.0, [40.0])):
        path = tmp_path / f"{n}.json"
        path.write_text(
            json.dumps(
                {
                    "circumstances": {"cpu": "Some CPU", "n_cpus": 2},
                    "papers": 1000,
                    "seconds": {"1 questions": [one], f"{n} questions": seconds},
                }
            )
        )
        measured.append(str(path))
    monkeypatch.setattr("sys.argv", ["cost.py", *measured])
    cost.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| all of PubMed, 36,000,000 abstracts | 1 question | 5 questions | 20 questions |"
    assert "| CPU hours, Some CPU | 200 | 400 | 800 |" in lines  # 36,000 times 20, 40 and 80 CPU seconds
    assert "| days on 64 such CPUs | 0.1 | 0.3 | 0.5 |" in lines
    assert "| dollars, at 0.0425 an hour and CPU | 8 | 17 | 34 |" in lines


def test_a_hosted_model_is_paid_by_the_token() -> None:
    """36 million calls of 495 tokens there and 40 back, at half of 1 and 10 dollars a million."""
    assert cost.Hosted("some", 1.0, 10.0).dollars(1) == pytest.approx(36 * (495 + 400) / 2)
