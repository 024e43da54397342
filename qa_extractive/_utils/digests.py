"""Digests of texts, streams and files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO, Any

_CHUNK_BYTES = 1 << 20


def text_digest(text: str, errors: str = "replace") -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal; ``errors`` as in ``str.encode``."""
    return hashlib.sha256(text.encode("utf-8", errors)).hexdigest()


def stream_digest(stream: IO[bytes], digest: Any = None) -> str:
    """A digest of what is left of a stream, in hexadecimal: SHA-256, or one of ``hashlib`` that is given."""
    digest = hashlib.sha256() if digest is None else digest
    while chunk := stream.read(_CHUNK_BYTES):
        digest.update(chunk)
    return str(digest.hexdigest())


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return stream_digest(stream)


def folder_digest(folder: Path) -> str:
    """A digest of the names and contents of the files of a folder, hidden ones left out."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(each for each in folder.iterdir() if each.is_file() and each.name[0] != "."):
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
