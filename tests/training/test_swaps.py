"""Swapped questions: one thing differs, nothing that the text holds is put in, yes/no questions stay out."""

from __future__ import annotations

import random
import re

import pytest

from qa_extractive.training.questions import AS_WRITTEN, even_look
from qa_extractive.training.swaps import names_of, swapped
from qa_extractive.types import Example, Question

CONTEXT = (
    "In 2011 we gave 40 mg of zinc to women in Lyon; the men took placebo. "
    "Serum zinc rose by 3.5 µmol/l within 12 weeks, as Ada Marin had foreseen."
)


def _example(question: str, context: str = CONTEXT, verdict: str | None = None) -> Example:
    return Example("e", Question(question, context), references=("x",), answerable=True, verdict=verdict)


def _all(question: str, names: list[str], context: str = CONTEXT) -> set[str | None]:
    return {swapped(_example(question, context), names, random.Random(seed)) for seed in range(40)}


def test_a_number_becomes_one_that_the_text_lacks() -> None:
    found = _all("What did a dose of 40 mg raise?", [])
    assert None not in found
    for question in found:
        match = re.fullmatch(r"What did a dose of (\d+) mg raise\?", str(question))
        assert match
        assert match[1] not in ("40", "2011", "12")


def test_a_year_stays_a_year_and_decimals_stay_as_many() -> None:
    assert all(re.search(r"\b(19|20)\d\d\b", str(q)) for q in _all("Who foresaw it in 2011?", []))
    assert all(re.search(r"by \d+\.\d µ", str(q)) for q in _all("What rose by 3.5 µmol/l?", []))


def test_a_group_becomes_its_counterpart_only_where_the_text_does_not_speak_of_it() -> None:
    # "men" stand in the text: such a question may well be answered there.
    assert _all("What did women take?", []) == {None}
    without = "We gave zinc to women in Lyon; the others took placebo."
    assert _all("What did women take?", [], without) == {"What did men take?"}


def test_a_name_becomes_one_of_another_question() -> None:
    names = names_of([_example("Where did Eva Brandt work?"), _example("What foresaw Ada Marin?")])
    assert names == ["Ada Marin", "Eva Brandt"]
    # None where the name drawn is the question's own.
    assert _all("What had Ada Marin foreseen?", names) == {None, "What had Eva Brandt foreseen?"}


def test_what_the_text_does_not_hold_is_not_exchanged() -> None:
    assert _all("What had Paul Weiss foreseen in 1987?", ["Eva Brandt"]) == {None}


@pytest.mark.parametrize(
    "question", ["Did 40 mg help?", "is zinc given at 40 mg safe", "Were women given 40 mg?"]
)
def test_yes_no_questions_stay_out(question: str) -> None:
    assert _all(question, []) == {None}
    assert swapped(_example("Zinc at 40 mg helps?", verdict="yes"), [], random.Random(0)) is None


def test_capitals_of_the_source_are_read_and_the_look_stays_even() -> None:
    written = "What had Ada Marin foreseen ?"
    question = Question(even_look(written), CONTEXT)
    example = Example("e", question, answerable=True, fields={AS_WRITTEN: written})
    assert swapped(example, ["Eva Brandt"], random.Random(0)) == "what had eva brandt foreseen?"
