from __future__ import annotations

import http.client
import json
import logging
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qa_extractive import Predictor, Question
from qa_extractive.errors import DataError, ModelError
from qa_extractive.inference.backend import Backend, WindowLogits
from qa_extractive.inference.windows import Window
from qa_extractive.predictor import to_answer

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi")

from qa_extractive.service.logs import JsonFormatter  # noqa: E402
from qa_extractive.service.page import page_files  # noqa: E402
from qa_extractive.service.settings import ServiceSettings  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ASKED = "By how much did systolic pressure fall?"
CONTEXT = "🧂 We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
OTHER = "We measured the sleep of 90 nurses. Those on night shifts slept 1.4 hours less."
ONE = {"question": ASKED, "context": CONTEXT}
TIMEOUT = 240


class Gate:
    """A backend that answers only while the gate is open, and notes how many windows it saw."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.gate = threading.Event()
        self.gate.set()
        self.n_windows = 0
        self.is_broken = False

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        self.n_windows += len(windows)
        assert self.gate.wait(30.0)
        if self.is_broken:
            raise ModelError("it broke")
        return self._backend.run(windows)


class Flat:
    """A backend that costs nothing."""

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        return [
            WindowLogits(np.zeros(w.n_tokens, np.float32), np.zeros(w.n_tokens, np.float32), 0.0)
            for w in windows
        ]


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
    return serve(predictor, read_timeout_s=1.0, max_questions=50, max_context_characters=100_000)


def post(served: Any, path: str, body: Any, **more: Any) -> Any:
    return requests.post(served.url + path, json=body, timeout=TIMEOUT, **more)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came about")


def sample(served: Any, name: str) -> float:
    """One value of the metrics."""
    text = requests.get(served.url + "/metrics", timeout=TIMEOUT).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def raw(served: Any, head: str, body: bytes = b"") -> tuple[socket.socket, bytes]:
    """Send bytes as they are; the socket and the first line of what came back."""
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    connection.sendall(head.replace("\n", "\r\n").encode() + body)
    return connection, connection.recv(65536).split(b"\r\n")[0]


# ---------------------------------------------------------------- answers


def test_one_answer_is_the_predictors_with_its_envelope(served: Any, predictor: Predictor) -> None:
    response = post(served, "/v1/answer", ONE)
    assert response.status_code == 200
    body = response.json()
    expected = predictor.answer(ASKED, CONTEXT).to_dict()
    assert {name: body.pop(name) for name in expected} == expected
    assert expected["text"] == "3.3 mmHg"
    assert CONTEXT[expected["start"] : expected["end"]] == "3.3 mmHg", "code points, an emoji before them"
    assert body.pop("timing").keys() == {"tokenize_ms", "queue_ms", "model_ms", "total_ms"}
    assert body.pop("request_id") == response.headers["X-Request-ID"]
    assert body.pop("calibration")["n_examples"] == predictor.calibration.n_examples
    assert body == {
        "threshold": predictor.threshold,
        "model": "default",
        "offset_unit": "unicode code point",
    }


def test_the_callers_threshold_and_top_k_hold(served: Any, predictor: Predictor) -> None:
    body = post(served, "/v1/answer", ONE | {"threshold": 1.0, "top_k": 2}).json()
    assert body["abstained"]
    assert (body["text"], body["sentence"], body["threshold"]) == ("", None, 1.0)
    expected = predictor.answer(ASKED, CONTEXT).to_dict()["candidates"]
    assert body["candidates"] == expected[:2]
    question = Question(
        ASKED, " ".join(f"In {year} it fell by {year % 7} mmHg." for year in range(1900, 2020))
    )
    (prediction,) = predictor.read_batch([question])
    full = to_answer(
        question, prediction, predictor.calibration, predictor.settings.chosen(0.0, 20)
    ).to_dict()["candidates"]
    assert len(full) > predictor.top_k
    body = post(served, "/v1/answer", {"question": ASKED, "context": question.context, "top_k": 20}).json()
    assert body["candidates"] == full


def test_many_answers_in_the_order_asked(served: Any, predictor: Predictor) -> None:
    items = [{"question": f"{i}: {ASKED}", "context": CONTEXT[i:], "title": "Salt"} for i in range(5)]
    body = post(served, "/v1/answers", {"questions": items}).json()
    assert [a.pop("index") for a in body["answers"]] == list(range(5))
    assert body["answers"] == [a.to_dict() for a in predictor.answer_batch([Question(**i) for i in items])]


def test_papers_come_best_first(served: Any, predictor: Predictor) -> None:
    contexts = [OTHER, CONTEXT, "", "Systolic pressure fell, we believe."]
    body = post(
        served, "/v1/answers", {"question": ASKED, "papers": [{"context": c} for c in contexts]}
    ).json()
    answers = predictor.answer_batch([Question(ASKED, c) for c in contexts])
    expected = sorted(range(4), key=lambda i: (answers[i].abstained, -answers[i].score))
    assert [a["index"] for a in body["answers"]] == expected
    assert body["answers"][0]["text"] == "3.3 mmHg"
    assert body["answers"][-1]["abstained"]


def test_the_same_questions_of_every_paper(served: Any, predictor: Predictor) -> None:
    questions = [ASKED, "How many nurses were measured?"]
    papers = [{"context": OTHER, "title": "Nurses"}, {"context": CONTEXT}, {"context": ""}]
    body = post(served, "/v1/answers", {"questions": questions, "papers": papers, "top_k": 2}).json()
    assert [(paper["index"], paper["title"]) for paper in body["papers"]] == [
        (0, "Nurses"), (1, None), (2, None)
    ]  # fmt: skip
    for paper in body["papers"]:
        given = papers[paper["index"]]
        assert [answer["index"] for answer in paper["answers"]] == [0, 1]
        for answer in paper["answers"]:
            asked = Question(questions[answer.pop("index")], **given)
            expected = predictor.answer(asked.question, asked.context, asked.title).to_dict()
            assert answer == expected | {"candidates": expected["candidates"][:2]}
    statuses = [[answer["status"] for answer in paper["answers"]] for paper in body["papers"]]
    assert (statuses[1][0], statuses[2]) == ("answered", ["not_reported"] * 2)
    assert body["threshold"] == predictor.threshold
    assert "answers" not in body


def test_the_status_tells_three_states_apart(served: Any, predictor: Predictor) -> None:
    expected = predictor.answer(ASKED, CONTEXT)
    assert post(served, "/v1/answer", ONE).json()["status"] == "answered"
    unsure = post(served, "/v1/answer", ONE | {"threshold": 1.0}).json()
    assert (unsure["status"], unsure["abstained"], unsure["text"]) == ("unsure", True, "")
    assert unsure["candidates"][0]["text"] == expected.text, "the closest"
    infer = {
        "inputs": [tensor("question", [ASKED] * 2), tensor("context", [CONTEXT, ""])],
        "parameters": {"threshold": 1.0},
        "outputs": [{"name": "status"}, {"name": "best"}],
    }
    got = post(served, "/v2/models/default/infer", infer).json()
    assert [each["data"] for each in got["outputs"]] == [["unsure", "not_reported"], [expected.text, ""]]


@pytest.mark.parametrize("context", ["", " \n\u00a0"])
def test_an_empty_context_is_an_abstention_everywhere(served: Any, context: str) -> None:
    one = {"question": ASKED, "context": context}
    answers = [
        post(served, "/v1/answer", one).json(),
        *post(served, "/v1/answers", {"questions": [one]}).json()["answers"],
        *post(served, "/v1/answers", {"question": ASKED, "papers": [{"context": context}]}).json()["answers"],
        *post(served, "/v1/answers", {"questions": [ASKED], "papers": [{"context": context}]}).json()[
            "papers"
        ][0]["answers"],
    ]
    assert [(a["status"], a["text"], a["candidates"]) for a in answers] == [("not_reported", "", [])] * 4
    inputs = {"inputs": [tensor("question", [ASKED]), tensor("context", [context])]}
    outputs = post(served, "/v2/models/default/infer", inputs).json()["outputs"]
    assert {each["name"]: each["data"] for each in outputs}["abstained"] == [True]


def test_batching_changes_no_answer(served: Any, predictor: Predictor) -> None:
    contexts = [CONTEXT, OTHER, CONTEXT * 8, OTHER + CONTEXT, " ", "x"]
    asked = [
        (Question(f"{i} {ASKED}", contexts[i % 6]), [None, 0.0, 0.9][i % 3], [1, 5, 20][i % 3])
        for i in range(36)
    ]

    def ask(each: tuple[Question, float | None, int]) -> Any:
        question, threshold, top_k = each
        body = {"question": question.question, "context": question.context, "top_k": top_k}
        return post(
            served, "/v1/answer", body | ({} if threshold is None else {"threshold": threshold})
        ).json()

    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(ask, asked))
    predictions = predictor.read_batch([question for question, _, _ in asked])
    for body, prediction, (question, threshold, top_k) in zip(got, predictions, asked, strict=True):
        limit = predictor.threshold if threshold is None else threshold
        answer = to_answer(
            question, prediction, predictor.calibration, predictor.settings.chosen(limit, top_k)
        )
        assert {name: body[name] for name in answer.to_dict()} == answer.to_dict()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("path", "body", "fields"),
    [
        ("/v1/answer", {"context": "c"}, ["question"]),
        ("/v1/answer", {"question": " \x1f\x85", "context": "c"}, ["question"]),
        ("/v1/answer", {"question": "q", "context": "c", "contxt": "d"}, ["contxt"]),
        ("/v1/answer", {"question": "q", "context": 3, "top_k": 21}, ["context", "top_k"]),
        ("/v1/answer", {"question": "q", "context": "c", "top_k": "5"}, ["top_k"]),
        ("/v1/answer", {"question": "q " * 300, "context": "c"}, ["question"]),
        ("/v1/answer", [], ["body"]),
        ("/v1/answers", {}, ["questions"]),
        ("/v1/answers", {"questions": []}, ["questions"]),
        ("/v1/answers", {"questions": [ONE, {"question": "q"}]}, ["questions[1].context"]),
        ("/v1/answers", {"questions": [ONE, ONE | {"question": "q " * 300}]}, ["questions[1].question"]),
        ("/v1/answers", {"question": "q", "papers": [{"context": "c", "title": 1}]}, ["papers[0].title"]),
        ("/v1/answers", {"question": "q " * 300, "papers": [{"context": "c"}]}, ["question"]),
        ("/v1/answers", {"question": "q", "papers": [{"context": "c"}] * 51}, ["papers"]),
        ("/v1/answers", {"questions": [ONE] * 51}, ["questions"]),
        ("/v1/answers", {"questions": ["q"] * 11, "papers": [{"context": "c"}] * 5}, ["papers"]),
        ("/v1/answers", {"questions": ["q", " "], "papers": [{"context": "c"}]}, ["questions[1]"]),
        ("/v1/answers", {"questions": [ONE], "papers": [{"context": "c"}]}, ["questions[0]"]),
        ("/v1/answers", {"questions": ["q"], "papers": []}, ["papers"]),
        ("/v1/answers", {"questions": ["q", "q " * 300], "papers": [{"context": "c"}] * 2}, ["questions[1]"]),
        ("/v1/answers", {"questions": ["q"] * 2, "papers": [{"context": "c"}, {"context": "c" * 100_001}]},
         ["papers[1].context"]),
        ("/v1/answer", {"question": "q", "context": "c" * 100_001}, ["context"]),
        ("/v1/answers", {"questions": [ONE, ONE | {"context": "c" * 100_001}]}, ["questions[1].context"]),
        ("/v1/answers", {"question": "q", "papers": [{"context": "c" * 100_001}]}, ["papers[0].context"]),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(served: Any, path: str, body: Any, fields: list[str]) -> None:
    response = post(served, path, body)
    assert response.status_code == 422
    error = response.json()["error"]
    assert [each["path"] for each in error["fields"]] == fields
    assert error["message"].startswith(fields[0])
    assert error["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/v1/answer", {"context": "c"}, "question: is missing"),
        ("/v1/answer", {"question": " ", "context": "c"}, "question: must not be blank"),
        ("/v1/answer", {"question": "", "context": "c"}, "question: must not be empty"),
        ("/v1/answer", ONE | {"question": "q" * 10_001}, "question: must have at most 10000 characters"),
        ("/v1/answer", {"question": 1, "context": "c"}, "question: must be text"),
        ("/v1/answer", ONE | {"contxt": "d"}, "contxt: is no field that is known here: see /docs"),
        ("/v1/answer", ONE | {"top_k": 21}, "top_k: must be at most 20"),
        ("/v1/answer", ONE | {"top_k": 0}, "top_k: must be at least 1"),
        ("/v1/answer", ONE | {"top_k": "5"}, "top_k: must be a whole number"),
        ("/v1/answer", ONE | {"top_k": 1.5}, "top_k: must be a whole number"),
        ("/v1/answer", ONE | {"threshold": "1"}, "threshold: must be a number"),
        ("/v1/answer", ONE | {"threshold": -0.5}, "threshold: must be at least 0"),
        ("/v1/answer", [], "body: must be a JSON object"),
        ("/v1/answers", {"questions": "q"}, "questions: must be a list"),
        ("/v1/answers", {"questions": []}, "questions: must hold at least 1"),
        ("/v1/answers", {"questions": ["q"]}, "questions[0]: must be a JSON object"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_in_plain_words(served: Any, path: str, body: Any, words: str) -> None:
    error = post(served, path, body).json()["error"]
    assert error["message"] == words
    assert words == f"{error['fields'][0]['path']}: {error['fields'][0]['message']}"


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe{}", b"[" * 200_000, b'{"question": NaN', b"nul"])
def test_what_is_no_json_is_400(served: Any, body: bytes) -> None:
    response = requests.post(
        served.url + "/v1/answer", data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT
    )
    assert response.status_code == (400 if body else 422)
    assert response.json()["error"]["code"] == ("not_json" if body else "invalid_request")


@pytest.mark.parametrize("value", [b"NaN", b"Infinity", b"1e999", b'"\\ud800"', b"-0.001", b"true", b"{}"])
def test_odd_values_are_422(served: Any, value: bytes) -> None:
    body = b'{"question": "q", "context": "c", "threshold": ' + value + b"}"
    response = requests.post(
        served.url + "/v1/answer", data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT
    )
    assert response.status_code == 422
    assert response.json()["error"]["fields"][0]["path"] == "threshold"


def test_a_lone_surrogate_comes_back_as_it_was_sent(served: Any) -> None:
    text = "Pressure fell by 5 \ud83e mmHg"
    body = json.dumps({"question": "What fell?", "context": text, "threshold": 0}).encode("ascii")
    response = requests.post(
        served.url + "/v1/answer", data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT
    )
    assert response.status_code == 200
    answer = response.json()
    assert answer["text"] == text[answer["start"] : answer["end"]]
    assert answer["sentence"]["text"] == text
    asked = post(served, "/v1/answer", {"question": "What \udcff fell?", "context": text})
    assert asked.json()["error"]["fields"][0]["path"] == "question"


def test_unknown_paths_and_methods(served: Any) -> None:
    assert requests.get(served.url + "/v1/nothing", timeout=TIMEOUT).json()["error"]["code"] == "not_found"
    wrong = requests.get(served.url + "/v1/answer", timeout=TIMEOUT)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert wrong.json()["error"]["code"] == "method_not_allowed"


# ---------------------------------------------------------------- bodies and connections


def test_a_large_body_is_refused_before_it_is_read(served: Any) -> None:
    head = "POST /v1/answer HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 50000000\n\n"
    connection, line = raw(served, head)
    with closing(connection):
        assert line == b"HTTP/1.1 413 Content Too Large" or line.startswith(b"HTTP/1.1 413")


def test_a_client_that_sends_50_mb_sees_the_refusal(served: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
    with closing(connection):
        connection.request("POST", "/v1/answer", b"x" * 50_000_000, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 413
        assert json.load(response)["error"]["code"] == "body_too_large"


def test_a_chunked_body_is_read_to_the_cap_and_no_further(
    serve: Callable[..., Any], predictor: Predictor
) -> None:
    served = serve(predictor, max_body_mb=0.1)
    head = "POST /v1/answer HTTP/1.1\nHost: x\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    with closing(connection):
        connection.sendall(head.replace("\n", "\r\n").encode())
        chunk = b"%x\r\n%s\r\n" % (10_000, b"x" * 10_000)
        for _ in range(10):
            connection.sendall(chunk)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)  # at the cap: still fine
        connection.sendall(chunk)
        connection.settimeout(20)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    assert post(served, "/v1/answer", ONE).status_code == 200


def test_a_body_of_just_the_cap_is_read(serve: Callable[..., Any], predictor: Predictor) -> None:
    served = serve(predictor, max_body_mb=0.001)
    text = json.dumps(ONE)
    for size, status in ((1000, 200), (1001, 413)):
        response = requests.post(
            served.url + "/v1/answer",
            data=text.ljust(size).encode(),
            headers={"Content-Type": "application/json"},
            timeout=TIMEOUT,
        )
        assert response.status_code == status


def test_a_slow_client_is_told_so_and_holds_nobody_up(served: Any) -> None:
    head = "POST /v1/answer HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 500\n\n{"
    connection = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    with closing(connection):
        connection.sendall(head.replace("\n", "\r\n").encode())
        assert post(served, "/v1/answer", ONE).status_code == 200
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x00\xa5junk\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100_000]
)
def test_junk_on_the_wire_harms_nobody(served: Any, junk: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        connection.sendall(junk)
        connection.recv(100)
    assert post(served, "/v1/answer", ONE).status_code == 200


# ---------------------------------------------------------------- queue, deadline, cancellation


@pytest.fixture
def gate(serve: Callable[..., Any]) -> Iterator[tuple[Any, Gate]]:
    predictor, gate = gated()
    served = serve(predictor, max_queue=3, max_wait_ms=0.0)
    gate.n_windows = 0
    yield served, gate
    gate.gate.set()


def test_a_full_queue_refuses_and_says_when_to_come_back(gate: tuple[Any, Gate]) -> None:
    served, model = gate
    model.gate.clear()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(post, served, "/v1/answer", ONE) for _ in range(3)]
        until(lambda: sample(served, "qa_queue_requests") == 3)
        refused = post(served, "/v1/answer", ONE)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
        assert int(refused.headers["Retry-After"]) >= 1
        model.gate.set()
        assert [each.result().status_code for each in waiting] == [200] * 3
    assert post(served, "/v1/answer", ONE).status_code == 200
    assert sample(served, "qa_queue_requests") == 0


def test_a_caller_who_left_costs_no_compute(gate: tuple[Any, Gate]) -> None:
    served, model = gate
    model.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        held = []
        for n_held in (1, 2):  # one batch each
            held.append(pool.submit(post, served, "/v1/answer", ONE))
            until(lambda: model.n_windows == n_held)  # noqa: B023 - over before the next
        body = json.dumps(ONE).encode()
        head = f"POST /v1/answer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
            until(lambda: sample(served, "qa_queue_requests") == 3)
        until(lambda: sample(served, "qa_queue_requests") == 2)
        model.gate.set()
        assert [each.result().status_code for each in held] == [200] * 2
    assert post(served, "/v1/answer", ONE).status_code == 200
    assert model.n_windows == 3
    assert sample(served, 'qa_requests_total{route="/v1/answer",status="499"}') == 1


def test_the_deadline_is_504_and_stops_the_work(serve: Callable[..., Any]) -> None:
    predictor, model = gated()
    served = serve(predictor, deadline_s=0.3, max_batch_tokens=64)
    model.n_windows = 0
    model.gate.clear()
    response = post(served, "/v1/answers", {"questions": [ONE] * 30})
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline")
    model.gate.set()
    assert sample(served, "qa_queue_tokens") == 0
    assert model.n_windows <= 4
    assert post(served, "/v1/answer", ONE).status_code == 200


def test_a_broken_model_is_500_and_the_service_goes_on(gate: tuple[Any, Gate]) -> None:
    served, model = gate
    model.is_broken = True
    response = post(served, "/v1/answer", ONE)
    assert (response.status_code, response.json()["error"]["code"]) == (500, "model_failed")
    assert "it broke" not in response.text
    model.is_broken = False
    assert post(served, "/v1/answer", ONE).status_code == 200


def test_ten_thousand_questions_in_one_call(serve: Callable[..., Any]) -> None:
    predictor = Predictor(n_threads=1)
    predictor._backend = Flat()
    served = serve(predictor, max_questions=10_000, deadline_s=240.0)
    items = [{"question": f"q {i}", "context": f"The answer is {i}."} for i in range(10_000)]
    body = post(served, "/v1/answers", {"questions": items, "top_k": 1}).json()
    assert [a["index"] for a in body["answers"]] == list(range(10_000))
    assert all(
        c["text"] in f"The answer is {i}."
        for i in (0, 63, 64, 9_999)
        for c in body["answers"][i]["candidates"]
    )


# ---------------------------------------------------------------- keys, origins, ids, logs, metrics


def test_the_api_key(serve: Callable[..., Any], predictor: Predictor) -> None:
    served = serve(predictor, api_key="s3cret")
    infer = "/v2/models/default/infer"
    for path in ("/v1/answer", infer, "/v1/nothing"):
        for headers in ({}, {"X-API-Key": "s3cre"}, {"Authorization": "Basic s3cret"}, {"X-API-Key": "\xe9"}):
            refused = requests.post(served.url + path, b"x" * 100, headers=headers, timeout=TIMEOUT)
            assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    for headers in (
        {"X-API-Key": "s3cret"},
        {"Authorization": "Bearer s3cret"},
        {"Authorization": "bearer  s3cret"},
    ):
        assert post(served, "/v1/answer", ONE, headers=headers).status_code == 200
    for path in ("/", "/health/ready", "/v2/health/live", "/openapi.json"):
        assert requests.get(served.url + path, timeout=TIMEOUT).status_code == 200
    paths = requests.get(served.url + "/openapi.json", timeout=TIMEOUT).json()["paths"]
    assert paths["/v1/answer"]["post"]["security"] == [{"key": []}, {"header": []}]


def test_other_origins_may_call_only_if_allowed(
    serve: Callable[..., Any], predictor: Predictor, served: Any
) -> None:
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    closed = requests.options(served.url + "/v1/answer", headers=asked, timeout=TIMEOUT)
    assert "Access-Control-Allow-Origin" not in closed.headers
    opened = serve(predictor, cors_origins=("https://a.example",), api_key="k")
    allowed = requests.options(opened.url + "/v1/answer", headers=asked, timeout=TIMEOUT)
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://a.example"
    other = requests.options(
        opened.url + "/v1/answer", headers=asked | {"Origin": "https://b.example"}, timeout=TIMEOUT
    )
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [("abc-1.2_Z", True), ("x" * 64, True), ("x" * 65, False), ("a b", False), ("é", False)],
)
def test_a_sane_request_id_is_kept(served: Any, sent: str, is_kept: bool) -> None:
    response = post(served, "/v1/answer", ONE, headers={"X-Request-ID": sent.encode("latin-1")})
    given = response.headers["X-Request-ID"]
    assert (given == sent) == is_kept
    assert is_kept or re.fullmatch("[0-9a-f]{32}", given)
    assert response.json()["request_id"] == given


def test_logs_are_json_without_texts_unless_asked(
    serve: Callable[..., Any], predictor: Predictor, served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def lines() -> list[dict[str, Any]]:
        return [json.loads(JsonFormatter().format(r)) for r in caplog.records if hasattr(r, "qa_fields")]

    caplog.set_level(logging.INFO)
    post(served, "/v1/answer", ONE, headers={"X-Request-ID": "mine"})
    post(served, "/v1/answer", {"question": "secret zebra", "context": 1})
    until(lambda: {200, 422} <= {line["status"] for line in lines()})
    first = next(line for line in lines() if line["request_id"] == "mine")  # an earlier test's may come late
    assert {first[k] for k in ("request_id", "route", "status", "n_questions")} == {
        "mine",
        "/v1/answer",
        200,
        1,
    }
    assert first["ms"] >= first["total_ms"] >= first["model_ms"] > 0
    assert not any(word in caplog.text + json.dumps(lines()) for word in ("systolic", "mmHg", "zebra"))
    caplog.clear()
    post(serve(predictor, log_texts=True), "/v1/answer", ONE)
    until(lambda: any("questions" in line for line in lines()))
    full = next(line for line in lines() if "questions" in line)
    assert full["questions"][0]["context"] == CONTEXT
    assert full["answers"] == ["3.3 mmHg"]


def test_metrics(serve: Callable[..., Any], predictor: Predictor) -> None:
    served = serve(predictor)
    n_tokens = sum(w.n_tokens for w in predictor.windower.windows([Question(ASKED, CONTEXT)]))
    post(served, "/v1/answer", ONE)
    post(served, "/v1/answer", ONE | {"threshold": 1.0})
    post(served, "/v1/answer", {})
    requests.get(served.url + "/anything/at/all", timeout=TIMEOUT)
    values = {
        'qa_requests_total{route="/v1/answer",status="200"}': 2,
        'qa_requests_total{route="/v1/answer",status="422"}': 1,
        'qa_requests_total{route="other",status="404"}': 1,
        'qa_answers_total{outcome="answered"}': 1,
        'qa_answers_total{outcome="abstained"}': 1,
        "qa_tokens_total": 2 * n_tokens,
        "qa_queue_seconds_count": 2,
        "qa_tokenize_seconds_count": 2,
        "qa_model_seconds_count": 2,
        'qa_request_seconds_count{route="/v1/answer"}': 3,
        "qa_queue_requests": 0,
    }
    assert {name: sample(served, name) for name in values} == values


def test_the_page_loads_nothing_from_elsewhere(served: Any) -> None:
    for path in page_files():
        response = requests.get(served.url + path, timeout=TIMEOUT)
        assert response.status_code == 200
        assert not re.search(r"(https?:)?//[a-z]", response.text.replace("http://www.w3.org/2000/svg", ""))
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"


# ---------------------------------------------------------------- v2


def tensor(name: str, texts: list[str], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": texts} | more


def test_the_v2_protocol_in_json(served: Any, predictor: Predictor) -> None:
    assert requests.get(served.url + "/v2/health/live", timeout=TIMEOUT).json() == {"live": True}
    assert requests.get(served.url + "/v2/health/ready", timeout=TIMEOUT).json() == {"ready": True}
    metadata = requests.get(served.url + "/v2/models/default", timeout=TIMEOUT).json()
    assert [each["name"] for each in metadata["inputs"]] == ["question", "context", "title"]
    body = {
        "id": "42",
        "inputs": [
            tensor("context", [CONTEXT, OTHER]),
            tensor("question", [ASKED, ASKED], shape=[2, 1], data=[[ASKED], [ASKED]]),
        ],
        "outputs": [{"name": "answer"}, {"name": "start"}, {"name": "abstained"}],
    }
    got = post(served, "/v2/models/default/infer", body).json()
    answers = predictor.answer_batch([Question(ASKED, CONTEXT), Question(ASKED, OTHER)])
    assert (got["model_name"], got["id"]) == ("default", "42")
    assert {each["name"]: each["data"] for each in got["outputs"]} == {
        "answer": [a.text for a in answers],
        "start": [a.start for a in answers],
        "abstained": [a.abstained for a in answers],
    }


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("question", ["q"])], "inputs"),
        ([tensor("question", ["q"]), tensor("question", ["q"])], "once each"),
        ([tensor("question", ["q"]), tensor("context", ["c", "d"])], "differ in length"),
        ([tensor("question", ["q"]), tensor("context", ["c"], shape=[2])], "its shape"),
        ([tensor("question", ["q"]), tensor("context", ["c"], datatype="FP32")], "datatype"),
        ([tensor("question", [" "]), tensor("context", ["c"])], "question is empty"),
        ([tensor("question", ["q " * 300]), tensor("context", ["c"])], "exceeds"),
        ([tensor("question", ["q" * 10_001]), tensor("context", ["c"])], "exceeds 10,000"),
        ([tensor("question", ["q"] * 51), tensor("context", ["c"] * 51)], "more than the 50 of one call"),
    ],
)
def test_wrong_tensors_are_400_with_a_plain_message(served: Any, inputs: Any, message: str) -> None:
    response = post(served, "/v2/models/default/infer", {"inputs": inputs})
    assert response.status_code == 400
    assert message in response.json()["error"]
    missing = post(served, "/v2/models/nothing/infer", {"inputs": [tensor("question", ["q"])] * 2})
    assert missing.status_code in (400, 404)


def test_an_unknown_v2_model_is_404(served: Any) -> None:
    body = {"inputs": [tensor("question", [ASKED]), tensor("context", [CONTEXT])]}
    response = post(served, "/v2/models/nothing/infer", body)
    assert (response.status_code, "default" in response.json()["error"]) == (404, True)


def test_a_triton_client_succeeds(served: Any, predictor: Predictor) -> None:
    triton = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(f"127.0.0.1:{served.port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("default")
    inputs = []
    for name, texts in (("question", [ASKED, ASKED]), ("context", [CONTEXT, OTHER])):
        inputs.append(triton.InferInput(name, [2], "BYTES"))
        inputs[-1].set_data_from_numpy(np.array([t.encode() for t in texts], dtype=object))
    result = client.infer("default", inputs)
    answers = predictor.answer_batch([Question(ASKED, CONTEXT), Question(ASKED, OTHER)])
    assert result.as_numpy("answer").tolist() == [a.text for a in answers]
    assert result.as_numpy("start").tolist() == [a.start for a in answers]
    assert result.as_numpy("score").tolist() == pytest.approx([a.score for a in answers])
    client.close()


def test_binary_tensors(served: Any, predictor: Predictor) -> None:
    texts = [ASKED.encode(), CONTEXT.encode()]
    binary = [struct.pack("<I", len(text)) + text for text in texts]
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(each)}}
        for name, each in zip(("question", "context"), binary, strict=True)
    ]
    head = json.dumps({"inputs": inputs}).encode()

    def send(body: bytes, n_header: object) -> Any:
        headers = {"Inference-Header-Content-Length": str(n_header)}
        return requests.post(served.url + "/v2/models/default/infer", body, headers=headers, timeout=TIMEOUT)

    got = send(head + b"".join(binary), len(head)).json()
    assert got["outputs"][0]["data"] == [predictor.answer(ASKED, CONTEXT).text]
    for body, length in (
        (head, len(head)),
        (head + b"".join(binary)[:-3], len(head)),
        (head + b"\xff" * len(b"".join(binary)), len(head)),
        (head, 3),
        (head, "x"),
        (b"[]", 2),
        (b'{"inputs": [3]}', 15),
    ):
        assert send(body, length).status_code == 400


# ---------------------------------------------------------------- the command


def _command(*arguments: str, code: str = "", **environment: str) -> subprocess.Popen[str]:
    start = f"{code}import sys; from qa_extractive.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"
    return subprocess.Popen(
        [sys.executable, "-c", start, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def _failed(command: subprocess.Popen[str]) -> tuple[int, str]:
    _, stderr = command.communicate(timeout=120)
    return command.returncode, stderr


def test_sigterm_lets_requests_end() -> None:
    limits = ("--max-batch-tokens", "512", "--deadline-s", "120", "--drain-s", "120")
    command = _command("--port", "0", "--threads", "1", *limits)
    assert command.stderr is not None
    url = re.search(r"http://\S+:\d+/", command.stderr.readline())
    assert url
    until(lambda: _is_up(url[0]))
    with ThreadPoolExecutor(1) as pool:
        body = {"question": ASKED, "context": (OTHER + " ") * 200}
        waiting = pool.submit(requests.post, url[0] + "v1/answer", json=body, timeout=TIMEOUT)
        until(lambda: "qa_queue_requests 1.0" in requests.get(url[0] + "metrics", timeout=TIMEOUT).text)
        command.send_signal(signal.SIGTERM)
        assert waiting.result().status_code == 200
    code, stderr = _failed(command)
    assert code == 0
    assert all(json.loads(line)["time"] for line in stderr.splitlines())


def _is_up(url: str) -> bool:
    try:
        return bool(requests.get(url + "health/ready", timeout=TIMEOUT).ok)
    except requests.ConnectionError:
        return False


def test_what_stops_the_command_is_one_line(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        missing = "import sys; sys.modules['fastapi'] = None; "
        commands = {
            "is not a folder": _command("--port", "0", "--model", str(tmp_path / "none")),
            "cannot listen on": _command("--port", port),
            "--max-queue must be": _command("--max-queue", "0"),
            "QA_API_KEY is empty": _command(QA_API_KEY=""),
            "pip install 'qa-extractive[serve]'": _command("--port", "0", code=missing),
        }
        for message, command in commands.items():
            code, stderr = _failed(command)
            assert (code, stderr.count("\n")) == (2, 1), stderr
            assert message in stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"max_body_mb": 0},
        {"deadline_s": float("nan")},
        {"max_queue": 0},
        {"max_wait_ms": -1},
        {"api_key": "a b"},
    ],
)
def test_settings_check_themselves(settings: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="must be"):
        ServiceSettings(**settings)
    assert "s3cret" not in repr(ServiceSettings(api_key="s3cret"))
