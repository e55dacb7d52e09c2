"""Errors for users. Each says what is wrong, where, and what to do about it."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path
from typing import ClassVar, Final
from unicodedata import category

CANCELLED: Final = 130
"""Exit code of a job that was cancelled, as shells use it for SIGINT."""


def shown(text: str) -> str:
    """Escape characters that would control a terminal or change the direction of writing.

    Others choose the names of files, the messages of libraries and the words of a manifest.
    """
    return "".join(
        one if one.isprintable() or one in "\n\t" or category(one) == "Zs" else one.encode("unicode_escape").decode()
        for one in text
    )


class NvdError(Exception):
    """Something the user can mend.

    Args:
        message: one sentence, what is wrong.
        where: file, frame or setting at fault; may be empty.
        hint: one sentence, what to do; may be empty.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, where: object = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = str(where)
        self.hint = hint

    def __str__(self) -> str:
        """Compose the sentence for printing: what, where, what to do."""
        place = f" ({self.where})" if self.where else ""
        advice = f" {self.hint}" if self.hint else ""
        return shown(f"{self.message}{place}.{advice}")


class UsageError(NvdError):
    """A flag or setting that does not exist or is out of its range."""

    code = "usage"
    exit_code = 2


class InputError(NvdError):
    """A clip, mask, atlas or folder that cannot be used as it is."""

    code = "input"
    exit_code = 3


class BusyError(InputError):
    """A folder that another process uses, for now."""

    code = "busy"


class SetupError(NvdError):
    """A program or package that is missing on this machine."""

    code = "setup"
    exit_code = 4


class MemoryLimitError(NvdError):
    """The job does not fit into this machine's memory."""

    code = "memory"
    exit_code = 5


class NumericsError(NvdError):
    """A calculation that did not stay finite."""

    code = "numerics"


class CancelledError(NvdError):
    """The user, or the end of the parent process, stopped the job."""

    code = "cancelled"
    exit_code = CANCELLED


class FaultError(NvdError):
    """An error that the program does not foresee: a fault of the program."""

    code = "fault"


def as_told(error: Exception) -> NvdError:
    """Convert any exception to an error for users; an unforeseen one is logged to a file that the error names."""
    if isinstance(error, NvdError):
        return error
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY):
        return MemoryLimitError("There is not enough memory", hint="Use a smaller height or fewer frames.")
    if isinstance(error, OSError):
        reason = (error.strerror or str(error) or type(error).__name__).lower()
        return InputError(f"The system refuses: {reason}", where=error.filename or "", hint="Check path and rights.")
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # of Python before 3.13
        return InputError("The system refuses: a link leads back to itself", where=str(error).split("'")[-2])
    if isinstance(error, ImportError):
        what = "is missing" if isinstance(error, ModuleNotFoundError) else "cannot be loaded"
        return SetupError(f"A package {what}: {error}", hint="Run nvd doctor.")
    first = (str(error).strip().splitlines() or [""])[0][:200].rstrip(".")
    message = f"This is a fault of NVD: {type(error).__name__}: {first}"
    return FaultError(message, where=_noted(error), hint="Please report it, with that file.")


_NO_MEMORY: Final = (
    "insufficient memory", "bad_alloc", "cannot allocate memory", "failed to map segment", "can't start new thread",
    "can't allocate memory", "out of memory", "bad allocation",
)  # fmt: skip
"""Messages of OpenCV, C++, the system, its loader, Python's threads, torch and CUDA when memory is exhausted."""


def _noted(error: Exception) -> str:
    """Log the traceback of a fault to a temporary file; return its path, empty if it cannot be written."""
    try:
        handle, path = tempfile.mkstemp(prefix="nvd-fault-", suffix=".log")
        os.close(handle)
        text = "".join(traceback.format_exception(error))
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return ""
    return path
