"""CSV files as spreadsheets and screening tools write them."""

from __future__ import annotations

import codecs
import gzip
import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from qa_extractive.batch import BatchJob, answer_table
from qa_extractive.data.columns import ColumnNames, resolve_columns
from qa_extractive.data.labels import Labels
from qa_extractive.data.loading import load_examples
from qa_extractive.errors import DataError
from qa_extractive.tables import formats
from qa_extractive.tables.headers import Contents, settle
from qa_extractive.tables.reading import RowReader, read_rows, write_rows
from tests.batch.test_batch import FirstWord

HEAD = "question,abstract"


def table(path: Path, text: str | bytes, encoding: str = "utf-8") -> RowReader:
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return read_rows(path)


def values(reader: RowReader) -> list[dict[str, Any]]:
    rows = list(reader)
    assert [row.error for row in rows] == [None] * len(rows)
    return [row.values for row in rows]


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("text", "columns", "first"),
    [
        ("a,b,,\n1,2,,\n", ("a", "b"), ["1", "2"]),
        ("a,b\n1,2,,\n", ("a", "b"), ["1", "2"]),
        ("a,,b\n1,,2\n", ("a", "b"), ["1", "2"]),
        ("a, ,b,\n1,  ,2, \n", ("a", "b"), ["1", "2"]),
        (",a,b\n0,1,2\n", ("", "a", "b"), ["0", "1", "2"]),  # as pandas writes an index
        (",a,,b,\nx,1,,2,y\n", ("column_1", "a", "b", "column_5"), ["x", "1", "2", "y"]),
        ("column_1,,\nx,y,z\n", ("column_1", "column_2", "column_3"), ["x", "y", "z"]),
        ("column_2,,\nx,y,z\n", ("column_2", "column_3", "column_4"), ["x", "y", "z"]),
        ("a,b,a\n1,2,3\n", ("a", "b", "a_2"), ["1", "2", "3"]),
        ("a,a,a_2,a\n1,2,3,4\n", ("a", "a_3", "a_2", "a_4"), ["1", "2", "3", "4"]),
        ("a,b,a\n,2,3\n", ("a_2", "b", "a"), ["", "2", "3"]),  # the one with content keeps the name
        ("a,A, a\n1,2,3\n", ("a", "A", " a"), ["1", "2", "3"]),
        ('"a\n(all)",b\n1,2\n', ("a\n(all)", "b"), ["1", "2"]),
        ('"\ufeffa",b\n1,2\n', ("a", "b"), ["1", "2"]),
        ('\ufeff\ufeff"a, a",b\n1,2\n', ("a, a", "b"), ["1", "2"]),
        ("\n \n,,\n;;\na,b\n1,2\n", ("a", "b"), ["1", "2"]),
        ("a,b\r1,2\r", ("a", "b"), ["1", "2"]),
        ("a,b\r\r1,2\r", ("a", "b"), ["1", "2"]),
        ('""\n""\n', ("",), [""]),
    ],
)
def test_names_of_columns(text: str, columns: tuple[str, ...], first: list[str], tmp_path: Path) -> None:
    reader = table(tmp_path / "t.csv", text)
    assert reader.columns == columns
    (row,) = values(reader)
    assert list(row.values()) == first
    assert reader.n_rows == 1


def test_a_column_without_a_name_stays_where_any_row_fills_it(tmp_path: Path) -> None:
    text = "a,b,,\n" + "1,2,,\n" * 5000 + "1,2,,x\n"
    reader = table(tmp_path / "t.csv", text)
    assert reader.columns == ("a", "b", "")
    rows = values(reader)
    assert len(rows) == 5001
    assert (rows[0][""], rows[-1][""]) == ("", "x")


@pytest.mark.parametrize(
    ("header", "row", "question", "context"),
    [
        ("question,abstract,abstract", "q,,x", "question", "abstract"),
        ("question,abstract,abstract", "q,x,x", "question", "abstract"),
        ("question,Abstract,abstract ", "q,x,", "question", "Abstract"),
        ("question,Abstract,abstract", "q,x,x", "question", "Abstract"),
        ("question,abstract,note,note", "q,x,1,2", "question", "abstract"),
    ],
)
def test_a_repeated_column_that_adds_nothing_stops_no_run(
    header: str, row: str, question: str, context: str, tmp_path: Path
) -> None:
    reader = table(tmp_path / "t.csv", f"{header}\n{row}\n")
    found = resolve_columns(reader.columns, ColumnNames(), repeats=reader.repeats)
    assert (found.question, found.context) == (question, context)
    (read,) = reader
    assert read.values[found.context] == "x"


@pytest.mark.parametrize("header", ["question,abstract,abstract", "question, Abstract,abstract"])
def test_of_columns_that_differ_the_user_chooses(header: str, tmp_path: Path) -> None:
    reader = table(tmp_path / "t.csv", f"{header}\nq,same,same\nq,one,two\n")
    with pytest.raises(DataError, match=r"'abstract' and differ .here .* use --context-column NAME") as error:
        BatchJob.open(tmp_path / "t.csv")
    assert "\n" not in str(error.value)
    for name, wanted in ((reader.columns[1], "one"), (reader.columns[2], "two")):
        job = BatchJob.open(tmp_path / "t.csv", names=ColumnNames(context=name))
        assert [row.values[job.columns.context] for row in job.reader][1] == wanted
    with pytest.raises(DataError, match="and differ"):
        load_examples(tmp_path / "t.csv")


def test_a_header_of_one_name_many_times_takes_no_time() -> None:
    names = ["a"] * 20_000 + [""] * 20_000
    contents = Contents.of(names)
    started = time.process_time()
    contents.see(["1"] * 40_000)
    header = settle(names, contents)
    assert time.process_time() - started < 2.0
    assert len(set(header.columns)) == 40_000


# ---------------------------------------------------------------- rows


def test_rows_whose_last_empty_cells_were_left_out(tmp_path: Path) -> None:
    text = "id,question,abstract,note,by\n1,what?,The drug.,x,y\n2,what?,A cup.\n3,what?,The egg.\n"
    first, second, third = list(table(tmp_path / "t.csv", text))
    assert first.short is None
    assert second.error is third.error is None
    assert second.values == {"id": "2", "question": "what?", "abstract": "A cup.", "note": None, "by": None}
    assert second.short is not None
    summary = answer_table(FirstWord(), BatchJob.open(tmp_path / "t.csv"))
    assert (summary.n_answered, summary.n_failed) == (3, 0)


@pytest.mark.parametrize(
    "rows",
    [
        ["q,The drug,n", "q,We weighed", "64 hens.,n", "q,b,c"],  # one line break in a cell
        ["q,The drug,n", "q,We", "weighed", "64 hens.,n", "q,b,c"],  # two of them
    ],
)
def test_rows_cut_by_line_breaks_are_not_taken_for_short_ones(rows: list[str], tmp_path: Path) -> None:
    reader = table(tmp_path / "t.csv", "\n".join(["question,abstract,note", *rows, ""]))
    errors = [row.error for row in reader]
    assert errors[0] is errors[-1] is None
    for line, error in enumerate(errors[1:-1], start=3):
        assert error is not None
        assert error.startswith(f"line {line}: ")
        assert "put quotes around a cell" in error


def test_a_table_of_which_all_rows_are_short_is_taken_as_it_is(tmp_path: Path) -> None:
    text = f"{HEAD},note\nhow many hens?,64 hens.\nhow many ducks?,31 ducks.\n"
    assert [row.error for row in table(tmp_path / "t.csv", text)] == [None, None]


def test_a_last_row_that_is_cut_short_is_an_error(tmp_path: Path) -> None:
    first, last = table(tmp_path / "t.csv", f"{HEAD},note\nwhat?,The drug.,n\nwhat?,We wei")
    assert first.error is None
    assert last.error is not None
    assert last.error.startswith("line 3: 2 cells where the header has 3")


def test_a_row_with_content_beyond_the_header_is_an_error(tmp_path: Path) -> None:
    rows = list(table(tmp_path / "t.csv", f"{HEAD}\nq,a,,\nq,a,,x\n"))
    assert rows[0].error is None
    assert rows[1].error is not None
    assert rows[1].error.startswith("line 3: 4 cells where the header has 2")


def test_a_short_row_is_no_label(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,question,abstract,answer\n1,q,The drug.,The\n2,q,A cup.\n3,q,An egg.,\n")
    loaded = load_examples(path)
    assert [example.answerable for example in loaded.examples] == [True, False]
    assert "3 cells where the header has 4" in str(loaded.problems[0])
    (tmp_path / "l.csv").write_text("id,reference\n1,x\n2\n")
    with pytest.raises(DataError, match="row 2: 1 cells where the header has 2"):
        Labels(tmp_path / "l.csv", None, warn=lambda _: None)


# ---------------------------------------------------------------- delimiters


@pytest.mark.parametrize("suffix", ["csv", "tsv", "csv.gz"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("has_sep_line", [False, True])
def test_delimiters_are_found(suffix: str, delimiter: str, has_sep_line: bool, tmp_path: Path) -> None:
    lines = [
        ["id", "question", "abstract, English"],
        ["1", "How many, and when?", '"We weighed 64 hens, 31 ducks; 2 geese | ""all"" well."'],
        ["2", "How many?", "5,5 ducks, all well, and more."],
    ]
    text = "".join(delimiter.join(cells if delimiter != "," else _quote(cells)) + "\r\n" for cells in lines)
    text = f"sep={delimiter}\r\n{text}" if has_sep_line else text
    content = text.encode()
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    first, second = values(read_rows(path))
    assert first == {
        "id": "1",
        "question": "How many, and when?",
        "abstract, English": 'We weighed 64 hens, 31 ducks; 2 geese | "all" well.',
    }
    assert second["abstract, English"] == "5,5 ducks, all well, and more."


def _quote(cells: Iterable[str]) -> list[str]:
    return [cell if cell.startswith('"') or "," not in cell else f'"{cell}"' for cell in cells]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("question\nwhat; why\nwhen; where\n", ("question",)),  # one column
        ("a,b;c\n1,2;3\n4,5\n", ("a", "b;c")),  # its own delimiter fits best
        ("a;b\n", ("a", "b")),
        ("sep=;\n\na;b\n", ("a", "b")),
        ("SEP=,,,\na,b\n", ("a", "b")),  # saved again by a spreadsheet
        ("sep=^\na^b,c\n", ("a", "b,c")),
        ('"sep=;"\nx\n', ("sep=;",)),  # a name
        ("a;b;c\n1;2\n3;4\n", ("a", "b", "c")),  # empty cells left out
        ("a;b\n1;x; y, z\n", ("a", "b")),  # quotes left out
    ],
)
def test_a_delimiter_is_not_found_where_there_is_none(
    text: str, columns: tuple[str, ...], tmp_path: Path
) -> None:
    assert table(tmp_path / "t.csv", text).columns == columns


@pytest.mark.parametrize("name", ["a;b", "sep=;", " ", "x\ty", "p|q"])
def test_names_that_look_like_something_else_are_read_back(name: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with write_rows(path, (name,)) as writer:
        writer.write({name: "1;2"})
    assert values(read_rows(path)) == [{name: "1;2"}]


def test_a_sample_that_ends_within_a_row(tmp_path: Path) -> None:
    row = "1;2" + "x" * 100_000 + "\n"
    assert table(tmp_path / "t.csv", "a;b, c\n" + row * 4).columns == ("a", "b, c")


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", codecs.BOM_UTF8 * 3),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE * 2),
    ],
)
def test_byte_order_marks(encoding: str, mark: bytes, tmp_path: Path) -> None:
    reader = table(tmp_path / "t.csv", mark + 'a;b\n"ä";2\n'.encode(encoding))
    assert values(reader) == [{"a": "ä", "b": "2"}]
    reader = table(tmp_path / "t.jsonl", mark + '{"a": "ä"}\n'.encode(encoding))
    assert values(reader) == [{"a": "ä"}]


def test_windows_1252_is_read_with_one_line_of_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "question;abstract\r\n“How much”?;5 µg – naïve café « publié », 3 €…\r\n"
    with caplog.at_level(logging.WARNING):
        reader = table(tmp_path / "t.csv", text, "cp1252")
        (row,) = values(reader)
        read_rows(tmp_path / "t.csv")
    assert row == {"question": "“How much”?", "abstract": "5 µg – naïve café « publié », 3 €…"}
    (notice,) = caplog.messages
    assert "t.csv is not UTF-8: read as Windows-1252" in notice
    assert "\n" not in notice


def test_windows_1252_deep_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"1,2\n" * 50_000 + b"caf\xe9,3\n"))
    *_, last = read_rows(path)
    assert last.values == {"a": "café", "b": "3"}


@pytest.mark.parametrize(
    "content",
    [
        "a,b\nβ,5 µg\n".encode() + b"caf\xe9,3\n",  # UTF-8, and one byte that is none
        "a,b\n“x”,1\n".encode() + b"\x93x\x94,2\n",
        b"a,b\n1,\x81\n",
        b"a,b\n\0\xe9,1\n",
    ],
)
def test_what_would_be_spoilt_as_windows_1252_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not UTF-8 text: save it as UTF-8"):
        table(tmp_path / "t.csv", content)


# ---------------------------------------------------------------- what comes out


@pytest.mark.parametrize(
    ("content", "output", "start"),
    [
        (codecs.BOM_UTF8 + b"question;abstract\nq;a\n", "o.csv", b"\xef\xbb\xbfquestion;abstract;answer;"),
        (b"question,abstract\nq,a\n", "o.csv", b"question,abstract,answer,"),
        (b"sep=;\nquestion;abstract\nq;a\n", "o.csv", b"sep=;\nquestion;abstract;answer;"),
        (b"question;abstract\nq;\xe9\n", "o.csv", b"\xef\xbb\xbfquestion;abstract;answer;"),
        (codecs.BOM_UTF8 + b"question;abstract\nq;a\n", "o.tsv", b"\xef\xbb\xbfquestion\tabstract\tanswer\t"),
        (codecs.BOM_UTF8 + b"question;abstract\nq;a\n", "o.jsonl", b'{"question": "q", "abstract": "a"'),
        ("question\tabstract\nq\ta\n".encode("utf-16"), "o.csv", b"\xef\xbb\xbfquestion\tabstract\tanswer\t"),
    ],
)
def test_the_output_is_written_as_the_input_was(
    content: bytes, output: str, start: bytes, tmp_path: Path
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    answer_table(FirstWord(), BatchJob.open(tmp_path / "t.csv", tmp_path / output))
    assert (tmp_path / output).read_bytes().startswith(start)
    again = answer_table(FirstWord(), BatchJob.open(tmp_path / output, tmp_path / "again.csv"))
    assert again.n_answered == 1


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("t.xlsx", "'CSV UTF-8'"),
        ("T.XLS", "'CSV UTF-8'"),
        ("t.ods", "'CSV UTF-8'"),
        ("t.pdf", "qa-extractive prepare"),
        ("t.docx", "qa-extractive prepare"),
        ("t.txt", "qa-extractive prepare"),
        ("t.json", "name it .jsonl"),
        ("t.dat", "rename or convert it"),
    ],
)
def test_files_that_are_no_tables_get_a_useful_word(name: str, advice: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=r"must end in \.csv") as error:
        BatchJob.open(tmp_path / name)
    assert advice in str(error.value)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst", "jsonl", "jsonl.zst"])
def test_a_row_without_end_is_refused_in_bounded_memory(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="memory cannot be limited here")
    if suffix.endswith("zst"):
        pytest.importorskip("zstandard", reason=".zst needs zstandard")
    path = tmp_path / f"t.{suffix}"
    _write_long(path, b"a,b\n" if "csv" in suffix else b'{"a": "', 256)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="more than 16,777,216 characters"):
        read_rows(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 200_000  # KB


def _write_long(path: Path, start: bytes, n_megabytes: int) -> None:
    block = b"x" * (1 << 20)
    stream: Any
    with path.open("wb") as file:
        if path.suffix == ".gz":
            stream = gzip.GzipFile("", "wb", fileobj=file, compresslevel=1)
        elif path.suffix == ".zst":
            import zstandard

            stream = zstandard.ZstdCompressor().stream_writer(file, closefd=False)
        else:
            stream = file
        stream.write(start)
        for _ in range(n_megabytes):
            stream.write(block)
        if stream is not file:
            stream.close()


@pytest.mark.parametrize("text", ['a,b\n1,"' + "x\n" * 30, "a,b\n" + "y" * 60, '{"a": "' + "z" * 60 + '"}\n'])
def test_the_bound_counts_all_lines_of_a_row(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("csv_rows", "jsonl_rows"):
        monkeypatch.setattr(f"qa_extractive.tables.{module}.MAX_ROW_CHARACTERS", 50)
    with pytest.raises(DataError, match=r"line .: .*more than 50 characters"):
        table(tmp_path / ("t.jsonl" if text[0] == "{" else "t.csv"), text)


def test_rows_up_to_the_bound_are_read(tmp_path: Path) -> None:
    cell = "x" * (formats.MAX_ROW_CHARACTERS - 10)
    assert values(table(tmp_path / "t.csv", f"a,b\n1,{cell}\n2,y\n"))[1] == {"a": "2", "b": "y"}
