"""Nothing is reported: onnxruntime keeps no record of a run, and so has none to send."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ANSWER = """
from qa_extractive import Predictor
print(Predictor(n_threads=1).answer("How many?", "We saw 212.").best)
"""
VARIABLE = "ORT_DISABLE_TELEMETRY"


def ran(home: Path, code: str, **variables: str) -> str:
    """What a process prints that has a home of its own; what else stops telemetry is taken out."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in (VARIABLE, "CI", "GITHUB_ACTIONS", "XDG_CACHE_HOME", "ORT_RUNNING_UNIT_TESTS")
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, "HOME": str(home), **variables},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    ).stdout


def test_an_answer_leaves_no_trace_in_the_home(tmp_path: Path) -> None:
    assert "212" in ran(tmp_path, ANSWER)
    assert [*tmp_path.rglob("*")] == []


def test_who_wants_to_report_may(tmp_path: Path) -> None:
    code = f"import os, qa_extractive; print(os.environ['{VARIABLE}'])"
    assert ran(tmp_path, code, **{VARIABLE: "0"}).strip() == "0"
    assert ran(tmp_path, code).strip() == "1"


def test_an_onnxruntime_that_was_there_before_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    from qa_extractive.inference.onnx_backend import open_session
    from qa_extractive.predictor import DEFAULT_MODEL

    told: list[None] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: told.append(None))
    for value, n in (("0", 0), ("false", 0), ("1", 1), ("true", 2)):
        monkeypatch.setenv(VARIABLE, value)
        open_session(DEFAULT_MODEL / "model.onnx", 1)
        assert len(told) == n
