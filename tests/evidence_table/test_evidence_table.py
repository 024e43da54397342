"""The table holds what ``answer_batch`` says, in every format, and survives whatever stops it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import DataError, Predictor, Question
from qa_extractive.cli import main
from qa_extractive.evidence_table.about import About
from qa_extractive.evidence_table.flat import flat_writer
from qa_extractive.evidence_table.html import html_writer
from qa_extractive.evidence_table.job import TableJob
from qa_extractive.evidence_table.making import Watch, make_table
from qa_extractive.evidence_table.rows import Cell, PaperRow
from qa_extractive.evidence_table.xlsx import xlsx_writer
from qa_extractive.papers.reading import read_papers
from qa_extractive.papers.types import Paper
from qa_extractive.tables.reading import read_rows
from tests.evidence_table.made_papers import QUESTIONS, folder_of_papers


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(effort="cached")


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    return folder_of_papers(tmp_path / "papers")


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_cell_is_what_the_predictor_answers(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.jsonl"
    outcome = make_table(predictor, TableJob(papers, QUESTIONS, output))
    assert outcome.about is not None
    assert (outcome.about.n_papers, outcome.about.n_skipped) == (4, 1)
    assert outcome.about.skipped[0][0] == "scan.docx"
    rows = _rows(output)
    assert [row["file"] for row in rows] == ["p000.json", "p001.json", "p002.json", "p003.txt"]
    for row in rows:
        (found,) = read_papers(papers / row["file"])
        assert isinstance(found, tuple)
        paper = found[1]
        asked = [Question(question, paper.text, paper.title) for question in QUESTIONS]
        for answer, cell in zip(predictor.answer_batch(asked), row["answers"], strict=True):
            assert cell["status"] == answer.status
            assert cell["answerable"] == pytest.approx(answer.answerable, abs=1e-4)
            best = answer.best if answer.status != "not_reported" else None
            assert cell["quote"] == ("" if best is None else best.text)
            if best is not None:
                assert paper.text[cell["start"] : cell["end"]] == cell["quote"]
                assert cell["section"] == "Abstract"
    assert rows[0]["answers"][0]["quote"].startswith("84")
    assert not (tmp_path / "t.jsonl.work").exists()


def test_flat_columns_say_not_reported(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.csv"
    make_table(predictor, TableJob(papers, QUESTIONS, output))
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[2]["q3_quote"] == "not reported"
    assert rows[0]["q1_question"] == QUESTIONS[0]
    assert rows[0]["q1_quote"].startswith("84")


def test_flat_columns_tell_not_sure_from_not_reported(tmp_path: Path) -> None:
    paper = Paper("A", "About 73 adults were asked.")
    cells = (
        Cell("answered", "73 adults", 6, 15),
        Cell("unsure", "73", 6, 8),
        Cell("not_reported"),
        Cell("failed", error="too long"),
    )
    questions = ("a?", "b?", "c?", "d?")
    with flat_writer(tmp_path / "t.csv", questions) as add:
        add(PaperRow(1, paper, "a.txt", 1, cells))
    (row,) = read_rows(tmp_path / "t.csv")
    shown = [(row.values[f"q{i}_quote"], row.values[f"q{i}_closest"]) for i in range(1, 5)]
    assert shown == [("73 adults", ""), ("not sure", "73"), ("not reported", ""), ("", "")]


def test_the_table_tells_the_effort_and_the_command_why_cells_failed(
    papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    output = tmp_path / "t.xlsx"
    command = ["table", str(papers), "--output", str(output), "--questions", *QUESTIONS]
    assert main([*command, "--max-context-characters", "30"]) == 1
    said = capsys.readouterr().out
    assert "             12 context too long: " in said
    sheet = openpyxl.load_workbook(output)["About"]
    assert any("at the effort 'cached'" in str(row[1].value) for row in sheet.iter_rows())


def test_parquet_has_the_same_cells(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    make_table(predictor, TableJob(papers, QUESTIONS, tmp_path / "t.parquet"))
    make_table(predictor, TableJob(papers, QUESTIONS, tmp_path / "t.csv"))
    parquet, text = (list(read_rows(tmp_path / name)) for name in ("t.parquet", "t.csv"))
    assert [row.values["q1_quote"] for row in parquet] == [row.values["q1_quote"] for row in text]


def test_a_workbook_shows_quotes_as_text_only(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    output = tmp_path / "t.xlsx"
    make_table(predictor, TableJob(papers, QUESTIONS, output))
    book = openpyxl.load_workbook(output)
    assert book.sheetnames == ["Evidence", "Quotes", "Together", "About", "Skipped"]
    table = book["Evidence"]
    assert table.freeze_panes == "B3"
    assert table.auto_filter.ref == "A2:L6"
    assert [cell.value for cell in table[1] if cell.value] == list(QUESTIONS)
    names = [cell.value for cell in table[2]][5:]
    assert names == ["quote", "how sure", "quote", "verdict", "how sure", "quote", "how sure"]
    assert table["A6"].value == "=1+1 & 2<3"
    assert {cell.data_type for row in table.iter_rows() for cell in row} <= {"s", "n"}  # no formula
    assert str(table["F3"].value).startswith("84")
    assert table["F3"].fill.start_color.rgb != table["K3"].fill.start_color.rgb
    quotes = book["Quotes"]
    assert quotes.max_row == 1 + 4 * len(QUESTIONS)
    assert book["Skipped"]["A2"].value == "scan.docx"
    assert "qa-extractive" in book["About"]["B2"].value


def test_html_holds_texts_as_data(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.html"
    make_table(predictor, TableJob(papers, QUESTIONS, output))
    page = output.read_text(encoding="utf-8")
    assert "=1+1 &amp; 2&lt;3" in page
    assert page.count('<tr><th scope="row">') >= 4
    assert "src=" not in page


HOSTILE = "</script><script>alert(1)</script> =cmd|' /C calc'!A0 \x00\x0b\ud800 <!-- & \u2028 end"
ABOUT = About(HOSTILE, (HOSTILE,), 1, ((HOSTILE, None, HOSTILE, HOSTILE),), 2, HOSTILE, "1", 0.5, 0.1)


def _hostile_row() -> PaperRow:
    paper = Paper(
        title=HOSTILE, abstract=f"{HOSTILE} {'x' * 40_000}", doi=f"10.1/{HOSTILE}", authors=(HOSTILE,)
    )
    text = paper.text
    cell = Cell("answered", text, 0, len(text), text, HOSTILE, 1, 0.9, 0.9, "yes", 0.8)
    return PaperRow(1, paper, HOSTILE, 1, (cell,))


def test_hostile_texts_stay_texts_in_html(tmp_path: Path) -> None:
    with html_writer(tmp_path / "t.html", ABOUT, list) as add:
        add(_hostile_row())
    page = (tmp_path / "t.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 2  # the data and our own
    assert "alert(1)" in page


def test_hostile_texts_stay_texts_in_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    with xlsx_writer(tmp_path / "t.xlsx", ABOUT, list) as add:
        add(_hostile_row())
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    types = {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row}
    assert types <= {"s", "n"}
    assert len(book["Evidence"]["F3"].value) < 32_767
    assert "1 more" in book["Skipped"]["A3"].value


def test_a_workbook_that_would_not_fit_is_refused(tmp_path: Path) -> None:
    about = replace(ABOUT, n_papers=600_000, questions=("a?", "b?"))
    with pytest.raises(DataError, match=r"write \.csv"), xlsx_writer(tmp_path / "t.xlsx", about, list):
        pass
    assert not (tmp_path / "t.xlsx").exists()


def test_a_stopped_run_goes_on_and_ends_with_the_same(predictor: Predictor, tmp_path: Path) -> None:
    papers = folder_of_papers(tmp_path / "papers", 150)
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    make_table(predictor, TableJob(papers, QUESTIONS, whole))
    begun: list[int] = []
    watch = Watch(on_start=lambda n_rows, _: begun.append(n_rows), should_stop=lambda: bool(begun))
    first = make_table(predictor, TableJob(papers, QUESTIONS, stopped), watch)
    assert not first.is_complete
    assert first.summary is not None
    assert first.summary.n_rows == 400
    assert not stopped.exists()
    with pytest.raises(DataError, match=r"left of a run that was stopped: go on with --resume"):
        make_table(predictor, TableJob(papers, QUESTIONS, stopped))
    second = make_table(predictor, TableJob(papers, QUESTIONS, stopped, existing="resume"))
    assert second.summary is not None
    assert second.summary.n_resumed == 400
    assert stopped.read_bytes() == whole.read_bytes()
    again = make_table(predictor, TableJob(papers, QUESTIONS, stopped, existing="resume"))
    assert again.summary is None
    assert again.is_complete


def test_nothing_is_lost_or_mixed(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.jsonl"
    output.write_text("mine")
    with pytest.raises(DataError, match="exists: replace it with --overwrite"):
        make_table(predictor, TableJob(papers, QUESTIONS, output))
    with pytest.raises(DataError, match="is not what a run left here: replace it with --overwrite"):
        make_table(predictor, TableJob(papers, QUESTIONS, output, existing="resume"))
    assert output.read_text() == "mine"
    make_table(predictor, TableJob(papers, QUESTIONS, output, existing="overwrite"))
    (papers / "p009.json").write_text('{"abstract": "A new one."}')
    with pytest.raises(DataError, match="files were added, removed or changed"):
        make_table(predictor, TableJob(papers, QUESTIONS, output, existing="resume"))
    foreign = tmp_path / "u.csv.work"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("mine")
    with pytest.raises(DataError, match="no run left it"):
        make_table(predictor, TableJob(papers, QUESTIONS, tmp_path / "u.csv", existing="overwrite"))
    assert (foreign / "thesis.tex").exists()


def test_its_own_files_among_the_papers_are_not_read(predictor: Predictor, papers: Path) -> None:
    output = papers / "t.jsonl"
    for _ in range(2):
        make_table(predictor, TableJob(papers, QUESTIONS, output, existing="overwrite"))
        assert len(_rows(output)) == 4


def test_one_file_is_enough(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    outcome = make_table(predictor, TableJob(papers / "p000.json", QUESTIONS[:1], tmp_path / "t.csv"))
    assert outcome.about is not None
    assert outcome.about.n_papers == 1


def test_a_folder_without_papers_leaves_nothing(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no paper that can be read"):
        make_table(predictor, TableJob(tmp_path / "none", QUESTIONS, tmp_path / "t.csv"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["none"]


@pytest.mark.parametrize(
    ("questions", "output", "message"),
    [
        ((), "t.csv", "no question"),
        (QUESTIONS, "t.docx", "t.docx"),
        (QUESTIONS, "no/t.csv", "create it first"),
    ],
)
def test_what_cannot_be_done_is_told_at_once(
    tmp_path: Path, questions: tuple[str, ...], output: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        TableJob(tmp_path, questions, tmp_path / output)


def test_the_command(papers: Path, tmp_path: Path) -> None:
    asked = tmp_path / "questions.txt"
    asked.write_text("\n".join(QUESTIONS) + "\n\n", encoding="utf-8")
    output = tmp_path / "t.html"
    command = [sys.executable, "-m", "qa_extractive", "table", str(papers), "--output", str(output)]
    done = subprocess.run([*command, "--questions", str(asked)], capture_output=True, text=True, check=True)
    assert "papers     4 x 3 questions; 1 skipped" in done.stdout
    assert "scan.docx" in done.stdout
    assert output.exists()
    again = subprocess.run(
        [*command, "--questions", QUESTIONS[0], QUESTIONS[0]], capture_output=True, text=True
    )
    assert again.returncode == 2
    assert "is given twice: leave one out" in again.stderr


def test_what_was_skipped_is_listed_apart(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    listed = tmp_path / "skipped.csv"
    job = TableJob(papers, QUESTIONS[:1], tmp_path / "t.csv", errors=listed)
    make_table(predictor, job)
    assert [row.values["file"] for row in read_rows(listed)] == ["scan.docx"]
    with pytest.raises(DataError, match=r"skipped\.csv exists"):
        TableJob(papers, QUESTIONS[:1], tmp_path / "u.csv", errors=listed)
    with pytest.raises(DataError, match="is the output itself"):
        TableJob(papers, QUESTIONS[:1], tmp_path / "v.csv", errors=tmp_path / "v.csv")


def test_a_text_that_is_too_long_is_a_failed_cell(papers: Path, tmp_path: Path) -> None:
    (papers / "huge.txt").write_text("Huge\n\n" + "word " * 400, encoding="utf-8")
    short = Predictor(max_context_characters=1500)
    outcome = make_table(short, TableJob(papers, QUESTIONS[:1], tmp_path / "t.jsonl"))
    assert outcome.summary is not None
    assert outcome.summary.n_failed == 1
    cells = {row["file"]: row["answers"][0] for row in _rows(tmp_path / "t.jsonl")}
    assert cells["huge.txt"]["status"] == "failed"
    assert "exceeds 1,500" in cells["huge.txt"]["error"]
    assert cells["p000.json"]["quote"].startswith("84")
