"""Questions of one request -> answers, through the shared queue and before a deadline."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

from qa_extractive.errors import DataError, LongContextError, QAError
from qa_extractive.inference.answers import to_answer
from qa_extractive.inference.decoding import decode
from qa_extractive.inference.pipeline import CHUNK_CHARACTERS, CHUNK_QUESTIONS, chunks
from qa_extractive.inference.windows import Window
from qa_extractive.predictor import Predictor
from qa_extractive.service.batching import BatchedRun, Batcher, BatchStats
from qa_extractive.service.settings import ServiceSettings
from qa_extractive.settings import N_DECODED, AnswerSettings
from qa_extractive.types import Answer, Question

MAX_TOP_K = N_DECODED
MAX_QUESTION_CHARACTERS = 10_000
_MAX_RETRY_S = 60
_WARM_UP = Question("What was measured?", "We measured blood pressure in 40 adults. It fell by 5 mmHg. " * 40)

_T = TypeVar("_T")


class QueueFullError(QAError):
    """Too much waits already.

    Attributes:
        retry_after_s: When the queue should have room, in whole seconds of at least 1.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineError(QAError):
    """The answer was not there in time."""


class QuestionError(DataError):
    """One question of a call cannot be answered.

    Attributes:
        index: Its position in the call.
        part: "question" or "context", whichever is at fault.
    """

    def __init__(self, message: str, index: int, part: str = "question") -> None:
        super().__init__(message)
        self.index = index
        self.part = part


@dataclass(frozen=True, slots=True)
class AnswerOptions:
    """What a caller may choose.

    Attributes:
        top_k: Candidates of each answer, 1 to ``MAX_TOP_K``; None for the predictor's own number.
        threshold: Abstain below this answerable probability; None for the predictor's own.
    """

    top_k: int | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Where a request's time went, in milliseconds; the parts of a long one are summed."""

    tokenize_ms: float = 0.0
    queue_ms: float = 0.0
    model_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A request's answers.

    Attributes:
        answers: In the order of the questions.
        threshold: The one they were held to.
        n_tokens: Tokens that the model read.
        timing: Where the time went.
    """

    answers: tuple[Answer, ...]
    threshold: float
    n_tokens: int
    timing: Timing


class Observer(Protocol):
    """Is told what the engine does; methods must be quick."""

    def on_batch(self, stats: BatchStats) -> None:
        """A batch ran."""

    def on_tokenized(self, seconds: float) -> None:
        """Questions of a request were cut into windows."""

    def on_run(self, run: BatchedRun) -> None:
        """Windows of a request came back."""

    def on_answers(self, answers: Sequence[Answer]) -> None:
        """Questions were answered."""


class Engine:
    """Answers the requests of one event loop with one predictor."""

    def __init__(self, predictor: Predictor, settings: ServiceSettings, observer: Observer) -> None:
        """Take a loaded predictor; ``start`` must follow."""
        self.predictor = predictor
        self.settings = settings
        self._observer = observer
        self._n_requests = self._n_characters = 0
        self._batcher = Batcher(
            predictor.backend.run,
            max_batch_tokens=settings.max_batch_tokens,
            max_wait_ms=settings.max_wait_ms,
            on_batch=observer.on_batch,
        )

    def warm(self) -> None:
        """Answer once on each core and once on all, so that the first caller waits for no memory."""
        self.predictor.answer_batch([_WARM_UP] * self.predictor.n_threads)
        self.predictor.answer_batch([_WARM_UP])

    async def start(self) -> None:
        """Begin to take requests."""
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="qa-text")
        await self._batcher.start()

    async def close(self) -> None:
        """Stop; requests in flight are the caller's to wait for first."""
        await self._batcher.close()
        self._threads.shutdown(cancel_futures=True)

    @property
    def is_ready(self) -> bool:
        """Whether a request would be taken."""
        return self._batcher.is_alive

    @property
    def n_requests(self) -> int:
        """Requests admitted and not yet answered."""
        return self._n_requests

    @property
    def n_waiting_tokens(self) -> int:
        """Tokens that wait for the model."""
        return self._batcher.n_waiting_tokens

    async def answer(self, questions: Sequence[Question], options: AnswerOptions) -> Answered:
        """The answers to one request's questions; cancelling it stops the work.

        Raises:
            QuestionError: A question or a context is too long.
            QueueFullError: Too much waits already; nothing was done.
            DeadlineError: The answers were not there in time; what was left is not done.
            ModelError: The model failed.
        """
        self._check_lengths(questions)
        size = sum(len(q.question) + len(q.context) + len(q.title or "") for q in questions)
        with self._admitted(size):
            return await self.in_time(self._answer(questions, options))

    async def answer_parts(
        self, parts: Sequence[Sequence[Question]], size: int, options: AnswerOptions
    ) -> AsyncGenerator[Answered, None]:
        """The answers to the parts of one request, one after the other; closing it stops the work.

        The request is admitted once, and each part has a deadline of its own. Errors are those of ``answer``;
        a question's index counts from the first part on.

        Args:
            parts: The questions, in order.
            size: Characters that the request holds.
            options: For all of them.
        """
        self._check_lengths([question for part in parts for question in part])
        with self._admitted(size):
            first = 0
            for part in parts:
                yield await self.in_time(self._answer(part, options, first))
                first += len(part)

    async def in_time(self, work: Awaitable[_T]) -> _T:
        """What some work comes to; DeadlineError, and the work is stopped, if it takes too long."""
        try:
            return await asyncio.wait_for(work, self.settings.deadline_s)
        except TimeoutError:
            raise DeadlineError(
                f"no answer within {self.settings.deadline_s:g} s: ask fewer or shorter texts at once"
            ) from None

    def _check_lengths(self, questions: Sequence[Question]) -> None:
        for index, each in enumerate(questions):
            limits = {"question": MAX_QUESTION_CHARACTERS, "context": self.settings.max_context_characters}
            for part, limit in limits.items():
                n_characters = len(getattr(each, part))
                if n_characters > limit:
                    message = f"{part} of {n_characters:,} characters exceeds {limit:,}: shorten it"
                    raise QuestionError(message, index, part)

    @contextmanager
    def _admitted(self, size: int) -> Iterator[None]:
        self._refuse_if_full(size)
        self._n_requests += 1
        self._n_characters += size
        try:
            yield
        finally:
            self._n_requests -= 1
            self._n_characters -= size

    def _refuse_if_full(self, size: int) -> None:
        """A request alone is always taken, whatever its size."""
        too_many = self._n_requests >= self.settings.max_queue
        if too_many or (self._n_requests and self._n_characters + size > self.settings.max_queue_characters):
            retry_after_s = min(_MAX_RETRY_S, max(1, math.ceil(self._batcher.wait_s)))
            raise QueueFullError(f"the queue is full: try again in {retry_after_s} s", retry_after_s)

    async def _answer(
        self, questions: Sequence[Question], options: AnswerOptions, first_index: int = 0
    ) -> Answered:
        started = time.perf_counter()
        settings = self.predictor.settings.chosen(options.threshold, options.top_k)
        answers: list[Answer] = []
        tokenize_s = queue_s = model_s = 0.0
        n_tokens = 0
        for chunk in chunks(questions, CHUNK_QUESTIONS, CHUNK_CHARACTERS):
            began = time.perf_counter()
            windows = await self._in_thread(self._windows, chunk, first_index + len(answers))
            tokenize_s += time.perf_counter() - began
            self._observer.on_tokenized(time.perf_counter() - began)
            run = await self._batcher.run(windows)
            self._observer.on_run(run)
            queue_s, model_s = queue_s + run.queue_s, model_s + run.model_s
            n_tokens += sum(window.n_tokens for window in windows)
            answers += await self._in_thread(self._decoded, chunk, windows, run, settings)
        self._observer.on_answers(answers)
        total_s = time.perf_counter() - started
        timing = Timing(*(round(1000.0 * s, 3) for s in (tokenize_s, queue_s, model_s, total_s)))
        return Answered(tuple(answers), settings.threshold, n_tokens, timing)

    async def _in_thread(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))

    def _windows(self, questions: Sequence[Question], first_index: int) -> list[Window]:
        for index, question in enumerate(questions, first_index):
            try:
                self.predictor.check(question)
            except DataError as error:
                part = "context" if isinstance(error, LongContextError) else "question"
                raise QuestionError(str(error), index, part) from None
        return self.predictor.windower.windows(questions)

    def _decoded(
        self,
        questions: Sequence[Question],
        windows: Sequence[Window],
        run: BatchedRun,
        settings: AnswerSettings,
    ) -> list[Answer]:
        predictor, calibration = self.predictor, self.predictor.calibration
        predictions = decode(
            questions, windows, run.logits, predictor.config.decode, top_k=settings.n_decoded
        )
        return [
            to_answer(question, prediction, calibration, settings)
            for question, prediction in zip(questions, predictions, strict=True)
        ]
