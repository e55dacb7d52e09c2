"""The program that has started this process, such as Blender: it hears events, and may cancel.

Events are JSON lines on standard output, which belongs to them alone: prints of libraries go to standard error.
Commands come on standard input, whose end means that the parent is gone.
"""

from __future__ import annotations

import os
import sys
import threading
from itertools import count
from typing import TextIO

from nvd_core.runtime.progress import Tell
from nvd_core.runtime.stopping import ask_to_stop
from nvd_core.spec.errors import CancelledError
from nvd_core.spec.protocol import Event, encode, is_cancel


def speak() -> Tell:
    """Take over standard output, and return what sends an event there.

    It raises CancelledError if nobody reads them any more: the parent is gone.
    """
    protocol, numbers = _take_stdout(), count(1)

    def send(event: Event) -> None:
        try:
            protocol.write(encode(event, next(numbers)) + "\n")
            protocol.flush()
        except OSError as error:
            raise CancelledError(f"Nobody hears the events: {error.strerror}") from error

    return send


def listen() -> None:
    """Wait in a thread for the command to cancel, or for the end of input, and request cancellation then."""
    threading.Thread(target=_listen, daemon=True).start()


def _take_stdout() -> TextIO:
    """Take over standard output as a stream for the protocol; redirect descriptor 1 to standard error."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    return protocol


def _listen() -> None:
    # Not sys.stdin: a thread that waits in its buffer would abort the interpreter when that ends.
    with open(0, "rb", buffering=0, closefd=False) as commands:
        for line in commands:
            if is_cancel(line):
                break
    ask_to_stop()
