"""What the papers of a table say together, and its quotes in their PDFs."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pytest

from qa_extractive import DataError, Predictor
from qa_extractive.evidence_table.job import TableJob
from qa_extractive.evidence_table.making import make_table
from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.evidence_table.together import Collector
from qa_extractive.papers.types import Paper
from qa_extractive.types import VoteProbs

ROOT = Path(__file__).resolve().parents[2]
DOES, MUCH = "Did the lamp help?", "By how much did sleep change?"


def _row(number: int, does: Cell, much: Cell) -> PaperRow:
    text = "Sleep rose by 42 minutes (95% CI 18 to 66)."
    return PaperRow(number, Paper(title=f"Paper {number}", abstract=text), "p.json", number, (does, much))


def _vote(status: str, probs: VoteProbs, verdict: str | None = None) -> Cell:
    return Cell(status, "Sleep rose", 0, 10, score=0.9, answerable=0.9, verdict=verdict, vote_probs=probs)


def test_votes_are_counted_and_values_listed() -> None:
    collector = Collector((DOES, MUCH))
    much = Cell("answered", "42 minutes", 14, 24, score=0.9, answerable=0.9)
    silent = Cell("not_reported", score=0.1, answerable=0.1)
    sure_yes, unsure = (0.97, 0.01, 0.01, 0.01), (0.3, 0.3, 0.1, 0.3)
    collector.add(_row(1, _vote("answered", sure_yes, "yes"), much))
    collector.add(_row(2, _vote("unsure", unsure), silent))
    collector.add(_row(3, Cell("failed", error="too long"), Cell("failed", error="too long")))
    does, values = collector.together()
    assert [row[:2] for row in does.rows[:4]] == [("yes", 1), ("no", 0), ("mixed", 0), ("not reported", 1)]
    assert does.rows[0][2] == pytest.approx(1.27)
    assert does.summary.startswith("yes 1 (0 to 2), no 0 (0 to 1)")
    assert "does not know whether they are right" in does.limits
    assert values.rows == (("Paper 1", "42", "minutes", "18 to 66", "42 minutes"),)


def test_a_model_without_verdicts_gives_no_votes() -> None:
    collector = Collector((DOES,))
    row = _row(1, Cell("answered", "Sleep", 0, 5, score=0.9, answerable=0.9), Cell("not_reported"))
    collector.add(PaperRow(row.number, row.paper, row.file, row.record, row.cells[:1]))
    (does,) = collector.together()
    assert (does.rows, does.limits) == ((), "The model gives no verdicts.")


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("reportlab")
    pytest.importorskip("pypdfium2")
    folder = tmp_path_factory.mktemp("pdfs")
    made = runpy.run_path(str(ROOT / "examples" / "evidence" / "make_papers.py"))
    made["write_papers"](folder)
    return folder


def test_the_example_has_its_quotes_marked_and_placed(pdfs: Path, tmp_path: Path) -> None:
    questions = ("Did the desks reduce back pain?", "How many people took part?")
    output, marked = tmp_path / "t.jsonl", tmp_path / "marked"
    outcome = make_table(Predictor(effort="cached"), TableJob(pdfs, questions, output, highlight=marked))
    rows = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 12
    answered = [cell for row in rows for cell in row["answers"] if cell["status"] == "answered"]
    assert len(answered) > 12
    assert all(cell["page"] in (1, 2) and cell["boxes"][0][0] == cell["page"] for cell in answered)
    assert outcome.marked is not None
    assert (outcome.marked.n_marks, outcome.marked.n_lost) == (len(answered), 0)
    assert len(list(marked.iterdir())) == outcome.marked.n_files
    if sys.platform == "linux":
        assert b"/Highlight" in (marked / "01-arden.pdf").read_bytes()
    by_file = {row["file"]: row["answers"] for row in rows}
    assert by_file["01-arden.pdf"][0]["verdict"] == "yes"
    assert by_file["02-bexley.pdf"][0]["verdict"] == "no"
    assert by_file["07-garrick.pdf"][0]["status"] != "answered"
    assert by_file["01-arden.pdf"][1]["quote"].startswith("184")


def test_copies_are_never_written_over_the_papers(pdfs: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds the papers themselves"):
        TableJob(pdfs, (DOES,), tmp_path / "t.csv", highlight=pdfs)
