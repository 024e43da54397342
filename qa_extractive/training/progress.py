"""How far a training run is and how long it will take, for whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import TrainerCallback

from qa_extractive.training.distributed import is_main_process
from qa_extractive.training.trainer import Progress

N_MEASURED = 4  # steps, after a first one that is slower, that an estimate needs


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run is after a step.

    Attributes:
        step: Steps done, those before a resume included.
        n_steps: Steps of the whole run, where time does not end it sooner.
        fraction: Share of the run that lies behind, in [0, 1].
        seconds_a_step: Mean of the steps measured so far; None before ``N_MEASURED`` of them.
        seconds_left: Estimated from that; None as well.
        loss: The last one that was logged; None before.
        dev_f1: The last development score, in [0, 1]; None before, or without development examples.
    """

    step: int
    n_steps: int
    fraction: float
    seconds_a_step: float | None = None
    seconds_left: float | None = None
    loss: float | None = None
    dev_f1: float | None = None


Watch = Callable[[RunState], None]


class Watcher(TrainerCallback):
    """Tells a ``Watch`` after every step, in the first process alone."""

    def __init__(self, watch: Watch, progress: Progress) -> None:
        """Take who is told, and the run's own progress."""
        self._watch = watch
        self._progress = progress
        self._began: tuple[int, float] | None = (
            None  # the step after which time is measured, and when it ended
        )
        self._loss: float | None = None
        self._dev_f1: float | None = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Keep the last loss and development score."""
        values = logs or {}
        self._loss = values.get("loss", self._loss)
        self._dev_f1 = values.get("eval_f1", self._dev_f1)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say where the run is."""
        now, step, n_steps = time.monotonic(), state.global_step, self._progress.n_steps
        if self._began is None:
            self._began = (step, now)
        first, began = self._began
        pace = (now - began) / (step - first) if step - first >= N_MEASURED else None
        if is_main_process():
            fraction = self._progress.fraction(step)
            left = None if pace is None else self._left(pace, step)
            self._watch(RunState(step, n_steps, fraction, pace, left, self._loss, self._dev_f1))

    def _left(self, pace: float, step: int) -> float:
        by_steps = pace * max(0, self._progress.n_steps - step)
        if self._progress.max_seconds is None:
            return by_steps
        return min(by_steps, max(0.0, self._progress.max_seconds - self._progress.elapsed_seconds))


def duration(seconds: float) -> str:
    """Seconds in words, as exactly as an estimate deserves: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
