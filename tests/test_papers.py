"""A folder of papers as a table: what is taken of each format, and what hostile or broken files come to."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.cli import main
from qa_extractive.dataset.columns import ColumnNames, resolve_columns
from qa_extractive.errors import DataError
from qa_extractive.papers import preparing, reading, safe_xml
from qa_extractive.papers.json_records import paper_from_json
from qa_extractive.papers.plain import paper_from_text
from qa_extractive.papers.preparing import Preparation, prepare
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.records import NoPaperError, Paper, Section
from qa_extractive.tables import growing, read_rows

JATS = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE article PUBLIC "-//NLM//DTD JATS (Z39.96) v1.2//EN" "https://example.org/JATS-archivearticle1.dtd">
<article xmlns:xlink="http://www.w3.org/1999/xlink" article-type="research-article">
 <front>
  <journal-meta><journal-title-group><journal-title>Journal of Salt</journal-title></journal-title-group>
  </journal-meta>
  <article-meta>
   <article-id pub-id-type="pmid">123</article-id><article-id pub-id-type="doi">10.1/abc</article-id>
   <title-group><article-title>Salt <italic>and</italic>
     pressure<fn id="f"><p>Not the title</p></fn></article-title></title-group>
   <contrib-group>
    <contrib contrib-type="author"><name><surname>Curie</surname><given-names>Marie</given-names></name>
    </contrib>
    <contrib contrib-type="author"><collab>The Salt Group</collab></contrib>
    <contrib contrib-type="editor"><name><surname>Editor</surname></name></contrib>
   </contrib-group>
   <pub-date pub-type="collection"><year>2021</year></pub-date>
   <pub-date pub-type="epub"><day>3</day><month>12</month><year>2020</year></pub-date>
   <abstract abstract-type="graphical"><p>A picture.</p></abstract>
   <abstract>
    <sec><title>Background</title>
     <p>Cells at 10<sup>9</sup>/L were counted<sup><xref ref-type="bibr">1</xref></sup>.</p></sec>
    <sec><title>Results:</title>
     <p>CO<sub>2</sub> fell (p&lt;0.05) by &alpha;&#8201;=&#8201;0.1.</p><p>More.</p></sec>
   </abstract>
  </article-meta>
 </front>
 <body>
  <p>Before any section.</p>
  <sec><label>1</label><title>Methods</title>
   <p>We measured.</p>
   <fig><caption><p>Left out</p></caption></fig>
   <sec><title>Participants</title>
    <p>212 adults <inline-formula><tex-math>\\usepackage</tex-math></inline-formula>took part.</p>
    <list><list-item><p>first</p></list-item><list-item><p>second</p></list-item></list></sec>
  </sec>
  <sec><title>Results</title><table-wrap><table><tr><td>9</td></tr></table></table-wrap><p>It fell.</p></sec>
 </body>
 <back><ref-list><ref><article-title>Another paper</article-title></ref></ref-list></back>
</article>
"""
PUBMED = """<?xml version="1.0"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle//EN" "https://example.org/pubmed.dtd">
<PubmedArticleSet>
<PubmedArticle><MedlineCitation><PMID Version="1">77</PMID><Article>
  <Journal><JournalIssue><PubDate><MedlineDate>1998 Dec-1999 Jan</MedlineDate></PubDate></JournalIssue>
  <Title>Annals</Title></Journal><ArticleTitle>Does salt matter?</ArticleTitle>
  <ELocationID EIdType="pii">x</ELocationID>
  <Abstract><AbstractText Label="METHODS">We <i>asked</i>.</AbstractText>
  <AbstractText Label="UNLABELLED">It did.</AbstractText><AbstractText>Really.</AbstractText></Abstract>
  <AuthorList><Author><LastName>Roe</LastName><ForeName>Jane A</ForeName></Author>
  <Author><CollectiveName>A Group</CollectiveName></Author></AuthorList></Article></MedlineCitation>
 <PubmedData><ReferenceList><Reference>
  <ArticleIdList><ArticleId IdType="doi">10.9/other</ArticleId></ArticleIdList></Reference></ReferenceList>
  <ArticleIdList><ArticleId IdType="doi">10.5/own</ArticleId></ArticleIdList></PubmedData>
</PubmedArticle>
<PubmedArticle><MedlineCitation><PMID>78</PMID><Article><ArticleTitle>No abstract</ArticleTitle></Article>
</MedlineCitation></PubmedArticle>
</PubmedArticleSet>
"""


def outcomes(path: Path, content: str | bytes) -> list[Any]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_papers(path))


def skipped(found: list[Any]) -> Skipped:
    """The one outcome, which must be no paper."""
    (only,) = found
    assert isinstance(only, Skipped)
    return only


# ---------------------------------------------------------------- formats


def test_jats(tmp_path: Path) -> None:
    ((number, paper),) = outcomes(tmp_path / "a.nxml", JATS)
    assert number == 1
    assert paper == Paper(
        title="Salt and pressure",
        abstract=("Background: Cells at 10^9/L were counted. Results: CO2 fell (p<0.05) by α = 0.1. More."),
        sections=(
            Section("", "Before any section."),
            Section("Methods", "We measured."),
            Section("Methods / Participants", "212 adults took part. first second"),
            Section("Results", "It fell."),
        ),
        pmid="123",
        doi="10.1/abc",
        year=2020,
        journal="Journal of Salt",
        authors=("Marie Curie", "The Salt Group"),
    )


def test_prefixes_change_nothing(tmp_path: Path) -> None:
    plain = (
        "<article><front><article-meta><abstract><p>It fell.</p></abstract></article-meta></front></article>"
    )
    prefixed = plain.replace("</", "<!/").replace("<", "<j:").replace("<j:!/", "</j:")
    other = prefixed.replace("<j:article>", '<j:article xmlns:j="http://example.org/jats">', 1)
    papers = [outcomes(tmp_path / f"{i}.xml", text) for i, text in enumerate((plain, other))]
    assert papers[0] == papers[1] == [(1, Paper(abstract="It fell."))]


def test_pubmed(tmp_path: Path) -> None:
    (_, paper), rest = outcomes(tmp_path / "a.xml.gz", gzip.compress(PUBMED.encode()))
    assert paper == Paper(
        title="Does salt matter?",
        abstract="METHODS: We asked. It did. Really.",
        sections=(Section("METHODS", "We asked."),),
        pmid="77",
        doi="10.5/own",
        year=1998,
        journal="Annals",
        authors=("Jane A Roe", "A Group"),
    )
    assert rest == Skipped(2, "no text", "neither an abstract nor a body")


@pytest.mark.parametrize(
    ("text", "title", "abstract"),
    [
        ("A title\n\nIt fell.\nBy 5.", "A title", "It fell. By 5."),
        ("\ufeffA title\r\n\r\nIt fell.", "A title", "It fell."),
        ("It fell.\nBy 5.", "", "It fell. By 5."),
        ("Only this.", "", "Only this."),
        ("x" * 301 + "\n\nIt fell.", "", "x" * 301 + " It fell."),
    ],
)
def test_text(tmp_path: Path, text: str, title: str, abstract: str) -> None:
    assert outcomes(tmp_path / "a.TXT", text) == [(1, Paper(title=title, abstract=abstract))]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {
                "Title": "T",
                "Abstract": "A  b",
                "PMID": 12,
                "DOI": "https://doi.org/10.1/x",
                "Year": "2019-03",
            },
            Paper("T", "A b", pmid="12", doi="10.1/x", year=2019),
        ),
        (
            {
                "metadata": {"title": "T", "authors": [{"first": "Ada", "last": "Lovelace"}]},
                "abstract": [{"text": "It fell.", "section": "Results"}],
                "body_text": [{"section": "Intro", "text": "Once."}, {"text": ""}],
            },
            Paper("T", "Results: It fell.", (Section("Intro", "Once."),), authors=("Ada Lovelace",)),
        ),
        (
            {
                "sections": {"Methods": "We did.", "Results": ["It", "fell."]},
                "journal": "J",
                "date": 20200101,
            },
            Paper(sections=(Section("Methods", "We did."), Section("Results", "It fell.")), journal="J"),
        ),
        (
            {"context": ["One.", "Two."], "authors": "A. Roe; B. Doe", "venue": "V"},
            Paper(abstract="One. Two.", journal="V", authors=("A. Roe", "B. Doe")),
        ),
        (
            {"summary": "S", "authors": ["X", {"name": "Y"}, 3, None]},
            Paper(abstract="S", authors=("X", "Y", "3")),
        ),
    ],
)
def test_json(record: dict[str, Any], expected: Paper) -> None:
    assert paper_from_json(record) == expected


def test_json_files(tmp_path: Path) -> None:
    record = {"title": "T", "abstract": "A"}
    for i, value in enumerate((record, [record], {"papers": [record]})):
        assert outcomes(tmp_path / f"{i}.json", json.dumps(value)) == [(1, Paper("T", "A"))]
    lines = f'{json.dumps(record)}\n\n{{"title": \n[1]\n{{"title": "T"}}\n{json.dumps(record)}'
    found = outcomes(tmp_path / "a.jsonl", lines)
    assert [each if isinstance(each, tuple) else (each.record, each.kind) for each in found] == [
        (1, Paper("T", "A")),
        (2, "broken JSON"),
        (3, "no paper"),
        (4, "no text"),
        (5, Paper("T", "A")),
    ]
    assert skipped(outcomes(tmp_path / "b.json", "[]")).kind == "no paper"
    assert skipped(outcomes(tmp_path / "c.json", "{'a': 1}")).reason.startswith("line 1, column 2")
    assert skipped(outcomes(tmp_path / "d.json", "[" * 200_000)).kind == "broken JSON"


def test_a_text_without_words_is_no_paper() -> None:
    with pytest.raises(NoPaperError, match="neither an abstract nor a body"):
        paper_from_text(" \n\n ")


# ---------------------------------------------------------------- hostile and broken XML

BODY = "<article><front><article-meta><abstract><p>{}</p></abstract></article-meta></front></article>"
LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "lol"}">' for i in range(10))
UNSAFE = {
    "entity bomb": (f"<!DOCTYPE article [{LAUGHS}]>" + BODY.format("&l9;"), "brings its own DTD"),
    "quadratic bomb": (
        f'<!DOCTYPE article [<!ENTITY a "{"x" * 100_000}">]>' + BODY.format("&a;" * 10_000),
        "brings its own DTD",
    ),
    "external entity": (
        '<!DOCTYPE article [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + BODY.format("&x;"),
        "brings its own DTD",
    ),
    "parameter entity": (
        '<!DOCTYPE article [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x.dtd"> %x;]>' + BODY.format("x"),
        "brings its own DTD",
    ),
    "attribute defaults": (
        f'<!DOCTYPE article [<!ATTLIST p a CDATA "{"x" * 100_000}">]>' + BODY.format("<p/>" * 1000),
        "brings its own DTD",
    ),
    "deep nesting": (BODY.format("<a>" * 100_000), "nested more than 200 deep"),
}


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_xml(tmp_path: Path, name: str) -> None:
    text, reason = UNSAFE[name]
    found = skipped(outcomes(tmp_path / "a.xml", text))
    assert (found.kind, found.record) == ("unsafe XML", None)
    assert reason in found.reason


def test_a_dtd_that_is_named_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x.dtd").write_text('<!ENTITY secret "leaked"> <!ATTLIST p a CDATA "b">')
    head = f'<!DOCTYPE article SYSTEM "{(tmp_path / "x.dtd").as_uri()}">'
    assert outcomes(tmp_path / "a.xml", head + BODY.format("1 &lt; 2 &beta;")) == [
        (1, Paper(abstract="1 < 2 β"))
    ]
    found = skipped(outcomes(tmp_path / "b.xml", head + BODY.format("&secret;")))
    assert (found.kind, found.reason) == ("broken XML", "'&secret;' has no meaning without its DTD")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no element found"),
        (b"<article>", "no element found"),
        (b"<article></paper>", "mismatched tag"),
        (BODY.format("&alpha;").encode(), "undefined entity"),
        (BODY.format("caf\xe9").encode("latin-1"), "not well-formed"),
        (b'<?xml version="1.0" encoding="utf-8"?>' + BODY.format("x").encode("utf-16"), "not well-formed"),
        (b'<?xml version="1.0" encoding="no-such"?>' + BODY.format("x").encode(), "encoding"),
        (b'<?xml version="1.0" encoding="gb2312"?>' + BODY.format("x").encode(), "encoding"),
        (b"%PDF-1.7 \x00\x01", "not well-formed"),
    ],
)
def test_broken_xml(tmp_path: Path, content: bytes, reason: str) -> None:
    found = skipped(outcomes(tmp_path / "a.xml", content))
    assert found.kind == "broken XML"
    assert reason in found.reason
    assert "\n" not in found.reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_encodings_that_are_declared(tmp_path: Path, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?>' + BODY.format("café")
    assert outcomes(tmp_path / "a.xml", text.encode(encoding)) == [(1, Paper(abstract="café"))]


def test_what_comes_before_the_damage_is_taken(tmp_path: Path) -> None:
    found = outcomes(tmp_path / "a.xml", "<set>" + BODY.format("One.") * 3 + "<article></set>")
    assert [each[1].abstract for each in found[:-1]] == ["One."] * 3
    assert found[-1].kind == "broken XML"
    assert found[-1].reason.endswith("(what came before it was taken)")


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (safe_xml, reading):
        monkeypatch.setattr(module, "MAX_RECORD_CHARACTERS", 100_000)
    long = "x" * 100_001
    contents = {
        "a.xml": BODY.format(long),
        "b.xml": BODY.format("<b/>" * 2000),
        "c.xml": f'<article a="{long * 2}"/>',
        "d.xml": f"<article><!--{long * 2}--></article>",
        "e.txt": long,
        "f.json": json.dumps({"abstract": long}),
        "g.jsonl": json.dumps({"abstract": long}),
    }
    for name, text in contents.items():
        assert skipped(outcomes(tmp_path / name, text)).kind == "too large", name
    small = "<set>" + BODY.format("x" * 90_000) * 4 + "</set>"
    assert len(outcomes(tmp_path / "h.xml", small)) == 4
    monkeypatch.setattr(safe_xml, "MAX_FILE_BYTES", 200_000)
    bomb = gzip.compress(b"<set>" + b" " * 10_000_000 + b"</set>")
    found = skipped(outcomes(tmp_path / "i.xml.gz", bomb))
    assert (found.kind, found.reason) == ("too large", "more than 200,000 bytes")


def test_records_are_read_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<set>" + BODY.format("One.") * 5000 + "<article>")
    papers = read_papers(path)
    first = next(papers)
    assert isinstance(first, tuple)
    assert first[1].abstract == "One."
    assert len([each for each in papers if isinstance(each, tuple)]) == 4999


# ---------------------------------------------------------------- the folder


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
    columns = "title abstract sections pmid doi year journal authors file record".split()
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
        "no text": 1, "broken JSON": 1, "another format": 1, "no paper": 1, "unreadable": 1, "a link": 2,
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
        ("sub/e.pdf", ""): "another format",
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
    with pytest.raises(DataError, match="is no folder: give one with papers"):
        prepare(folder / "a.xml", output, overwrite=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no paper that can be read: it is empty"):
        prepare(tmp_path / "empty", output, overwrite=True)
    (tmp_path / "empty" / "a.pdf").write_bytes(b"")
    errors = tmp_path / "errors.csv"
    with pytest.raises(DataError, match="holds no paper that can be read: 1 another format"):
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
    assert "papers   4 of 9 files" in out
    assert "  1 broken JSON\n    sub/d.jsonl, record 2: line 1, column 1" in out
    assert main(["prepare", str(folder), "--output", str(output)]) == 2
    assert capsys.readouterr().err == f"error: {output} exists: replace it with --overwrite\n"
