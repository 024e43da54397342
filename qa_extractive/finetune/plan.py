"""How long the training runs of a job will take, said as soon as the first of them has been measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qa_extractive.config import TrainConfig
from qa_extractive.training.progress import N_MEASURED, RunState, Watch, duration


def works(n_rows: int, n_labelled: int, n_folds: int, config: TrainConfig) -> list[float]:
    """The work of each training run of a job in their order, in windows or, with ``max_steps``, in steps.

    Args:
        n_rows: Labelled rows.
        n_labelled: Rows that the teacher labelled.
        n_folds: Folds that every student is trained in again; 0 for none.
        config: Settings of the run on the labelled rows.
    """
    own, labelled = config.epochs * n_rows, 1.0 * n_labelled
    runs = [own] * (n_rows > 0) + [labelled] * (n_labelled > 0) + [own] * (n_rows > 0 and n_labelled > 0)
    n_students = (n_rows > 0) + (n_labelled > 0)
    runs += [own * (1 - 1 / n_folds)] * n_folds * n_students if n_folds > 1 and n_rows else []
    return [float(config.max_steps)] * len(runs) if config.max_steps else runs


class JobClock:
    """A ``Watch`` that passes on what it is told, and says once how long all runs will take."""

    def __init__(self, runs: Sequence[float], say: Callable[[str], None], watch: Watch | None) -> None:
        """Take the work of each run (``works``), what prints a line, and whom to tell besides."""
        self._runs = runs
        self._say = say
        self._watch = watch
        self._n_begun = 0
        self._has_said = False

    def begin(self) -> JobClock:
        """Say that the next run begins."""
        self._n_begun += 1
        return self

    def __call__(self, state: RunState) -> None:
        """Pass a step on."""
        pace, number = state.seconds_a_step, self._n_begun - 1
        if not self._has_said and pace is not None and number < len(self._runs):
            self._has_said = True
            left = state.seconds_left or 0.0
            others = sum(self._runs[number + 1 :]) / max(1.0, self._runs[number])
            total = left + others * (pace * state.step + left)
            self._say(
                f"about {duration(total)} of training in all: {len(self._runs) - number} runs, this one of "
                f"{state.n_steps:,} steps of {pace:.1f} s, measured on {N_MEASURED}"
            )
        if self._watch is not None:
            self._watch(state)
