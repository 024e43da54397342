"""The Open Inference Protocol, version 2: tensors in, tensors out.

Texts are BYTES. Both the JSON form and the binary form of the inputs are read (``plain_json``);
outputs are JSON.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qa_extractive.errors import DataError
from qa_extractive.service.engine import AnswerOptions
from qa_extractive.service.exchange import ErrorResponse, header, send_refusal
from qa_extractive.service.schemas import Items, Threshold, TopK, Whole
from qa_extractive.types import Answer, Question

VERSION = "1"
PLATFORM = "onnxruntime_onnx"
_HEADER_LENGTH = b"inference-header-content-length"
_INPUTS = ("question", "context", "title")
_OUTPUTS = {
    "answer": "BYTES",
    "start": "INT64",
    "end": "INT64",
    "score": "FP64",
    "answerable": "FP64",
    "abstained": "BOOL",
    "sentence": "BYTES",
    "status": "BYTES",
    "best": "BYTES",
}
_MAX_OUTPUTS = len(_OUTPUTS)  # each may be as long as the contexts
_EXAMPLE: dict[str, Any] = {
    "inputs": [
        {"name": "question", "shape": [1], "datatype": "BYTES", "data": ["What fell?"]},
        {"name": "context", "shape": [1], "datatype": "BYTES", "data": ["Pressure fell by 5 mmHg."]},
    ]
}


class InputTensor(BaseModel):
    """Texts: one for each question, in a shape that holds as many."""

    model_config = ConfigDict(strict=True)

    name: Literal["question", "context", "title"]
    shape: Annotated[list[Annotated[Whole, Field(ge=1)]], Field(min_length=1, max_length=4)]
    datatype: Literal["BYTES"]
    data: Items[str | Items[str]]


class OutputChoice(BaseModel):
    """An output that is wanted."""

    name: Literal["answer", "start", "end", "score", "answerable", "abstained", "sentence", "status", "best"]


class InferParameters(BaseModel):
    """``top_k`` has no effect on the outputs there are; others are ignored."""

    model_config = ConfigDict(strict=True)

    threshold: Threshold = None
    top_k: TopK = None


class InferRequest(BaseModel):
    """Tensors `question` and `context`, and optionally `title`, of one length; an empty title is none."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str | None = None
    parameters: InferParameters | None = None
    inputs: Annotated[list[InputTensor], Field(min_length=2, max_length=3)]
    outputs: Annotated[list[OutputChoice], Field(max_length=_MAX_OUTPUTS)] | None = None

    def questions(self) -> list[Question]:
        """What is asked.

        Raises:
            DataError: A tensor is missing, given twice, or does not fit its shape or the others.
        """
        columns = self._columns()
        titles = columns.get("title", [""] * len(columns["question"]))
        rows = zip(columns["question"], columns["context"], titles, strict=True)
        return [Question(question, context, title or None) for question, context, title in rows]

    def _columns(self) -> dict[str, list[str]]:
        columns: dict[str, list[str]] = {tensor.name: _flat(tensor) for tensor in self.inputs}
        if len(columns) < len(self.inputs) or not {"question", "context"} <= set(columns):
            raise DataError("inputs: give 'question' and 'context', and optionally 'title', once each")
        if len({len(column) for column in columns.values()}) > 1:
            raise DataError("inputs: the tensors differ in length: give one context for each question")
        return columns

    def options(self) -> AnswerOptions:
        """What the caller chose."""
        chosen = self.parameters or InferParameters()
        return AnswerOptions(chosen.top_k, chosen.threshold)


def _flat(tensor: InputTensor) -> list[str]:
    texts = [text for row in tensor.data for text in ([row] if isinstance(row, str) else row)]
    if math.prod(tensor.shape) != len(texts):
        raise DataError(
            f"inputs: {tensor.name!r} holds {len(texts)} texts, its shape {tensor.shape} does not"
        )
    return texts


class TensorMetadata(BaseModel):
    """One tensor of the model."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class OutputTensor(BaseModel):
    """One value for each question."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str] | list[int] | list[float] | list[bool]


class InferResponse(BaseModel):
    """The outputs that were asked for, or all."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class V2Error(BaseModel):
    """Of every ``/v2`` response that is no success."""

    error: str


class ServerMetadata(BaseModel):
    """The server."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Whether the server runs."""

    live: bool


class Ready(BaseModel):
    """Whether the server, or the model, answers."""

    ready: bool


def model_metadata(name: str) -> dict[str, Any]:
    """What ``GET /v2/models/{name}`` says."""
    return {
        "name": name,
        "versions": [VERSION],
        "platform": PLATFORM,
        "inputs": [{"name": each, "datatype": "BYTES", "shape": [-1]} for each in _INPUTS],
        "outputs": [{"name": each, "datatype": kind, "shape": [-1]} for each, kind in _OUTPUTS.items()],
    }


def infer_response(name: str, request: InferRequest, answers: Sequence[Answer]) -> dict[str, Any]:
    """The outputs asked for, in that order; all of them if none was named."""
    wanted: list[str] = [choice.name for choice in request.outputs or ()] or [*_OUTPUTS]
    outputs = [
        {
            "name": each,
            "datatype": _OUTPUTS[each],
            "shape": [len(answers)],
            "data": [_value(answer, each) for answer in answers],
        }
        for each in wanted
    ]
    response = {"model_name": name, "model_version": VERSION, "outputs": outputs}
    return response if request.id is None else response | {"id": request.id}


def _value(answer: Answer, output: str) -> str | int | float | bool:
    if output == "answer":
        return answer.text
    if output == "sentence":
        return answer.sentence.text if answer.sentence else ""
    if output == "best":
        return answer.best.text if answer.best else ""
    value: str | int | float | bool = getattr(answer, output)
    return value


class BinaryInputs:
    """Turns a request with binary tensors into the JSON form, before the application reads it."""

    def __init__(self, app: ASGIApp, max_texts: int) -> None:
        """Take the application, whose body must have been read, and how many texts a tensor may have."""
        self._app, self._max_texts = app, max_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        length = header(scope, _HEADER_LENGTH) if scope["type"] == "http" else None
        if length is None or not scope["path"].startswith("/v2/"):
            return await self._app(scope, receive, send)
        message = await receive()
        try:
            body = plain_json(message["body"], length.decode("latin-1"), self._max_texts)
        except DataError as error:
            return await send_refusal(scope, send, ErrorResponse(400, "bad_tensor", str(error)))
        messages: list[Message] = [{**message, "body": body}]

        async def replayed() -> Message:
            return messages.pop() if messages else await receive()

        kept = [(k, v) for k, v in scope["headers"] if k not in (b"content-type", b"content-length")]
        headers = [*kept, (b"content-type", b"application/json")]
        return await self._app({**scope, "headers": headers}, replayed, send)


def plain_json(body: bytes, header_length: str, max_texts: int) -> bytes:
    """A body of a JSON header and binary tensors -> the same request as JSON alone.

    Raises:
        DataError: The lengths do not add up, a text is not UTF-8, or a tensor has too many.
    """
    try:
        n_header = int(header_length)
        request = json.loads(body[:n_header])
        rest = memoryview(body)[n_header:]
        for tensor in request["inputs"]:
            size = tensor.get("parameters", {}).pop("binary_data_size", None)
            if size is not None:
                tensor["data"] = list(islice(_texts(bytes(rest[:size])), max_texts + 1))
                rest = rest[size:]
        return json.dumps(request).encode("ascii")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"the binary tensors cannot be read: {reason[:200]}") from None


def _texts(raw: bytes) -> Iterator[str]:
    """Texts, each after its length in 4 bytes, least significant first."""
    at = 0
    while at < len(raw):
        (n_bytes,) = struct.unpack_from("<I", raw, at)
        at += 4
        if at + n_bytes > len(raw):
            raise ValueError(f"a text of {n_bytes} bytes does not fit into what is left")
        yield raw[at : at + n_bytes].decode("utf-8")
        at += n_bytes
