"""Vector passes as Blender renders them: sign, order and axes against a motion that is known."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from blenders import BLENDERS
from support import sliding

from nvd_core.clip import open_clip
from nvd_core.flow.files import open_files, read_flow_file
from nvd_core.spec.conventions import Size

PLACES = {101: (-6, -4), 102: (-3, -2), 103: (2, -1), 104: (0, -6)}

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.mark.parametrize("blender", BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def test_blenders_vector_pass_is_read_as_the_plane_moved(blender: Path, tmp_path: Path):
    command = [blender, Path(__file__).with_name("vectors_session.py"), tmp_path / "passes"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    files = sorted((tmp_path / "passes").glob("*.exr"))
    assert len(files) == len(PLACES), done.stdout[-3000:] + done.stderr[-3000:]
    y, x = np.mgrid[:48, :64] - np.array([23.5, 31.5]).reshape(2, 1, 1)
    for number, file in zip(PLACES, files, strict=True):
        there, back = read_flow_file(file)
        here = np.array(PLACES[number])
        inside = (np.abs(x - here[0]) < 11) & (np.abs(y + here[1]) < 11)
        for flow, other in ((there, number + 1), (back, number - 1)):
            if other in PLACES:
                move = (np.array(PLACES[other]) - here) * [1, -1]
                np.testing.assert_allclose(flow[inside], np.broadcast_to(move, flow[inside].shape), atol=1e-3)
    info = open_clip(sliding(tmp_path / "plates", len(PLACES), Size(64, 48))).info
    assert open_files(str(tmp_path / "passes"), info, info.numbers).files == tuple(files)
