"""Carry inserts over to another result of the same clip, through the content of a frame that both have.

A layer's atlas may lie elsewhere in the other result, turned or at another density. Where an insert is seen, the UV
passes of the two say which points of the atlases are the same: a homography between them moves its corners.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float32

from nvd_core.image.fit import fit_homography
from nvd_core.image.geometry import size_of, transform
from nvd_core.result.decomposition import Decomposition
from nvd_core.shot.inserts import on_picture
from nvd_core.spec.edits import Insert, Stack, edits_path, inserts, read_edits, write_edits
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import sha256
from nvd_core.spec.manifest import inside

_FRAMES: Final = 5
"""Frames that are looked at; the one that shows most of an insert is used."""

_FEWEST_PX: Final = 30
_AROUND: Final = 0.25
"""Surroundings of an insert that count, too, as a part of its size: a small one determines no homography."""

_AGREES_PX: Final = 1.0
"""Deviation from the homography within which points agree, texels."""


class Followed(NamedTuple):
    """An insert in another result.

    Attributes:
        layer: name of its layer.
        insert: with its corners there.
        off_px: how far the surface under it deviates from the homography that moved it, median, texels; it bends.
    """

    layer: str
    insert: Insert
    off_px: float


def follow(former: Decomposition, new: Decomposition, stacks: dict[str, Stack]) -> Iterator[Followed]:
    """Find where inserts of a result lie in another one; those whose place cannot be found are left out.

    Args:
        former: result that they are of.
        new: other result.
        stacks: edits of the former.

    Raises:
        InputError: a frame of either cannot be read.
    """
    common = sorted({*former.manifest.source.numbers} & {*new.manifest.source.numbers})
    for layer, insert in inserts(stacks).values():
        if layer not in new.manifest.names:
            continue
        if _original(former, layer) == _original(new, layer):
            yield Followed(layer, insert, 0.0)
            continue
        shown = [number for number in common if insert.strength(number) > 0] or common
        some = shown[:: max(1, len(shown) // _FRAMES)]
        pairs = max((_same_points(former, new, layer, insert, number) for number in some), key=len, default=None)
        if pairs is None or len(pairs) < _FEWEST_PX:
            continue
        sizes = [np.array(size_of(one.covered(layer)), np.float32) for one in (former, new)]
        here, there = pairs[:, 0] * sizes[0], pairs[:, 1] * sizes[1]
        if (fit := fit_homography(here, there, _AGREES_PX)) is None:
            continue
        off_px = float(np.median(np.linalg.norm(transform(fit.matrix, here.astype(np.float64)) - there, axis=1)))
        rows = []
        for frame, *row in insert.corners:
            corners = transform(fit.matrix, np.array(row).reshape(-1, 2) * sizes[0]) / sizes[1]
            rows.append((frame, *corners.ravel().tolist()))
        yield Followed(layer, replace(insert, corners=tuple(rows)), off_px)


def carry_inserts(former: Decomposition, new: Decomposition) -> tuple[list[Followed], list[str]]:
    """Carry the inserts of a result over to another one that has no edits yet; their pictures are copied.

    Returns:
        The inserts, and the names of those that could not be carried.

    Raises:
        InputError: the other result has edits, or a file of either cannot be used.
    """
    if edits_path(new.folder).exists():
        raise InputError("The result has edits of its own", where=new.folder, hint="Insert the pictures there.")
    stacks = read_edits(former.folder, former.manifest.names)
    found = list(follow(former, new, stacks))
    for one in found:
        for path, target in zip(one.insert.paths(former.folder), one.insert.paths(new.folder), strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    moved = {layer: stack for layer, stack in moved_stacks(stacks, found).items() if layer in new.manifest.names}
    write_edits(new.folder, moved, new.manifest.names)
    return found, sorted({*inserts(stacks)} - {one.insert.name for one in found})


def moved_stacks(stacks: dict[str, Stack], found: list[Followed], *, keeps: bool = False) -> dict[str, Stack]:
    """Stacks with the inserts that were found, in their former order; others stay as they are, or are left out."""
    moved = {one.insert.name: one.insert for one in found}
    return {
        layer: replace(
            stack, inserts=tuple(moved.get(one.name, one) for one in stack.inserts if keeps or one.name in moved)
        )
        for layer, stack in stacks.items()
    }


def _original(decomposition: Decomposition, layer: str) -> str:
    return sha256(inside(decomposition.folder, decomposition.manifest.original_files[layer]))


def _same_points(
    former: Decomposition, new: Decomposition, layer: str, insert: Insert, number: int
) -> Float32[np.ndarray, "pixel 2 2"]:
    """Points of both atlases, uv_atlas, that the same pixels show: around an insert, or all over the layer."""
    here, there = (one.one_frame(number).layers[layer] for one in (former, new))
    if here.alpha.shape != there.alpha.shape:
        return np.empty((0, 2, 2), np.float32)
    apart = np.abs(on_picture(insert.corners_at(number), here.uv_atlas) - 0.5).max(axis=-1)
    seen = np.minimum(here.alpha, there.alpha) > 0.5
    near = seen & (apart < 0.5 + _AROUND)
    seen = near if np.count_nonzero(near) >= _FEWEST_PX else seen
    return np.stack([here.uv_atlas[seen], there.uv_atlas[seen]], axis=1)
