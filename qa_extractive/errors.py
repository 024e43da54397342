"""The errors this package raises on purpose; anything else that escapes is a bug.

    QAError
    ├── DataError      the data given: a file, a row, a text, a column
    │   └── LongContextError   a text longer than the limit that the user set
    ├── ModelError     the model given: a folder, its files, its settings
    └── ExportError    an export to ONNX that failed or missed its parity check

Every message is one line that says what is wrong, where, and what to do.
"""

from __future__ import annotations

_LONGEST_REASON = 400
_LONGEST_VALUE = 40
_CUT = "..."


class QAError(Exception):
    """Base of all errors raised on purpose by this package."""


class DataError(QAError):
    """The data given cannot be used: a file, a row, a text or a column."""


class LongContextError(DataError):
    """A context is longer than ``max_context_characters`` allows."""


class ModelError(QAError):
    """The model given cannot be used: a folder, one of its files or its settings."""


class ExportError(QAError):
    """A model could not be exported, or the exported one missed its parity check."""


def reason_of(error: BaseException) -> str:
    """What a library says went wrong, on one line that steers no terminal, or the class of the error."""
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return "".join(each if each.isprintable() else "\ufffd" for each in said[:_LONGEST_REASON])


def shortened(value: object) -> str:
    """A value from a file as a message shows it: of one line and at most 40 characters."""
    try:
        shown = ascii(value[:_LONGEST_VALUE] if isinstance(value, str | bytes) else value)
    except (ValueError, RecursionError):  # a number of more digits, or deeper lists, than Python prints
        return f"a {type(value).__name__} without end"
    if len(shown) <= _LONGEST_VALUE:
        return shown
    if not isinstance(value, str | bytes):
        return shown[: _LONGEST_VALUE - len(_CUT)] + _CUT
    # By characters, not to cut an escape; the last one closes the quotation.
    starts = (ascii(value[:n]) for n in range(_LONGEST_VALUE, -1, -1))
    start = next(each for each in starts if len(each) <= _LONGEST_VALUE - len(_CUT))
    return start[:-1] + _CUT + start[-1]
