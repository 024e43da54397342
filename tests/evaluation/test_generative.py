"""A generative model behind a chat endpoint: a local server says what a test told it to."""

from __future__ import annotations

import email.utils
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.cli import main
from qa_extractive.errors import QAError
from qa_extractive.evaluation import generative
from qa_extractive.evaluation.chat_endpoint import ChatEndpoint, EndpointSettings, RateLimiter
from qa_extractive.evaluation.chat_protocol import retry_after_s
from qa_extractive.evaluation.generative import (
    GenerativeSystem,
    find_quote,
    messages_for,
    open_generative,
    parse_reply,
)
from qa_extractive.evaluation.run import run_system
from qa_extractive.evaluation.usage import Prices, Usage
from qa_extractive.types import Answer, Example, Question

KEY = "sk-very-secret"
CONTEXT = "We studied 40 mice. Sleep fell by 2 h (P = 0.01). Weight did not change."
QUESTION = Question("By how much did sleep fall?", CONTEXT)


@dataclass
class Response:
    """What the server sends: a status, a body and headers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def reply(text: str | None, *, prompt: int = 100, completion: int = 10, reason: str = "stop") -> Response:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return Response(body=json.dumps({"choices": [choice], "usage": usage}).encode())


def quote(text: str) -> Response:
    return reply(json.dumps({"quote": text}))


def failure(status: int, headers: dict[str, str] | None = None, **error: Any) -> Response:
    return Response(status, json.dumps({"error": {"message": "no", **error}}).encode(), headers or {})


class Server:
    """Answers the n-th request by ``respond(body, n)`` and keeps what it was sent."""

    def __init__(self) -> None:
        self.respond: Callable[[dict[str, Any], int], Response] = lambda *_: quote("2 h")
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.n_at_once = self.most_at_once = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def say(self, *responses: Response) -> None:
        """Send these one after another, then the last again and again."""
        self.respond = lambda _, n: responses[min(n, len(responses) - 1)]

    def close(self) -> None:
        self.ended.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(server: Server) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - the handler has its own self
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    n = len(server.bodies)
                    server.bodies.append(body)
                    server.headers.append({name.lower(): value for name, value in self.headers.items()})
                    server.paths.append(self.path)
                    server.n_at_once += 1
                    server.most_at_once = max(server.most_at_once, server.n_at_once)
                try:
                    self.send(server.respond(body, n))
                except (BrokenPipeError, ConnectionResetError):  # the client did not wait
                    pass
                finally:
                    with server._lock:
                        server.n_at_once -= 1

            def send(self, response: Response) -> None:
                self.send_response(response.status)
                for name, value in {"Content-Length": str(len(response.body)), **response.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response.body)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


class FakeTime:
    """A clock that only sleeping moves; keeps the seconds slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    running = Server()
    yield running
    running.close()


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


def system_at(url: str, fake: FakeTime, **settings: Any) -> GenerativeSystem:
    given = EndpointSettings(url, **{"api_key": KEY, "n_concurrent": 1, **settings})
    return GenerativeSystem("openai:m", ChatEndpoint("m", given, clock=fake.clock, sleep=fake.sleep), given)


def numbered(n: int, context: str = CONTEXT) -> list[Question]:
    return [Question(f"question {i}?", context) for i in range(n)]


def number_of(body: dict[str, Any]) -> int:
    """Which of the ``numbered`` questions a request asks."""
    return int(body["messages"][-1]["content"].rsplit("question ", 1)[1].rstrip("?"))


# ------------------------------------------------------------------------------------- answers


def test_a_quote_is_a_verbatim_answer(server: Server, fake: FakeTime) -> None:
    system = system_at(server.url, fake, prices=Prices(2.0, 8.0), seed=5, max_tokens=99)
    server.say(reply('{"quote": "Sleep fell by 2 h"}', prompt=1000, completion=100))
    (answer,) = system.answer_batch([QUESTION])
    assert (answer.text, answer.start, answer.end) == ("Sleep fell by 2 h", 20, 37)
    assert (answer.answerable, answer.score, answer.abstained) == (1.0, 1.0, False)
    assert answer.sentence is not None
    assert answer.sentence.text == "Sleep fell by 2 h (P = 0.01)."
    assert [span.text for span in answer.candidates] == ["Sleep fell by 2 h"]
    assert fake.slept == []

    (body,) = server.bodies
    assert {name: body[name] for name in ("model", "temperature", "seed", "max_tokens")} == {
        "model": "m",
        "temperature": 0,
        "seed": 5,
        "max_tokens": 99,
    }
    assert body["messages"] == messages_for(QUESTION)
    assert server.paths == ["/v1/chat/completions"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert system.usage == Usage(
        Prices(2.0, 8.0),
        n_questions=1,
        n_requests=1,
        n_quotes=1,
        n_exact_quotes=1,
        prompt_tokens=1000,
        completion_tokens=100,
    )
    assert system.usage.cost == pytest.approx(0.0028, abs=1e-12)  # 1000 x 2 / 1e6 + 100 x 8 / 1e6
    assert system.usage.cost_per_million_questions == pytest.approx(2800.0)


def test_a_quote_that_is_not_in_the_text_is_counted_and_never_given(server: Server, fake: FakeTime) -> None:
    system = system_at(server.url, fake)
    server.say(quote("Sleep fell by two hours"), quote("sleep  FELL by 2 h"), quote("40 mice"))
    invented, folded, exact = system.answer_batch(numbered(3))
    assert invented == Answer("", 0, 0, 0.0, 0.0, abstained=True)
    assert folded.text == "Sleep fell by 2 h"
    assert exact.text == "40 mice"
    usage = system.usage
    assert (usage.n_quotes, usage.n_exact_quotes, usage.n_not_in_text) == (3, 1, 1)
    assert usage.not_in_text_share == 1 / 3


def test_no_answer_is_an_abstention(server: Server, fake: FakeTime) -> None:
    system = system_at(server.url, fake)
    server.say(reply("NO ANSWER"))
    (answer,) = system.answer_batch([QUESTION])
    assert (answer.abstained, answer.answerable, answer.candidates) == (True, 0.0, ())
    assert (system.usage.n_no_answer, system.usage.n_quotes, system.usage.not_in_text_share) == (1, 0, None)


def test_a_blank_context_is_not_asked_about(server: Server, fake: FakeTime) -> None:
    system = system_at(server.url, fake)
    assert system.answer_batch([Question("What?", " \n")])[0].abstained
    assert (server.bodies, system.usage.n_questions) == ([], 0)
    assert system.answer_batch([]) == []


def test_a_malformed_reply_fails_its_row_alone_and_no_row_is_asked_twice(
    server: Server, fake: FakeTime
) -> None:
    system = system_at(server.url, fake)
    server.say(quote("40 mice"), reply("I think\nit was two."), quote("40 mice"))
    examples = [Example(str(i), q, ("40 mice",)) for i, q in enumerate(numbered(3))]
    results = run_system(system, examples)
    assert [row.text for row in results.rows] == ["40 mice", "", "40 mice"]
    problem = results.rows[1].outcome
    assert isinstance(problem, QAError)
    assert str(problem) == "openai:m: its reply is not the JSON asked for: 'I think it was two.'"
    assert len(server.bodies) == 3
    usage = system.usage
    assert (usage.n_failed, usage.n_malformed, usage.n_questions, usage.n_requests) == (1, 1, 3, 3)
    assert usage.completion_tokens == 30  # a malformed reply is paid for, too
    server.say(reply("?"))
    with pytest.raises(QAError, match="not the JSON"):
        system.answer_batch([QUESTION])


def test_a_reply_that_was_cut_says_so(server: Server, fake: FakeTime) -> None:
    server.say(reply('{"quote": "Sleep fe', reason="length"), reply(None, reason="length"))
    first, second = system_at(server.url, fake).answer_rows(numbered(2))
    assert "it was cut: allow it more tokens" in str(first)
    assert str(second) == "openai:m: its reply is empty; it was cut: allow it more tokens"


# ------------------------------------------------------------------------------------- retries


@pytest.mark.parametrize("n_seconds", [7, 300])
def test_429_waits_as_long_as_it_is_told_to(server: Server, fake: FakeTime, n_seconds: int) -> None:
    server.say(failure(429, {"Retry-After": str(n_seconds)}), quote("40 mice"))
    system = system_at(server.url, fake)
    assert system.answer_batch([QUESTION])[0].text == "40 mice"
    assert fake.slept == [n_seconds]
    assert (system.usage.n_requests, system.usage.n_questions) == (2, 1)


def test_429_that_wants_an_hour_fails_the_row(server: Server, fake: FakeTime) -> None:
    server.say(failure(429, {"Retry-After": "3600"}))
    (problem,) = system_at(server.url, fake).answer_rows([QUESTION])
    assert "HTTP 429 no; it asks to wait 3,600 s" in str(problem)
    assert (fake.slept, len(server.bodies)) == ([], 1)


def test_retry_after_may_be_a_date() -> None:
    assert 50 < retry_after_s(email.utils.formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after_s(email.utils.formatdate(time.time() - 60, usegmt=True)) == 0.0
    values = [None, "", "soon", "-3", "nan", "inf", "1.5"]
    assert [retry_after_s(value) for value in values] == [0, 0, 0, 0, 0, 0, 1.5]


def test_500s_are_retried_ever_more_slowly_and_then_fail_their_row_alone(
    server: Server, fake: FakeTime
) -> None:
    def respond(body: dict[str, Any], _: int) -> Response:
        return failure(503) if number_of(body) == 1 else quote("40 mice")

    server.respond = respond
    system = system_at(server.url, fake, n_retries=3)
    first, second, third = system.answer_rows(numbered(3))
    assert isinstance(first, Answer)
    assert isinstance(third, Answer)
    assert str(second) == f"{server.url}/chat/completions: HTTP 503 no, tried 4 times"
    assert len(fake.slept) == 3
    for slept, longest in zip(fake.slept, (0.5, 1.0, 2.0), strict=True):
        assert longest / 2 <= slept <= longest
    assert (system.usage.n_requests, system.usage.n_failed) == (6, 1)


def test_rows_that_fail_with_500s_do_not_end_the_run(server: Server, fake: FakeTime) -> None:
    server.respond = lambda body, _: failure(500) if number_of(body) < 5 else quote("40 mice")
    outcomes = system_at(server.url, fake, n_retries=1).answer_rows(numbered(6))
    assert [isinstance(outcome, Answer) for outcome in outcomes] == [False] * 5 + [True]


def test_a_request_that_takes_too_long_is_made_again(server: Server, fake: FakeTime) -> None:
    def respond(_: dict[str, Any], n: int) -> Response:
        if n == 0:
            server.ended.wait(60)
        return quote("40 mice")

    server.respond = respond
    system = system_at(server.url, fake, timeout_s=0.3, n_retries=20)
    assert system.answer_batch([QUESTION])[0].text == "40 mice"
    assert len(server.bodies) >= 2
    assert len(fake.slept) == len(server.bodies) - 1


def test_a_response_that_breaks_off_is_asked_for_again(server: Server, fake: FakeTime) -> None:
    broken = Response(body=b'{"choices": [', headers={"Content-Length": "1000"})
    server.say(broken, Response(body=b"<html>"), quote("40 mice"))
    assert system_at(server.url, fake).answer_batch([QUESTION])[0].text == "40 mice"
    assert len(server.bodies) == 3


def test_a_server_that_is_never_reached_is_given_up(fake: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    system = system_at(url, fake, n_retries=2)
    problems = [str(outcome) for outcome in system.answer_rows(numbered(6))]
    assert all(f"{url}/chat/completions: ConnectError: " in problem for problem in problems)
    assert all("tried 3 times" in problem for problem in problems)
    assert (system.usage.n_requests, system.usage.n_failed) == (3 * 3, 6)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (failure(401, message=f"bad key {KEY}"), r"HTTP 401 bad key \*\*\*; is the key set, and right\?"),
        (failure(402), "HTTP 402"),
        (failure(404, message="no model m"), "HTTP 404 no model m"),
        (failure(429, code="insufficient_quota"), "HTTP 429"),
        (Response(302, headers={"Location": "http://elsewhere/"}), "redirects to http://elsewhere/"),
    ],
)
def test_what_no_other_row_can_escape_is_asked_once(
    server: Server, fake: FakeTime, response: Response, message: str
) -> None:
    server.say(response)
    outcomes = system_at(server.url, fake).answer_rows(numbered(4))
    assert (len(server.bodies), fake.slept) == (1, [])
    for outcome in outcomes:
        with pytest.raises(QAError, match=message) as caught:
            raise outcome if isinstance(outcome, QAError) else AssertionError
        assert KEY not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (failure(400, message="context\ntoo long"), "HTTP 400 context too long"),
        (Response(400, b"<html>oh</html>"), "HTTP 400 <html>oh</html>"),
        (Response(422, b'{"error": "plain words"}'), "HTTP 422 plain words"),
        (Response(403, b'{"message": "flagged"}'), "HTTP 403 flagged"),
        (Response(200, b'{"error": {"message": "upstream", "code": 400}}'), "HTTP 400 upstream"),
        (Response(200, b'{"hello": 1}'), "no chat completion"),
        (Response(200, b"[]"), "no chat completion"),
    ],
)
def test_other_refusals_fail_their_row_without_a_retry(
    server: Server, fake: FakeTime, response: Response, message: str
) -> None:
    server.say(response, quote("40 mice"))
    first, second = system_at(server.url, fake).answer_rows(numbered(2))
    assert message in str(first)
    assert isinstance(second, Answer)
    assert (len(server.bodies), fake.slept) == (2, [])


def test_an_error_inside_a_200_is_retried_like_one_outside(server: Server, fake: FakeTime) -> None:
    server.say(Response(200, b'{"error": {"message": "busy", "code": 503}}'), quote("40 mice"))
    assert system_at(server.url, fake).answer_batch([QUESTION])[0].text == "40 mice"
    assert len(fake.slept) == 1


def test_parameters_that_a_model_does_not_take_are_renamed_or_left_out(
    server: Server, fake: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    server.say(
        failure(400, param="max_tokens"),
        failure(400, param="temperature"),
        quote("40 mice"),
        quote("40 mice"),
    )
    system = system_at(server.url, fake)
    with caplog.at_level(logging.WARNING):
        assert len(system.answer_batch(numbered(2))) == 2
    sent = [sorted(set(body) - {"model", "messages"}) for body in server.bodies]
    assert sent == [
        ["max_tokens", "seed", "temperature"],
        ["max_completion_tokens", "seed", "temperature"],
        ["max_completion_tokens", "seed"],
        ["max_completion_tokens", "seed"],
    ]
    assert system.usage.refused_parameters == ("temperature",)
    assert caplog.messages == ["m takes no temperature: it is left out"]


# ------------------------------------------------------------------------------------- pace


def test_the_rate_is_limited(fake: FakeTime) -> None:
    limiter = RateLimiter(120.0, clock=fake.clock, sleep=fake.sleep)
    for _ in range(4):
        limiter.wait()
    assert fake.slept == [0.5, 0.5, 0.5]
    fake.now += 10.0  # time that passed unused is not saved up
    limiter.wait()
    limiter.wait()
    assert fake.slept == [0.5] * 4
    limiter.hold(3.0)
    limiter.wait()
    assert fake.slept[4:] == [3.0]


def test_without_a_limit_nothing_waits(fake: FakeTime) -> None:
    limiter = RateLimiter(None, clock=fake.clock, sleep=fake.sleep)
    for _ in range(9):
        limiter.wait()
    assert fake.slept == []


def test_retries_are_held_to_the_rate_too(server: Server, fake: FakeTime) -> None:
    server.say(failure(429, {"Retry-After": "1"}), quote("40 mice"))
    system = system_at(server.url, fake, requests_per_minute=6.0)
    assert len(system.answer_batch(numbered(2))) == 2
    assert fake.slept == [10.0, 10.0]  # each request 10 s after the last, which is later than the one second


def test_requests_run_at_once_and_come_back_in_order(server: Server, fake: FakeTime) -> None:
    together = threading.Barrier(3)
    context = " ".join(f"word{i}" for i in range(9))

    def respond(body: dict[str, Any], _: int) -> Response:
        together.wait(timeout=60)  # passes only if three are here
        return quote(f"word{number_of(body)}")

    server.respond = respond
    system = system_at(server.url, fake, n_concurrent=3)
    answers = system.answer_batch(numbered(9, context))
    assert [answer.text for answer in answers] == [f"word{i}" for i in range(9)]
    assert server.most_at_once == 3
    assert (system.usage.n_quotes, system.usage.prompt_tokens) == (9, 900)


# ------------------------------------------------------------------------------------- key and settings


def test_openai_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(QAError, match="openai:gpt needs a key: set OPENAI_API_KEY"):
        open_generative("gpt")
    monkeypatch.setenv("OPENAI_API_KEY", " \n")
    with pytest.raises(QAError, match="needs a key"):
        open_generative("gpt")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-é")
    with pytest.raises(QAError, match="holds characters that no key has") as caught:
        open_generative("gpt")
    assert "sk-" not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    assert open_generative("gpt").name == "openai:gpt"
    assert EndpointSettings().api_key == KEY
    assert KEY not in repr(EndpointSettings())
    with pytest.raises(QAError, match="names no model"):
        open_generative(" ")


def test_the_key_is_in_no_log(server: Server, fake: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    server.say(failure(500), failure(401, message=f"bad key {KEY}"))
    with caplog.at_level(logging.DEBUG):
        (problem,) = system_at(server.url, fake).answer_rows([QUESTION])
    assert "bad key ***" in str(problem)
    assert caplog.messages, "the client logs its requests"
    assert KEY not in caplog.text


def test_a_host_that_no_request_can_name_fails_its_rows(fake: FakeTime) -> None:
    system = system_at(f"http://{'a' * 64}.example/v1", fake, n_retries=0)
    assert all(isinstance(outcome, QAError) for outcome in system.answer_rows(numbered(2)))


def test_without_the_package_the_command_to_install_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    data = tmp_path / "data.csv"
    data.write_text("id,question,context,answer\na,How many?,We saw 40 mice.,40")
    arguments = ["--data", str(data), "--model", "openai:m", "--openai-base-url", "http://localhost:1/v1"]
    assert main(["evaluate", *arguments, "--output", str(tmp_path / "out")]) == 2
    says = "error: openai is not installed: pip install 'qa-extractive[teacher]'\n"
    assert capsys.readouterr().err == says


def test_a_local_server_needs_none(server: Server, fake: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = EndpointSettings(server.url + "/")
    assert open_generative("m", settings).answer_batch([QUESTION])[0].text == "2 h"
    assert "authorization" not in server.headers[0]
    assert server.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "localhost:8000"}, "is not like http://localhost:8000/v1"),
        ({"base_url": "file:///etc/passwd"}, "is not like"),
        ({"base_url": "http://[::1"}, "is not like"),
        ({"base_url": "http://host:port/v1"}, "is not like"),
        ({"base_url": "http://host/v1?x=1"}, "is not like"),
        ({"base_url": "http://ho st/v1"}, "is not like"),
        ({"base_url": "http://me:secret@host/v1"}, "must hold no user or password"),
        ({"requests_per_minute": -1.0}, "must be positive"),
        ({"requests_per_minute": 0.0}, "must be positive"),
        ({"timeout_s": 0.0}, "must be positive"),
        ({"timeout_s": float("nan")}, "must be positive"),
        ({"n_concurrent": 0}, "at least 1"),
        ({"n_retries": -1}, "at least"),
        ({"max_tokens": 0}, "at least 1"),
    ],
)
def test_settings_check_themselves(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(QAError, match=message) as caught:
        EndpointSettings(**settings)
    assert "secret" not in str(caught.value)


# ------------------------------------------------------------------------------------- prompt and replies


def test_the_examples_keep_to_their_own_rule() -> None:
    messages = messages_for(Question("Q?", "C", " T "))
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert messages[-1]["content"] == "Title: T\nText: C\n\nQuestion: Q?"
    assert messages_for(Question("Q?", "C"))[-1]["content"] == "Text: C\n\nQuestion: Q?"
    replies = [parse_reply(m["content"]) for m in messages if m["role"] == "assistant"]
    for (shot, given), said in zip(generative._SHOTS, replies, strict=True):
        assert said == given
        assert given is None or given in shot.context
    assert None in replies


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"quote": "a b"}', "a b"),
        ('```json\n{"quote": "a"}\n```', "a"),
        ('Here it is: {"quote": "a {b}"} Done.', "a {b}"),
        ('<think>{"quote": "x"} no</think>\n{"quote": "y"}', "y"),
        ('{"quote": "x"} or rather {"quote": "y"}', "y"),
        ('{"note": 1} {"quote": "a"}', "a"),
        ('{"quote": "two\nlines"}', "two\nlines"),
        ('{"quote": "caf\\u00e9 \\"x\\""}', 'café "x"'),
        ("NO ANSWER", None),
        (" no answer.\n", None),
        ('"NO ANSWER"', None),
        ('{"quote": "NO ANSWER"}', None),
        ('{"quote": null}', None),
        ('{"quote": " "}', None),
    ],
)
def test_replies(text: str, expected: str | None) -> None:
    assert parse_reply(text) == expected


@pytest.mark.parametrize(
    "text", ["", "2 h", '{"quote": "2 h"', '{"answer": "2 h"}', '{"quote": 2}', '["2 h"]', "{" * 5000]
)
def test_replies_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="its reply is"):
        parse_reply(text)


@pytest.mark.parametrize(
    ("said", "context", "expected"),
    [
        ("fell by 2 h", CONTEXT, "fell by 2 h"),
        (" 2 h\n", CONTEXT, "2 h"),
        ("FELL  BY 2 h", CONTEXT, "fell by 2 h"),
        ("p=0.01", CONTEXT, "P = 0.01"),
        ("“Sleep fell”", CONTEXT, "Sleep fell"),
        ("TNF-alpha rose", "Then TNF–α rose.", "TNF–α rose"),
        ("cafe\u0301", "The café closed.", "café"),
        ("a\nb", "x a b y", "a b"),
        ("mous", "A mouse ran.", "mous"),  # half a word is in the text, too
        ("5", "At 15 or 5 days.", "5"),
        ("Sleep fell by two hours", CONTEXT, None),
        ("fell by 3 h", CONTEXT, None),
        ("Sleep fell ... Weight", CONTEXT, None),
        ("Yes, sleep fell", CONTEXT, None),
        ("the sleep fell", CONTEXT, None),
        ("...", CONTEXT, None),
        ("  ", CONTEXT, None),
        ("x", "", None),
    ],
)
def test_quotes_are_looked_for_in_the_text(said: str, context: str, expected: str | None) -> None:
    span = find_quote(said, context)
    assert (None if span is None else span.text) == expected
    if span is not None:
        assert context[span.start : span.end] == span.text
        assert span.score == 1.0


def test_of_several_places_the_one_near_the_question_is_meant() -> None:
    context = "Sleep fell by 2 h. Weight fell by 2 h. Nothing else fell."
    places = [find_quote("2 h", context, q) for q in ("By how much did weight fall?", "And sleep?")]
    assert [place.start for place in places if place is not None] == [34, 14]
    digit = find_quote("5", "At 15 or 5 days.")
    assert digit is not None
    assert digit.start == 9


# ------------------------------------------------------------------------------------- usage


def test_cost_by_hand() -> None:
    usage = Usage(Prices(0.5, 1.5), n_questions=4, prompt_tokens=2_000_000, completion_tokens=1_000_000)
    assert usage.cost == 2.5  # 2 x 0.5 + 1 x 1.5
    assert usage.cost_per_million_questions == 625_000.0
    assert Usage(Prices(0.0, 0.0), n_questions=1).cost == 0.0
    assert Usage(Prices(0.5), prompt_tokens=1).cost is None
    assert Usage(Prices(0.5, 0.5)).cost_per_million_questions is None
    assert Usage().not_in_text_share is None


def test_usages_of_several_files_add_up() -> None:
    left = Usage(Prices(1.0, 1.0), n_questions=1, n_quotes=1, n_not_in_text=1, refused_parameters=("seed",))
    right = Usage(Prices(1.0, 1.0), n_questions=2, n_quotes=3, prompt_tokens=7, refused_parameters=("seed",))
    assert left + right == Usage(
        Prices(1.0, 1.0),
        n_questions=3,
        n_quotes=4,
        n_not_in_text=1,
        prompt_tokens=7,
        refused_parameters=("seed",),
    )
    values = json.loads(json.dumps((left + right).to_dict()))
    assert (values["not_in_text_share"], values["cost"]) == (0.25, pytest.approx(7e-6))
    assert (values["prompt_price_per_million"], values["refused_parameters"]) == (1.0, ["seed"])


def test_without_token_counts_no_cost_is_told(server: Server, fake: FakeTime) -> None:
    body = {"choices": [{"message": {"content": '{"quote": "2 h"}'}}], "usage": None}
    server.say(Response(body=json.dumps(body).encode()))
    system = system_at(server.url, fake, prices=Prices(1.0, 1.0))
    system.answer_batch([QUESTION])
    assert (system.usage.n_unmetered, system.usage.cost) == (1, None)


# ------------------------------------------------------------------------------------- the command


def test_the_command_evaluates_a_model_behind_an_endpoint(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    data = tmp_path / "data.csv"
    rows = ("id,question,context,answer", "a,How many?,We saw 40 mice.,40", "b,How long?,It took 2 h.,2 h")
    data.write_text("\n".join(rows))
    server.respond = lambda body, _: quote("40" if "mice" in body["messages"][-1]["content"] else "two hours")
    options = {
        "--data": data,
        "--model": "openai:m",
        "--output": tmp_path / "out",
        "--bootstrap": "0",
        "--openai-base-url": server.url,
        "--openai-prompt-price": "1",
        "--openai-completion-price": "2",
        "--openai-concurrency": "2",
        "--openai-rpm": "600000",
    }
    arguments: Sequence[str] = [str(each) for pair in options.items() for each in pair]
    assert main(["evaluate", *arguments]) == 0
    text = (tmp_path / "out" / "metrics.json").read_text()
    figures = json.loads(text)["systems"]["openai:m"]
    assert (figures["em"], figures["abstained_share"], figures["n_failed"]) == (0.5, 0.5, 0)
    usage = figures["usage"]
    assert (usage["n_questions"], usage["n_requests"], usage["not_in_text_share"]) == (2, 2, 0.5)
    assert usage["cost"] == pytest.approx(0.00024)  # 2 x (100 x 1 + 10 x 2) / 1e6
    out, err = capsys.readouterr()
    assert KEY not in text + out + err
    assert main(["evaluate", *arguments, "--openai-base-url", "nowhere"]) == 2
    assert "is not like http://localhost:8000/v1" in capsys.readouterr().err
