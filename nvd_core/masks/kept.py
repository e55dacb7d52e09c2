"""Outlines that were found before an interruption: they are read back instead of being looked for again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias, final

import numpy as np

from nvd_core.checkpoints import Arrays, load_arrays, save_arrays
from nvd_core.masks.camera import Homography
from nvd_core.masks.window import Cutout, Window

Outline: TypeAlias = tuple[Cutout, Homography | None]
"""Where an object is in a frame, 0 to 1 in 255ths, and its pose there if that is known."""

_SAVE_EVERY_S: Final = 20.0


@final
class Kept:
    """The outlines of one object, written every few seconds.

    Args:
        folder: where those lie that follow from the same clip and masks.
        layer: the object.
    """

    def __init__(self, folder: Path, layer: str) -> None:
        self._folder, self._layer = folder, layer
        self._known: Arrays = {}
        for path in sorted(folder.glob(f"{layer}.*.safetensors")):
            self._known |= load_arrays(path) or {}
        self._new: Arrays = {}
        self._saved_s = time.monotonic()

    def outlined(self, start: int, t: int, find: Callable[[], Outline]) -> Outline:
        """The outline in frame ``t``, carried there from ``start``; as it is kept, or else found."""
        name = f"{start}.{t}"
        if f"{name}.mask" not in self._known:
            cutout, pose = find()
            window = cutout.window
            self._new[f"{name}.mask"] = np.rint(cutout.mask * 255).astype(np.uint8)
            self._new[f"{name}.window"] = np.array([window.left, window.top, window.zoom])
            self._new[f"{name}.pose"] = np.zeros((0, 3)) if pose is None else pose
            if time.monotonic() - self._saved_s >= _SAVE_EVERY_S:
                self._save()
            return cutout, pose
        mask, pose = self._known[f"{name}.mask"], self._known[f"{name}.pose"]
        left, top, zoom = self._known[f"{name}.window"].tolist()
        rows, columns = mask.shape
        known = mask.astype(np.float32) / np.float32(255)
        return Cutout(Window(left, top, zoom, columns, rows), known), pose if len(pose) else None

    def _save(self) -> None:
        save_arrays(self._folder / f"{self._layer}.{len(self._known):09d}.safetensors", self._new)
        self._known |= self._new
        self._new, self._saved_s = {}, time.monotonic()
