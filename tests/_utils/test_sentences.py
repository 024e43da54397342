"""The sentence splitter: hand-made boundaries, and what holds for any text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive._utils.sentences import sentence_at, split_sentences
from qa_extractive.errors import DataError


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t ", []),
        ("One sentence", ["One sentence"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It fell by 3.5 mg. It rose.", ["It fell by 3.5 mg.", "It rose."]),
        ("It fell (p < 0.05). It rose.", ["It fell (p < 0.05).", "It rose."]),
        ('She said "no." Then left.', ['She said "no."', "Then left."]),
        ("Smith et al. showed it. We did too.", ["Smith et al. showed it.", "We did too."]),
        (
            "Drugs (e.g. Aspirin) help. See Fig. 2 for more.",
            ["Drugs (e.g. Aspirin) help.", "See Fig. 2 for more."],
        ),
        ("Cells of E. coli grew. They died.", ["Cells of E. coli grew.", "They died."]),
        ("BACKGROUND: A is b.\nMETHODS: We did c", ["BACKGROUND: A is b.", "METHODS: We did c"]),
        ("no full stop\n\nnext paragraph", ["no full stop", "next paragraph"]),
        ("Wait... what? Yes", ["Wait... what?", "Yes"]),
        ("研究した。結果は良い。", ["研究した。", "結果は良い。"]),
    ],
)
def test_boundaries(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_initials_end_no_sentence() -> None:
    assert texts("Michael J. Fox and J. K. Rowling met. They left.") == [
        "Michael J. Fox and J. K. Rowling met.",
        "They left.",
    ]


@pytest.mark.parametrize(
    "text", ["They took vitamin C. Patients improved.", "Hepatitis C. The virus spread."]
)
def test_a_single_letter_that_is_no_initial_ends_a_sentence(text: str) -> None:
    assert len(texts(text)) == 2


def test_no_is_an_abbreviation_only_before_a_number() -> None:
    assert texts("The answer is no. Next. Sample No. 5 was lost.") == [
        "The answer is no.",
        "Next.",
        "Sample No. 5 was lost.",
    ]


def test_a_label_in_capitals_right_after_a_full_stop_starts_a_sentence() -> None:
    assert texts("The benefit is debatable.AIM: To see.") == ["The benefit is debatable.", "AIM: To see."]


@settings(deadline=None)
@given(st.text())
def test_every_visible_character_lies_in_exactly_one_sentence(text: str) -> None:
    sentences = split_sentences(text)
    covered = [i for sentence in sentences for i in range(sentence.start, sentence.end)]
    assert len(covered) == len(set(covered))
    assert covered == sorted(covered)
    assert all(character.isspace() for i, character in enumerate(text) if i not in set(covered))
    for sentence in sentences:
        assert text[sentence.start : sentence.end] == sentence.text == sentence.text.strip() != ""


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from('aA.?! \n)"5:'), max_size=40))
def test_text_made_of_boundaries(text: str) -> None:
    assert "".join("".join(texts(text)).split()) == "".join(text.split())


def test_sentence_at_gives_the_sentence_or_the_run_that_holds_a_span() -> None:
    text = "One two. Three four. Five."
    assert sentence_at(text, 10, 12).text == "Three four."
    assert sentence_at(text, 4, 12).text == "One two. Three four."
    assert sentence_at("  a", 0, 1).text == " "
    with pytest.raises(DataError):
        sentence_at(text, 0, 99)
