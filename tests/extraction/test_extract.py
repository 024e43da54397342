"""Many fields of one text: quotes that are verbatim, values that they state, and schemas that are refused."""

from __future__ import annotations

import builtins
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qa_extractive import DataError, Predictor
from qa_extractive.extraction import fields as fields_module
from qa_extractive.extraction.extract import extracted
from qa_extractive.extraction.fields import MAX_FIELDS, TYPES, fields_of
from qa_extractive.extraction.types import Field
from qa_extractive.types import Span

pytest.importorskip("pint")
pytest.importorskip("dateparser")

TEXT = (
    "🧂 Between 2015 and 2018, we gave 212 adults in Lima the salt substitute. Systolic pressure fell by "
    "3.3 mmHg (95% CI 2.1 to 4.5). The side effects were headache, nausea and a dry mouth. Of the adults, "
    "45% were women. The substitute lowered the risk of stroke."
)
FIELDS: dict[str, Any] = {
    "n": {"question": "How many adults took part?", "type": "number"},
    "fall": {"question": "By how much did systolic pressure fall?", "type": "quantity"},
    "women": {"question": "What share of the adults were women?", "type": "percentage"},
    "harms": {"question": "What were the side effects?", "type": "list"},
    "cost": "What did the substitute cost?",
    "begin": {"question": "When was it given?", "type": "date"},
    "stroke": {"question": "Did the substitute lower the risk of stroke?", "type": "yes_no"},
}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(n_threads=1)


def test_fields_of_all_types(predictor: Predictor) -> None:
    found = predictor.extract(TEXT, FIELDS)
    assert list(found) == list(FIELDS)
    for each in found.values():
        for span in (each.quote, each.sentence, *each.items):
            assert span is None or TEXT[span.start : span.end] == span.text
    assert found["n"].value == 212
    assert found["fall"].value == {"number": 3.3, "unit": "millimeter_Hg"}
    assert found["women"].value == 45
    assert found["harms"].value == ["headache", "nausea", "a dry mouth"]
    assert [each.text for each in found["harms"].items] == found["harms"].value
    assert found["stroke"].value == "yes"
    assert sum((found["stroke"].verdict_probs or {}).values()) == pytest.approx(1.0)
    cost = found["cost"]
    assert (cost.value, cost.quote, cost.reason, cost.status != "answered") == (None, None, None, True)
    assert 0.0 < cost.answerable < predictor.threshold


def test_a_quote_that_cannot_be_parsed_is_kept(predictor: Predictor) -> None:
    found = predictor.extract(TEXT, {"n": {"question": "How many adults took part?", "type": "date"}})["n"]
    assert found.quote is not None
    assert "212" in found.quote.text
    assert found.value is None
    assert found.reason == "the quote holds no date with its year"
    begin = predictor.extract(TEXT, FIELDS, threshold=0)["begin"]
    assert begin.quote is not None
    assert begin.value is None
    assert begin.reason


def test_the_quotes_are_those_of_answers(predictor: Predictor) -> None:
    asked = fields_of(FIELDS)
    found = predictor.extract(TEXT, FIELDS, "Salt", threshold=0.3)
    for field in asked:
        answer = predictor.answer(field.question, TEXT, "Salt", threshold=0.3)
        each = found[field.name]
        assert each.answerable == answer.answerable
        assert each.status == answer.status
        assert each.quote == (None if answer.abstained else answer.best)


def test_it_is_json(predictor: Predictor) -> None:
    found = {name: each.to_dict() for name, each in predictor.extract(TEXT, FIELDS).items()}
    assert json.loads(json.dumps(found)) == found
    assert found["harms"]["items"][1]["text"] == "nausea"


def test_yes_or_no_as_a_boolean(predictor: Predictor) -> None:
    schema = {"type": "object", "properties": {"stroke": {"type": "boolean"}}}
    schema["properties"]["stroke"]["description"] = FIELDS["stroke"]["question"]  # type: ignore[index]
    assert predictor.extract(TEXT, schema)["stroke"].value is True
    answer = predictor.answer(FIELDS["stroke"]["question"], TEXT)
    object.__setattr__(answer, "vote_probs", (0.2, 0.2, 0.5, 0.1))
    mixed = extracted([Field("stroke", "?", "boolean")], TEXT, [answer])["stroke"]
    assert (mixed.value, mixed.reason) == (None, "the text says neither yes nor no: mixed")
    object.__setattr__(answer, "vote_probs", None)
    without = extracted([Field("stroke", "?", "yes_no")], TEXT, [answer])["stroke"]
    assert without.reason == "the model has no verdict head"


def test_a_blank_text_reports_nothing(predictor: Predictor) -> None:
    for each in predictor.extract(" ", FIELDS).values():
        assert (each.value, each.quote, each.status) == (None, None, "not_reported")


# ---------------------------------------------------------------- what is asked for


def test_a_json_schema_is_the_same_as_names_and_questions() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Trial",
        "type": "object",
        "required": ["n"],
        "properties": {
            "n": {"type": ["integer", "null"], "description": "How many?", "minimum": 0},
            "m": {
                "anyOf": [{"type": "number"}, {"type": "null"}],
                "default": None,
                "description": "How much?",
            },
            "when": {"type": "string", "format": "date", "description": "When?"},
            "harms": {"type": "array", "items": {"type": "string"}, "description": "Which?"},
            "dose": {"type": "quantity", "description": "What dose?"},
            "did": {"type": "boolean", "description": "Did it?"},
            "where": {"description": "Where?"},
        },
    }
    assert fields_of(schema) == (
        Field("n", "How many?", "integer", minimum=0),
        Field("m", "How much?", "number"),
        Field("when", "When?", "date"),
        Field("harms", "Which?", "list"),
        Field("dose", "What dose?", "quantity"),
        Field("did", "Did it?", "boolean"),
        Field("where", "Where?", "text"),
    )
    assert fields_of({"type": "What type of trial is it?"}) == (Field("type", "What type of trial is it?"),)


def test_forms_of_a_schema_that_mean_the_same() -> None:
    wanted = (Field("n", "How many?", "integer"), Field("when", "When?", "date"))
    properties = {
        "n": {"anyOf": [{"type": "integer", "description": "How many?"}, {"type": "null"}]},
        "when": {"type": ["string", "null"], "format": "date", "description": "When?"},
    }
    for head in ({"type": "object"}, {"type": ["object"]}, {"required": ["n"]}):
        assert fields_of({**head, "properties": properties}) == wanted
    named = {"properties": {"question": "Which properties?"}}
    assert fields_of(named) == (Field("properties", "Which properties?"),)


def test_numbers_are_held_to_a_minimum_and_a_maximum(predictor: Predictor) -> None:
    limits = {"low": {"maximum": 211}, "high": {"minimum": 213}, "fits": {"minimum": 212, "maximum": 212}}
    asked = {name: {"type": "integer", "description": "How many adults took part?"} for name in limits}
    found = predictor.extract(TEXT, _schema(**{name: {**asked[name], **limits[name]} for name in limits}))
    assert [found[name].value for name in limits] == [None, None, 212]
    assert found["low"].reason == "212 is more than the maximum 211"
    assert found["high"].reason == "212 is less than the minimum 213"
    assert found["high"].quote == found["fits"].quote


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("We enrolled at least 212 adults.", "a bound"),
        ("We enrolled 212 or more adults.", "a bound"),
        ("We enrolled 212½ adults.", "touches|more of the number"),
    ],
)
def test_the_text_around_the_quote_is_seen(predictor: Predictor, text: str, reason: str) -> None:
    answer = predictor.answer("How many adults?", text)
    start = text.index("212")
    quote = Span.cut(text, start, start + 3, 0.9)
    object.__setattr__(answer, "text", "212")
    object.__setattr__(answer, "candidates", (quote,))
    object.__setattr__(answer, "abstained", False)
    found = extracted([Field("n", "How many adults?", "integer")], text, [answer])["n"]
    assert (found.value, found.quote) == (None, quote)
    assert re.search(reason, found.reason or "")


def _schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _nested() -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "number"}
    for _ in range(5000):
        inner = {"anyOf": [inner]}
    return _schema(x={**inner, "description": "Why?"})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["n"], "must be a dict"),
        ({}, "there are no fields"),
        ({"type": "object"}, "the schema has no properties"),
        (_schema(), "the schema has no properties"),
        ({"n": 5}, "field 'n' must be a question or a dict"),
        ({"n": " "}, "field 'n' has no question"),
        ({"n": {"type": "number"}}, "field 'n' has no question"),
        ({"n": {"question": "Why?", "kind": "number"}}, "has a key 'kind'"),
        ({"n": {"question": "Why?", "type": "float"}}, "has the type 'float': use one of text, number"),
        ({"n": {"question": "Why?", "type": ["number"]}}, "has the type ['number']"),
        ({5: "Why?"}, "5 is no name of a field"),
        ({"": "Why?"}, "'' is no name of a field"),
        ({"x" * 300: "Why?"}, "is no name of a field"),
        ({str(i): "Why?" for i in range(MAX_FIELDS + 1)}, "1,001 fields are more than 1,000"),
        ({"n": "why " * 500}, "field 'n': question of"),
        (_schema(n={"type": "number"}), "field 'n' has no question"),
        (_schema(n="number"), "field 'n' must be a JSON Schema"),
        (_schema(n={"$ref": "#/$defs/N", "description": "Why?"}), "has '$ref'"),
        (_schema(n={"enum": ["a"], "description": "Why?"}), "has 'enum'"),
        (_schema(n={"type": "object", "properties": {}, "description": "Why?"}), "has 'properties'"),
        (_schema(n={"type": "object", "description": "Why?"}), "has the type 'object'"),
        (_schema(n={"type": {"a": 1}, "description": "Why?"}), "has the type"),
        (_schema(n={"type": ["number", "string"], "description": "Why?"}), "must have one type"),
        (_schema(n={"type": [["number"]], "description": "Why?"}), "must have one type"),
        (_schema(n={"anyOf": "number", "description": "Why?"}), "must have one type"),
        (_schema(n={"type": "array", "items": {"type": "number"}, "description": "Why?"}), "must have items"),
        (_nested(), "must have one type"),
        (
            _schema(n={"type": "integer", "anyOf": [{"type": "string"}], "description": "Why?"}),
            "has both 'type' and 'anyOf'",
        ),
        ({"properties": {"n": {"type": "number"}}}, "field 'n' has no question"),
        (_schema(n={"type": "string", "pattern": "a+", "description": "Why?"}), "has 'pattern'"),
        (_schema(n={"type": "string", "maxLength": 5, "description": "Why?"}), "has 'maxLength'"),
        (_schema(n={"type": "array", "maxItems": 5, "description": "Why?"}), "has 'maxItems'"),
        (_schema(n={"type": "array", "items": {"enum": ["a"]}, "description": "Why?"}), "has 'enum'"),
        (_schema(n={"anyOf": [{"pattern": "a+"}, {"type": "null"}], "description": "Why?"}), "has 'pattern'"),
        (_schema(n={"type": "string", "format": "date-time", "description": "Why?"}), "format 'date-time'"),
        (_schema(n={"type": "string", "minimum": 5, "description": "Why?"}), "has 'minimum'"),
        (_schema(n={"type": "number", "maximum": "5", "description": "Why?"}), "has 'maximum'"),
        (_schema(n={"type": "number", "exclusiveMinimum": 5, "description": "Why?"}), "'exclusiveMinimum'"),
    ],
)
def test_schemas_that_are_refused_get_one_line(predictor: Predictor, given: Any, told: str) -> None:
    with pytest.raises(DataError) as raised:
        predictor.extract(TEXT, given)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize(("kind", "library"), [("quantity", "pint"), ("date", "dateparser")])
def test_a_missing_library_is_named_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, kind: str, library: str
) -> None:
    monkeypatch.setattr(fields_module, "find_spec", lambda name: None if name == library else object())
    with pytest.raises(DataError, match=rf"needs {library}: pip install 'qa-extractive\[extract\]'"):
        fields_of({"x": {"question": "Why?", "type": kind}})
    others = {name: {"question": "Why?", "type": name} for name in TYPES if name != kind}
    assert len(fields_of(others)) == len(TYPES) - 1


def test_numbers_and_texts_need_no_extra(monkeypatch: pytest.MonkeyPatch, predictor: Predictor) -> None:
    plain_import: Callable[..., Any] = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        assert name.split(".")[0] not in ("pint", "dateparser", "text_to_num"), name
        return plain_import(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr("qa_extractive.extraction.numbers.find_spec", lambda _: None)
    assert predictor.extract(TEXT, {"n": FIELDS["n"]})["n"].value == 212
    words = predictor.extract(
        "We asked twelve nurses.", {"n": {"question": "How many nurses?", "type": "number"}}
    )
    assert "pip install 'qa-extractive[extract]'" in (words["n"].reason or "")
    assert importlib.util.find_spec("pint")


# ---------------------------------------------------------------- the command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], predictor: Predictor) -> None:
    from qa_extractive.cli import main

    (tmp_path / "paper.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "fields.json").write_text(json.dumps(FIELDS), encoding="utf-8")
    arguments = ["extract", str(tmp_path / "paper.txt"), "--fields", str(tmp_path / "fields.json")]
    assert main([*arguments, "--threads", "1"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {name: each.to_dict() for name, each in predictor.extract(TEXT, FIELDS).items()}
    for wrong in ("{", "[1]", "[" * 100_000, '{"n": "How many?", "n": "How few?"}'):
        (tmp_path / "fields.json").write_text(wrong, encoding="utf-8")
        assert main(arguments) == 2
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith("error: ")
        assert err.count("\n") == 1
    assert err.endswith("fields.json: the name 'n' stands twice: rename or remove one\n")
    (tmp_path / "fields.json").unlink()
    assert main(arguments) == 2
    assert "fields.json" in capsys.readouterr().err


def test_nothing_heavy_is_loaded_for_texts() -> None:
    code = (
        "import sys; from qa_extractive import Predictor\n"
        "Predictor().extract('Pressure fell by 5 mmHg.', {'x': 'What fell?'})\n"
        "print([m for m in ('pint', 'dateparser', 'text_to_num') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
