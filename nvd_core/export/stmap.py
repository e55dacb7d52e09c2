"""STMaps for Nuke, Fusion, After Effects and other programs: one RGB EXR a layer and frame."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from nvd_core.decomposition import Decomposition, Frame
from nvd_core.exr import write_exr
from nvd_core.writer import sole_writer


def write_stmaps(decomposition: Decomposition) -> Generator[Path, None, None]:
    """Write ``stmap/<layer>/<name>.<layer>.####.exr`` and yield each folder's frame when it is there.

    Red and green are the atlas coordinates (origin bottom-left, pixel centres at half), float, defined
    everywhere; blue is the layer's alpha, which Blender's Map UV multiplies with and Nuke does not look at.
    """
    folder, name = decomposition.folder / "stmap", decomposition.manifest.name

    def write(frame: Frame) -> list[Path]:
        paths = []
        for layer, one in frame.layers.items():
            paths.append(folder / layer / f"{name}.{layer}.{frame.number:04d}.exr")
            u, v = np.moveaxis(one.uv_atlas, -1, 0)
            write_exr(paths[-1], {"R": u, "G": v, "B": one.alpha})
        return paths

    with sole_writer(decomposition.folder):
        for paths in decomposition.over_frames(write):
            yield from paths
