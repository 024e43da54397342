"""What a run was made of, so that another one is never mixed into it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from qa_extractive import __version__
from qa_extractive._utils.digests import stream_digest
from qa_extractive.data.columns import ColumnNames
from qa_extractive.errors import DataError
from qa_extractive.tables.text_files import os_reason

Fingerprint = dict[str, str | int | float | bool | None]


def file_digest(path: Path) -> str:
    """A digest of the content of a file."""
    try:
        with path.open("rb") as file:
            return stream_digest(file, hashlib.blake2b(digest_size=16))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {os_reason(error)}") from None


def fingerprint(
    input_digest: str, identity: Mapping[str, str | int | float], names: ColumnNames, **settings: str | bool
) -> Fingerprint:
    """Everything that decides what is written.

    Args:
        input_digest: Of the content of the table.
        identity: Of the predictor.
        names: Columns named by the user; the others follow from the table.
        settings: What else decides it.
    """
    columns = ",".join(name or "" for name in astuple(names)[:3])
    versions = " ".join(f"{name}-{_version(name)}" for name in ("onnxruntime", "tokenizers", "pyarrow"))
    own = f"qa_extractive-{__version__} {versions}"
    return {"input": input_digest, **identity, "columns": columns, **settings, "versions": own}


def difference(earlier: Mapping[str, object], now: Fingerprint) -> str | None:
    """The first thing that is not the same, in words; None if all is."""
    for name in [*now, *earlier]:
        before, after = earlier.get(name), now.get(name)
        if before != after:
            return (
                f"{name} (a change of content)"
                if name in ("input", "model")
                else f"{name}: {before!r}, now {after!r}"
            )
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
