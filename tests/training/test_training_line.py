"""How far a training run is and how long it takes: one line, an estimate after a few steps, no raw dicts."""

from __future__ import annotations

import io
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("transformers")

from qa_extractive.cli import main
from qa_extractive.cli.training_progress import TrainingLine
from qa_extractive.training.progress import N_MEASURED, RunState, Watcher, duration
from qa_extractive.training.trainer import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _states(n_steps: int, pace: float = 2.0) -> list[RunState]:
    return [
        RunState(
            step,
            n_steps,
            step / n_steps,
            pace if step > N_MEASURED else None,
            pace * (n_steps - step) if step > N_MEASURED else None,
            loss=1.5,
        )
        for step in range(1, n_steps + 1)
    ]


def test_a_log_gets_an_estimate_and_some_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    line = TrainingLine(said.append)
    for state in [*_states(300), *_states(40)]:
        line(state)
    assert said == [
        "about 10 min of training left: 300 steps of 2.0 s, measured on 4",
        "about 70 s of training left: 40 steps of 2.0 s, measured on 4",
    ]
    lines = capsys.readouterr().err.splitlines()
    assert 18 <= len(lines) <= 20
    assert lines[1] == "   20 %, step 60 of 300, about 8 min left, loss 1.500"


def test_a_terminal_gets_one_line_that_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    line = TrainingLine(lambda _: None)
    for state in _states(30):
        line(state)
    shown = terminal.getvalue()
    assert "\n" not in shown
    assert "step 30 of 30" in shown or "step 29 of 30" in shown
    assert shown.rstrip(" ").endswith("\r"), "the line is gone in the end"


def test_time_is_measured_without_the_first_step_and_bounded_by_max_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    seen: list[RunState] = []
    progress = Progress(100, None)
    watcher = Watcher(seen.append, progress)
    for step in range(1, 11):
        now[0] += 100.0 if step == 1 else 2.0  # the first one is slow
        watcher.on_log(None, None, None, {"loss": float(step), "epoch": 1})
        watcher.on_step_end(None, SimpleNamespace(global_step=step), None)
    assert [state.seconds_a_step for state in seen[:N_MEASURED]] == [None] * N_MEASURED
    assert seen[-1].seconds_a_step == pytest.approx(2.0)
    assert seen[-1].seconds_left == pytest.approx(180.0)
    assert seen[-1].loss == 10.0
    progress.max_seconds, progress.elapsed_seconds = 60.0, 50.0
    watcher.on_step_end(None, SimpleNamespace(global_step=11), None)
    assert seen[-1].seconds_left == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "1 s"), (89, "89 s"), (95, "2 min"), (3599, "60 min"), (9000, "2.5 h")]
)
def test_durations_in_words(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_train_says_how_long_it_takes_and_prints_no_dicts(
    trial_rows: Callable[[Sequence[int]], str], tiny_checkpoint: Path, tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    data = tmp_path / "rows.csv"
    data.write_text(trial_rows(range(40)), encoding="utf-8")
    command = [
        "train",
        "--data",
        str(data),
        "--base",
        str(tiny_checkpoint),
        "--output",
        str(tmp_path / "run"),
    ]
    more = ["--max-steps", "12", "--batch-size", "2", "--n-dev", "0", "--n-calibration", "0"]
    assert main([*command, *more]) == 0
    out, err = capfd.readouterr()
    assert re.search(r"about \d+ (?:s|min) of training left: 12 steps of \d+\.\d s, measured on 4", out)
    assert "step 12 of 12" in err
    assert "{'" not in out + err
    assert "train_runtime" not in out + err
