"""A table that is stopped at an odd place goes on, and nothing that is there is written over unasked."""

from __future__ import annotations

import gzip
import json
import runpy
import shutil
from pathlib import Path

import pytest

from qa_extractive import DataError, Predictor
from qa_extractive.cli.table import questions_of
from qa_extractive.evidence_table import job as job_module
from qa_extractive.evidence_table.job import TableJob, Watch, make_table
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


@pytest.mark.parametrize("place", ["write_whole", "_remove"])
def test_a_kill_after_the_table_is_there_costs_nothing(
    predictor: Predictor, papers: Path, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = TableJob(papers, QUESTIONS, tmp_path / "t.csv", existing="resume")
    original = getattr(job_module, place)

    def killed(first: object, *rest: object) -> None:
        if first in (job, job.state):
            raise KeyboardInterrupt
        original(first, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(job_module, place, killed)
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
    with pytest.raises(DataError, match="begun with other --highlight"):
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
    with pytest.raises(DataError, match="there is no such file"):
        questions_of([str(tmp_path / "missing.txt")])
    with pytest.raises(DataError, match="or one file alone"):
        questions_of([str(asked), "Why not?"])
    asked.write_text("Why?\n" * 200_001)
    with pytest.raises(DataError, match="more than 1,000,000 characters"):
        questions_of([str(asked)])
