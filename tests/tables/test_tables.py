from __future__ import annotations

import codecs
import gzip
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.errors import DataError
from qa_extractive.tables.reading import Row, read_rows, write_rows

TEXT_FORMATS = ("csv", "tsv", "jsonl", "csv.gz", "tsv.gz", "jsonl.gz", "csv.zst", "jsonl.zst")
ALL_FORMATS = (*TEXT_FORMATS, "parquet")
HARD_CELLS = [
    "",
    " ",
    "  007 ",
    "a,b\tc;d",
    'say "hi"',
    '"',
    '""',
    "two\nlines",
    "two\r\nlines\r",
    "\ufeffmark",
    "nul\0nul",
    "😀 עברית \u202eRTL\u202c e\u0301",
    "\u2028\u2029\x85\x0b\x0c\x1c",
    "=1+1",
    "null",
    "NaN",
]
cell = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(HARD_CELLS)
# A name that a CSV keeps: neither blank nor with a byte order mark.
name = cell.filter(lambda text: text.strip() and not text.startswith("\ufeff"))


def write_text(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> Path:
    with write_rows(path, columns) as writer:
        for row in rows:
            writer.write(row)
    return path


def values_of(path: Path) -> list[dict[str, Any]]:
    return [row.values for row in read_rows(path)]


def needs_pyarrow(name: str) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    if name.endswith("zst"):
        pytest.importorskip("zstandard", reason=".zst needs zstandard")


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("suffix", ALL_FORMATS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back(
    suffix: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    needs_pyarrow(suffix)
    columns = tuple(data.draw(st.lists(name, min_size=1, max_size=4, unique=True), label="columns"))
    rows = data.draw(st.lists(st.fixed_dictionaries(dict.fromkeys(columns, cell)), max_size=5), label="rows")
    path = write_table(tmp_path_factory.mktemp("trip") / f"table.{suffix}", columns, rows)
    if "jsonl" in suffix and not rows:
        return  # a JSONL file without rows has no columns: it is empty
    reader = read_rows(path)
    assert reader.columns == columns
    assert reader.n_rows == len(rows)
    assert list(reader) == list(reader)
    assert [(row.number, row.values, row.error) for row in reader] == [
        (number, values, None) for number, values in enumerate(rows, start=1)
    ]


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_values_that_are_not_text(suffix: str, tmp_path: Path) -> None:
    needs_pyarrow(suffix)
    row = {"n": 3, "x": 0.1, "ok": True, "none": None, "list": ["ä", "b"], "dict": {"k": [1]}}
    path = write_table(tmp_path / f"t.{suffix}", tuple(row), [row, {}])
    first, second = values_of(path)
    if "jsonl" in suffix or suffix == "parquet":
        assert first == row
        assert second == dict.fromkeys(row)
    else:
        assert first == {
            "n": "3",
            "x": "0.1",
            "ok": "true",
            "none": "",
            "list": '["ä", "b"]',
            "dict": '{"k": [1]}',
        }
        assert second == dict.fromkeys(row, "")


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_lone_surrogates_become_replacement_characters(suffix: str, tmp_path: Path) -> None:
    needs_pyarrow(suffix)
    row = {"text": "a\ud800b", "list": ["\udfff"]}
    (values,) = values_of(write_table(tmp_path / f"t.{suffix}", tuple(row), [row]))
    assert values["text"] == "a\ufffdb"
    assert values["list"] in (["\ufffd"], '["\ufffd"]')


def test_json_holds_no_nan(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    row = {
        "a": float("nan"),
        "b": [float("inf"), 1.5],
        "c": np.float32(0.5),
        "d": np.arange(2),
        "e": Path("x"),
    }
    path = write_table(tmp_path / "t.jsonl", tuple(row), [row])
    assert values_of(path) == [{"a": None, "b": [None, 1.5], "c": 0.5, "d": [0, 1], "e": "x"}]
    assert values_of(write_table(tmp_path / "t.csv", ("a",), [{"a": float("nan")}])) == [{"a": ""}]


def test_parquet_column_of_mixed_values_becomes_text(tmp_path: Path) -> None:
    needs_pyarrow("parquet")
    rows = [{"mixed": 1, "empty": {}, "huge": 10**30}, {"mixed": "a", "empty": {}, "huge": 2}]
    path = write_table(tmp_path / "t.parquet", tuple(rows[0]), rows)
    assert values_of(path) == [
        {"mixed": "1", "empty": "{}", "huge": str(10**30)},
        {"mixed": "a", "empty": "{}", "huge": "2"},
    ]


def test_gzip_output_is_reproducible(tmp_path: Path) -> None:
    one, two = (write_table(tmp_path / name, ("a",), [{"a": "x"}]) for name in ("1.csv.gz", "2.csv.gz"))
    assert one.read_bytes() == two.read_bytes()


# ---------------------------------------------------------------- CSV and TSV as found


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings(ending: str, encoding: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "T.CSV", ending.join(["a,b", '"ä",007', "", '" x ",', ""]), encoding)
    assert list(read_rows(path)) == [
        Row(1, {"a": "ä", "b": "007"}, line=2),
        Row(2, {"a": " x ", "b": ""}, line=4),
    ]


@pytest.mark.parametrize("bom", [codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE])
def test_utf16_of_either_order(bom: bytes, tmp_path: Path) -> None:
    order = "utf-16-be" if bom == codecs.BOM_UTF16_BE else "utf-16-le"
    (tmp_path / "t.tsv").write_bytes(bom + "a\tb\n😀\t2\n".encode(order))
    assert values_of(tmp_path / "t.tsv") == [{"a": "😀", "b": "2"}]


def test_a_row_with_too_many_or_too_few_cells_keeps_its_place(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", 'a,b\n1,2\n"1\n",2,3\n1\n \n3,4\n')
    rows = list(read_rows(path))
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert [row.line for row in rows] == [2, 3, 5, 7]
    assert [row.values for row in rows] == [
        {"a": "1", "b": "2"},
        {"a": "1\n", "b": "2"},
        {"a": "1", "b": None},
        {"a": "3", "b": "4"},
    ]
    assert rows[1].error is not None
    assert "line 3: 3 cells where the header has 2" in rows[1].error
    assert rows[2].short is not None
    assert rows[2].short.startswith("1 cells where the header has 2")
    assert rows[0].error is rows[2].error is rows[3].error is None


def test_nul_loses_no_row(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", 'a,b\n\0,"x\0\ny"\n1,2\n')
    assert values_of(path) == [{"a": "\0", "b": "x\0\ny"}, {"a": "1", "b": "2"}]


def test_a_cell_of_megabytes(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "a,b\n" + "x" * 3_000_000 + ",y\n")
    assert [len(cell) for cell in values_of(path)[0].values()] == [3_000_000, 1]


def test_a_single_column_keeps_blank_cells(tmp_path: Path) -> None:
    assert values_of(write_text(tmp_path / "t.csv", 'a\n""\n  \n\nx\n')) == [
        {"a": ""},
        {"a": "  "},
        {"a": "x"},
    ]


def test_header_only(tmp_path: Path) -> None:
    reader = read_rows(write_text(tmp_path / "t.csv", "a,b"))
    assert (reader.columns, reader.n_rows, list(reader)) == (("a", "b"), 0, [])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b\n1,"2\n3,4\n', 2),
        ('a,b\n"1\n","2\n3,4\n', 3),
        ('a,b\n"x""y",z\n"x""y"w,"""\n', 3),
        ('a,"b\n1,2', 1),
        ('a,b\r\n1,"2\r\n\r\n3', 2),
    ],
)
def test_a_quote_that_never_closes(text: str, line: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"t.csv, line {line}: a quote opens here and never closes"):
        read_rows(write_text(tmp_path / "t.csv", text))


def test_reading_stops_early_without_a_warning(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "a\n" + "1\n" * 100_000)
    rows = iter(read_rows(path))
    assert next(rows).values == {"a": "1"}
    del rows


# ---------------------------------------------------------------- JSONL as found


def test_bad_jsonl_lines_keep_their_place(tmp_path: Path) -> None:
    lines = [
        '{"a": 1}',
        "{'a': 1}",
        "",
        "[1, 2]",
        "null",
        '{"b": "late", "a": null}',
        "[" * 100_000,
        '{"n": ' + "9" * 5000 + "}",
        '{"a": "raw\ttab \0"}',
    ]
    reader = read_rows(write_text(tmp_path / "t.jsonl", "\n".join(lines)))
    rows = list(reader)
    assert reader.columns == ("a", "b")
    assert reader.n_rows == len(rows) == 8
    assert [row.number for row in rows if row.error] == [2, 3, 4, 6, 7]
    assert [row.line for row in rows] == [1, 2, 4, 5, 6, 7, 8, 9]
    assert rows[0].values == {"a": 1, "b": None}
    assert rows[4].values == {"a": None, "b": "late"}
    assert rows[7].values == {"a": "raw\ttab \0", "b": None}
    assert rows[1].error is not None
    assert rows[1].error.startswith("line 2, column 2: not JSON")
    assert rows[2].error == "line 4: a JSON list where an object is needed: correct the line"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_jsonl_encodings(encoding: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.ndjson", '{"a": "ä\u2028"}\r\n{"a": "\\ud83d\\ude00"}\r\n', encoding)
    assert values_of(path) == [{"a": "ä\u2028"}, {"a": "😀"}]


# ---------------------------------------------------------------- files that cannot be read


def refuses(path: Path, *parts: str) -> None:
    with pytest.raises(DataError) as caught:
        list(read_rows(path))
    message = str(caught.value)
    assert "\n" not in message
    for part in (path.name, *parts):
        assert part in message


def packed(suffix: str, content: bytes) -> bytes:
    if suffix.endswith("zst"):
        return bytes(pytest.importorskip("zstandard", reason=".zst needs zstandard").compress(content))
    return gzip.compress(content) if suffix.endswith("gz") else content


@pytest.mark.parametrize("suffix", TEXT_FORMATS)
def test_missing_folder_and_empty(suffix: str, tmp_path: Path) -> None:
    refuses(tmp_path / f"none.{suffix}", "does not exist")
    (tmp_path / f"folder.{suffix}").mkdir()
    refuses(tmp_path / f"folder.{suffix}", "is a folder")
    empty = tmp_path / f"empty.{suffix}"
    for content in (b"", codecs.BOM_UTF8, b"\n\n"):
        empty.write_bytes(packed(suffix, content))
        refuses(empty, "is empty")


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.gz", "t.parquet.gz", "t.json"])
def test_unknown_format(name: str, tmp_path: Path) -> None:
    refuses(write_text(tmp_path / name, "a\n1\n"), "must end in .csv")


def test_damaged_utf8_names_the_place_and_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,2µg\ncaf".encode() + b"\xe9,3\n")
    refuses(path, "line 3, byte 14", "0xe9", "UTF-8")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    refuses(tmp_path / "t.csv.gz", "line 3, byte 14", "0xe9")


def test_latin1_deep_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 5000 + b'{"a": "\xff"}\n')
    refuses(path, "line 5001, byte 45007")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"PK\x03\x04\x14\x00\x06\x00\xff\xfe", "Excel workbook"),
        (gzip.compress(b"a\n1\n", mtime=0), "add .gz"),
        (b"PAR1\x15\x04\x15\xff", "name it .parquet"),
        (b"%PDF-1.5\n%\xbf\xf7", "PDF"),
        ("question,context\n".encode("utf-16-le"), "without a byte order mark"),
        ("a,b\n".encode("utf-32"), "UTF-32"),
        (codecs.BOM_UTF16_LE + b"a\0\n\0\x00\xd8", "UTF-16"),
        (bytes(range(256)), "not UTF-8 text"),
    ],
)
def test_binary_content(content: bytes, part: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    refuses(path, part)


def test_damaged_gzip(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv.gz", "a\n1\n")
    refuses(path, "without .gz")
    whole = gzip.compress(("a\n" + "\n".join(map(str, range(5000)))).encode())
    path.write_bytes(whole[:-500])
    refuses(path, "cut short or damaged")
    path.write_bytes(whole[:200] + b"\xff" * 50 + whole[250:])
    refuses(path, "")


def test_damaged_zstd(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason=".zst needs zstandard")
    path = write_text(tmp_path / "t.csv.zst", "a\n1\n")
    refuses(path, "is not compressed with zstd", "without .zst")
    whole = zstandard.compress(("a\n" + "\n".join(map(str, range(50_000)))).encode())
    for n_bytes in (1, 10, len(whole) // 2, len(whole) - 1):  # the package's own reader takes these for whole
        path.write_bytes(whole[:n_bytes])
        refuses(path, "cut short or damaged")
    (tmp_path / "t.csv").write_bytes(whole)
    refuses(tmp_path / "t.csv", "compressed with zstd: add .zst")


def test_all_frames_of_zstd_and_all_members_of_gzip_are_read(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard", reason=".zst needs zstandard")
    for suffix, pack in (("gz", gzip.compress), ("zst", zstandard.compress)):
        path = tmp_path / f"t.csv.{suffix}"
        path.write_bytes(b"".join(pack(text) for text in (b"a\n1\n", b"", b"2\n", b"3\n" * 100_000)))
        assert read_rows(path).n_rows == 100_002


def test_zstd_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    (tmp_path / "t.csv.zst").write_bytes(b"x")
    with pytest.raises(DataError, match=r"pip install 'qa-extractive\[zstd\]'"):
        read_rows(tmp_path / "t.csv.zst")
    with pytest.raises(DataError, match="pip install"), write_rows(tmp_path / "o.csv.zst", ("a",)):
        pass
    assert not (tmp_path / "o.csv.zst").exists()


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_rows_after_the_first_few(suffix: str, tmp_path: Path) -> None:
    needs_pyarrow(suffix)
    path = write_table(tmp_path / f"t.{suffix}", ("a",), [{"a": str(i)} for i in range(2500)])
    reader = read_rows(path)
    for n_rows in (0, 1, 1023, 1024, 1025, 2499, 2500):
        assert list(reader.after(n_rows)) == list(reader)[n_rows:]


def test_missing_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_text(tmp_path / "t.csv", "a\n1\n")
    monkeypatch.setattr(Path, "open", denied)
    refuses(path, "cannot be read: Permission denied")


def test_parquet_that_is_none(tmp_path: Path) -> None:
    needs_pyarrow("parquet")
    refuses(write_text(tmp_path / "t.parquet", "a,b\n1,2\n"), "not a Parquet file")
    refuses(write_text(tmp_path / "e.parquet", ""), "not a Parquet file")
    refuses(tmp_path / "none.parquet", "does not exist")
    (tmp_path / "folder.parquet").mkdir()
    refuses(tmp_path / "folder.parquet", "is a folder")


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'qa-extractive\[parquet\]'"):
        read_rows(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"pip install"), write_rows(tmp_path / "t.parquet", ("a",)):
        pass
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- writing whole or not at all


@pytest.mark.parametrize("suffix", ALL_FORMATS)
def test_a_failure_leaves_the_folder_as_it_was(suffix: str, tmp_path: Path) -> None:
    needs_pyarrow(suffix)
    target = tmp_path / f"t.{suffix}"
    target.write_text("before", encoding="utf-8")

    def interrupted() -> None:
        with write_rows(target, ("a",)) as writer:
            writer.write({"a": "1"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("suffix", ["csv", "jsonl.gz", "parquet"])
@pytest.mark.parametrize("n_bytes", [10, 1_000_000])
def test_a_full_disk(suffix: str, n_bytes: int, tmp_path: Path) -> None:
    needs_pyarrow(suffix)
    resource = pytest.importorskip("resource", reason="the size of a file cannot be limited here")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    text = random.Random(0).randbytes(n_bytes).hex()
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
    try:
        with (
            pytest.raises(DataError, match="cannot be written: File too large"),
            write_rows(tmp_path / f"t.{suffix}", ("a",)) as writer,
        ):
            writer.write({"a": text})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_nothing_appears_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "t.csv"
    with write_rows(target, ("a",)) as writer:
        writer.write({"a": "1"})
        assert not target.exists()
    assert target.read_bytes() == b"a\n1\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old", encoding="utf-8")
    link.symlink_to(real)
    write_table(link, ("a",), [])
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8") == "a\n"


@pytest.mark.parametrize(
    ("name", "columns", "match"),
    [
        ("t.txt", ("a",), "must end in"),
        ("none/t.csv", ("a",), "create it first"),
        (".csv", ("a",), "must end in"),
        ("t.csv", ("a", "a"), "more than one column"),
    ],
)
def test_targets_refused(name: str, columns: tuple[str, ...], match: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match), write_rows(tmp_path / name, columns):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_value_without_a_column_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="no such column: 'b'"),
        write_rows(tmp_path / "t.csv", ("a",)) as writer,
    ):
        writer.write({"a": 1, "b": 2})


def test_a_folder_as_target(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match="is a folder"), write_rows(tmp_path / "t.csv", ("a",)):
        pass


def test_jsonl_lines_are_valid_json(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.jsonl", ("a",), [{"a": text} for text in HARD_CELLS])
    lines = path.read_bytes().split(b"\n")
    assert [json.loads(line)["a"] for line in lines if line] == HARD_CELLS
