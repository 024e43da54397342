"""One line that shows how far a training run is, and how long it will take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qa_extractive.training.progress import RunState

_N_LINES = 10  # of a run whose output is no terminal
_FORMAT = "  {percentage:3.0f} %|{bar:20}| {desc}"


class TrainingLine:
    """A ``Watch``: a line that is replaced where stderr is a terminal, some ten lines where it is not.

    The estimate is said once, as soon as there is one, and stays.
    """

    def __init__(self, say: Callable[[str], None] = print, *, says_estimate: bool = True) -> None:
        """Take what prints a line that stays.

        Args:
            say: Prints it.
            says_estimate: Whether the estimate of each run is such a line.
        """
        self._say = say
        self._says_estimate = says_estimate
        self._bar: Any = None
        self._last_step, self._n_said, self._has_estimate = 0, 0, False

    def __call__(self, state: RunState) -> None:
        """Show a step."""
        if state.step <= self._last_step:  # another run
            self.close()
        self._last_step = state.step
        if not self._has_estimate and state.seconds_left is not None:
            self._has_estimate = True
            if self._says_estimate:
                self._say(estimate(state))
        if sys.stderr.isatty():
            self._show(state)
        elif int(state.fraction * _N_LINES) > self._n_said and self._has_estimate:
            self._n_said = int(state.fraction * _N_LINES)
            print(f"  {100 * state.fraction:3.0f} %, {_status(state)}", file=sys.stderr, flush=True)
        if state.fraction >= 1.0:
            self.close()

    def close(self) -> None:
        """Remove the line and be ready for another run."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._last_step, self._n_said, self._has_estimate = 0, 0, False

    def _show(self, state: RunState) -> None:
        from tqdm import tqdm

        if self._bar is None:
            every = {"mininterval": 0.0, "miniters": 0}  # a step takes long enough
            self._bar = tqdm(
                total=100, leave=False, file=sys.stderr, bar_format=_FORMAT, dynamic_ncols=True, **every
            )
        self._bar.set_description_str(_status(state), refresh=False)
        self._bar.update(100 * state.fraction - self._bar.n)


def estimate(state: RunState) -> str:
    """How long a run will take, in words."""
    from qa_extractive.training.progress import N_MEASURED, duration

    left, pace = state.seconds_left or 0.0, state.seconds_a_step or 0.0
    return (
        f"about {duration(left)} of training left: {state.n_steps:,} steps of {pace:.1f} s, "
        f"measured on {N_MEASURED}"
    )


def _status(state: RunState) -> str:
    from qa_extractive.training.progress import duration

    parts = [f"step {state.step:,} of {state.n_steps:,}"]
    parts += [f"about {duration(state.seconds_left)} left"] if state.seconds_left else []
    parts += [f"loss {state.loss:.3f}"] if state.loss is not None else []
    parts += [f"development F1 {state.dev_f1:.3f}"] if state.dev_f1 is not None else []
    return ", ".join(parts)
