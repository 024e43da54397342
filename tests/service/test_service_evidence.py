"""What papers say together over HTTP: as ``answer_papers`` has it, at once or paper by paper."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from qa_extractive import PaperText, Predictor
from qa_extractive.errors import ModelError
from qa_extractive.inference.backend import Backend, WindowLogits
from qa_extractive.inference.windows import Window
from qa_extractive.papers.types import Passage

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi")

DOES_IT = "Does the salt substitute lower blood pressure?"
HOW_MUCH = "By how much did systolic pressure fall?"
SALT = "🧂 We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
NO_SALT = "Systolic pressure did not differ between the salt substitute and table salt in 40 men."
PAPERS = [
    {
        "id": "a",
        "title": "Salt",
        "text": SALT,
        "pages": [0, 40],
        "passages": [{"heading": "Results", "start": 41, "end": 200}, {"start": 0, "end": 40}],
    },
    {"text": NO_SALT},
    {"text": " "},
]
QUESTIONS = [DOES_IT, HOW_MUCH]
BODY = {"questions": QUESTIONS, "papers": PAPERS}
MANY = {"questions": [HOW_MUCH], "papers": [{"text": f"{SALT} {i}"} for i in range(60)]}
STREAM = {"Accept": "application/x-ndjson"}
TIMEOUT = 240


class Gate:
    """A backend that answers only while the gate is open, and notes how many windows it saw.

    The gate closes by itself after some windows, and the backend fails after some.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.gate = threading.Event()
        self.gate.set()
        self.n_windows = 0
        self.closes_after = self.fails_after = 1 << 30
        self.takes_s = 0.0

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        if self.n_windows >= self.closes_after:
            self.gate.clear()
            self.closes_after = 1 << 30
        assert self.gate.wait(30.0)
        time.sleep(self.takes_s * len(windows))
        self.n_windows += len(windows)
        if self.n_windows > self.fails_after:
            raise ModelError("it broke")
        return self._backend.run(windows)


def gated() -> tuple[Predictor, Gate]:
    predictor = Predictor(n_threads=1)
    gate = Gate(predictor._backend)
    predictor._backend = gate
    return predictor, gate


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(n_threads=1)


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any], predictor: Predictor) -> Any:
    return serve(predictor, max_questions=80, max_context_characters=50_000, max_queue_mb=0.1)


def post(served: Any, body: Any, **more: Any) -> Any:
    return requests.post(served.url + "/v1/evidence", json=body, timeout=TIMEOUT, **more)


def streamed(served: Any, body: Any) -> list[Any]:
    response = post(served, body, headers=STREAM)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    return [json.loads(line) for line in response.text.splitlines()]


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came about")


def without_times(envelope: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in envelope.items() if name not in ("timing", "request_id")}


# ---------------------------------------------------------------- what comes back


def test_it_is_the_predictors_evidence(served: Any, predictor: Predictor) -> None:
    body = post(served, BODY).json()
    passages = (Passage("Results", 41, 200), Passage("", 0, 40))
    texts: list[Any] = [PaperText(SALT, "Salt", "a", passages, (0, 40)), NO_SALT, " "]
    for i, question in enumerate(QUESTIONS):
        evidence = predictor.answer_papers(question, texts)
        assert body["together"][i] == evidence.together_dict()
        for sent, said in zip(body["papers"], evidence.papers, strict=True):
            answer = sent["answers"][i]
            assert answer == said.answer.to_dict() | {"question": i} | said.place_dict()
            assert (sent["index"], sent["id"], sent["title"]) == (said.index, said.id, said.title)
    first = body["papers"][0]["answers"]
    assert (first[1]["text"], first[1]["section"], first[1]["page"]) == ("3.3 mmHg", "Results", 2)
    assert body["together"][0]["tally"]["yes"]["n"] == 1
    assert body["together"][1]["tally"] is None
    assert body["together"][1]["values"][0]["interval"] == "2.1 to 4.5"
    assert body["threshold"] == predictor.threshold
    assert body["timing"].keys() == {"tokenize_ms", "queue_ms", "model_ms", "total_ms"}


def test_a_stream_has_the_same_paper_by_paper(served: Any) -> None:
    for body in (BODY, MANY):
        whole = post(served, body).json()
        *papers, last = streamed(served, body)
        assert papers == whole.pop("papers")
        assert without_times(last) == without_times(whole)
        assert last["request_id"]


def test_lines_come_while_the_rest_is_read(serve: Callable[..., Any]) -> None:
    predictor, gate = gated()
    served = serve(predictor)
    gate.closes_after = gate.n_windows + 20
    with post(served, MANY, headers=STREAM, stream=True) as response:
        lines = response.iter_lines()
        assert json.loads(next(lines))["index"] == 0
        until(lambda: not gate.gate.is_set())
        gate.gate.set()
        assert [json.loads(line).get("index") for line in lines] == [*range(1, 60), None]


def test_thresholds(served: Any, predictor: Predictor) -> None:
    body = post(served, BODY | {"threshold": 1.0, "top_k": 1}).json()
    assert all(answer["abstained"] for paper in body["papers"] for answer in paper["answers"])
    assert body["together"][0]["tally"]["not_reported"]["n"] == 3
    risky = post(served, BODY | {"max_risk": 0.3}).json()
    assert risky["threshold"] == predictor.calibration.threshold_for_risk(0.3)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("headers", [{}, STREAM])
@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"max_risk": 0.2, "threshold": 0.2}, "max_risk", "must not be given with threshold"),
        ({"max_risk": 0.001}, "max_risk", "no threshold"),
        ({"max_risk": 0.0}, "max_risk", "greater than 0"),
        ({"papers": []}, "papers", "must hold at least 1"),
        ({"questions": []}, "questions", "must hold at least 1"),
        ({"questions": ["why " * 500]}, "questions[0]", "question of"),
        ({"questions": ["why?"] * 9, "papers": PAPERS * 9}, "papers", "27 times 9 questions"),
        ({"papers": [{"text": "x"}, {"text": "x", "pages": [4, 2]}]}, "papers[1]", "pages must be"),
        ({"papers": [{"text": "x", "pages": [0.5]}]}, "papers[0].pages[0]", "whole number"),
        ({"papers": [{"text": "x", "passages": [{"start": 4, "end": 2}]}]}, "papers[0]", "passages must"),
        ({"papers": [{"context": "x"}]}, "papers[0].text", "is missing"),
        (
            {"questions": ["Why?"], "papers": [{"text": "x"}, {"text": "y" * 50_001}]},
            "papers[1].text",
            "exceeds",
        ),
    ],
)
def test_what_is_refused(
    served: Any, headers: dict[str, str], change: dict[str, Any], path: str, message: str
) -> None:
    response = post(served, BODY | change, headers=headers)
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["fields"][0]["path"] == path
    assert message in error["fields"][0]["message"]


def test_a_stream_may_read_four_times_as_much(served: Any) -> None:
    body = {"questions": [HOW_MUCH], "papers": [{"text": "x" * 30_000}] * 4}
    response = post(served, body)
    assert response.status_code == 422
    assert "send several calls, or accept application/x-ndjson" in response.json()["error"]["message"]
    assert len(streamed(served, body)) == 5
    body["papers"] = [{"text": "x" * 30_000}] * 14
    response = post(served, body, headers=STREAM)
    assert response.status_code == 422
    assert "more than 400,000: send several calls" in response.json()["error"]["message"]


def test_an_error_in_between_is_the_last_line(serve: Callable[..., Any]) -> None:
    predictor, gate = gated()
    served = serve(predictor)
    gate.fails_after = gate.n_windows + 30
    *papers, last = streamed(served, MANY)
    assert 0 < len(papers) < 60
    assert [paper["index"] for paper in papers] == [*range(len(papers))]
    assert last["error"]["code"] == "model_failed"
    assert last["error"]["request_id"]
    assert post(served, MANY).status_code == 500
    assert post(served, MANY, headers=STREAM).status_code == 500, "from the start"


# ---------------------------------------------------------------- others, and who leaves


def test_who_leaves_stops_the_work_and_holds_no_place(serve: Callable[..., Any]) -> None:
    predictor, gate = gated()
    served = serve(predictor, max_queue=1)
    gate.closes_after = gate.n_windows + 20
    body = json.dumps(MANY).encode()
    head = f"POST /v1/evidence HTTP/1.1\nHost: x\nAccept: {STREAM['Accept']}\nContent-Length: {len(body)}\n\n"
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + body)
        assert connection.recv(12) == b"HTTP/1.1 200"
        until(lambda: not gate.gate.is_set())
    until(lambda: 'qa_requests_total{route="/v1/evidence",status="499"} 1.0' in metrics(served))
    n_seen = gate.n_windows
    gate.gate.set()
    one = {"questions": [HOW_MUCH], "papers": [{"text": SALT}]}
    assert post(served, one).status_code == 200
    assert gate.n_windows < n_seen + 30, "what nobody waits for is not read"


def metrics(served: Any) -> str:
    return str(requests.get(served.url + "/metrics", timeout=TIMEOUT).text)


def test_others_are_answered_in_between(serve: Callable[..., Any]) -> None:
    predictor, gate = gated()
    served = serve(predictor)
    gate.takes_s = 0.05
    with post(served, MANY, headers=STREAM, stream=True) as response:
        lines = response.iter_lines()
        next(lines)
        body = {"question": HOW_MUCH, "context": SALT}
        assert requests.post(served.url + "/v1/answer", json=body, timeout=TIMEOUT).status_code == 200
        n_seen = gate.n_windows
        assert len(list(lines)) == 60
    assert gate.n_windows - n_seen > 10, "long before the papers were done"


def test_a_full_queue_is_told_before_the_stream(serve: Callable[..., Any]) -> None:
    predictor, gate = gated()
    served = serve(predictor, max_queue=1)
    gate.closes_after = gate.n_windows + 20
    with post(served, MANY, headers=STREAM, stream=True) as response:
        lines = response.iter_lines()
        next(lines)
        until(lambda: not gate.gate.is_set())
        other = post(served, MANY, headers=STREAM)
        assert other.status_code == 503
        assert other.headers["Retry-After"]
        gate.gate.set()
        assert len(list(lines)) == 60


def test_a_deadline_holds_for_the_whole_and_for_each_part_of_a_stream(serve: Callable[..., Any]) -> None:
    predictor, gate = gated()
    served = serve(predictor, deadline_s=0.5)
    gate.gate.clear()
    assert post(served, MANY).status_code == 504
    assert post(served, MANY, headers=STREAM).status_code == 504
    gate.gate.set()
