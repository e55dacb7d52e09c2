"""The demo, as the README has it: to the end, with paint that follows."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from support import traps

from nvd_core.clip.pictures import read_rgb
from nvd_core.faces.demo import paint
from nvd_core.result.decomposition import Decomposition


def test_the_demo_ends_with_pictures_of_a_painted_shot(tmp_path: Path):
    """Wherever it is started: nothing that lies there is imported."""
    run = [Path(sys.executable).with_name("nvd"), "demo", "-o", tmp_path / "demo", "--json"]
    done = subprocess.run(run, cwd=traps(tmp_path / "here"), capture_output=True, text=True, check=False)
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()
    assert done.returncode == 0, done.stderr
    pictures = [Path(path) for path in json.loads(done.stdout)["pictures"]]
    assert pictures
    assert all(path.stat().st_size > 10_000 for path in pictures)
    assert ("bpy is not installed" in done.stderr) == (find_spec("bpy") is None)

    before, after = np.split(read_rgb(tmp_path / "demo" / "before_and_after.png").astype(int), 2)
    changed = np.abs(after - before).max(axis=-1) > 20
    for frame in np.split(changed, 3, axis=1):
        assert 0.1 < frame.mean() < 0.6


def test_the_demo_paints_over_nobodys_paint(own_folder: Path):
    decomposition = Decomposition.open(own_folder)
    mine, theirs = own_folder / "atlas" / "sign.exr", own_folder / "atlas" / "background.exr"
    mine.write_bytes(theirs.read_bytes())
    before = mine.read_bytes(), theirs.read_bytes()
    paint(decomposition)
    assert (mine.read_bytes(), theirs.read_bytes() == before[1]) == (before[0], False)
