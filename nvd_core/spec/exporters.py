"""Exporters: other forms of a decomposition, each in a folder of its name. See :mod:`nvd_core.export`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from nvd_core.spec.manifest import Manifest


@dataclass(frozen=True)
class Exporter:
    """Exporter of a decomposition.

    Attributes:
        about: what it writes, for help.
        files: what its files are called.
        paths: lists the files that it writes below the folder of its name, of a result's folder and manifest.
        writer: function of a decomposition that writes them and yields the path of each, as ``module:function``.
    """

    about: str
    files: str
    paths: Callable[[Path, Manifest], Iterable[Path]]
    writer: str


def stmap_path(folder: Path, name: str, layer: str, number: int) -> Path:
    """Path of the STMap of a layer in a frame."""
    return folder / "stmap" / layer / f"{name}.{layer}.{number:04d}.exr"


def _stmaps(folder: Path, manifest: Manifest) -> Iterator[Path]:
    numbers, layers = manifest.source.numbers, manifest.names
    return (stmap_path(folder, manifest.name, layer, number) for number in numbers for layer in layers)


EXPORTERS: Final = {
    "stmap": Exporter(
        about="One RGB STMap a layer and frame, for Nuke, Fusion and After Effects.",
        files="STMaps",
        paths=_stmaps,
        writer="nvd_core.export.stmap:write_stmaps",
    ),
}
"""Table of the exporters, by the flag of ``nvd export``."""


def exported(folder: Path, manifest: Manifest) -> Iterator[Path]:
    """List the files of all exporters for a result, whether they have been written or not."""
    return (path for one in EXPORTERS.values() for path in one.paths(folder, manifest))
