"""Set thread counts and environment of the process while jobs run, and restore them when the last job ends.

Importing the package changes neither.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import cv2
import OpenImageIO as oiio  # noqa: N813 (as its manual has it)
from threadpoolctl import threadpool_limits

_ENVIRONMENT: Final = {
    # Threads of torch that wait for each other would spin, which budgets in CPU seconds count, and which stops
    # everything where other programs want the cores, too: with two threads, a small step took 7 to 100 times as
    # long. Read when torch is imported.
    "OMP_WAIT_POLICY": "PASSIVE",
    "HF_HUB_OFFLINE": "1",  # read when transformers is imported
}

# Arrays of a plate's size are returned to the system when they are freed. By default the C library keeps some of them:
# a quarter of the peak, measured with a frame of 1920x1080. Up to 128 MB stay, or an eighth of the time goes into pages
# that the system clears for the next arrays.
_MMAP_THRESHOLD, _TRIM_THRESHOLD = (-3, 6 << 20), (-1, 128 << 20)

_lock = threading.Lock()
_running = 0
_restore = ExitStack()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Give OpenCV, BLAS and OpenImageIO one thread each while a job runs.

    They split their work by their own thread counts, and results depend on the split. One thread each keeps results
    the same whatever the number of cores; whole frames go to the cores instead (:mod:`nvd_core.runtime.parallel`). Jobs
    may run within and beside each other.
    """
    global _running  # noqa: PLW0603 (what is counted is the process's, too)
    with _lock:
        if _running == 0:
            _set()
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                _restore.close()


def _set() -> None:
    _restore.enter_context(threadpool_limits(1))
    _restore.callback(cv2.setNumThreads, cv2.getNumThreads())
    cv2.setNumThreads(1)
    _restore.callback(oiio.attribute, "threads", oiio.get_int_attribute("threads"))
    oiio.attribute("threads", 1)
    if torch := sys.modules.get("torch"):
        _restore.callback(torch.set_num_threads, torch.get_num_threads())
    for name, value in _ENVIRONMENT.items():
        if name in os.environ:
            _restore.callback(os.environ.__setitem__, name, os.environ[name])
        else:
            _restore.callback(os.environ.pop, name, None)
        os.environ[name] = value


def return_memory() -> None:
    """Make the C library return freed memory to the system at once; for good, so only in a process of our own."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            for which, size in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
                ctypes.CDLL(None).mallopt(which, size)
