"""Uploaded files -> the papers in them, one file at a time, by a process that can be ended."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qa_extractive.papers.isolated import FileLimits, FileWorker
from qa_extractive.papers.types import NoPaperError
from qa_extractive.service.engine import QueueFullError
from qa_extractive.service.settings import ServiceSettings

MAX_WAITING = 8
"""Files that may wait for the one that is read, each in memory."""

_SUFFIXES = re.compile(r"(?:\.[A-Za-z0-9]{1,10}){1,2}\Z")


class Uploads:
    """Reads the files of one event loop."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Take the limits; nothing is started yet."""
        limits = FileLimits(
            file_bytes=settings.max_upload_bytes,
            seconds=settings.upload_s,
            text_characters=settings.max_context_characters,
        )
        self._worker = FileWorker(limits)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="qa-upload")
        self._is_free = asyncio.Semaphore(1)
        self._patience_s = settings.upload_s
        self._n_here = 0

    async def read(self, content: bytes, name: str) -> Mapping[str, Any]:
        """What ``FileWorker.papers`` makes of a file; where that is refused whole, it is all skipped.

        Args:
            content: The file.
            name: As its owner calls it; only how it ends counts.

        Raises:
            QueueFullError: Too many files wait, or this one has waited for too long.
        """
        if self._n_here > MAX_WAITING:
            raise self._full()
        self._n_here += 1
        try:
            await self._turn()
            return await self._read(content, name)
        finally:
            self._n_here -= 1

    def close(self) -> None:
        """End the process."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._worker.end_now()
        self._worker.close()  # its pipes too

    async def _turn(self) -> None:
        try:
            await asyncio.wait_for(self._is_free.acquire(), self._patience_s)
        except TimeoutError:
            raise self._full() from None

    async def _read(self, content: bytes, name: str) -> Mapping[str, Any]:
        """Once begun it is read to its end, or its limit, also if nobody waits for it any more."""
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, partial(_papers, self._worker, content, name))
        work.add_done_callback(self._release)
        return await asyncio.shield(work)

    def _release(self, work: asyncio.Future[Any]) -> None:
        self._is_free.release()
        if not work.cancelled():
            work.exception()  # told, also where nobody waits for it

    def _full(self) -> QueueFullError:
        wait_s = max(1, math.ceil(self._patience_s / 10))
        return QueueFullError(f"other files are being read: try again in {wait_s} s", wait_s)


def _papers(worker: FileWorker, content: bytes, name: str) -> Mapping[str, Any]:
    ends = _SUFFIXES.search(name)
    with TemporaryDirectory(prefix="qa-extractive-") as folder:
        path = Path(folder, f"paper{ends.group() if ends else ''}")
        path.write_bytes(content)
        try:
            return worker.papers(str(path))
        except NoPaperError as error:
            refused = {"record": None, "kind": error.kind, "reason": error.reason}
            return {"papers": [], "skipped": [refused]}
