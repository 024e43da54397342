"""Systems side by side in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from qa_extractive.evaluation.figures import Evaluation
from qa_extractive.report.blocks import Table, plain
from qa_extractive.report.cells import UNDEFINED

MAX_NAME = 60


def systems_table(
    caption: str, evaluations: Sequence[Evaluation], columns: Mapping[str, Callable[[Evaluation], str]]
) -> Table:
    """A row for each system and a column for each figure; figures that no system has are left out."""
    cells = {name: [cell(e) for e in evaluations] for name, cell in columns.items()}
    kept = {name: own for name, own in cells.items() if any(cell != UNDEFINED for cell in own)}
    rows = tuple((short(e.system), *(own[i] for own in kept.values())) for i, e in enumerate(evaluations))
    return Table(caption, ("system", *kept), rows)


def short(name: str) -> str:
    """A name of a system, a data set or a column, fit for a heading or a cell."""
    return plain(name, MAX_NAME)
