"""What Blender or the command line has rendered, to be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nvd_core.clip.pictures import read_rgb


def pictures(folder: Path) -> list[np.ndarray]:
    """All PNG pictures of a folder, in order."""
    paths = sorted(folder.glob("*.png"))
    assert paths, folder
    return [read_rgb(path).astype(int) for path in paths]


def difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> int:
    """The largest difference of any sample, of 255."""
    return max(int(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True))
