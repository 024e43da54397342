"""The context cache on disk: what the lower layers make of papers, for processes to come.

A file is a header of 64 bytes and the float32 values of each input ``paper_...`` of the graph, in their
order. It says nothing about shapes: who asks knows them, from the graph and the length of the paper, so that
no file can claim to be larger than what it is read for. It is read and not mapped into memory: that takes as
long, and a mapped file that another process cuts off would end this one. Serving code: numpy and onnxruntime,
no torch.
"""

from __future__ import annotations

import hashlib
import json
import platform
import struct
import sys
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnxruntime as ort

from qa_extractive._utils.bounded_folder import BoundedFolder
from qa_extractive._utils.instructions import cpu_kind
from qa_extractive.inference.onnx_inputs import GraphInputs, PaperStates

FORMAT = "qa_extractive 1"
"""To be raised when a file, or what the same graph is given for the same paper, changes."""

_HEADER = struct.Struct("<16s32sI12x")  # format, digest of the key, CRC-32 of the values


def run_identity(model_digest: str, precision: str, *, weights: str) -> bytes:
    """All that the kept values depend on besides the paper: another of these means other files.

    Layers, grid and sizes are the model's. Roundings differ between kinds of CPU and builds of onnxruntime.

    Args:
        model_digest: Of the model's file.
        precision: As of ``Predictor``.
        weights: Which int8 weights are multiplied (``onnx_backend.weights_form``).
    """
    from qa_extractive import __version__

    build = [ort.__version__, ort.get_build_info()]
    machine = [sys.platform, sys.byteorder, platform.machine(), *cpu_kind()]
    return json.dumps([FORMAT, __version__, model_digest, precision, weights, *build, *machine]).encode()


class PaperFiles:
    """What the lower layers made of papers, as files. Safe to use from several threads and processes.

    A file that is no longer what was written is found by its length, its header and a checksum, which is
    there against accidents: who may write as this user can also forge it.
    """

    def __init__(self, folder: BoundedFolder, identity: bytes, inputs: GraphInputs) -> None:
        """Use a folder.

        Args:
            folder: Of the files.
            identity: As of ``run_identity``.
            inputs: Of the graph.
        """
        self._folder, self._identity, self._inputs = folder, identity, inputs

    def find(self, key: bytes, n_tokens: int) -> PaperStates | None:
        """What is on disk of a paper, if it is.

        Args:
            key: As of ``GraphInputs.key_of_paper``.
            n_tokens: Tokens after the question.
        """
        digest = self._digest(key)
        found = self._inputs.blank_paper(n_tokens)
        header = bytearray(_HEADER.size)
        values = _buffers(found)
        if not self._folder.read_into(digest.hex(), [memoryview(header), *values]):
            return None
        return found if header == _header(digest, values) else None

    def keep(self, key: bytes, n_tokens: int, paper: PaperStates) -> None:
        """Write what was made of a paper, if it is of the shapes that it would be read in."""
        digest = self._digest(key)
        values = _buffers(paper)
        if _form(paper) == _form(self._inputs.blank_paper(n_tokens)):
            self._folder.write(digest.hex(), [_header(digest, values), *values])

    def _digest(self, key: bytes) -> bytes:
        return hashlib.sha256(self._identity + b"\0" + key).digest()


def _form(paper: PaperStates) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    return [(values.shape, values.dtype) for values in paper.feed.values()]


def _buffers(paper: PaperStates) -> list[memoryview]:
    """The bytes of the values."""
    return [values.reshape(-1).view(np.uint8).data for values in paper.feed.values()]


def _header(digest: bytes, values: Iterable[memoryview]) -> bytes:
    checksum = 0
    for each in values:
        checksum = zlib.crc32(each, checksum)
    return _HEADER.pack(FORMAT.encode(), digest, checksum)
