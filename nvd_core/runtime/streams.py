"""Make standard streams safe, even if they are closed, full, broken or without a reader.

In all these cases the work goes on and no file of the user's is touched; the exit code tells of lost output.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, cast

from nvd_core.spec.errors import shown

NO_READER: Final = 141
"""Exit code where the reader of standard output has gone, as shells use it for SIGPIPE."""

_UNWRITABLE: Final = 4


class _TolerantStream(io.RawIOBase):
    """Stream that records the first error of writing instead of raising it."""

    def __init__(self, below: Any) -> None:  # noqa: ANN401 (whatever binary stream there is)
        self._below = below
        self.fault: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._below.isatty()

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  (any buffer)
        try:
            self._below.write(data)
            self._below.flush()
        except OSError as fault:
            self.fault = self.fault or fault
        return len(data)


class _EscapingTerminal(io.TextIOBase):
    """Terminal that escapes control characters: see :func:`shown`.

    Attributes:
        rich_proxied_file: the terminal without escaping, by the name that rich looks for: its colours and progress
            bars are control characters.
    """

    def __init__(self, raw: io.TextIOWrapper) -> None:
        self.rich_proxied_file = raw

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.rich_proxied_file.encoding

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.rich_proxied_file.fileno()

    def isatty(self) -> bool:
        return self.rich_proxied_file.isatty()

    def write(self, text: str, /) -> int:
        self.rich_proxied_file.write(shown(text))
        return len(text)

    def flush(self) -> None:
        self.rich_proxied_file.flush()


class Streams:
    """The standard streams while a command runs."""

    def __init__(self) -> None:
        self.out, self._raw_out = _tolerant(sys.stdout, 1)
        self.terminal, _ = _tolerant(sys.stderr, 2)
        self.err = _EscapingTerminal(self.terminal)

    def code(self, code: int) -> int:
        """Exit code of a command; replaced, with a message, if the command succeeded but its output was lost."""
        fault = self._raw_out.fault
        if code or fault is None:
            return code
        if isinstance(fault, BrokenPipeError):
            return NO_READER
        self.err.write(f"nvd: Standard output cannot be written: {(fault.strerror or str(fault)).lower()}.\n")
        return _UNWRITABLE


@contextmanager
def standard_streams() -> Iterator[Streams]:
    """Replace the standard streams by tolerant ones."""
    _open_closed_descriptors()
    former = sys.stdout, sys.stderr
    streams = Streams()
    sys.stdout, sys.stderr = streams.out, cast("Any", streams.err)
    try:
        yield streams
    finally:
        sys.stdout, sys.stderr = former


def _open_closed_descriptors() -> None:
    """Open closed standard descriptors on the null device: the next file, perhaps a result, would else become one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # writing still fails, as it did before
        with suppress(OSError):
            os.set_blocking(descriptor, True)  # the parent may have set it non-blocking, which loses output


def _tolerant(stream: Any, descriptor: int) -> tuple[io.TextIOWrapper, _TolerantStream]:  # noqa: ANN401 (or None)
    """Text stream that tolerates errors of writing, over a standard stream; that is None if it was closed."""
    raw = _TolerantStream(stream.buffer if stream else open(descriptor, "wb", buffering=0, closefd=False))  # noqa: SIM115
    encoding = stream.encoding if stream else "utf-8"
    return io.TextIOWrapper(cast("Any", raw), encoding, "backslashreplace", write_through=True), raw
