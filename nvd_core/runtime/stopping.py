"""Cancel a command between two events, by a signal or by the parent of a worker.

A signal only sets a flag. An exception raised from its handler could strike anywhere, also in the lines that remove
half-written files; between two events there are none.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from nvd_core.spec.errors import CANCELLED, CancelledError

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Ctrl-C, kill, the end of the session, and Ctrl-Break on Windows; those that the system has."""

_GRACE_S: Final = 8.0
"""Seconds that a long step has to reach an event before the process ends regardless."""

_cancelled = threading.Event()


def ask_to_stop() -> None:
    """Request cancellation. Further requests change nothing."""
    if not _cancelled.is_set():
        _cancelled.set()
        threading.Thread(target=_end_regardless, daemon=True).start()


def heed(hint: str = "") -> None:
    """Stop here, between two events, if cancellation was requested.

    Raises:
        CancelledError: it was requested.
    """
    if _cancelled.is_set():
        raise CancelledError("Cancelled", hint=hint)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn signals that would end the process into requests to cancel. For the main thread only."""
    former = {}
    for one in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
        handler = signal.signal(one, lambda *_: ask_to_stop())
        if handler is signal.SIG_IGN and one != signal.SIGINT:  # as under nohup
            signal.signal(one, handler)
        else:
            former[one] = handler
    try:
        yield
    finally:
        for one, handler in former.items():  # a second signal must not interrupt the interpreter's shutdown
            signal.signal(one, signal.SIG_IGN if _cancelled.is_set() else handler)


def _end_regardless() -> None:
    threading.Event().wait(_GRACE_S)
    with suppress(OSError):
        print("nvd: Cancelled in the middle of a long step.", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(CANCELLED)
