"""Answers as the tools give them."""

from __future__ import annotations

from typing import Any

from qa_extractive.evidence.types import Evidence, PaperAnswer
from qa_extractive.mcp_server.asking import Asker
from qa_extractive.mcp_server.schemas import AnswerResult, PapersResult
from qa_extractive.service.schemas import OFFSET_UNIT
from qa_extractive.types import Answer


def told(asker: Asker, threshold: float) -> dict[str, Any]:
    """What stands beside every answer."""
    return {
        "threshold": threshold,
        "model": asker.predictor.model_name,
        "offset_unit": OFFSET_UNIT,
    }


def answer_result(asker: Asker, answer: Answer, threshold: float) -> AnswerResult:
    """One answer."""
    return AnswerResult.model_validate(answer.to_dict() | told(asker, threshold))


def papers_result(asker: Asker, evidence: Evidence, threshold: float) -> PapersResult:
    """What papers say."""
    papers = [_paper(each) for each in evidence.papers]
    return PapersResult.model_validate(
        {"papers": papers, "together": evidence.together_dict()} | told(asker, threshold)
    )


def _paper(said: PaperAnswer) -> dict[str, Any]:
    about = {"index": said.index, "id": said.id, "title": said.title}
    return said.answer.to_dict() | about | said.place_dict()
