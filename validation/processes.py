"""Independent tasks on several processes, which end at once when the caller ends: no task is waited for in vain."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def results(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, chunksize: int = 1
) -> Iterator[Result]:
    """What a function makes of each item, in their order.

    An error, Ctrl-C, or a caller that stops early ends the processes without waiting for what they are at.

    Parameters
    ----------
    function : of one item; with several workers it and the items go to other processes, so they must be picklable
    items : one per task
    workers : processes; 1 works in this one [1]
    chunksize : items that a process takes at a time [1]
    """
    if workers == 1:
        yield from map(function, items)
        return
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, initializer=_leave_interrupts_to_the_caller)
    try:
        yield from pool.map(function, items, chunksize=chunksize)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _leave_interrupts_to_the_caller() -> None:
    # Ctrl-C reaches every process of the terminal's group; the caller alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
