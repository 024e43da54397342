"""``web/``: the TypeScript port against the library, in Node, and the page in a headless Chromium."""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import random
import shutil
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from qa_extractive import Answer, DataError, Predictor, Question
from qa_extractive._utils.sentences import split_sentences
from qa_extractive.cli import export as export_cli
from qa_extractive.errors import ModelError
from qa_extractive.export.web import LIST_FILE, write_web
from qa_extractive.inference.decoding import whole_words
from qa_extractive.inference.tokenizer_file import read_tokenizer, whole_texts
from qa_extractive.predictor import DEFAULT_MODEL
from qa_extractive.settings import EXACT

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
NODE = shutil.which("node")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAST = 0x10FFFF
MOST_DIFFERENCE = 1e-3  # of probabilities: float sums in another order
ALIKE = frozenset(["Lo", "Cn", "Co"])  # mostly ideographs, syllables and nothing: every 40th is enough

needs_build = pytest.mark.skipif(
    NODE is None or not (WEB / "node_modules").is_dir(),
    reason="no Node, or `npm --prefix web ci` was not run",
)

HARD = (
    "Ménière’s ﬁbrosis in 1,234 girls (İstanbul), naïve Ångström; q\u0307\u0323 x\u0323\u0307.",
    "가각힣 漢字カナ゙ ภาษาไทย हिन्दी עִבְרִית 👩🏽‍🔬🧬 𝒳=𝟙𝟚 \U000e0041 \ud800 lone",
    "[SEP] and [CLS] are text; ##ing too\u200b\u00ad\ufeff\ufffd\x00\x85end\u2028line\x1cgroup",
    "a" * 101 + " " + "b" * 99 + "\u0301" * 5 + " 𝅗𝅥 〪〮 \u0344 Straße ſt K Å ①²½٣",
)
TEXTS = (
    *HARD,
    "METHODS: We gave p.o. 5 mg/kg/d to 3.4 x 10^5 cells, i.e. <18 years. RESULTS: Risk fell (HR 0.71, "
    "95% CI 0.6–0.8; P<.001). S. Typhi grew in vitamin C. mRNA rose 12–18 months later, "
    "$5 million (e.g. Fig. 2).",
    "Results\n1. Pain fell by 3.3 mmHg.\n2. Sleep rose 40 %.\n\n• Nausea in 2/3\n"
    "• Costs of US$ 1 200 000. 𝒳 rose.[3,4] Ok.",
    "pain fell. it rose again! no capitals here? yes.5 Then ½ ± 0. 71 kg/m2 at −0.5 °C, 5°C, 10−5 M",
)


def _questions() -> list[Question]:
    with (ROOT / "data" / "inference_data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))[:4]
    demonstration = [Question(row["question"], row["abstract"], "A title 𝒳 " * 30) for row in rows]
    long = " ".join(f"Group {i} 🧬 got {i}.5 mg of drug {chr(65 + i % 26)}." for i in range(90))
    made = [
        Question(
            "By how much did systolic pressure fall?", "🧬𝒳 Systolic pressure 🫀 fell by 3.3 mmHg (2.1–4.5)."
        ),
        Question("Did the drug help?", "The drug 💊 helped: mortality was lower (p < 0.01)."),
        Question("What did group 71 get?", long),
        Question("What is there?", "\u200b\u00ad"),
        Question("What is there?", " \n"),
    ]
    return demonstration + made


class Peer:
    """``web/tests/peer.mjs``, which runs the port."""

    def __init__(self, folder: Path) -> None:
        command = [str(NODE), str(WEB / "tests" / "peer.mjs"), str(folder)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def ask(self, kind: str, **values: Any) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"kind": kind, **values}) + "\n")
        stdin.flush()
        reply = json.loads(stdout.readline())
        if "error" in reply:
            raise {"DataError": DataError, "ModelError": ModelError}[reply["error"]](reply["message"])
        return reply["value"]

    def close(self) -> None:
        self._process.communicate(timeout=60)


@pytest.fixture(scope="module")
def built() -> None:
    run = subprocess.run([str(NODE), "build.mjs"], cwd=WEB, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "model"
    write_web(DEFAULT_MODEL, folder)
    return folder


@pytest.fixture(scope="module")
def peer(built: None, model: Path) -> Iterator[Peer]:
    running = Peer(model)
    yield running
    running.close()


@pytest.fixture(scope="module")
def exact() -> Predictor:
    return Predictor(n_threads=1, precision=EXACT)


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    pytest.importorskip("playwright.sync_api")
    return _loaded(ROOT / "benchmarks" / "browser.py")


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- what a browser loads


def test_the_model_of_the_browser_fits_into_25_megabytes(model: Path) -> None:
    listed = json.loads((model / LIST_FILE).read_text(encoding="utf-8"))["files"]
    assert listed == {name: (model / name).stat().st_size for name in listed}
    assert {path.name for path in model.iterdir()} == {*listed, LIST_FILE}
    assert sum(path.stat().st_size for path in model.iterdir()) < 24_800_000, "200 kB are left for the page"


def test_the_form_is_written_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    export_cli.add_arguments(parser)
    options = parser.parse_args(["--form", "web", "--model", "default", "--output", str(tmp_path / "out")])
    assert export_cli.run(options) == 0
    assert "MB for the browser" in capsys.readouterr().out
    assert (tmp_path / "out" / LIST_FILE).is_file()


def test_a_folder_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no model\.onnx"):
        write_web(tmp_path, tmp_path / "out")


def test_the_generated_patterns_are_those_of_the_library() -> None:
    written = (WEB / "src" / "generated.ts").read_text(encoding="utf-8")
    assert written.startswith(_loaded(WEB / "generate.py").patterns()), "python web/generate.py"


# ---------------------------------------------------------------- the port, part by part


def _characters() -> list[str]:
    kinds = ((code, unicodedata.category(chr(code))) for code in range(LAST + 1))
    return [chr(code) for code, kind in kinds if kind != "Cs" and (kind not in ALIKE or code % 40 == 0)]


@needs_build
def test_tokens_and_offsets_of_characters_of_all_kinds(peer: Peer) -> None:
    tokenizer = whole_texts(read_tokenizer(DEFAULT_MODEL / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    characters = _characters()
    for first in range(0, len(characters), 5000):
        text = " ".join(f"ab{c}cd {c}" for c in characters[first : first + 5000])
        encoding, found = tokenizer.encode(text, add_special_tokens=False), peer.ask("encode", text=text)
        assert found["ids"] == encoding.ids, hex(first)
        assert list(zip(found["starts"], found["ends"], strict=True)) == encoding.offsets, hex(first)


@needs_build
def test_tokens_and_offsets_of_texts_put_together_at_random(peer: Peer) -> None:
    tokenizer = whole_texts(read_tokenizer(DEFAULT_MODEL / "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    choice = random.Random(5)
    for _ in range(300):
        text = "".join(choice.choices("".join(HARD), k=80)).replace("\ud800", "\ufffd")
        encoding, found = tokenizer.encode(text, add_special_tokens=False), peer.ask("encode", text=text)
        assert found["ids"] == encoding.ids, text
        assert list(zip(found["starts"], found["ends"], strict=True)) == encoding.offsets, text


@needs_build
def test_characters_have_the_classes_that_python_gives_them(peer: Peer) -> None:
    def classes(c: str) -> str:
        is_mark = unicodedata.category(c)[0] == "M"
        tests = (c.isspace(), is_mark, c.isalnum(), c.isalpha(), c.islower(), c.isupper(), c.isdigit())
        return "".join(str(int(test)) for test in tests)

    codes = [c for c in _characters() if unicodedata.category(c) != "Cn"]
    found: list[str] = []
    for first in range(0, len(codes), 5000):
        found += peer.ask("classes", text="".join(codes[first : first + 5000]))
    different = [hex(ord(c)) for c, own in zip(codes, found, strict=True) if own != classes(c)]
    assert set(different) <= {"0x295", "0x10fc", "0xa7f2", "0xa7f3", "0xa7f4", "0xab69"}, "of newer Unicode"


@needs_build
def test_sentences_are_those_of_the_library(peer: Peer) -> None:
    for text in (*TEXTS, *(question.context for question in _questions())):
        assert peer.ask("sentences", text=text) == [[s.start, s.end] for s in split_sentences(text)], text


@needs_build
def test_every_span_is_widened_as_in_the_library(peer: Peer) -> None:
    for text in TEXTS:
        spans = [(i, j) for i in range(len(text)) for j in (i + 1, i + 3, i + 11, i + 40) if j <= len(text)]
        found = peer.ask("whole", text=text, spans=spans)
        pairs = [
            (text[i:j], own, [*whole_words(text, i, j)]) for (i, j), own in zip(spans, found, strict=True)
        ]
        assert [each for each in pairs if each[1] != each[2]] == []


@needs_build
def test_windows_are_those_of_the_library(peer: Peer, exact: Predictor) -> None:
    for question in _questions():
        values = {"question": question.question, "context": question.context, "title": question.title}
        found = peer.ask("windows", question=values)
        windows = exact.windower.windows([question])
        assert [window["ids"] for window in found] == [w.token_ids.tolist() for w in windows]
        assert [window["types"] for window in found] == [w.type_ids.tolist() for w in windows]
        assert [window["first"] for window in found if window["starts"]] == [
            w.first for w in windows if len(w.offsets)
        ]
        offsets = [list(map(list, zip(window["starts"], window["ends"], strict=True))) for window in found]
        assert offsets == [w.offsets.tolist() for w in windows]


@needs_build
def test_a_question_that_is_too_long_is_refused(peer: Peer) -> None:
    for asked in ("why " * 200, "x" * 13_000):
        with pytest.raises(DataError, match="exceeds"):
            peer.ask("windows", question={"question": asked, "context": "Because."})


@needs_build
def test_answers_in_node_are_those_of_the_library(
    peer: Peer, exact: Predictor, benchmark: ModuleType
) -> None:
    for question in _questions():
        values = {"question": question.question, "context": question.context, "title": question.title}
        found = peer.ask("answer", question=values, options={})["answer"]
        _check_same(benchmark.answer_of(found, question.context), exact.answer_batch([question])[0])


@needs_build
def test_a_call_chooses_threshold_and_candidates(peer: Peer) -> None:
    values = {"question": "Did it help?", "context": "It helped 30 of 40 people. Nobody died. It was cheap."}
    one = peer.ask("answer", question=values, options={"threshold": 0, "topK": 1})["answer"]
    none = peer.ask("answer", question=values, options={"threshold": 1})["answer"]
    assert not one["abstained"]
    assert len(one["candidates"]) == 1
    assert (none["abstained"], none["text"]) == (True, "")
    assert none["candidates"][0] == one["candidates"][0]
    with pytest.raises(ModelError, match="threshold"):
        peer.ask("answer", question=values, options={"threshold": 2})


@needs_build
def test_the_package_passes_its_own_tests(built: None, model: Path) -> None:
    command = [str(NODE), "--test", "tests/package.test.mjs"]
    environment = os.environ | {"QA_EXTRACTIVE_WEB_MODEL": str(model)}
    run = subprocess.run(command, cwd=WEB, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stdout


def _check_same(found: Answer, answer: Answer) -> None:
    assert _said(found) == _said(answer)
    assert found.answerable == pytest.approx(answer.answerable, abs=MOST_DIFFERENCE)
    assert found.score == pytest.approx(answer.score, abs=MOST_DIFFERENCE)
    assert found.vote_probs == pytest.approx(answer.vote_probs, abs=MOST_DIFFERENCE)


def _said(answer: Answer) -> tuple[Any, ...]:
    spans = [(span.start, span.end, span.text) for span in answer.candidates]
    sentence = answer.sentence and answer.sentence.text
    return answer.text, answer.start, answer.end, answer.status, answer.verdict, sentence, spans


# ---------------------------------------------------------------- the page


@pytest.fixture(scope="module")
def site(
    built: None, model: Path, benchmark: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = shutil.copytree(WEB / "site", tmp_path_factory.mktemp("site"), dirs_exist_ok=True)
    shutil.copytree(model, folder / "model", dirs_exist_ok=True)
    with benchmark.served(folder) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with pytest.importorskip("playwright.sync_api").sync_playwright() as running:
        launched = running.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def page(site: str, browser: Any) -> Iterator[Any]:
    opened = browser.new_page()
    opened.set_default_timeout(120_000)
    opened.seen, opened.complaints = [], []
    opened.on("request", lambda request: opened.seen.append(request.url))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
    opened.add_init_script(
        "addEventListener('DOMContentLoaded', () => { window.shown = [];"
        "new MutationObserver(() => window.shown.push(document.getElementById('loaded').textContent))"
        ".observe(document.getElementById('loaded'), { childList: true }); });"
    )
    opened.goto(site)
    opened.wait_for_selector("body[data-ready]")
    yield opened
    opened.close()


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")


@needs_build
@needs_browser
def test_the_page_answers_without_a_server(page: Any, site: str, exact: Predictor) -> None:
    question = _questions()[4]
    page.fill("#question", question.question)
    page.fill("#context", question.context)
    page.click("#ask")
    page.wait_for_selector("#result:not([hidden])")
    answer = exact.answer_batch([question])[0]
    assert page.text_content("#quote") == answer.text != ""
    assert page.text_content("mark") == answer.text
    assert page.text_content("#text") == question.context
    assert all(url.startswith((site, "data:")) for url in page.seen), "an external request"
    assert page.complaints == []


@needs_build
@needs_browser
def test_the_page_shows_how_far_loading_is(page: Any, model: Path) -> None:
    shown = page.evaluate("window.shown")
    loaded = [float(each.split()[0]) for each in shown]
    total = float(shown[-1].split()[2])
    wasm = (WEB / "site" / "ort.wasm").stat().st_size
    listed = sum(json.loads((model / LIST_FILE).read_text(encoding="utf-8"))["files"].values())
    assert len(loaded) > 5
    assert loaded == sorted(loaded)
    assert loaded[-1] == total
    assert total == pytest.approx((listed + wasm) / 1e6, abs=0.06)


@needs_build
@needs_browser
def test_the_page_stays_responsive_while_it_answers(page: Any) -> None:
    page.fill("#question", _questions()[6].question)
    page.fill("#context", _questions()[6].context * 3)
    longest = page.evaluate(
        """async () => {
          let [longest, last, isDone] = [0, performance.now(), false];
          const tick = () => {
            longest = Math.max(longest, performance.now() - last);
            last = performance.now();
            if (!isDone) setTimeout(tick, 10);
          };
          tick();
          const began = performance.now();
          document.getElementById("form").requestSubmit();
          while (document.getElementById("ask").disabled) await new Promise((go) => setTimeout(go, 20));
          isDone = true;
          return longest / (performance.now() - began);
        }"""
    )
    assert longest < 0.5, "the page waits for the answer"


@needs_build
@needs_browser
def test_a_text_is_shown_as_text_and_a_mistake_is_named(page: Any) -> None:
    nasty = "<img src=x onerror=\"document.title='owned'\"> Nausea was seen in 4 of 10 people."
    page.fill("#question", "In how many people was nausea seen?")
    page.fill("#context", nasty)
    page.click("#ask")
    page.wait_for_selector("#result:not([hidden])")
    assert page.text_content("#text") == nasty
    assert page.title() == "Ask a paper"
    page.fill("#question", "why " * 200)
    page.click("#ask")
    page.wait_for_selector("#status:has-text('exceeds')")
    assert page.is_enabled("#ask")


@needs_build
@needs_browser
def test_the_benchmark_counts_agreement(
    built: None, exact: Predictor, benchmark: ModuleType, browser: Any
) -> None:
    questions = [
        Question("Did the drug help?", f"In {n} people the drug helped. 𝒳 It cost $5.") for n in (4, 71)
    ]
    result = benchmark.measured(exact, Predictor(n_threads=1), questions, browser)
    assert result["n_windows"] == 2
    assert result["agreement_with_exact"]["browser"]["same_best_span"] == 1.0
    assert result["bytes"]["to_load"] < 25_000_000 < result["bytes"]["to_load"] + result["bytes"]["wasm"]
    assert "| the browser | 100.0 % |" in benchmark.table(result)
    (answer,) = exact.answer_batch(questions[:1])
    other = exact.answer_batch(questions[1:])[0]
    counted = benchmark.agreement([(answer, 1.0)] * 2, [(answer, 1.0), (other, 1.0)])
    assert counted["same_best_span"] == 0.5
