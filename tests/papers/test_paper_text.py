"""``Paper.text`` is all that can be quoted, and ``passages`` says where each section lies in it."""

from __future__ import annotations

from qa_extractive.papers.types import Paper, Section

BODY = (Section("Methods", "We asked 40 nurses."), Section("", "No heading here."), Section("Results", ""))


def test_of_an_abstract_alone_the_text_is_the_abstract() -> None:
    parts = (Section("Methods", "We asked 40."), Section("Results", "30 slept less."))
    paper = Paper(abstract="Methods: We asked 40. Results: 30 slept less.", sections=parts)
    assert paper.text == paper.abstract
    assert paper.to_row()["text"] is None
    cut = [(each.heading, paper.text[each.start : each.end]) for each in paper.passages]
    assert cut == [("Methods", "Methods: We asked 40."), ("Results", "Results: 30 slept less.")]


def test_an_abstract_without_parts_is_one_passage() -> None:
    (passage,) = Paper(abstract="30 slept less.").passages
    assert (passage.heading, passage.start, passage.end) == ("Abstract", 0, 14)


def test_the_text_of_a_body_has_the_abstract_first_and_a_passage_a_section() -> None:
    paper = Paper(abstract="Nurses sleep less.", sections=BODY)
    assert paper.text == "Abstract\nNurses sleep less.\n\nMethods\nWe asked 40 nurses.\n\nNo heading here."
    cut = [(each.heading, paper.text[each.start : each.end]) for each in paper.passages]
    assert cut == [
        ("Abstract", "Abstract\nNurses sleep less."),
        ("Methods", "Methods\nWe asked 40 nurses."),
        ("", "No heading here."),
    ]
    assert paper.to_row()["text"] == paper.text


def test_pages_travel_with_the_row() -> None:
    paper = Paper(sections=BODY, pages=(0, 8))
    assert paper.to_row()["pages"] == [0, 8]
    assert Paper(abstract="A.").to_row()["pages"] is None
