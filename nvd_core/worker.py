"""The worker that Blender starts: events as JSON lines on standard output, commands on standard input.

File descriptor 1 belongs to the protocol alone: what libraries print goes to standard error. When the
parent asks to cancel, its end of the pipe closes or a signal comes, the job stops at the next event; what is
finished is in the checkpoint.
"""

from __future__ import annotations

import os
import platform
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TextIO

from nvd_core import __version__
from nvd_core.errors import CANCELLED, NvdError, as_told
from nvd_core.protocol import Event, Failed, Hello, encode, is_cancel
from nvd_core.stopping import ask_to_stop, heed


def run_worker(job_file: Path, folder: Path, *, resume: bool) -> int:
    """Decompose the job of a file into a folder; the exit code is returned."""
    protocol = _take_stdout()
    threading.Thread(target=_listen, daemon=True).start()
    seq = 0

    def send(event: Event) -> None:
        nonlocal seq
        seq += 1
        protocol.write(encode(event, seq) + "\n")
        protocol.flush()

    send(Hello(core=__version__, python=platform.python_version(), device="cpu"))
    try:
        # Imported here so that a package that is missing is told through the protocol, too.
        from nvd_core.jobs import read_job  # noqa: PLC0415
        from nvd_core.pipeline import decompose  # noqa: PLC0415

        with closing(decompose(read_job(job_file), folder, resume=resume)) as events:
            for event in events:
                send(event)
                heed("It can be resumed.")
    except BrokenPipeError:
        return CANCELLED
    except (NvdError, OSError, MemoryError) as error:
        told = as_told(error)
        send(Failed(code=told.code, message=told.message, hint=told.hint, where=told.where))
        return told.exit_code
    except ImportError as error:
        send(Failed(code="setup", message=f"A package is missing: {error}", hint="Run nvd doctor."))
        return 4
    return 0


def _take_stdout() -> TextIO:
    """A stream on what was standard output; descriptor 1 now leads to standard error."""
    protocol = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    sys.stdout.flush()
    os.dup2(2, 1)
    return protocol


def _listen() -> None:
    """Wait for the word to stop; the end of input is one, too."""
    # Not sys.stdin: a thread that waits in its buffer would abort the interpreter when that ends.
    with open(0, "rb", buffering=0, closefd=False) as commands:
        for line in commands:
            if is_cancel(line):
                break
    ask_to_stop()
