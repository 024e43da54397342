"""Quotes are found where they stand, and what was taken for equal is said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.errors import DataError
from qa_extractive.evidence.quotes import EXACT, LOOK_ALIKES, WHITE_SPACE, find_quote

TEXT = "Pressure fell by −3.3 mmHg (95 % CI\n2.1 to\u00a04.5; p<.05) in the eﬃcacy set of 212 adults."


@pytest.mark.parametrize(
    ("quote", "match", "stands"),
    [
        ("(95 % CI\n2.1", EXACT, "(95 % CI\n2.1"),
        ("  in the ", EXACT, "in the"),
        ("95% CI 2.1 to 4.5", WHITE_SPACE, "95 % CI\n2.1 to\u00a04.5"),
        ("p < .05", WHITE_SPACE, "p<.05"),
        ("212adults", WHITE_SPACE, "212 adults"),
        ("fell by -3.3 mmHg", LOOK_ALIKES, "fell by −3.3 mmHg"),
        ("the efficacy set", LOOK_ALIKES, "the eﬃcacy set"),
        ("in thе efficacy", LOOK_ALIKES, "in the eﬃcacy"),  # a Cyrillic e
    ],
)
def test_a_quote_is_found_and_what_was_taken_for_equal_is_said(quote: str, match: str, stands: str) -> None:
    (place,) = find_quote(quote, TEXT)
    assert (place.match, TEXT[place.start : place.end], place.is_whole) == (match, stands, True)


def test_characters_that_look_alike_are_named() -> None:
    assert find_quote("by -3.3", TEXT)[0].differences == (("-", "−"),)
    assert find_quote("p < .05", TEXT)[0].differences == ()


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("pressure fell", "Pressure fell"),
        ("fell by 3.4", "fell by 3.3"),
        ("notable", "not able"),
        ("1.5", "1. 5"),
        ("15", "1 5"),
        ("10 cm2", "10 cm²"),
        ("a half", "a ½"),
        ("fell by 3.3 mmHg", "fell, by 3.3 mmHg"),
    ],
)
def test_what_may_mean_something_else_is_not_found(quote: str, text: str) -> None:
    assert find_quote(quote, text) == []


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("5 mg", "gave 1.5 mg daily"),
        ("5mg", "gave 15 mg daily"),
        ("able", "unable"),
        ("3.3", "fell by −3.3"),
        ("1", "1,000"),
        ("fell b", "fell by"),
    ],
)
def test_a_cut_word_or_number_is_said(quote: str, text: str) -> None:
    (place,) = find_quote(quote, text)
    assert not place.is_whole


def test_all_places_are_found_up_to_the_limit() -> None:
    assert [place.start for place in find_quote("ab", "ab ab abab")] == [0, 3, 6, 8]
    assert len(find_quote("a", "a " * 50, most=7)) == 7


@pytest.mark.parametrize("quote", ["", " \n", "\u200b\u00ad"])
def test_a_quote_must_hold_something(quote: str) -> None:
    with pytest.raises(DataError, match="quote is empty"):
        find_quote(quote, TEXT)


@settings(deadline=None)
@given(st.text(alphabet="ab 1.%−-\u00a0\nﬁ²é\u0301\u200b", max_size=40), st.data())
def test_every_piece_of_a_text_is_found_in_it(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    piece = text[start:end]
    if piece.strip(" \n\u00a0\u200b"):
        places = find_quote(piece, text)
        assert any(
            place.match == EXACT and text[place.start : place.end] == piece.strip() for place in places
        )
