"""Pair every atlas for the artist with an untouched original, and never overwrite a painted one.

Whenever the process is killed, both files of a pair belong to the same atlas: of an old pair the file to paint is
deleted first, of a new pair it is written last. So a file to paint that differs from its original has been painted.

Contents cannot reveal one case: a program that has the former atlas open may save it over the new one. That counts as
paint on the new atlas, which is shown and kept. Recognising the former atlas would take keeping its pixels for good,
and would still fail where it is painted, which is what matters.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from nvd_core.spec.folder import atomic, sha256
from nvd_core.spec.safe_replace import place, take_away


class Pair(NamedTuple):
    """Paths of an atlas.

    Attributes:
        painted: file that the artist paints on.
        original: untouched copy of the solved atlas.
    """

    painted: Path
    original: Path

    @property
    def is_painted(self) -> bool:
        """Whether an artist has saved the atlas since it was written."""
        return self.painted.is_file() and not (
            self.original.is_file() and sha256(self.painted) == sha256(self.original)
        )

    def is_of(self, digest: str) -> bool:
        """Whether the original has this digest; the atlas may be painted."""
        return self.painted.is_file() and self.original.is_file() and sha256(self.original) == digest


def painted_atlases(folder: Path) -> Iterator[Path]:
    """List the painted atlases of a decomposition."""
    for path in sorted((folder / "atlas").glob("*.exr")):
        if not path.name.endswith(".orig.exr") and Pair(path, path.with_suffix(".orig.exr")).is_painted:
            yield path


def put_atlas(folder: Path, layer: str, fresh: Path) -> Pair:
    """Write a layer's atlas: over an unpainted one, or beside a painted one under a numbered name.

    A painted atlas stays in use if its original equals the new atlas.

    Args:
        folder: of the decomposition.
        layer: name of the layer.
        fresh: file of the new atlas, which is copied.
    """
    there = sorted(_pairs(folder, layer), key=lambda pair: not pair.is_painted)
    same = [pair for pair in there if pair.is_of(sha256(fresh))][:1]
    for pair in there:
        if pair not in same and not pair.is_painted:
            _take_away(pair)
    stems = (layer if number == 1 else f"{layer}.{number}" for number in count(1))
    return same[0] if same else next(pair for stem in stems if _put(pair := _pair(folder, stem), fresh))


def _pair(folder: Path, stem: str) -> Pair:
    return Pair(folder / "atlas" / f"{stem}.exr", folder / "atlas" / f"{stem}.orig.exr")


def _pairs(folder: Path, layer: str) -> Iterator[Pair]:
    """List the pairs of a layer that exist, if only in part: ``dog.exr``, ``dog.2.exr`` and so on."""
    name = re.compile(rf"(?P<stem>{re.escape(layer)}(\.\d+)?)(\.orig)?\.exr")
    stems = {parts["stem"] for path in (folder / "atlas").glob("*.exr") if (parts := name.fullmatch(path.name))}
    return (_pair(folder, stem) for stem in sorted(stems))


def _take_away(pair: Pair) -> None:
    """Delete an unpainted pair; keep it if the artist saves paint at this moment."""
    if pair.original.is_file():
        known = {sha256(pair.original)}
        if take_away(pair.painted, known):
            take_away(pair.original, known)


def _put(pair: Pair, fresh: Path) -> bool:
    """Copy an atlas to a pair of paths if both are free; return whether they were."""
    if pair.painted.exists() or not _copy(fresh, pair.original):
        return False
    if _copy(fresh, pair.painted):
        return True
    take_away(pair.original, {sha256(fresh)})  # a program has just saved a former atlas there
    return False


def _copy(source: Path, target: Path) -> bool:
    free = []
    with atomic(target, lambda new, path: free.append(place(new, path))) as temporary:
        shutil.copyfile(source, temporary)
    return free == [True]
