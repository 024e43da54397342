"""The option ``--questions`` of ``table``: questions as given, or those of one file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from qa_extractive._utils.files import is_file
from qa_extractive.errors import DataError

_MAX_QUESTIONS = 1000
_MAX_CHARACTERS = 1_000_000
_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst")
_NO_QUESTIONS = (".json", ".xlsx", ".xls", ".ods", ".docx", ".pdf")
_FILES = (".txt", ".md", *_TABLES, *_NO_QUESTIONS)  # how a name ends that is no question
_MOST_WORDS_OF_A_NAME = 3  # "Is it in notes.txt" may be asked
_COLUMN = "question"


def questions_file(given: list[str]) -> Path | None:
    """The one file that holds the questions; None where they are given themselves."""
    return Path(given[0]) if len(given) == 1 and is_file(given[0]) else None


def questions_of(given: list[str]) -> tuple[str, ...]:
    """The questions as given, or those of the one file that is given.

    Raises:
        DataError: The file cannot be read, or there are no questions, too many, or one twice.
    """
    path = questions_file(given)
    if path is None:
        _check_no_file(given)
    questions = [" ".join(each.split()) for each in (given if path is None else _held(path))]
    questions = [each for each in questions if each]
    if not questions:
        raise DataError("--questions holds no question: give some, or a file with one a line")
    if len(questions) > _MAX_QUESTIONS:
        raise DataError(f"{len(questions):,} questions are more than {_MAX_QUESTIONS:,}: ask fewer at once")
    twice = [each for i, each in enumerate(questions) if each in questions[:i]]
    if twice:
        raise DataError(f"the question {twice[0]!r} is given twice: leave one out")
    return tuple(questions)


def _held(path: Path) -> list[str]:
    """The questions of a table's column, or the lines of a text."""
    from qa_extractive.tables.text_files import open_text

    if path.suffix.lower() in _TABLES:
        return list(islice(_in_column(path), 10 * _MAX_QUESTIONS))
    if path.suffix.lower() in _NO_QUESTIONS:
        raise DataError(
            f"--questions {path}: give a text with a question a line, or a CSV or JSON Lines file with a "
            f"column {_COLUMN!r}"
        )
    with open_text(path) as stream:
        text = stream.read(_MAX_CHARACTERS + 1)
    if len(text) > _MAX_CHARACTERS:
        raise DataError(f"{path} holds more than {_MAX_CHARACTERS:,} characters: give a file of questions")
    return text.splitlines()


def _in_column(path: Path) -> Iterator[str]:
    from qa_extractive.tables.reading import read_rows

    rows = read_rows(path)
    column = next((name for name in rows.columns if name.strip().lower() == _COLUMN), None)
    if column is None:
        raise DataError(
            f"--questions {path} has no column {_COLUMN!r}: name it so, or give a .txt file with a question "
            "a line"
        )
    for number, row in enumerate(rows, 1):
        if row.error is not None:
            raise DataError(f"--questions {path}, row {number}: {row.error}")
        value = row.values[column]
        if not isinstance(value, str | None):
            raise DataError(f"--questions {path}, row {number}: {value!r:.40} is no question")
        yield value or ""


def _check_no_file(given: list[str]) -> None:
    """Raise DataError where a name of a file or folder would be asked as a question."""
    for each in given:
        if len(given) > 1 and is_file(each):
            raise DataError(f"--questions takes questions, or one file alone: {each!r:.60} is a file")
        if _is_folder(each):
            raise DataError(f"--questions {each!r:.60} is a folder: give questions, or one file")
        if each.lower().endswith(_FILES) and len(each.split()) <= _MOST_WORDS_OF_A_NAME:
            raise DataError(f"--questions {each!r:.60}: there is no such file")


def _is_folder(name: str) -> bool:
    try:
        return bool(name.strip()) and Path(name).is_dir()
    except (OSError, ValueError):
        return False
