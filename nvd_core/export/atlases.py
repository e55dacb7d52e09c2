"""The atlas files: one to paint, and its untouched twin. What an artist has painted stays."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float16

from nvd_core.exr import rgba_channels, write_exr
from nvd_core.folder import atomic, sha256


@final
@dataclass(frozen=True)
class AtlasFiles:
    """Where a layer's atlas was written.

    Attributes:
        painted: the file for the artist, relative to the decomposition folder.
        original: its twin, relative to the decomposition folder.
        kept: an older, painted atlas that the new one had to give way to; empty if none.
    """

    painted: str
    original: str
    kept: str = ""


def write_atlas(folder: Path, layer: str, atlas: Float16[np.ndarray, "height width 4"]) -> AtlasFiles:
    """Write a layer's atlas, beside one that is painted, over one that is not.

    If the new atlas is the very one that an existing file was painted on, that file stays in use.
    """
    fresh = folder / "atlas" / f".{layer}.fresh.exr"
    try:
        write_exr(fresh, rgba_channels(atlas))
        kept = ""
        for painted, original in _places(folder, layer):
            names = painted.relative_to(folder).as_posix(), original.relative_to(folder).as_posix()
            if painted.is_file() and original.is_file() and sha256(original) == sha256(fresh):
                return AtlasFiles(*names)
            if not is_painted(painted, original):
                _copy(fresh, original)
                _copy(fresh, painted)
                return AtlasFiles(*names, kept)
            kept = names[0]
        raise AssertionError  # there is always one more place
    finally:
        fresh.unlink(missing_ok=True)


def is_painted(painted: Path, original: Path) -> bool:
    """Whether an artist has saved the atlas since it was written."""
    return painted.is_file() and not (original.is_file() and sha256(painted) == sha256(original))


def _places(folder: Path, layer: str) -> Iterator[tuple[Path, Path]]:
    """``dog.exr``, then ``dog.2.exr`` and so on, each with its twin."""
    number = 1
    while True:
        stem = layer if number == 1 else f"{layer}.{number}"
        yield folder / "atlas" / f"{stem}.exr", folder / "atlas" / f"{stem}.orig.exr"
        number += 1


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)
