"""What is taken of each format of papers, and what hostile or broken files come to."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers import reading, safe_xml
from qa_extractive.papers.json_records import paper_from_json
from qa_extractive.papers.plain import paper_from_text
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import NoPaperError, Paper, Section

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
        (b"\x89PNG \x00\x01", "not well-formed"),
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
