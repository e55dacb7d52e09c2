"""Plates with light of all sizes in Blender: what is not painted on is the plate, however bright."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from blenders import BLENDERS
from rendered import difference, pictures

from nvd_core.image.colour import to_display, to_uint8

sys.path.append(str(Path(__file__).parents[1] / "contract"))
from test_numbers import BRIGHT, decomposed

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[np.ndarray]]:
    """Folders of decompositions, and their plates."""
    folders = {change: tmp_path_factory.mktemp(change.__name__) for change in BRIGHT}
    return {folder: decomposed(folder, change)[1] for change, folder in folders.items()}


@pytest.mark.parametrize("blender", BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def test_what_is_not_painted_on_is_the_plate(
    blender: Path, bright: dict[Path, list[np.ndarray]], extension: Path
) -> None:
    for folder in bright:
        shutil.rmtree(folder / "shown", ignore_errors=True)
    command = [blender, Path(__file__).with_name("bright_session.py"), extension, *bright]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    far = {
        folder.name: difference(pictures(folder / "shown"), [to_uint8(to_display(one)).astype(int) for one in plates])
        for folder, plates in bright.items()
    }
    assert {name: by for name, by in far.items() if by} == {}
