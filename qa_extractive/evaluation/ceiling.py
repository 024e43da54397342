"""What a perfect extractive system could score on a data set: references need not stand in the context."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qa_extractive.alignment.oracle import oracle_f1
from qa_extractive.evaluation.rows import references_of
from qa_extractive.metrics.columns import mean_or_none
from qa_extractive.metrics.text import normalize_answer
from qa_extractive.types import Example

_ROUGE_TOKEN = re.compile("[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The mean over the rows with references of the best that any span of the context can score.

    Attributes:
        n: Rows with references.
        f1: Token F1; None without such rows.
        rouge_l: ROUGE-L of the best run of words; None without such rows.
        verbatim_share: Share of these rows of which a reference stands in the context as it is.
    """

    n: int
    f1: float | None
    rouge_l: float | None
    verbatim_share: float | None

    def to_dict(self) -> dict[str, Any]:
        """The ceiling as plain values that ``json`` can write."""
        return {"n": self.n, "f1": self.f1, "rouge_l": self.rouge_l, "verbatim_share": self.verbatim_share}


def ceiling_of(examples: Iterable[Example]) -> Ceiling:
    """The ceiling of a data set, whatever answers it."""
    rows = [(references_of(example), example.question.context) for example in examples]
    rows = [(references, context) for references, context in rows if references]
    verbatim = [_is_verbatim(references, context) for references, context in rows]
    best = [
        (1.0, 1.0) if found else (oracle_f1(references, context), oracle_rouge_l(references, context))
        for found, (references, context) in zip(verbatim, rows, strict=True)
    ]
    f1, rouge = np.array(best, dtype=np.float64).reshape(-1, 2).T
    return Ceiling(
        n=len(rows),
        f1=mean_or_none(f1),
        rouge_l=mean_or_none(rouge),
        verbatim_share=mean_or_none(np.array(verbatim, dtype=np.float64)),
    )


def oracle_rouge_l(references: Sequence[str], context: str) -> float:
    """The highest ROUGE-L of any run of words of the context against any reference, in [0, 1]."""
    words = _ROUGE_TOKEN.findall(context.lower())
    return max((_best_rouge_l(_ROUGE_TOKEN.findall(r.lower()), words) for r in references), default=0.0)


def _best_rouge_l(reference: Sequence[str], words: Sequence[str]) -> float:
    """The best over all runs, which start and end with a word of the reference.

    The rows of ``common`` are runs by their first word; word by word, each run grows by one, its longest
    common subsequence with every prefix of the reference kept.
    """
    wanted = set(reference)
    places = np.array([i for i, word in enumerate(words) if word in wanted], dtype=np.int64)
    if not places.size:
        return 0.0
    common = np.zeros((places.size, len(reference) + 1), dtype=np.int64)
    best = 0.0
    for n_started, place in enumerate(places.tolist(), start=1):
        is_word = np.array([word == words[place] for word in reference], dtype=np.int64)
        open_runs = common[:n_started]
        grown = np.maximum(open_runs[:, 1:], open_runs[:, :-1] + is_word)
        open_runs[:, 1:] = np.maximum.accumulate(grown, axis=1)
        lengths = place + 1 - places[:n_started] + len(reference)
        best = max(best, float((2 * open_runs[:, -1] / lengths).max()))
    return best


def _is_verbatim(references: Sequence[str], context: str) -> bool:
    """Whether a reference stands in the context between two word boundaries: both scores are then 1."""
    worded = [r for r in references if normalize_answer(r) and _ROUGE_TOKEN.search(r.lower())]
    return any(re.search(rf"(?<!\w){re.escape(r)}(?!\w)", context) for r in worded)
