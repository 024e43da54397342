"""What a run leaves on its way, by which a later one goes on, begins or has nothing to do."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from qa_extractive import __version__
from qa_extractive._utils.files import write_whole
from qa_extractive.errors import DataError
from qa_extractive.evidence_table.job import TableJob
from qa_extractive.evidence_table.state import OUTPUT_BYTES, first_other, read_state, require_same
from qa_extractive.papers.prepare import files_below
from qa_extractive.predictor import Predictor
from qa_extractive.tables.writing import writing


def fingerprint(predictor: Predictor, job: TableJob) -> dict[str, Any]:
    """What decides the table."""
    digest = hashlib.blake2b(digest_size=16)
    for path in files_below(job.papers, job.unread):
        with suppress(OSError):  # it is skipped when it is read, too
            status = path.lstat()
            digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "replace"))
    return {
        "papers": digest.hexdigest(),
        "questions": list(job.questions),
        "output": job.output.suffix.lower(),
        "engine": "local" if job.cluster is None else "ray",
        "highlight": None if job.highlight is None else str(job.highlight.resolve()),
        "version": __version__,
        **predictor.identity(),
    }


def is_finished(job: TableJob, now: Mapping[str, Any]) -> bool:
    """Whether the table is there and was made of the same; DataError where one is in the way."""
    if job.existing == "overwrite" or not job.output.exists():
        return False
    if job.existing == "refuse":
        raise DataError(f"{job.output} exists: replace it with --overwrite, or give another file")
    before = read_state(job.state)
    if job.marker.is_file():
        if before is None or first_other(before, now) is not None:
            return False  # the run that was stopped was to replace it
        remove(job)
    size = job.output.stat().st_size
    if before is None or before.get(OUTPUT_BYTES, size) != size:
        raise DataError(
            f"{job.output} exists, but is not what a run left here: replace it with --overwrite, or give "
            "another file"
        )
    require_same(job.output, before, now)
    return True


@contextmanager
def workplace(job: TableJob, now: Mapping[str, Any]) -> Iterator[None]:
    """The folder of what is made on the way; it stays where the run is stopped."""
    with writing(job.work):
        if job.work.exists() and any(job.work.iterdir()):
            if not job.marker.is_file():
                raise DataError(f"{job.work} is there, but no run left it: move it away")
            if job.existing == "refuse":
                raise DataError(
                    f"{job.work} is left of a run that was stopped: go on with --resume, or start again with "
                    "--overwrite"
                )
            if job.existing == "resume":
                require_same(job.output, read_state(job.marker) or {}, now)
            else:
                remove(job)
        job.work.mkdir(exist_ok=True)
        write_whole(job.marker, json.dumps(now, indent=1) + "\n")
    yield


def remove(job: TableJob) -> None:
    """Remove what was made on the way, last the marker, by which the next run knows it again."""
    for path in job.work.iterdir():
        if path != job.marker:
            path.unlink() if not path.is_dir() else shutil.rmtree(path)
    shutil.rmtree(job.work)
