"""``prepare``: a folder of papers as a table, what was skipped, and what is left alone."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from qa_extractive.cli import main
from qa_extractive.data.columns import ColumnNames, resolve_columns
from qa_extractive.errors import DataError
from qa_extractive.papers import prepare as preparing
from qa_extractive.papers.prepare import Preparation, prepare
from qa_extractive.tables import growing, read_rows

JATS = """<article><front><article-meta><title-group><article-title>Salt</article-title></title-group>
<contrib-group><contrib contrib-type="author"><name><surname>Curie</surname><given-names>Marie</given-names>
</name></contrib><contrib contrib-type="author"><collab>The Salt Group</collab></contrib></contrib-group>
<pub-date><year>2020</year></pub-date><abstract><p>It fell.</p></abstract></article-meta></front>
<body><p>Before any section.</p><sec><title>Methods</title><p>We measured.</p></sec></body></article>
"""
PUBMED = """<PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID>77</PMID><Article><Journal><JournalIssue><PubDate><Year>1998</Year></PubDate>
</JournalIssue></Journal><Abstract><AbstractText>It did.</AbstractText></Abstract></Article></MedlineCitation>
</PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>78</PMID><Article/></MedlineCitation></PubmedArticle>
</PubmedArticleSet>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Papers of every format, and what is none."""
    made = tmp_path / "papers"
    (made / "sub" / ".git").mkdir(parents=True)
    (made / "b.xml").write_text(JATS, encoding="utf-8")
    (made / "a.xml").write_text(PUBMED)
    (made / "sub" / "c.txt").write_text('A title\n\nIt fell, "by" 5.')
    (made / "sub" / "d.jsonl").write_text('{"abstract": "One."}\nnot json\n')
    (made / "sub" / "e.pdf").write_bytes(b"%PDF")
    (made / "sub" / "f.xml").write_text("<html/>")
    (made / "sub" / "g.txt").write_bytes(b"caf\xe9")
    (made / ".hidden.txt").write_text("x")
    (made / "link.txt").symlink_to("/etc/hostname")
    (made / "loop").symlink_to(made)
    return made


FILES = ["a.xml", "b.xml", "sub/c.txt", "sub/d.jsonl"]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl.gz", "t.parquet"])
def test_the_table(folder: Path, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    done = prepare(folder, tmp_path / name)
    reader = read_rows(tmp_path / name)
    columns = "title abstract sections pmid doi year journal authors file record text pages".split()
    assert list(reader.columns) == columns
    rows = [row.values for row in reader]
    assert [row["file"] for row in rows] == FILES
    text = name.endswith(("csv", "tsv"))
    assert [row["year"] for row in rows] == (["1998", "2020", "", ""] if text else [1998, 2020, None, None])
    authors = rows[1]["authors"]
    assert (json.loads(authors) if text else authors) == ["Marie Curie", "The Salt Group"]
    sections = rows[1]["sections"]
    assert (json.loads(sections) if text else sections)[1] == {"heading": "Methods", "text": "We measured."}
    assert rows[2]["title"] == "A title"
    assert rows[2]["abstract"] == 'It fell, "by" 5.'
    assert (done.n_papers, done.n_files) == (4, 9)
    kinds = {name: kind.n for name, kind in done.skipped.items()}
    assert kinds == {
        "no text": 1, "broken JSON": 1, "no paper": 2, "unreadable": 1, "a link": 2,
    }  # fmt: skip
    found = resolve_columns(("question", *columns), ColumnNames())
    assert (found.context, found.title) == ("abstract", "title")
    assert {path.name for path in tmp_path.iterdir()} == {"papers", name}


def test_what_was_skipped_is_listed(folder: Path, tmp_path: Path) -> None:
    prepare(folder, tmp_path / "t.csv", errors=tmp_path / "errors.csv")
    rows = [row.values for row in read_rows(tmp_path / "errors.csv")]
    about = {(row["file"], row["record"]): row["kind"] for row in rows}
    assert about == {
        ("a.xml", "2"): "no text",
        ("link.txt", ""): "a link",
        ("loop", ""): "a link",
        ("sub/d.jsonl", "2"): "broken JSON",
        ("sub/e.pdf", ""): "no paper",
        ("sub/f.xml", ""): "no paper",
        ("sub/g.txt", ""): "unreadable",
    }
    reasons = {row["file"]: row["reason"] for row in rows}
    assert all(reasons.values())
    assert reasons["sub/g.txt"].startswith("line 1, byte 3: 0xe9 is not UTF-8")


def test_parts_make_the_same_table(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(folder, tmp_path / "one.csv")
    monkeypatch.setattr(preparing, "_PART_ROWS", 1)
    prepare(folder, tmp_path / "parts.csv")
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()


def test_the_table_may_lie_in_the_folder(folder: Path) -> None:
    for _ in range(2):
        done = prepare(folder, folder / "t.jsonl", errors=folder / "errors.jsonl", overwrite=True)
        assert (done.n_papers, done.n_files) == (4, 9)


def test_nothing_is_lost(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "t.csv"
    output.write_text("mine")
    with pytest.raises(DataError, match=r"t\.csv exists: replace it with --overwrite"):
        prepare(folder, output)
    with pytest.raises(DataError, match="is the output itself"):
        prepare(folder, output, errors=output, overwrite=True)
    with pytest.raises(DataError, match="is not a folder or a file: give one with papers"):
        prepare(folder / "none", output, overwrite=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no paper that can be read: it is empty"):
        prepare(tmp_path / "empty", output, overwrite=True)
    (tmp_path / "empty" / "a.pdf").write_bytes(b"")
    errors = tmp_path / "errors.csv"
    with pytest.raises(DataError, match="holds no paper that can be read: 1 no paper"):
        prepare(tmp_path / "empty", output, errors=errors, overwrite=True)
    assert output.read_text() == "mine"
    assert [row.values["file"] for row in read_rows(errors)] == ["a.pdf"]
    assert {path.name for path in tmp_path.iterdir()} == {"papers", "t.csv", "empty", "errors.csv"}


def test_two_runs_with_one_output(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output, errors = tmp_path / "t.csv", tmp_path / "errors.csv"

    def second(*more: str) -> str:
        assert main(["prepare", str(folder), *more, "--overwrite"]) == 2
        return capsys.readouterr().err

    said = []

    def meanwhile(done: Preparation) -> None:
        said.append(second("--output", str(output)))
        said.append(second("--output", str(tmp_path / "u.csv"), "--errors", str(errors)))

    done = prepare(folder, output, errors=errors, on_file=meanwhile)
    assert (done.n_papers, done.n_files) == (4, 9)
    assert set(said) == {
        f"error: another run is writing {path}: wait for it, or give another file\n"
        for path in (output, errors)
    }
    assert len(list(read_rows(output))) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"papers", "t.csv", "errors.csv"}


def test_what_another_run_left_or_made_is_left_alone(folder: Path, tmp_path: Path) -> None:
    output, partial = tmp_path / "t.csv", tmp_path / "t.csv.partial"
    partial.write_text("rows of a run that was stopped")
    with pytest.raises(DataError, match=r"t\.csv\.partial is left of a run that was stopped: replace it"):
        prepare(folder, output)
    assert partial.read_text() == "rows of a run that was stopped"
    partial.unlink()
    with pytest.raises(DataError, match=r"t\.csv exists: replace it with --overwrite"):
        prepare(folder, output, on_file=lambda done: output.write_text("mine") and None)
    assert output.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"papers", "t.csv"}


def test_a_full_disk_is_one_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    output = tmp_path / "t.csv"
    for name in ("sync", "replace_file"):
        with monkeypatch.context() as patch:
            patch.setattr(growing, name, full)
            assert main(["prepare", str(folder), "--output", str(output)]) == 2
        assert capsys.readouterr().err == f"error: {output} cannot be written: No space left on device\n"
    assert {path.name for path in tmp_path.iterdir()} == {"papers"}


@pytest.mark.skipif(os.name == "nt", reason="names are another matter there")
def test_names_that_cannot_be_are_one_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "round").symlink_to(tmp_path / "round")
    for place, output in [
        (folder, tmp_path / ("x" * 300 + ".csv")),
        (folder, tmp_path / ("x" * 250 + ".csv")),
        (folder, tmp_path / "round"),
        (folder, tmp_path / "round" / "t.csv"),
        (folder, tmp_path / "none" / "t.csv"),
        (tmp_path / ("x" * 300), tmp_path / "t.csv"),
        (tmp_path / "round", tmp_path / "t.csv"),
        (folder, tmp_path / "t.pdf"),
    ]:
        table = ["--output", str(output)]
        listed = ["--output", str(tmp_path / "u.csv"), "--errors", str(output)]
        for files in (table, listed) if place == folder else (table,):
            assert main(["prepare", str(place), *files]) == 2
            err = capsys.readouterr().err
            assert err.startswith("error: ")
            assert err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"papers", "round"}


@pytest.mark.skipif(os.name == "nt", reason="names are another matter there")
def test_a_folder_with_names_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    (folder / "round.txt").symlink_to(folder / "round.txt")
    (folder / os.fsdecode(b"caf\xe9.txt")).write_text("It fell.")
    here = Path.cwd()
    os.chdir(folder)
    try:  # deeper than the system can name from the root
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
        Path("a.txt").write_text("It fell.")
    finally:
        os.chdir(here)
    done = prepare(folder, tmp_path / "t.jsonl")
    assert done.n_papers == 5
    assert done.skipped["a link"].n == 3
    assert done.skipped["unreadable"].n == 2
    assert "File name too long" in done.skipped["unreadable"].first[-1][1]


@pytest.mark.skipif(not hasattr(os, "mkfifo") or os.name == "nt", reason="this system has no pipes")
def test_a_pipe_does_not_stop_it(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    assert prepare(folder, tmp_path / "t.csv").skipped["unreadable"].n == 2


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "t.csv"
    assert main(["prepare", str(folder), "--output", str(output)]) == 0
    out = capsys.readouterr().out
    assert "papers   4 from 9 files" in out
    assert "  1 broken JSON\n    sub/d.jsonl, record 2: line 1, column 1" in out
    assert main(["prepare", str(folder), "--output", str(output)]) == 2
    assert capsys.readouterr().err == f"error: {output} exists: replace it with --overwrite\n"


def test_a_huge_text_is_told_with_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "LONG_CONTEXT_CHARACTERS", 1000)
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.txt").write_text("A trial.\n\n" + "It fell by a half. " * 10)
    (folder / "b.txt").write_text("A log.\n\n" + "It fell by a half. " * 100)
    assert main(["prepare", str(folder), "--output", str(tmp_path / "t.csv")]) == 0
    out = capsys.readouterr().out
    assert "long     1 taken, but of more than" in out
    assert "    b.txt, record 1: 1,905 characters" in out
    assert "a.txt" not in out
