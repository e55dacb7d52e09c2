"""Check the limit of address space (``ulimit -v``): libraries that are refused memory end the process."""

from __future__ import annotations

import os
from typing import Final

from nvd_core.spec.errors import MemoryLimitError

_RESERVED: Final = 1.3e9
_RESERVED_A_CORE: Final = 0.1e9
"""Bytes of address space that libraries and their threads reserve, and hardly use; measured."""


def check_address_space(used_bytes: float = 0) -> None:
    """Refuse to begin if the process may reserve less address space than the job needs.

    Args:
        used_bytes: memory of the job itself, beyond what libraries reserve.

    Raises:
        MemoryLimitError: the limit is too low.
    """
    try:
        import resource  # noqa: PLC0415 (Windows has none)
    except ImportError:
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = _RESERVED + _RESERVED_A_CORE * (os.cpu_count() or 1) + used_bytes
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise MemoryLimitError(
            f"The system lets a process reserve {limit / 1e9:.1f} GB of memory, and up to {needed / 1e9:.1f} GB are"
            " needed",
            hint="Raise that limit (ulimit -v), or use a smaller clip or height.",
        )
