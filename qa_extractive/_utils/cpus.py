"""How many CPUs this process may really use: the affinity mask and the container's quota."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

logger = logging.getLogger(__name__)

_THREADS_A_CPU = 4  # more gain nothing and take memory, each of them
_LEAST_BOUND = 16

_V1_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


def available_cpus(root: Path = Path("/")) -> int:
    """CPUs this process may use, at least 1.

    The fewest of the affinity mask and of every cgroup quota above the process, rounded up:
    ``cpu.max`` (cgroup v2) or ``cpu.cfs_quota_us`` (v1). A quota that cannot be read is none.

    Args:
        root: Folder that holds ``proc`` and ``sys``; for tests.
    """
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([_affinity(), *quotas]))


def most_threads() -> int:
    """The most threads that a model is run on here: 16, or four for each CPU where that is more."""
    return max(_LEAST_BOUND, _THREADS_A_CPU * available_cpus())


def bounded_threads(n_threads: int) -> int:
    """A number of threads, or the most there may be, with a warning: answers do not depend on it.

    It is no error, so that what was made for a large machine runs on a small one too.
    """
    most = most_threads()
    if n_threads <= most:
        return n_threads
    logger.warning("%d threads are too many here: taking %d (for %d CPUs)", n_threads, most, available_cpus())
    return most


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """The quotas in CPUs of the process' cgroups and of all their parents."""
    base = root / "sys/fs/cgroup"
    for controllers, group in _groups(root):
        parents = [group, *group.parents]
        if not controllers:
            yield from (q for p in parents if (q := _quota_v2(base / _relative(p))) is not None)
        elif "cpu" in controllers.split(","):
            folders = [base / mount / _relative(p) for mount in _V1_MOUNTS for p in parents]
            yield from (q for folder in folders if (q := _quota_v1(folder)) is not None)


def _groups(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """``(controllers, path)`` of each line of /proc/self/cgroup; v2 names no controllers."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            yield fields[1], PurePosixPath(fields[2])


def _relative(path: PurePosixPath) -> str:
    return str(path).lstrip("/") or "."


def _quota_v2(folder: Path) -> float | None:
    fields = _read(folder / "cpu.max").split()
    return _ratio(fields[0], fields[1]) if len(fields) == 2 else None


def _quota_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    try:
        value = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):  # "max", or no such file
        return None
    return value if value > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
