"""The page's evidence table in a headless Chromium: files in, cells filled, quotes opened, sheets out."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import Predictor
from tests.service.test_service_page import _CONTRAST, BROWSER, NASTY, STATIC, Visit

playwright = pytest.importorskip("playwright.sync_api")
openpyxl = pytest.importorskip("openpyxl")
pytest.importorskip("fastapi")
pytest.importorskip("xlsxwriter")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

HOW_MANY = "How many nurses took part?"
DID_IT = "Did the lamp improve sleep?"
LAMP = (
    "🧬 We gave a bright lamp 💡 to 84 nurses 👩🏽‍🔬 on night shifts. "
    "Sleep lasted 42 minutes longer with the lamp. The lamp improved sleep."
)
RIS = (
    f"TY  - JOUR\nTI  - Lamps\nAU  - Green, Ann\nPY  - 2021\nDO  - 10.9999/lamp\nAB  - {LAMP}\nER  -\n"
    "TY  - JOUR\nTI  - Stars\nAB  - We mapped 120 stars in a cluster.\nER  -\n"
    "TY  - JOUR\nTI  - Nothing\nER  -\n"
).encode()
TEA = b"Tea\n\nTea was given to 31 nurses. The lamp did not improve sleep in any of them.\n"


def pdf() -> bytes:
    canvas = pytest.importorskip("reportlab.pdfgen.canvas")
    made = io.BytesIO()
    sheet = canvas.Canvas(made)
    for line in ("Shifts were long in the ward.", "In all, 57 nurses took part in the trial of the lamp."):
        sheet.drawString(72, 700, line)
        sheet.showPage()
    sheet.save()
    return made.getvalue()


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any]) -> Any:
    return serve(Predictor(n_threads=1))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


class Table(Visit):
    """A page whose table is to be filled."""

    def send(self, *files: tuple[str, bytes]) -> None:
        sent = [{"name": name, "mimeType": "", "buffer": content} for name, content in files]
        self.page.set_input_files("#files", sent)
        self.page.wait_for_selector('#drop[aria-busy="false"]')

    def drop(self, *files: tuple[str, bytes]) -> None:
        encoded = [[name, base64.b64encode(content).decode()] for name, content in files]
        data = self.page.evaluate_handle(
            "(files) => { const data = new DataTransfer(); for (const [name, text] of files) data.items.add("
            "new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name)); return data; }",
            encoded,
        )
        self.page.dispatch_event("#drop", "drop", {"dataTransfer": data})
        self.page.wait_for_selector('#drop[aria-busy="false"]')

    def start(self, *questions: str) -> None:
        self.page.fill("#questions", "\n".join(questions))
        self.page.click("#start")
        self.settled()

    def settled(self) -> None:
        self.page.wait_for_selector("#table:not([aria-busy])")
        self.page.wait_for_selector("#halt", state="hidden")

    def cell(self, paper: str, column: int) -> Any:
        return self.page.locator(f'#table tbody tr:has(th:has-text("{paper}")) td').nth(column)

    def rows(self) -> list[str]:
        return [each.inner_text() for each in self.page.locator("#table tbody tr:visible th span").all()]

    def saved(self, button: str) -> bytes:
        with self.page.expect_download() as waiting:
            self.page.click(button)
        return Path(waiting.value.path()).read_bytes()


@pytest.fixture
def table(browser: Any, served: Any) -> Iterator[Table]:
    visited = Table(browser, served.url)
    yield visited
    visited.context.close()
    assert all(url.startswith((served.url, "blob:")) for url in visited.urls), "an external request"


@pytest.fixture(scope="module")
def filled(browser: Any, served: Any) -> Iterator[Table]:
    """A table that tests look at, and put back as it was."""
    visited = Table(browser, served.url)
    visited.drop(("ward.pdf", pdf()), ("lamps.ris", RIS), ("tea.txt", TEA), ("broken.pdf", b"%PDF-1.4 \xff"))
    visited.start(HOW_MANY, DID_IT)
    yield visited
    visited.context.close()


# ---------------------------------------------------------------- files in, cells filled


def test_dropped_files_become_rows_and_what_is_skipped_says_why(filled: Table) -> None:
    assert [name for name in filled.rows() if "ward" not in name][-3:] == ["Lamps", "Stars", "Tea"]
    assert len(filled.rows()) == 4
    skipped = filled.texts("#skipped-list li")
    assert len(skipped) == 2
    assert "neither an abstract nor a body" in skipped[0]
    assert skipped[1].startswith("broken.pdf")
    assert filled.texts("#read-count") == ["4 papers"]
    assert filled.texts("#table thead th") == ["Paper", HOW_MANY, DID_IT]
    assert filled.complaints == []


def test_cells_hold_what_the_model_says_in_colours_and_words(filled: Table, served: Any) -> None:
    for column, question in enumerate((HOW_MANY, DID_IT)):
        answer = served.predictor.answer(question, LAMP, "Lamps")
        assert answer.status == "answered"
        cell = filled.cell("Lamps", column)
        assert cell.locator(".says").inner_text() == answer.text
        words = "sure" if answer.score >= 0.8 else "likely" if answer.score >= 0.5 else "doubtful"
        assert cell.get_attribute("class") == words
        assert cell.locator("small").inner_text().startswith(f"{words}, ")
    assert filled.cell("Lamps", 1).locator("strong").inner_text().startswith("Yes (")
    assert filled.cell("Stars", 1).get_attribute("class") in ("not_reported", "unsure")
    assert filled.page.locator("#table tbody th small").first.inner_text()


def test_the_dialog_shows_the_quote_in_its_paper(filled: Table, served: Any) -> None:
    page = filled.page
    filled.cell("Lamps", 0).locator("button").click()
    answer = served.predictor.answer(HOW_MANY, LAMP, "Lamps")
    assert filled.texts("#quote-text mark") == [answer.text]
    before = page.evaluate(
        "() => { const r = document.createRange();"
        "r.selectNodeContents(document.querySelector('#quote-text'));"
        "r.setEndBefore(document.querySelector('#quote-text mark').firstChild); return r.toString(); }"
    )
    assert before == LAMP[: answer.start], "offsets count code points"
    assert page.inner_text("#quote-text") == LAMP
    assert page.inner_text("#quote-question") == HOW_MANY
    facts = page.inner_text("#quote-facts")
    assert "Abstract" in facts
    assert "The quote is right" in facts
    page.keyboard.press("Escape")
    assert not page.locator("#quote").is_visible()
    assert filled.cell("Lamps", 0).locator("button").evaluate("(b) => b === document.activeElement")


def test_a_pdf_has_the_page_of_its_quote(filled: Table) -> None:
    box = filled.page.locator("#table tbody tr:has(th:has-text('ward.pdf')) td").first
    assert "57" in box.inner_text()
    assert "p. 2" in box.inner_text()
    box.locator("button").click()
    assert "57 nurses" in filled.page.inner_text("#quote-text")
    assert "57" in filled.texts("#quote-text mark")[0]
    filled.page.click("#quote-close")


def test_rows_are_filtered_and_sorted(filled: Table) -> None:
    page = filled.page
    page.fill("#filter", "LAMP green")
    assert filled.rows() == ["Lamps"]
    assert page.inner_text("#shown-count") == "1 of 4 papers"
    page.fill("#filter", "")
    page.select_option("#kind", "any")
    assert "Stars" not in filled.rows()
    page.select_option("#kind", "")
    before = filled.rows()
    page.select_option("#order", DID_IT)
    classes = [each.get_attribute("class") for each in page.locator("#table tbody td:nth-child(3)").all()]
    order = ["sure", "likely", "doubtful", "unsure", "not_reported"]
    assert [order.index(each) for each in classes] == sorted(order.index(each) for each in classes)
    page.select_option("#order", "")
    assert filled.rows() == before


def test_what_the_papers_say_together(filled: Table) -> None:
    page = filled.page
    assert filled.texts("#together h4") == [HOW_MANY, DID_IT]
    votes = page.locator(".votes tr").all()
    assert [vote.locator("th").inner_text() for vote in votes] == ["Yes", "No", "Mixed", "Not reported"]
    shown = [int(vote.locator("td").nth(1).inner_text().split(" of ")[0]) for vote in votes]
    assert sum(shown) == 4
    assert shown[0] >= 1
    assert page.locator(".votes svg .range").count() == 4
    assert any(text.startswith("84") for text in filled.texts(".values td:nth-child(2)"))
    assert any("not know whether they are right" in text for text in filled.texts("#together .hint"))


def test_the_workbook_and_the_csv_hold_the_table(filled: Table, served: Any) -> None:
    book = openpyxl.load_workbook(io.BytesIO(filled.saved("#table-xlsx")))
    lines = [[cell.value for cell in line] for line in book["Evidence"]]
    assert len(lines) == 6
    lamps = next(line for line in lines if line[0] == "Lamps")
    assert lamps[1:5] == ["Ann Green", 2021, "10.9999/lamp", "lamps.ris"]
    answer = served.predictor.answer(HOW_MANY, LAMP, "Lamps")
    assert lamps[5] == answer.text
    assert book["Skipped"].max_row == 3
    assert [each.value for each in book["Together"]["A"]].count(HOW_MANY) == 1
    assert filled.texts("#table-error") == [""]
    rows = list(csv.DictReader(filled.saved("#table-csv").decode("utf-8-sig").splitlines()))
    (row,) = (row for row in rows if row["title"] == "Lamps")
    assert (row["q1_question"], row["q1_quote"], row["q1_status"]) == (HOW_MANY, answer.text, "answered")
    assert LAMP[int(row["q1_start"]) : int(row["q1_end"])] == answer.text
    assert float(row["q1_score"]) == pytest.approx(answer.score, abs=1e-4)
    assert row["q2_verdict"] == "yes"


def test_no_cell_of_the_csv_is_a_formula(table: Table) -> None:
    papers = [{"title": sign + "cmd", "abstract": "We asked 5 nurses."} for sign in "=+-@"]
    table.send(("p.jsonl", "\n".join(map(json.dumps, papers)).encode()))
    table.start(HOW_MANY)
    rows = list(csv.DictReader(table.saved("#table-csv").decode("utf-8-sig").splitlines()))
    assert [row["title"] for row in rows] == ["'=cmd", "'+cmd", "'-cmd", "'@cmd"]


def test_a_folder_is_read_with_the_names_below_it(table: Table, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "tea.txt").write_bytes(TEA)
    (folder / ".hidden").write_bytes(b"x")
    table.page.set_input_files("#folder", str(folder))
    table.page.wait_for_selector("#read-list li", state="attached")
    table.page.wait_for_selector('#drop[aria-busy="false"]')
    assert table.texts("#skipped-list li") == []
    table.start(HOW_MANY)
    assert table.page.locator("#table tbody th small").last.inner_text() == "papers/deep/tea.txt"


def test_the_examples_are_one_click(table: Table) -> None:
    samples = json.loads((STATIC / "samples.json").read_text(encoding="utf-8"))["table"]
    studies = STATIC.parents[2] / "examples" / "evidence" / "studies.json"
    made = json.loads(studies.read_text(encoding="utf-8"))
    names = ("title", "authors", "year", "doi")
    assert [{n: each[n] for n in names} | {"text": each["abstract"]} for each in made] == samples["papers"]
    table.page.click("#try")
    table.page.wait_for_selector("#together:not([hidden])")
    assert len(table.rows()) == 12
    assert table.page.locator("#table td.waiting").count() == 0
    assert table.page.locator("#table td.sure, #table td.likely").count() > 20
    table.page.reload()
    table.page.wait_for_selector("body[data-ready]")
    assert len(table.rows()) == 12, "a reload keeps the table"
    assert table.page.locator("#table td.waiting").count() == 0
    assert table.page.locator(".votes tr").count() == 4


def test_another_question_is_asked_of_what_lacks_it(table: Table) -> None:
    table.send(("tea.txt", TEA))
    table.start(HOW_MANY)
    sent: list[Any] = []
    table.page.on(
        "request", lambda each: sent.append(each.post_data_json) if each.url.endswith("/v1/evidence") else 0
    )
    table.send(("lamps.ris", RIS))
    table.start(HOW_MANY, DID_IT)
    asked = [(each["questions"], [paper["title"] for paper in each["papers"]]) for each in sent]
    assert asked == [([DID_IT], ["Tea"]), ([HOW_MANY, DID_IT], ["Lamps", "Stars"])]
    assert table.page.locator("#table td.waiting").count() == 0
    assert table.page.locator(".votes td:has-text('of 3')").count() == 4, "votes of both calls together"


# ---------------------------------------------------------------- what goes wrong


def many(n: int) -> bytes:
    papers = ({"title": f"Paper {i}", "abstract": f"We asked {i + 5} nurses about sleep."} for i in range(n))
    return "\n".join(map(json.dumps, papers)).encode()


def answered(route: Any, n: int | None = None, end: str = "") -> None:
    """A stream as the service would send it, of some papers alone, with a last line of its own."""
    asked = route.request.post_data_json
    lines = [
        {
            "index": i,
            "id": None,
            "title": paper["title"],
            "answers": [
                {
                    "status": "answered",
                    "candidates": [{"text": paper["text"][3:12], "start": 3, "end": 12, "score": 0.9}],
                    "sentence": {"text": paper["text"], "start": 0, "end": len(paper["text"]), "score": 0.9},
                    "score": 0.9,
                    "answerable": 0.95,
                    "section": "Abstract",
                    **dict.fromkeys(("verdict", "verdict_score", "vote", "vote_probs", "page")),
                }
                for _ in asked["questions"]
            ],
        }
        for i, paper in enumerate(asked["papers"])
    ]
    last = end or json.dumps(
        {"together": [{"tally": None, "values": [], "limits": "Limits."} for _ in asked["questions"]]}
    )
    body = "\n".join([*map(json.dumps, lines[:n]), last]) + "\n"
    route.fulfill(status=200, content_type="application/x-ndjson", body=body)


FIVE = tuple(f"Question {i}?" for i in range(5))


def test_stop_keeps_what_came_and_the_rest_can_follow(table: Table) -> None:
    routes: list[Any] = []

    def hold_the_second(route: Any) -> None:
        routes.append(route)
        if len(routes) != 2:
            answered(route)

    table.page.route("**/v1/evidence", hold_the_second)
    table.send(("many.jsonl", many(60)))
    table.page.fill("#questions", "\n".join(FIVE))
    table.page.click("#start")
    table.page.wait_for_selector("#table td.sure >> nth=199")
    table.page.click("#halt")
    table.settled()
    assert table.page.locator("#table td.waiting").count() == 100
    assert table.page.inner_text("#table-status").endswith("20 papers still to be read.")
    assert not table.page.locator("#table-error").is_visible()
    assert table.page.inner_text("#start") == "Go on with 20 papers"
    assert table.page.evaluate("document.activeElement.id") == "start"
    table.page.click("#start")
    table.settled()
    assert table.page.locator("#table td.waiting").count() == 0
    assert [len(each.request.post_data_json["papers"]) for each in routes] == [40, 20, 20]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("line", "the model failed: see the service's log (request r1) What was read is kept"),
        ("status", "the model failed (request r1)"),
        ("gone", "The service cannot be reached"),
    ],
)
def test_a_failing_service_is_one_line_and_nothing_is_lost(table: Table, how: str, message: str) -> None:
    def fail(route: Any) -> None:
        error = {"code": "model_failed", "request_id": "r1", "fields": []}
        if how == "line":
            answered(
                route,
                3,
                json.dumps({"error": error | {"message": "the model failed: see the service's log"}}),
            )
        elif how == "status":
            route.fulfill(status=500, json={"error": error | {"message": "the model failed"}})
        else:
            route.abort()

    table.send(("many.jsonl", many(5)))
    table.page.route("**/v1/evidence", fail)
    table.start(HOW_MANY)
    assert table.page.inner_text("#table-error").startswith(message)
    assert table.page.locator("#table td.sure").count() == (3 if how == "line" else 0)
    table.page.unroute("**/v1/evidence")
    table.page.click("#start")
    table.settled()
    assert table.page.locator("#table td.waiting").count() == 0
    assert not table.page.locator("#table-error").is_visible()


def test_a_paper_that_cannot_be_asked_does_not_hold_up_the_others(table: Table) -> None:
    def refuse(route: Any) -> None:
        papers = route.request.post_data_json["papers"]
        wrong = next((i for i, paper in enumerate(papers) if paper["title"] == "Paper 1"), None)
        if wrong is None:
            answered(route)
            return
        field = {"path": f"papers[{wrong}].text", "message": "too long"}
        detail = {"code": "invalid_request", "message": "too long", "request_id": "r", "fields": [field]}
        route.fulfill(status=422, json={"error": detail})

    table.page.route("**/v1/evidence", refuse)
    table.send(("many.jsonl", many(4)))
    table.start(HOW_MANY)
    assert table.page.locator("#table td.failed").inner_text() == "failed: too long"
    assert table.page.locator("#table td.sure").count() == 3


def test_files_that_could_not_be_sent_are_tried_again(table: Table) -> None:
    table.page.route("**/v1/papers*", lambda route: route.abort())
    table.send(("tea.txt", TEA), ("lamps.ris", RIS))
    error = table.page.inner_text("#intake-error")
    assert error == "The service cannot be reached. Is it still running? 2 files are not read yet."
    table.page.unroute("**/v1/papers*")
    table.page.click("#again")
    table.page.wait_for_selector("#again", state="hidden")
    table.page.wait_for_selector("#read-list li >> nth=2", state="attached")
    assert not table.page.locator("#intake-error").is_visible()


def test_what_is_missing_is_said(table: Table) -> None:
    table.page.click("#start")
    assert table.page.inner_text("#questions-error") == "Write at least one question, one a line."
    assert table.page.evaluate("document.activeElement.id") == "questions"
    table.page.fill("#questions", HOW_MANY)
    table.page.click("#start")
    assert "There is no paper yet" in table.page.inner_text("#table-error")
    table.send(("tea.txt", TEA), ("again.txt", TEA), ("empty.txt", b""))
    assert table.texts("#read-count") == ["1 paper"]
    assert [text.split(" ")[0] for text in table.texts("#skipped-list li")] == ["again.txt", "empty.txt"]


def test_a_key_is_asked_for_where_files_are_sent(
    browser: Any, serve: Callable[..., Any], served: Any
) -> None:
    table = Table(browser, serve(served.predictor, api_key="s3cret").url)
    table.send(("tea.txt", TEA))
    assert table.page.evaluate("document.activeElement.id") == "key"
    table.page.fill("#key", "s3cret")
    table.page.click("#again")
    table.page.wait_for_selector("#read-list li", state="attached")
    table.start(HOW_MANY)
    assert "31" in table.cell("Tea", 0).inner_text()
    assert openpyxl.load_workbook(io.BytesIO(table.saved("#table-xlsx")))
    table.context.close()


def test_hostile_texts_are_shown_as_texts(table: Table) -> None:
    title = f"</script>{NASTY}"
    paper = {"title": title, "abstract": f"{NASTY} We asked 84 nurses. {NASTY}", "authors": [NASTY]}
    table.send(('"><img src=x onerror=alert(1)>.json', json.dumps(paper).encode()))
    table.start(HOW_MANY, NASTY)
    table.page.locator("#table td button").first.click()
    shown = table.page.inner_text("#quote-title")
    assert shown.startswith("</script><img src=x onerror=")
    assert shown.endswith("<svg onload=\"document.title='owned'\">")
    assert table.page.locator("main img, main script, dialog img, dialog script, svg[onload]").count() == 0
    assert table.page.title() == "Ask a paper"
    assert table.complaints == []


# ---------------------------------------------------------------- keyboard, small screens, paper, many papers


def test_the_table_needs_no_mouse(table: Table) -> None:
    page = table.page
    table.send(("lamps.ris", RIS), ("tea.txt", TEA))
    page.focus("#questions")
    page.keyboard.insert_text(f"{HOW_MANY}\n{DID_IT}")
    page.keyboard.press("Control+Enter")
    table.page.wait_for_selector("#together:not([hidden])")
    page.focus("#table-csv")
    page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.className") == "frame":
        page.keyboard.press("Tab")  # the browser lets the keyboard scroll what overflows
    where = (
        "() => { const b = document.activeElement.closest('td');"
        "return [b.parentElement.rowIndex, b.cellIndex]; }"
    )
    assert page.evaluate(where) == [1, 1]
    for key, place in (
        ("ArrowRight", [1, 2]),
        ("ArrowDown", [2, 2]),
        ("ArrowRight", [2, 2]),
        ("Home", [2, 1]),
        ("End", [2, 2]),
    ):
        page.keyboard.press(key)
        assert page.evaluate(where) == place, key
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.locator("#quote").is_visible()
    page.keyboard.press("Escape")
    assert page.evaluate(where) == [1, 2]
    assert page.locator('#table td button[tabindex="0"]').count() == 1, "one stop of Tab for all cells"
    assert not page.locator(".card").is_visible(), "Ctrl + Enter asked the table alone"


def test_a_screen_reader_has_names_for_everything(filled: Table) -> None:
    nameless = filled.page.evaluate(
        "() => [...document.querySelectorAll('input, select, textarea, button')]"
        ".filter((e) => e.offsetParent && !(e.labels?.length || e.textContent.trim())).length"
    )
    assert nameless == 0
    ids = filled.page.evaluate("() => [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert filled.page.get_by_role("grid", name="Evidence").count() == 1
    assert filled.page.get_by_role("columnheader").count() >= 3
    assert filled.page.locator("#table-status").get_attribute("aria-live") == "polite"


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_needs_no_sideways_scrolling(browser: Any, served: Any, width: int) -> None:
    table = Table(browser, served.url, viewport={"width": width, "height": 740})
    paper = {"title": "y" * 200, "abstract": "x" * 300 + LAMP}
    table.send(("z" * 200 + ".json", json.dumps(paper).encode()), ("b.pdf", b"x"), ("tea.txt", TEA))
    table.start(HOW_MANY, DID_IT, "q" * 80)
    for name in ("read", "skipped"):
        table.page.click(f"#{name} summary")
    assert table.page.evaluate("document.documentElement.scrollWidth") <= width
    table.cell("Tea", 0).locator("button").click()
    assert table.page.evaluate("document.querySelector('#quote').scrollWidth") <= width
    table.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Any, served: Any, scheme: str) -> None:
    table = Table(browser, served.url, color_scheme=scheme)
    table.page.click("#try")
    table.page.wait_for_selector("#together:not([hidden])")
    selectors = [f".legend .{each}" for each in ("sure", "likely", "doubtful", "unsure", "not_reported")]
    selectors += ["#table th", "#table th small", "#table td.sure small", "#table td.not_reported small"]
    selectors += ["#start", "#try", "#together .hint", "#together .values button", ".lead", "#table-status"]
    for selector in selectors:
        assert table.page.locator(selector).first.evaluate(_CONTRAST) >= 4.5, selector
    cells = [
        table.page.locator(f"#table td.{each} button") for each in ("sure", "likely", "doubtful", "unsure")
    ]
    shown = [each.first for each in cells if each.count()]  # as the model has it
    assert len(shown) > 1
    for cell in shown:
        cell.click()
        for selector in ("#quote-says", "#quote-about", "#quote-text mark", "#quote-facts dt"):
            assert table.page.locator(selector).first.evaluate(_CONTRAST) >= 4.5, selector
        table.page.keyboard.press("Escape")
    table.context.close()


def test_print_shows_the_table_whole_and_no_controls(filled: Table) -> None:
    page = filled.page
    page.emulate_media(media="print")
    for selector in ("#form", "#one", "#ask-many", ".tools", "nav"):
        assert not page.locator(selector).first.is_visible(), selector
    assert page.locator("#table").is_visible()
    assert page.locator("#together").is_visible()
    frame = page.locator(".frame")
    assert frame.evaluate("(f) => f.scrollHeight <= f.clientHeight + 2")
    page.emulate_media(media="screen")


def test_nothing_on_the_page_moves_by_itself() -> None:
    for sheet in STATIC.glob("*.css"):
        styles = sheet.read_text(encoding="utf-8")
        assert not re.search(r"animation|transition|scroll-behavior", styles), sheet.name


def test_five_hundred_papers_stay_quick(table: Table) -> None:
    table.page.route("**/v1/evidence", lambda route: answered(route))
    table.send(("many.jsonl", many(500)))
    devtools = table.context.new_cdp_session(table.page)
    devtools.send("Performance.enable")

    def measured() -> dict[str, float]:
        return {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}

    before = measured()
    table.start(*FIVE)
    after = measured()
    assert table.page.locator("#table td.sure").count() == 2500
    assert after["ScriptDuration"] - before["ScriptDuration"] < 2.0
    table.page.fill("#filter", "paper 49")
    table.page.select_option("#order", "*")
    assert len(table.rows()) == sum("49" in f"{i} {i + 1} {i + 5}" for i in range(500))
    later = measured()
    assert later["ScriptDuration"] - after["ScriptDuration"] < 1.0
    devtools.send("HeapProfiler.collectGarbage")
    assert measured()["JSHeapUsedSize"] < 40_000_000
    assert later["Nodes"] < 40_000
