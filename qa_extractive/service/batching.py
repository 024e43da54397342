"""Windows of many requests -> batches of a token budget -> logits for each request.

Knows nothing of the web: coroutines call ``Batcher.run``, a thread runs the model. Requests take turns
window by window, so that a large one does not hold up the small ones behind it. What nobody waits for
any more is not run.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from qa_extractive.inference.backend import WindowLogits
from qa_extractive.inference.windows import Window

RunWindows = Callable[[Sequence[Window]], list[WindowLogits]]

_IN_FLIGHT = 2  # the second batch fills the cores that the last windows of the first leave idle
_FIRST_TOKENS_PER_S = 2000.0
_RATE_MEMORY = 0.8


@dataclass(frozen=True, slots=True)
class BatchStats:
    """One batch that ran.

    Attributes:
        n_tokens: Tokens of its windows.
        n_windows: Its windows.
        n_requests: Requests that they came from.
        seconds: Time of the model.
    """

    n_tokens: int
    n_windows: int
    n_requests: int
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class BatchedRun:
    """What one request's windows came to.

    Attributes:
        logits: Of each window, in order.
        queue_s: Until its first window went to the model.
        model_s: From then until its last one came back; other requests' windows may lie between.
    """

    logits: list[WindowLogits]
    queue_s: float
    model_s: float


@dataclass(slots=True, eq=False)
class _Job:
    """A request's windows: those before ``n_taken`` went to the model."""

    windows: Sequence[Window]
    done: asyncio.Future[None]
    arrived: float
    logits: dict[int, WindowLogits] = field(default_factory=dict)
    n_taken: int = 0
    first_taken: float = 0.0

    @property
    def n_waiting_tokens(self) -> int:
        return sum(window.n_tokens for window in self.windows[self.n_taken :])


_Item = tuple[_Job, int]


class Batcher:
    """Runs windows in batches; one event loop only."""

    def __init__(
        self,
        run_windows: RunWindows,
        *,
        max_batch_tokens: int = 4096,
        max_wait_ms: float = 2.0,
        on_batch: Callable[[BatchStats], object] | None = None,
    ) -> None:
        """Take the model; ``start`` must follow.

        Args:
            run_windows: Logits of windows, in order; called from threads.
            max_batch_tokens: Budget of a batch; a single longer window still runs.
            max_wait_ms: How long the first window of a batch waits for others.
            on_batch: Called with each batch that ran, on the event loop.
        """
        self._run_windows = run_windows
        self._max_batch_tokens = max_batch_tokens
        self._max_wait_s = max_wait_ms / 1000.0
        self._on_batch = on_batch
        self._jobs: deque[_Job] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._tokens_per_s = _FIRST_TOKENS_PER_S
        self.n_waiting_tokens = 0

    async def start(self) -> None:
        """Begin to run batches."""
        self._changed = asyncio.Event()
        self._free = asyncio.Semaphore(_IN_FLIGHT)
        self._threads = ThreadPoolExecutor(_IN_FLIGHT, thread_name_prefix="qa-model")
        self._dispatcher = asyncio.create_task(self._dispatch())

    async def close(self) -> None:
        """Let the batches in flight end and stop; what waits is cancelled."""
        self._dispatcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._dispatcher
        await asyncio.gather(*self._running)
        for job in list(self._jobs):
            job.done.cancel()
        self._threads.shutdown()

    @property
    def is_alive(self) -> bool:
        """Whether it still takes windows."""
        return not self._dispatcher.done()

    @property
    def wait_s(self) -> float:
        """How long the model needs for what waits, at its recent speed."""
        return self.n_waiting_tokens / self._tokens_per_s

    async def run(self, windows: Sequence[Window]) -> BatchedRun:
        """The logits of a request's windows; cancelling the call takes those that wait out of the queue.

        Raises:
            ModelError: The model failed on them.
        """
        if not windows:
            return BatchedRun([], 0.0, 0.0)
        job = _Job(windows, asyncio.get_running_loop().create_future(), time.perf_counter())
        self._jobs.append(job)
        self.n_waiting_tokens += job.n_waiting_tokens
        self._changed.set()
        try:
            await job.done
        finally:
            self._forget(job)
        ended = time.perf_counter()
        logits = [job.logits[i] for i in range(len(windows))]
        return BatchedRun(logits, job.first_taken - job.arrived, ended - job.first_taken)

    def _forget(self, job: _Job) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
            self.n_waiting_tokens -= job.n_waiting_tokens

    async def _dispatch(self) -> None:
        while True:
            await self._free.acquire()
            await self._something_to_run()
            task = asyncio.create_task(self._execute(self._take()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _something_to_run(self) -> None:
        """Return when a batch is full, or its first window has waited long enough."""
        while True:
            if self.n_waiting_tokens >= self._max_batch_tokens:
                return
            left = self._wait_left() if self._jobs else math.inf
            if left <= 0.0:
                return
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if math.isinf(left) else left)

    def _wait_left(self) -> float:
        oldest = min(job.arrived for job in self._jobs)
        return oldest + self._max_wait_s - time.perf_counter()

    def _take(self) -> list[_Item]:
        """The next batch: one window of each request in turn, until the budget is used."""
        batch: list[_Item] = []
        n_tokens = 0
        while self._jobs:
            job = self._jobs[0]
            size = job.windows[job.n_taken].n_tokens
            if batch and n_tokens + size > self._max_batch_tokens:
                break
            if not job.n_taken:
                job.first_taken = time.perf_counter()
            batch.append((job, job.n_taken))
            n_tokens += size
            job.n_taken += 1
            self._jobs.popleft()
            if job.n_taken < len(job.windows):
                self._jobs.append(job)
        self.n_waiting_tokens -= n_tokens
        return batch

    async def _execute(self, batch: list[_Item]) -> None:
        try:
            await self._run_batch(batch)
        except Exception as error:
            await self._run_apart(batch, error)
        finally:
            self._free.release()

    async def _run_batch(self, batch: list[_Item]) -> None:
        windows = [job.windows[i] for job, i in batch]
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        logits = await loop.run_in_executor(self._threads, self._run_windows, windows)
        self._count(batch, time.perf_counter() - started)
        for (job, i), values in zip(batch, logits, strict=True):
            job.logits[i] = values
            if len(job.logits) == len(job.windows) and not job.done.done():
                job.done.set_result(None)

    def _count(self, batch: list[_Item], seconds: float) -> None:
        n_tokens = sum(job.windows[i].n_tokens for job, i in batch)
        rate = n_tokens / max(seconds, 1e-6)
        self._tokens_per_s = _RATE_MEMORY * self._tokens_per_s + (1.0 - _RATE_MEMORY) * rate
        if self._on_batch is not None:
            self._on_batch(BatchStats(n_tokens, len(batch), len({id(job) for job, _ in batch}), seconds))

    async def _run_apart(self, batch: list[_Item], error: Exception) -> None:
        """A batch failed: each request again by itself, so that it fails for its own windows only."""
        jobs = {id(job): job for job, _ in batch}
        for job in jobs.values():
            own = [item for item in batch if item[0] is job]
            failure: Exception | None = error
            if len(jobs) > 1:
                failure = await self._failure_of(own)
            if failure is not None and not job.done.done():
                job.done.set_exception(failure)

    async def _failure_of(self, batch: list[_Item]) -> Exception | None:
        try:
            await self._run_batch(batch)
        except Exception as error:
            return error
        return None
