"""The service against callers who mean it harm: bodies, errors, connections, descriptors."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from qa_extractive import Predictor
from qa_extractive.cli import main
from qa_extractive.errors import DataError
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.windows import Window

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi")

from qa_extractive.service.connections import ConnectionLimits  # noqa: E402
from qa_extractive.service.listening import bound_socket  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ONE = {"question": "What fell?", "context": "Pressure fell by 5 mmHg."}
INFER = "/v2/models/default/infer"
BODILESS = ("/health/live", "/health/ready", "/metrics", "/", "/openapi.json", "/v2/models/default")
TIMEOUT = 120


class Flat:
    """A backend that costs nothing."""

    def run(self, windows: Sequence[Window]) -> list[WindowLogits]:
        zeros = [np.zeros(w.n_tokens, np.float32) for w in windows]
        return [WindowLogits(each, each, 0.0) for each in zeros]


def _flat() -> Predictor:
    predictor = Predictor(n_threads=1)
    predictor._backend = Flat()
    return predictor


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any]) -> Any:
    return serve(_flat())


@pytest.fixture(scope="module")
def locked(serve: Callable[..., Any]) -> Any:
    return serve(_flat(), api_key="s3cret", max_body_mb=1.0, max_queue_mb=2.0)


def _sending(port: int, path: str, n_bytes: int, *, declared: int, headers: str = "") -> socket.socket:
    """A connection that has sent part of its body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}"
    connection.sendall(f"{head}Content-Length: {declared}\r\n\r\n".encode())
    connection.sendall(b"x" * n_bytes)
    return connection


def _ask(served: Any, path: str, body: bytes, **headers: str) -> tuple[Any, float]:
    began = time.perf_counter()
    sent = {"Content-Type": "application/json"} | headers
    response = requests.post(served.url + path, data=body, headers=sent, timeout=TIMEOUT)
    return response, time.perf_counter() - began


# ---------------------------------------------------------------- bodies


def test_bodies_sent_without_the_key_hold_nobody_up(locked: Any) -> None:
    key = {"X-API-Key": "s3cret"}
    with ExitStack() as stack:
        for path in ("/health/live", "/metrics", "/v1/answer", "/v1/nothing", "/", INFER, "/health/live"):
            hostile = _sending(locked.port, path, 900_000, declared=950_000)
            stack.enter_context(closing(hostile))
        time.sleep(0.3)
        for path in BODILESS:
            assert requests.get(locked.url + path, timeout=5).status_code == 200, path
        assert requests.post(locked.url + "/v1/answer", json=ONE, headers=key, timeout=5).status_code == 200


def test_large_bodies_with_the_key_leave_room_for_small_ones(locked: Any) -> None:
    key = "X-API-Key: s3cret\r\n"
    with ExitStack() as stack:
        for _ in range(2):  # a third body of 0.9 MB would exceed the 2 MB that may be held
            hostile = _sending(locked.port, "/v1/answer", 900_000, declared=950_000, headers=key)
            stack.enter_context(closing(hostile))
        time.sleep(0.3)
        answered, _ = _ask(locked, "/v1/answer", json.dumps(ONE).encode(), **{"X-API-Key": "s3cret"})
        large = json.dumps(ONE | {"context": "x" * 900_000}).encode()
        refused, _ = _ask(locked, "/v1/answer", large, **{"X-API-Key": "s3cret"})
        assert answered.status_code == 200
        assert (refused.status_code, refused.headers.get("Retry-After")) == (503, "1"), refused.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_a_route_without_a_body_answers_before_one_has_come(served: Any, method: str) -> None:
    with closing(socket.create_connection(("127.0.0.1", served.port), timeout=5)) as connection:
        connection.sendall(
            f"{method} /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nx".encode()
        )
        status = int(connection.recv(65536).split(b" ")[1])
    assert status == (200 if method == "GET" else 405)


# ---------------------------------------------------------------- errors


def _floods() -> Iterator[tuple[str, str, bytes]]:
    ones = b"1," * 1_000_000 + b"1"
    keys = b",".join(b'"k%d":1' % i for i in range(200_000))
    tensor = b'{"name":"question","shape":[1],"datatype":"BYTES","data":[%s]}'
    yield "questions", "/v1/answers", b'{"questions":[%s]}' % ones
    yield "papers", "/v1/answers", b'{"question":"q","papers":[%s]}' % ones
    yield (
        "table",
        "/v1/answers",
        b'{"questions":[%s],"papers":[%s]}' % (b"1," * 800 + b"1", b"1," * 800 + b"1"),
    )
    yield "keys", "/v1/answer", b'{"question":"q","context":"c",%s}' % keys
    yield "keys of items", "/v1/answers", b'{"questions":[{%s}]}' % keys
    yield "wrong items", "/v1/answers", b'{"questions":[%s]}' % (b'{"a":1,"b":1,"c":1},' * 999 + b"{}")
    yield "a long key", "/v1/answer", b'{"%s":1}' % (b"k" * 2_000_000)
    yield "empty items", "/v1/answers", b'{"questions":[%s]}' % (b"{}," * 900_000 + b"{}")
    yield "tensor", INFER, b'{"inputs":[%s,%s]}' % (tensor % ones, tensor % b'"c"')
    yield "nested tensor", INFER, b'{"inputs":[%s,%s]}' % (tensor % (b"[%s]" % ones), tensor % b'"c"')
    yield "wrong texts", INFER, b'{"inputs":[%s,%s]}' % (tensor % (b"1," * 998 + b"1"), tensor % b'"c"')
    yield "tensors", INFER, b'{"inputs":[%s]}' % ones
    yield "outputs", INFER, b'{"inputs":[],"outputs":[%s]}' % ones
    yield (
        "shape",
        INFER,
        b'{"inputs":[{"name":"question","datatype":"BYTES","data":[],"shape":[%s]}]}'
        % (b'"a",' * 500_000 + b'"a"'),
    )


@pytest.mark.parametrize(("path", "body"), [pytest.param(p, b, id=name) for name, p, b in _floods()])
def test_a_flood_of_errors_is_refused_at_once_and_in_few_words(served: Any, path: str, body: bytes) -> None:
    response, seconds = _ask(served, path, body)
    assert response.status_code == (400 if path == INFER else 422)
    assert len(response.content) < 20_000
    assert seconds < 8.0, "it took 18 s; a hundredth of that where nothing else runs"
    error = response.json()["error"]
    if path != INFER:
        assert 1 <= len(error["fields"]) <= 20
        assert all(each["path"] and len(each["path"]) <= 200 for each in error["fields"])


def test_a_flood_takes_little_memory(served: Any) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _, path, body in _floods():
        _ask(served, path, body)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
    assert grown < 300, "MB; it took 1,500"


def test_the_first_twenty_errors_are_listed_with_their_places(served: Any) -> None:
    items: list[Any] = [dict(ONE) for _ in range(700)]
    for i in range(350, 650, 10):
        items[i] = {"question": "q"}
    error = _ask(served, "/v1/answers", json.dumps({"questions": items}).encode())[0].json()["error"]
    assert [each["path"] for each in error["fields"]] == [
        f"questions[{i}].context" for i in range(350, 550, 10)
    ]
    assert "the first 20 faults" in error["message"]
    few = items[:371]
    error = _ask(served, "/v1/answers", json.dumps({"questions": few}).encode())[0].json()["error"]
    assert [each["path"] for each in error["fields"]] == [f"questions[{i}].context" for i in (350, 360, 370)]
    assert "faults" not in error["message"]


def test_outputs_cannot_be_asked_for_again_and_again(served: Any) -> None:
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}
        for name, text in (("question", "q"), ("context", "x" * 300_000))
    ]
    body = {"inputs": inputs, "outputs": [{"name": "sentence"}] * 1000, "parameters": {"threshold": 0.0}}
    response, _ = _ask(served, INFER, json.dumps(body).encode())
    assert response.status_code == 400
    assert len(response.content) < 1000


def test_few_characters_sent_cannot_become_many_to_read(served: Any) -> None:
    body = {"questions": [f"q {i}?" for i in range(500)], "papers": [{"context": "x" * 400_000}]}
    response, seconds = _ask(served, "/v1/answers", json.dumps(body).encode())
    assert response.status_code == 422
    assert response.json()["error"]["fields"][0]["path"] == "papers"
    assert seconds < 5.0


_JUNK: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        1e400,
        "",
        "\ud800",
        [],
        {},
        [[]],
        [None],
        {"a": 1},
        10**400,
        float("nan"),
        -0.0,
        2**70,
    ),
    *("x" * 100_000, [1] * 2000, {"": {}}),
)
_REQUESTS: list[tuple[str, Any]] = [
    ("/v1/answer", ONE | {"title": "t", "top_k": 3, "threshold": 0.5}),
    ("/v1/answers", {"questions": [ONE], "top_k": 1}),
    ("/v1/answers", {"question": "q", "papers": [{"context": "c", "title": None}]}),
    ("/v1/answers", {"questions": ["q"], "papers": [{"context": "c"}]}),
    (
        INFER,
        {
            "id": "x",
            "inputs": [
                {"name": name, "shape": [1], "datatype": "BYTES", "data": ["t"]}
                for name in ("question", "context")
            ],
            "outputs": [{"name": "best"}],
            "parameters": {"threshold": 0.1},
        },
    ),
]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a JSON value, as its container and key."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, each in list(pairs) for place in [(value, key), *_places(each)]]


def _spoilt(random: Random) -> tuple[str, bytes]:
    path, request = random.choice(_REQUESTS)
    sent = json.loads(json.dumps(request))
    for _ in range(random.randint(1, 2)):
        holder, key = random.choice(_places(sent) or [(sent, "zz")])
        if random.random() < 0.7:
            holder[key] = deepcopy(random.choice(_JUNK))
        elif isinstance(holder, dict):
            holder[random.choice(["papers", "questions", f"{key}x"])] = deepcopy(random.choice(_JUNK))
        else:
            holder.append(deepcopy(random.choice(_JUNK)))
    raw = json.dumps(sent).encode()
    cut = random.randrange(len(raw))
    odd = raw[:cut] + random.randbytes(3) + raw[cut:]
    return path, random.choice([raw, raw, raw, raw, odd, raw[:cut]])


def test_malformed_requests_are_refused_and_never_break_it(served: Any) -> None:
    random = Random(174)
    statuses: Counter[int] = Counter()
    for _ in range(400):
        path, body = _spoilt(random)
        response, _ = _ask(served, path, body)
        assert response.status_code in (200, 400, 413, 422), (path, body[:300])
        assert len(response.content) < 300_000, (path, body[:300])
        statuses[response.status_code] += 1
    assert statuses[400] > 50
    assert statuses[422] > 50


# ---------------------------------------------------------------- JSON by any name


@pytest.mark.parametrize(
    "name", [None, "application/x-www-form-urlencoded", "text/plain", "application/JSON"]
)
def test_a_body_need_not_be_called_json(served: Any, name: str | None) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
    with closing(connection):
        headers = {} if name is None else {"Content-Type": name}
        connection.request("POST", "/v1/answer", json.dumps(ONE).encode(), headers)
        response = connection.getresponse()
        assert (response.status, "candidates" in json.load(response)) == (200, True)


def test_what_is_no_json_is_told_what_is(served: Any) -> None:
    refused = requests.post(
        served.url + "/v1/answer", data={"question": "q", "context": "c"}, timeout=TIMEOUT
    )
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (400, "not_json")
    assert '{"question": "...", "context": "..."}' in error["message"]


@pytest.mark.parametrize("name", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_of_a_browser_must_call_it_json(served: Any, name: str) -> None:
    # A form of any page can send those without asking; JSON it must ask for first.
    headers = {"Origin": "https://other.example", "Content-Type": name}
    refused, _ = _ask(served, "/v1/answer", json.dumps(ONE).encode(), **headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (415, "not_json")
    assert "Content-Type: application/json" in refused.json()["error"]["message"]
    allowed, _ = _ask(served, "/v1/answer", json.dumps(ONE).encode(), Origin=served.url)
    assert allowed.status_code == 200


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize("n_files", [256, 1024, 4096, 1_000_000])
def test_descriptors_suffice_for_all_connections(n_files: int) -> None:
    limits = ConnectionLimits.of(n_files)
    assert limits.served + limits.waiting + limits.turned_away <= n_files - 64
    assert limits.served >= n_files // 4 or limits.served == 2048
    with pytest.raises(DataError, match="ulimit"):
        ConnectionLimits.of(100)


def _up(port: int) -> bool:
    try:
        return bool(requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5).ok)
    except requests.RequestException:
        return False


_LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
from qa_extractive.cli import main
sys.exit(main(["serve", "--port", "0", "--threads", "1", "--read-timeout-s", sys.argv[1]]))
"""


def test_more_connections_than_descriptors_get_a_plain_503(tmp_path: Path) -> None:
    for silence_s in (4, 16, 64):  # until those who say nothing are cut off: longer on a busy machine
        if _fill_and_ask(tmp_path / f"{silence_s}.log", silence_s) < silence_s:
            return
    raise AssertionError("the machine is too busy to tell")


def _fill_and_ask(log: Path, silence_s: int) -> float:
    """Seconds that it took to fill a service and to be told so, which is asserted where that was in time."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("wb") as written, ExitStack() as stack:
        command = subprocess.Popen(
            [sys.executable, "-c", _LIMITED, str(silence_s)], cwd=ROOT, env=environment, stderr=written
        )
        stack.callback(command.wait)
        stack.callback(command.terminate)
        port, said = _port_of(log), set()
        began = time.perf_counter()
        for _ in range(320):  # more than there are descriptors; none says a word
            idle = socket.create_connection(("127.0.0.1", port), timeout=60)
            stack.enter_context(closing(idle))
        for _ in range(20):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request("GET", "/health/live")
                response = connection.getresponse()
                said.add((response.status, response.read()))
        took_s = time.perf_counter() - began
        assert took_s >= silence_s or said == {(503, b"Service Unavailable")}
        _until(lambda: _up(port))  # those who said nothing have been cut off
    assert log.stat().st_size < 20_000
    assert "Traceback" not in log.read_text()
    return took_s


def _port_of(log: Path) -> int:
    _until(lambda: "http://" in log.read_text())
    found = re.search(r"http://\S+:(\d+)/", log.read_text())
    assert found
    _until(lambda: _up(int(found[1])))
    return int(found[1])


def _until(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it never came about")


# ---------------------------------------------------------------- the command


def test_connections_send_at_once() -> None:
    with ExitStack() as stack:
        listening = stack.enter_context(closing(bound_socket("127.0.0.1", 0)))
        stack.enter_context(closing(socket.create_connection(listening.getsockname(), timeout=TIMEOUT)))
        accepted = stack.enter_context(closing(listening.accept()[0]))
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "99999"], "--port must lie between 0 and 65535"),
        (["--port", "-1"], "--port must lie between 0 and 65535"),
        (["--host", "é" * 300], "not a host name"),
        (["--host", "a..b"], "not a host name"),
        (["--host", "\udcff"], "not a host name"),
    ],
)
def test_an_address_that_cannot_be_is_one_line(
    arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *arguments]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1, error
    assert message in error


@pytest.mark.parametrize("redirection", ["<&-", "2>/dev/full", "<&- >&- 2>&-"])
def test_it_serves_without_its_standard_streams(redirection: str) -> None:
    if "full" in redirection and not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    code = "import sys; from qa_extractive.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"
    line = f'exec "$0" -c "$1" --threads 1 --port {port} {redirection}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = subprocess.Popen(
        ["sh", "-c", line, sys.executable, code], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _until(lambda: _up(port) or command.poll() is not None)
        answered = requests.post(f"http://127.0.0.1:{port}/v1/answer", json=ONE, timeout=TIMEOUT)
        assert answered.status_code == 200
    finally:
        command.terminate()
        assert command.wait(60) == 0
