"""Clips whose EXRs have data windows of their own, which Blender shows otherwise: results show the display window."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from blenders import BLENDERS, seen_in
from overscan import CLIPS, COUNT, FRAME, WHOLE, Overscan, colour, decomposed, write_clip
from rendered import difference, pictures
from support import disc, write_masks

from nvd_core.image.colour import display_from_linear, to_uint8

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

OWN = CLIPS["shifted, and away from nought"]


class Session(NamedTuple):
    """One Blender's: where its pictures are, the display windows they must show, and what was seen."""

    out: Path
    plates: dict[str, list[np.ndarray]]
    seen: dict[str, Any]

    def far(self, name: str, plates: str = "") -> int:
        """How far what was rendered is from these plates, of 255."""
        return difference(pictures(self.out / name), self.plates[plates or name])


def display(files: list[Path]) -> list[np.ndarray]:
    """What must be seen of these files, by OpenImageIO's reading."""
    return [to_uint8(display_from_linear(colour(file))).astype(int) for file in files]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[np.ndarray]]:
    """Folders of decompositions, and the display windows of their clips."""
    at = tmp_path_factory.mktemp("clips")
    return {at / str(index): display(decomposed(at / str(index), clip)) for index, clip in enumerate(CLIPS.values())}


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(
    request: pytest.FixtureRequest,
    clips: dict[Path, list[np.ndarray]],
    extension: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Session:
    out, own = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("own")
    plates = {folder.name: plates for folder, plates in clips.items()}
    plates["overscan"] = display(write_clip(own / "clip", OWN))
    plates["whole"] = display(write_clip(own / "whole", Overscan((WHOLE,) * 3)))
    write_masks(own / "masks", [disc((40, 32), 18, FRAME)] * COUNT)
    return Session(
        out, plates, seen_in(out, request.param, "overscan_session.py", extension, sys.executable, out, own, *clips)
    )


@pytest.mark.parametrize("index", range(len(CLIPS)), ids=[*CLIPS])
def test_what_is_not_painted_on_is_the_display_window(session: Session, index: int) -> None:
    assert session.far(str(index)) == 0
    assert session.far(f"{index} again", str(index)) == 0, "when the file was opened again"
    assert session.seen["shown"][str(index)] == ["plate SEQUENCE", True] * 2


def test_a_result_belongs_to_the_clip_not_to_its_copies(session: Session) -> None:
    assert session.seen["added"] == [["FINISHED"], 1]
    assert ["must stay as it is" in said for said in session.seen["must_stay"]] == [True, True]


def test_a_mask_that_was_drawn_over_the_data_window_is_refused(session: Session) -> None:
    said, is_there = session.seen["drawn"]
    assert "Blender shows the data window of the EXRs" in said
    assert "box was drawn over it" in said
    assert not is_there


def test_it_is_told_that_blender_shows_another_window(session: Session) -> None:
    assert any("the display window is decomposed, as Nuke shows it" in said for said in session.seen["warnings"])


def test_the_scene_follows_when_the_clip_is_written_anew(session: Session) -> None:
    assert session.seen["followed"] == [["plate SEQUENCE", True], ["clip SEQUENCE", True], ["plate SEQUENCE", True]]
    assert session.far("overscan") == session.far("whole") == session.far("overscan again", "overscan") == 0


def test_copies_that_are_not_there_are_told(session: Session) -> None:
    assert "The decomposition lacks a file" in session.seen["lacking"]
