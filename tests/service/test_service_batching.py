from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
import pytest

from qa_extractive.errors import ModelError
from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.windows import Window
from qa_extractive.service.batching import Batcher, BatchStats


def window(mark: int, n_tokens: int = 10) -> Window:
    """A window whose first token is ``mark``."""
    tokens = np.full(n_tokens, mark, dtype=np.int64)
    return Window(0, tokens, tokens, 1, np.zeros((n_tokens - 1, 2), dtype=np.int64))


class Model:
    """Echoes each window's mark; notes the marks of each batch; waits while ``gate`` is shut."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.bad_marks: set[int] = set()

    def __call__(self, windows: Sequence[Window]) -> list[WindowLogits]:
        marks = [int(w.token_ids[0]) for w in windows]
        self.batches.append(marks)
        assert self.gate.wait(10.0)
        if self.bad_marks & set(marks):
            raise ModelError(f"cannot read {self.bad_marks & set(marks)}")
        logits = [np.array([mark], dtype=np.float32) for mark in marks]
        return [WindowLogits(mark, mark, float(mark[0])) for mark in logits]

    @property
    def seen(self) -> list[int]:
        return [mark for batch in self.batches for mark in batch]


def run(work: Callable[[Batcher], Awaitable[Any]], model: Model, **settings: Any) -> Any:
    async def main() -> Any:
        batcher = Batcher(model, **settings)
        await batcher.start()
        try:
            return await work(batcher)
        finally:
            model.gate.set()
            await batcher.close()
            assert not batcher.is_alive
            assert batcher.n_waiting_tokens == 0

    return asyncio.run(main())


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came about")


async def held_up(batcher: Batcher, model: Model) -> list[asyncio.Task[Any]]:
    """Two requests that occupy the model until the gate opens."""
    model.gate.clear()
    held = []
    for mark in (901, 902):
        held.append(asyncio.create_task(batcher.run([window(mark)])))
        await until(lambda: mark in model.seen)  # noqa: B023 - over before the next mark
    return held


def test_each_request_gets_its_own_logits_in_order() -> None:
    async def work(batcher: Batcher) -> list[Any]:
        return await asyncio.gather(
            *(batcher.run([window(10 * r + i, 5 + i) for i in range(r)]) for r in range(8))
        )

    for r, result in enumerate(run(work, Model(), max_batch_tokens=32)):
        assert [v.answerability for v in result.logits] == [10.0 * r + i for i in range(r)]


def test_requests_share_batches_within_the_budget() -> None:
    model, stats = Model(), list[BatchStats]()

    async def work(batcher: Batcher) -> None:
        held = await held_up(batcher, model)
        waiting = [asyncio.create_task(batcher.run([window(i)])) for i in range(7)]
        await until(lambda: batcher.n_waiting_tokens == 70)
        model.gate.set()
        await asyncio.gather(*held, *waiting)

    run(work, model, max_batch_tokens=30, max_wait_ms=0.0, on_batch=stats.append)
    assert sorted(map(len, model.batches)) == [1, 1, 1, 3, 3]
    assert model.seen[2:] == list(range(7)), "first come, first served"
    assert sorted((s.n_windows, s.n_tokens, s.n_requests) for s in stats)[-1] == (3, 30, 3)


def test_the_first_window_waits_for_others_and_no_longer_than_it_should() -> None:
    model = Model()

    async def work(batcher: Batcher) -> float:
        began = time.perf_counter()
        first = asyncio.create_task(batcher.run([window(1)]))
        await asyncio.sleep(0.05)
        await asyncio.gather(first, batcher.run([window(2)]))
        return time.perf_counter() - began

    took = run(work, model, max_wait_ms=500.0)
    assert model.batches == [[1, 2]]
    assert 0.45 < took < 5.0


def test_a_full_batch_does_not_wait() -> None:
    model = Model()

    async def work(batcher: Batcher) -> None:
        await asyncio.wait_for(batcher.run([window(i) for i in range(4)]), 5.0)

    run(work, model, max_batch_tokens=20, max_wait_ms=60_000.0)
    assert model.batches == [[0, 1], [2, 3]]


def test_a_window_over_the_budget_runs_alone() -> None:
    model = Model()

    async def work(batcher: Batcher) -> None:
        await batcher.run([window(1, 50), window(2, 5), window(3, 5)])

    run(work, model, max_batch_tokens=20, max_wait_ms=0.0)
    assert model.batches == [[1], [2, 3]]


def test_a_large_request_does_not_hold_up_a_small_one() -> None:
    model = Model()

    async def work(batcher: Batcher) -> None:
        held = await held_up(batcher, model)
        large = asyncio.create_task(batcher.run([window(i) for i in range(100)]))
        await until(lambda: batcher.n_waiting_tokens == 1000)
        small = asyncio.create_task(batcher.run([window(500)]))
        await until(lambda: batcher.n_waiting_tokens == 1010)
        model.gate.set()
        await small
        assert not large.done()
        await asyncio.gather(*held, large)

    run(work, model, max_batch_tokens=20, max_wait_ms=0.0)
    assert model.seen.index(500) <= 4


def test_a_cancelled_request_costs_no_compute() -> None:
    model = Model()

    async def work(batcher: Batcher) -> None:
        held = await held_up(batcher, model)
        gone = asyncio.create_task(batcher.run([window(7), window(8)]))
        kept = asyncio.create_task(batcher.run([window(9)]))
        await until(lambda: batcher.n_waiting_tokens == 30)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert batcher.n_waiting_tokens == 10
        model.gate.set()
        await asyncio.gather(*held, kept)

    run(work, model, max_wait_ms=0.0)
    assert model.seen == [901, 902, 9]


def test_a_request_cancelled_halfway_leaves_the_rest_undone() -> None:
    model = Model()

    async def work(batcher: Batcher) -> None:
        model.gate.clear()
        task = asyncio.create_task(batcher.run([window(i) for i in range(1000)]))
        await until(lambda: len(model.batches) == 2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        model.gate.set()
        await batcher.run([window(5000)])

    run(work, model, max_batch_tokens=20, max_wait_ms=0.0)
    assert model.seen == [0, 1, 2, 3, 5000]


def test_a_request_fails_for_its_own_windows_only() -> None:
    model = Model()
    model.bad_marks = {3}

    async def work(batcher: Batcher) -> list[Any]:
        calls = [batcher.run([window(i), window(i)]) for i in range(6)]
        return await asyncio.gather(*calls, return_exceptions=True)

    results = run(work, model, max_batch_tokens=1000)
    assert isinstance(results[3], ModelError)
    assert all(r.logits[0].answerability == i for i, r in enumerate(results) if i != 3)


def test_it_outlives_a_failure() -> None:
    model = Model()
    model.bad_marks = {1}

    async def work(batcher: Batcher) -> None:
        for _ in range(3):
            with pytest.raises(ModelError):
                await batcher.run([window(1)])
        await batcher.run([window(2)])
        assert batcher.is_alive

    run(work, model)


def test_queue_and_model_time_are_told_apart() -> None:
    model = Model()

    async def work(batcher: Batcher) -> Any:
        held = await held_up(batcher, model)
        late = asyncio.create_task(batcher.run([window(1)]))
        await asyncio.sleep(0.2)
        model.gate.set()
        await asyncio.gather(*held)
        return await held[0], await late

    first, late = run(work, model, max_wait_ms=0.0)
    assert first.queue_s < 0.15 <= first.model_s
    assert late.queue_s >= 0.15
