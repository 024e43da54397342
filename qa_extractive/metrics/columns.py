"""Columns of numbers and of yes/no labels, checked once on the way into a figure."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qa_extractive.errors import DataError

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]
Ints: TypeAlias = NDArray[np.int64]


def finite_column(values: ArrayLike) -> Floats:
    """The values as floats, (n_rows,); DataError unless they are one finite number a row."""
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise DataError(f"expected one number for each row, got an array of shape {column.shape}")
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise DataError(f"expected finite numbers, but row {bad[0]} is {column[bad[0]]}: leave such rows out")
    return column


def prob_column(values: ArrayLike) -> Floats:
    """The values as floats, (n_rows,); DataError unless they all lie in [0, 1]."""
    column = finite_column(values)
    outside = np.flatnonzero((column < 0.0) | (column > 1.0))
    if outside.size:
        raise DataError(f"probabilities must lie in [0, 1], but row {outside[0]} is {column[outside[0]]}")
    return column


def label_column(values: ArrayLike) -> Bools:
    """The labels as booleans, (n_rows,); DataError unless each is True, False, 0 or 1.

    So an unknown label (None) never turns into False unseen.
    """
    column = np.asarray(values)
    unknown = [row for row, value in enumerate(column.tolist()) if value not in (0, 1)]
    if unknown:
        raise DataError(f"expected True or False, but row {unknown[0]} is neither: leave unlabelled rows out")
    return column.astype(np.bool_)


def paired_columns(values: ArrayLike, labels: ArrayLike) -> tuple[Floats, Bools]:
    """Finite numbers and labels, (n_rows,) each; DataError unless they fit together."""
    numbers, truths = finite_column(values), label_column(labels)
    require_same_length(values=numbers.size, labels=truths.size)
    return numbers, truths


def require_same_length(**lengths: int) -> None:
    """Raise DataError unless the columns named are of one length."""
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{n} {name}" for name, n in lengths.items())
        raise DataError(f"columns differ in length ({found}): give one entry for each row")


def mean_or_none(values: Floats) -> float | None:
    """The mean; None of an empty column, instead of NaN and a warning."""
    return float(values.mean()) if values.size else None
