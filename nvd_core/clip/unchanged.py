"""Files that are read more than once in a job must be the same each time, or what comes of them is of two clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nvd_core.errors import InputError


@final
@dataclass(frozen=True)
class Unchanged:
    """Size and time of the files that were read, as they were before they were first read.

    Not their inodes, which some network disks make up anew each time.
    """

    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """To be held while a file is read.

        Raises:
            InputError: it is not as it was, before or afterwards.
        """
        self.check(path)
        yield
        self.check(path)

    def check(self, path: Path) -> None:
        """See :meth:`reading`."""
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            if path not in self._seen:
                return  # whoever reads it says what is wrong
            raise InputError("The file is gone", where=path, hint="Put it back, and resume.") from error
        stamp = status.st_size, status.st_mtime_ns
        if self._seen.setdefault(path, stamp) != stamp:
            hint = "Wait until whatever writes it is done, then decompose again."
            raise InputError("The file was changed while it was in use", where=path, hint=hint)

    def check_all(self) -> None:
        """See :meth:`reading`."""
        for path in list(self._seen):
            self.check(path)
