"""The wire format of protobuf, as far as an ONNX graph needs it: the serving install has no onnx package.

A message is a list of fields in the order in which they were found, so that what is not looked at is written
again as it was. The format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES = {FIXED64: 8, FIXED32: 4}
_MOST_VARINT_BYTES = 10
_WORD = 1 << 64

Value = int | bytes | memoryview
Field = tuple[int, int, Value]
"""Number, wire type, and an int for ``VARINT``, bytes for others."""


def parse(data: bytes | memoryview) -> list[Field]:
    """The fields of a message; their bytes are views of ``data``.

    Raises:
        ValueError: It is no message.
    """
    return list(_fields(memoryview(data)))


def _fields(data: memoryview) -> Iterator[Field]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = _varint(data, at)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if size > len(data) - at:
            raise ValueError("a field is cut off")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number and the place after it."""
    value = 0
    for n, byte in enumerate(data[at : at + _MOST_VARINT_BYTES]):
        value |= (byte & 127) << (7 * n)
        if byte < 128:
            return value % _WORD, at + n + 1
    raise ValueError("a number is cut off")


def varints(data: bytes | memoryview) -> list[int]:
    """Numbers packed one after the other, as two's complement of 64 bits; errors as of ``parse``."""
    view, at, found = memoryview(data), 0, []
    while at < len(view):
        value, at = _varint(view, at)
        found.append(value - _WORD if value >= _WORD // 2 else value)
    return found


def serialize(fields: Iterable[Field]) -> bytes:
    """The message that ``parse`` read."""
    parts: list[bytes | memoryview] = []
    for number, wire, value in fields:
        parts.append(_encoded(number << 3 | wire))
        if isinstance(value, int):
            parts.append(_encoded(value))
            continue
        if wire == BYTES:
            parts.append(_encoded(len(value)))
        parts.append(value)
    return b"".join(parts)


def _encoded(value: int) -> bytes:
    value %= _WORD
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def text(number: int, value: str) -> Field:
    """A field of text."""
    return number, BYTES, value.encode()


def message(number: int, fields: Iterable[Field]) -> Field:
    """A field that is a message itself."""
    return number, BYTES, serialize(fields)
