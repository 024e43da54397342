"""What a caller asks for -> fields: names with questions, or a JSON Schema. All errors are one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from qa_extractive.errors import DataError, shortened
from qa_extractive.extraction.types import Field

TYPES = ("text", "number", "integer", "quantity", "percentage", "date", "list", "yes_no", "boolean")
"""Kinds of value; "yes_no" has "yes", "no" or "mixed", "boolean" true or false."""
MAX_FIELDS = 1000
_MAX_NAME = 200
_NEEDS = {"quantity": "pint", "date": "dateparser"}
_OF_SCHEMA = {"string": "text", "array": "list", **{name: name for name in TYPES}}
_NO_QUOTE = (
    *(
        "$ref",
        "enum",
        "const",
        "oneOf",
        "allOf",
        "not",
        "if",
        "properties",
        "contains",
        "prefixItems",
        "pattern",
    ),
    *("minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "multipleOf"),
    *("exclusiveMinimum", "exclusiveMaximum"),
)
_NUMBERS = ("number", "integer", "percentage")


def fields_of(given: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields that are asked for, in their order.

    Args:
        given: Of each field its name, and a question or a dict with ``question`` and perhaps ``type``; or a
            JSON Schema of an object, each of whose properties has its question as ``description``.

    Raises:
        DataError: It is of neither form, or a library that a type needs is not installed.
    """
    if not isinstance(given, Mapping):
        raise DataError(f"fields must be a dict of names and questions, not {type(given).__name__}")
    is_schema = _is_schema(given)
    named = given.get("properties") if is_schema else given
    if not isinstance(named, Mapping) or not named:
        raise DataError(
            f"{'the schema has no properties' if is_schema else 'there are no fields'}: give some"
        )
    if len(named) > MAX_FIELDS:
        raise DataError(f"{len(named):,} fields are more than {MAX_FIELDS:,}: ask for fewer at once")
    make = _of_property if is_schema else _of_question
    fields = tuple(make(_name(name), value) for name, value in named.items())
    for field in fields:
        library = _NEEDS.get(field.type)
        if library is not None and find_spec(library) is None:
            raise DataError(
                f"a field of type {field.type!r} needs {library}: pip install 'qa-extractive[extract]'"
            )
    return fields


def _is_schema(given: Mapping[str, Any]) -> bool:
    """Whether it is the schema of an object, and no field has the name "type" or "properties"."""
    if given.get("type") in ("object", ["object"]):
        return True
    properties = given.get("properties")
    is_field = not isinstance(properties, Mapping) or isinstance(properties.get("question"), str)
    return not is_field and "type" not in given


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME:
        raise DataError(
            f"{shortened(name)} is no name of a field: give a text of at most {_MAX_NAME} characters"
        )
    return name


def _of_question(name: str, value: object) -> Field:
    if isinstance(value, str):
        return _field(name, value)
    if not isinstance(value, Mapping):
        raise DataError(f"{_said(name)} must be a question or a dict with 'question' and perhaps 'type'")
    unknown = [key for key in value if key not in ("question", "type")]
    if unknown:
        raise DataError(
            f"{_said(name)} has a key {shortened(unknown[0])}: give 'question' and perhaps 'type'"
        )
    kind = value.get("type", "text")
    if kind not in TYPES:
        raise DataError(f"{_said(name)} has the type {shortened(kind)}: use one of {', '.join(TYPES)}")
    return _field(name, value.get("question"), kind)


def _of_property(name: str, value: object) -> Field:
    if not isinstance(value, Mapping):
        raise DataError(f"{_said(name)} must be a JSON Schema with a type and a description")
    schema = _of_one_type(name, value)
    _check_held_to(name, schema)
    kind = _schema_type(name, schema)
    limits = {key: schema[key] for key in ("minimum", "maximum") if schema.get(key) is not None}
    for key, limit in limits.items():
        if kind not in _NUMBERS or isinstance(limit, bool) or not isinstance(limit, int | float):
            raise DataError(f"{_said(name)} has {key!r}: only a number is held to it, and it must be one")
    return replace(_field(name, schema.get("description"), kind), **limits)


def _of_one_type(name: str, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A property that may also be null, by ``["number", "null"]`` or ``anyOf``, with its one type alone."""
    if "anyOf" in schema and "type" in schema:
        raise DataError(f"{_said(name)} has both 'type' and 'anyOf': leave one out")
    kind = schema.get("type")
    choices = schema.get("anyOf", kind if isinstance(kind, list) else None)
    if choices is None:
        return schema
    listed = choices if isinstance(choices, list) else []
    plain = [each if isinstance(each, Mapping) else {"type": each} for each in listed]
    own = [each for each in plain if each.get("type") != "null"]
    if len(own) != 1 or "anyOf" in own[0] or isinstance(own[0].get("type"), list):
        raise DataError(f"{_said(name)} must have one type, perhaps beside null: choose one")
    return {**own[0], **{key: value for key, value in schema.items() if key not in ("anyOf", "type")}}


def _check_held_to(name: str, schema: Mapping[str, Any]) -> None:
    """DataError where it asks for what no quote can be held to."""
    items = schema.get("items")
    stated = [
        key for part in (schema, items) if isinstance(part, Mapping) for key in _NO_QUOTE if key in part
    ]
    if stated:
        raise DataError(f"{_said(name)} has {stated[0]!r}, which no quote can be held to: leave it out")
    if schema.get("type", "string") == "string" and schema.get("format", "date") != "date":
        told = shortened(schema["format"])
        raise DataError(f"{_said(name)} has the format {told}: use 'date' or leave it out")


def _schema_type(name: str, schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "string")
    if kind == "string" and "format" in schema:
        return "date"
    if not isinstance(kind, str) or kind not in _OF_SCHEMA:
        known = ", ".join(_OF_SCHEMA)
        raise DataError(f"{_said(name)} has the type {shortened(kind)}: use one of {known}")
    items = schema.get("items", {})
    if kind == "array" and (not isinstance(items, Mapping) or items.get("type", "string") != "string"):
        raise DataError(f"{_said(name)} must have items of the type string: a list has quotes as they stand")
    return _OF_SCHEMA[kind]


def _field(name: str, question: object, kind: str = "text") -> Field:
    if not isinstance(question, str) or not question.strip():
        raise DataError(f"{_said(name)} has no question: give one, in a JSON Schema as its description")
    return Field(name, question, kind)


def _said(name: str) -> str:
    return f"field {shortened(name)}"
