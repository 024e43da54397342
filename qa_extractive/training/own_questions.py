"""The project's own questions on abstracts that it does not hold itself.

``recipes/questions.jsonl`` and ``questions_2.jsonl`` have the questions, their labels and where the answers
stand; the abstracts come from the third-party corpora, so that no text of theirs is copied. A row has
``doc``, ``type``, ``question``, ``answers`` (half-open offsets in the context, each acceptable, the best
first; none where the abstract does not answer), ``verdict`` (yes, no, mixed or null) and ``context`` (the
first 12 hexadecimal digits of the context's SHA-256).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from qa_extractive._utils.digests import text_digest
from qa_extractive.errors import DataError
from qa_extractive.training.labelled_rows import asked_example, json_lines
from qa_extractive.types import Example

Text = tuple[str, str, str]  # document, title, context


def own_questions(questions: Path, texts: Path, rng: random.Random) -> list[Example]:
    """The questions of one file on the abstracts of one corpus, in the form of ``asked``.

    Questions on abstracts that the corpus does not have are those of another one, and are passed over.

    Raises:
        DataError: A file is missing or of another form, or an abstract is not the one that was asked about.
    """
    known = {document: (title, context) for document, title, context in texts_of(texts)}
    rows = [row for row in _rows(questions) if row["doc"] in known]
    return [asked_example(_with_text(row, n, *known[row["doc"]]), rng) for n, row in enumerate(rows, 1)]


def texts_of(path: Path) -> Iterator[Text]:
    """Document, title and abstract of each paper of a corpus; DataError where the corpus is not known."""
    read = _CORPORA.get(path.name)
    if read is None:
        raise DataError(f"{path.name} has no abstracts to ask about: give one of {', '.join(_CORPORA)}")
    return read(path)


def context_digest(context: str) -> str:
    """What ``context`` of a row holds: the first 12 hexadecimal digits of the text's SHA-256."""
    return text_digest(context)[:12]


def _with_text(row: dict[str, Any], number: int, title: str, context: str) -> dict[str, Any]:
    """The row as ``asked`` has it: with title, context and the texts of the answers."""
    if context_digest(context) != row["context"]:
        raise DataError(f"the abstract of {row['doc']} is not the one that its questions were written on")
    answers = [{"text": context[start:end], "answer_start": start} for start, end in row["answers"]]
    return {
        **row,
        "id": f"own-{row['doc']}-{number}",
        "title": title,
        "context": context,
        "answers": answers,
        "answerable": bool(answers),
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise DataError(f"{path} is missing: it lies beside the recipe in the repository") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not JSON lines: {error}") from None


def _trials(path: Path) -> Iterator[Text]:
    """But for the articles of the validation prompts, which measurements are made on."""
    prompts = path.with_name("prompts_with_spans.jsonl.gz")
    rows = json_lines(prompts) if prompts.is_file() else ()
    kept_apart = {row["pmcid"] for row in rows if row["split"] == "validation"}
    for record in json_lines(path):
        if record["pmcid"] in kept_apart:
            continue
        sections = [(label.strip().rstrip(":"), text) for label, text in record["sections"]]
        context = " ".join(f"{label}: {text}" if label else text for label, text in sections)
        yield f"rct-{record['pmcid']}", record["title"], context


def _papers(path: Path) -> Iterator[Text]:
    for record in json_lines(path):
        context = " ".join(sentence.strip() for sentence in record["abstract"])
        yield f"scifact-{record['doc_id']}", record["title"], context


def _preprints(path: Path) -> Iterator[Text]:
    for record in json_lines(path):
        yield record["doc"], record["title"], record["abstract"]


_CORPORA: dict[str, Callable[[Path], Iterator[Text]]] = {
    "rct_abstracts.jsonl.gz": _trials,
    "corpus.jsonl.gz": _papers,
    "abstracts.jsonl.gz": _preprints,
}
