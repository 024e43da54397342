"""Classes told of rows beside their true ones; a row may be told none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qa_extractive.metrics.columns import Ints, require_same_length


def macro_f1(true: Sequence[str], given: Sequence[str | None]) -> float | None:
    """Mean over the true classes of the F1 of telling each, in [0, 1]; None without rows.

    A row that is told no class lowers the recall of its own, and no precision. A class that is told but
    true of no row lowers the recall of others only.

    Args:
        true: The class of each row, (n_rows,).
        given: The class it is told, (n_rows,); None for none.
    """
    return macro_f1_of(class_counts(true, given).sum(axis=0))


def class_counts(true: Sequence[str], given: Sequence[str | None]) -> Ints:
    """Of each row and true class whether it is told rightly, is true and is told, (n_rows, 3, n_classes)."""
    require_same_length(true=len(true), given=len(given))
    classes = np.array(sorted(set(true)), dtype=object)
    is_true = np.array(true, dtype=object)[:, None] == classes
    is_given = np.array(given, dtype=object)[:, None] == classes
    return np.stack([is_true & is_given, is_true, is_given], axis=1).astype(np.int64)


def macro_f1_of(counts: Ints) -> float | None:
    """The macro F1 of summed ``class_counts``, (3, n_classes), over the classes that are true of a row."""
    right, true, given = counts[:, counts[1] > 0]
    return float(np.mean(2 * right / (true + given))) if true.size else None
