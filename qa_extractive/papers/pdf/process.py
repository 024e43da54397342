"""The process that reads PDFs: requests in, one JSON object a line; replies out in the same way.

Run as ``python -m qa_extractive.papers.pdf.process LIMITS``. A hostile file can end this process at worst.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeVar

from qa_extractive.errors import DataError, reason_of
from qa_extractive.papers.pdf.annotating import annotate, save
from qa_extractive.papers.pdf.document import Document, opened, read_document
from qa_extractive.papers.pdf.tracing import Places
from qa_extractive.papers.pdf.types import Limits, Mark
from qa_extractive.papers.types import TOO_LARGE, NoPaperError
from qa_extractive.tables.text_files import open_bytes, reading

LimitsT = TypeVar("LimitsT", bound=Limits)
Answering = Callable[[Mapping[str, Any], LimitsT], Any]

_OUT_OF_MEMORY = 3
"""How the process ends when its memory was too small: a new one starts with all of it."""


def main() -> int:
    """Answer requests about PDFs until there are no more."""
    return answer_requests(Limits(**json.loads(sys.argv[1])), _REQUESTS, "a PDF")


def answer_requests(limits: LimitsT, requests: Mapping[str, Answering[LimitsT]], what: str) -> int:
    """Answer the requests of the standard input until there are no more; how the process is to end.

    Args:
        limits: Of this process and of each request.
        requests: What answers a request, by its "do".
        what: That is read, in the words of a reason.
    """
    replies = _own_output()
    _limit_memory(limits)
    for line in sys.stdin.buffer:
        _limit_time(limits)
        request = json.loads(line)
        reply, is_worn = _reply(request, partial(requests[request["do"]], request, limits), limits, what)
        replies.write(json.dumps(reply).encode() + b"\n")
        replies.flush()
        if is_worn:
            return _OUT_OF_MEMORY
    return 0


def _own_output() -> IO[bytes]:
    """The standard output for replies alone; what a library prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return replies


def _limit_memory(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _lower(resource, resource.RLIMIT_AS, limits.memory_bytes)
    _lower(resource, resource.RLIMIT_FSIZE, limits.written_bytes)
    _lower(resource, resource.RLIMIT_CORE, 0)


def _limit_time(limits: Limits) -> None:
    """End by itself some seconds after the limit, if whoever asked is no longer there to do it."""
    try:
        import resource
    except ImportError:
        return
    _lower(resource, resource.RLIMIT_CPU, int(time.process_time() + limits.seconds) + 5)


def _lower(resource: Any, kind: int, value: int) -> None:
    """Set a soft limit, which the hard one bounds."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _reply(
    request: Mapping[str, Any], work: Callable[[], Any], limits: Limits, what: str
) -> tuple[dict[str, Any], bool]:
    """What a request comes to, and whether the process should end after it."""
    try:
        return {"done": work()}, False
    except NoPaperError as error:
        return _refused(error.kind, error.reason), False
    except MemoryError:
        return _refused(TOO_LARGE, f"it takes more than {limits.memory_bytes // 10**6:,} MB to read"), True
    except (DataError, OSError) as error:
        reason = reason_of(error).removeprefix(str(request["path"])).lstrip(" ,:")
        return _refused("unreadable", reason), False
    except Exception as error:  # no file may end more than its own reading
        return _refused("unreadable", f"{what} that cannot be read ({reason_of(error)})"), True


def _refused(kind: str, reason: str) -> dict[str, Any]:
    return {"kind": kind, "reason": reason}


def _content(request: Mapping[str, Any], limits: Limits) -> bytes:
    path = Path(request["path"])
    with reading(path), open_bytes(path) as stream:
        content = stream.read(limits.file_bytes + 1)
    if len(content) > limits.file_bytes:
        raise NoPaperError(TOO_LARGE, f"a PDF of more than {limits.file_bytes // 10**6:,} MB")
    return content


def _read(request: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    with opened(_content(request, limits), limits) as pdf:
        return asdict(read_document(pdf, limits).paper)


def _locate(request: Mapping[str, Any], limits: Limits) -> list[dict[str, Any] | None]:
    with opened(_content(request, limits), limits) as pdf:
        places = Places(read_document(pdf, limits))
    found = [places.of(start, end) for start, end in request["spans"]]
    return [None if place is None else asdict(place) for place in found]


def _highlight(request: Mapping[str, Any], limits: Limits) -> list[dict[str, Any] | None]:
    marks = [Mark(**mark) for mark in request["marks"]]
    with opened(_content(request, limits), limits) as pdf:
        document = read_document(pdf, limits)
        places = Places(document)
        found = [places.of(mark.start, mark.end) if _fits(document, mark) else None for mark in marks]
        annotate(pdf, [(mark, place) for mark, place in zip(marks, found, strict=True) if place is not None])
        save(pdf, Path(request["output"]), limits.written_bytes)
    return [None if place is None else asdict(place) for place in found]


def _fits(document: Document, mark: Mark) -> bool:
    """Whether the quote is what the text has there."""
    return document.text.text[mark.start : mark.end] == mark.quote


_REQUESTS: dict[str, Answering[Limits]] = {
    "read": _read,
    "locate": _locate,
    "highlight": _highlight,
}

if __name__ == "__main__":
    with suppress(BrokenPipeError, KeyboardInterrupt):
        sys.exit(main())
