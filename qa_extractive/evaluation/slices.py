"""Scored rows -> figures of parts of them: by length, by kind of question, by a column of the data.

Every partition is by what is known before the answer, so that all systems are compared on the same parts.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from qa_extractive.data.question_forms import QUESTION_TYPES, question_type
from qa_extractive.errors import DataError
from qa_extractive.evaluation.resampling import Resampling
from qa_extractive.evaluation.rows import ScoredRow, references_of
from qa_extractive.evaluation.run import Results
from qa_extractive.evaluation.score import scored_rows, shipped_columns
from qa_extractive.metrics.bootstrap import Interval
from qa_extractive.metrics.columns import mean_or_none
from qa_extractive.types import Example

INPUT_TOKENS = "input tokens"
MIN_INTERVAL_ROWS = 30
_QUESTION_TYPE = "question type"
_ANSWER_WORDS = "answer words"
_TOKEN_ENDS = (128, 256, 384, 512, 1024)
_WORD_ENDS = (1, 3, 6, 12, 25)
_N_QUANTILE_BINS = 4
_MAX_VALUES = 12
_MAX_LABEL_CHARACTERS = 60
NONE = "(none)"
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class Slice:
    """The rows of one part.

    Attributes:
        by: What the rows are parted by.
        value: The part.
        rows: Their indices, ascending.
    """

    by: str
    value: str
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SliceFigures:
    """The figures of one system on one part of the rows, as shipped; None where not defined.

    Attributes:
        by: What the rows are parted by.
        value: The part.
        n: Its rows.
        n_scored: Those of which a right answer is known.
        f1: Mean token F1 of those.
        f1_interval: 95 % bootstrap interval of it; None below 30 scored rows.
        em: Mean exact match of those.
        abstained_share: Share of the rows the system did not fail on that it abstained from.
    """

    by: str
    value: str
    n: int
    n_scored: int
    f1: float | None
    f1_interval: Interval | None
    em: float | None
    abstained_share: float | None

    def to_dict(self) -> dict[str, Any]:
        """The figures as plain values that ``json`` can write."""
        return {
            "by": self.by,
            "value": self.value,
            "n": self.n,
            "n_scored": self.n_scored,
            "f1": self.f1,
            "f1_interval": self.f1_interval,
            "em": self.em,
            "abstained_share": self.abstained_share,
        }


def slices_of(
    examples: Sequence[Example], n_tokens: Sequence[int], columns: Sequence[str] = ()
) -> list[Slice]:
    """Part rows by input length, question type, answer length and the given columns.

    Args:
        examples: The rows.
        n_tokens: The tokens of each (``lengths.count_tokens``).
        columns: Further columns of the data. Numbers of more than 12 values are parted at their quartiles;
            of other values the 12 most frequent are kept apart. A column without any value is left out.
    """
    found = [
        *_parted(
            INPUT_TOKENS, [bisect_right(_TOKEN_ENDS, n - 1) for n in n_tokens], _bin_labels(_TOKEN_ENDS)
        ),
        *_by_question_type(examples),
        *_by_answer_words(examples),
    ]
    for column in dict.fromkeys(columns):
        found += _by_column(examples, column)
    return found


def slice_figures(
    results: Results, slices: Sequence[Slice], *, n_bootstrap: int = 1000, seed: int = 17
) -> list[SliceFigures]:
    """The figures of a system on each part of its rows."""
    return [_figures(results, each, n_bootstrap, seed) for each in slices]


def check_columns(examples: Sequence[Example], columns: Sequence[str]) -> None:
    """Raise DataError where no row has a value in one of the columns; it lists those there are."""
    there = dict.fromkeys(
        name for example in examples for name, value in example.fields.items() if not _is_missing(value)
    )
    for column in columns:
        if column not in there:
            names = ", ".join(map(repr, there)) or "none"
            raise DataError(
                f"--slice {column}: no row has a value in such a column; those there are: {names}"
            )


def _figures(results: Results, part: Slice, n_bootstrap: int, seed: int) -> SliceFigures:
    rows: list[ScoredRow] = [results.rows[i] for i in part.rows]
    scored = scored_rows(rows)
    em, f1 = shipped_columns(scored)
    interval = None
    if len(scored) >= MIN_INTERVAL_ROWS:
        resampling = Resampling.of(scored, n_bootstrap, seed)
        interval = resampling.interval(resampling.mean(f1, scored))
    abstained = np.array([row.answer.abstained for row in rows if row.answer is not None], dtype=np.float64)
    return SliceFigures(
        by=part.by,
        value=part.value,
        n=len(rows),
        n_scored=len(scored),
        f1=mean_or_none(f1),
        f1_interval=interval,
        em=mean_or_none(em),
        abstained_share=mean_or_none(abstained),
    )


def _by_question_type(examples: Sequence[Example]) -> Iterator[Slice]:
    types = [QUESTION_TYPES.index(question_type(example.question.question)) for example in examples]
    return _parted(_QUESTION_TYPE, types, QUESTION_TYPES)


def _by_answer_words(examples: Sequence[Example]) -> Iterator[Slice]:
    """By the words of the shortest right answer."""
    labels = ["no answer", *_bin_labels(_WORD_ENDS), "not known"]
    return _parted(_ANSWER_WORDS, [_answer_part(example, len(labels)) for example in examples], labels)


def _answer_part(example: Example, n_parts: int) -> int:
    if example.answerable is False:
        return 0
    lengths = [len(reference.split()) for reference in references_of(example)]
    return 1 + bisect_right(_WORD_ENDS, max(1, min(lengths)) - 1) if lengths else n_parts - 1


def _by_column(examples: Sequence[Example], column: str) -> Iterator[Slice]:
    values = [example.fields.get(column) for example in examples]
    if all(map(_is_missing, values)):
        return iter(())
    numbers = [_number(value) for value in values]
    is_numeric = all(
        n is not None for n, value in zip(numbers, values, strict=True) if not _is_missing(value)
    )
    if is_numeric and len({n for n in numbers if n is not None}) > _MAX_VALUES:
        return _by_quantile(column, numbers)
    return _by_value(column, [NONE if _is_missing(value) else _label(value) for value in values])


def _by_quantile(column: str, numbers: Sequence[float | None]) -> Iterator[Slice]:
    """Parts of about equally many rows; equal numbers stay together."""
    known = np.array([n for n in numbers if n is not None])
    quantiles = np.quantile(known, np.linspace(0, 1, _N_QUANTILE_BINS + 1)[1:-1], method="inverted_cdf")
    ends = np.unique(quantiles).tolist()
    parts = [len(ends) + 1 if n is None else sum(n > end for end in ends) for n in numbers]
    held = [
        [n for n, part in zip(numbers, parts, strict=True) if n is not None and part == i]
        for i in range(len(ends) + 1)
    ]
    labels = [f"{_plain(min(own))} to {_plain(max(own))}" if own else "" for own in held]
    return _parted(column, parts, [*labels, NONE])


def _by_value(column: str, labels: Sequence[str]) -> Iterator[Slice]:
    """The most frequent values, numbers ascending and others by frequency, then name; the rest together."""
    counts = Counter(label for label in labels if label != NONE)
    kept = sorted(counts, key=lambda label: (-counts[label], label))[:_MAX_VALUES]
    if all(_number(label) is not None for label in kept):
        kept.sort(key=float)
    names = [*kept, OTHER, NONE]
    place = {name: i for i, name in enumerate(kept)} | {NONE: len(kept) + 1}
    return _parted(column, [place.get(label, len(kept)) for label in labels], names)


def _parted(by: str, parts: Sequence[int], labels: Sequence[str]) -> Iterator[Slice]:
    """The parts that hold rows, in the order of their labels."""
    for i, label in enumerate(labels):
        rows = tuple(row for row, part in enumerate(parts) if part == i)
        if rows:
            yield Slice(by, label, rows)


def _bin_labels(ends: Sequence[int]) -> list[str]:
    """Names of the bins whose last values these are, from 1 up."""
    named = [(low + 1, high) for low, high in pairwise((0, *ends))]
    return [*(str(high) if low == high else f"{low}-{high}" for low, high in named), f"over {ends[-1]}"]


def _is_missing(value: object) -> bool:
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is None or is_nan or (isinstance(value, str) and not value.strip())


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < 1e15 else f"{number:.4g}"


def _label(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    short = " ".join(text.split())
    return short if len(short) <= _MAX_LABEL_CHARACTERS else f"{short[: _MAX_LABEL_CHARACTERS - 1]}…"
