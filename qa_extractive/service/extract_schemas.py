"""What callers of ``/v1/extract`` send and get, as OpenAPI states it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from qa_extractive.extraction.fields import TYPES
from qa_extractive.service.schemas import (
    ContextText,
    Envelope,
    Prob,
    Returned,
    Sent,
    SpanBody,
    Threshold,
    TitleText,
)
from qa_extractive.types import STATUSES

_CONTEXT = "We gave 212 adults the salt substitute. Systolic pressure fell by 3.3 mmHg (95% CI 2.1 to 4.5)."
_FIELDS: dict[str, Any] = {
    "n": {"question": "How many adults took part?", "type": "number"},
    "fall": "By how much did systolic pressure fall?",
}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"n": {"type": "integer", "description": "How many adults took part?"}},
}


class ExtractRequest(Sent):
    """Many fields of one text."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"context": _CONTEXT, "fields": _FIELDS},
                {"context": _CONTEXT, "fields": _SCHEMA},
            ]
        }
    )

    context: ContextText
    fields: Annotated[
        dict[str, Any],
        Field(
            min_length=1,
            description="Of each field its name, and a question or an object with `question` and perhaps "
            f"`type`, one of {', '.join(f'`{each}`' for each in TYPES)}; or a JSON Schema (`type: object`), "
            "each of whose properties has its question as its `description`.",
        ),
    ]
    title: TitleText = None
    threshold: Threshold = None


class ExtractedField(Returned):
    """What the text says of one field."""

    type: Annotated[str, Field(json_schema_extra={"enum": list(TYPES)})]
    value: Annotated[
        str | bool | int | float | list[str] | dict[str, str | int | float] | None,
        Field(
            description="What the quote states: a text, a number, `number` and `unit` of a quantity, a date "
            "as `2019-03-12`, `2019-03` or `2019`, the items of a list, a verdict, true or false. Null where "
            "the field is not reported, or the quote cannot be parsed."
        ),
    ]
    quote: Annotated[SpanBody | None, Field(description="Verbatim; null where the field is not reported.")]
    sentence: Annotated[SpanBody | None, Field(description="The sentence around the quote.")]
    answerable: Annotated[Prob, Field(description="Probability that the text reports the field.")]
    status: Annotated[str, Field(json_schema_extra={"enum": list(STATUSES)})]
    reason: Annotated[str | None, Field(description="Why there is a quote and no value.")]
    items: Annotated[list[SpanBody], Field(description="Of a list, its items with their offsets.")]
    verdict_probs: dict[Literal["yes", "no", "mixed"], float] | None


class ExtractBody(Envelope):
    """The fields, by the names that were sent."""

    fields: dict[str, ExtractedField]
