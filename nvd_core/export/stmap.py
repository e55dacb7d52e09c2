"""Write STMaps for Nuke, Fusion, After Effects and other programs: one RGB EXR per layer and frame."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np

from nvd_core.image.exr import write_exr
from nvd_core.result.decomposition import Decomposition, Frame
from nvd_core.runtime.writer import sole_writer
from nvd_core.spec.path_safety import NAMES, refuse_inside


def stmap_path(folder: Path, name: str, layer: str, number: int) -> Path:
    """Path of the STMap of a layer in a frame."""
    return folder / "stmap" / layer / f"{name}.{layer}.{number:04d}.exr"


def write_stmaps(decomposition: Decomposition) -> Generator[Path, None, None]:
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

    refuse_inside(folder, decomposition.clip.info.files, spared=[one for one in NAMES if one != "stmap"])
    with sole_writer(folder):
        for paths in decomposition.over_frames(write):
            yield from paths
