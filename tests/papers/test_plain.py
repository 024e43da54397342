"""Texts of one paper whose title and abstract are named in them."""

from __future__ import annotations

import pytest

from qa_extractive.papers.plain import paper_from_text
from qa_extractive.papers.types import NoPaperError, Paper


@pytest.mark.parametrize(
    "text",
    [
        "Title: Moss on roofs\nAbstract: It fell by 4.\nThen it rose.",
        "Title: Moss on roofs Abstract: It fell by 4. Then it rose.",
        "\ufeffTITLE:\tMoss\r\non roofs\r\n\r\nABSTRACT:\r\nIt fell by 4.\r\n\r\nThen it rose.\r\n",
    ],
)
def test_title_and_abstract(text: str) -> None:
    assert paper_from_text(text) == Paper("Moss on roofs", "It fell by 4. Then it rose.")


def test_what_stands_beside_them() -> None:
    text = (
        "Title: Moss: a survey\nAuthors: Green, Anne; Roe, R.\nJournal: Roofs\nYear: 2019\nPMID: 81000001\n"
        "Abstract: It fell: by 4.\nKeywords: moss, roofs\nDOI: https://doi.org/10.9999/moss.1\n"
    )
    assert paper_from_text(text) == Paper(
        "Moss: a survey", "It fell: by 4.", pmid="81000001", doi="10.9999/moss.1", year=2019, journal="Roofs",
        authors=("Anne Green", "R. Roe"),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Title: Moss\n\nIt fell by 4.",
        "Moss, or Title: Moss\n\nAbstract: it fell by 4.",
        "Title: Moss\n\nAbstract: It fell by 4.\nAbstract: It rose.",
        f"Title: {'moss ' * 100}\nAbstract: It fell by 4.",
    ],
)
def test_texts_of_another_kind_are_whole(text: str) -> None:
    paper = paper_from_text(text)
    assert " ".join(text.split()) == " ".join(filter(None, (paper.title, paper.abstract)))


def test_no_abstract() -> None:
    with pytest.raises(NoPaperError, match="neither an abstract"):
        paper_from_text("Title: Moss\nAbstract: not available")
