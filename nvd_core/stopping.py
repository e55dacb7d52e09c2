"""The word to stop: from a signal, or from the parent of a worker. It is heard at the next event.

A signal only leaves word. An error raised out of its handler could strike anywhere, also in the lines that take away
what is half-written; between two events nothing is.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from nvd_core.errors import CANCELLED, CancelledError

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Ctrl-C, a polite kill, the end of the session, and what Windows has for these; where they exist."""

_GRACE_S: Final = 8.0
"""A long step is given this long to reach an event before the process ends regardless."""

_asked = threading.Event()


def ask_to_stop() -> None:
    """Leave word. Asked again, the process goes on ending."""
    if not _asked.is_set():
        _asked.set()
        threading.Thread(target=_end_regardless, daemon=True).start()


def heed(hint: str = "") -> None:
    """Stop here, between two events, if that was asked.

    Raises:
        CancelledError: it was.
    """
    if _asked.is_set():
        raise CancelledError("Cancelled", hint=hint)


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Take signals that would end the process as the word to stop. In the main thread alone."""
    former = {}
    for one in (getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)):
        handler = signal.signal(one, lambda *_: ask_to_stop())
        if handler is signal.SIG_IGN and one != signal.SIGINT:  # as nohup has it
            signal.signal(one, handler)
        else:
            former[one] = handler
    try:
        yield
    finally:
        for one, handler in former.items():  # who was asked goes on ending while the interpreter shuts down
            signal.signal(one, signal.SIG_IGN if _asked.is_set() else handler)


def _end_regardless() -> None:
    threading.Event().wait(_GRACE_S)
    with suppress(OSError):
        print("nvd: Cancelled in the middle of a long step.", file=sys.stderr, flush=True)  # noqa: T201
    os._exit(CANCELLED)
