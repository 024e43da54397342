"""What is asked of, and what comes back: papers as texts, their answers, and what they say together."""

from __future__ import annotations

import operator
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from qa_extractive.errors import DataError
from qa_extractive.evidence.tally import Tally, vote_of
from qa_extractive.evidence.values import Value
from qa_extractive.papers.types import COLUMNS, LATER_COLUMNS, Paper, Passage
from qa_extractive.types import VOTES, Answer, VoteProbs

_TEXTS = ("text", "context", "abstract")
_KNOWN = frozenset((*_TEXTS, "title", "id", "pages", "passages", "file", "record", *COLUMNS, *LATER_COLUMNS))
_MAX_PLACE = 1 << 53


@dataclass(frozen=True, slots=True)
class PaperText:
    """A paper that is asked.

    Attributes:
        text: What can be quoted; may be empty, which answers nothing.
        title: Read with the question; it holds no answer.
        id: The caller's, handed back with the answer.
        passages: Where its sections lie in ``text``.
        pages: Where each page begins in ``text``, not falling.
    """

    text: str
    title: str | None = None
    id: str | None = None
    passages: tuple[Passage, ...] = ()
    pages: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise DataError for what is no text, or places that cannot be."""
        for name in ("text", "title", "id"):
            value = getattr(self, name)
            if not isinstance(value, str) and (name == "text" or value is not None):
                raise DataError(f"{name} must be a string, not {type(value).__name__}: pass text")
        if any(not 0 <= before <= page <= _MAX_PLACE for before, page in pairwise((0, *self.pages))):
            raise DataError("pages must be the places where pages begin, from 0 and not falling")
        if any(not 0 <= each.start <= each.end <= _MAX_PLACE for each in self.passages):
            raise DataError("passages must start at 0 or later, and none may end before it starts")

    def section_at(self, start: int) -> str | None:
        """The heading of the section at a place of the text; None where it lies in none that has one."""
        around = (each for each in self.passages if each.start <= start < each.end)
        innermost = max(around, key=lambda each: each.start, default=None)
        return (innermost.heading or None) if innermost else None

    def page_at(self, start: int) -> int | None:
        """The page of a place of the text, from 1; None where the pages are not known."""
        return max(1, bisect_right(self.pages, start)) if self.pages else None

    @classmethod
    def of(cls, value: Texts) -> PaperText:
        """A paper as it is, or made of a text, a ``Paper``, or values by name.

        Args:
            value: A dict has ``text``, or else ``context`` or ``abstract``, and perhaps ``title``, ``id``,
                ``pages`` and ``passages`` (each a ``Passage`` or a dict of its values). Other columns of a
                row that ``prepare`` wrote are left out; its PubMed id or DOI stands in for an ``id``.

        Raises:
            DataError: It is none of these, lacks a text, or has another name.
        """
        if isinstance(value, PaperText):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Paper):
            return cls(value.text, value.title or None, value.pmid or value.doi, value.passages, value.pages)
        if isinstance(value, Mapping):
            return _of_values(value)
        raise DataError(f"a paper must be a text, a dict or a Paper, not {type(value).__name__}")


Texts: TypeAlias = str | PaperText | Paper | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PaperAnswer:
    """What one paper says.

    Attributes:
        index: Position of the paper.
        id: Of the paper, as given.
        title: Of the paper, as given.
        answer: Its answer.
        section: Heading of the section of the best span, whether that is given or not; None if not known.
        page: Of the best span, from 1; None if not known.
        vote_probs: Calibrated probabilities of ``VOTES`` for a yes/no question, abstained or not; None for
            other questions, and of models without a verdict head.
    """

    index: int
    id: str | None
    title: str | None
    answer: Answer
    section: str | None = None
    page: int | None = None
    vote_probs: VoteProbs | None = None

    @property
    def vote(self) -> str | None:
        """What the answer shows, as ``vote_of`` has it; None where there are no probabilities of it."""
        if self.vote_probs is None:
            return None
        return vote_of(self.vote_probs, abstained=self.answer.abstained, verdict=self.answer.verdict)

    def place_dict(self) -> dict[str, Any]:
        """All but the paper and its answer, as plain values that ``json`` can write."""
        probs = self.vote_probs and dict(zip(VOTES, self.vote_probs, strict=True))
        return {"section": self.section, "page": self.page, "vote": self.vote, "vote_probs": probs}

    def to_dict(self) -> dict[str, Any]:
        """It as plain values that ``json`` can write."""
        paper = {"index": self.index, "id": self.id, "title": self.title}
        return paper | {"answer": self.answer.to_dict()} | self.place_dict()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What papers say to one question.

    Attributes:
        question: What was asked.
        papers: What each one says, in the order given.
        tally: Of a yes/no question, if the model has a verdict head.
        values: Of other questions: the quotes, with their numbers where a number was asked for.
        limits: What it cannot know, in one sentence.
    """

    question: str
    papers: tuple[PaperAnswer, ...]
    tally: Tally | None
    values: tuple[Value, ...]
    limits: str

    def together_dict(self) -> dict[str, Any]:
        """All but the papers, as plain values that ``json`` can write."""
        return {
            "question": self.question,
            "tally": self.tally and self.tally.to_dict(),
            "values": [value.to_dict() for value in self.values],
            "limits": self.limits,
        }

    def to_dict(self) -> dict[str, Any]:
        """The evidence as plain values that ``json`` can write."""
        return self.together_dict() | {"papers": [paper.to_dict() for paper in self.papers]}


def _of_values(values: Mapping[str, Any]) -> PaperText:
    unknown = next((key for key in values if key not in _KNOWN), None)
    text = next((values[name] for name in _TEXTS if values.get(name) is not None), None)
    if unknown is not None or text is None:
        wrong = "no 'text'" if unknown is None else f"a key {unknown!r:.40}"
        raise DataError(f"there is {wrong}: give 'text' and, if known, 'title', 'id', 'pages' and 'passages'")
    own = next((values[name] for name in ("id", "pmid", "doi") if values.get(name) is not None), None)
    return PaperText(
        text,
        values.get("title") or None,
        str(own) if isinstance(own, int) else own,
        tuple(map(_passage, _listed(values, "passages"))),
        tuple(map(_place, _listed(values, "pages"))),
    )


def _listed(values: Mapping[str, Any], name: str) -> Iterable[Any]:
    listed = values.get(name)
    if listed is None:
        return ()
    if isinstance(listed, (str, Mapping)) or not isinstance(listed, Iterable):
        raise DataError(f"{name} must be a list, not {type(listed).__name__}")
    return listed


def _passage(value: Any) -> Passage:
    if isinstance(value, Passage):
        return value
    if not isinstance(value, Mapping) or not {"start", "end"} <= value.keys():
        raise DataError("each of passages must have 'start', 'end' and perhaps 'heading'")
    heading = value.get("heading") or ""
    if not isinstance(heading, str):
        raise DataError(f"heading must be a string, not {type(heading).__name__}: pass text")
    return Passage(heading, _place(value["start"]), _place(value["end"]))


def _place(value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise DataError(f"a place must be a whole number, not {type(value).__name__}") from None
