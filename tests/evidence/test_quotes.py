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
        # groups of digits
        ("42", "enrolled 42 500 nurses"),
        ("500 nurses", "enrolled 42 500 nurses"),
        ("42 500", "about 42 500 000 in all"),
        ("7", "7\u202f250 births"),
        ("250", "7\u2009250.5 births"),
        ("25", "a grid of 3×25 000"),
        ("8", "8'400 CHF"),
        ("400", "8’400 CHF"),
        # decimals that are cut beside the point, or have nothing before it
        ("rose by 6", "rose by 6·25"),
        ("rose by 6.", "rose by 6.25"),
        (".25 kg", "6.25 kg"),
        (",000 IU", "50,000 IU"),
        ("04", "(p < .04)"),
        ("04", "p = ∙04"),
        ("9", "0∙9 points"),
        # powers
        ("10", "10^9 cells"),
        ("9 cells", "10^9 cells"),
        ("10", "10^{-4}"),
        ("10", "10⁹ cells"),
        ("10", "10⁻⁴ M"),
        ("4.5", "4.5 × 10⁹/L"),
        ("10⁹/L", "4.5 x 10⁹/L"),
        ("2", "2e-5"),
        ("5", "2e-5"),
        ("kg/m", "31 kg/m^2"),
        ("mL/min", "60 mL/min⁻¹"),
        # fractions
        ("3", "3/4 of them"),
        ("4 of", "3/4 of them"),
        ("4 of", "3⁄4 of them"),
        ("2", "2½ hours"),
        ("2", "2 ½ hours"),
        # signs
        ("0.8", "(−0.8 to 1.2)"),
        (".8", "was -.8"),
        ("7 points", "a change of - 7 points"),
        ("7 points", "β = − 7 points"),
        ("7", "(95% CI – 2; by – 7)"),
        ("-20 mg", "10-20 mg"),
        ("−20%", "10%–20%"),
        ("-19 deaths", "COVID-19 deaths"),
    ],
)
def test_a_cut_word_or_number_is_said(quote: str, text: str) -> None:
    (place,) = find_quote(quote, text)
    assert not place.is_whole


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("7 mg", "and/or 7 mg"),
        ("7 mL", "20 mg/7 mL"),
        ("31", "31 / 40 women"),
        ("1998", "in 1998 450 women"),
        ("450", "in 1998 450 612 and 30"),
        ("30", "30 4500"),
        ("450 of", "0 450 of"),
        ("30", "30\n450"),
        ("42 500 nurses", "enrolled 42 500 nurses"),
        ("4.5 × 10⁹/L", "of 4.5 × 10⁹/L"),
        ("4.5", "4.5 × 10 cm"),
        ("p < .04", "(p < .04)"),
        (".04", "(p<.04)"),
        ("12 women", "were excluded.12 women"),
        ("7 mg", "- 7 mg"),
        ("7 mg", "Doses:\n- 3 mg\n- 7 mg"),
        ("7 mg", "one of\n- 7 mg"),
        ("7 mg", "enalapril – 7 mg"),
        ("- 7 points", "a change of - 7 points"),
        ("−0.8", "(−0.8 to 1.2)"),
        ("20", "10 – 20 mg"),
        ("20", "10-20 mg"),
        ("20%", "10%–20%"),
        ("19", "COVID-19"),
        ("60", "60% of"),
        ("7", "24 ± 7"),
    ],
)
def test_what_stands_beside_a_number_does_not_cut_it(quote: str, text: str) -> None:
    (place,) = find_quote(quote, text)
    assert place.is_whole


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
