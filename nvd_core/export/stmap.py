"""Write STMaps for Nuke, Fusion, After Effects and other programs: one RGB EXR per layer and frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nvd_core.image.exr import write_exr
from nvd_core.result.decomposition import Decomposition, Frame
from nvd_core.spec.exporters import stmap_path


def write_stmaps(decomposition: Decomposition) -> Iterator[Path]:
    """Write ``stmap/<layer>/<name>.<layer>.####.exr`` and yield the path of each.

    Red and green are the atlas coordinates, 0 to 1 (origin bottom-left, pixel centres at half), float, finite
    everywhere; blue is the layer's alpha, which Blender's Map UV multiplies with and Nuke ignores.
    """
    folder, name = decomposition.folder, decomposition.manifest.name

    def write(frame: Frame) -> list[Path]:
        paths = []
        for layer, one in frame.layers.items():
            paths.append(stmap_path(folder, name, layer, frame.number))
            u, v = np.moveaxis(one.uv_atlas, -1, 0)
            write_exr(paths[-1], {"R": u, "G": v, "B": one.alpha})
        return paths

    for paths in decomposition.over_frames(write):
        yield from paths
