from __future__ import annotations

import dataclasses
import gzip
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.data import (
    ColumnNames,
    examples_to_jsonl,
    load_examples,
    question_from_row,
    resolve_columns,
)
from qa_extractive.errors import DataError
from qa_extractive.tables.reading import Row, write_rows
from qa_extractive.types import Example, Question, Span

CONTEXT = "Aspirin reduced mortality. Aspirin was safe."
SQUAD = {
    "version": "1.1",
    "data": [
        {
            "title": "Some_Article",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "What reduced mortality?",
                            "answers": [
                                {"text": "Aspirin", "answer_start": 0},
                                {"text": "Aspirin", "answer_start": 0},
                                {"text": "Aspirin", "answer_start": 27},
                            ],
                            "split": "x",
                        },
                        {"id": "q2", "question": "Was it cheap?", "answers": []},
                        {"id": "q3", "question": "Unlabelled?"},
                    ],
                }
            ],
        }
    ],
}


def write_json(path: Path, value: object) -> Path:
    data = json.dumps(value).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_text(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    with write_rows(path, tuple(rows[0])) as writer:
        for row in rows:
            writer.write(row)
    return path


def examples(path: Path, **options: Any) -> tuple[Example, ...]:
    loaded = load_examples([path], **options)
    assert loaded.problems == ()
    return loaded.examples


def whole(example: Example) -> tuple[Example, Mapping[str, Any]]:
    """The example with its fields, which equality leaves out."""
    return example, example.fields


# ---------------------------------------------------------------- columns


@pytest.mark.parametrize(
    ("columns", "question", "context", "title", "answer"),
    [
        (["question", "context"], "question", "context", None, None),
        ([" Abstract ", "QUERY", "Title", "References"], "QUERY", " Abstract ", "Title", "References"),
        (["text", "paper", "claim", "answers"], "claim", "paper", None, "answers"),
        (["Question", "question", "document", "answer", "answers"], "question", "document", None, "answer"),
    ],
)
def test_columns_are_found_by_usual_names(
    columns: list[str], question: str, context: str, title: str | None, answer: str | None
) -> None:
    found = resolve_columns(columns, ColumnNames())
    assert (found.question, found.context, found.title, found.answer) == (question, context, title, answer)


def test_named_columns_come_first() -> None:
    found = resolve_columns(["q", "question", "context", "gold"], ColumnNames(question="Q", answer="gold"))
    assert (found.question, found.answer, found.used) == ("q", "gold", frozenset({"q", "context", "gold"}))


def test_missing_columns_name_what_there_is_and_the_option() -> None:
    with pytest.raises(DataError, match="'a', 'b': use --context-column NAME"):
        resolve_columns(["a", "b"], ColumnNames(question="a"))
    with pytest.raises(DataError, match=r"no column is named 'gold'; .* use --answer-column NAME"):
        resolve_columns(["question", "context"], ColumnNames(answer="gold"))
    with pytest.raises(DataError, match="--answer-column"):
        resolve_columns(["question", "context"], ColumnNames(), need_answer=True)
    with pytest.raises(DataError, match="not parted"):
        resolve_columns(["question;context"], ColumnNames())


def test_the_title_of_squad_is_a_document() -> None:
    columns = ["id", "title", "context", "question", "answers"]
    found = resolve_columns(columns, ColumnNames())
    assert (found.title, found.document) == (None, "title")
    found = resolve_columns(columns, ColumnNames(title="title"))
    assert (found.title, found.document) == ("title", None)
    assert resolve_columns([*columns, "year"], ColumnNames()).title == "title"


def test_question_from_row() -> None:
    columns = resolve_columns(["question", "context", "title"], ColumnNames())
    row = Row(1, {"question": " q? ", "context": "", "title": " "})
    assert question_from_row(row, columns) == Question(" q? ", "", None)
    for values, error, match in (
        ({"question": None, "context": "c"}, None, "'question' has no value"),
        ({"question": "q", "context": 3}, None, "context must be a string"),
        ({"question": " ", "context": "c"}, None, "question is empty"),
        ({"question": "q", "context": "c"}, "line 3: bad", "line 3: bad"),
    ):
        with pytest.raises(DataError, match=match):
            question_from_row(Row(1, values, error), columns)


# ---------------------------------------------------------------- SQuAD and PubMedQA


@pytest.mark.parametrize("name", ["dev-v1.1.json", "dev-v1.1.json.gz"])
def test_squad_v1(name: str, tmp_path: Path) -> None:
    first, second, third = examples(write_json(tmp_path / name, SQUAD))
    assert first == Example(
        id="q1",
        question=Question("What reduced mortality?", CONTEXT),
        references=("Aspirin", "Aspirin", "Aspirin"),
        spans=(Span("Aspirin", 0, 7), Span("Aspirin", 27, 34)),
        answerable=True,
        document="Some_Article",
        source="dev-v1.1",
    )
    assert first.fields == {"split": "x"}
    assert (second.answerable, third.answerable) == (None, None)


def test_squad_v2(tmp_path: Path) -> None:
    squad = json.loads(json.dumps(SQUAD))
    squad["version"] = "v2.0"
    qas = squad["data"][0]["paragraphs"][0]["qas"]
    qas.append(
        {"id": "q4", "question": "q", "is_impossible": True, "plausible_answers": [{"text": "Aspirin"}]}
    )
    qas.append({"id": "q5", "question": "q", "answers": [], "is_impossible": False})
    loaded = examples(write_json(tmp_path / "x.json", squad))
    assert [e.answerable for e in loaded] == [True, False, None, False, None]
    assert [e.is_labelled for e in loaded] == [True, True, False, True, False]
    assert loaded[3].references == ()
    assert loaded[3].fields == {}


def test_bad_squad_records_are_problems_and_stop_nothing(tmp_path: Path) -> None:
    def question(name: str, *answers: object, **more: object) -> dict[str, object]:
        return {"id": name, "question": "q?", "answers": list(answers), **more}

    qas = [
        question("shifted", {"text": "Aspirin", "answer_start": 1}),
        question("outside", {"text": "safe.", "answer_start": 400}),
        question("negative", {"text": "e.", "answer_start": -2}),
        question("float", {"text": "Aspirin", "answer_start": 0.5}),
        question("number", {"answer_start": 0, "text": 7}),
        question("both", {"text": "Aspirin", "answer_start": 0}, is_impossible=True),
        {"id": "blank", "question": " "},
        {"id": "no-question"},
        "text",
        question("good", {"text": "Aspirin", "answer_start": 0}),
        question("unplaced", {"text": "Aspirin"}),
    ]
    articles = [
        {
            "title": "t",
            "paragraphs": [{"context": CONTEXT, "qas": qas}, {"context": 1, "qas": [question("n")]}],
        },
        {"title": "t", "paragraphs": [{"qas": [question("no-context")]}, None]},
        "article",
        {"paragraphs": [{"context": CONTEXT, "qas": [{"question": "No id, no title?"}]}]},
    ]
    path = write_json(tmp_path / "s.json", {"data": articles})
    loaded = load_examples([path])
    assert [e.id for e in loaded.examples] == ["good", "unplaced", "s-16"]
    assert loaded.examples[1].spans == ()
    assert len(loaded.examples[2].document) == 16
    assert [problem.row for problem in loaded.problems] == [*range(1, 10), 12, 13, 14, 15]
    assert {problem.path for problem in loaded.problems} == {path}
    first = str(loaded.problems[0])
    assert first.startswith(
        f"{path}, row 1: shifted: the context at character 1 reads 'spirin ', not the answer"
    )
    for problem, name in zip(loaded.problems, ["shifted", "outside", "negative", "float"], strict=False):
        assert problem.message.startswith(f"{name}: ")
        assert "\n" not in problem.message
    with pytest.raises(DataError, match="row 1: shifted: "):
        load_examples([path], strict=True)


PUBMEDQA = {
    "111": {
        "QUESTION": "Does it work?",
        "CONTEXTS": ["We tried.", "It worked."],
        "LONG_ANSWER": "It works. It works.",
        "final_decision": "yes",
    },
    "222": {"QUESTION": "Unlabelled?", "CONTEXTS": ["One."]},
    "333": {"QUESTION": "Bad?", "CONTEXTS": "One."},
    "444": None,
}


def test_pubmedqa(tmp_path: Path) -> None:
    path = write_json(tmp_path / "pqal.json.gz", PUBMEDQA)
    loaded = load_examples([path])
    first, second = loaded.examples
    context = "We tried. It worked. It works. It works."
    assert first == Example(
        id="111",
        question=Question("Does it work?", context),
        references=("It works. It works.",),
        spans=(Span.cut(context, 21, 40),),
        answerable=True,
        document="111",
        source="pqal",
    )
    assert first.fields == {"final_decision": "yes"}
    assert (second.question.context, second.answerable, second.references) == ("One.", None, ())
    assert [problem.message.split(":")[0] for problem in loaded.problems] == ["333", "444"]


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"version": "v2", "data": rows}])
def test_a_json_list_of_flat_objects_is_a_table(wrap: Callable[[object], object], tmp_path: Path) -> None:
    rows = [
        {"question": "q?", "abstract": CONTEXT, "answer": "Aspirin", "year": 1999},
        {"question": "q?", "abstract": CONTEXT, "late": 1},
    ]
    first, second = examples(write_json(tmp_path / "flat.json", wrap(rows)))
    assert (first.id, first.references, first.fields) == ("flat-1", ("Aspirin",), {"year": 1999})
    assert (second.answerable, second.fields) == (False, {"late": 1})


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "line 1, column 2: not JSON"),
        ('{"question": "q"}\n{"question": "q"}\n', r"line 2, column 1: not JSON .*\.jsonl"),
        ("{}", "neither SQuAD"),
        ("[]", "neither SQuAD"),
        ("3", "neither SQuAD"),
        ('{"data": []}', "neither SQuAD"),
        ("[" * 100_000, "JSON that cannot be read"),
        ("", "is empty"),
        ('[{"a": 1}]', "x.json: question: no column"),
    ],
)
def test_json_that_is_no_data_set(text: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=match):
        load_examples([write_text(tmp_path / "x.json", text)])


# ---------------------------------------------------------------- tables


def test_a_csv_of_questions(tmp_path: Path) -> None:
    path = write_text(
        tmp_path / "d.csv",
        "id,Question,Context,Title,Answer,year\n"
        f"7,What?,{CONTEXT},A title,Aspirin,007\n"
        f",What?,{CONTEXT},,  ,\n"
        f"7,What?,{CONTEXT}\n"
        f'7,What?,{CONTEXT},,"[1]",2\n',
    )
    loaded = load_examples(path)
    first, second, third = loaded.examples
    assert first == Example(
        id="7",
        question=Question("What?", CONTEXT, "A title"),
        references=("Aspirin",),
        answerable=True,
        document=second.document,
        source="d",
    )
    assert first.fields == {"year": "007"}
    assert (second.id, second.answerable, second.references) == ("d-2", False, ())
    assert (third.id, third.references) == ("7#2", ("[1]",))
    (problem,) = loaded.problems
    assert str(problem).startswith(f"{path}, row 3: line 4: 3 cells where the header has 6")


def test_messages_of_a_table_name_the_line(tmp_path: Path) -> None:
    path = write_text(tmp_path / "d.csv", 'question,context\n"a\nb",c\n ,c\n')
    (problem,) = load_examples(path).problems
    assert str(problem) == f"{path}, row 2: line 4: question is empty: give a question"


def test_without_an_answer_column_nothing_is_known(tmp_path: Path) -> None:
    (example,) = examples(write_text(tmp_path / "d.csv", "question,context\nq?,c\n"))
    assert (example.answerable, example.references, example.is_labelled) == (None, (), False)


SQUAD_CELL = {"text": ["Aspirin", "safe"], "answer_start": [27, 39]}


@pytest.mark.parametrize(
    "cell",
    [
        SQUAD_CELL,
        json.dumps(SQUAD_CELL),
        str(SQUAD_CELL),
        [{"text": "Aspirin", "answer_start": 27}, {"text": "safe", "answer_start": 39}],
    ],
)
def test_answers_with_offsets(cell: object, tmp_path: Path) -> None:
    row = {"question": "q?", "context": CONTEXT, "answers": cell}
    (example,) = examples(write_table(tmp_path / "d.jsonl", [row]))
    assert example.references == ("Aspirin", "safe")
    assert example.spans == (Span("Aspirin", 27, 34), Span("safe", 39, 43))


@pytest.mark.parametrize(
    ("cell", "references"),
    [
        ("Aspirin", ("Aspirin",)),
        (" Aspirin\n", (" Aspirin\n",)),
        (["Aspirin", "", "safe"], ("Aspirin", "safe")),
        ('["Aspirin", "safe"]', ("Aspirin", "safe")),
        ("['Aspirin', \"safe\"]", ("Aspirin", "safe")),
        ("[see text]", ("[see text]",)),
        ("{n = 3}", ("{n = 3}",)),
        (3, ("3",)),
        (2.5, ("2.5",)),
        ({"text": "Aspirin"}, ("Aspirin",)),
        ("[]", ()),
        ([], ()),
        (None, ()),
        ("", ()),
        ({"text": [], "answer_start": []}, ()),
        ({"text": [""], "answer_start": [-1]}, ()),
    ],
)
def test_answers_without_offsets(cell: object, references: tuple[str, ...], tmp_path: Path) -> None:
    row = {"question": "q?", "context": CONTEXT, "answer": cell}
    (example,) = examples(write_table(tmp_path / "d.jsonl", [row]))
    assert (example.references, example.spans, example.answerable) == (references, (), bool(references))


@pytest.mark.parametrize(
    ("cell", "match"),
    [
        ({"text": ["Aspirin"], "answer_start": [1]}, "reads 'spirin ', not the answer 'Aspirin'"),
        ({"text": ["Aspirin", "safe"], "answer_start": [1]}, "2 answer texts but 1 answer_start"),
        ({"text": ["Aspirin"], "answer_start": ["x"]}, "not a whole number"),
        ({"text": ["Aspirin"], "answer_start": [0.5]}, "not a whole number"),
        ({"text": ["Aspirin"], "answer_start": [True]}, "not a whole number"),
        ({"text": [3], "answer_start": [1]}, "is not text"),
        ([["Aspirin"]], "an answer cannot be a list"),
        ("{'text': array(['Aspirin'], dtype=object), 'answer_start': array([0])}", "write them as JSON"),
    ],
)
def test_bad_answers_are_problems(
    cell: dict[str, list[str] | list[int]]
    | dict[str, list[str]]
    | dict[str, list[str] | list[float]]
    | dict[str, list[str] | list[bool]]
    | dict[str, list[int]]
    | list[list[str]]
    | str,
    match: str,
    tmp_path: Path,
) -> None:
    row = {"question": "q?", "context": CONTEXT, "answers": cell}
    loaded = load_examples([write_table(tmp_path / "d.jsonl", [row, row | {"answers": "Aspirin"}])])
    assert [problem.row for problem in loaded.problems] == [1]
    assert match in loaded.problems[0].message
    assert [example.id for example in loaded.examples] == ["d-2"]


@pytest.mark.parametrize(
    ("answer", "cell", "answerable", "n_references"),
    [
        ("Aspirin", "", True, 1),
        ("Aspirin", "No", False, 0),
        ("", "TRUE", True, 0),
        ("", "0", False, 0),
        ("", None, False, 0),
        (SQUAD_CELL, False, False, 0),
    ],
)
def test_a_column_answerable_overrides(
    answer: object, cell: object, answerable: bool | None, n_references: int, tmp_path: Path
) -> None:
    row = {"question": "q?", "context": CONTEXT, "answer": answer, "answerable": cell}
    (example,) = examples(write_table(tmp_path / "d.jsonl", [row]))
    assert (example.answerable, len(example.references)) == (answerable, n_references)
    assert example.spans == ()


@pytest.mark.parametrize(
    ("values", "answerable", "verdict"),
    [
        ({"answer": "The risk fell.", "verdict": "Yes "}, True, "yes"),
        ({"answer": "The risk fell.", "Verdict": "mixed"}, True, "mixed"),
        ({"answer": "The risk fell.", "verdict": "none"}, True, "none"),
        ({"answer": "The risk fell.", "verdict": ""}, True, None),
        ({"answer": "", "verdict": "no"}, True, "no"),
        ({"answer": "", "verdict": "none"}, False, None),
        ({"answer": "", "verdict": "include"}, False, None),
        ({"answer": "The risk fell.", "answerable": "false", "verdict": "no"}, False, None),
        ({"verdict": "no"}, True, "no"),
        ({"verdict": "none"}, None, "none"),
        ({"verdict": True}, None, None),
    ],
)
def test_a_column_verdict_says_yes_no_or_mixed(
    values: dict[str, object], answerable: bool | None, verdict: str | None, tmp_path: Path
) -> None:
    row = {"question": "Did the risk fall?", "context": "The risk fell.", **values}
    (example,) = examples(write_table(tmp_path / "t.jsonl", [row]))
    assert (example.answerable, example.verdict) == (answerable, verdict)
    named = "Verdict" if "Verdict" in values else "verdict"
    assert example.fields == {named: values[named]}, "and it stays a column to slice by"


def test_an_answerable_that_is_neither(tmp_path: Path) -> None:
    path = write_text(tmp_path / "d.csv", "question,context,answerable\nq?,c,maybe\n")
    assert "answerable is 'maybe'" in load_examples([path]).problems[0].message


@pytest.mark.parametrize("suffix", ["parquet", "jsonl.gz", "csv"])
def test_squad_as_the_hub_has_it(suffix: str, tmp_path: Path) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    empty: dict[str, list[object]] = {"text": [], "answer_start": []}
    rows = [
        {"id": "a", "title": "Doc", "context": CONTEXT, "question": "q?", "answers": SQUAD_CELL},
        {"id": "b", "title": "Doc", "context": CONTEXT, "question": "q?", "answers": empty},
    ]
    first, second = examples(write_table(tmp_path / f"squad.{suffix}", rows))
    assert (first.id, first.document, first.question.title) == ("a", "Doc", None)
    assert [span.start for span in first.spans] == [27, 39]
    assert (second.answerable, first.fields) == (False, {})


def test_columns_named_by_the_user(tmp_path: Path) -> None:
    path = write_text(tmp_path / "d.tsv", "frage\ttext\tlabel\nq?\tc\tja\n")
    (example,) = examples(path, names=ColumnNames(question="frage", answer="label"))
    assert example.references == ("ja",)
    with pytest.raises(DataError, match=r"d\.tsv: question: no column"):
        load_examples([path])


def test_ids_stay_unique_over_files(tmp_path: Path) -> None:
    rows = "id,question,context\n1,q,c\n1,q,c\n1#2,q,c\n,q,c\n"
    for name in "ab":
        (tmp_path / name).mkdir()
    paths = [write_text(tmp_path / name / "d.csv", rows) for name in "ab"]
    ids = [example.id for example in load_examples(paths).examples]
    assert ids == ["1", "1#2", "1#2#2", "d-4", "1#3", "1#4", "1#2#3", "d-4#2"]


def test_strict_stops_at_the_first_problem(tmp_path: Path) -> None:
    path = write_text(tmp_path / "d.csv", "question,context\nq,c\n,c\n")
    with pytest.raises(DataError, match="row 2: line 3: question is empty"):
        load_examples([path], strict=True)


# ---------------------------------------------------------------- our own JSONL

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def any_example(draw: st.DrawFn) -> Example:
    context = draw(text)
    places = st.tuples(st.integers(0, len(context)), st.integers(0, len(context)))
    cuts = [sorted(place) for place in draw(st.lists(places, max_size=3)) if place[0] != place[1]]
    spans = tuple(Span.cut(context, start, end, draw(st.floats(0, 1))) for start, end in cuts)
    return Example(
        id=draw(text),
        question=Question("?" + draw(text), context, draw(st.none() | text)),
        references=tuple(draw(st.lists(text, max_size=3))),
        spans=spans,
        answerable=draw(st.sampled_from([True, None] if spans else [True, False, None])),
        document=draw(text),
        source=draw(text),
        fields=draw(st.dictionaries(text, json_values, max_size=3)),
    )


@pytest.mark.parametrize("name", ["e.jsonl", "e.jsonl.gz"])
@settings(max_examples=50, deadline=None)
@given(given_examples=st.lists(any_example(), min_size=1, max_size=4, unique_by=lambda example: example.id))
def test_examples_come_back_whole(
    name: str, tmp_path_factory: pytest.TempPathFactory, given_examples: list[Example]
) -> None:
    path = tmp_path_factory.mktemp("own") / name
    examples_to_jsonl(path, given_examples)
    assert [whole(example) for example in examples(path)] == [whole(example) for example in given_examples]


def test_bad_lines_of_our_own_jsonl_are_problems(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    examples_to_jsonl(path, [Example("a", Question("q", "abc"), spans=(Span("a", 0, 1),))])
    good = json.loads(path.read_text(encoding="utf-8"))
    span = good["spans"][0]
    bad = [
        good | {"spans": [span | {"text": "b"}]},
        good | {"spans": [{"text": "a"}]},
        good | {"spans": 3},
        good | {"references": [3]},
        good | {"answerable": "yes"},
        good | {"id": None},
        good | {"question": ""},
    ]
    lines = [json.dumps(value) for value in [*bad, good | {"id": "b", "more": 1}]]
    loaded = load_examples(write_text(path, "\n".join([*lines, "{", '{"id": "c"}'])))
    assert [problem.row for problem in loaded.problems] == [1, 2, 3, 4, 5, 6, 7, 9, 10]
    assert [(e.id, e.spans, e.fields) for e in loaded.examples] == [("b", (Span("a", 0, 1),), {"more": 1})]


def test_examples_are_written_as_jsonl_only(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"name the file \.jsonl"):
        examples_to_jsonl(tmp_path / "e.csv", [])


def test_results_are_frozen(tmp_path: Path) -> None:
    loaded = load_examples(write_text(tmp_path / "d.csv", "question,context\nq,c\n"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.examples = ()  # type: ignore[misc]


# ---------------------------------------------------------------- real data


@pytest.mark.skipif("QA_DATA" not in os.environ, reason="QA_DATA names no folder of third-party data")
def test_real_data() -> None:
    root = Path(os.environ["QA_DATA"])
    squad = examples(root / "squad" / "dev-v2.0.json.gz")
    assert len(squad) == 11_873
    assert sum(example.answerable is False for example in squad) == 5_945
    assert all(example.is_labelled and example.question.title is None for example in squad)
    pubmedqa = examples(root / "pubmedqa" / "pqal-train-500.json.gz")
    assert len(pubmedqa) == 500
    assert all(example.question.context.endswith(example.references[0]) for example in pubmedqa)
    distil = examples(root / "distil_hotpotqa" / "test.csv")
    assert len(distil) == 100
    assert all(example.references for example in distil)
