"""What Blender itself reads of every kind of footage, beside what is decoded: both must be the same plate."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from blenders import BLENDERS
from films import FILMS, Film, patches, write_film
from rendered import pictures
from stills import STILLS

from nvd_core.clip import Clip, open_clip
from nvd_core.image.colour import to_display

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module")
def films() -> dict[str, Film]:
    """Every film that Blender plays frame by frame."""
    return {f"{film.name}.{film.container}": film for film in FILMS if film.gaps == (2,)}


@pytest.fixture(scope="module")
def footage(films: dict[str, Film], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Clip]:
    """These films, and every kind of picture."""
    folder = tmp_path_factory.mktemp("footage")
    writers = STILLS | {name: partial(write_film, film=film) for name, film in films.items()}
    for name, write in writers.items():
        write(folder / name)
    return {name: open_clip(folder / name) for name in writers}


@pytest.mark.parametrize("blender", BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def test_blender_shows_the_plate_that_was_decoded(
    blender: Path, films: dict[str, Film], footage: dict[str, Clip], extension: Path, tmp_path: Path
) -> None:
    sources = {
        name: {
            "path": str(clip.info.path), "file": str(clip.info.path), "sha256": "", "fps": clip.info.fps,
            "width": clip.info.size.width, "height": clip.info.size.height,
            "first": clip.info.first, "last": clip.info.numbers[-1], "is_linear": clip.info.is_linear,
        }
        for name, clip in footage.items()
    }  # fmt: skip
    (tmp_path / "sources.json").write_text(json.dumps(sources))
    session = [blender, Path(__file__).with_name("footage_session.py"), extension, tmp_path, tmp_path / "out"]
    done = subprocess.run(session, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    far = {}
    for name, clip in footage.items():
        ours = [np.rint(255 * to_display(plate).clip(0, 1)) for plate in clip.frames(clip.info.numbers)]
        theirs = pictures(tmp_path / "out" / name)
        assert len(theirs) == len(ours), name
        if "4.2" in blender.parents[1].name:  # its older FFmpeg
            film = films.get(name)
            if film and (film.turned or film.pixels in {"gbrp10le", "rgb48be"}):
                continue  # is not turned there, which is refused; or has lost its colours
            ours, theirs = map(patches, ours), map(patches, theirs)  # edges of half-size colour are drawn otherwise
        far[name] = max(np.abs(one - other).max() for one, other in zip(ours, theirs, strict=True))
    assert {name: by for name, by in far.items() if by > (3 if "4.2" in blender.parents[1].name else 1)} == {}
