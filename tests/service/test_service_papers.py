"""Files sent to the service: read in a process of their own, one at a time, within limits."""

from __future__ import annotations

import gzip
import io
import os
import signal
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import Predictor
from qa_extractive.papers.isolated import FileWorker
from qa_extractive.service import uploads

requests = pytest.importorskip("requests")
pytest.importorskip("fastapi")

SLEEP = (
    b"Sleep of nurses\n\nWe measured the sleep of 90 nurses. Those on night shifts slept 1.4 hours less.\n"
)
RIS = b"""TY  - JOUR
TI  - Salt \xf0\x9f\xa7\x82
AU  - Green, Ann
PY  - 2021
DO  - 10.9999/salt
AB  - We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg.
ER  -
TY  - JOUR
TI  - Nothing
ER  -
"""
TIMEOUT = 120


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(n_threads=1)


@pytest.fixture(scope="module")
def served(serve: Callable[..., Any], predictor: Predictor) -> Any:
    return serve(predictor, max_upload_mb=3.0)


def upload(served: Any, content: bytes, name: str, **headers: str) -> Any:
    path = f"{served.url}/v1/papers"
    return requests.post(path, params={"name": name}, data=content, headers=headers, timeout=TIMEOUT)


def pdf(*lines: str) -> bytes:
    canvas = pytest.importorskip("reportlab.pdfgen.canvas")
    made = io.BytesIO()
    sheet = canvas.Canvas(made)
    for line in lines:
        sheet.drawString(72, 700, line)
        sheet.showPage()
    sheet.save()
    return made.getvalue()


def test_an_export_is_papers_that_can_be_asked(served: Any) -> None:
    body = upload(served, RIS, "folder/salt.ris").json()
    (paper,) = body["papers"]
    assert (paper["title"], paper["authors"], paper["year"]) == ("Salt 🧂", ["Ann Green"], 2021)
    assert (paper["id"], paper["doi"], paper["record"], paper["file"]) == (
        *("10.9999/salt", "10.9999/salt", 1),
        "folder/salt.ris",
    )
    assert paper["passages"] == [{"heading": "Abstract", "start": 0, "end": len(paper["text"])}]
    assert [(each["record"], each["kind"]) for each in body["skipped"]] == [(2, "no text")]
    taken = {name: paper[name] for name in ("id", "title", "text", "passages", "pages")}
    asked = {"questions": ["By how much did systolic pressure fall?"], "papers": [taken]}
    answer = requests.post(served.url + "/v1/evidence", json=asked, timeout=TIMEOUT).json()
    assert answer["papers"][0]["answers"][0]["text"] == "3.3 mmHg"


def test_a_pdf_has_pages(served: Any) -> None:
    body = upload(served, pdf("We measured the sleep of 90 nurses.", "They slept 1.4 hours less."), "x.PDF")
    (paper,) = body.json()["papers"]
    assert "90 nurses" in paper["text"]
    assert len(paper["pages"]) == 2


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "x/y", None])
def test_any_content_type_will_do_for_programs(served: Any, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert len(upload(served, SLEEP, "sleep.txt", **headers).json()["papers"]) == 1


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("text/plain;x", 415), ("multipart/form-data", 415), ("", 415), ("application/octet-stream", 200)],
)
def test_pages_of_other_origins_cannot_send_one_unasked(served: Any, content_type: str, status: int) -> None:
    headers = {"Origin": "https://example.org", "Content-Type": content_type}
    assert upload(served, SLEEP, "sleep.txt", **headers).status_code == status


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd.txt", "/etc/x.txt", "a\0b.txt", "ü" * 300 + ".txt", "CON.txt", " .txt", "..txt"],
)
def test_of_a_name_only_its_end_counts(served: Any, name: str) -> None:
    (paper,) = upload(served, SLEEP, name).json()["papers"]
    assert (paper["title"], paper["file"]) == ("Sleep of nurses", name)


def _bomb() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.xml", b" " * 60_000_000)
    return made.getvalue()


def _laughs() -> bytes:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 9))
    return f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><article><abstract>&a8;</abstract></article>'.encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", lambda: b"%PDF-1.7\n" + b"\xff\x00<<" * 1000),
        ("a.pdf", lambda: b"no pdf"),
        ("a.docx", lambda: b"PK\3\4"),
        ("a", lambda: b"x"),
        ("a.xlsx", _bomb),
        ("a.xlsx", lambda: b"PK\3\4" + bytes(1000)),
        ("a.xml", _laughs),
        ("a.json", lambda: b"[" * 2_000_000),
        ("a.txt.gz", lambda: gzip.compress(b"a" * 60_000_000)),
        ("a.gz", lambda: b"\x1f\x8b" + bytes(100)),
        ("a.ris", lambda: b"\0" * 100_000),
        ("a.csv", lambda: b'"' * 1_000_000),
        ("a.bib", lambda: b"@article{" * 10_000),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_hostile_file_ends_in_one_clear_line(served: Any, name: str, content: Callable[[], bytes]) -> None:
    response = upload(served, content(), name)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body["papers"] == []
    assert body["skipped"]
    for skipped in body["skipped"][:1]:
        assert 10 < len(skipped["reason"]) < 400
        assert "\n" not in skipped["reason"]
        assert "qa-extractive-" not in skipped["reason"], "no path of this machine"
        assert "Traceback" not in skipped["reason"]
    assert len(upload(served, SLEEP, "sleep.txt").json()["papers"]) == 1, "the next one is read"


def test_what_is_refused_whole(served: Any) -> None:
    assert upload(served, b"", "x.txt").status_code == 422
    assert requests.post(served.url + "/v1/papers", data=b"x", timeout=TIMEOUT).status_code == 422
    refused = upload(served, bytes(3_000_001), "x.txt")
    assert refused.status_code == 413
    assert "larger than 3 MB: split the file" in refused.json()["error"]["message"]


def test_at_most_a_thousand_records_are_taken(served: Any) -> None:
    record = b"TY  - JOUR\nTI  - T\nAB  - We measured the sleep of 90 nurses.\nER  -\n"
    body = upload(served, record * 1001, "many.ris").json()
    assert len(body["papers"]) == 1000
    (skipped,) = body["skipped"]
    assert "more than 1,000 records (what came before was taken)" in skipped["reason"]


def test_a_text_that_could_not_be_asked_is_skipped(serve: Callable[..., Any], predictor: Predictor) -> None:
    served = serve(predictor, max_context_characters=50)
    (skipped,) = upload(served, SLEEP, "sleep.txt").json()["skipped"]
    assert "of at most 50 that can be asked" in skipped["reason"]


def test_a_key_is_needed(serve: Callable[..., Any], predictor: Predictor) -> None:
    served = serve(predictor, api_key="s3cret")
    assert upload(served, SLEEP, "sleep.txt").status_code == 401
    assert upload(served, SLEEP, "sleep.txt", **{"X-API-Key": "s3cret"}).status_code == 200


# ---------------------------------------------------------------- the process


def held(served: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, list[str]]:
    """Files whose reading waits for the event; and the order in which they are read."""
    gate, order = threading.Event(), list[str]()
    papers = FileWorker.papers

    def wait(worker: FileWorker, path: str) -> Any:
        order.append(path)
        assert gate.wait(30.0)
        return papers(worker, path)

    monkeypatch.setattr(FileWorker, "papers", wait)
    return gate, order


def test_files_wait_for_each_other_and_not_too_many(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, order = held(served, monkeypatch)
    monkeypatch.setattr(uploads, "MAX_WAITING", 2)
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(upload(served, SLEEP, "s.txt").status_code))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for _ in range(500):
        if statuses.count(503) == 2:
            break
        time.sleep(0.01)
    assert len(order) == 1, "one at a time"
    assert requests.get(served.url + "/health/ready", timeout=5).status_code == 200
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 503, 503]


def test_who_has_waited_too_long_is_told(
    serve: Callable[..., Any], predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(predictor, upload_s=0.3)
    gate, _ = held(served, monkeypatch)
    first = threading.Thread(target=upload, args=(served, SLEEP, "s.txt"))
    first.start()
    time.sleep(0.1)
    refused = upload(served, SLEEP, "s.txt")
    gate.set()
    first.join()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
    assert refused.headers["Retry-After"]


def descendants(pid: int) -> list[int]:
    """The processes below one, those that have ended left out."""
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = status.read_text("latin-1").rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                child = int(status.parent.name)
                found += [child, *descendants(child)]
    return found


def test_a_file_over_its_time_ends_the_process_and_the_next_one_is_read(
    serve: Callable[..., Any], predictor: Predictor
) -> None:
    served = serve(predictor, upload_s=1.5)
    before = set(descendants(os.getpid()))
    upload(served, pdf("We measured the sleep of 90 nurses."), "x.pdf")
    own = set(descendants(os.getpid())) - before
    for pid in own:
        os.kill(pid, signal.SIGSTOP)  # a file that takes for ever
    began = time.monotonic()
    (skipped,) = upload(served, SLEEP, "slow.txt").json()["skipped"]
    assert 1.4 < time.monotonic() - began < 10
    reason = "a file that takes more than 1.5 s to read"
    assert skipped == {"record": None, "kind": "too slow", "reason": reason}
    assert not own & set(descendants(os.getpid())), "nor is the process that reads PDFs left"
    assert len(upload(served, SLEEP, "sleep.txt").json()["papers"]) == 1


def test_a_killed_process_is_one_line_and_the_next_file_is_read(served: Any) -> None:
    upload(served, SLEEP, "sleep.txt")
    killed = set(descendants(os.getpid()))
    for pid in killed:
        os.kill(pid, 9)
    while killed & set(descendants(os.getpid())):
        time.sleep(0.01)
    assert len(upload(served, SLEEP, "sleep.txt").json()["papers"]) == 1


def test_no_process_is_left_when_the_service_ends(serve: Callable[..., Any], predictor: Predictor) -> None:
    before = set(descendants(os.getpid()))
    served = serve(predictor)
    upload(served, pdf("We measured the sleep of 90 nurses."), "x.pdf")
    assert len(set(descendants(os.getpid())) - before) == 2, "the reader, and its own of PDFs"
    served.stop()
    for _ in range(300):
        if not set(descendants(os.getpid())) - before:
            break
        time.sleep(0.01)
    assert not set(descendants(os.getpid())) - before
