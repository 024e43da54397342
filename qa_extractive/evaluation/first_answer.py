"""A process that loads a model, answers, and says what memory that took; started by ``footprint``.

``python -m qa_extractive.evaluation.first_answer FOLDER [SETTINGS]`` takes ``AnswerSettings`` as JSON and
reads a JSON list of ``[question, context, title]`` from standard input. It writes a line once the first is
answered, answers all as a batch, and writes the bytes of its largest resident set, or ``null`` where the
system does not tell.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from qa_extractive.predictor import Predictor
from qa_extractive.types import Question


def main(folder: str, settings: str = "{}") -> None:
    """Answer what standard input asks with the model of a folder."""
    questions = [Question(*each) for each in json.load(sys.stdin)]
    predictor = Predictor(folder, **json.loads(settings))
    predictor.answer_batch(questions[:1])
    sys.stdout.write("answered\n")
    sys.stdout.flush()
    predictor.answer_batch(questions)
    sys.stdout.write(json.dumps(peak_memory_bytes()) + "\n")


def peak_memory_bytes() -> int | None:
    """The largest resident set of this process; None where there is no ``resource`` (Windows).

    From ``/proc`` where there is one: on Linux ``ru_maxrss`` begins with the size of the process that
    started this one.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(found[1]) * 1024
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
