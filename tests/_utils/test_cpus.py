from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import pytest

from qa_extractive._utils import cpus
from qa_extractive._utils.cpus import available_cpus, bounded_threads, most_threads
from qa_extractive.cli import main
from qa_extractive.inference.onnx_backend import OnnxBackend
from qa_extractive.predictor import DEFAULT_MODEL, Predictor


@pytest.fixture
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v1(group: str, quota: str) -> dict[str, str]:
    return {
        f"sys/fs/cgroup/cpu,cpuacct{group}/cpu.cfs_quota_us": quota,
        f"sys/fs/cgroup/cpu,cpuacct{group}/cpu.cfs_period_us": "100000\n",
    }


V2_OWN, V2_NESTED = {"proc/self/cgroup": "0::/\n"}, {"proc/self/cgroup": "0::/a/b\n"}
V1_GROUP = {"proc/self/cgroup": "7:memory:/x\n4:cpu,cpuacct:/docker/id\n"}


@pytest.mark.usefixtures("eight_cpus")
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, 8, id="no cgroup files"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "max 100000\n"}, 8, id="v2 unlimited"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "200000 100000\n"}, 2, id="v2"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2, id="v2 rounds up"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1, id="v2 at least one"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "6400000 100000\n"}, 8, id="affinity is fewer"),
        pytest.param(V2_NESTED | {"sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3, id="v2 of the parent"),
        pytest.param(
            V2_NESTED
            | {"sys/fs/cgroup/a/cpu.max": "300000 100000", "sys/fs/cgroup/a/b/cpu.max": "500000 100000"},
            3,
            id="v2 fewest of own and parent",
        ),
        pytest.param(V1_GROUP | v1("/docker/id", "400000\n"), 4, id="v1"),
        pytest.param(V1_GROUP | v1("", "250000"), 3, id="v1 mounted as the container's root"),
        pytest.param(V1_GROUP | v1("/docker/id", "-1\n"), 8, id="v1 unlimited"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "garbage"}, 8, id="garbage"),
        pytest.param(V2_OWN | {"sys/fs/cgroup/cpu.max": "100000 0"}, 8, id="no period"),
    ],
)
def test_fewest_of_affinity_and_quota(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    assert available_cpus(write(tmp_path, files)) == expected


def test_without_affinity_counts_the_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cpus(tmp_path) == 1


def test_this_machine() -> None:
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)


def test_threads_are_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """100,000 of them would take 16 GB before the first answer; and answers do not depend on them."""
    monkeypatch.setattr(cpus, "available_cpus", lambda: 2)
    assert bounded_threads(16) == 16
    assert not caplog.records
    assert bounded_threads(100_000) == 16
    assert caplog.messages == ["100000 threads are too many here: taking 16 (for 2 CPUs)"]
    monkeypatch.setattr(cpus, "available_cpus", lambda: 64)
    assert (most_threads(), bounded_threads(255), bounded_threads(10**30)) == (256, 255, 256)


@pytest.mark.parametrize("command", ["infer", "predictor", "backend", "pickle"])
def test_wherever_they_are_given(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    if command == "infer":
        given = ["infer", "--question", "What fell?", "--context", "Pressure fell.", "--threads", "100000"]
        assert main(given) == 0
    elif command == "backend":
        assert OnnxBackend(DEFAULT_MODEL, 100_000).n_threads == most_threads()
    else:
        predictor = Predictor(n_threads=100_000)
        assert predictor.n_threads == most_threads()
        if command == "pickle":  # as of a machine with many more CPUs
            assert pickle.loads(pickle.dumps(predictor)).n_threads == most_threads()
    assert threading.active_count() <= before + most_threads()
