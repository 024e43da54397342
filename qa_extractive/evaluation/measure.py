"""What systems said of a data set -> all that is reported of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qa_extractive.evaluation.ceiling import Ceiling, ceiling_of
from qa_extractive.evaluation.compare import Comparison, compare
from qa_extractive.evaluation.failures import Failures, failures_of
from qa_extractive.evaluation.figures import Evaluation, Footprint
from qa_extractive.evaluation.run import Results
from qa_extractive.evaluation.score import score
from qa_extractive.evaluation.slices import SliceFigures, slice_figures, slices_of
from qa_extractive.evaluation.statuses import StatusCount, status_counts
from qa_extractive.evaluation.verdicts import VerdictFloor, verdict_floor


@dataclass(frozen=True, slots=True)
class Settings:
    """What figures depend on besides the answers.

    Attributes:
        n_bootstrap: Resamples of whole documents for the intervals; 0 for no intervals.
        seed: Of the resampling.
        price_per_hour: Of the machine, in any currency; None for no cost.
        columns: Columns of the data to slice by, besides lengths and kinds of questions.
    """

    n_bootstrap: int = 1000
    seed: int = 17
    price_per_hour: float | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemMeasured:
    """What was measured of one system on one data set.

    Attributes:
        evaluation: Its figures.
        slices: Those of parts of the rows.
        failures: Its worst answers.
        statuses: How often a person is told each of the three states.
    """

    evaluation: Evaluation
    slices: tuple[SliceFigures, ...]
    failures: Failures
    statuses: tuple[StatusCount, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured on one data set, or on several together.

    Attributes:
        name: Of the data set.
        n_rows: Rows that were asked.
        n_skipped: Rows of the file that could not be read.
        systems: The systems, in the order in which they were given.
        comparisons: All but the first of them against the first.
        ceiling: What a perfect extractive system could score.
        verdict_floor: What verdicts are worth that nobody read a text for; None where no right one is known.
    """

    name: str
    n_rows: int
    n_skipped: int
    systems: tuple[SystemMeasured, ...]
    comparisons: tuple[Comparison, ...]
    ceiling: Ceiling
    verdict_floor: VerdictFloor | None = None

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """The figures of the systems, in their order."""
        return tuple(system.evaluation for system in self.systems)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write; of the data, only the values that slices are named by."""
        return {
            "name": self.name,
            "n_rows": self.n_rows,
            "n_skipped": self.n_skipped,
            "oracle": self.ceiling.to_dict(),
            "verdict_floor": None if self.verdict_floor is None else self.verdict_floor.to_dict(),
            "systems": {
                each.evaluation.system: {
                    **each.evaluation.to_dict(),
                    "statuses": [each_status.to_dict() for each_status in each.statuses],
                    "slices": [part.to_dict() for part in each.slices],
                }
                for each in self.systems
            },
            "comparisons": [comparison.to_dict() for comparison in self.comparisons],
        }


def measure(
    name: str,
    results: Sequence[Results],
    n_tokens: Sequence[int],
    settings: Settings,
    *,
    n_skipped: int = 0,
    footprints: Sequence[Footprint | None] = (),
) -> Measured:
    """Measure systems on one data set.

    Args:
        name: Of the data set.
        results: What each system made of the same rows, in the same order; at least one.
        n_tokens: Tokens of each row (``lengths.count_tokens``).
        settings: What figures depend on besides.
        n_skipped: Rows of the file that could not be read.
        footprints: What each system needs of a machine; empty if that was not measured.

    Raises:
        DataError: The systems saw different rows.
    """
    examples = [row.example for row in results[0].rows]
    slices = slices_of(examples, n_tokens, settings.columns)
    n_bootstrap, seed = settings.n_bootstrap, settings.seed
    comparisons = compare(results, n_bootstrap=n_bootstrap, seed=seed)
    systems = []
    for own, footprint in zip(results, footprints or [None] * len(results), strict=True):
        evaluation = score(
            own,
            n_bootstrap=n_bootstrap,
            seed=seed,
            price_per_hour=settings.price_per_hour,
            footprint=footprint,
        )
        parts = slice_figures(own, slices, n_bootstrap=n_bootstrap, seed=seed)
        systems.append(
            SystemMeasured(evaluation, tuple(parts), failures_of(own.rows), status_counts(own.rows))
        )
    return Measured(
        name=name,
        n_rows=len(examples),
        n_skipped=n_skipped,
        systems=tuple(systems),
        comparisons=tuple(comparisons),
        ceiling=ceiling_of(examples),
        verdict_floor=verdict_floor(results[0].rows, n_bootstrap=n_bootstrap, seed=seed),
    )
