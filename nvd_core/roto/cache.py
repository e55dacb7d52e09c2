"""Cache of tracked outlines on disk: an interrupted job reads them back instead of tracking again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, final

import numpy as np
from jaxtyping import Shaped, UInt8

from nvd_core.image.geometry import Homography
from nvd_core.roto.window import Cutout, Window
from nvd_core.runtime.checkpoints import Arrays, load_arrays, save_arrays

Outline: TypeAlias = tuple[Cutout, Homography | None]
"""Mask of an object in a frame, 0 to 1 in 255ths, and its pose there, if that is known."""

_SAVE_EVERY_S: Final = 20.0

_KINDS: Final[dict[str, Any]] = {
    "mask": UInt8[np.ndarray, "_ _"],
    "window": Shaped[np.ndarray, "3"],
    "pose": Shaped[np.ndarray, "_ 3"],
}
"""Arrays of a cached outline, and their types."""


@final
class Kept:
    """Cache of one object's outlines, written every few seconds.

    Args:
        folder: of the cache, for one clip and its key frames' masks.
        layer: the object's name.
    """

    def __init__(self, folder: Path, layer: str) -> None:
        self._folder, self._layer = folder, layer
        self._known: Arrays = {}
        for path in sorted(folder.glob(f"{layer}.*.safetensors")):
            arrays = load_arrays(path) or {}
            if all(isinstance(array, _KINDS.get(name.rpartition(".")[2], ())) for name, array in arrays.items()):
                self._known |= arrays
        self._new: Arrays = {}
        self._saved_s = time.monotonic()

    def outlined(self, start: int, t: int, find: Callable[[], Outline]) -> Outline:
        """Outline in frame ``t``, tracked from key frame ``start``: from the cache, or else computed by ``find``."""
        name = f"{start}.{t}"
        if not all(f"{name}.{part}" in self._known for part in _KINDS):
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
