"""Whether answers stand in their contexts, word for word, and in the sentence that holds the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from qa_extractive.metrics.columns import require_same_length
from qa_extractive.types import Answer, Span


def broken_invariants(context: str, answer: Answer) -> tuple[str, ...]:
    """What an answer promises and does not keep, a line each; none of a sound answer.

    An extractive answer promises that its text, its sentence and its candidates are
    ``context[start:end]``, that none is empty, that the sentence holds the answer, that no candidate
    overlaps another, and that its probabilities lie in [0, 1]. Whatever breaks one is a bug of the
    system, not a wrong answer: the share of sound answers must be 1.
    """
    return tuple(_broken(context, answer))


def stands_in(context: str, span: Answer | Span) -> bool:
    """Whether a span is a piece of the context, at its offsets, and not empty."""
    return bool(span.text) and span.start >= 0 and context[span.start : span.end] == span.text


def is_evidence_hit(sentence: Span, labels: Sequence[Span]) -> bool:
    """Whether the sentence of an answer and a labelled span share more than half of the shorter one.

    So a short label in the sentence is hit, and a long one by a sentence inside it.
    """
    return any(_is_mostly_shared(sentence, label) for label in labels)


def evidence_hit_rate(sentences: Sequence[Span | None], labels: Sequence[Sequence[Span]]) -> float | None:
    """Share of the rows with labelled spans whose answer stands in the right sentence.

    Args:
        sentences: The sentence of each answer, (n_rows,); None where nothing was answered, which is a miss.
        labels: The labelled spans of each row, (n_rows,); rows without any are left out.

    Returns:
        The share, in [0, 1]; None where no row has a label.
    """
    require_same_length(sentences=len(sentences), labels=len(labels))
    hits = [
        sentence is not None and is_evidence_hit(sentence, own)
        for sentence, own in zip(sentences, labels, strict=True)
        if own
    ]
    return sum(hits) / len(hits) if hits else None


def _broken(context: str, answer: Answer) -> Iterator[str]:
    named: list[tuple[str, Answer | Span]] = [] if answer.abstained else [("answer", answer)]
    if answer.sentence is not None:
        named.append(("sentence", answer.sentence))
    named += [(f"candidate {i}", span) for i, span in enumerate(answer.candidates)]
    for name, span in named:
        if not stands_in(context, span):
            yield f"the {name} is not the context at [{span.start}:{span.end}]: {span.text[:60]!r}"
    if answer.sentence is not None and not _holds(answer.sentence, answer):
        yield f"the sentence does not hold the answer at [{answer.start}:{answer.end}]"
    if any(left.overlaps(right) for left, right in combinations(answer.candidates, 2)):
        yield "candidates overlap"
    for name, prob in (("score", answer.score), ("answerable", answer.answerable)):
        if not 0.0 <= prob <= 1.0:
            yield f"{name} {prob} lies outside [0, 1]"


def _holds(sentence: Span, answer: Answer) -> bool:
    return sentence.start <= answer.start and answer.end <= sentence.end


def _is_mostly_shared(left: Span, right: Span) -> bool:
    n_shared = min(left.end, right.end) - max(left.start, right.start)
    return 2 * n_shared > min(len(left.text), len(right.text))
