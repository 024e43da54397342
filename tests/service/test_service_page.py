"""The page in a headless Chromium, against the embedded model."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import Predictor

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("fastapi")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

ASKED = "By how much did systolic pressure fall?"
CONTEXT = (
    "🧬𝒳 We gave 212 adults 👩🏽‍🔬 the salt substitute. "
    "Systolic pressure 🫀 fell by 3.3 mmHg (95% CI 2.1 to 4.5). Potassium 𝒳 did not change."
)
SILENT = "We measured the sleep of 90 nurses. Those on night shifts slept 1.4 hours less."
UNSURE = "Systolic pressure was lower than before."
NASTY = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    "&lt;b&gt;${1+1}</textarea></main><svg onload=\"document.title='owned'\">"
)
TIMEOUT_MS = 60_000
STATIC = Path(__file__).resolve().parents[2] / "qa_extractive" / "service" / "static"


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any]) -> Any:
    return serve(Predictor(n_threads=1))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


class Visit:
    """A page that was opened, and what it asked of the network and said on its console."""

    def __init__(self, browser: Any, url: str, *, is_cleared: bool = True, **context: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
        self.page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.urls: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.urls.append(request.url))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("body[data-ready]")
        if is_cleared:  # of the sample that is answered when the page is opened
            self.page.click("#clear")

    def ask(self, question: str, *contexts: str, titles: tuple[str, ...] = ()) -> None:
        self.page.fill("#question", question)
        while self.page.locator(".paper").count() < len(contexts):
            self.page.click("#add")
        for i, context in enumerate(contexts):
            self.page.locator("textarea").nth(i).fill(context)
        for i, title in enumerate(titles):
            self.page.locator('[data-id="title"]').nth(i).fill(title)
        self.page.click("#ask")
        self.wait()

    def wait(self) -> None:
        self.page.wait_for_selector("#form:not([aria-busy])")
        self.page.wait_for_selector("#results:not([hidden]), #error:not([hidden])")

    def texts(self, selector: str) -> list[str]:
        return [str(each) for each in self.page.locator(selector).all_text_contents()]


@pytest.fixture
def visit(browser: Any, served: Any) -> Iterator[Visit]:
    visited = Visit(browser, served.url)
    yield visited
    visited.context.close()
    assert all(url.startswith(served.url) for url in visited.urls), "an external request"


def test_the_first_view_is_an_answered_example(browser: Any, served: Any) -> None:
    visit = Visit(browser, served.url, is_cleared=False)
    sample = json.loads((STATIC / "samples.json").read_text(encoding="utf-8"))["texts"][0]
    paper = sample["papers"][0]
    answer = served.predictor.answer(sample["question"], paper["context"], paper["title"])
    assert visit.page.input_value("#question") == sample["question"]
    assert visit.texts("#cards mark") == [answer.text]
    assert visit.page.locator("#cards mark").bounding_box()["y"] < 900, "without scrolling"
    assert visit.page.evaluate("[document.activeElement.tagName, scrollY]") == ["BODY", 0]
    assert visit.texts("#status") == [""], "nobody asked, so nobody is told"
    visit.ask(ASKED, CONTEXT)
    assert visit.texts("#cards mark") == ["3.3 mmHg"]
    assert visit.complaints == []
    visit.context.close()


def shown(prob: float) -> str:
    """A probability between 0.01 and 1 as the page shows it."""
    return "over 99 %" if prob > 0.99 else f"{prob:.0%}".replace("%", " %")


def test_the_highlight_is_exactly_the_span_in_its_sentence(visit: Visit, served: Any) -> None:
    visit.ask(ASKED, CONTEXT)
    answer = served.predictor.answer(ASKED, CONTEXT)
    assert not answer.abstained
    assert visit.texts("mark") == [answer.text] == ["3.3 mmHg"]
    assert visit.texts(".sentence") == [answer.sentence.text]
    assert visit.texts(".text") == [CONTEXT]
    before = visit.page.evaluate(
        "() => { const r = document.createRange(); r.selectNodeContents(document.querySelector('.text'));"
        "r.setEndBefore(document.querySelector('mark').firstChild); return r.toString(); }"
    )
    assert before == CONTEXT[: answer.start], "the very place, not another of the same words"
    assert visit.texts(".verdict") == [answer.text]
    numbers = visit.texts(".probs dd:not(.bar)")
    threshold = served.predictor.threshold
    assert numbers == [f"{shown(answer.answerable)}, needs {shown(threshold)}", shown(answer.score)]
    assert re.search(r"Answered in [\d.]+ m?s\.", visit.page.inner_text("#summary"))
    assert visit.complaints == []


def test_the_same_words_elsewhere_are_not_marked(visit: Visit, served: Any) -> None:
    context = f"𝒳 3.3 mmHg is the unit of nothing here. {CONTEXT} Of 3.3 mmHg, more later."
    visit.ask(ASKED, context)
    answer = served.predictor.answer(ASKED, context)
    marked = visit.page.evaluate(
        "() => { const r = document.createRange(); r.selectNodeContents(document.querySelector('.text'));"
        "r.setEndBefore(document.querySelector('mark').firstChild); return r.toString(); }"
    )
    assert marked == context[: answer.start]


def test_a_paper_that_does_not_say(visit: Visit, served: Any) -> None:
    visit.ask(ASKED, SILENT)
    answer = served.predictor.answer(ASKED, SILENT)
    assert answer.abstained
    assert visit.texts(".verdict") == ["This paper does not say."]
    assert visit.page.locator("mark").count() == 0
    assert visit.texts("#status") == ["This paper does not say."]
    assert visit.page.locator(".probs dt").count() == 1
    assert visit.page.locator(".is-not-reported").count() == 1
    passages = visit.page.locator(".others li")
    assert not passages.first.is_visible(), "only on demand"
    visit.page.click(".others summary")
    assert passages.first.is_visible()
    assert passages.count() == len(answer.candidates)
    assert passages.first.inner_text().startswith(answer.candidates[0].text)


def test_several_papers_side_by_side_best_first(visit: Visit) -> None:
    visit.ask(ASKED, SILENT, CONTEXT, titles=("Nurses", "Salt"))
    assert visit.texts(".card h3") == ["Salt", "Nurses"]
    answered, silent = visit.texts(".verdict")
    assert answered.startswith("3.3 mmHg")  # how much of what follows belongs to it is the model's business
    assert silent == "This paper does not say."
    left, right = (visit.page.locator(".card").nth(i).bounding_box() for i in range(2))
    assert left["y"] == right["y"]
    assert left["x"] < right["x"]


def test_papers_come_and_go(visit: Visit) -> None:
    visit.page.click("#add")
    visit.page.click("#add")
    visit.page.locator("textarea").nth(2).fill("third")
    visit.page.locator(".remove").nth(1).click()
    assert visit.texts("legend") == ["Paper 1", "Paper 2"]
    assert visit.page.locator("textarea").nth(1).input_value() == "third"
    visit.page.locator(".remove").nth(0).click()
    assert visit.texts("legend") == ["Paper"]
    assert not visit.page.locator(".remove").first.is_visible()


def test_an_injection_is_shown_as_text(visit: Visit) -> None:
    context = f"{NASTY} {CONTEXT} {NASTY}"
    visit.ask(f"{NASTY} {ASKED}", context, titles=(NASTY,))
    assert visit.texts(".text") == [context]
    assert visit.texts(".card h3") == [NASTY]
    assert visit.page.locator("main img, main script, main b").count() == 0
    assert visit.page.title() == "Ask a paper"
    assert visit.complaints == [], "not even one that the policy had to stop"


def test_the_policy_stops_what_would_be_injected(visit: Visit) -> None:
    visit.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = \"document.title = 'owned'\";"
        "document.body.append(s); const i = document.createElement('img'); i.src = 'https://example.org/x.png';"
        "document.body.append(i); }"
    )
    visit.page.wait_for_timeout(300)
    assert visit.page.title() == "Ask a paper"
    assert any("Content Security Policy" in each for each in visit.complaints)
    visit.urls.clear()


def test_the_keyboard_alone_will_do(visit: Visit) -> None:
    page = visit.page
    page.locator("#sample").focus()
    page.keyboard.press("Tab")
    page.keyboard.type(ASKED)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.insert_text(CONTEXT)
    page.keyboard.press("Control+Enter")
    visit.wait()
    assert visit.texts("mark") == ["3.3 mmHg"]
    assert page.evaluate("document.activeElement.id") == "results"
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached == ["copy-all", "csv", "copy small", "text"]


def test_a_screen_reader_has_names_for_everything(visit: Visit) -> None:
    visit.ask(ASKED, CONTEXT, SILENT)
    nameless = visit.page.evaluate(
        "() => [...document.querySelectorAll('input, select, textarea, button')]"
        ".filter((e) => e.offsetParent && !(e.labels?.length || e.textContent.trim())).length"
    )
    assert nameless == 0
    ids = visit.page.evaluate("() => [...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    assert visit.page.locator("html").get_attribute("lang") == "en"
    assert visit.texts("#status") == ["1 of 2 papers answer. First: 3.3 mmHg"]


def test_what_is_missing_is_said_at_its_field(visit: Visit) -> None:
    visit.page.click("#ask")
    assert visit.page.inner_text("#question-error") == "Write a question."
    assert visit.page.locator("#question").get_attribute("aria-invalid") == "true"
    assert visit.page.evaluate("document.activeElement.id") == "question"
    visit.page.fill("#question", "W")
    assert not visit.page.locator("#question-error").is_visible()
    visit.ask(ASKED, CONTEXT)
    assert visit.page.locator("[aria-invalid]").count() == 0


def test_a_refusal_is_shown_with_its_request(visit: Visit) -> None:
    visit.ask("word " * 300, CONTEXT)
    message = visit.page.inner_text("#error")
    assert "tokens exceeds" in message
    assert "(request " in message
    assert not visit.page.locator("#results").is_visible()


def test_the_examples_are_answered_as_they_promise(visit: Visit, served: Any) -> None:
    samples = json.loads((STATIC / "samples.json").read_text(encoding="utf-8"))["texts"]
    assert [sample["name"] for sample in samples] == [name for name, *_ in EXAMPLES]
    for sample, (_, status, words, paper) in zip(samples, EXAMPLES, strict=True):
        answers = [
            served.predictor.answer(sample["question"], each["context"], each["title"])
            for each in sample["papers"]
        ]
        for i, answer in enumerate(answers):
            if i != paper:
                assert answer.status == "not_reported", sample["papers"][i]["title"]
            elif words:
                assert answer.status in status, "the model has become surer, or less sure"
                assert answer.best is not None
                assert answer.best.text.strip(" .") in words
            else:
                assert answer.status == "not_reported"
    visit.page.select_option("#sample", "2")
    assert visit.page.locator(".paper").count() == 3
    visit.page.click("#ask")
    visit.wait()
    assert visit.texts(".card h3")[0] == samples[2]["papers"][1]["title"]
    assert visit.texts(".verdict")[1:] == ["This paper does not say."] * 2


# The name, the status that is right, the words that are, and which paper has them; another says nothing.
EXAMPLES: list[tuple[str, tuple[str, ...], tuple[str, ...], int]] = [
    ("A figure: sleep and the start of school", ("answered",), ("38 minutes longer", "38 minutes"), 0),
    ("Another figure: kelp and sea urchins", ("answered",), ("61%",), 0),
    (
        "Several papers: wild bees on farms",
        ("answered",),
        ("2.4 times", "2.4 times as many wild bees and 11 more species than farms without"),
        1,
    ),
    (
        "Not sure: how to keep the kelp",
        ("unsure",),
        (
            "Removing urchins restores kelp within three years, provided that the plots are cleared a second "
            "time after the first summer",
            "the plots are cleared a second time after the first summer",
        ),
        0,
    ),
    ("Not in the paper: school and traffic accidents", ("not_reported",), (), 0),
]


def test_what_is_not_sure_is_shown_and_marked_more_softly(visit: Visit, served: Any) -> None:
    answer = served.predictor.answer(ASKED, UNSURE)
    assert answer.status == "unsure"
    assert answer.best is not None
    visit.ask(ASKED, UNSURE)
    assert visit.texts(".verdict") == [f"Not sure. Closest: “{answer.best.text}”"] == visit.texts("#status")
    assert visit.texts("mark.closest") == visit.texts("mark") == [answer.best.text]
    assert visit.texts(".text") == [UNSURE]
    assert visit.page.locator(".sentence").count() == 0
    backgrounds = [visit.page.locator("mark").evaluate("(e) => getComputedStyle(e).backgroundColor")]
    visit.ask(ASKED, CONTEXT)
    backgrounds.append(visit.page.locator("mark").evaluate("(e) => getComputedStyle(e).backgroundColor"))
    assert backgrounds[0] != backgrounds[1]


@pytest.mark.parametrize("text", ["", " \n "])
def test_an_empty_text_says_nothing_and_is_no_error(visit: Visit, text: str) -> None:
    visit.ask(ASKED, text)
    assert visit.texts(".verdict") == ["This paper does not say."]
    assert visit.texts(".text") == ["No text was given."]
    assert not visit.page.locator("#error").is_visible()


def test_many_papers_come_in_groups_with_a_count(visit: Visit) -> None:
    visit.page.evaluate(
        "() => { window.seen = []; new MutationObserver(() => window.seen.push("
        "[document.querySelector('#status').textContent, document.querySelectorAll('.card').length,"
        " document.querySelector('#progress').value, !document.querySelector('#progress-row').hidden]))"
        ".observe(document.querySelector('#status'), { childList: true }); }"
    )
    visit.ask(ASKED, *[SILENT] * 7, CONTEXT, titles=tuple("ABCDEFGH"))
    seen = {text: rest for text, *rest in visit.page.evaluate("window.seen")}
    assert seen["Reading 8 papers…"] == [0, 0, True]
    assert seen["Answered 2 of 8 papers…"] == [2, 2, True]
    assert seen["Answered 6 of 8 papers…"] == [6, 6, True]
    names = visit.texts(".card h3")
    assert names[0] == "H", "the last one answers: it stands first"
    assert sorted(names) == list("ABCDEFGH")
    assert not visit.page.locator("#progress-row").is_visible()
    assert not visit.page.locator("#stop").is_visible()


def test_a_run_can_be_stopped_and_keeps_what_came(visit: Visit) -> None:
    n_asked = []

    def hold_the_second(route: Any) -> None:
        n_asked.append(route)
        if len(n_asked) == 1:
            route.continue_()

    visit.page.route("**/v1/answers", hold_the_second)
    visit.page.fill("#question", ASKED)
    for _ in range(3):
        visit.page.click("#add")
    visit.page.locator("textarea").first.fill(CONTEXT)
    visit.page.click("#ask")
    visit.page.wait_for_selector(".card >> nth=1")
    visit.page.click("#stop")
    assert visit.texts("#results-heading") == ["Answers of 2 papers"]
    assert "Not all papers were answered" in visit.page.inner_text("#summary")
    assert not visit.page.locator("#error").is_visible()
    visit.page.unroute("**/v1/answers")


def test_a_busy_service_is_asked_again(visit: Visit) -> None:
    n_refused: list[int] = []

    def busy(route: Any) -> None:
        if n_refused:
            route.continue_()
        else:
            n_refused.append(1)
            route.fulfill(status=503, headers={"Retry-After": "1"}, body="Service Unavailable")

    visit.page.route("**/v1/answers", busy)
    visit.ask(ASKED, CONTEXT)
    assert visit.texts("mark") == ["3.3 mmHg"]
    visit.complaints.clear()


def test_the_page_says_how_many_papers_it_takes(visit: Visit) -> None:
    assert visit.page.inner_text("#room").startswith("1 of at most 100 papers")
    visit.page.evaluate("() => { for (let i = 0; i < 150; i += 1) document.querySelector('#add').click(); }")
    assert visit.page.locator(".paper").count() == 100
    assert visit.page.locator("#add").is_disabled()
    assert "100 papers are the most" in visit.page.inner_text("#room")


def test_a_reload_keeps_what_was_typed_and_answered(visit: Visit) -> None:
    visit.ask(ASKED, SILENT, CONTEXT, titles=("Nurses", "Salt"))
    shown = {name: visit.texts(name) for name in (".card h3", ".verdict", "mark", ".probs dd", "#summary")}
    visit.page.locator("textarea").first.fill("typed later")
    visit.page.reload()
    visit.page.wait_for_selector("mark")
    assert {name: visit.texts(name) for name in shown} == shown
    assert visit.page.input_value("#question") == ASKED
    contexts = [visit.page.locator("textarea").nth(i).input_value() for i in range(2)]
    assert contexts == ["typed later", CONTEXT]
    visit.page.click("#clear")
    visit.page.reload()
    visit.page.wait_for_selector("body[data-ready]")
    assert visit.page.input_value("#question") == ""
    assert visit.page.locator("textarea").first.input_value() == ""
    assert not visit.page.locator("#results").is_visible()


@pytest.mark.parametrize("kept", ["{", "[]", "null", '{"question": 3}', '{"papers": "x"}', '{"shown": {}}'])
def test_a_reload_survives_what_it_cannot_read(visit: Visit, kept: str) -> None:
    visit.page.evaluate(
        "(kept) => { addEventListener('pagehide', () => sessionStorage.setItem('ask-a-paper', kept)); }", kept
    )
    visit.page.reload()
    visit.page.wait_for_selector("body[data-ready]")
    visit.ask(ASKED, CONTEXT)
    assert visit.texts("mark") == ["3.3 mmHg"]
    assert visit.complaints == []


def test_the_answers_can_be_downloaded_as_csv(visit: Visit, served: Any) -> None:
    title = '=HYPERLINK("x"), the "salt"'
    visit.ask(ASKED, SILENT, CONTEXT, UNSURE, titles=("Nurses\nof 2020", title, ""))
    with visit.page.expect_download() as waiting:
        visit.page.click("#csv")
    assert waiting.value.suggested_filename == "answers.csv"
    raw = Path(waiting.value.path()).read_bytes()
    assert raw.startswith("\ufeff".encode())
    rows = list(csv.DictReader(raw.decode("utf-8-sig").splitlines()))
    assert [row["status"] for row in rows] == ["answered", "unsure", "not_reported"]
    answer, unsure = (
        served.predictor.answer(ASKED, CONTEXT, title),
        served.predictor.answer(ASKED, UNSURE),
    )
    assert rows[0]["paper"] == "'" + title, "no spreadsheet may take it for a formula"
    assert (rows[0]["answer"], rows[0]["sentence"]) == (answer.text, answer.sentence.text)
    assert CONTEXT[int(rows[0]["start"]) : int(rows[0]["end"])] == answer.text
    assert (rows[1]["answer"], rows[1]["closest"]) == ("", unsure.best.text)
    assert float(rows[0]["answerable"]) == pytest.approx(answer.answerable, abs=1e-4)


def test_answers_can_be_copied(visit: Visit, served: Any) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.ask(ASKED, CONTEXT, SILENT, titles=("Salt", "Nurses"))
    clipboard = "() => navigator.clipboard.readText()"
    visit.page.locator(".copy").first.click()
    visit.page.wait_for_selector(".copy:has-text('Copied')")
    sentence = served.predictor.answer(ASKED, CONTEXT, "Salt").sentence.text
    assert visit.page.evaluate(clipboard) == f"3.3 mmHg\n“{sentence}”\nSalt"
    visit.page.click("#copy-all")
    visit.page.wait_for_selector("#copy-all:has-text('Copied')")
    lines = [line.split("\t") for line in visit.page.evaluate(clipboard).splitlines()]
    assert [len(line) for line in lines] == [12] * 3
    assert [line[1:4] for line in lines[1:]] == [
        ["Salt", "answered", "3.3 mmHg"],
        ["Nurses", "not_reported", ""],
    ]


def test_answers_can_be_copied_where_the_browser_gives_no_clipboard(visit: Visit) -> None:
    visit.page.evaluate("() => Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    visit.ask(ASKED, CONTEXT)
    visit.page.locator(".copy").first.click()
    visit.page.wait_for_selector(".copy:has-text('Copied')")
    assert visit.page.evaluate("document.activeElement.className") == "copy small"
    visit.page.fill("#question", "")
    visit.page.locator("#question").press("Control+v")
    assert visit.page.input_value("#question").startswith("3.3 mmHg")


def _with_verdicts(visit: Visit, **verdicts: tuple[str, float]) -> None:
    """The service's answers with what a model with a verdict head would say to the papers of these titles."""

    def answer(route: Any) -> None:
        response = route.fetch()
        body = response.json()
        papers = route.request.post_data_json["papers"]
        for each in body["answers"]:
            said = verdicts.get(papers[each["index"]]["title"] or "")
            if said is not None:
                each |= {"verdict": said[0], "verdict_score": said[1]}
        route.fulfill(response=response, json=body)

    visit.page.route("**/v1/answers", answer)


def test_a_verdict_stands_beside_its_quote(visit: Visit, served: Any) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _with_verdicts(visit, A=("yes", 0.82), B=("mixed", 0.999), D=("no", 0.5))
    visit.ask(ASKED, CONTEXT, CONTEXT, CONTEXT, SILENT, titles=tuple("ABCD"))
    chips = {
        card.locator("h3").inner_text(): card.locator(".chip").all_inner_texts()[0]
        for card in visit.page.locator(".card").all()
    }
    assert chips == {"A": "Yes 82 %", "B": "Mixed over 99 %", "C": "", "D": ""}
    assert visit.page.locator(".chip:visible").count() == 2, "none without a verdict, none without a quote"
    quotes = {title: served.predictor.answer(ASKED, CONTEXT, title).text for title in "ABC"}
    assert sorted(visit.texts(".words")) == sorted([*quotes.values(), ""])
    assert "First: " in visit.texts("#status")[0]
    clipboard = "() => navigator.clipboard.readText()"
    visit.page.locator(".card:has(.says-yes) .copy").click()
    visit.page.wait_for_selector(".copy:has-text('Copied')")
    assert visit.page.evaluate(clipboard).startswith(f"Yes (82 %): {quotes['A']}\n“")
    with visit.page.expect_download() as waiting:
        visit.page.click("#csv")
    rows = list(csv.DictReader(Path(waiting.value.path()).read_text("utf-8-sig").splitlines()))
    said = {row["paper"]: (row["verdict"], row["verdict_score"]) for row in rows}
    assert said == {"A": ("yes", "0.8200"), "B": ("mixed", "0.9990"), "C": ("", ""), "D": ("", "")}


def test_a_verdict_is_said_to_those_who_do_not_see_it_and_kept(visit: Visit, served: Any) -> None:
    _with_verdicts(visit, A=("no", 0.664))
    visit.ask(ASKED, CONTEXT, titles=("A",))
    quote = served.predictor.answer(ASKED, CONTEXT, "A").text
    assert visit.texts("#status") == [f"Answer: No (66 %): {quote}"]
    assert visit.texts(".verdict") == [f"No 66 % {quote}"]
    visit.page.reload()
    visit.page.wait_for_selector("mark")
    assert visit.texts(".chip") == ["No 66 %"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verdicts_stand_out_and_differ_in_more_than_colour(browser: Any, served: Any, scheme: str) -> None:
    visit = Visit(browser, served.url, color_scheme=scheme)
    _with_verdicts(visit, A=("yes", 0.82), B=("mixed", 0.7), C=("no", 0.6))
    visit.ask(ASKED, CONTEXT, CONTEXT, CONTEXT, titles=tuple("ABC"))
    chips = [visit.page.locator(f".chip.says-{each}") for each in ("yes", "mixed", "no")]
    assert all(chip.evaluate(_CONTRAST) >= 4.5 for chip in chips)
    style = "(chip) => getComputedStyle(chip).borderTopStyle"
    assert [chip.evaluate(style) for chip in chips] == ["solid", "dashed", "double"]
    visit.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_docs_page_names_the_routes_and_the_key(
    browser: Any, serve: Callable[..., Any], served: Any, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 700})
    page = context.new_page()
    urls: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    locked = serve(served.predictor, api_key="s3cret")
    page.goto(locked.url + "/docs")
    page.wait_for_selector(".route")
    routes = page.locator(".route h3").all_text_contents()
    assert {"POST /v1/answer", "POST /v1/answers", "GET /health/ready", "GET /metrics"} <= set(routes)
    text = page.inner_text("main")
    assert "X-API-Key: KEY" in text
    assert "Authorization: Bearer KEY" in text
    assert "This service wants a key." in text
    assert f"curl {locked.url}/v1/answer" in text
    assert page.locator(".route").first.inner_text().count("X-API-Key") == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    for selector in ("body", "a", "code", "th"):
        assert page.locator(selector).first.evaluate(_CONTRAST) >= 4.5, selector
    assert complaints == []
    assert all(url.startswith(locked.url) for url in urls), "an external request"
    context.close()


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_needs_no_sideways_scrolling(browser: Any, served: Any, width: int) -> None:
    visit = Visit(browser, served.url, viewport={"width": width, "height": 640})
    visit.ask(ASKED, "x" * 500 + CONTEXT, SILENT, titles=("y" * 200,))
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    first, second = (visit.page.locator(".card").nth(i).bounding_box() for i in range(2))
    assert first["y"] < second["y"]
    visit.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_light_and_dark(browser: Any, served: Any, scheme: str) -> None:
    visit = Visit(browser, served.url, color_scheme=scheme)
    visit.ask(ASKED, CONTEXT, SILENT, UNSURE)
    for selector in (
        "body",
        "mark",
        ".sentence",
        ".verdict",
        ".is-not-reported .verdict",
        "#summary",
        "#ask",
        ".is-unsure .verdict",
        "mark.closest",
    ):
        assert visit.page.locator(selector).first.evaluate(_CONTRAST) >= 4.5, selector
    is_dark = visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    assert is_dark == (scheme == "dark")
    visit.context.close()


_CONTRAST = """(element) => {
  const parts = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  let ground = element;
  while (parts(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor].map((c) => light(parts(c)));
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""  # noqa: E501


def test_a_key_is_asked_for_where_one_is_needed(browser: Any, serve: Callable[..., Any], served: Any) -> None:
    visit = Visit(browser, serve(served.predictor, api_key="s3cret").url)
    assert not visit.page.locator("#key").is_visible()
    visit.ask(ASKED, CONTEXT)
    assert visit.page.locator("#key").is_visible()
    visit.page.fill("#key", "s3cret")
    visit.page.click("#ask")
    visit.page.wait_for_selector("mark")
    assert visit.texts("mark") == ["3.3 mmHg"]
    visit.context.close()
