"""A table that is stopped at an odd place goes on, and nothing that is there is written over unasked."""

from __future__ import annotations

import dataclasses
import gzip
import json
import runpy
import shutil
from pathlib import Path

import pytest

from qa_extractive import DataError, Predictor
from qa_extractive.cli import main
from qa_extractive.cli.questions_option import questions_of
from qa_extractive.evidence_table import making
from qa_extractive.evidence_table.job import TableJob
from qa_extractive.evidence_table.making import Watch, make_table
from qa_extractive.tables.locking import locked
from tests.evidence_table.made_papers import QUESTIONS, folder_of_papers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(effort="cached")


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    return folder_of_papers(tmp_path / "papers")


@pytest.fixture
def pdfs(tmp_path: Path) -> Path:
    pytest.importorskip("reportlab")
    pytest.importorskip("pypdfium2")
    made = runpy.run_path(str(ROOT / "examples" / "evidence" / "make_papers.py"))
    made["write_papers"](tmp_path / "all")
    (tmp_path / "pdfs").mkdir()
    for name in ("01-arden.pdf", "02-bexley.pdf"):
        shutil.copy(tmp_path / "all" / name, tmp_path / "pdfs")
    return tmp_path / "pdfs"


def test_an_overwriting_run_that_was_stopped_goes_on(
    predictor: Predictor, papers: Path, tmp_path: Path
) -> None:
    output = tmp_path / "t.jsonl"
    make_table(predictor, TableJob(papers, QUESTIONS[:1], output))
    old = output.read_bytes()
    again = TableJob(papers, QUESTIONS, output, existing="overwrite")
    with pytest.raises(KeyboardInterrupt):
        make_table(predictor, again, Watch(on_start=_interrupt))
    assert output.read_bytes() == old
    make_table(predictor, TableJob(papers, QUESTIONS, output, existing="resume"))
    assert len(json.loads(output.read_text().splitlines()[0])["answers"]) == 3
    assert not again.work.exists()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_run_that_is_stopped_while_it_reads_stops_at_the_next_file(
    predictor: Predictor, papers: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    job = TableJob(papers, QUESTIONS, tmp_path / "t.csv")
    watch = Watch(on_file=lambda done: seen.append(done.n_files), should_stop=lambda: len(seen) > 1)
    outcome = make_table(predictor, job, watch)
    assert (outcome.is_complete, outcome.was_reading, seen) == (False, True, [1, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["papers"]
    assert make_table(predictor, job).is_complete


@pytest.mark.parametrize("place", ["write_whole", "remove"])
def test_a_kill_after_the_table_is_there_costs_nothing(
    predictor: Predictor, papers: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TableJob(papers, QUESTIONS, tmp_path / "t.csv", existing="resume")
    original = getattr(making, place)

    def killed(first: object, *rest: object) -> None:
        if first in (job, job.state):
            raise KeyboardInterrupt
        original(first, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(making, place, killed)
        with pytest.raises(KeyboardInterrupt):
            make_table(predictor, job)
    written = job.output.read_bytes()
    assert job.work.exists()
    assert make_table(predictor, job).is_complete
    assert job.output.read_bytes() == written
    assert not job.work.exists()
    assert make_table(predictor, job).summary is None


def test_a_finished_table_without_marked_pdfs_is_not_taken_for_one_with(
    predictor: Predictor, pdfs: Path, tmp_path: Path
) -> None:
    output, marked = tmp_path / "t.csv", tmp_path / "marked"
    make_table(predictor, TableJob(pdfs, QUESTIONS, output))
    with pytest.raises(
        DataError, match=r"begun with no --highlight, now --highlight .*marked: give what was given then"
    ):
        make_table(predictor, TableJob(pdfs, QUESTIONS, output, "resume", highlight=marked))


def test_marked_copies_write_over_nothing(predictor: Predictor, pdfs: Path, tmp_path: Path) -> None:
    marked = tmp_path / "marked"
    marked.mkdir()
    (marked / "notes.txt").write_text("mine")
    (marked / "01-arden.pdf").write_text("mine")
    questions = ("How many people took part?",)
    job = TableJob(pdfs, questions, tmp_path / "t.csv", highlight=marked)
    with pytest.raises(DataError, match=r"01-arden\.pdf exists: replace it with --overwrite, or give"):
        make_table(predictor, job)
    assert (marked / "01-arden.pdf").read_text() == "mine"
    assert not job.work.exists()
    (marked / "01-arden.pdf").unlink()
    make_table(predictor, job)
    assert sorted(path.name for path in marked.iterdir()) == ["01-arden.pdf", "02-bexley.pdf", "notes.txt"]
    file = tmp_path / "a file"
    file.touch()
    with pytest.raises(DataError, match="is no folder"):
        TableJob(pdfs, questions, tmp_path / "u.csv", highlight=file)


def test_each_pdf_has_a_copy_of_its_own(predictor: Predictor, pdfs: Path, tmp_path: Path) -> None:
    source = pdfs / "01-arden.pdf"
    (pdfs / "01-arden.pdf.gz").write_bytes(gzip.compress(source.read_bytes()))
    for name in ("01-ARDEN.pdf", "01-arden.txt", "01-arden.txt.pdf", "01-arden.PDF"):
        shutil.copy(source, pdfs / name)
    n_files = len([*pdfs.iterdir()])
    marked = tmp_path / "marked"
    job = TableJob(pdfs, ("How many people took part?",), tmp_path / "t.csv", highlight=marked)
    outcome = make_table(predictor, job)
    names = [path.name for path in marked.iterdir()]
    assert outcome.marked is not None
    assert outcome.marked.n_files == len(names) == n_files
    assert len({name.casefold() for name in names}) == n_files
    assert all(name.lower().endswith(".pdf") for name in names)


def test_a_question_that_is_too_long_is_told_before_the_papers_are_read(
    predictor: Predictor, papers: Path, tmp_path: Path
) -> None:
    job = TableJob(papers, (QUESTIONS[0], "Why " + "very " * 500 + "long?"), tmp_path / "t.csv")
    with pytest.raises(DataError, match=r"question 2 \(Why very .*tokens exceeds"):
        make_table(predictor, job)
    assert not job.work.exists()


def test_a_name_of_a_file_is_no_question(tmp_path: Path) -> None:
    asked = tmp_path / "asked.txt"
    asked.write_bytes("\ufeffWhy?\r\n\r\n Was  it? \r\n".encode())
    assert questions_of([str(asked)]) == ("Why?", "Was it?")
    assert questions_of(["Is it in notes.txt"]) == ("Is it in notes.txt",)
    for name in ("missing.txt", "my questions.csv", "questions.json"):
        with pytest.raises(DataError, match="there is no such file"):
            questions_of([name])
    with pytest.raises(DataError, match="is a folder: give questions, or one file"):
        questions_of([str(tmp_path)])
    with pytest.raises(DataError, match="or one file alone"):
        questions_of([str(asked), "Why not?"])
    asked.write_text("Why?\n" * 200_001)
    with pytest.raises(DataError, match="more than 1,000,000 characters"):
        questions_of([str(asked)])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("q.csv", 'id,Question\n1,"How many, and where?"\n2,\n3,Why?\n'),
        ("q.tsv", "question\tid\nHow many, and where?\t1\nWhy?\t2\n"),
        ("q.jsonl", '{"question": "How many, and where?"}\n{"question": "Why?"}\n'),
    ],
)
def test_a_table_gives_the_questions_of_its_column(tmp_path: Path, name: str, content: str) -> None:
    asked = tmp_path / name
    asked.write_text(content, encoding="utf-8")
    assert questions_of([str(asked)]) == ("How many, and where?", "Why?")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("q.csv", "How many?\nWhy?\n", r"q\.csv has no column 'question': name it so, or give a \.txt file"),
        ("q.jsonl", '{"question": ["Why?"]}\n', r"q\.jsonl, row 1: \['Why\?'\] is no question"),
        ("q.jsonl", '{"question": "Why?"}\n{"quest\n', r"q\.jsonl, row 2: "),
        ("q.json", '["Why?"]', r"q\.json: give a text with a question a line, or a CSV or JSON Lines file"),
        ("q.csv", "question\n\n", "holds no question"),
        (
            "q.csv",
            "question\n" + "".join(f"Why {i}?\n" for i in range(1001)),
            "1,001 questions are more than",
        ),
    ],
)
def test_a_table_without_questions_is_not_asked_line_by_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    asked = tmp_path / name
    asked.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        questions_of([str(asked)])


def test_neither_papers_nor_questions_are_written_over(
    papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, table = tmp_path / "q.csv", tmp_path / "p.csv"
    asked.write_text("question\nWhy?\n")
    table.write_text("title,abstract\nA,We asked 12 people.\n")
    kept = asked.read_bytes(), table.read_bytes()
    for given, message in (
        (("--output", asked), "q.csv holds the questions: give another file"),
        (("--output", tmp_path / "t.csv", "--errors", asked), "q.csv holds the questions"),
        (("--output", table), "p.csv holds the papers themselves: give another file"),
        (("--output", tmp_path / "t.csv", "--errors", table), "p.csv holds the papers themselves"),
    ):
        command = ["table", table, "--questions", asked, *given, "--overwrite"]
        assert main([str(each) for each in command]) == 2
        assert message in capsys.readouterr().err
    assert (asked.read_bytes(), table.read_bytes()) == kept


def test_a_run_is_gone_on_with_only_as_it_was_begun(
    predictor: Predictor, papers: Path, tmp_path: Path
) -> None:
    job = TableJob(papers, QUESTIONS[:1], tmp_path / "t.csv", "resume")
    make_table(predictor, job)
    with pytest.raises(
        DataError, match=r"t\.csv was begun with --effort cached, now --effort fast: give what"
    ):
        make_table(Predictor(effort="fast"), job)
    job.state.write_text("{")
    with pytest.raises(DataError, match=r"t\.csv\.run\.json is damaged: start again with --overwrite"):
        make_table(predictor, job)
    make_table(predictor, dataclasses.replace(job, existing="overwrite"))
    assert make_table(predictor, job).summary is None
    job.output.write_text("junk")
    with pytest.raises(DataError, match="is not what a run left here: replace it with --overwrite"):
        make_table(predictor, job)
    assert job.output.read_text() == "junk"


def test_damaged_work_is_told_in_one_line(predictor: Predictor, papers: Path, tmp_path: Path) -> None:
    job = TableJob(papers, QUESTIONS[:1], tmp_path / "t.csv", "resume")
    with pytest.raises(KeyboardInterrupt):
        make_table(predictor, job, Watch(on_start=_interrupt))
    left = job.work / "papers.jsonl"
    rows = [json.loads(line) for line in left.read_text().splitlines()]
    rows[1] |= {"abstract": "", "sections": []}
    left.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"papers\.jsonl is damaged: start again with --overwrite"):
        make_table(predictor, job)


def test_errors_that_cannot_be_written_are_told_before_anything_is_answered(
    predictor: Predictor, papers: Path, tmp_path: Path
) -> None:
    errors = tmp_path / "e.csv"
    with locked([errors.resolve()]), pytest.raises(DataError, match=r"another run is writing .*e\.csv"):
        make_table(predictor, TableJob(papers, QUESTIONS[:1], tmp_path / "t.csv", errors=errors))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["papers"]


def test_a_finished_table_says_that_what_was_skipped_is_not_written(
    papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["table", str(papers), "--questions", QUESTIONS[0], "--output", str(tmp_path / "t.csv")]
    assert main(command) == 0
    capsys.readouterr()
    errors = tmp_path / "e.csv"
    assert main([*command, "--resume", "--errors", str(errors)]) == 0
    assert f"{errors} was not wanted then: --overwrite makes both anew" in capsys.readouterr().out
    assert not errors.exists()
