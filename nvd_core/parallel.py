"""Ordered work on several cores: frames go in, results come out in the same order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2
from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")

# OpenCV and BLAS split their work by their own thread counts, and results depend on the split. One
# thread each keeps results the same whatever the number of cores; whole frames go to the cores instead.
cv2.setNumThreads(1)
threadpool_limits(1)

# Threads of torch that wait for each other would spin, which budgets in CPU seconds count, and which stops
# everything where other programs want the cores, too: with two threads, a small step took 7 to 100 times as
# long. Read when torch is imported, so set before.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

WORKERS = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int = WORKERS
) -> Generator[Result, None, None]:
    """Apply ``function`` to every item on several cores and yield the results in order.

    ``items`` is consumed by the calling thread, a few ahead of the results, so that memory does not
    grow with their number. Closing the iterator waits for what has been started and drops the rest.
    """
    with ThreadPoolExecutor(workers) as pool:
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
