"""Optical flow between frames: found here (:mod:`nvd_core.flow.dis`), or given.

A new source of given flow is one module beside :mod:`nvd_core.flow.files` and one line in :data:`PROVIDERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from nvd_core.clip import ClipInfo
from nvd_core.flow.files import open_files
from nvd_core.flow.given import Provider
from nvd_core.settings import Device


def _none(_rest: str, _info: ClipInfo, _numbers: range, _device: Device) -> None:
    """Nothing is given: whoever needs flow asks dense inverse search."""


def _raft(rest: str, info: ClipInfo, _numbers: range, device: Device) -> Provider:
    from nvd_core.flow.raft import open_raft  # noqa: PLC0415 (needs torch)

    with info.unchanged.reading(Path(rest)):
        return open_raft(rest, device)


PROVIDERS: Final[dict[str, Callable[[str, ClipInfo, range, Device], Provider | None]]] = {"dis": _none, "raft": _raft}
"""By the word that the setting ``flow`` begins with, up to a colon; what follows it is theirs. No such word: files."""


def located(text: str, base: Path) -> str:
    """The setting ``flow`` with its path made absolute, if it is relative to a folder."""
    word, colon, rest = text.partition(":")
    if word in PROVIDERS:
        return f"{word}:{base / rest}" if colon and rest else text
    return str(base / text)


def open_flow(text: str, info: ClipInfo, numbers: range, device: Device = "auto") -> Provider | None:
    """Where flow comes from, by the setting ``flow``; None where it is found here.

    Args:
        text: ``dis``, ``raft:WEIGHTS`` or a path of flow files.
        info: of the clip.
        numbers: plate numbers that are used.
        device: what a network runs on.

    Raises:
        UsageError: the setting lacks something.
        InputError: files are missing, or do not fit the clip.
        SetupError: a package is missing, or there is no such device.
    """
    word, _, rest = text.partition(":")
    if word in PROVIDERS:
        return PROVIDERS[word](rest, info, numbers, device)
    return open_files(text, info, numbers)
