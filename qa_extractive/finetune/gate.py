"""Whether a model may be shipped: good enough, and no worse than another on the same rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qa_extractive.errors import DataError
from qa_extractive.evaluation.compare import Comparison
from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.report.cells import percent, points

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Gate:
    """What a model must reach on the test rows, as answered: abstentions included.

    Attributes:
        min_f1: Least mean token F1, in [0, 1]; None for none.
        tolerance: By how much F1, in [0, 1], it may stay below the model it must be no worse than.
    """

    min_f1: float | None = None
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        """Raise DataError for a value outside [0, 1]."""
        for name, value in (("--min-f1", self.min_f1 or 0.0), ("--tolerance", self.tolerance)):
            if not (math.isfinite(value) and 0.0 <= value <= 1.0):
                raise DataError(f"{name} must lie in [0, 1], got {value}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says.

    Attributes:
        passed: Lines on what was reached.
        failed: Lines on what was not.
    """

    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Whether nothing failed."""
        return not self.failed


def judge(
    gate: Gate, model: Evaluation, other: Evaluation | None = None, difference: Comparison | None = None
) -> Verdict:
    """Hold a model against a gate.

    The difference itself decides, not whether it is clear: on few rows a model that is worse by chance is
    refused too. That is the cheaper error, since what is served stays.

    Args:
        gate: What it must reach.
        model: Its figures on the test rows.
        other: Those of the model it must be no worse than, on the same rows; None for no such model.
        difference: The comparison of the two by F1, for its interval.
    """
    passed: list[str] = []
    failed: list[str] = []
    f1 = model.shipped.squad.f1
    if f1 is None:
        return Verdict((), ("no test row has a known answer, so nothing can be said",))
    if gate.min_f1 is not None:
        reached = f1 >= gate.min_f1 - _ROUNDING
        line = f"F1 {percent(f1, model.shipped.f1_interval)}, at least {percent(gate.min_f1)} wanted"
        (passed if reached else failed).append(line)
    if other is not None and other.shipped.squad.f1 is not None:
        change = f1 - other.shipped.squad.f1
        line = f"F1 {points(change, difference.interval if difference else None)} against {other.system}"
        line += f", {points(-gate.tolerance)} allowed" if gate.tolerance else ""
        (passed if change >= -gate.tolerance - _ROUNDING else failed).append(line)
    return Verdict(tuple(passed), tuple(failed))


def f1_difference(comparisons: Sequence[Comparison], system: str) -> Comparison | None:
    """The comparison of a system by F1 among those of ``comparing.compare``."""
    return next((c for c in comparisons if c.figure == "f1" and c.system == system), None)
