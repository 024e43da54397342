"""The made-up papers of ``examples/evidence`` are read back word for word."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("reportlab")
pytest.importorskip("pypdfium2")

from qa_extractive.papers.pdf.reading import read_pdf
from qa_extractive.papers.types import Paper

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "evidence"
STUDIES = json.loads((EXAMPLE / "studies.json").read_text(encoding="utf-8"))
LEFT_OUT = ("Funding", "Acknowledgements")


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Paper]:
    folder = tmp_path_factory.mktemp("papers")
    written = runpy.run_path(str(EXAMPLE / "make_papers.py"))["write_papers"](folder)
    return {path.stem: read_pdf(path) for path in written}


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study["file"])
def test_title_abstract_and_sections(papers: dict[str, Paper], study: dict[str, Any]) -> None:
    paper = papers[study["file"]]
    assert (paper.title, paper.doi, paper.year) == (study["title"], study["doi"], study["year"])
    assert paper.abstract == study["abstract"]
    sections = [tuple(each) for each in study["sections"] if each[0] not in LEFT_OUT]
    assert [(each.heading, each.text) for each in paper.sections] == sections
