"""JATS and PubMed XML: no passage is lost, the English text is taken, each record is counted."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.papers import safe_xml
from qa_extractive.papers.prepare import prepare
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import Paper, Section


def outcomes(path: Path, content: str) -> list[Any]:
    path.write_text(content, encoding="utf-8")
    return list(read_papers(path))


def jats(meta: str = "", body: str = "", *, lang: str = "", back: str = "", inside: str = "") -> str:
    """An article."""
    attribute = f' xml:lang="{lang}"' if lang else ""
    return (
        f"<article{attribute}><front><article-meta>{meta}</article-meta></front><body>{body}</body>"
        f"<back>{back}</back>{inside}</article>"
    )


def paper_of(path: Path, article: str) -> Paper:
    ((_, paper),) = outcomes(path / "a.xml", article)
    assert isinstance(paper, Paper)
    return paper


ENGLISH = "The moss on the roofs was found to hold 3.2 l of water."
SPANISH = "El musgo de los tejados retiene 3,2 l de agua en cada uno de ellos."
TITLES = (
    "<title-group><article-title>Musgo</article-title><subtitle>Un estudio</subtitle>"
    '<trans-title-group xml:lang="en"><trans-title>Moss</trans-title></trans-title-group></title-group>'
)

# ---------------------------------------------------------------- passages


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            "<def-list><def-item><term>Moss</term><def><p>held 3 l</p></def></def-item></def-list>",
            "Moss held 3 l",
        ),
        ("<statement><label>Lemma 1</label><p>It holds.</p></statement><p>So.</p>", "Lemma 1 It holds. So."),
        ("Moss held <bold>3</bold> l.<p>So.</p>", "Moss held 3 l. So."),
        ("<list><list-item><label>1</label><p>One</p></list-item></list>", "1 One"),
        ("<boxed-text><sec><title>Box</title><p>One</p></sec></boxed-text>", "Box One"),
        ("<disp-quote><p>One</p><attrib>Roe</attrib></disp-quote>", "One Roe"),
        ("<verse-group><verse-line>One</verse-line><verse-line>two</verse-line></verse-group>", "One two"),
        ("<preformat>One</preformat><code>two</code>", "One two"),
        ("<speech><speaker>Roe</speaker><p>One</p></speech>", "Roe One"),
        ("<disp-formula-group><disp-formula>x=1</disp-formula></disp-formula-group>", "x=1"),
        ("<p>One <list><list-item><p>two</p></list-item></list> three</p>", "One two three"),
        ("<unknown-wrapper><p>One</p></unknown-wrapper>", "One"),
        (
            "<question-wrap><question><p>One?</p></question><answer><p>two</p></answer></question-wrap>",
            "One? two",
        ),
        (
            "<p>One</p><fig><caption><p>no</p></caption></fig><table-wrap><p>no</p></table-wrap><fn><p>no</p></fn>",
            "One",
        ),
    ],
)
def test_no_passage_is_lost(tmp_path: Path, content: str, text: str) -> None:
    assert paper_of(tmp_path, jats(f"<abstract>{content}</abstract>")).abstract == text
    assert paper_of(tmp_path, jats(body=f"<sec><title>T</title>{content}</sec>")).sections == (
        Section("T", text),
    )


def test_titles_stand_over_what_follows(tmp_path: Path) -> None:
    body = (
        "<p>First.</p><sec><title>A</title><p>One.</p><sec><label>1.1</label><p>Two.</p></sec><p>Three.</p></sec>"
        "<sec><p>Four.</p></sec><sec><title>Trial NCT1</title></sec>"
        "<sec><title>Figures</title><fig><label>1</label></fig></sec>"
    )
    back = (
        "<ack><title>Thanks</title><p>To Roe.</p></ack>"
        "<app-group><app><title>Appendix</title><p>Five.</p></app></app-group><ref-list><ref><mixed-citation>Roe</mixed-citation></ref></ref-list>"
    )
    assert paper_of(tmp_path, jats(body=body, back=back)).sections == (
        Section("", "First."),
        Section("A", "One."),
        Section("A / 1.1", "Two."),
        Section("A", "Three."),
        Section("", "Four."),
        Section("", "Trial NCT1"),
        Section("Thanks", "To Roe."),
        Section("Appendix", "Five."),
    )


def test_titles_in_an_abstract(tmp_path: Path) -> None:
    abstract = (
        "<abstract><title>Abstract</title><p>One.</p><title>Aim</title><p>Two.</p><p>Three.</p></abstract>"
    )
    assert paper_of(tmp_path, jats(abstract)).abstract == "One. Aim: Two. Three."
    halves = "<abstract><p>One.</p></abstract><abstract><p>Two.</p></abstract>"
    assert paper_of(tmp_path, jats(halves)).abstract == "One. Two."


@pytest.mark.parametrize("kind", ["structured", "structured-abstract", "Abstract", "full", "section", "asm"])
def test_kinds_of_abstracts(tmp_path: Path, kind: str) -> None:
    own = f'<abstract abstract-type="{kind}"><p>{ENGLISH}</p></abstract>'
    for other in ("graphical", "plain-language-summary", "key-points", "author-highlights", "teaser", "toc"):
        beside = f'<abstract abstract-type="{other}"><p>Another.</p></abstract>'
        assert paper_of(tmp_path, jats(beside + own)).abstract == ENGLISH
    titled = "<abstract><title>Graphical abstract</title><p>Another.</p></abstract>"
    assert paper_of(tmp_path, jats(titled + own)).abstract == ENGLISH


def test_another_abstract_is_none(tmp_path: Path) -> None:
    other = '<abstract abstract-type="plain-language-summary"><p>Another.</p></abstract>'
    reason = "no body, and no abstract but of the kind plain-language-summary"
    assert outcomes(tmp_path / "a.xml", jats(other)) == [Skipped(1, "no text", reason)]


# ---------------------------------------------------------------- languages


def abstract(text: str, code: str = "", tag: str = "abstract") -> str:
    """An abstract, perhaps with its language."""
    attribute = f' xml:lang="{code}"' if code else ""
    return f"<{tag}{attribute}><p>{text}</p></{tag}>"


@pytest.mark.parametrize(
    ("meta", "lang"),
    [
        (abstract(SPANISH, "es") + abstract(ENGLISH, "en"), ""),
        (abstract(ENGLISH, "en-GB") + abstract(SPANISH, "es"), "en"),
        (abstract(SPANISH) + abstract(ENGLISH, "en", "trans-abstract"), "es"),
        (abstract(SPANISH) + abstract(ENGLISH, "eng", "trans-abstract"), ""),
        (abstract(ENGLISH) + abstract(SPANISH, "es", "trans-abstract"), ""),
        (abstract(SPANISH) + abstract(ENGLISH, "", "trans-abstract"), "es"),
        (abstract(SPANISH, "es", "trans-abstract") + abstract(ENGLISH, "en", "trans-abstract"), "pt"),
    ],
)
def test_the_english_abstract_is_taken(tmp_path: Path, meta: str, lang: str) -> None:
    assert paper_of(tmp_path, jats(meta, lang=lang)).abstract == ENGLISH


def test_of_two_languages_in_one_abstract_english_is_taken(tmp_path: Path) -> None:
    spanish = "El musgo de los tejados retiene el agua de la lluvia y la casa es fresca."
    english = "The moss of the roofs holds the water of the rain and the house is cool."
    two = f"<abstract><p>{spanish}</p><p>{english}</p></abstract>"
    assert paper_of(tmp_path, jats(two, lang="es")).abstract == english
    parts = "".join(f"<sec><title>Part</title><p>{text}</p></sec>" for text in (spanish, english))
    assert paper_of(tmp_path, jats(f"<abstract>{parts}</abstract>")).abstract == f"Part: {english}"


def test_the_english_title(tmp_path: Path) -> None:
    spanish = f"<abstract><p>{SPANISH}</p></abstract>"
    english = f'<trans-abstract xml:lang="en"><p>{ENGLISH}</p></trans-abstract>'
    assert paper_of(tmp_path, jats(TITLES + spanish, lang="es")).title == "Moss"
    assert paper_of(tmp_path, jats(TITLES + spanish + english)).title == "Moss"
    assert paper_of(tmp_path, jats(TITLES + spanish)).title == "Musgo: Un estudio"
    stand_in = TITLES.replace("Musgo", "[Not Available].").replace("<subtitle>Un estudio</subtitle>", "")
    assert paper_of(tmp_path, jats(stand_in + spanish)).title == "Moss"


def test_what_is_not_english_is_taken_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.txt").write_text(SPANISH * 3)
    (folder / "b.txt").write_text(ENGLISH * 3)
    (folder / "c.txt").write_text("屋顶上的苔藓可以储存大量的雨水，每平方米约有三升。" * 3, encoding="utf-8")
    done = prepare(folder, tmp_path / "t.csv")
    assert done.n_papers == 3
    assert [where for where, _ in done.foreign.first] == ["a.txt, record 1", "c.txt, record 1"]


def test_articles_in_an_article(tmp_path: Path) -> None:
    part = (
        '<sub-article article-type="{}" xml:lang="{}"><front-stub>{}</front-stub><body><p>{}</p></body>'
        "</sub-article>"
    )
    title = "<title-group><article-title>Moss</article-title></title-group>"
    translation = part.format("translation", "en", title, ENGLISH)
    letter = part.format("decision-letter", "en", "", "We decide.")
    poster = part.format("abstract", "en", title, "A poster.")
    meta = '<article-id pub-id-type="doi">10.9999/moss.1</article-id><pub-date><year>2019</year></pub-date>'
    article = jats(meta, SPANISH, lang="es", inside=translation + letter + poster)
    found = outcomes(tmp_path / "a.xml", article)
    assert found == [
        (1, Paper("Moss", "", (Section("", ENGLISH),), doi="10.9999/moss.1", year=2019)),
        Skipped(2, "no paper", "of the kind decision-letter: what was written about the paper before it"),
        (3, Paper("Moss", "", (Section("", "A poster."),), year=2019)),
    ]
    (_, first), second = outcomes(tmp_path / "a.xml", jats(meta, ENGLISH, lang="en", inside=translation))
    assert first.sections == (Section("", ENGLISH),)
    assert (second.record, second.kind) == (2, "a translation")


# ---------------------------------------------------------------- PubMed


def pubmed(article: str, citation: str = "") -> str:
    """A record."""
    own = f"<PMID>7</PMID><Article>{article}</Article>"
    return f"<PubmedArticle><MedlineCitation>{own}{citation}</MedlineCitation></PubmedArticle>"


BOOK = (
    "<PubmedBookArticle><BookDocument><PMID>8</PMID>"
    "<ArticleIdList><ArticleId IdType='doi'>10.9999/b</ArticleId></ArticleIdList>"
    "<Book><BookTitle>Roofs</BookTitle><PubDate><Year>2019</Year></PubDate>"
    "<AuthorList Type='editors'><Author><LastName>Roe</LastName></Author></AuthorList></Book>"
    "<ArticleTitle>{}</ArticleTitle><AuthorList Type='authors'>"
    "<Author><LastName>Green</LastName><ForeName>Anne</ForeName></Author></AuthorList>"
    "<Abstract><AbstractText Label='KEY'>Moss held 10<sup>3</sup> l.</AbstractText></Abstract>"
    "</BookDocument></PubmedBookArticle>"
)


def test_each_record_of_a_set_is_counted(tmp_path: Path) -> None:
    article = pubmed(
        "<ArticleTitle>T</ArticleTitle><Abstract><AbstractText>It fell.</AbstractText></Abstract>"
    )
    deleted = "<DeleteCitation><PMID>9</PMID></DeleteCitation>"
    chapter, book = BOOK.format("Moss"), BOOK.replace("<ArticleTitle>{}</ArticleTitle>", "")
    content = f"<PubmedArticleSet>{article}{chapter}<PubmedData/>{book}{deleted}{article}</PubmedArticleSet>"
    found = outcomes(tmp_path / "a.xml", content)
    parts = (Section("KEY", "Moss held 10^3 l."),)
    made = Paper("Moss", "KEY: Moss held 10^3 l.", parts, "8", "10.9999/b", 2019, "Roofs", ("Anne Green",))
    assert [each[0] if isinstance(each, tuple) else each.record for each in found] == [1, 2, 3, 4, 5, 6]
    assert found[1] == (2, made)
    assert (found[3][1].title, found[3][1].abstract) == ("Roofs", made.abstract)
    assert found[2] == Skipped(3, "another record", "a <PubmedData>, which is no paper")
    assert found[4] == Skipped(5, "another record", "a <DeleteCitation>, which is no paper")
    assert found[0] == (1, Paper("T", "It fell.", pmid="7"))
    assert found[5] == (6, Paper("T", "It fell.", pmid="7"))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("<ArticleTitle>[Not Available].</ArticleTitle><VernacularTitle>Musgo.</VernacularTitle>", "Musgo."),
        ("<ArticleTitle>[Not Available].</ArticleTitle>", ""),
        ("<ArticleTitle>[In Process Citation]</ArticleTitle>", ""),
        ("<ArticleTitle/><VernacularTitle>Musgo.</VernacularTitle>", "Musgo."),
        ("<ArticleTitle>No title available.</ArticleTitle>", ""),
        ("<ArticleTitle>Moss is not available.</ArticleTitle>", "Moss is not available."),
        ("<ArticleTitle>Untitled moss.</ArticleTitle>", "Untitled moss."),
    ],
)  # fmt: skip
def test_titles_that_are_none(tmp_path: Path, title: str, expected: str) -> None:
    article = pubmed(f"{title}<Abstract><AbstractText>It fell.</AbstractText></Abstract>")
    assert paper_of(tmp_path, article).title == expected


OTHER = '<OtherAbstract Type="{}" Language="{}"><AbstractText>{}</AbstractText></OtherAbstract>'


@pytest.mark.parametrize(
    ("article", "citation", "abstract"),
    [
        (ENGLISH, OTHER.format("Publisher", "spa", SPANISH), ENGLISH),
        ("", OTHER.format("Publisher", "spa", SPANISH) + OTHER.format("Publisher", "eng", ENGLISH), ENGLISH),
        ("", OTHER.format("Publisher", "spa", SPANISH), SPANISH),
        (
            "",
            OTHER.format("plain-language-summary", "eng", "No.") + OTHER.format("Publisher", "eng", ENGLISH),
            ENGLISH,
        ),
        ("No abstract available.", OTHER.format("Publisher", "eng", ENGLISH), ENGLISH),
    ],
)
def test_other_abstracts(tmp_path: Path, article: str, citation: str, abstract: str) -> None:
    own = f"<Abstract><AbstractText>{article}</AbstractText></Abstract>" if article else ""
    assert paper_of(tmp_path, pubmed(f"<ArticleTitle>T</ArticleTitle>{own}", citation)).abstract == abstract


def test_xml_of_another_kind_is_named(tmp_path: Path) -> None:
    (only,) = outcomes(tmp_path / "a.xml", "<?xml version='1.0'?><!-- x --><TEI><text>It fell.</text></TEI>")
    assert (only.kind, only.reason) == (
        "no paper",
        "nothing in it is a paper (its outermost element is <TEI>)",
    )


# ---------------------------------------------------------------- hostile files

GOOD = jats("<abstract><p>It fell.</p></abstract>")


@pytest.mark.parametrize(
    "body",
    [
        f"<sec><title>{'h' * 100_000}</title>{'<sec><title>x</title><p>y</p></sec>' * 100}</sec>",
        "".join(f"<sec><title>{'h' * 1000}</title>" for _ in range(150))
        + "<p>y</p><sec/>" * 100
        + "</sec>" * 150,
    ],
)
def test_a_heading_bomb_is_skipped(tmp_path: Path, body: str) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "a.xml.gz").write_bytes(gzip.compress(f"<set>{GOOD}{jats(body=body)}{GOOD}</set>".encode()))
    (folder / "b.xml").write_text(GOOD)
    done = prepare(folder, tmp_path / "t.csv")
    assert done.n_papers == 3
    where, reason = done.skipped["too large"].first[0]
    assert where == "a.xml.gz, record 2"
    assert reason == "headings of more than 5,000,000 characters"
    assert (tmp_path / "t.csv").stat().st_size < 1000


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (
            "<set>" + "".join(f"<n{i}/>" for i in range(10_001)),
            "unsafe XML",
            "more than 10,000 different names",
        ),
        (
            "<set>" + "".join(f"<n a{i}=''/>" for i in range(10_001)),
            "unsafe XML",
            "more than 10,000 different names",
        ),
        (f"<set><{'n' * 1001}/>", "unsafe XML", "a name of more than 1,000 characters"),
        (f"<set {'n' * 1001}=''>", "unsafe XML", "a name of more than 1,000 characters"),
        (f"<article a='{'x' * 2_000_000}'/>", "too large", "a tag or comment of more than 1,048,576 bytes"),
        (
            f"<set><!--{'x' * 2_000_000}--></set>",
            "too large",
            "a tag or comment of more than 1,048,576 bytes",
        ),
    ],
)
def test_names_and_tags_without_end(tmp_path: Path, content: str, kind: str, reason: str) -> None:
    *papers, last = outcomes(tmp_path / "a.xml", content.replace("<set>", f"<set>{GOOD}", 1))
    assert len(papers) == content.startswith("<set>")
    assert last.kind == kind
    assert reason in last.reason


def test_one_tag_is_not_read_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fed = []

    class Reader(safe_xml._Reader):
        def feed(self, chunk: bytes) -> Any:
            fed.append(len(chunk))
            return super().feed(chunk)

    monkeypatch.setattr(safe_xml, "_Reader", Reader)
    path = tmp_path / "a.xml.gz"
    path.write_bytes(gzip.compress(b"<article a='" + b"x" * 20_000_000 + b"'/>"))
    (only,) = read_papers(path)
    assert isinstance(only, Skipped)
    assert only.kind == "too large"
    assert sum(fed) < 2 * safe_xml.MAX_TAG_BYTES


@pytest.mark.parametrize("tag", ["msup", "mfrac", "mroot", "mrow", "sup", "sec", "alternatives", "list"])
def test_what_is_nested_deep_does_no_harm(tmp_path: Path, tag: str) -> None:
    deep = f"<p><math>{f'<{tag}>' * 180}<mi>x</mi>{f'</{tag}>' * 180}</math></p>"
    first, second = outcomes(tmp_path / "a.xml", f"<set>{jats(body=deep)}{GOOD}</set>")
    assert isinstance(first, tuple) or (first.record, first.kind) == (1, "unsafe XML")
    assert second == (2, Paper(abstract="It fell."))
