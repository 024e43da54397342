"""The tool ``verify_quote``: is a quote verbatim, where does it stand, and does it answer the question?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Literal

from qa_extractive.errors import DataError
from qa_extractive.evidence.quotes import Match, QuotePlace, find_quote
from qa_extractive.mcp_server.asking import Asker
from qa_extractive.mcp_server.results import answer_result
from qa_extractive.mcp_server.schemas import (
    Difference,
    QuoteAnswer,
    QuoteArguments,
    QuotePlaceResult,
    QuoteResult,
    Says,
)
from qa_extractive.service.engine import AnswerOptions
from qa_extractive.service.schemas import OFFSET_UNIT
from qa_extractive.types import ANSWERED, UNSURE, Answer, Question, Span

_NOTES: Final[dict[Match | Literal["not_found"], str]] = {
    "exact": "the quote stands in the text word for word",
    "white_space": "the quote stands in the text but for white space",
    "look_alikes": "the quote stands in the text but for characters that look alike, see differences",
    "not_found": "the quote does not stand in the text",
}
_CUT = "the quote stands in the text only as part of a longer word or number, so it is not verbatim"
_CUT_NOTES: Final[dict[Match, str]] = {
    "exact": _CUT,
    "white_space": f"but for white space, {_CUT}",
    "look_alikes": f"but for characters that look alike, see differences, {_CUT}",
}
_SAYS = {ANSWERED: 2, UNSURE: 1}
_ANSWERS: Final[Sequence[Says]] = ("no", "unsure", "yes")


async def verify(asker: Asker, arguments: QuoteArguments) -> QuoteResult:
    """What is known of a quote.

    Raises:
        DataError: The text is too long, or the quote empty.
    """
    most = asker.settings.max_context_characters
    if len(arguments.text) > most:
        raise DataError(
            f"text: {len(arguments.text):,} characters exceed {most:,}: send the part that matters"
        )
    found = await asyncio.to_thread(find_quote, arguments.quote, arguments.text)
    places = [each for each in found if each.is_whole] or found
    is_verbatim = bool(places) and places[0].is_whole
    match: Match | Literal["not_found"] = places[0].match if places else "not_found"
    note = _CUT_NOTES[places[0].match] if places and not is_verbatim else _NOTES[match]
    different = dict.fromkeys(pair for place in places for pair in place.differences)
    return QuoteResult(
        verbatim=is_verbatim,
        match=match,
        note=note,
        places=[_place(arguments.text, each) for each in places],
        differences=[Difference(quote=quote, text=text) for quote, text in different],
        question=await _question(asker, arguments, places if is_verbatim else []),
        offset_unit=OFFSET_UNIT,
    )


def _place(text: str, place: QuotePlace) -> QuotePlaceResult:
    stands = text[place.start : place.end]
    return QuotePlaceResult(start=place.start, end=place.end, stands=stands, is_whole=place.is_whole)


async def _question(
    asker: Asker, arguments: QuoteArguments, places: Sequence[QuotePlace]
) -> QuoteAnswer | None:
    if arguments.question is None:
        return None
    texts = [arguments.text, *(arguments.text[place.start : place.end] for place in places[:1])]
    asked = [Question(arguments.question, text, arguments.title) for text in texts]
    found = await asker.answers(asked, AnswerOptions())
    in_text, *alone = found.answers
    scores = [span.score for span in in_text.candidates if any(_holds(each, span) for each in places)]
    return QuoteAnswer(
        answers=_answers(in_text, alone[0], places) if alone else None,
        in_quote=max(scores, default=None),
        alone=alone[0].answerable if alone else None,
        text_answer=answer_result(asker, in_text, found.threshold),
    )


def _answers(in_text: Answer, alone: Answer, places: Sequence[QuotePlace]) -> Says:
    best = in_text.best
    is_held = best is not None and any(_holds(place, best) for place in places)
    by_text = _SAYS.get(in_text.status, 0) if is_held else 0
    return _ANSWERS[max(by_text, _SAYS.get(alone.status, 0))]


def _holds(place: QuotePlace, span: Span) -> bool:
    """Whether the greater part of a span lies in the quote."""
    shared = min(place.end, span.end) - max(place.start, span.start)
    return 2 * shared > span.end - span.start
