"""The tools: their names, what they take and give, and one line for what is wrong."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp import types
from pydantic import BaseModel, ValidationError

from qa_extractive.errors import DataError, QAError, shortened
from qa_extractive.mcp_server.asking import Asker, paper_texts
from qa_extractive.mcp_server.quotes import verify
from qa_extractive.mcp_server.results import answer_result, papers_result
from qa_extractive.mcp_server.schemas import (
    AnswerArguments,
    AnswerResult,
    PapersArguments,
    PapersResult,
    QuoteArguments,
    QuoteResult,
    TableArguments,
    TableResult,
)
from qa_extractive.service.engine import AnswerOptions, DeadlineError, QuestionError, QueueFullError
from qa_extractive.service.wording import path_of, words_of
from qa_extractive.types import Question

log = logging.getLogger("qa_extractive.mcp_server")

_MOST_CHARACTERS = 400  # of a message that may hold what the caller sent


@dataclass(frozen=True, slots=True)
class _Tool:
    title: str
    about: str
    takes: type[BaseModel]
    gives: type[BaseModel]
    run: Callable[[Asker, Any], Awaitable[BaseModel]]
    only_reads: bool = True


async def _answer(asker: Asker, arguments: AnswerArguments) -> AnswerResult:
    asked = [Question(arguments.question, arguments.context, arguments.title)]
    found = await asker.answers(asked, AnswerOptions(arguments.top_k, arguments.threshold))
    return answer_result(asker, found.answers[0], found.threshold)


async def _answer_papers(asker: Asker, arguments: PapersArguments) -> PapersResult:
    papers = paper_texts(arguments.papers)
    options = AnswerOptions(arguments.top_k, arguments.threshold)
    evidence, found = await asker.evidence(arguments.question, papers, options)
    return papers_result(asker, evidence, found.threshold)


async def _table(asker: Asker, arguments: TableArguments) -> TableResult:
    from qa_extractive.mcp_server.table import table  # not needed for a first answer

    return await table(asker, arguments)


_TOOLS = {
    "answer": _Tool(
        "Answer from a text",
        "Answer a question with a verbatim span of the text given, its offsets and calibrated probabilities; "
        "status `not_reported` where the text does not say. English. Nothing is made up and no other source "
        "is read.",
        AnswerArguments,
        AnswerResult,
        _answer,
    ),
    "answer_papers": _Tool(
        "Ask several papers",
        "Ask each of several papers the same question: a verbatim answer or `not_reported` for each, and "
        "together the votes of a yes/no question with intervals, or the values found.",
        PapersArguments,
        PapersResult,
        _answer_papers,
    ),
    "evidence_table": _Tool(
        "Make an evidence table",
        "Ask papers, as texts or as files below the folder that the operator opened, several questions: a "
        "row for each paper with a quote or `not reported` a cell, and on request an XLSX or CSV file.",
        TableArguments,
        TableResult,
        _table,
        only_reads=False,
    ),
    "verify_quote": _Tool(
        "Verify a quote",
        "Is this quote verbatim in this text, and where? White space and characters that look alike (dashes, "
        "quotation marks, ligatures) may differ, and the result says so. With a question: does it answer it?",
        QuoteArguments,
        QuoteResult,
        verify,
    ),
}


def listed() -> list[types.Tool]:
    """The tools, with the schemas of what they take and give."""
    return [
        types.Tool(
            name=name,
            title=tool.title,
            description=tool.about,
            input_schema=tool.takes.model_json_schema(),
            output_schema=tool.gives.model_json_schema(mode="serialization"),
            annotations=types.ToolAnnotations(
                read_only_hint=tool.only_reads,
                destructive_hint=False,
                idempotent_hint=tool.only_reads,
                open_world_hint=False,
            ),
        )
        for name, tool in _TOOLS.items()
    ]


async def called(asker: Asker, name: str, arguments: Mapping[str, Any]) -> types.CallToolResult:
    """What a tool gives, or one line that says what is wrong."""
    tool = _TOOLS.get(name)
    if tool is None:
        return _failed(f"there is no tool {shortened(name)}: use one of {', '.join(_TOOLS)}")
    try:
        result = await tool.run(asker, tool.takes.model_validate(arguments))
        content = types.TextContent(type="text", text=result.model_dump_json())
    except Exception as error:
        return _failed(_told(error))
    return types.CallToolResult(content=[content], structured_content=result.model_dump(mode="json"))


def _failed(message: str) -> types.CallToolResult:
    line = " ".join(message.split())
    shown = line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + "…"
    return types.CallToolResult(content=[types.TextContent(type="text", text=shown)], is_error=True)


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        return f"{path_of(first['loc']) or 'arguments'}: {words_of(first)}{more}"
    if isinstance(error, QuestionError):
        return f"{error.part}: {error}"
    if isinstance(error, (DataError, QueueFullError, DeadlineError)):
        return str(error)
    log.error("a tool failed", exc_info=error)
    if isinstance(error, QAError):
        return "the model failed: see the server's log"
    return "a bug: report it with the server's log"
