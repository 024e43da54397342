"""``model.onnx`` as a file, looked through before onnxruntime opens it: what it may hold, and how much.

Only the places are followed at which the ONNX format keeps messages; weights are skipped unread. Serving
code: no onnx, no protobuf.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from qa_extractive.errors import ModelError

MAX_GRAPH_BYTES = (2 << 30) - 1  # what protobuf reads
MAX_FIELDS = 1_000_000  # a BERT of 24 layers has some 50,000; each takes up to 200 bytes when it is loaded

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10
_PIECE_BYTES = 4096
_CHUNK_BYTES = 1 << 20
# The key of the path of a tensor that is kept in another file: no such tensor goes without.
_OTHER_FILE = b"location"


@dataclass(slots=True, eq=False)
class _Kind:
    """A kind of message: of its fields, by their numbers, those that hold messages again."""

    name: str
    fields: dict[int, _Kind] = field(default_factory=dict)


def _kinds() -> _Kind:
    """The kinds of onnx.proto, linked, beginning with that of a file."""
    entry, shape, kind = _Kind("entry"), _Kind("shape"), _Kind("type")
    tensor, sparse, attribute = _Kind("tensor"), _Kind("sparse tensor"), _Kind("attribute")
    node, graph, value = _Kind("node"), _Kind("graph"), _Kind("value")
    shape.fields = {1: _Kind("dimension")}
    typed = _Kind("tensor type", {2: shape})
    kind.fields = {1: typed, 8: typed}
    kind.fields |= {
        4: _Kind("sequence", {1: kind}),
        5: _Kind("map", {2: kind}),
        9: _Kind("optional", {1: kind}),
    }
    value.fields = {2: kind, 4: entry}
    tensor.fields = {13: entry, 16: entry}
    sparse.fields = {1: tensor, 2: tensor}
    attribute.fields = {
        5: tensor,
        6: graph,
        10: tensor,
        11: graph,
        14: kind,
        15: kind,
        22: sparse,
        23: sparse,
    }
    node.fields = {5: attribute, 9: entry}
    values = dict.fromkeys((11, 12, 13), value)
    graph.fields = {1: node, 5: tensor, 14: _Kind("annotation", {2: entry}), 15: sparse, 16: entry} | values
    function = _Kind("function", {7: node, 11: attribute, 12: value, 14: entry})
    training = _Kind("training", {1: graph, 2: graph, 3: entry, 4: entry})
    return _Kind("model", {7: graph, 8: _Kind("opset"), 14: entry, 20: training, 25: function})


_MODEL = _kinds()
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14  # fields of a tensor


class _MalformedError(Exception):
    """It is no message; onnxruntime will say so too."""


def check_graph(path: Path) -> None:
    """Look through ``model.onnx``; a file that is no ONNX at all is left for onnxruntime to refuse.

    Raises:
        ModelError: It is missing, larger than can be loaded, of more parts than any model has, or keeps
            weights in other files, which may be any; what ``export_onnx.py`` writes holds all of them.
    """
    try:
        if not path.is_file() and path.exists():
            raise ModelError(f"{path} cannot be read: it is not a regular file")
        with path.open("rb", buffering=0) as file:
            _check(file, path)
    except FileNotFoundError:
        raise ModelError(
            f"{path} is missing: export the checkpoint with export_onnx.py and give that folder"
        ) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None


def _check(file: FileIO, path: Path) -> None:
    n_bytes = os.fstat(file.fileno()).st_size
    if n_bytes > MAX_GRAPH_BYTES:
        raise ModelError(f"{path} has {n_bytes:,} bytes, more than an ONNX file may have")
    try:
        has_others = _Walk(file, n_bytes, path).finds_other_files()
    except _MalformedError:
        has_others = _mentions(file, _OTHER_FILE)
    if has_others:
        raise ModelError(f"{path} keeps weights in other files: export the model again with export_onnx.py")


def _mentions(file: FileIO, word: bytes) -> bool:
    """Whether a word stands anywhere in a file."""
    file.seek(0)
    end = b""
    while chunk := file.read(_CHUNK_BYTES):
        if word in end + chunk:
            return True
        end = chunk[-len(word) :]
    return False


class _Walk:
    """A way through all messages of a file, in the order of its bytes."""

    def __init__(self, file: FileIO, n_bytes: int, path: Path) -> None:
        self._file, self._path = file, path
        self._at = 0
        self._bytes, self._read_from = b"", 0  # a piece of the file, and where it begins
        self._open = [(_MODEL, n_bytes)]  # messages, each within the one before, and where they end

    def finds_other_files(self) -> bool:
        """Whether a tensor anywhere says that its values are in another file."""
        n_fields = 0
        while self._open:
            kind, end = self._open[-1]
            if self._at == end:
                self._open.pop()
                continue
            n_fields += 1
            if n_fields > MAX_FIELDS:
                raise ModelError(f"{self._path} has more than {MAX_FIELDS:,} parts, which no model has")
            if self._is_elsewhere(kind, end):
                return True
        return False

    def _is_elsewhere(self, kind: _Kind, end: int) -> bool:
        """Read the next field, or enter it; whether it says that a tensor's values are elsewhere."""
        number, wire = divmod(self._varint(end) & 0xFFFFFFFF, 8)
        value = self._varint(end) if wire in (_VARINT, _LENGTH) else 0
        if kind.name == "tensor":
            if wire == _LENGTH and number == _EXTERNAL_DATA:
                return True
            if wire == _VARINT and number == _DATA_LOCATION and value:
                return True
        if wire == _LENGTH and number in kind.fields:
            self._enter(kind.fields[number], self._at + value, end)
        elif wire == _LENGTH:
            self._skip(value, end)
        elif wire in _FIXED_BYTES:
            self._skip(_FIXED_BYTES[wire], end)
        elif wire != _VARINT:  # groups, which ONNX has none of
            raise _MalformedError
        return False

    def _enter(self, kind: _Kind, own_end: int, end: int) -> None:
        if own_end > end or len(self._open) > 100:  # protobuf's own limit
            raise _MalformedError
        self._open.append((kind, own_end))

    def _skip(self, n_bytes: int, end: int) -> None:
        self._at += n_bytes
        if self._at > end:
            raise _MalformedError

    def _varint(self, end: int) -> int:
        offset = self._at - self._read_from
        if not 0 <= offset <= len(self._bytes) - _LONGEST_VARINT:
            self._file.seek(self._at)
            self._bytes, self._read_from, offset = self._file.read(_PIECE_BYTES), self._at, 0
        value = 0
        for position, byte in enumerate(self._bytes[offset : offset + _LONGEST_VARINT]):
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                self._skip(position + 1, end)
                return value
        raise _MalformedError
