"""Questions -> predictions: tokenized, run and decoded side by side.

A batch is tokenized part by part, each part while the model runs those before it; the first one is small,
so that no core waits for it. Serving code: no torch.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from qa_extractive.config import DecodeConfig
from qa_extractive.inference.backend import Backend, StreamingBackend, WindowLogits
from qa_extractive.inference.decoding import RawPrediction, decode
from qa_extractive.inference.scheduler import MAX_PLANNED_A_THREAD
from qa_extractive.inference.windows import Window, Windower
from qa_extractive.types import Question

CHUNK_QUESTIONS = 64
CHUNK_CHARACTERS = 500_000  # cutting them into windows takes some 200 times their memory for a moment
_FIRST_A_THREAD = 2  # questions of the first part
_PART_A_THREAD = 8  # most questions of the parts after it

_T = TypeVar("_T")
Make = Callable[[Sequence[Question], Sequence[Window], Sequence[WindowLogits]], list[_T]]
"""Makes something of each of some questions, in order, from all their windows and the logits of these."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Questions cut into windows.

    Attributes:
        questions: The questions.
        windows: Their windows, in order.
    """

    questions: list[Question]
    windows: list[Window]


def prepare(questions: Sequence[Question], windower: Windower) -> list[Prepared]:
    """Cut questions into windows, in parts; DataError if one is too long."""
    return [*_prepared(_parts(questions, CHUNK_QUESTIONS), windower)]


def read(
    questions: Sequence[Question],
    windower: Windower,
    backend: Backend,
    config: DecodeConfig,
    *,
    top_k: int = 5,
    n_threads: int = 1,
) -> list[RawPrediction]:
    """A raw prediction for each question, in order; besides them, memory does not grow with their number.

    Args:
        questions: Checked questions.
        windower: Cuts them into windows.
        backend: Runs the windows.
        config: Span length and beam.
        top_k: Candidates to keep for each question.
        n_threads: Windows that the backend runs at once. So few questions that their windows may be planned
            together are tokenized together.
    """
    return read_as(
        partial(decode, config=config, top_k=top_k), questions, windower, backend, n_threads=n_threads
    )


def read_as(
    make: Make[_T], questions: Sequence[Question], windower: Windower, backend: Backend, *, n_threads: int = 1
) -> list[_T]:
    """As ``read``, with what ``make`` makes of each part's questions instead of raw predictions."""
    if n_threads == 1 or len(questions) <= MAX_PLANNED_A_THREAD * n_threads:
        parts = _parts(questions, CHUNK_QUESTIONS)
    else:
        n_first = _FIRST_A_THREAD * n_threads
        first, rest = questions[:n_first], questions[n_first:]
        n_most = min(CHUNK_QUESTIONS, _PART_A_THREAD * n_threads)
        n_even = math.ceil(len(rest) / math.ceil(len(rest) / n_most))  # no core waits for a last part of one
        parts = _parts(first, n_first) + _parts(rest, n_even)
    return _read(make, _prepared(parts, windower), len(parts), backend)


def read_prepared(
    parts: Sequence[Prepared], backend: Backend, config: DecodeConfig, *, top_k: int = 5
) -> list[RawPrediction]:
    """As ``read``, for questions cut before."""
    return _read(partial(decode, config=config, top_k=top_k), iter(parts), len(parts), backend)


def _parts(questions: Sequence[Question], max_questions: int) -> list[list[Question]]:
    return [*chunks(questions, max_questions, CHUNK_CHARACTERS)]


def _prepared(parts: Sequence[list[Question]], windower: Windower) -> Iterator[Prepared]:
    return (Prepared(part, windower.windows(part)) for part in parts)


def _read(make: Make[_T], parts: Iterator[Prepared], n_parts: int, backend: Backend) -> list[_T]:
    running: deque[Prepared] = deque()

    def windows() -> Iterator[list[Window]]:
        for part in parts:
            running.append(part)
            yield part.windows

    made: list[_T] = []
    with closing(_logits(windows(), n_parts, backend)) as logits:
        for found in logits:
            part = running.popleft()
            made += make(part.questions, part.windows, found)
    return made


def _logits(
    parts: Iterator[list[Window]], n_parts: int, backend: Backend
) -> Generator[list[WindowLogits], None, None]:
    if n_parts > 1 and isinstance(backend, StreamingBackend):
        yield from backend.run_stream(parts)
    else:
        yield from map(backend.run, parts)


def chunks(
    questions: Sequence[Question], max_questions: int, max_characters: int
) -> Iterator[list[Question]]:
    """Runs of neighbours of at most so many questions and, but for a single one, characters of contexts."""
    chunk: list[Question] = []
    n_characters = 0
    for question in questions:
        n_characters += len(question.context)
        if chunk and (len(chunk) == max_questions or n_characters > max_characters):
            yield chunk
            chunk, n_characters = [], len(question.context)
        chunk.append(question)
    if chunk:
        yield chunk
