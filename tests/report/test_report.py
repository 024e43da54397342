"""The report: its files, what it says of odd data, and that nothing from data can break out of it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.errors import DataError, ModelError, QAError
from qa_extractive.evaluation.baselines import Abstaining, FirstSentence
from qa_extractive.evaluation.circumstances import Circumstances
from qa_extractive.evaluation.figures import Footprint, Reliability
from qa_extractive.evaluation.lengths import count_tokens
from qa_extractive.evaluation.measure import Measured, Settings, measure
from qa_extractive.evaluation.rows import ScoredRow
from qa_extractive.evaluation.run import Batch, Results, run_system
from qa_extractive.evaluation.statuses import status_counts
from qa_extractive.evaluation.usage import Prices, Usage
from qa_extractive.report import plots, writing
from qa_extractive.report.blocks import Bullets, Paragraph, Plot, Section, Table, plain
from qa_extractive.report.cells import decimal, megabytes, number, percent, points, signed
from qa_extractive.report.content import Report, report_blocks
from qa_extractive.report.html import html
from qa_extractive.report.markdown import escaped, markdown
from qa_extractive.report.predictions import COLUMNS, prediction_names, write_predictions
from qa_extractive.tables.reading import read_rows
from qa_extractive.types import Answer, Example, Question, Span

CONTEXT = "Aspirin halved the risk. It was safe in adults."
EVIL = "<script>alert(1)</script> | `x` ](http://e.vil) \u202e\x07\n# \ud800" + "y" * 1000


@dataclass(frozen=True)
class Fake:
    """Answers with "safe", as surely as the number that the question is; or fails."""

    name: str = "fake"
    fails: bool = False
    n_threads: int = 2
    usage: Any = field(default=None)

    def answer_batch(self, questions: Sequence[Question]) -> list[Answer]:
        if self.fails:
            raise ModelError(f"no: {EVIL}")
        start = CONTEXT.index("safe")
        span = Span.cut(CONTEXT, start, start + 4, 0.5)
        sure = [(i * 7 % 10) / 10 for i in range(len(questions))]
        return [Answer("safe", start, start + 4, s, s, False, None, (span,)) for s in sure]


def asks(n: int, *, known: bool = True, share: int = 2, question: str = "What is it?") -> list[Example]:
    """Rows of which every so many-th has an answer."""
    return [
        Example(
            f"q{i}",
            Question(question, CONTEXT),
            ("safe",) if known and i % share == 0 else (),
            answerable=i % share == 0 if known else None,
            document=f"d{i}",
            fields={"year": 2000 + i % 3},
        )
        for i in range(n)
    ]


def measured(
    systems: Sequence[Any], examples: Sequence[Example], settings: Settings, name: str = "data.csv"
) -> tuple[Measured, list[Results]]:
    tokens = count_tokens(examples)
    results = [run_system(system, examples, n_tokens=tokens) for system in systems]
    timed = [
        replace(own, batches=tuple(Batch(b.n_rows, 0.5 + i, b.n_tokens) for b in own.batches))
        for i, own in enumerate(results)
    ]
    return measure(name, timed, tokens, settings), timed


def reported(
    systems: Sequence[Any], examples: Sequence[Example], settings: Settings | None = None, **more: Any
) -> Report:
    chosen = settings or Settings(n_bootstrap=20, columns=("year",))
    found, _ = measured(systems, examples, chosen, **more)
    return Report((found,), found, chosen, "1.2.3")


class _Checked(HTMLParser):
    """Counts tags, checks that they nest, and keeps ids, links and addresses."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: dict[str, int] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.alts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.ids += [str(values["id"])] if "id" in values else []
        self.links += [str(values["href"])] if "href" in values else []
        if tag == "svg":
            assert values["role"] == "img"
            self.alts.append(str(values["aria-label"]))
        self.sources += [str(values[name]) for name in ("src", "srcset", "data") if name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_html(text: str) -> _Checked:
    found = _Checked(text)
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(found.ids)
    assert found.sources == []
    assert "url(" not in text.replace("url(#", "")
    assert all(alt.strip() for alt in found.alts)
    assert not {"script", "img", "iframe", "object"} & found.seen.keys()
    assert found.seen["style"] == 1, "one style, of the page: none of a picture reaches beyond it"
    assert found.seen["h1"] == found.seen["main"] == 1
    assert found.seen.get("table") == found.seen.get("caption")
    return found


def check_plain(report: Report) -> str:
    """No NaN anywhere, and both renderers go through; the Markdown."""
    json.dumps(writing.metrics(report), allow_nan=False)
    text = markdown(report_blocks(report, with_plots=False))
    assert not re.search(r"\b(?:nan|inf|None|Traceback)\b", text)
    check_html(html(report_blocks(report, with_plots=False)))
    return text


# ------------------------------------------------------------------------------------- the files


def test_files_of_a_report(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = reported(
        [Fake("one"), FirstSentence(), Abstaining()], asks(30), Settings(20, 17, 0.5, ("year",))
    )
    warnings: list[str] = []
    names = [path.name for path in writing.write_report(tmp_path, report, warn=warnings.append)]
    assert (names, warnings) == (["report.md", "report.html"], [])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = check_html(page)
    assert len(found.alts) == 5  # F1 by length, cost, reliability, risk-coverage, latency
    assert not re.search('(?:src|href)="(?!#)', page)
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    again = writing.write_report(tmp_path, report, warn=warnings.append)[1]
    assert again.read_text(encoding="utf-8") == page  # the pictures too
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for part in ("Compared with one", "By year", "By input tokens", "Worst answers", "cost of a million"):
        assert part in text
        assert part in page


MADE = Circumstances(
    date="2031-02-03T04:05Z",
    command="qa-extractive evaluate --data 'my rows.csv' --output runs/x",
    cpu="Some CPU <2>",
    instruction_sets=("AVX2",),
    n_cpus=3,
    system="Linux x86_64",
    versions={"python": "3.12.1", "onnxruntime": "1.31.1"},
)


def test_pictures_take_the_colours_of_the_page() -> None:
    """No ink, ground or grid of their own: each is the page's, so that dark screens and paper fit."""
    pytest.importorskip("matplotlib")
    page = html(report_blocks(reported([Fake("one"), FirstSentence()], asks(30)), with_plots=True))
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 5
    for picture in pictures:
        assert not re.search("#(?:000000|ffffff|dddddd|777777)|white|black", picture, re.IGNORECASE)
        assert "currentColor" in picture
        own = set(re.findall(r"#[0-9a-fA-F]{6}\b", picture))
        assert own <= set(plots.COLOURS)
        assert all(f", {colour})" in picture for colour in own), "a fallback within var(), nowhere else"
    style = page[: page.index("</style>")]
    dark = style[style.index("prefers-color-scheme: dark") :]
    for i, colour in enumerate(plots.COLOURS):
        assert (f"--plot-{i}:" in dark) is (colour != "#000000")


def test_two_equal_sections_share_no_id() -> None:
    same = Section("S", (Section("T", ()), Section("T", ())))
    found = check_html(html(Section("R", (same, same))))
    assert len(found.ids) == len(found.links) == 6


def test_two_pictures_share_no_id() -> None:
    used = b'<use xlink:href="#a" clip-path="url(#a)"/>'
    svg = b'<svg viewBox="0 0 9 9"><defs><path id="a" d="M 0 0"/></defs>' + used + b"</svg>"
    plot = Plot("c", "alt <1>", svg)
    page = html(Section("R", (Section("S", (plot, plot)), Section("T", (plot,)))))
    found = check_html(page)
    assert len([name for name in found.ids if name.endswith("-a")]) == 3
    assert found.alts == ["alt <1>"] * 3


def test_when_where_and_how_it_was_measured() -> None:
    report = replace(reported([Fake("one")], asks(6)), made=MADE)
    text = check_plain(report)
    for part in ("2031-02-03 04:05 UTC", "Some CPU &lt;2&gt;, 3 used", "my rows.csv", "onnxruntime 1.31.1"):
        assert part in text
    assert "AVX2; without dot products of int8 (VNNI) and bfloat16" in text
    assert "How this was measured" in html(report_blocks(report, with_plots=False))
    assert writing.metrics(report)["measured"] == MADE.to_dict()
    assert writing.metrics(replace(report, made=None))["measured"] is None


def test_three_states_are_counted() -> None:
    answers = [
        Answer("safe", 32, 36, 0.9, 0.9, False, candidates=(Span("safe", 32, 36, 0.9),)),
        Answer("", 0, 0, 0.4, 0.4, abstained=True, candidates=(Span("safe", 32, 36, 0.4),)),
        Answer("", 0, 0, 0.1, 0.1, abstained=True, candidates=(Span("safe", 32, 36, 0.1),)),
        Answer("", 0, 0, 0.0, 0.9, abstained=True),
    ]
    examples = [*asks(3, share=1), replace(asks(1)[0], references=(), answerable=False)]
    rows = [ScoredRow.of(e, a) for e, a in zip(examples, answers, strict=True)]
    rows.append(ScoredRow.of(examples[0], QAError("no")))
    found = status_counts(rows)
    assert [(c.status, c.n, c.n_scored, c.n_answerable, c.n_right) for c in found] == [
        ("answered", 1, 1, 1, 1), ("unsure", 1, 1, 1, 1), ("not_reported", 2, 2, 1, 1),
    ]  # fmt: skip
    text = check_plain(reported([Fake("one"), Abstaining()], asks(8)))
    assert "What a person is told" in text
    assert re.search(r"the answer +\|", text)


def test_metrics_are_those_of_the_parts() -> None:
    report = reported([Fake("one"), FirstSentence()], asks(30))
    values = json.loads(json.dumps(writing.metrics(report), allow_nan=False))
    assert (values["schema_version"], values["package_version"]) == (writing.SCHEMA_VERSION, "1.2.3")
    assert values["systems"] == values["data"][0]["systems"]
    one = values["systems"]["one"]
    assert one["f1"] == 0.5
    assert {part["by"] for part in one["slices"]} == {"input tokens", "question type", "answer words", "year"}
    assert [c["figure"] for c in values["comparisons"]] == ["f1", "em", "auroc", "aurc"]
    assert values["oracle"] == {"n": 15, "f1": 1.0, "rouge_l": 1.0, "verbatim_share": 1.0}


@pytest.mark.parametrize(
    ("module", "needs"), [("matplotlib.figure", "plots need matplotlib"), ("jinja2", "it needs jinja2")]
)
def test_without_the_extra_one_line_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, needs: str
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setitem(sys.modules, module, None)
    warnings: list[str] = []
    report = reported([FirstSentence()], asks(4))
    names = [path.name for path in writing.write_report(tmp_path, report, warn=warnings.append)]
    assert names == ["report.md"]
    assert warnings == [f"report.html is left out: {needs}: pip install 'qa-extractive[report]'"]
    with pytest.raises(QAError, match="report"):
        plots.require_report_extra()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be written"):
        writing.write_metrics(tmp_path / "no", reported([FirstSentence()], asks(2)))


# ------------------------------------------------------------------------------------- odd data


def test_no_unanswerable_rows() -> None:
    text = check_plain(reported([Fake(), FirstSentence()], asks(8, share=1)))
    assert "This cannot be told: no row is known to be unanswerable." in text


def test_no_answers_at_all() -> None:
    text = check_plain(reported([Fake(), Abstaining()], asks(8, known=False)))
    assert "No right answer is known of any row" in text
    assert "it cannot" not in text
    assert "Compared with" not in text


def test_no_answerable_rows() -> None:
    text = check_plain(reported([Fake()], [replace(e, references=(), answerable=False) for e in asks(3)]))
    assert "no row is known to be answerable" in text


@pytest.mark.parametrize("known", [True, False])
def test_one_row(known: bool) -> None:
    text = check_plain(reported([Fake(), Abstaining()], asks(1, known=known)))
    assert "| data.csv" in text


def test_all_rows_fail() -> None:
    text = check_plain(reported([Fake(fails=True)], asks(4)))
    assert "fake on data.csv: failed on 4 of 4 rows, first on q0: no: &lt;script&gt;" in text
    assert "This cannot be told: every system failed on all rows." in text


@pytest.mark.parametrize("case", [asks(1), asks(9, known=False), asks(9, share=1), asks(3)])
def test_plots_of_odd_data_are_drawn(case: list[Example]) -> None:
    pytest.importorskip("matplotlib")
    report = reported([Fake("_first$x$"), Fake("漢字", fails=True)], case)
    check_html(html(report_blocks(report, with_plots=True)))


def test_several_files_come_apart_and_together() -> None:
    settings = Settings(n_bootstrap=0)
    first, second = (measured([Fake()], asks(n), settings, name)[0] for n, name in ((3, "a"), (4, "b")))
    text = check_plain(Report((first, second), replace(first, name="all 2 files together"), settings, "1"))
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Overview", "How to read this", "a", "b", "all 2 files together"]
    overview = text[: text.index("## How to read this")]
    f1 = [100 * (each.evaluations[0].shipped.squad.f1 or 0.0) for each in (first, second)]
    assert re.search(rf"^\| fake +\| +{f1[0]:.1f} \| +{f1[1]:.1f} \|$", overview, re.MULTILINE)
    assert "95 % bootstrap intervals" not in text


def test_without_right_answers_there_is_no_headline() -> None:
    assert "F1 of the answers as given" in markdown(
        report_blocks(reported([Fake()], asks(3)), with_plots=False)
    )
    unknown = reported([Fake()], asks(3, known=False))
    assert "F1 of the answers as given" not in markdown(report_blocks(unknown, with_plots=False))


# ------------------------------------------------------------------------------------- texts from data


def test_nothing_from_data_breaks_out() -> None:
    examples = asks(4, question=EVIL)
    examples = [replace(e, id=f"{e.id}{EVIL}", fields={EVIL: f"{i}{EVIL}"}) for i, e in enumerate(examples)]
    settings = Settings(n_bootstrap=5, columns=(EVIL,))
    report = reported([Fake(EVIL), Fake("other")], examples, settings, name=EVIL)
    page = html(report_blocks(report, with_plots=False))
    check_html(page)
    assert "&lt;script&gt;" in page
    for text in (page, markdown(report_blocks(report, with_plots=False))):
        assert "<script" not in text
        assert not re.search("[\u202e\x07\ud800]", text)
        assert "y" * 400 not in text
    source = markdown(report_blocks(report, with_plots=False))
    assert "](http" not in source.replace(r"\](http", "")
    tables = [line for line in source.splitlines() if line.startswith("|")]
    blocks = [re.findall(r"(?<!\\)\|", line) for line in tables]
    header = next(i for i, line in enumerate(tables) if line.startswith("| row"))
    assert len(blocks[header]) == len(blocks[header + 2]) == 6


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n b\t c", "a b c"),
        ("a\x00b\x1b[31m", "a\ufffdb\ufffd[31m"),
        ("\u202eabc\u2066", "\ufffdabc\ufffd"),
        ("x" * 20, "x" * 9 + "…"),
        ("x" * 10, "x" * 10),
        (" " * 999 + "x", "…"),
        (7, "7"),
    ],
)
def test_plain_texts(text: object, shown: str) -> None:
    assert plain(text, 10) == shown


def test_markdown_by_hand() -> None:
    table = Table("T_1", ("a", "b|c"), (("1", "[2](x)"),))
    report = Section("# R", (Paragraph("1. *no* list"), Bullets(("- x",)), table, Section("S", ())))
    assert markdown(report).splitlines() == [
        r"# \# R",
        "",
        r"1\. \*no\* list",
        "",
        r"- \- x",
        "",
        r"**T\_1**",
        "",
        r"| a   | b\|c    |",
        "|-----|--------:|",
        r"| 1   | [2\](x) |",
        "",
        "## S",
        "",
    ]
    assert escaped("<b>&`$") == r"&lt;b&gt;&amp;\`\$"


def test_html_by_hand() -> None:
    table = Table("T", ("a",), (("<1>",),), is_text=True)
    plot = Plot("caption", 'alt "x"', b"<svg></svg>")
    found = check_html(html(Section("R & D", (Section("S", (table, plot, Plot("c", "a", None))),))))
    assert found.alts == ['alt "x"']
    assert (found.seen["figure"], found.seen["th"]) == (1, 2)


def test_a_table_that_does_not_fit_its_header() -> None:
    with pytest.raises(DataError, match="2 cells"):
        Table("T", ("a", "b"), (("1",),))


def test_cells() -> None:
    assert percent(0.5, (0.25, 1.0)) == "50.0 [25.0, 100.0]"
    assert points(-0.125, (-0.25, 0.0)) == "-12.5 [-25.0, +0.0]"
    assert (decimal(0.5), signed(0.5, (0.25, 0.75))) == ("0.500", "+0.500 [+0.250, +0.750]")
    shown = [number(value) for value in (0.0, 0.0004, 0.01234, 1.0, 12.34, 99.96, 12345.6)]
    assert shown == ["0.00", "< 0.001", "0.0123", "1.00", "12.3", "100", "12,346"]
    assert megabytes(23_400_000) == "23.4"
    assert {cell(None) for cell in (percent, points, decimal, signed, number, megabytes)} == {"-"}


def test_bins_of_few_rows_are_put_together() -> None:
    bins = Reliability(0.1, 0.1, (0.1, 0.3, 0.5, 0.9), (0.0, 0.5, 1.0, 1.0), (6, 6, 12, 3))
    first, second = plots.merged_bins(bins)
    assert first == pytest.approx((0.2, 0.25, 12))
    assert second == pytest.approx(((0.5 * 12 + 0.9 * 3) / 15, 1.0, 15))
    assert plots.merged_bins(Reliability(None, None)) == []


# ------------------------------------------------------------------------------------- usage, footprint


def test_use_of_an_endpoint_and_footprint_are_shown() -> None:
    usage = Usage(
        Prices(1.0, 2.0), 4, 5, n_quotes=4, n_not_in_text=1, prompt_tokens=1000, completion_tokens=10
    )
    settings = Settings(n_bootstrap=0, price_per_hour=1.0)
    examples = asks(4)
    results = run_system(Fake("openai:x", usage=usage), examples)
    assert results.n_cores is None
    found = measure("d", [results], [1] * 4, settings, footprints=[Footprint(0.25, 116_000_000, None)])
    values = found.to_dict()["systems"]["openai:x"]
    assert values["usage"]["not_in_text_share"] == 0.25
    assert values["cost_per_million"] is None  # the price is of this machine, which does not do the work
    assert values["footprint"]["peak_memory_bytes"] == 116_000_000
    text = check_plain(Report((found,), found, settings, "1"))
    assert re.search(r"not in text share +\| 25\.0 %", text)
    assert re.search(r"openai:x +\| 0\.250 +\| 116\.0 +\| - ", text)


# ------------------------------------------------------------------------------------- predictions


def test_predictions(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    examples = [*asks(2), Example("u", Question("What?", CONTEXT))]
    _, (fake, abstaining, failing) = measured([Fake(), Abstaining(), Fake(fails=True)], examples, Settings(0))
    path = tmp_path / "p.parquet"
    write_predictions(path, [("d1", fake), ("d2", abstaining), ("d3", failing)])
    reader = read_rows(path)
    assert tuple(reader.columns) == COLUMNS
    rows = [row.values for row in reader]
    assert [row["data"] for row in rows] == ["d1"] * 3 + ["d2"] * 3 + ["d3"] * 3
    said, unanswerable, unknown = rows[:3]
    assert (said["answer"], said["answer_start"], said["em"], said["f1"]) == ("safe", 32, 1.0, 1.0)
    assert CONTEXT[said["answer_start"] : said["answer_end"]] == "safe"
    assert (said["references"], said["is_answerable"], said["error"]) == (["safe"], True, None)
    assert (unanswerable["f1"], unanswerable["best_span_rouge_l"]) == (0.0, None)
    assert (unknown["f1"], unknown["is_answerable"]) == (None, None)
    assert (rows[3]["answer"], rows[3]["answer_start"], rows[3]["abstained"]) == ("", None, True)
    assert (rows[4]["f1"], rows[3]["f1"]) == (1.0, 0.0)
    assert [row["status"] for row in rows[2:7]] == ["answered", *["not_reported"] * 3, None]
    assert rows[6]["answer"] is None
    assert rows[6]["error"].startswith("no: <script>")


def test_predictions_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "find_spec", lambda _: None)
    _, results = measured([Fake()], asks(2), Settings(0))
    warnings: list[str] = []
    (path,) = writing.write_all_predictions(tmp_path, ["d"], [results], warn=warnings.append)
    assert path.name == "predictions-fake.jsonl.gz"
    assert [row.values["answer"] for row in read_rows(path)] == ["safe", "safe"]
    assert len(warnings) == 1
    assert "qa-extractive[parquet]" in warnings[0]


def test_names_of_prediction_files() -> None:
    names = ["baseline:first", "a/b", "A-B", "a:b", "../..", "漢字", "hf:x/y"]
    assert prediction_names(names, ".x") == [
        "predictions-baseline-first.x",
        "predictions-a-b.x",
        "predictions-A-B-2.x",
        "predictions-a-b-3.x",
        "predictions-system.x",
        "predictions-system-2.x",
        "predictions-hf-x-y.x",
    ]
