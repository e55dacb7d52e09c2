"""The worker process that Blender starts: events as JSON lines on standard output, commands on standard input.

Standard output belongs to the protocol alone: prints of libraries go to standard error. The job stops at the next
event when the parent cancels, when its end of the pipe closes, or on a signal; finished parts are in the checkpoint.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from nvd_core import __version__
from nvd_core.runtime.address_space import check_address_space
from nvd_core.runtime.stopping import ask_to_stop, heed
from nvd_core.spec.errors import CANCELLED, as_told
from nvd_core.spec.protocol import Event, Failed, Hello, encode, is_cancel


def run_worker(job_file: Path, folder: Path, *, resume: bool, replaces: bool, checks: bool = False) -> int:
    """Decompose the job of a file into a folder; return the exit code.

    With ``checks``, only check the job. That takes seconds, and a parent that loses interest kills the process, so
    standard input is not read.
    """
    protocol = _take_stdout()
    if not checks:
        threading.Thread(target=_listen, daemon=True).start()
    seq = 0

    def send(event: Event) -> None:
        nonlocal seq
        seq += 1
        try:
            protocol.write(encode(event, seq) + "\n")
            protocol.flush()
        except OSError as error:
            raise _UnheardError(error.strerror) from error

    try:
        send(Hello(core=__version__, python=platform.python_version(), device="cpu"))
        return _decompose(job_file, folder, send, resume=resume, replaces=replaces, checks=checks)
    except _UnheardError as unheard:
        print(f"nvd: Nobody hears the worker: {unheard}.", file=sys.stderr)  # noqa: T201
        return CANCELLED


class _UnheardError(Exception):
    """The parent no longer reads events: it is gone, and the job stops as if cancelled."""


def _decompose(
    job_file: Path, folder: Path, send: Callable[[Event], None], *, resume: bool, replaces: bool, checks: bool
) -> int:
    def tell(event: Event) -> None:
        send(event)
        heed("It can be resumed.")

    try:
        check_address_space()
        # Imported here so that a missing package is reported through the protocol, too.
        from nvd_core.job_files import read_job  # noqa: PLC0415
        from nvd_core.pipeline import check, decompose  # noqa: PLC0415
        from nvd_core.runtime.host import return_memory  # noqa: PLC0415

        return_memory()
        work = check if checks else decompose
        work(read_job(job_file), folder, tell, resume=resume, replaces=replaces)
    except _UnheardError:
        raise
    except Exception as error:  # noqa: BLE001 (the protocol reports every error)
        told = as_told(error)
        send(Failed(code=told.code, message=told.message, hint=told.hint, where=told.where))
        return told.exit_code
    return 0


def _take_stdout() -> TextIO:
    """Take over standard output as a stream for the protocol; redirect descriptor 1 to standard error."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    return protocol


def _listen() -> None:
    """Wait for the command to cancel, or for the end of input, and request cancellation."""
    # Not sys.stdin: a thread that waits in its buffer would abort the interpreter when that ends.
    with open(0, "rb", buffering=0, closefd=False) as commands:
        for line in commands:
            if is_cancel(line):
                break
    ask_to_stop()
