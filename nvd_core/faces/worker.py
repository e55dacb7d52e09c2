"""The worker process that Blender starts: events as JSON lines on standard output, commands on standard input.

The job stops at the next event when the parent cancels, when its end of the pipe closes, or on a signal; finished parts
are in the checkpoint.
"""

from __future__ import annotations

import platform
from pathlib import Path

from nvd_core import __version__
from nvd_core.faces import parent
from nvd_core.runtime.address_space import check_address_space
from nvd_core.runtime.progress import Tell
from nvd_core.runtime.stopping import heed
from nvd_core.spec.errors import as_told
from nvd_core.spec.protocol import Event, Failed, Hello


def run_worker(job_file: Path, folder: Path, *, resume: bool, replaces: bool, checks: bool = False) -> int:
    """Decompose the job of a file into a folder; return the exit code.

    With ``checks``, only check the job. That takes seconds, and a parent that loses interest kills the process, so
    standard input is not read.
    """
    send = parent.speak()
    if not checks:
        parent.listen()
    send(Hello(core=__version__, python=platform.python_version(), device="cpu"))
    return _decompose(job_file, folder, send, resume=resume, replaces=replaces, checks=checks)


def _decompose(job_file: Path, folder: Path, send: Tell, *, resume: bool, replaces: bool, checks: bool) -> int:
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
    except Exception as error:  # noqa: BLE001 (the protocol reports every error)
        told = as_told(error)
        send(Failed(code=told.code, message=told.message, hint=told.hint, where=told.where))
        return told.exit_code
    return 0
