"""How long an agent waits for the first answer of ``qa-extractive mcp``: process start, handshake, one call.

    python benchmarks/mcp_start.py [--runs 20]

The client is a few lines of JSON, so that its own imports do not count. Prints the median, in seconds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import IO, Any

_CONTEXT = (
    "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5). " * 8
)
_CALL = {
    "name": "answer",
    "arguments": {"question": "By how much did systolic pressure fall?", "context": _CONTEXT},
}
_HELLO = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "0"},
}


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = [timed() for _ in range(parser.parse_args().runs + 1)][1:]  # the first one reads the files
    for name, values in zip(("handshake", "first answer", "CPU"), zip(*runs, strict=True), strict=True):
        print(
            f"{name}: median {statistics.median(values):.2f} s, min {min(values):.2f}, max {max(values):.2f}"
        )


def timed() -> tuple[float, float, float]:
    """Seconds from process start to the handshake's end and to the first answer, and CPU seconds of all."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-m", "qa_extractive", "mcp"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        _ask(process.stdin, process.stdout, "initialize", _HELLO, 1)
        greeted = time.perf_counter() - began
        _send(process.stdin, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        reply = _ask(process.stdin, process.stdout, "tools/call", _CALL, 2)
        answered = time.perf_counter() - began
        assert reply["result"]["structuredContent"]["text"] == "3.3 mmHg", reply
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return greeted, answered, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _ask(
    stdin: IO[bytes], stdout: IO[bytes], method: str, params: Mapping[str, Any], number: int
) -> dict[str, Any]:
    _send(stdin, {"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    while True:
        reply: dict[str, Any] = json.loads(stdout.readline())
        if reply.get("id") == number:
            return reply


def _send(stdin: IO[bytes], message: Mapping[str, Any]) -> None:
    stdin.write(json.dumps(message).encode() + b"\n")
    stdin.flush()


if __name__ == "__main__":
    main()
