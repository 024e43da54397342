"""What a packed model says it holds: the first file of the archive."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qa_extractive.config import MAX_JSON_BYTES, READER_FILE
from qa_extractive.errors import ModelError
from qa_extractive.inference.calibration import CALIBRATION_FILE, CALIBRATION_FILES
from qa_extractive.inference.onnx_backend import MODEL_FILE
from qa_extractive.inference.onnx_checks import MAX_GRAPH_BYTES
from qa_extractive.inference.tokenizer_file import MAX_TOKENIZER_BYTES, TOKENIZER_FILE

MANIFEST_FILE = "manifest.json"
REQUIRED_FILES = (MODEL_FILE, TOKENIZER_FILE, READER_FILE, CALIBRATION_FILE)
MAX_FILES = 64
MAX_BYTES = 4 << 30  # of all files together, unpacked
# What is read whole when a model is opened is bounded before it is unpacked.
MAX_FILE_BYTES = {
    MODEL_FILE: MAX_GRAPH_BYTES,
    TOKENIZER_FILE: MAX_TOKENIZER_BYTES,
    **dict.fromkeys((READER_FILE, *CALIBRATION_FILES.values()), MAX_JSON_BYTES),
}

_FORMAT = "qa_extractive model"
_FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,98}[A-Za-z0-9_-])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A file as the manifest describes it.

    Attributes:
        n_bytes: Its size.
        sha256: Its digest, 64 hexadecimal digits.
    """

    n_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The files of a packed model.

    Attributes:
        name: What the model is called.
        files: What each of them is, by name.
    """

    name: str
    files: Mapping[str, PackedFile]

    def __post_init__(self) -> None:
        """Raise ModelError where names, sizes, digests or their number are not those of a model."""
        for name in (self.name, *self.files):
            check_name(name)
        if len(self.files) > MAX_FILES:
            raise ModelError(f"it has {len(self.files)} files, more than {MAX_FILES}")
        if len({name.casefold() for name in self.files}) < len(self.files) or MANIFEST_FILE in self.files:
            raise ModelError("its manifest names a file twice")
        missing = [name for name in REQUIRED_FILES if name not in self.files]
        if missing:
            raise ModelError(f"it lacks {missing[0]}")
        if any(file.n_bytes < 0 or not _SHA256.fullmatch(file.sha256) for file in self.files.values()):
            raise ModelError("its manifest gives a size or a SHA-256 that is not valid")
        for name, most in MAX_FILE_BYTES.items():
            if name in self.files and self.files[name].n_bytes > most:
                raise ModelError(
                    f"its {name} would have {self.files[name].n_bytes:,} bytes, more than {most:,}"
                )
        if self.n_bytes > MAX_BYTES:
            raise ModelError(f"its files would take {self.n_bytes:,} bytes, more than {MAX_BYTES:,}")

    @property
    def n_bytes(self) -> int:
        """Of all files together."""
        return sum(file.n_bytes for file in self.files.values())

    def to_json(self) -> bytes:
        """As it stands in the archive; the same for the same files."""
        files = {
            name: {"bytes": file.n_bytes, "sha256": file.sha256} for name, file in sorted(self.files.items())
        }
        values = {"format": _FORMAT, "version": _FORMAT_VERSION, "name": self.name, "files": files}
        return (json.dumps(values, indent=1) + "\n").encode("ascii")

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read what ``to_json`` wrote.

        Raises:
            ModelError: It is none; the message is what is wrong with the archive, without its path.
        """
        try:
            values: Any = json.loads(content)
            if values["format"] != _FORMAT:
                raise ValueError(f"format {values['format']!r}")
            if values["version"] != _FORMAT_VERSION:
                raise ModelError("another version of qa_extractive packed it: pack it again with this one")
            files = {
                name: PackedFile(_whole_number(file["bytes"]), _text(file["sha256"]))
                for name, file in values["files"].items()
            }
            return cls(_text(values["name"]), files)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ModelError(f"its {MANIFEST_FILE} is not understood") from None


def check_name(name: str) -> None:
    """Raise ModelError unless a file's name is a plain one: letters, digits, and ``_.-`` inside."""
    if not _NAME.fullmatch(name):
        raise ModelError(f"{shown(name)} is not a plain file name")


def shown(name: str) -> str:
    """A name from an archive as a message shows it: short, and nothing in it that steers a terminal."""
    return ascii(name if len(name) <= 60 else name[:57] + "...")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _whole_number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("no whole number")
    return value
