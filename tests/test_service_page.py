"""The page in a headless Chromium, against the embedded model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
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
NASTY = (
    "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    "&lt;b&gt;${1+1}</textarea></main><svg onload=\"document.title='owned'\">"
)
TIMEOUT_MS = 60_000


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

    def __init__(self, browser: Any, url: str, **context: Any) -> None:
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | context))
        self.page = self.context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.urls: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.urls.append(request.url))
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        self.page.wait_for_selector("#sample option:nth-child(2)", state="attached")

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
    assert numbers == [f"{answer.answerable:.0%}, needs {threshold:.0%}".replace("%", " %"),
                       f"{answer.score:.0%}".replace("%", " %")]  # fmt: skip
    assert "ms" in visit.page.inner_text("#summary")
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
    passages = visit.page.locator(".others li")
    assert not passages.first.is_visible(), "only on demand"
    visit.page.click(".others summary")
    assert passages.first.is_visible()
    assert passages.count() == len(answer.candidates)
    assert passages.first.inner_text().startswith(answer.candidates[0].text)


def test_several_papers_side_by_side_best_first(visit: Visit) -> None:
    visit.ask(ASKED, SILENT, CONTEXT, titles=("Nurses", "Salt"))
    assert visit.texts("h3") == ["Salt", "Nurses"]
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
    assert visit.texts("h3") == [NASTY]
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
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "text"


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


def test_examples_can_be_asked(visit: Visit) -> None:
    visit.page.select_option("#sample", "3")
    assert visit.page.locator(".paper").count() == 3
    visit.page.click("#ask")
    visit.wait()
    assert visit.page.locator(".card").count() == 3


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
    visit.ask(ASKED, CONTEXT, SILENT)
    for selector in ("body", "mark", ".sentence", ".verdict", ".is-silent .verdict", "#summary", "#ask"):
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
