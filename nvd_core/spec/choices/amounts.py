"""Frame ranges and amounts of memory, with their text forms."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nvd_core.spec.choices import Text
from nvd_core.spec.errors import InputError, UsageError

if TYPE_CHECKING:
    from typing import Self

_SHARE: Final = 0.75
"""Default part of the machine's memory that may be used."""

_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?) ?([MGT])B?", re.IGNORECASE)
_UNITS: Final = {"M": 1e6, "G": 1e9, "T": 1e12}


@dataclass(frozen=True)
class FrameRange(Text):
    """Range of plate frame numbers, both ends included; without ends, all frames.

    Attributes:
        first: plate number.
        last: plate number.
        text: as it was written, which digests of jobs are made of.
    """

    first: int | None = None
    last: int | None = None
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``A-B`` or ``A``, or nothing for all frames.

        Raises:
            InputError: the text has another form.
        """
        first, _, last = text.partition("-")
        try:
            return cls(int(first), int(last or first), text) if text else cls()
        except ValueError:
            raise InputError(f"{text!r} is no frame range", hint="Write it as 1001-1050.") from None

    def __str__(self) -> str:
        return self.text or ("" if self.first is None else f"{self.first}-{self.last}")


@dataclass(frozen=True)
class MemoryBudget(Text):
    """Most memory to use.

    Attributes:
        limit_bytes: the limit; None for three quarters of the machine's memory.
    """

    limit_bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``4G`` or ``800M``, or nothing for the default.

        Raises:
            UsageError: the text is not an amount of memory.
        """
        if not text:
            return cls()
        found = _MEMORY.fullmatch(text.strip())
        if found is None or not float(found[1]):
            raise UsageError(f"{text!r} is not an amount of memory", hint="Write it as 4G or 800M.")
        return cls(max(1, round(float(found[1]) * _UNITS[found[2].upper()])))

    def __str__(self) -> str:
        return "" if self.limit_bytes is None else f"{self.limit_bytes / _UNITS['M']:.6f}M"

    @property
    def bytes(self) -> float:
        """The limit, bytes."""
        return _SHARE * machine_bytes() if self.limit_bytes is None else self.limit_bytes


def machine_bytes() -> float:
    """Memory of the machine, or the limit of the container that this runs in, bytes."""
    if sys.platform != "win32":
        limit = inf
        with suppress(OSError, ValueError):  # no such file, or "max" in it
            limit = float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        return min(limit, float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    import ctypes  # noqa: PLC0415 (there alone)

    total = ctypes.c_ulonglong()
    ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(total))
    return total.value * 1024.0 or float("inf")
