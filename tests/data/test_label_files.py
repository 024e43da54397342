"""Label files as annotation tools and people write them: what is not labelled, and offsets in any unit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qa_extractive.alignment import align_examples
from qa_extractive.data import load_examples
from qa_extractive.data.labels import Labels
from qa_extractive.data.offsets import place_of
from qa_extractive.errors import DataError
from qa_extractive.types import Example

CONTEXT = "Pain 😀 fell by 2 points in men. In women, naïve or not, it fell by 2 points too."
FIRST, SECOND = CONTEXT.index("2 points"), CONTEXT.rindex("2 points")
QUESTION = "By how much did pain fall in women?"


def _utf16(index: int) -> int:
    return len(CONTEXT[:index].encode("utf-16-le")) // 2


def _bytes(index: int) -> int:
    return len(CONTEXT[:index].encode())


def _load(path: Path, value: object, **options: Any) -> list[Example]:
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_text(text, encoding="utf-8")
    loaded = load_examples(path, **options)
    assert [str(problem) for problem in loaded.problems] == []
    return list(loaded.examples)


def _squad(*qas: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"data": [{"paragraphs": [{"context": CONTEXT, "qas": list(qas)}]}], **more}


def _asked(**more: Any) -> dict[str, Any]:
    return {"question": QUESTION, **more}


# ---------------------------------------------------------------- what is not labelled

BLANK: list[Any] = [
    [],
    None,
    "",
    {"text": [], "answer_start": []},
    {"text": [""], "answer_start": [0]},
    [{"text": "", "answer_start": 0}],
    [{"text": " ", "answer_start": 0}],
    [{"text": None, "answer_start": None}],
    [{"text": None, "answer_start": 0}],
    [{"text": "", "answer_start": -1, "answer_category": None}],
    {"text": None, "answer_start": None},
    ["", " "],
]


@pytest.mark.parametrize("answers", BLANK, ids=str)
@pytest.mark.parametrize(
    ("impossible", "answerable"),
    [(False, None), (True, False), ("false", None), ("true", False), (0, None), (1, False)],
)
def test_possible_without_an_answer_is_not_labelled(
    answers: Any, impossible: Any, answerable: bool | None, tmp_path: Path
) -> None:
    record = _asked(answers=answers, is_impossible=impossible)
    (nested,) = _load(tmp_path / "a.json", _squad(record))
    (newer,) = _load(tmp_path / "b.json", _squad(record, version="v2.0"))
    (flat,) = _load(tmp_path / "c.json", [record | {"context": CONTEXT}])
    (line,) = _load(tmp_path / "d.jsonl", json.dumps(record | {"context": CONTEXT}))
    found = [(e.answerable, e.references, e.spans, e.is_labelled) for e in (nested, newer, flat, line)]
    assert found == [(answerable, (), (), answerable is False)] * 4


def test_a_missing_key_is_like_an_empty_answer(tmp_path: Path) -> None:
    (left_open, none) = _load(
        tmp_path / "a.json", _squad(_asked(is_impossible=False), _asked(is_impossible=True))
    )
    assert (left_open.answerable, none.answerable) == (None, False)


def test_is_impossible_in_a_table(tmp_path: Path) -> None:
    rows = "question,context,answer,is_impossible\n"
    rows += "q?,It fell.,fell,false\nq?,It fell.,,false\nq?,It fell.,,true\n"
    rows += "q?,It fell.,fell,true\nq?,It fell.,fell,\nq?,It fell.,,\n"
    loaded = _load(tmp_path / "a.csv", rows)
    assert [e.answerable for e in loaded] == [True, None, False, False, True, None]
    assert [e.references for e in loaded] == [("fell",), (), (), (), ("fell",), ()]
    assert all(e.fields == {} for e in loaded)


def test_an_empty_cell_still_means_no_answer_where_nothing_else_is_said(tmp_path: Path) -> None:
    (csv,) = _load(tmp_path / "a.csv", "question,context,answer\nq?,It fell.,\n")
    (hub,) = _load(
        tmp_path / "b.jsonl", json.dumps(_asked(context="It fell.", answers={"text": [], "answer_start": []}))
    )
    assert (csv.answerable, hub.answerable) == (False, False)


def test_haystack_says_no_answer_by_a_category(tmp_path: Path) -> None:
    none = [{"text": "", "answer_start": 0, "answer_category": "NO_ANSWER"}]
    loaded = _load(
        tmp_path / "a.json", _squad(_asked(answers=none), _asked(answers=none, is_impossible=False))
    )
    assert [e.answerable for e in loaded] == [False, None]


def test_an_impossible_that_is_neither_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(_squad(_asked(answers=[], is_impossible="perhaps"))))
    (problem,) = load_examples(tmp_path / "a.json").problems
    assert "is_impossible is 'perhaps': write true or false" in problem.message


def test_labels_apart_from_their_questions(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("id,reference,is_impossible\na,2 points,false\nb,,false\nc,,true\n")
    (tmp_path / "q.csv").write_text("id,question,context\na,q?,x\nb,q?,x\nc,q?,x\n")
    labels = Labels(tmp_path / "l.csv", None, warn=pytest.fail)
    joined = labels.join(load_examples(tmp_path / "q.csv").examples, tmp_path / "q.csv")
    assert [(e.answerable, e.references) for e in joined] == [(True, ("2 points",)), (None, ()), (False, ())]


# ---------------------------------------------------------------- offsets in any unit


@pytest.mark.parametrize(
    "start",
    [SECOND, str(SECOND), float(SECOND), f"{SECOND}.0", f" {SECOND} ", _utf16(SECOND), _bytes(SECOND)],
)
def test_an_offset_in_any_unit_leads_to_its_own_place(start: Any, tmp_path: Path) -> None:
    assert len({SECOND, _utf16(SECOND), _bytes(SECOND)}) == 3
    answer = {"text": "2 points", "answer_start": start}
    (nested,) = _load(tmp_path / "a.json", _squad(_asked(answers=[answer])))
    (columns,) = _load(tmp_path / "b.json", _squad(_asked(answers={k: [v] for k, v in answer.items()})))
    (flat,) = _load(
        tmp_path / "c.jsonl", json.dumps(_asked(context=CONTEXT, answer="2 points", answer_start=start))
    )
    assert [(s.start, s.text) for e in (nested, columns, flat) for s in e.spans] == [(SECOND, "2 points")] * 3


@pytest.mark.parametrize("width", [1, 2])
def test_line_breaks_counted_otherwise(width: int, tmp_path: Path) -> None:
    written = "\r\n" if width == 1 else "\n"
    context = written.join(["It fell by 2 points.", "Men:", "it fell by 2 points."])
    counted = context.replace("\r\n", "\n") if width == 1 else context.replace("\n", "\r\n")
    answer = {"text": "2 points", "answer_start": counted.rindex("2 points")}
    (example,) = _load(tmp_path / "a.jsonl", json.dumps(_asked(context=context, answers=[answer])))
    assert [s.start for s in example.spans] == [context.rindex("2 points")]


@settings(deadline=None)
@given(st.text(st.sampled_from("ab é😀µ\n"), min_size=1, max_size=30), st.data())
def test_every_unit_gives_the_piece_that_it_names(context: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    for offset in (
        start,
        len(context[:start].encode("utf-16-le")) // 2,
        len(context[:start].encode()),
        len(context[:start].replace("\n", "\r\n")),
    ):
        span = place_of(context, context[start:end], offset)
        assert context[span.start : span.end] == span.text == context[start:end]


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        ({"text": "in women", "answer_start": 3}, "it stands nowhere"),
        ({"text": "In women", "answer_start": 3}, f"it stands at {CONTEXT.index('In women')} alone"),
        ({"text": "2 points", "answer_start": 3}, "in several places"),
        ({"text": "2 points", "answer_start": -1}, "in several places"),
        ({"text": "2 points", "answer_start": 10**12}, "in several places"),
    ],
)
def test_an_offset_that_leads_nowhere_is_a_problem_with_a_hint(
    answer: dict[str, Any], hint: str, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(_squad(_asked(answers=[answer]))))
    loaded = load_examples(tmp_path / "a.json")
    (problem,) = loaded.problems
    assert loaded.examples == ()
    assert hint in problem.message
    assert "\n" not in problem.message


def test_offsets_of_a_long_context_take_no_time() -> None:
    context = "😀é\n" * 300_000
    began = time.process_time()
    for start in range(0, 10**6, 10**5):
        with pytest.raises(DataError):
            place_of(context, "not there", start, start + 9)
    assert time.process_time() - began < 5.0


def test_offsets_in_columns_of_a_csv(tmp_path: Path) -> None:
    text = "It fell by 2 points; then it fell by 2 points."
    second = text.rindex("2 points")
    header = "question,context,answer,answer_start,answer_end\n"
    rows = f"q?,{text},2 points,{second},{second + 8}\nq?,{text},,{second},{second + 8}\nq?,{text},,,\n"
    rows += f'q?,{text},"[""It"", ""2 points""]","[0, {second}]",\nq?,{text},,0,0\n'
    loaded = _load(tmp_path / "a.csv", header + rows)
    assert [[s.start for s in e.spans] for e in loaded] == [[second], [second], [], [0, second], []]
    assert [e.answerable for e in loaded] == [True, True, False, True, False]
    assert all(e.fields == {} for e in loaded)


@pytest.mark.parametrize(
    ("start", "match"), [("7", "reads"), ("x", "not a whole number"), ("[1, 2]", "1 answer texts but 2")]
)
def test_a_column_of_offsets_that_is_wrong_is_a_problem(start: str, match: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'question,context,answer,answer_start\nq?,It fell.,fell,"{start}"\n')
    (problem,) = load_examples(tmp_path / "a.csv").problems
    assert match in problem.message


# ---------------------------------------------------------------- annotation tools

PLACED = {"start": SECOND, "end": SECOND + 8, "text": "2 points", "labels": ["Answer"]}


@pytest.mark.parametrize("name", ["answer", "answers", "label", "span"])
@pytest.mark.parametrize("start", [SECOND, _utf16(SECOND)])
def test_label_studio_minimal(name: str, start: int, tmp_path: Path) -> None:
    meta = {"annotator": 1, "annotation_id": 4, "lead_time": 3.5}
    placed = PLACED | {"start": start, "end": start + 8}
    task = {"id": 3, "text": CONTEXT, "question": QUESTION, **meta}
    labelled, not_yet = _load(tmp_path / "a.json", [task | {name: [placed]}, task | {"id": 4}])
    assert [(s.start, s.text) for s in labelled.spans] == [(SECOND, "2 points")]
    assert (labelled.id, labelled.references, labelled.answerable) == ("3", ("2 points",), True)
    assert (not_yet.answerable, not_yet.is_labelled) == (None, False)
    (trained,) = align_examples([labelled]).examples
    assert [s.start for s in trained.spans] == [SECOND]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_label_studio_in_full(suffix: str, tmp_path: Path) -> None:
    def task(number: int, *annotations: dict[str, Any], key: str = "annotations") -> dict[str, Any]:
        data = {"text": CONTEXT, "question": QUESTION, "year": 2020}
        return {"id": number, "data": data, key: list(annotations), "predictions": [{"result": [PLACED]}]}

    def result(value: dict[str, Any], kind: str = "labels", name: str = "answer") -> dict[str, Any]:
        return {"value": value, "type": kind, "from_name": name, "to_name": "text"}

    tasks = [
        task(1, {"result": [result(PLACED)]}),
        task(2, {"result": []}),
        task(3),
        task(4, {"result": [result(PLACED)], "was_cancelled": True}),
        task(5, {"result": [result({"choices": ["no"]}, "choices", "answerable")]}),
        task(6, {"result": [result({"text": ["two points"]}, "textarea")]}),
        task(7, {"result": [result(PLACED)]},
             {"result": [result(PLACED | {"start": FIRST, "end": FIRST + 8})]}),
        task(8, {"result": [result({"start": "/p[1]", "end": "/p[1]", "text": "2 points",
                                    "globalOffsets": {"start": SECOND, "end": SECOND + 8}})]}),
    ]  # fmt: skip
    lines = tasks if suffix == "json" else "\n".join(map(json.dumps, tasks))
    loaded = _load(tmp_path / f"a.{suffix}", lines)
    assert [e.answerable for e in loaded] == [True, None, None, None, False, True, True, True]
    assert [[s.start for s in e.spans] for e in loaded] == [
        [SECOND],
        [],
        [],
        [],
        [],
        [],
        [SECOND, FIRST],
        [SECOND],
    ]
    assert loaded[5].references == ("two points",)
    assert [e.id for e in loaded] == list("12345678")
    assert loaded[0].fields["year"] == 2020


def test_label_studio_before_its_first_version(tmp_path: Path) -> None:
    task = {
        "id": 1,
        "data": {"text": CONTEXT, "question": QUESTION},
        "completions": [{"result": [{"value": PLACED}]}],
    }
    (example,) = _load(tmp_path / "a.json", [task])
    assert [s.start for s in example.spans] == [SECOND]


def test_label_studio_as_csv(tmp_path: Path) -> None:
    cell = json.dumps([PLACED]).replace('"', '""')
    table = "id,text,question,label,annotator\n"
    table += f'1,"{CONTEXT}",{QUESTION},"{cell}",1\n2,"{CONTEXT}",{QUESTION},,1\n'
    labelled, not_yet = _load(tmp_path / "a.csv", table)
    assert ([s.start for s in labelled.spans], not_yet.answerable) == ([SECOND], None)


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("label", [[SECOND, SECOND + 8, "Answer"]]),
        ("labels", [[_utf16(SECOND), _utf16(SECOND) + 8, "Answer"]]),
        ("entities", [{"id": 9, "label": "Answer", "start_offset": SECOND, "end_offset": SECOND + 8}]),
    ],
)
def test_doccano(name: str, spans: list[Any], tmp_path: Path) -> None:
    text = CONTEXT if name != "labels" else CONTEXT.replace("😀 ", "")
    if name == "labels":
        spans = [[text.rindex("2 points"), text.rindex("2 points") + 8, "Answer"]]
    rows = [{"id": 1, "text": text, "question": QUESTION, name: s, "Comments": []} for s in (spans, [])]
    labelled, not_yet = _load(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert [(s.start, s.text) for s in labelled.spans] == [(text.rindex("2 points"), "2 points")]
    assert (labelled.references, not_yet.answerable) == (("2 points",), None)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("begin", "end"),
        ("startOffset", "endOffset"),
        ("start_char", "end_char"),
        ("from", "to"),
        ("offset", ""),
    ],
)
def test_offsets_by_the_names_of_other_tools(start: str, end: str, tmp_path: Path) -> None:
    answer = {"text": "2 points", start: SECOND} | ({end: SECOND + 8} if end else {})
    rows = [{"text": CONTEXT, "question": QUESTION, "answer": [answer]}]
    (example,) = _load(tmp_path / "a.json", json.dumps(rows))
    assert [(s.start, s.text) for s in example.spans] == [(SECOND, "2 points")]


def test_prodigy(tmp_path: Path) -> None:
    row = {"text": CONTEXT, "question": QUESTION, "_input_hash": 1, "_task_hash": 2}
    row |= {"spans": [{"start": SECOND, "end": SECOND + 8, "label": "ANSWER", "token_start": 5}]}
    rows = [row | {"answer": word} for word in ("accept", "reject", "ignore")]
    loaded = _load(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert [(e.answerable, [s.start for s in e.spans]) for e in loaded] == [
        (True, [SECOND]),
        (None, []),
        (None, []),
    ]


def test_a_span_may_differ_from_its_text_in_white_space(tmp_path: Path) -> None:
    context = "It fell\nby 2  points."
    answer = {"start": 3, "end": 12, "text": "fell\\nby 2"}
    other = {"start": 3, "end": 20, "text": "fell by 2 points"}
    (example,) = _load(tmp_path / "a.jsonl", json.dumps(_asked(context=context, answers=[answer, other])))
    assert [s.text for s in example.spans] == ["fell\nby 2", "fell\nby 2  points"]


@pytest.mark.parametrize("answer", [{"txt": "2 points"}, {"value": "2 points", "start": 3}])
def test_an_answer_without_a_text_is_a_problem(answer: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(_asked(context=CONTEXT, answers=[answer])))
    (problem,) = load_examples(tmp_path / "a.jsonl").problems
    assert "an answer has no 'text'" in problem.message


def test_other_lists_are_no_answers(tmp_path: Path) -> None:
    row = _asked(context=CONTEXT, label="yes", pages=[{"start": 1, "end": 2}], entities=["a"])
    (example,) = _load(tmp_path / "a.jsonl", json.dumps(row))
    assert (example.answerable, example.spans) == (None, ())
    assert example.fields == {"label": "yes", "pages": [{"start": 1, "end": 2}], "entities": ["a"]}


@pytest.mark.parametrize("count", [lambda index: index, _utf16, _bytes])
def test_offsets_without_a_text_cut_no_word_in_any_unit(count: Any, tmp_path: Path) -> None:
    label = [count(SECOND), count(SECOND + 8), "Answer"]
    row = {"text": CONTEXT, "question": QUESTION, "label": [label]}
    (example,) = _load(tmp_path / "in.jsonl", json.dumps(row))
    assert [(span.start, span.text) for span in example.spans] == [(SECOND, "2 points")]


def test_offsets_without_a_text_that_cut_words_at_both_ends_are_a_problem(tmp_path: Path) -> None:
    text = "The 152 nurses slept."
    rows = [
        {"text": text, "question": "How many?", "label": [[start, end, "A"]]}
        for start, end in ((5, 8), (3, 6), (4, 7), (8, 13))
    ]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    loaded = load_examples(path)
    assert [example.references for example in loaded.examples] == [("152",), ("nurse",)]
    assert [problem.row for problem in loaded.problems] == [1, 2]
    assert "reads '52 ', which cuts a word" in loaded.problems[0].message


def test_what_programs_write_for_nothing_is_no_answer(tmp_path: Path) -> None:
    cells = ("nan", "NA", "N/A", "null", "<NA>", "None", "Na")
    lines = "".join(f"q,We saw 5.,{cell},nan\n" for cell in cells)
    examples = _load(tmp_path / "in.csv", f"question,context,answer,answer_start\n{lines}q,NA rose.,NA,0\n")
    assert [example.references for example in examples] == [(), (), (), (), (), ("None",), ("Na",), ("NA",)]
    assert [example.answerable for example in examples] == [False] * 5 + [True] * 3
    row = (
        '{"question": "q", "context": "We saw 5.", "answer": NaN, "is_impossible": NaN, "answer_start": NaN}'
    )
    for name, text in (("in.jsonl", row), ("in.json", f"[{row}]")):
        (example,) = _load(tmp_path / name, text)
        assert example.references == ()
        assert example.answerable is None
