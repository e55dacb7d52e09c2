"""The errors a user sees. Each says what is wrong, where, and what to do about it."""

from __future__ import annotations

from typing import ClassVar, Final

CANCELLED: Final = 130
"""Exit code of a job that was cancelled, as shells use it for SIGINT."""


class NvdError(Exception):
    """Something the user can mend.

    Args:
        message: one sentence, what is wrong.
        where: the file, frame or setting it is about; may be empty.
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
        """The sentence as it is printed: what, where, what to do."""
        place = f" ({self.where})" if self.where else ""
        advice = f" {self.hint}" if self.hint else ""
        return f"{self.message}{place}.{advice}"


class UsageError(NvdError):
    """A flag or setting that does not exist or is out of its range."""

    code = "usage"
    exit_code = 2


class InputError(NvdError):
    """A clip, mask, atlas or folder that cannot be used as it is."""

    code = "input"
    exit_code = 3


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


def as_told(error: NvdError | OSError | MemoryError) -> NvdError:
    """What a user is told of an error: itself, or the sentence for what the system refuses."""
    if isinstance(error, NvdError):
        return error
    if isinstance(error, MemoryError):
        return MemoryLimitError("There is not enough memory", hint="Use a smaller height or fewer frames.")
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return InputError(f"The system refuses: {reason}", where=error.filename or "", hint="Check path and rights.")
