"""Files that are broken, hostile or too large are refused in one line, and stop no other."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption

from qa_extractive.papers import reading
from qa_extractive.papers.pdf.reading import read_pdf, read_pdf_bytes
from qa_extractive.papers.pdf.types import Limits
from qa_extractive.papers.pdf.worker import Worker
from qa_extractive.papers.prepare import prepare
from qa_extractive.papers.reading import Skipped, read_papers
from qa_extractive.papers.types import NoPaperError, Paper
from tests.papers.pdf.made import lines, picture, raw_pdf, simple, stream

TEXT = "Moss grew by 4 mm on all of the roofs of the town."
CATALOGUE = b"<</Type/Catalog/Pages 2 0 R>>"
ONE_PAGE = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
FONT = b"<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Times-Roman>>>>>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources" + FONT + b">>"


def good(**options: Any) -> bytes:
    return simple(lambda canvas: lines(canvas, [TEXT]), **options)


def outcome(path: Path, content: bytes) -> Paper | Skipped:
    path.write_bytes(content)
    (only,) = read_papers(path)
    return only if isinstance(only, Skipped) else only[1]


@pytest.fixture(scope="module")
def small() -> Iterator[Worker]:
    """A process with less of everything."""
    worker = Worker(Limits(file_bytes=200_000, memory_bytes=250_000_000, seconds=30, characters=20_000))
    yield worker
    worker.close()


def refusal(content: bytes, worker: Worker) -> NoPaperError:
    with pytest.raises(NoPaperError) as caught:
        read_pdf_bytes(content, worker)
    assert "\n" not in caught.value.reason
    return caught.value


def scanned() -> bytes:
    def draw(canvas: Any) -> None:
        for _ in range(3):
            canvas.drawImage(picture(), 0, 0, 595, 842)
            canvas.showPage()

    return simple(draw)


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"", "no paper", "it does not begin as a .pdf file does"),
        (b"<html>Log in</html>", "no paper", "it does not begin as a .pdf file does"),
        (b"%PDF-", "unreadable", "broken or cut short: get it again"),
        (good()[:700], "unreadable", "broken or cut short: get it again"),
        (
            good(encrypt=StandardEncryption("secret")),
            "encrypted",
            "needs a password: save a copy without one",
        ),
        (scanned(), "no text", "scanned pages 1-3: recognize the text first"),
        (simple(lambda canvas: canvas.showPage()), "no text", "no text on page 1 that can be read"),
        (
            raw_pdf([CATALOGUE, b"<</Type/Pages/Count 3000/Kids[%b]>>" % (b"3 0 R " * 3000), PAGE]),
            "too large",
            "3,000 pages, more than 2,000: split it",
        ),
        (raw_pdf([CATALOGUE, b"<</Type/Pages/Count 99999999/Kids[3 0 R]>>", PAGE]), "no text", "no text"),
        (raw_pdf([CATALOGUE, b"<</Type/Pages/Count 3/Kids[2 0 R]>>"]), "no text", "no text on pages 1-3"),
    ],
    ids=["empty", "html", "start", "cut", "password", "scanned", "blank", "3000", "many", "loop"],
)
def test_refused_in_one_line(tmp_path: Path, content: bytes, kind: str, reason: str) -> None:
    only = outcome(tmp_path / "a.pdf", content)
    assert isinstance(only, Skipped)
    assert only.kind == kind
    assert reason in only.reason
    assert "\n" not in only.reason


@pytest.mark.parametrize(
    "content",
    [
        good(),
        b"\0junk\r\n" + good(),
        good()[: good().rindex(b"startxref")] + b"startxref\n9999999\n%%EOF",
        good(encrypt=StandardEncryption("", "owner", canPrint=0, canCopy=0)),
        raw_pdf(
            [
                CATALOGUE[:-2]
                + b"/OpenAction<</S/JavaScript/JS(while(true){app.alert\\(1\\)})>>"
                + b"/Names<</EmbeddedFiles<</Names[(a.exe) 5 0 R]>>>>>>",
                ONE_PAGE,
                PAGE,
                stream(b"BT /F 10 Tf 50 700 Td (%b) Tj ET" % TEXT.encode()),
                b"<</Type/Filespec/F(a.exe)/EF<</F 6 0 R>>>>",
                stream(b"MZ", b"/Type/EmbeddedFile"),
            ]
        ),
    ],
    ids=["good", "junk before", "broken table", "owner's password", "script and file"],
)
def test_read_all_the_same(tmp_path: Path, content: bytes) -> None:
    for name in ("a.pdf", "a.PDF", "a.txt"):
        paper = outcome(tmp_path / name, content) if name != "a.txt" or content[:1] == b"%" else None
        assert paper is None or (isinstance(paper, Paper) and paper.text == TEXT)


def zeros(n_megabytes: int) -> bytes:
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(n_megabytes)]
    return zlib.compress(b"".join(parts) + packer.flush())


def test_a_stream_that_unpacks_without_end(small: Worker) -> None:
    bomb = stream(zeros(250), b"/Filter[/FlateDecode/FlateDecode]")
    error = refusal(raw_pdf([CATALOGUE, ONE_PAGE, PAGE, bomb]), small)
    assert error.kind in ("unreadable", "too large", "no text")
    assert read_pdf_bytes(good(), small).text == TEXT


def test_limits(small: Worker) -> None:
    assert "more than 0 MB" in refusal(good() + bytes(200_000), small).reason
    words = stream(b"BT /F 10 Tf 50 700 Td " + b"(Moss on roofs ) Tj " * 2_000 + b"ET")
    error = refusal(raw_pdf([CATALOGUE, ONE_PAGE, PAGE, words]), small)
    assert (error.kind, error.reason) == ("too large", "a PDF of more than 20,000 characters: split it")


def test_a_slow_file_is_one_file() -> None:
    worker = Worker(Limits(seconds=0.01))
    try:
        error = refusal(good(), worker)
        assert (error.kind, error.reason) == ("too slow", "a PDF that takes more than 0.01 s to read")
        worker.limits = Limits()
        assert read_pdf_bytes(good(), worker).text == TEXT
    finally:
        worker.close()


def test_a_process_that_dies_is_one_file(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    try:
        monkeypatch.setattr(Worker, "module", "this")  # prints, and ends
        assert "ends the process that reads it" in refusal(good(), worker).reason
        monkeypatch.undo()
        assert read_pdf_bytes(good(), worker).text == TEXT
        assert worker._process is not None
        worker._process.kill()
        worker._process.wait()
        assert read_pdf_bytes(good(), worker).text == TEXT
    finally:
        worker.close()


def test_threads_share_a_process(small: Worker) -> None:
    found: list[str] = []
    texts = [f"{TEXT} It was roof {i}." for i in range(6)]
    pdfs = [simple(lambda canvas, text=text: lines(canvas, [text])) for text in texts]
    threads = [
        threading.Thread(target=lambda pdf=pdf: found.append(read_pdf_bytes(pdf, small).text)) for pdf in pdfs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == texts


def test_a_folder_with_bad_files(tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    for name, content in {"a": good(), "b": good()[:700], "c": good(), "d": scanned()}.items():
        (folder / f"{name}.pdf").write_bytes(content)
    done = prepare(folder, tmp_path / "t.jsonl")
    assert (done.n_papers, {kind: one.n for kind, one in done.skipped.items()}) == (
        2,
        {"unreadable": 1, "no text": 1},
    )
    rows = [json.loads(row) for row in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [(row["file"], row["text"], row["pages"]) for row in rows] == [
        ("a.pdf", TEXT, [0]),
        ("c.pdf", TEXT, [0]),
    ]


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    only = outcome(tmp_path / "a.pdf", good())
    assert isinstance(only, Skipped)
    assert only.reason == "a PDF needs pypdfium2: pip install 'qa-extractive[papers]'"


def test_compressed_and_missing(tmp_path: Path) -> None:
    import gzip

    paper = outcome(tmp_path / "a.pdf.gz", gzip.compress(good()))
    assert isinstance(paper, Paper)
    assert paper.text == TEXT
    with pytest.raises(NoPaperError, match=r"^does not exist: check the path$"):
        read_pdf(tmp_path / "none.pdf")


def test_names_of_any_kind(tmp_path: Path) -> None:
    for name in ("a b'\"\u2028é\U0001f33f.pdf", b"caf\xe9.pdf".decode("utf-8", "surrogateescape")):
        paper = outcome(tmp_path / name, good())
        assert isinstance(paper, Paper), name


def test_the_process_is_light_and_trusts_no_folder(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported from the folder')")
    code = (
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from qa_extractive.papers.pdf.reading import read_pdf\n"
        "os.chdir(sys.argv[1])\n"
        "print(read_pdf(Path('a.pdf')).text)"
    )
    (tmp_path / "a.pdf").write_bytes(good())
    root = Path(reading.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.strip() == TEXT
    heavy = ("onnxruntime", "numpy", "pandas", "tokenizers", "pypdfium2")
    code = (
        "import sys, qa_extractive.papers.pdf.process, qa_extractive.papers.reading\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
