"""Systems on the test rows, side by side, and row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from qa_extractive.evaluation.compare import Comparison, compare
from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Results, run_system
from qa_extractive.evaluation.score import score, scored_rows, shipped_columns
from qa_extractive.evaluation.systems import System
from qa_extractive.types import Example

_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Scores:
    """Systems on the same rows, in order.

    Attributes:
        results: What they made of the rows.
        evaluations: Their figures.
        comparisons: All but the first against the first.
    """

    results: tuple[Results, ...]
    evaluations: tuple[Evaluation, ...]
    comparisons: tuple[Comparison, ...]

    def of(self, name: str) -> tuple[Results, Evaluation]:
        """The results and the figures of one system; KeyError if there is none of this name."""
        for results, evaluation in zip(self.results, self.evaluations, strict=True):
            if evaluation.system == name:
                return results, evaluation
        raise KeyError(name)


def score_systems(
    systems: Sequence[System], examples: Sequence[Example], *, n_bootstrap: int, seed: int
) -> Scores:
    """Run systems over the same rows and score them with bootstrap intervals."""
    results = tuple(run_system(system, examples) for system in systems)
    return Scores(
        results,
        tuple(score(own, n_bootstrap=n_bootstrap, seed=seed) for own in results),
        tuple(compare(results, n_bootstrap=n_bootstrap, seed=seed)),
    )


def mean_f1(rows: Sequence[ScoredRow]) -> float | None:
    """Mean token F1 as answered, an abstention right where there is no answer; None without scored rows."""
    scored = scored_rows(rows)
    return float(shipped_columns(scored)[1].mean()) if scored else None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One test row before and after.

    Attributes:
        id: Of the row.
        question: What was asked.
        reference: The first right answer; empty where there is none.
        before: The answer of the earlier model; empty where it abstained.
        after: That of the later one.
        before_f1: Token F1 as answered, in [0, 1].
        after_f1: The same of the later one.
    """

    id: str
    question: str
    reference: str
    before: str
    after: str
    before_f1: float
    after_f1: float

    @property
    def gain(self) -> float:
        """How much better the later one is, in [-1, 1]."""
        return self.after_f1 - self.before_f1

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Changes:
    """The test rows of which a right answer is known, sorted out.

    Attributes:
        better: Those that the later model answers better, most gained first.
        worse: Those that it answers worse, most lost first.
        same: Those of equal F1.
    """

    better: tuple[RowChange, ...]
    worse: tuple[RowChange, ...]
    same: tuple[RowChange, ...]

    @property
    def counts(self) -> str:
        """How many rows became better and worse, in words."""
        n_all = len(self.better) + len(self.worse) + len(self.same)
        return f"{len(self.better)} of {n_all} test rows better and {len(self.worse)} worse"

    def to_dict(self) -> dict[str, Any]:
        """Plain values that ``json`` can write."""
        return {name: [row.to_dict() for row in getattr(self, name)] for name in ("better", "worse", "same")}


def changes(before: Results, after: Results) -> Changes:
    """What became of each row between two models that were asked the same."""
    earlier, later = scored_rows(before.rows), scored_rows(after.rows)
    columns = (shipped_columns(earlier)[1].tolist(), shipped_columns(later)[1].tolist())
    rows = [_change(*pair) for pair in zip(earlier, later, *columns, strict=True)]
    return Changes(
        better=tuple(sorted((r for r in rows if r.gain > _SAME), key=lambda r: -r.gain)),
        worse=tuple(sorted((r for r in rows if r.gain < -_SAME), key=lambda r: r.gain)),
        same=tuple(r for r in rows if abs(r.gain) <= _SAME),
    )


def _change(before: ScoredRow, after: ScoredRow, before_f1: float, after_f1: float) -> RowChange:
    example = before.example
    texts = [row.answer.text if row.is_answered and row.answer else "" for row in (before, after)]
    return RowChange(
        id=example.id,
        question=example.question.question,
        reference=next(iter(before.references), ""),
        before=texts[0],
        after=texts[1],
        before_f1=float(before_f1),
        after_f1=float(after_f1),
    )
