"""How well one answer string matches another: SQuAD's exact match and token F1, and ROUGE-L.

All scores lie in [0, 1]. The definitions are those of the official SQuAD scripts (Rajpurkar et al. 2016,
arXiv 1606.05250, and 2018, arXiv 1806.03822) and of Google's ``rouge_score`` without stemming (Lin 2004).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from qa_extractive.errors import DataError

SquadVersion = Literal["1.1", "2.0"]

RIGHT_F1 = 0.5
"""The token F1 from which on an answer counts as right where right or wrong is all that is asked."""

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_DROP_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NOT_ROUGE = re.compile(r"[^a-z0-9]+")


def normalize_answer(text: str) -> str:
    """The text as both SQuAD scripts compare it.

    In this order: lower case, ASCII punctuation deleted (so ``p-value`` becomes ``pvalue``), the words
    ``a``, ``an`` and ``the`` blanked out, runs of white space made one blank. Other punctuation stays.
    """
    bare = text.lower().translate(_DROP_PUNCTUATION)
    return " ".join(_ARTICLE.sub(" ", bare).split())


def exact_match(prediction: str, reference: str) -> float:
    """1.0 where the two are equal once normalised, else 0.0; two empty answers are equal."""
    return float(normalize_answer(prediction) == normalize_answer(reference))


def token_f1(prediction: str, reference: str, *, version: SquadVersion = "2.0") -> float:
    """Harmonic mean of the precision and recall of the normalised tokens, counted with repetition.

    Args:
        prediction: The answer given.
        reference: One reference answer.
        version: Which script to follow where either has no token left: "2.0" gives 1 if neither has
            any and else 0; "1.1" always gives 0, even to two empty answers.

    Returns:
        The F1, in [0, 1].
    """
    predicted = Counter(normalize_answer(prediction).split())
    expected = Counter(normalize_answer(reference).split())
    if version == "2.0" and not (predicted and expected):
        return float(predicted == expected)
    n_shared = (predicted & expected).total()
    if n_shared == 0:
        return 0.0
    # Not simplified to 2 n / (p + r): the scripts' rounding, so that thresholds found from it agree too.
    precision, recall = n_shared / predicted.total(), n_shared / expected.total()
    return 2 * precision * recall / (precision + recall)


def rouge_l(prediction: str, reference: str) -> float:
    """F-measure of the longest common subsequence of tokens, as ``rouge_score``'s ``rougeL``, unstemmed.

    Tokens are runs of ASCII letters and digits after lower-casing; articles count, and any other
    character (Greek letters, accents) separates. 0.0 where either has no token.
    """
    predicted, expected = _rouge_tokens(prediction), _rouge_tokens(reference)
    if not predicted or not expected:
        return 0.0
    return 2 * lcs_length(predicted, expected) / (len(predicted) + len(expected))


def lcs_length(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence; time O(n m) in numpy rows, memory O(n + m)."""
    ids = {token: i for i, token in enumerate(dict.fromkeys([*left, *right]))}
    columns = np.array([ids[token] for token in right], dtype=np.int64)
    row = np.zeros(len(right) + 1, dtype=np.int64)
    for token in left:
        # A match never falls behind its neighbours, so the row's recurrence is one running maximum.
        row[1:] = np.maximum.accumulate(np.maximum(row[1:], row[:-1] + (columns == ids[token])))
    return int(row[-1])


def gold_references(references: Sequence[str], *, version: SquadVersion = "2.0") -> tuple[str, ...]:
    """The references that the official script compares with.

    Args:
        references: The references of one question; none means that it is unanswerable.
        version: "2.0" drops references that normalise to nothing, and expects the empty answer where
            none is left; "1.1" takes them as they are.

    Raises:
        DataError: If there is no reference in version 1.1, which has no unanswerable questions.
    """
    if version == "2.0":
        return tuple(r for r in references if normalize_answer(r)) or ("",)
    if not references:
        raise DataError("a question without references cannot be scored as SQuAD 1.1: use version 2.0")
    return tuple(references)


def best_exact_match(prediction: str, references: Sequence[str], *, version: SquadVersion = "2.0") -> float:
    """The highest exact match over the gold references of one question (see gold_references)."""
    return max(exact_match(prediction, r) for r in gold_references(references, version=version))


def best_token_f1(prediction: str, references: Sequence[str], *, version: SquadVersion = "2.0") -> float:
    """The highest token F1 over the gold references of one question (see gold_references)."""
    return max(token_f1(prediction, r, version=version) for r in gold_references(references, version=version))


def best_rouge_l(prediction: str, references: Sequence[str]) -> float | None:
    """The highest ROUGE-L over the references; None where there are none."""
    return max((rouge_l(prediction, r) for r in references), default=None)


def _rouge_tokens(text: str) -> list[str]:
    return _NOT_ROUGE.sub(" ", text.lower()).split()
