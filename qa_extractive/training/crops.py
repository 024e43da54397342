"""Contexts cut to a few sentences, so that a step of the training reads more questions."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from qa_extractive._utils.sentences import split_sentences
from qa_extractive.config import TrainConfig
from qa_extractive.types import Example, Question, Span


def with_crops(examples: Sequence[Example], config: TrainConfig, rng: random.Random) -> list[Example]:
    """The examples, a share ``crop_share`` of each source with its context cropped."""
    shares = config.crop_shares
    return [
        cropped(example, rng, config.crop_neighbours)
        if rng.random() < shares.get(example.source, config.crop_share)
        else example
        for example in examples
    ]


def cropped(example: Example, rng: random.Random, n_neighbours: int) -> Example:
    """The example with the sentences of its best span and up to ``n_neighbours`` on either side.

    Without a span these are the neighbours of the sentence that shares most words with the question, or,
    half of the time, of any: the length and the look of a crop do not tell whether it holds the answer.
    Spans that reach out of the crop are no longer labelled. An example that is only known to be answerable
    stays as it is.
    """
    context = example.question.context
    sentences = split_sentences(context)
    if len(sentences) < 3 or (not example.spans and example.answerable is not False):
        return example
    first, last = _core(example, sentences, rng)
    first = max(0, first - rng.randint(0, n_neighbours))
    last = min(len(sentences) - 1, last + rng.randint(0, n_neighbours))
    start, end = sentences[first].start, sentences[last].end
    kept = tuple(_moved(span, start) for span in example.spans if start <= span.start and span.end <= end)
    if example.spans and not kept:  # the sentences of a span hold it, unless it ends in white space
        return example
    question = Question(example.question.question, context[start:end], example.question.title)
    return replace(example, question=question, spans=kept)


def _core(example: Example, sentences: Sequence[Span], rng: random.Random) -> tuple[int, int]:
    """The first and the last sentence that a crop must hold."""
    if example.spans:
        span = example.spans[0]
        held = [i for i, s in enumerate(sentences) if s.start < span.end and span.start < s.end]
        return held[0], held[-1]
    if rng.random() < 0.5:
        chosen = rng.randrange(len(sentences))
    else:
        asked = _words(example.question.question)
        chosen = max(range(len(sentences)), key=lambda i: len(asked & _words(sentences[i].text)))
    return chosen, chosen


def _words(text: str) -> set[str]:
    return {word.lower() for word in re.findall(r"\w{4,}|\d+", text)}


def _moved(span: Span, start: int) -> Span:
    return Span(span.text, span.start - start, span.end - start, span.score)
