"""SQuAD (1.1 and 2.0) and PubMedQA as JSON -> Examples.

Each reader yields an ``Outcome`` for every question of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from qa_extractive._utils.digests import text_digest
from qa_extractive.data.answerable import answerability, truth
from qa_extractive.data.given_answers import given_answers, spans_of
from qa_extractive.data.outcomes import Outcome, attempt
from qa_extractive.errors import DataError
from qa_extractive.types import Example, Question, Span

_SQUAD_KEYS = {"id", "question", "answers", "is_impossible", "plausible_answers"}
_PUBMEDQA_KEYS = {"QUESTION", "CONTEXTS", "LONG_ANSWER"}


def is_squad(value: object) -> bool:
    """Whether a JSON value is SQuAD: an object whose ``data`` lists articles with ``paragraphs``."""
    articles = value.get("data") if isinstance(value, dict) else None
    if not isinstance(articles, list):
        return False
    return any(isinstance(item, dict) and "paragraphs" in item for item in articles)


def is_pubmedqa(value: object) -> bool:
    """Whether a JSON value is PubMedQA: an object of objects with ``QUESTION`` and ``CONTEXTS``."""
    records = value.values() if isinstance(value, dict) else ()
    return any(isinstance(item, dict) and {"QUESTION", "CONTEXTS"} <= item.keys() for item in records)


def document_hash(context: str) -> str:
    """A name for a document that has none: 16 hexadecimal digits of its SHA-256."""
    return text_digest(context, "surrogatepass")[:16]


def squad_examples(value: Mapping[str, Any], source: str) -> Iterator[Outcome]:
    """The questions of a SQuAD file.

    ``document`` is the article's title, which is never a ``Question.title``. A question is unanswerable
    if it is marked ``is_impossible``, or has no answers in a file of version 2 (one of version 1: not
    known). Without answers and with ``is_impossible`` false it was not labelled yet: not known. Every
    answer's offset is checked; one that is wrong makes its question a DataError. Further keys of a question
    go to ``fields``; ``plausible_answers``, which are wrong answers, do not.

    Args:
        value: The file's JSON value.
        source: The name of the data set, also used for ids that are missing.
    """
    is_v2 = str(value.get("version", "")).lower().startswith(("v2", "2"))
    for number, item in enumerate(_squad_items(value), start=1):
        default_id = f"{source}-{number}"
        yield number, attempt(partial(_squad_example, item, default_id, source, is_v2), item.name)


def pubmedqa_examples(value: Mapping[str, Any], source: str) -> Iterator[Outcome]:
    """The questions of a PubMedQA file.

    The context is the sections and, last, the conclusion (``LONG_ANSWER``), joined by spaces; the
    conclusion is the reference and the span. Without one nothing is known of the answer. The id and
    the document are the PubMed id; ``final_decision``, ``YEAR`` and the other keys go to ``fields``.
    """
    for number, (pmid, record) in enumerate(value.items(), start=1):
        yield number, attempt(partial(_pubmedqa_example, pmid, record, source), pmid)


@dataclass(frozen=True, slots=True)
class _SquadItem:
    """A question of a SQuAD file, with what stands around it; nothing is checked yet."""

    article: object
    paragraph: object
    question: object

    @property
    def name(self) -> str:
        named = self.question if isinstance(self.question, dict) else {}
        return str(named.get("id", "a question without id"))


def _squad_items(value: Mapping[str, Any]) -> Iterator[_SquadItem]:
    """Every question; a broken article or paragraph comes out as one question of its own."""
    for article in value["data"]:
        for paragraph in _listed(article, "paragraphs"):
            for question in _listed(paragraph, "qas"):
                yield _SquadItem(article, paragraph, question)


def _listed(value: object, key: str) -> list[object]:
    items = value.get(key) if isinstance(value, dict) else None
    return items if isinstance(items, list) else [None]


def _squad_example(item: _SquadItem, default_id: str, source: str, is_v2: bool) -> Example:
    article = _object(item.article, "article", "paragraphs")
    paragraph = _object(item.paragraph, "paragraph", "context", "qas")
    record = _object(item.question, "question", "question")
    question = Question(question=record["question"], context=paragraph["context"])
    answers = given_answers(record.get("answers"), question.context)
    impossible = _impossible(record)
    if answers and impossible:
        raise DataError("is_impossible is true but there are answers: drop one of them")
    return Example(
        id=default_id if record.get("id") is None else str(record["id"]),
        question=question,
        references=tuple(answer.text for answer in answers),
        spans=spans_of(question.context, answers),
        answerable=answerability(
            None,
            impossible,
            has_answers=bool(answers),
            if_silent=False if is_v2 and "answers" in record else None,
        ),
        document=str(article.get("title") or document_hash(question.context)),
        source=source,
        fields={key: cell for key, cell in record.items() if key not in _SQUAD_KEYS},
    )


def _impossible(record: Mapping[str, Any]) -> bool | None:
    """What a question says of itself: by ``is_impossible``, or by an answer of haystack's category."""
    said = truth(record.get("is_impossible"), "is_impossible")
    answers = record.get("answers")
    items = answers if isinstance(answers, list) else []
    if said is None and any(
        isinstance(item, dict) and item.get("answer_category") == "NO_ANSWER" for item in items
    ):
        return True
    return said


def _pubmedqa_example(pmid: str, record: object, source: str) -> Example:
    values = _object(record, "record", "QUESTION", "CONTEXTS")
    sections, conclusion = values["CONTEXTS"], values.get("LONG_ANSWER") or ""
    if not isinstance(sections, list) or not all(isinstance(text, str) for text in [*sections, conclusion]):
        raise DataError("CONTEXTS must be a list of texts and LONG_ANSWER a text: correct the record")
    known = bool(conclusion.strip())
    context = " ".join([*sections, conclusion] if known else sections)
    span = (Span.cut(context, len(context) - len(conclusion), len(context)),) if known else ()
    return Example(
        id=pmid,
        question=Question(question=values["QUESTION"], context=context),
        references=(conclusion,) if known else (),
        spans=span,
        answerable=True if known else None,
        document=pmid,
        source=source,
        fields={key: cell for key, cell in values.items() if key not in _PUBMEDQA_KEYS},
    )


def _object(value: object, what: str, *keys: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"this {what} is missing or not a JSON object: correct the file")
    missing = [key for key in keys if key not in value]
    if missing:
        raise DataError(f"the {what} has no {' and no '.join(map(repr, missing))}: correct the file")
    return value
