"""Not a test: runs ``infer`` again and again and kills it, from a process that has imported all of it once.

Arguments: how many kills, then those of ``infer --batch``, without ``--resume``; the output comes last.
Prints a JSON object: how many runs were killed, how many went on from something, how often the output was
finished, and how many distinct contents it and the errors then had.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import qa_extractive.batch.local
from qa_extractive.cli import main
from qa_extractive.predictor import Predictor  # noqa: F401 - imported once, for all children

vars(qa_extractive.batch.local).update(PART_ROWS=20)


def attempt(arguments: list[str], seconds: float) -> bool:
    """Run in a child for at most so long; whether it was killed."""
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(arguments))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def main_loop(n_kills: int, arguments: list[str]) -> None:
    output = Path(arguments[-1])
    errors = Path(arguments[arguments.index("--errors") + 1])
    state = output.with_name(f"{output.name}.run.json")
    chance = random.Random(17)
    found = {"killed": 0, "resumed": 0, "finished": 0}
    contents = set()

    started = time.monotonic()
    attempt(["infer", *arguments], float("inf"))
    whole_run = time.monotonic() - started
    while True:
        if output.exists():
            found["finished"] += 1
            contents.add(hashlib.sha256(output.read_bytes() + errors.read_bytes()).hexdigest())
            left = [path.name for path in output.parent.glob("*.partial*")]
            assert not left, left
            for path in (output, errors, state):
                path.unlink()
            if found["killed"] >= n_kills:
                break
        found["resumed"] += state.exists()
        seconds = float("inf") if found["killed"] >= n_kills else chance.uniform(0.0, whole_run)
        found["killed"] += attempt(["infer", *arguments[:-2], "--resume", *arguments[-2:]], seconds)
    print(json.dumps({**found, "contents": len(contents)}))


if __name__ == "__main__":
    main_loop(int(sys.argv[1]), sys.argv[2:])
