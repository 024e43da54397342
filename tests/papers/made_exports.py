"""Made-up records in the look of the exports of sites and tools, with the faults that real ones have."""

from __future__ import annotations

import csv
import html
import io
import json
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.papers.made_records import Record

Lines = Iterable[str]
_LINE = "\n  "


def wrapped(text: str, first: str, rest: str = "      ", width: int = 60) -> list[str]:
    """A text over lines, the later ones indented."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    return [first + lines[0], *(rest + line for line in lines[1:])]


def text(lines: Lines, end: str = "\n", encoding: str = "utf-8") -> bytes:
    """The bytes of lines, each with its end."""
    return "".join(line + end for line in lines).encode(encoding)


# ---------------------------------------------------------------- tags before lines


def ris(records: list[Record]) -> bytes:
    """With a mark, line ends of Windows, the abstract over lines and again in N2, some ends missing."""
    lines = []
    for r in records:
        lines += ["TY  - JOUR", f"T{'I1'[r.number % 2]}  - {r.title}"]
        lines += [f"AU  - {name}" for name in r.authors]
        if r.paragraphs:
            lines += [f"AB  - {r.paragraphs[0]}", *r.paragraphs[1:]]
            lines += [f"N2  - {r.abstract}"] if r.number % 4 == 0 else []
        elif r.number % 20 == 3:
            lines += ["AB  - [No abstract available]"]
        lines += [f"PY  - {r.year}/05/01/"] if r.year else []
        lines += [f"DO  - https://doi.org/{r.doi}"] if r.doi else []
        lines += ["KW  - moss", "KW  - roofs"] + ([] if r.number % 9 == 0 else ["ER  - ", ""])
    return text(lines, "\r\n", "utf-8-sig")


def medline(records: list[Record]) -> bytes:
    """With lines gone on over, ids of two kinds, an own line before the first tag of some."""
    lines = [""]
    for r in records:
        lines += [f"PMC - PMC{r.number}"] if r.number % 8 == 0 else []
        lines += [f"PMID- {90000000 + r.number}", "OWN - NLM"]
        lines += [f"DP  - {r.year} May"] if r.year else []
        lines += wrapped(r.title, "TI  - ")
        lines += [f"LID - S{r.number} [pii]"] + ([f"LID - {r.doi} [doi]"] if r.doi else [])
        lines += wrapped(r.abstract, "AB  - ") if r.paragraphs else []
        lines += [f"FAU - {name}" for name in r.authors]
        lines += ["SO  - Roofs. 1999;1(1):1-2.", ""]
    return text(lines)


def web_of_science(records: list[Record]) -> bytes:
    """With a head, an end, and names one a line."""
    lines = ["FN Clarivate Analytics Web of Science", "VR 1.0"]
    for r in records:
        lines += ["PT J", *wrapped("\n".join(r.authors), "AU ", "   ")] if r.authors else ["PT J"]
        lines += wrapped(r.title, "TI ", "   ")
        lines += wrapped(r.abstract, "AB ", "   ") if r.paragraphs else []
        lines += [f"PY {r.year}"] if r.year else []
        lines += [f"DI {r.doi}"] if r.doi else []
        lines += ["ER", ""]
    return text([*lines, "EF"], "\r\n", "utf-8-sig")


def web_of_science_tabs(records: list[Record]) -> bytes:
    """In UTF-16, with a column too many at the end and quotes that part nothing."""
    rows = [["PT", "AU", "TI", "SO", "AB", "PY", "DI", ""]]
    rows += [
        ["J", "; ".join(r.authors), r.title, "ROOFS", r.abstract, str(r.year or ""), r.doi or "", ""]
        for r in records
    ]
    return text(("\t".join(row) for row in rows), "\r\n", "utf-16")


def endnote(records: list[Record]) -> bytes:
    """With empty lines inside the abstract."""
    lines = []
    for r in records:
        lines += ["%0 Journal Article", f"%T {r.title}", *(f"%A {name}" for name in r.authors)]
        lines += [f"%D {r.year}"] if r.year else []
        lines += ["%X " + "\n\n".join(r.paragraphs)] if r.paragraphs else []
        lines += [f"%R {r.doi}"] if r.doi else []
        lines += ["%K moss", ""]
    return text(lines, "\r\n")


def cochrane(records: list[Record]) -> bytes:
    """With a count over each record."""
    lines = []
    for r in records:
        lines += [f"Record #{r.number} of {len(records)}", f"ID: CN-{r.number:08d}"]
        lines += [f"AU: {name}" for name in r.authors] + [f"TI: {r.title}", "SO: Roofs"]
        lines += [f"YR: {r.year}"] if r.year else []
        lines += [f"DOI: {r.doi}"] if r.doi else []
        lines += [f"AB: {r.abstract}"] if r.paragraphs else []
        lines += [f"US: https://example.org/{r.number}", "", ""]
    return text(lines)


def pubmed_abstracts(records: list[Record]) -> bytes:
    """PubMed's text with a number before each record."""
    lines = []
    for r in records:
        lines += [f"{r.number}. Roofs. {r.year or ''} May;1(1):1-2.", "", *wrapped(r.title, "", ""), ""]
        lines += [", ".join(f"{name.split(',')[0]} A" for name in r.authors) + ".", ""] if r.authors else []
        for paragraph in r.paragraphs:
            lines += [*wrapped(paragraph, "", ""), ""]
        lines += [f"DOI: {r.doi}"] if r.doi else []
        lines += [f"PMID: {90000000 + r.number}", "", ""]
    return text(lines)


def bibtex(records: list[Record]) -> bytes:
    """With lines before the first entry, keys that come twice, repeated fields, macros, and LaTeX of some."""
    lines = ["Scopus", "EXPORT DATE: 01 May 2020", "", '@string{rt = "Roofs " # "Today"}', "@comment{x: y;}"]
    for r in records:
        tex = _latex if r.number % 2 else _braced
        fields = [f"title = {{{{{tex(r.title)}}}}}", "journal = rt", "keywords = {a}", "keywords = {b}"]
        fields += [f"author = {{{' and '.join(map(tex, r.authors))}}}"] if r.authors else []
        fields += [f"abstract = {{{tex(_LINE.join(r.paragraphs))}}}"] if r.paragraphs else []
        fields += [f"{'year' if r.number % 2 else 'DATE'} = {{{r.year}}}"] if r.year else []
        fields += [f"doi = {{{r.doi}}}"] if r.doi else []
        lines += [f"@article{{key{r.number // 2},", *(f"  {field}," for field in fields), "}", ""]
    return text(lines, "\r\n", "utf-8-sig")


def _braced(plain: str) -> str:
    return plain


def _latex(plain: str) -> str:
    for character, command in {
        "&": r"{\&}", "%": r"{\%}", "<": r"{\textless}", "ü": r'{\"u}', "Å": r"{\AA}", "ö": r'{\"{o}}',
        "ú": r"\'{u}", "ñ": r"{\~n}", "°": r"{\textdegree}", "µ": "µ", "α": r"$\alpha$", "á": r"\'a",
        "“": "``", "”": "''",
    }.items():  # fmt: skip
        plain = plain.replace(character, command)
    return plain


# ---------------------------------------------------------------- XML and JSON


def pubmed_xml(records: list[Record]) -> bytes:
    """One set."""
    made = []
    for r in records:
        year = f"<Year>{r.year}</Year>" if r.year else "<Season>Spring</Season>"
        doi = f'<ELocationID EIdType="doi">{r.doi}</ELocationID>' if r.doi else ""
        texts = "".join(f"<AbstractText>{html.escape(each)}</AbstractText>" for each in r.paragraphs)
        made.append(
            f"<PubmedArticle><MedlineCitation><PMID>{r.number}</PMID><Article><Journal><JournalIssue>"
            f"<PubDate>{year}</PubDate></JournalIssue><Title>Roofs</Title></Journal>"
            f"<ArticleTitle>{html.escape(r.title)}</ArticleTitle>{doi}"
            f"{f'<Abstract>{texts}</Abstract>' if texts else ''}</Article></MedlineCitation></PubmedArticle>"
        )
    return f"<?xml version='1.0'?><PubmedArticleSet>{''.join(made)}</PubmedArticleSet>".encode()


def _run(tag: str, content: str) -> str:
    half = len(content) // 2
    runs = (content[:half], content[half:])
    style = "".join(f'<style face="normal" font="default" size="100%">{html.escape(r)}</style>' for r in runs)
    return f"<{tag}>{style}</{tag}>"


def endnote_xml(records: list[Record]) -> bytes:
    """All on one line, each text in two runs of style."""
    made = []
    for r in records:
        authors = "".join(_run("author", name) for name in r.authors)
        parts = [f'<ref-type name="Journal Article">17</ref-type>{_run("rec-number", str(r.number))}']
        parts += [f"<contributors><authors>{authors}</authors></contributors>"] if authors else []
        parts += [f"<titles>{_run('title', r.title)}{_run('secondary-title', 'Roofs')}</titles>"]
        parts += [f"<dates>{_run('year', str(r.year))}</dates>"] if r.year else ["<dates/>"]
        parts += [_run("abstract", "\r".join(r.paragraphs)).replace("\r", "&#xD;")] if r.paragraphs else []
        parts += [_run("electronic-resource-num", f"https://doi.org/{r.doi}")] if r.doi else []
        made.append(f"<record>{''.join(parts)}</record>")
    return f'<?xml version="1.0" encoding="UTF-8"?><xml><records>{"".join(made)}</records></xml>'.encode()


def atom(records: list[Record]) -> bytes:
    """As arXiv answers."""
    made = []
    for r in records:
        parts = [f"<title>{html.escape(r.title)}</title>"]
        parts += [f"<published>{r.year}-05-01T00:00:00Z</published>"] if r.year else []
        parts += [f"<summary>\n {html.escape(_LINE.join(r.paragraphs))} </summary>"] if r.paragraphs else []
        parts += [f"<arxiv:doi>{r.doi}</arxiv:doi>"] if r.doi else []
        made.append(f"<entry>{''.join(parts)}</entry>")
    head = '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom">'
    return f"{head}<title>Query</title>{''.join(made)}</feed>".encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _with_content(**values: Any) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in values.items() if value}


def crossref(records: list[Record]) -> bytes:
    """The answer to a query, the abstract in tags of JATS."""
    items = [
        _with_content(
            DOI=r.doi, title=[html.escape(r.title)], container_title=["Roofs"],
            issued={"date-parts": [[r.year, 5]]} if r.year else None,
            abstract=r.abstract and f"<jats:p>{html.escape(r.abstract)}</jats:p>",
        )
        for r in records
    ]  # fmt: skip
    return _json({"status": "ok", "message-type": "work-list", "message": {"items": items}})


def open_alex(records: list[Record]) -> bytes:
    """With abstracts by word."""
    results = []
    for r in records:
        places: dict[str, list[int]] = {}
        for place, word in enumerate(r.abstract.split()):
            places.setdefault(word, []).append(place)
        doi = r.doi and f"https://doi.org/{r.doi}"
        made = {"display_name": r.title, "publication_year": r.year, "doi": doi, "ids": {"doi": doi}}
        results.append(made | {"abstract_inverted_index": places or None})
    return _json({"meta": {"count": len(results)}, "results": results})


def europe_pmc(records: list[Record]) -> bytes:
    """The answer to a search."""
    results = [
        {"title": html.escape(r.title), "pubYear": str(r.year or ""), "doi": r.doi or "", "source": "MED",
         "abstractText": html.escape(r.abstract)}
        for r in records
    ]  # fmt: skip
    return _json({"hitCount": len(results), "resultList": {"result": results}})


def json_lines(records: list[Record]) -> bytes:
    """As Semantic Scholar's, an object a line."""
    lines = (
        json.dumps(
            {"paperId": str(r.number), "title": r.title, "abstract": r.abstract or None, "year": r.year,
             "externalIds": {"DOI": r.doi}}
        )
        for r in records
    )  # fmt: skip
    return text(lines, "\r\n", "utf-8-sig")


# ---------------------------------------------------------------- tables

Cell = str | int | float | None
Row = Callable[[Record], list[Cell]]
COLUMNS: dict[str, tuple[list[str], Row]] = {
    "zotero": (
        ["Key", "Item Type", "Publication Year", "Author", "Title", "Publication Title", "DOI", "Url",
         "Abstract Note", "Date", "Editor"],
        lambda r: [f"K{r.number}", "journalArticle", r.year, "; ".join(r.authors), r.title, "Roofs", r.doi,
                   None, "\n".join(r.paragraphs), r.year and f"{r.year}-05-01", None],
    ),
    "rayyan": (
        ["key", "title", "year", "month", "journal", "volume", "authors", "url", "abstract", "notes", "doi"],
        lambda r: [f"rayyan-{r.number}", r.title, r.year, 5, "Roofs", None, " and ".join(r.authors), "",
                   r.abstract, 'RAYYAN-INCLUSION: {"A"=>"Included"}', r.doi],
    ),
    "covidence": (
        ["Title", "Authors", "Abstract", "Published Year", "Published Month", "Journal", "DOI",
         "Covidence #", "Notes", "Tags"],
        lambda r: [r.title, "; ".join(r.authors), r.abstract, r.year, None, "Roofs", r.doi, f"#{r.number}",
                   "", ""],
    ),
    "scopus": (
        ["Authors", "Author full names", "Author(s) ID", "Title", "Year", "Source title", "Cited by", "DOI",
         "Link", "Abstract", "Document Type"],
        lambda r: ["; ".join(r.authors), "; ".join(f"{name} (57190000000)" for name in r.authors), "1; 2",
                   r.title, r.year, "Roofs", 0, r.doi, "https://example.org",
                   r.abstract or "[No abstract available]", "Article"],
    ),
    "web of science": (
        ["Publication Type", "Authors", "Author Full Names", "Article Title", "Source Title", "Abstract",
         "Publication Year", "DOI", "DOI Link", "Pubmed Id"],
        lambda r: ["J", "; ".join(r.authors), "; ".join(r.authors), r.title, "ROOFS", r.abstract, r.year,
                   r.doi, r.doi and f"http://dx.doi.org/{r.doi}", 90000000 + r.number],
    ),
    "embase": (
        ["Title", "Author names", "Source", "Publication year", "Abstract", "DOI", "Medline PMID",
         "Full text link"],
        lambda r: [r.title, "; ".join(r.authors), "Roofs (2020) 1:1", r.year, r.abstract, r.doi, "", "link"],
    ),
    "dimensions": (
        ["Rank", "Publication ID", "DOI", "PMID", "Title", "Abstract", "Source title", "PubYear", "Authors"],
        lambda r: [r.number, f"pub.{r.number}", r.doi, None, r.title, r.abstract, "Roofs", r.year,
                   "; ".join(r.authors)],
    ),
    "lens": (
        ["Lens ID", "Title", "Date Published", "Publication Year", "Source Title", "Author/s", "Abstract",
         "DOI", "PMID"],
        lambda r: [f"000-{r.number}", r.title, r.year and f"{r.year}-05-01", r.year, "Roofs",
                   "; ".join(r.authors), r.abstract, r.doi, None],
    ),
    "scholar": (
        ["Cites", "Authors", "Title", "Year", "Source", "Publisher", "ArticleURL", "DOI", "Abstract",
         "FullTextURL"],
        lambda r: [3, ", ".join(r.authors), r.title, r.year, "Roofs", "", "https://example.org", r.doi,
                   r.abstract, "https://example.org/x.pdf"],
    ),
    "twice": (
        ["Title", "title", "Abstract", "Abstract", "Year", "DOI", ""],
        lambda r: [r.title, "", "" if r.number % 2 else r.abstract, r.abstract if r.number % 2 else "",
                   r.year, r.doi and f'=HYPERLINK("https://doi.org/{r.doi}")', ""],
    ),
}  # fmt: skip
PUBMED = (
    ["PMID", "Title", "Authors", "Citation", "First Author", "Journal/Book", "Publication Year",
     "Create Date", "PMCID", "NIHMS ID", "DOI"],
    lambda r: [r.number, r.title, "Green A.", "Roofs. 2020.", "Green A", "Roofs", r.year, "2020/05/01", "",
               "", r.doi],
)  # fmt: skip


def rows_of(look: str, records: list[Record]) -> list[list[Cell]]:
    """The header and the rows of a table in a look."""
    names, row = COLUMNS[look]
    return [list(names), *map(row, records)]


def csv_of(
    rows: Sequence[Sequence[Cell]],
    *,
    delimiter: str = ",",
    end: str = "\r\n",
    encoding: str = "utf-8-sig",
    before: str = "",
    quoting: Any = csv.QUOTE_MINIMAL,
) -> bytes:
    """A CSV with three empty rows at its end and lines before its header."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    writer.writerows([[""] * len(rows[0])] * 3)
    return (before + stream.getvalue()).encode(encoding)


def tabs_without_quotes(rows: Sequence[Sequence[Cell]]) -> bytes:
    """Lines of cells with tabs between, in which quotes part nothing."""
    cells = (["" if cell is None else " ".join(str(cell).split()) for cell in row] for row in rows)
    return text(map("\t".join, cells), "\r\n")


def field_rows(records: list[Record]) -> bytes:
    """As Embase writes a CSV of records: a field a row, an empty line between records."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    for r in records:
        writer.writerow(["TITLE", r.title])
        writer.writerow(["AUTHOR NAMES", *r.authors])
        writer.writerows([["ABSTRACT", r.abstract]] if r.paragraphs else [])
        writer.writerows([["PUBLICATION YEAR", r.year]] if r.year else [])
        writer.writerows([["DOI", r.doi]] if r.doi else [])
        writer.writerow([])
    return stream.getvalue().encode("utf-8-sig")


def save_workbook(path: Path, rows: Sequence[Sequence[Cell]]) -> None:
    """Two shown sheets of half the rows each, a title above each header, numbers as fractions, links."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    header, *data = rows
    half = len(data) // 2
    for name, part in (("First", data[:half]), ("Second", data[half:])):
        sheet = book.create_sheet(name)
        sheet.append(["Export of roofs"])
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(header))
        sheet.append([])
        sheet.append(header)
        for row in part:
            sheet.append([float(cell) if isinstance(cell, int) else cell for cell in row])
        for _ in range(3):
            sheet.append(["  "] * len(header))
    book.save(path)
