"""Guard files that a job reads more than once against changes in between, which would mix two clips."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from nvd_core.spec.errors import InputError


@final
@dataclass(frozen=True)
class Unchanged:
    """Size and modification time of files, as they were before they were first read.

    Not their inodes, which some network disks make up anew each time.
    """

    _seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Guard a file while it is read.

        Raises:
            InputError: it has changed since it was first read, before or after this reading.
        """
        self.check(path)
        yield
        self.check(path)

    def check(self, path: Path) -> None:
        """Refuse a file that has changed since it was first read; see :meth:`reading`."""
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            if path not in self._seen:
                return  # reading it will raise the error
            raise InputError("The file is gone", where=path, hint="Put it back, and resume.") from error
        stamp = status.st_size, status.st_mtime_ns
        if self._seen.setdefault(path, stamp) != stamp:
            hint = "Wait until whatever writes it is done, then decompose again."
            raise InputError("The file was changed while it was in use", where=path, hint=hint)

    def check_all(self) -> None:
        """Check every file that was read; see :meth:`reading`."""
        for path in list(self._seen):
            self.check(path)
