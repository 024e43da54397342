"""The oracle ceiling: the best that any span, or any sentence, of a context can score.

Definition: the highest SQuAD token F1 against any of the references, over all runs of words of the
normalised context up to three times the reference's length plus ten words (a longer one cannot
reach 0.5), or over all its sentences. The search is exact; it costs about 1 ms for an abstract.
"""

from __future__ import annotations

from collections.abc import Sequence

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.alignment.token_search import best_token_f1
from qa_extractive.metrics.text import normalize_answer, token_f1


def oracle_f1(references: Sequence[str], context: str) -> float:
    """The highest token F1 of any span of the context against any reference, in [0, 1]."""
    words = normalize_answer(context).split()
    return max((best_token_f1(normalize_answer(r).split(), words) for r in references), default=0.0)


def oracle_sentence_f1(references: Sequence[str], context: str) -> float:
    """The highest token F1 of any sentence of the context against any reference, in [0, 1]."""
    sentences = split_sentences(context)
    return max(
        (token_f1(s.text, r) for s in sentences for r in references if normalize_answer(r)), default=0.0
    )
