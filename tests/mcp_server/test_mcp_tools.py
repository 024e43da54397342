"""The tools, asked by the SDK's own client: in this process, over stdio in a subprocess, and over HTTP."""

from __future__ import annotations

import asyncio
import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

pytest.importorskip("mcp")

from mcp import Client, StdioServerParameters

from qa_extractive import Predictor
from qa_extractive.mcp_server import tools
from qa_extractive.mcp_server.asking import Asker
from qa_extractive.mcp_server.folders import Folders, read_file
from qa_extractive.mcp_server.server import make_server
from qa_extractive.service.settings import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
HOW_MUCH = "By how much did systolic pressure fall?"
DOES_IT = "Does the salt substitute lower blood pressure?"
SALT = "🧂 We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
SLEEP = "We measured the sleep of 90 nurses. Those on night shifts slept 1.4 hours less."
COMMAND = [sys.executable, "-m", "qa_extractive", "mcp"]
_T = TypeVar("_T")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


def asked(predictor: Predictor, work: Callable[[Client], Awaitable[_T]], **given: Any) -> _T:
    """What a client in this process comes to; ``given`` are folders and limits."""
    folders = {name: given.pop(name) for name in ("papers", "output") if name in given}
    asker = Asker(predictor, replace(DEFAULTS, **given), Folders(**folders))

    async def run() -> _T:
        async with asker.running(), Client(make_server(asker)) as client:
            return await work(client)

    return asyncio.run(run())


def call(predictor: Predictor, tool: str, arguments: dict[str, Any], **given: Any) -> dict[str, Any]:
    """What a tool gives; the same in the text, for clients that read only that."""

    async def work(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    result = asked(predictor, work, **given)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    found: dict[str, Any] = result.structured_content
    return found


def refused(predictor: Predictor, tool: str, arguments: dict[str, Any], **given: Any) -> str:
    """The one line that says what is wrong."""

    async def work(client: Client) -> Any:
        return await client.call_tool(tool, arguments)

    result = asked(predictor, work, **given)
    assert result.is_error
    (content,) = result.content
    assert "\n" not in content.text
    assert len(content.text) <= 400
    line: str = content.text
    return line


def test_the_tools_state_what_they_take_and_give(predictor: Predictor) -> None:
    listed = asked(predictor, lambda client: client.list_tools()).tools
    assert [tool.name for tool in listed] == ["answer", "answer_papers", "evidence_table", "verify_quote"]
    for tool in listed:
        assert tool.description
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == (tool.name != "evidence_table")


def test_an_answer_is_that_of_the_predictor(predictor: Predictor) -> None:
    found = call(predictor, "answer", {"question": HOW_MUCH, "context": SALT, "title": "Salt", "top_k": 2})
    expected = predictor.answer(HOW_MUCH, SALT, "Salt", top_k=2).to_dict()
    assert {name: found[name] for name in expected} == expected
    assert SALT[found["start"] : found["end"]] == found["text"] == "3.3 mmHg"
    assert (found["threshold"], found["model"]) == (predictor.threshold, predictor.model_name)


def test_what_is_not_reported_is_said(predictor: Predictor) -> None:
    found = call(predictor, "answer", {"question": HOW_MUCH, "context": SLEEP})
    assert (found["status"], found["text"], found["abstained"]) == ("not_reported", "", True)


def test_papers_are_asked_together(predictor: Predictor) -> None:
    papers: list[dict[str, Any]] = [
        {"text": SALT, "id": "a", "title": "Salt", "pages": [0, 42]},
        {"text": SLEEP},
    ]
    found = call(predictor, "answer_papers", {"question": DOES_IT, "papers": papers})
    expected = predictor.answer_papers(DOES_IT, papers).to_dict()
    assert [each["vote"] for each in found["papers"]] == [each["vote"] for each in expected["papers"]]
    assert found["together"]["tally"]["n_papers"] == 2
    assert (found["papers"][0]["id"], found["papers"][0]["page"]) == ("a", expected["papers"][0]["page"])
    values = call(predictor, "answer_papers", {"question": HOW_MUCH, "papers": papers})["together"]["values"]
    assert [(each["paper"], each["value"], each["unit"]) for each in values] == [(0, 3.3, "mmHg")]


def test_a_table_has_a_row_a_paper_and_a_cell_a_question(predictor: Predictor) -> None:
    arguments = {
        "questions": [HOW_MUCH, "How many nurses were measured?"],
        "papers": [{"text": SALT}, {"text": SLEEP, "id": "b"}, {"text": " "}],
    }
    found = call(predictor, "evidence_table", arguments)
    shown = [[cell["shown"] for cell in row["cells"]] for row in found["rows"]]
    assert shown[0][0] == "3.3 mmHg"
    assert shown[1][1] == "90"
    assert shown[2] == ["not reported", "not reported"]
    cell = found["rows"][0]["cells"][0]
    assert SALT[cell["start"] : cell["end"]] == cell["quote"]
    assert [each["question"] for each in found["together"]] == arguments["questions"]
    assert (found["written"], found["skipped"]) == (None, [])


def test_a_table_reads_files_and_is_written(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "in" / "more").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "salt.txt").write_text(SALT, encoding="utf-8")
    (tmp_path / "in" / "more" / "sleep.txt").write_text(SLEEP, encoding="utf-8")
    (tmp_path / "in" / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    given = {"papers": tmp_path / "in", "output": tmp_path / "out"}
    arguments = {"questions": [HOW_MUCH], "paths": ["."], "output": "t.csv"}
    found = call(predictor, "evidence_table", arguments, **given)
    assert [row["file"] for row in found["rows"]] == ["salt.txt", "more/sleep.txt"]
    assert [each["file"] for each in found["skipped"]] == ["broken.pdf"]
    with (tmp_path / "out" / "t.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["q1_quote"] for row in rows] == ["3.3 mmHg", "not reported"]
    assert "t.csv exists" in refused(predictor, "evidence_table", arguments, **given)
    openpyxl = pytest.importorskip("openpyxl")
    call(predictor, "evidence_table", arguments | {"output": "t.xlsx"}, **given)
    book = openpyxl.load_workbook(tmp_path / "out" / "t.xlsx")
    values = [cell.value for sheet in book.worksheets for row in sheet.iter_rows() for cell in row]
    assert "3.3 mmHg" in values
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["t.csv", "t.xlsx"]


@pytest.mark.parametrize("path", ["../secret.txt", "{root}/secret.txt", "link.txt", "folder", "\0", "loop"])
def test_no_file_outside_is_read(predictor: Predictor, tmp_path: Path, path: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "away").mkdir()
    for place in ("secret.txt", "away/secret.txt"):
        (tmp_path / place).write_text(SALT, encoding="utf-8")
    (tmp_path / "in" / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "in" / "folder").symlink_to(tmp_path / "away")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in" / "loop")
    given = path.format(root=tmp_path)
    line = refused(
        predictor, "evidence_table", {"questions": [HOW_MUCH], "paths": [given]}, papers=tmp_path / "in"
    )
    assert line.startswith("paths[0]: ")
    everything = {"questions": [HOW_MUCH], "paths": ["."]}
    assert "no paper could be read" in refused(
        predictor, "evidence_table", everything, papers=tmp_path / "in"
    )


def test_a_link_that_is_put_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(Exception, match="symbolic"):
        read_file(tmp_path / "link", 100)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "n" * 3000 + ".pdf",
            "paths[0]: 'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...' cannot be read: File name too l",
        ),
        (
            "deep/" * 3000,
            "paths[0]: 'deep/deep/deep/deep/deep/deep/deep/...' cannot be read: File name too long",
        ),
        ("none.pdf", "paths[0]: 'none.pdf' is not there"),
        ("a.txt/b", "paths[0]: 'a.txt/b' is not there"),
        ("pipe", "paths[0]: 'pipe' is neither a regular file nor a folder"),
        ("folder", "paths: no paper could be read: the folders hold no file"),
        ("large.txt", "paths: no paper could be read: large.txt: larger than"),
    ],
)
def test_a_path_that_is_no_paper_is_told(predictor: Predictor, tmp_path: Path, path: str, line: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text(SALT, encoding="utf-8")
    (tmp_path / "large.txt").write_bytes(b"a" * 2_000_000)
    for pipe in ("pipe", "folder/pipe"):
        os.mkfifo(tmp_path / pipe)
    arguments = {"questions": [HOW_MUCH], "paths": [path]}
    assert refused(predictor, "evidence_table", arguments, papers=tmp_path, max_upload_mb=1).startswith(line)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_path_that_may_not_be_looked_at_is_told(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_named: bool
) -> None:
    (tmp_path / "a.txt").write_text(SALT, encoding="utf-8")
    stat, opened = Path.stat, os.open

    def closed(path: Any, *given: Any, **named: Any) -> Any:
        if str(path).endswith("a.txt"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return (opened if given else stat)(path, *given, **named)

    monkeypatch.setattr(Path, "stat", closed)
    monkeypatch.setattr(os, "open", closed)
    arguments = {"questions": [HOW_MUCH], "paths": ["a.txt" if is_named else "."]}
    line = refused(predictor, "evidence_table", arguments, papers=tmp_path)
    where = "paths[0]: 'a.txt' cannot be read" if is_named else "paths: no paper could be read: a.txt"
    assert line == f"{where}: Permission denied"


def test_what_no_json_can_hold_is_replaced(predictor: Predictor, tmp_path: Path) -> None:
    papers = [{"title": "Salt \udfff", "abstract": f"A half \ud83e of a pair. {SALT}"}]
    (tmp_path / "salt.json").write_text(json.dumps(papers), encoding="ascii")
    (tmp_path / os.fsdecode(b"sleep\xff.txt")).write_text(SLEEP, encoding="utf-8")
    found = call(predictor, "evidence_table", {"questions": [HOW_MUCH], "paths": ["."]}, papers=tmp_path)
    assert [(row["title"], row["file"]) for row in found["rows"]] == [
        ("Salt \ufffd", "salt.json"),
        (None, "sleep\ufffd.txt"),
    ]
    assert found["rows"][0]["cells"][0]["quote"] == "3.3 mmHg"


@pytest.mark.parametrize(
    "name", ["../t.csv", "a/t.csv", "/t.csv", ".t.csv", "t.html", "t", "", "t.csv\n", "C:t.csv"]
)
def test_no_file_outside_is_written(predictor: Predictor, tmp_path: Path, name: str) -> None:
    arguments = {"questions": [HOW_MUCH], "papers": [{"text": SALT}], "output": name}
    assert "no plain file name" in refused(predictor, "evidence_table", arguments, output=tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_folders_no_file_is_read_or_written(predictor: Predictor) -> None:
    one = {"questions": [HOW_MUCH], "paths": [str(ROOT / "README.md")]}
    assert refused(predictor, "evidence_table", one).startswith("paths: this server reads no files")
    other = {"questions": [HOW_MUCH], "papers": [{"text": SALT}], "output": "t.csv"}
    assert refused(predictor, "evidence_table", other).startswith("output: this server writes no files")


@pytest.mark.parametrize(
    ("quote", "verbatim", "match", "answers"),
    [
        ("fell by 3.3 mmHg", True, "exact", "yes"),
        ("(95 % CI 2.1 to 4.5)", True, "white_space", None),
        ("fell by 4.3 mmHg", False, "not_found", None),
        ("3 mmHg", False, "exact", None),
    ],
)
def test_a_quote_is_verified(
    predictor: Predictor, quote: str, verbatim: bool, match: str, answers: str | None
) -> None:
    found = call(predictor, "verify_quote", {"quote": quote, "text": SALT, "question": HOW_MUCH})
    assert (found["verbatim"], found["match"]) == (verbatim, match)
    assert all(SALT[each["start"] : each["end"]] == each["stands"] for each in found["places"])
    question = found["question"]
    assert question["text_answer"]["text"] == "3.3 mmHg"
    assert (question["answers"] is None) == (not verbatim)
    if answers is not None:
        assert question["answers"] == answers
        assert question["in_quote"] == question["text_answer"]["score"]


@pytest.mark.parametrize(
    ("quote", "note"),
    [
        (
            "12 adults",
            "the quote stands in the text only as part of a longer word or number, so it is not verbatim",
        ),
        (
            "2adults",
            "but for white space, the quote stands in the text only as part of a longer word or number",
        ),
        (
            "5 µ",
            "but for characters that look alike, see differences, the quote stands in the text only as part",
        ),
        ("212 adults", "the quote stands in the text word for word"),
    ],
)
def test_the_note_does_not_contradict_itself(predictor: Predictor, quote: str, note: str) -> None:
    found = call(predictor, "verify_quote", {"quote": quote, "text": f"{SALT} They had 5 μg/L."})
    assert found["note"].startswith(note)


def test_a_quote_that_does_not_answer_is_told_from_one_that_does(predictor: Predictor) -> None:
    arguments = {"quote": "We gave 212 adults", "text": SALT, "question": HOW_MUCH}
    assert call(predictor, "verify_quote", arguments)["question"]["answers"] == "no"
    del arguments["question"]
    assert call(predictor, "verify_quote", arguments)["question"] is None


@pytest.mark.parametrize(
    ("tool", "arguments", "line"),
    [
        ("answer", {}, "question: is missing (and 1 more)"),
        ("answer", {"question": "q?", "context": "c", "contxt": 1}, "contxt: is no field that is known here"),
        ("answer", {"question": " ", "context": "c"}, "question: must not be blank"),
        ("answer", {"question": "q?", "context": 3}, "context: must be text"),
        ("answer", {"question": "q?", "context": "c", "top_k": 21}, "top_k: must be at most 20"),
        ("answer", {"question": "q?", "context": "c", "threshold": 1.5}, "threshold: must be at most 1"),
        ("answer", {"question": "what " * 300, "context": "c"}, "question: "),
        ("answer", {"question": "q?", "context": "c" * 2001}, "context: context of 2,001 characters exceeds"),
        ("answer_papers", {"question": "q?", "papers": []}, "papers: must hold at least 1"),
        ("answer_papers", {"question": "q?", "papers": [{"text": "c"}] * 4}, "papers: 4 are more than 3"),
        ("answer_papers", {"question": "q?", "papers": [{"text": "c" * 1900}] * 3}, "papers: 5,700 char"),
        (
            "answer_papers",
            {"question": "q?", "papers": [{"text": "c"}, {"text": "c" * 2001}]},
            "papers[1].text: ",
        ),
        ("answer_papers", {"question": "q?", "papers": [{"text": "c", "pages": [3, 1]}]}, "papers[0]: pages"),
        ("evidence_table", {"questions": ["q?"]}, "there is no paper"),
        ("evidence_table", {"questions": [], "papers": [{"text": "c"}]}, "questions: must hold at least 1"),
        ("evidence_table", {"questions": ["q?"] * 101, "papers": [{"text": "c"}]}, "questions: must hold at"),
        ("verify_quote", {"quote": " ", "text": "c"}, "quote is empty"),
        ("verify_quote", {"quote": "q", "text": "c" * 2001}, "text: 2,001 characters exceed 2,000"),
        ("nothing", {}, "there is no tool 'nothing': use one of answer, "),
        (
            "summarise" * 9,
            {},
            "there is no tool 'summarisesummarisesummarisesummaris...': use one of answer, ",
        ),
    ],
)
def test_bad_input_is_one_clear_line(
    predictor: Predictor, tool: str, arguments: dict[str, Any], line: str
) -> None:
    limits = {"max_context_characters": 2000, "max_questions": 3, "max_body_mb": 0.005}
    assert refused(predictor, tool, arguments, **limits).startswith(line)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1e999"])
def test_a_threshold_that_is_no_finite_number_is_told(predictor: Predictor, value: str) -> None:
    arguments = {"question": "q?", "context": "c", "threshold": float(value)}
    result = asyncio.run(tools.called(Asker(predictor, DEFAULTS, Folders()), "answer", arguments))
    assert result.is_error
    assert "threshold: must be a number in [0, 1]" in str(result.content)


def test_a_bug_says_nothing_of_the_inside(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(tools, "answer_result", fail)
    line = refused(predictor, "answer", {"question": "q?", "context": "c"})
    assert line == "a bug: report it with the server's log"
    assert "ZeroDivisionError: inside" in caplog.text


def test_over_stdio() -> None:
    async def run() -> tuple[Any, Any]:
        server = StdioServerParameters(command=COMMAND[0], args=COMMAND[1:], cwd=ROOT)
        async with Client(server) as client:
            answer = await client.call_tool("answer", {"question": HOW_MUCH, "context": SALT})
            return answer, await client.call_tool("answer", {"question": HOW_MUCH})

    answer, wrong = asyncio.run(run())
    assert answer.structured_content["text"] == "3.3 mmHg"
    assert (wrong.is_error, wrong.content[0].text) == (True, "context: is missing")


def test_a_line_that_is_no_message_is_answered_over_stdio() -> None:
    def line(request_id: str, quote: str) -> str:
        called = f'{{"name": "verify_quote", "arguments": {{"quote": "{quote}", "text": "salt"}}}}'
        return f'{{"jsonrpc": "2.0", "id": {request_id}, "method": "tools/call", "params": {called}}}'

    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "0"}}
    begin = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})
    sent: list[tuple[str, int | str | None, int | None]] = [
        ("no JSON", None, -32700),
        (begin, 0, None),
        (line("1", r"sal\ud83et"), 1, -32700),
        (line('"two"', "sal\tt"), "two", -32700),
        (line(r'"\udfff"', "salt"), None, -32700),
        (line("3", "salt")[:-1], None, -32700),
        ("[" * 5000, None, -32700),
        ("[]", None, -32600),
        ('{"salt": 4}', None, -32600),
        ('{"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": "salt"}', 4, -32600),
        ('{"jsonrpc": "2.0", "id": 5, "result": null}', None, -32600),
        ("\n" + line("6", "salt"), 6, None),
    ]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(COMMAND, cwd=ROOT, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text, request_id, code in sent:
            process.stdin.write(text + "\n")
            process.stdin.flush()
            reply = json.loads(process.stdout.readline())
            assert (reply["id"], reply.get("error", {}).get("code")) == (request_id, code)
        assert reply["result"]["structuredContent"]["verbatim"] is True
        rest, _ = process.communicate(timeout=60)
    assert (rest, process.returncode) == ("", 0)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of a server over HTTP."""
    command = [*COMMAND, "--http", "--port", "0", "--max-body-mb", "0.02"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/mcp", line)
        assert found, line
        yield found.group()
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(60) == 0, rest


def test_over_http(served: str) -> None:
    async def run() -> tuple[Any, Any]:
        async with Client(served) as client:
            answers = [client.call_tool("answer", {"question": HOW_MUCH, "context": SALT}) for _ in range(4)]
            return await asyncio.gather(*answers), await client.list_tools()

    answers, listed = asyncio.run(run())
    assert [each.structured_content["text"] for each in answers] == ["3.3 mmHg"] * 4
    assert len(listed.tools) == 4


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        ({}, 1, 200),
        ({"Origin": "http://localhost:6274"}, 1, 200),
        ({"Origin": "https://example.org"}, 1, 403),
        ({"Host": "example.org"}, 1, 421),
        ({}, 30_000, 413),
    ],
)
def test_other_pages_hosts_and_huge_bodies_are_refused(
    served: str, headers: dict[str, str], size: int, status: int
) -> None:
    requests = pytest.importorskip("requests")
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0" * size},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    accepted = {"Accept": "application/json, text/event-stream"}
    reply = requests.post(served, json=body, headers=accepted | headers, timeout=60)
    assert reply.status_code == status


def test_without_the_sdk_its_extra_is_named() -> None:
    without = "import sys; sys.modules['mcp'] = sys.modules['pydantic'] = None; "
    code = without + "from qa_extractive.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(main(['mcp']))"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (
        2,
        "error: mcp is not installed: pip install 'qa-extractive[mcp]'\n",
    )


def test_options_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    for option, value, said in (
        ("--papers", str(tmp_path / "none"), "is no folder: give --papers a folder"),
        ("--model", str(tmp_path), "error: "),
        ("--max-questions", "0", "--max-questions must be at least 1"),
    ):
        done = subprocess.run(
            [*COMMAND, option, value], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
