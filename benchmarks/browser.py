"""The browser's answers beside the library's: the same best spans, time and size.

    npm --prefix web ci && npm --prefix web run build
    python benchmarks/browser.py --data F [F ...] --output benchmarks/results/browser.json

Windows are made of examples spread evenly over the data, each with the question of another row beside its
own until there are enough; only texts of one window are taken. All are answered, one at a time, by
``Predictor(precision="exact")``, natively and, in headless Chromium, by the worker of ``web/`` from a plain
file server.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from playwright.sync_api import Browser, sync_playwright

from qa_extractive import Answer, Predictor, Question
from qa_extractive.data.loading import load_examples
from qa_extractive.export.web import write_web
from qa_extractive.settings import EXACT
from qa_extractive.types import Span

SITE = Path(__file__).resolve().parents[1] / "web" / "site"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_CHUNK = 20  # questions of a turn: the browser, native and exact products one after the other

_ANSWER_ALL = """async (questions) => {
  const answers = [];
  for (const question of questions) {
    const began = performance.now();
    const answer = await window.ask({ kind: "answer", question, options: {} });
    answers.push({ answer, seconds: (performance.now() - began) / 1000 });
  }
  return answers;
}"""
_START = """async ([model, wasm]) => {
  const worker = new Worker("./worker.js", { type: "module" });
  const waiting = new Map();
  let last = 0;
  worker.addEventListener("message", ({ data }) => {
    if (data.kind === "done") waiting.get(data.id)[0](data.value);
    if (data.kind === "failed") waiting.get(data.id)[1](new Error(data.message));
  });
  window.ask = (asked) => new Promise((...both) => {
    waiting.set(++last, both);
    worker.postMessage({ ...asked, id: last });
  });
  const absolute = (path) => new URL(path, location.href).href;
  const began = performance.now();
  await window.ask({ kind: "load", folder: absolute(model), options: { wasm: absolute(wasm) } });
  return (performance.now() - began) / 1000;
}"""

Offsets = tuple[int, int]


def main() -> None:
    """Write and print one JSON object; write a table beside it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", type=Path, required=True, metavar="F")
    parser.add_argument("--model", metavar="D", help="an exported folder (default: the embedded model)")
    parser.add_argument("--windows", type=int, default=1000, metavar="N")
    parser.add_argument("--most-tokens", type=int, default=512, metavar="N", help="leave out longer windows")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    exact = Predictor(options.model, n_threads=1, precision=EXACT)
    own = [each.question for each in load_examples(options.data).examples]
    spread = own[:: max(1, len(own) // options.windows)]
    questions = list(islice(_questions(exact, spread, options.most_tokens), options.windows))
    with sync_playwright() as driver:
        path = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        result = measured(exact, Predictor(options.model, n_threads=1), questions, browser)
    print(json.dumps(result, indent=1))
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.output.with_suffix(".md").write_text(table(result), encoding="utf-8")


def table(result: dict[str, Any]) -> str:
    """The page for people."""
    sizes = {name: n / 1e6 for name, n in result["bytes"].items()}
    load = f"{sizes['to_load']:.1f} MB, and {sizes['wasm']:.1f} MB of WebAssembly"
    names = {
        "exact": ('`precision="exact"`', f"{sizes['model.onnx']:.1f} MB"),
        "browser": ("the browser", load),
        "native": ("the int8 file, native products", f"{sizes['model.onnx']:.1f} MB"),
    }
    rows = []
    for name, (title, size) in names.items():
        agreed = result["agreement_with_exact"].get(name)
        shares = ("same_best_span", "same_spans", "same_answer")
        cells = [f"{100 * agreed[share]:.1f} %" for share in shares] if agreed else ["", "", ""]
        rows.append(f"| {title} | {' | '.join(cells)} | {result['ms_a_window'][name]:.0f} ms | {size} |")
    about = (
        f"{result['n_windows']:,} windows of {result['tokens_a_window']:.0f} tokens on average, one at a "
        "time on one thread; shares beside exact products, median times. Loading took "
        f"{result['browser_load_seconds']:.1f} s from the same machine. `python benchmarks/browser.py`; "
        f"{result['machine']}."
    )
    head = "| | same best span | same five spans | same answer | a window | size |"
    return "\n".join(
        ["# The browser beside the library", "", about, "", head, "|---|---|---|---|---|---|", *rows, ""]
    )


def _questions(predictor: Predictor, own: Sequence[Question], most_tokens: int) -> Iterator[Question]:
    for shift in range(len(own)):
        for at, each in enumerate(own):
            asked = Question(own[(at + shift) % len(own)].question, each.context, each.title)
            windows = predictor.windower.windows([asked])
            if len(windows) == 1 and windows[0].n_tokens <= most_tokens:
                yield asked


def measured(
    exact: Predictor, native: Predictor, questions: Sequence[Question], browser: Browser
) -> dict[str, Any]:
    """How far the browser and native products agree with exact ones, with times and sizes."""
    with tempfile.TemporaryDirectory() as folder:
        site = shutil.copytree(SITE, Path(folder) / "site", dirs_exist_ok=True)
        sizes = write_web(exact.folder, site / "model")
        with served(site) as url, answering(url, browser) as (ask, load_seconds):
            found: dict[str, list[tuple[Answer, float]]] = {"browser": [], "native": [], "exact": []}
            for first in range(0, len(questions), _CHUNK):
                own = questions[first : first + _CHUNK]
                found["browser"] += ask(own)
                found["native"] += [timed(native.answer_batch, [question]) for question in own]
                found["exact"] += [timed(exact.answer_batch, [question]) for question in own]
        scripts = sum((site / name).stat().st_size for name in ("index.html", "page.css", "page.js"))
        scripts += (site / "worker.js").stat().st_size
        wasm = (site / "ort.wasm").stat().st_size
    lengths = [exact.windower.windows([question])[0].n_tokens for question in questions]
    return {
        "machine": f"{platform.machine()}, onnxruntime {ort.__version__}, Chromium {browser.version}",
        "n_windows": len(questions),
        "tokens_a_window": float(np.mean(lengths)),
        "bytes": {**sizes, "page": scripts, "to_load": sum(sizes.values()) + scripts, "wasm": wasm},
        "browser_load_seconds": load_seconds,
        "agreement_with_exact": {
            name: agreement(found["exact"], own) for name, own in found.items() if name != "exact"
        },
        "ms_a_window": {
            name: 1000 * float(np.median([took for _, took in own])) for name, own in found.items()
        },
    }


def agreement(left: Sequence[tuple[Answer, float]], right: Sequence[tuple[Answer, float]]) -> dict[str, Any]:
    """Shares of questions with the same best span, all the same spans and status; the largest difference."""
    pairs = [(a, b) for (a, _), (b, _) in zip(left, right, strict=True)]
    return {
        "same_best_span": float(np.mean([_spans(a)[:1] == _spans(b)[:1] for a, b in pairs])),
        "same_spans": float(np.mean([_spans(a) == _spans(b) for a, b in pairs])),
        "same_answer": float(np.mean([_said(a) == _said(b) for a, b in pairs])),
        "largest_difference_of_answerable": max(abs(a.answerable - b.answerable) for a, b in pairs),
    }


def _spans(answer: Answer) -> list[Offsets]:
    return [(span.start, span.end) for span in answer.candidates]


def _said(answer: Answer) -> tuple[object, ...]:
    return answer.status, answer.start, answer.end, answer.verdict, answer.sentence and answer.sentence.text


def timed(
    answer_batch: Callable[[list[Question]], list[Answer]], questions: list[Question]
) -> tuple[Answer, float]:
    """An answer with the seconds that it took."""
    began = time.perf_counter()
    (answer,) = answer_batch(questions)
    return answer, time.perf_counter() - began


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A plain file server of a folder; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


Ask = Callable[[Sequence[Question]], list[tuple[Answer, float]]]


@contextmanager
def answering(url: str, browser: Browser) -> Iterator[tuple[Ask, float]]:
    """What answers in a browser with the worker of a site, and the seconds that loading took."""
    page = browser.new_page()
    page.goto(url + "page.css")  # a page of the site that loads no model itself
    seconds = page.evaluate(_START, ["./model", "./ort.wasm"])

    def ask(questions: Sequence[Question]) -> list[tuple[Answer, float]]:
        plain = [{"question": q.question, "context": q.context, "title": q.title} for q in questions]
        found = page.evaluate(_ANSWER_ALL, plain)
        return [
            (answer_of(each["answer"], question.context), each["seconds"])
            for each, question in zip(found, questions, strict=True)
        ]

    yield ask, seconds
    page.close()


def answer_of(values: dict[str, Any], context: str) -> Answer:
    """An answer of ``web/`` as the library gives it, with its offsets counted in code points."""
    starts = _code_points(context)

    def span(each: dict[str, Any]) -> Span:
        return Span.cut(context, starts[each["start"]], starts[each["end"]], each["score"])

    is_given = not values["abstained"]
    return Answer(
        values["text"],
        starts[values["start"]] if is_given else 0,
        starts[values["end"]] if is_given else 0,
        values["score"],
        values["answerable"],
        values["abstained"],
        span(values["sentence"]) if values["sentence"] else None,
        tuple(span(each) for each in values["candidates"]),
        values["verdict"],
        values["verdictProbs"] and tuple(values["verdictProbs"]),
        values["voteProbs"] and tuple(values["voteProbs"]),
    )


def _code_points(text: str) -> dict[int, int]:
    """The code point offset of each UTF-16 offset where a character begins, and of the end."""
    found, at = {}, 0
    for index, character in enumerate(text):
        found[at] = index
        at += 2 if ord(character) > 0xFFFF else 1
    found[at] = len(text)
    return found


if __name__ == "__main__":
    main()
