"""Questions to the engine, for the tools: what is too large is refused, and what is wrong is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager

from qa_extractive.errors import DataError
from qa_extractive.evidence.gather import evidence_of, paper_answer
from qa_extractive.evidence.types import Evidence, PaperAnswer, PaperText
from qa_extractive.inference.pipeline import chunks
from qa_extractive.mcp_server.folders import Folders
from qa_extractive.papers.types import Passage
from qa_extractive.predictor import Predictor
from qa_extractive.service.batching import BatchedRun, BatchStats
from qa_extractive.service.engine import Answered, AnswerOptions, Engine, QuestionError
from qa_extractive.service.evidence_schemas import PaperTextItem
from qa_extractive.service.settings import ServiceSettings
from qa_extractive.service.uploads import Uploads
from qa_extractive.types import Answer, Question

MAX_CELLS = 10_000
"""Papers x questions of one table."""

_PART_QUESTIONS = 20  # of a table, so that a caller who leaves stops the rest
_PART_CHARACTERS = 30_000
_READ_TIMES = 4  # as much text to read, counting each paper once a question, as may wait in the queue


class Asker:
    """Puts the tools' questions to one predictor.

    Attributes:
        engine: Answers, within the limits of the HTTP service.
        uploads: Reads files in a process of its own.
        folders: Where files may be read and written.
    """

    def __init__(self, predictor: Predictor, settings: ServiceSettings, folders: Folders) -> None:
        """Take a loaded predictor; ``running`` must follow."""
        self.engine = Engine(predictor, settings, _Nobody())
        self.uploads = Uploads(settings)
        self.folders = folders

    @property
    def settings(self) -> ServiceSettings:
        """The limits."""
        return self.engine.settings

    @property
    def predictor(self) -> Predictor:
        """That answers."""
        return self.engine.predictor

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Takes questions inside the block."""
        await self.engine.start()
        try:
            yield
        finally:
            self.uploads.close()
            await self.engine.close()

    async def answers(self, questions: Sequence[Question], options: AnswerOptions) -> Answered:
        """The answers to a few questions; ``QuestionError`` and the like as ``Engine.answer`` has them."""
        return await self.engine.answer(questions, options)

    async def evidence(
        self, question: str, papers: Sequence[PaperText], options: AnswerOptions
    ) -> tuple[Evidence, Answered]:
        """What papers say to a question.

        Raises:
            DataError: There are too many papers or there is too much text, or a paper cannot be asked.
        """
        self.check_sent(papers)
        asked = [Question(question, paper.text, paper.title) for paper in papers]
        with _blaming(lambda i, part: "question" if part == "question" else f"papers[{i}].text"):
            found = await self.engine.answer(asked, options)
        return evidence_of(question, papers, found.answers), found

    async def table(
        self, questions: Sequence[str], papers: Sequence[PaperText], threshold: float | None
    ) -> list[list[PaperAnswer]]:
        """What each paper says to each question, in the order of both.

        Raises:
            DataError: There are too many papers or there is too much text, or a paper cannot be asked.
        """
        self.check_table(questions, papers)
        n = len(questions)
        pairs = [Question(each, paper.text, paper.title) for paper in papers for each in questions]
        size = sum(len(paper.text) for paper in papers) + sum(map(len, questions))
        parts = [*chunks(pairs, _PART_QUESTIONS, _PART_CHARACTERS)]
        answers: list[Answer] = []
        with _blaming(lambda i, part: f"questions[{i % n}]" if part == "question" else f"paper {i // n + 1}"):
            async with aclosing(
                self.engine.answer_parts(parts, size, AnswerOptions(threshold=threshold))
            ) as found:
                async for part in found:
                    answers += part.answers
        return [
            [paper_answer(i, paper, each, answers[i * n + j]) for j, each in enumerate(questions)]
            for i, paper in enumerate(papers)
        ]

    def check_sent(self, papers: Sequence[PaperText]) -> None:
        """Raise DataError for more papers or text than the HTTP service takes in one call."""
        if len(papers) > self.settings.max_questions:
            raise DataError(
                f"papers: {len(papers):,} are more than {self.settings.max_questions:,}: send several calls"
            )
        n_characters = sum(len(paper.text) + len(paper.title or "") for paper in papers)
        if n_characters > self.settings.max_body_bytes:
            raise DataError(
                f"papers: {n_characters:,} characters are more than {self.settings.max_body_bytes:,}: "
                "send several calls"
            )

    def check_table(self, questions: Sequence[str], papers: Sequence[PaperText]) -> None:
        """Raise DataError for a table that is too large."""
        if len(papers) > self.settings.max_questions or len(papers) * len(questions) > MAX_CELLS:
            raise DataError(
                f"{len(papers):,} papers and {len(questions):,} questions are more than "
                f"{self.settings.max_questions:,} papers or {MAX_CELLS:,} cells: make several tables"
            )
        n_papers = sum(len(paper.text) + len(paper.title or "") for paper in papers)
        n_read = n_papers * len(questions) + sum(map(len, questions)) * len(papers)
        most = _READ_TIMES * self.settings.max_queue_characters
        if n_read > most:
            raise DataError(
                f"with every question, {n_read:,} characters are more than {most:,}: make several tables"
            )


class _Nobody:
    """An observer that does nothing."""

    def on_batch(self, stats: BatchStats) -> None: ...

    def on_tokenized(self, seconds: float) -> None: ...

    def on_run(self, run: BatchedRun) -> None: ...

    def on_answers(self, answers: Sequence[Answer]) -> None: ...


def paper_texts(sent: Sequence[PaperTextItem]) -> list[PaperText]:
    """The papers as they were sent; DataError, with its place, where one cannot be."""
    found = []
    for i, paper in enumerate(sent):
        passages = tuple(Passage(each.heading or "", each.start, each.end) for each in paper.passages)
        try:
            found.append(PaperText(paper.text, paper.title, paper.id, passages, tuple(paper.pages)))
        except DataError as error:
            raise DataError(f"papers[{i}]: {error}") from None
    return found


@contextmanager
def _blaming(path: Callable[[int, str], str]) -> Iterator[None]:
    """Name the argument of a question that cannot be answered."""
    try:
        yield
    except QuestionError as error:
        raise DataError(f"{path(error.index, error.part)}: {error}") from None
