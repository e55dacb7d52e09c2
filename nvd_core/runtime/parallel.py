"""Map functions over frames on several cores, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from nvd_core.runtime.host import one_thread_each
from nvd_core.runtime.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS
) -> Generator[Result, None, None]:
    """Apply ``function`` to every item on several cores and yield the results in order.

    The calling thread consumes ``items`` a few ahead of the results, so that memory does not grow with their number.
    Closing the iterator waits for started calls and drops the rest.
    """
    with one_thread_each(), ThreadPoolExecutor(workers) as pool:
        started: deque[Future[Result]] = deque()
        try:
            for item in items:
                started.append(pool.submit(function, item))
                if len(started) > workers:
                    yield started.popleft().result()
            while started:
                yield started.popleft().result()
        finally:
            for future in started:
                future.cancel()


def map_all(function: Callable[[Item], Result], items: Sequence[Item], progress: Progress) -> list[Result]:
    """Apply ``function`` to every item on several cores, and list the results in order."""
    return list(progress.track(map_ordered(function, items), len(items)))
