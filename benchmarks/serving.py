"""The service under load on the loopback, beside the bare predictor, clients and service on the same cores.

    python benchmarks/serving.py --output benchmarks/results/serving.json
    python benchmarks/serving.py --clients 64 --minutes 10 --output benchmarks/results/serving-10min.json

Clients keep one connection each and send their next question when the last one is answered. Every answer
is compared with the predictor's. Run it on a quiet machine; it uses every core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from qa_extractive import Predictor, Question
from qa_extractive.data import load_examples

DATA = Path(__file__).resolve().parents[1] / "data"
PARTS = ("text", "start", "end", "score", "answerable", "abstained", "sentence", "candidates")


@dataclass
class Tally:
    """What the clients saw."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    n_wrong: int = 0


def main() -> None:
    """Measure the bare predictor, then the service at each number of clients."""
    options = arguments()
    questions = repository_questions()
    predictor = Predictor(options.model)
    expected = [answer.to_dict() for answer in predictor.answer_batch(questions)]
    bare_before = bare_rate(predictor, questions, options.bare_s)
    with running_service(options.model) as (process, port):
        runs = [
            asyncio.run(load(port, process.pid, n, questions, expected, 60.0 * options.minutes))
            for n in options.clients
        ]
    bare_after = bare_rate(predictor, questions, options.bare_s)
    bare = statistics.mean((bare_before, bare_after))
    for run in runs:
        run["share_of_bare"] = round(run["answers_per_s"] / bare, 3)
        print(json.dumps(run))
    result = {
        "command": " ".join(["python", *sys.argv]),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "bare_answers_per_s": [round(bare_before, 2), round(bare_after, 2)],
        "runs": runs,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="exported folder; the embedded model if left out")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64, 256])
    parser.add_argument("--minutes", type=float, default=1.0, help="at each number of clients")
    parser.add_argument("--bare-s", type=float, default=30.0, help="of the bare predictor, before and after")
    return parser.parse_args()


def repository_questions() -> list[Question]:
    """The questions of data/, each with its abstract and title."""
    files = [DATA / "training_data.csv", DATA / "inference_data.csv"]
    return [example.question for example in load_examples(files).examples]


def bare_rate(predictor: Predictor, questions: Sequence[Question], seconds: float) -> float:
    """Answers a second of ``answer_batch`` on the same questions."""
    began, n_answers = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        n_answers += len(predictor.answer_batch(questions))
    return n_answers / (time.perf_counter() - began)


@contextmanager
def running_service(model: str | None) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``qa-extractive serve`` on a free port, ended by SIGTERM."""
    start = "import sys; from qa_extractive.cli import main; sys.exit(main(['serve', *sys.argv[1:]]))"
    command = [sys.executable, "-c", start, "--port", "0", *(["--model", model] if model else [])]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = re.search(r":(\d+)/", process.stderr.readline())
        assert found, "the service did not start"
        threading.Thread(target=process.stderr.read, daemon=True).start()
        wait_until_ready(int(found[1]))
        yield process, int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait_until_ready(port: int) -> None:
    """Return once the service answers."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("error: the service did not become ready")


async def load(
    port: int,
    pid: int,
    n_clients: int,
    questions: Sequence[Question],
    expected: Sequence[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    """Figures of one number of clients."""
    tally, memory = Tally(), list[float]()
    requests = [request_bytes(question) for question in questions]
    began = time.perf_counter()
    ends = began + seconds
    clients = [client(port, i, requests, expected, ends, tally) for i in range(n_clients)]
    watcher = asyncio.create_task(watch_memory(pid, memory))
    await asyncio.gather(*clients)
    took = time.perf_counter() - began
    watcher.cancel()
    return {
        "clients": n_clients,
        "seconds": round(took, 1),
        "answers_per_s": round(tally.statuses[200] / took, 2),
        "statuses": dict(tally.statuses),
        "wrong_answers": tally.n_wrong,
        "p50_ms": quantile_ms(tally.seconds, 0.5),
        "p99_ms": quantile_ms(tally.seconds, 0.99),
        "memory_mb": {"first": memory[0], "last": memory[-1], "max": max(memory)} if memory else None,
        "memory_every_10_s_mb": memory[::10],
    }


async def client(
    port: int,
    number: int,
    requests: Sequence[bytes],
    expected: Sequence[dict[str, Any]],
    ends: float,
    tally: Tally,
) -> None:
    """One connection that asks again and again; after a 503 it waits as it is told."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    i = number
    while time.perf_counter() < ends:
        i = (i + 1) % len(requests)
        began = time.perf_counter()
        writer.write(requests[i])
        status, headers, body = await response(reader)
        tally.statuses[status] += 1
        if status == 200:
            tally.seconds.append(time.perf_counter() - began)
            answer = json.loads(body)
            tally.n_wrong += any(answer[part] != expected[i][part] for part in PARTS)
        elif status == 503:
            await asyncio.sleep(float(headers.get("retry-after", "1")))
    writer.close()


def request_bytes(question: Question) -> bytes:
    """A whole request."""
    values = {"question": question.question, "context": question.context, "title": question.title}
    body = json.dumps(values).encode("utf-8")
    head = (
        "POST /v1/answer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


async def response(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next response."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def watch_memory(pid: int, memory: list[float]) -> None:
    """Resident memory of the service in MB, once a second."""
    process = psutil.Process(pid)
    while True:
        memory.append(round(process.memory_info().rss / 1e6, 1))
        await asyncio.sleep(1.0)


def quantile_ms(seconds: Sequence[float], share: float) -> float | None:
    """The time that this share of the requests kept to."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return round(1000.0 * ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)], 1)


if __name__ == "__main__":
    main()
