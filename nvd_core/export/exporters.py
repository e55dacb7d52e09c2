"""Exporters: what writes a finished decomposition in another form, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nvd_core.export.stmap import write_stmaps
from nvd_core.result.decomposition import Decomposition


@dataclass(frozen=True)
class Exporter:
    """Exporter of a decomposition.

    Attributes:
        about: what it writes, for help.
        files: what its files are called.
        write: writes them to the folder of its name in the decomposition, and yields the path of each.
        count: number of files that will be written.
    """

    about: str
    files: str
    write: Callable[[Decomposition], Generator[Path, None, None]]
    count: Callable[[Decomposition], int]


EXPORTERS: Final = {
    "stmap": Exporter(
        about="One RGB STMap a layer and frame, for Nuke, Fusion and After Effects.",
        files="STMaps",
        write=write_stmaps,
        count=lambda one: len(one.manifest.source.numbers) * len(one.manifest.names),
    ),
}
"""Table of the exporters, by the flag of ``nvd export``."""
