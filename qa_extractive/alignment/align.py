"""A free-form reference answer -> weak span labels, each with a confidence.

The tiers, strictest first; the first that reaches the threshold gives the label:

    exact       the reference stands verbatim in the context
    normalised  ... but for case, Unicode form, hyphens, quotes, spacing, punctuation, a leading article
    window      a run of words shares most of its tokens with the reference
    sentence    a sentence holds most of what the reference says, in other words
    none        nothing does: no label rather than a wrong one

"given" marks an example that came with its spans. ``benchmarks/results/NOTES-alignment.md`` has the
confidence scale, the measured precision of every tier and the oracle ceiling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from qa_extractive.alignment.forms import ContextForms, ReferenceForms
from qa_extractive.alignment.oracle import oracle_f1, oracle_sentence_f1
from qa_extractive.alignment.tiers import exact_spans, normalised_spans, sentence_spans, window_spans
from qa_extractive.alignment.types import AlignedExamples, Alignment, AlignmentReport, Tier
from qa_extractive.types import Example, Span

DEFAULT_THRESHOLD = 0.5


def align(
    reference: str, context: str, *, question: str = "", threshold: float = DEFAULT_THRESHOLD
) -> Alignment:
    """The best alignment of one reference with a context; never raises on any text.

    Args:
        reference: The answer, verbatim or in other words. A leading "Yes," or "No," is passed over;
            an answer that is only that, or only stop words, aligns with nothing.
        context: The text to label.
        question: Where given, the occurrences of a short answer are ranked by the words of the
            question around them.
        threshold: The least confidence of a label, in [0, 1].

    Returns:
        The alignment; its spans are at most 8 and their texts verbatim pieces of the context.
    """
    return _align(ReferenceForms.of(reference), ContextForms.of(context), question, threshold)


def align_example(example: Example, *, threshold: float = DEFAULT_THRESHOLD) -> tuple[Example, Alignment]:
    """The example with its references aligned, and how.

    Spans that it came with are kept (tier "given"). Of several references the one that aligns with
    the most confidence counts. What aligns becomes ``answerable=True``; what does not keeps its
    ``answerable`` and has no spans. An example that is marked unanswerable stays as it is.
    """
    if example.spans:
        return example, Alignment("given", example.spans)
    if example.answerable is False or not example.references:
        return example, Alignment("none")
    found = _best(example, ContextForms.of(example.question.context), threshold)
    if not found.spans:
        return example, found
    return replace(example, spans=found.spans, answerable=True), found


def align_examples(examples: Iterable[Example], *, threshold: float = DEFAULT_THRESHOLD) -> AlignedExamples:
    """``align_example`` of every example, with the account by tier and the oracle ceiling."""
    aligned = [align_example(example, threshold=threshold) for example in examples]
    counted = [(example, found) for example, found in aligned if _counts(example)]
    oracles = [_oracles(example) for example, _ in counted if example.references]
    report = AlignmentReport.of([found for _, found in counted], len(aligned) - len(counted), oracles)
    return AlignedExamples(tuple(e for e, _ in aligned), tuple(found for _, found in aligned), report)


def _counts(example: Example) -> bool:
    return example.answerable is not False and bool(example.references or example.spans)


def _oracles(example: Example) -> tuple[float, float]:
    context = example.question.context
    return oracle_f1(example.references, context), oracle_sentence_f1(example.references, context)


def _best(example: Example, context: ContextForms, threshold: float) -> Alignment:
    question = example.question.question
    found = [_align(ReferenceForms.of(text), context, question, threshold) for text in example.references]
    return max(found, key=lambda alignment: alignment.confidence)


def _align(reference: ReferenceForms, context: ContextForms, question: str, threshold: float) -> Alignment:
    if not reference.can_align:
        return Alignment("none")
    for tier, spans in _attempts(reference, context, question):
        kept = tuple(span for span in spans if span.score >= threshold)
        if kept:
            return Alignment(tier, kept)
        if spans and tier in ("exact", "normalised"):
            break  # it stands there too often to say where; a looser tier would only hide that
    return Alignment("none")


def _attempts(
    reference: ReferenceForms, context: ContextForms, question: str
) -> Iterator[tuple[Tier, list[Span]]]:
    yield "exact", exact_spans(reference, context, question)
    yield "normalised", normalised_spans(reference, context, question)
    yield "window", window_spans(reference, context)
    yield "sentence", sentence_spans(reference, context)
