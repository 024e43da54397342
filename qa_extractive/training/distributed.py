"""The processes of one run under ``torchrun``: which of them writes and prints, and what all go by.

Without ``torchrun`` there is one, and nothing here does anything.
"""

from __future__ import annotations

import gc
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from qa_extractive.errors import QAError, reason_of

logger = logging.getLogger(__name__)

ResultT = TypeVar("ResultT")
_TIMEOUT = timedelta(hours=2)  # of a wait for the first process, which scores and calibrates alone
# How long a process that failed keeps silent: one that may not be alone in it, and one that lost another.
_SHARED_SECONDS, _LOST_SECONDS = 20.0, 60.0


def n_processes() -> int:
    """How many processes share the run."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1


def is_main_process() -> bool:
    """Whether this process is the one that writes and prints."""
    return n_processes() == 1 or os.environ.get("RANK") == "0"


def init_processes() -> None:
    """Meet the others, if there are any and they have not met."""
    from torch import cuda, distributed

    if n_processes() == 1 or distributed.is_initialized():
        return
    if cuda.is_available():
        cuda.set_device(int(os.environ["LOCAL_RANK"]))
        distributed.init_process_group("cpu:gloo,cuda:nccl", timeout=_TIMEOUT)
    else:
        # accelerate would call it "cpu:0", where torch.load cannot put what a resumed run reads.
        os.environ.setdefault("ACCELERATE_TORCH_DEVICE", "cpu")
        distributed.init_process_group("gloo", timeout=_TIMEOUT)


def barrier() -> None:
    """Wait until all have come so far."""
    if n_processes() > 1:
        from torch import distributed

        distributed.barrier()


def run_on_main_process(action: Callable[[], ResultT]) -> ResultT:
    """What an action gives in the first process, the only one that does it; the others wait for it.

    Raises:
        QAError: The action's, in all processes.
    """
    if n_processes() == 1:
        return action()
    from torch import distributed

    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = action()
        except QAError as error:
            outcome[1] = error
    distributed.broadcast_object_list(outcome, src=0)
    if outcome[1] is not None:
        raise outcome[1]
    result: ResultT = outcome[0]
    return result


def run_distributed(command: Callable[[], int]) -> int:
    """Do a command in each process, as one: the first prints, and one alone says why it failed.

    Whoever fails ends; ``torchrun`` then stops the others, some of which only wait for that: a process that
    lost another, and any but the first whose input is bad, since then most likely that of all is.

    Raises:
        QAError: Why it failed.
    """
    if n_processes() == 1:
        return command()
    try:
        with _silenced(not is_main_process()):
            code = command()
    except (QAError, ImportError):
        time.sleep(0.0 if is_main_process() else _SHARED_SECONDS)
        raise
    except Exception as error:
        logger.debug("process %s failed", os.environ["RANK"], exc_info=True)
        time.sleep(_LOST_SECONDS if _is_lost_connection(error) else 0.0)
        raise QAError(
            f"process {os.environ['RANK']} of {n_processes()} (from 0) failed, which ends the run: "
            f"{type(error).__name__}: {reason_of(error)}"
        ) from error
    _part()
    return code


def _is_lost_connection(error: Exception) -> bool:
    """Whether another process ended first."""
    from torch import distributed

    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def _part() -> None:
    """Leave the others, with no thread of theirs left behind.

    The trainer and its model, which refer to each other, keep the group alive; a thread of gloo that frees
    its last tensor while the interpreter ends aborts the process.
    """
    from torch import distributed

    if distributed.is_initialized():
        distributed.barrier()  # on a busy machine gloo waits for ever for one that has left before
        distributed.destroy_process_group()
        gc.collect()


@contextmanager
def _silenced(is_silent: bool) -> Iterator[None]:
    if not is_silent:
        yield
        return
    logging.disable(logging.ERROR)
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
