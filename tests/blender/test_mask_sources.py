"""Masks in real Blenders: drawn and tracked ones, other strips, the plate's alpha, and what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from blenders import BLENDERS, seen_in
from support import disc, traps, write_masks

from nvd_core.clip.pictures import read_picture, read_rgb
from nvd_core.faces.demo_clip import write_clip
from nvd_core.image.exr import read_exr
from nvd_core.masks.files import coverage
from nvd_core.spec.conventions import Size
from nvd_core.spec.folder import sha256
from nvd_core.spec.manifest import read_manifest

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

SIZE, FRAMES, FIRST = Size(240, 136), 8, 101
USED = range(FIRST + 2, FIRST + FRAMES)
ASKED = {
    "hard": [(0.08, 0.3), (0.42, 0.34), (0.38, 0.7), (0.12, 0.62)],
    "soft": [(0.6, 0.35), (0.85, 0.4), (0.8, 0.65), (0.65, 0.6)],
    "tracked": [(0.05, 0.4), (0.3, 0.42), (0.27, 0.65), (0.08, 0.6)],
    "track": (0.05, 0.5),
    "step": 0.02,
}
"""In the coordinates of masks, where the longer side is 1 and the middle 0.5; a track's are each side's own."""


class Session(NamedTuple):
    """What a session in Blender saw and wrote."""

    seen: dict[str, Any]
    out: Path
    clips: Path

    def mattes(self, index: int) -> list[np.ndarray]:
        """The rendered masks of an object, 0 to 1."""
        folder = self.out / "record" / "mattes" / str(index)
        assert [path.name for path in sorted(folder.iterdir())] == [f"mask.{number:04d}.png" for number in USED]
        pictures = [read_picture(path) for path in sorted(folder.iterdir())]
        assert {(picture.dtype.name, picture.shape) for picture in pictures} == {("uint16", (136, 240, 1))}
        return [picture[..., 0] / 65535 for picture in pictures]


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    out, clips = tmp_path_factory.mktemp("out"), _clips(tmp_path_factory.mktemp("clips with space"))
    seen = seen_in(
        out, request.param, "masks_session.py", extension, sys.executable, clips, out, cwd=traps(out / "here")
    )
    assert not (out / "sprung").exists()  # no module where Blender was started was imported
    return Session(seen, out, clips)


def _clips(folder: Path) -> Path:
    """``shot/``, pictures whose alpha is the demo's sign, ``disc/``, a disc that moves, and what masks to draw."""
    demo = write_clip(folder / "demo", FRAMES, SIZE)
    (folder / "shot").mkdir()
    for index, (plate, mask) in enumerate(
        zip(sorted(demo.frames.iterdir()), sorted(demo.masks["sign"].iterdir()), strict=True)
    ):
        cutout = np.dstack([read_rgb(plate)[..., ::-1], read_rgb(mask)[..., :1]])
        assert cv2.imwrite(str(folder / "shot" / f"shot.{FIRST + index:04d}.png"), cutout)
    write_masks(folder / "disc", _discs(), first=FIRST)  # begins a frame later than the shot: numbers do not agree
    (folder / "asked.json").write_text(json.dumps(ASKED))
    return folder


def _discs() -> list[np.ndarray]:
    return [disc((30 + 20 * index, 110), 20, SIZE) for index in range(FRAMES)]


def polygon(corners: list[tuple[float, float]], shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """The pixels whose larger part lies in a polygon, in the coordinates of masks."""
    at, fine, (width, height) = np.add(corners, shift) * max(SIZE), 16, SIZE
    x, y = at[:, 0], height - (at[:, 1] - (width - height) / 2)
    filled = np.zeros((height * fine, width * fine), np.uint8)
    cv2.fillPoly(filled, [np.rint(np.stack([x, y], -1) * fine - 0.5).astype(np.int32)], 1)
    return filled.reshape(height, fine, width, fine).mean((1, 3)) > 0.5


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def test_a_mask_is_drawn_where_blender_shows_it(session: Session):
    assert session.seen["rendered"] == 0
    for matte in session.mattes(0):
        assert iou(matte > 0.5, polygon(ASKED["hard"])) > 0.99
        assert np.isin(matte, (0, 1)).mean() > 0.999


def test_feather_is_soft_outside_and_whole_inside(session: Session):
    inside, matte = polygon(ASKED["soft"]), session.mattes(1)[0]
    core = cv2.erode(inside.astype(np.uint8), np.ones((3, 3))) > 0
    assert (matte[core] == 1).all()
    soft = (matte > 0.02) & (matte < 0.98)
    assert soft.sum() > 1000
    assert not (soft & core).any()
    assert matte[:, :20].max() == 0


def test_a_layer_or_all_that_are_not_hidden(session: Session):
    hard, soft, both = (session.mattes(index)[0] for index in range(3))
    assert iou(both > 0.5, (hard > 0.5) | (soft > 0.5)) > 0.99
    assert iou(both > 0.5, hard > 0.5) < 0.8
    assert (both == 0).any()  # the hidden layer covers everything


@pytest.mark.parametrize(("index", "frame"), [(3, 3), (4, 23)], ids=["footage", "timeline"])
def test_a_mask_follows_its_track_by_the_chosen_clock(session: Session, index: int, frame: int):
    for step, matte in enumerate(session.mattes(index)):
        moved = polygon(ASKED["tracked"], (ASKED["step"] * (frame - 1 + step), 0))
        assert iou(matte > 0.5, moved) > 0.99


def test_in_the_clip_editor_masks_keep_the_clips_time(session: Session):
    assert session.seen["clip_start"] == [11, None]


def test_a_carried_mask_is_of_the_frame_under_the_playhead(session: Session):
    assert session.seen["keys"] == [
        ["drawn", "mask.0104.png", 104],
        ["drawn", "mask.0108.png", 108],
        ["beside", "mask.0104.png", 105],
        ["still", "mask.0105.png", 106],
        ["file", "sign.png", 103],
        ["alpha", "alpha", None],
    ]
    assert session.seen["clip_keys"] == [102]
    assert session.seen["clip_timeline"] == ["12"]


def test_a_carried_mask_is_drawn_in_its_frames_alone(session: Session):
    assert session.seen["carried_rendered"] == 0
    pictures = {path.name: read_picture(path) for path in (session.out / "carried" / "mattes" / "0").iterdir()}
    assert pictures.keys() == {"mask.0104.png", "mask.0108.png"}
    for name, frame in (("mask.0104.png", 24), ("mask.0108.png", 28)):
        moved = polygon(ASKED["tracked"], (ASKED["step"] * (frame - 1), 0))
        assert iou(pictures[name][..., 0] > 32767, moved) > 0.99


def test_the_button_takes_the_playheads_frame_and_a_picture_has_but_one(session: Session):
    assert session.seen["buttons"] == ["108", "107, 108", "", "105", "104", "103"]


def test_a_picture_that_was_the_mask_of_every_frame_is_carried(session: Session):
    assert session.seen["carried_pictures"] == ["masks/sign.png", "", ""]


def test_the_forecast_knows_what_has_to_be_carried_or_found(session: Session):
    nothing, found, given, carried = session.seen["expected"]
    assert nothing < given < carried < found


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no_file", "The object has no mask"),
        ("no_mask", "The object has no mask"),
        ("no_layer", "The mask has no layer none (Drawn mask)"),
        ("hidden_layer", "The mask shows nothing (Drawn mask)"),
        ("nothing_drawn", "The mask shows nothing (Empty)"),
        ("no_strip", "There is no such movie or image strip (none)"),
        ("no_frames", "'12-14' are no frames (object)"),
        (
            "not_shown",
            "The mask is of the clip's frame 109, which shot does not show (object). It shows frames 103 to 108.",
        ),
        ("before", "The mask is of the clip's frame 102, which shot does not show"),
        ("beside_it", "shot is not shown at frame 22. Go to one of the frames 23 to 28."),
        ("many_files", "One picture cannot be the mask of several frames (object)"),
        ("no_picture", "The object has no mask"),
        ("ended", "The strip disc is not there for that frame of shot"),
        ("itself", "The strip cannot be its own mask"),
        ("too_short", "The strip disc is not there for all frames of shot"),
        ("reversed", "The strip plays backwards (disc)"),
        ("in_clip_editor", "A strip cannot be the mask of a movie clip"),
        ("broken", "Blender cannot read the movie clip"),
        ("one_frame", "The mask Drawn mask is drawn on one frame alone (object). Press Carry From This Frame"),
        ("no_size", "Blender does not know the size of the clip's pictures"),
    ],
)
def test_refusals_have_words(session: Session, what: str, words: str):
    assert words in session.seen[what]


def test_a_mask_is_refused_before_it_is_asked_what_becomes_of_a_result(session: Session):
    assert session.seen["pressed"] == "refused"


def test_a_mask_moves_by_its_keys_or_by_a_track(session: Session):
    assert session.seen["moves"] == [False, True, True]
    assert session.seen["left_by_looking"]


def test_what_is_refused_leaves_no_record(session: Session):
    assert session.seen["records_after_refusals"] == 0


def test_rendering_ends_with_the_blender_that_asked_for_it(session: Session):
    assert session.seen["orphan"] == [130, False]


def test_rendering_that_dies_has_words_and_leaves_nothing_half_done(session: Session):
    assert session.seen["stage"] == ["rasterise", "running"]
    state, words, lacks_mattes, half = session.seen["killed"]
    assert (state, lacks_mattes, half) == ("failed", True, [])
    assert words.startswith("Blender, which renders the masks, ended with code -9: the system has killed it")
    assert "failed at rasterise" in session.seen["diagnostics"]


def test_rendering_can_be_cancelled(session: Session):
    assert session.seen["cancelled"] == ["cancelled", 130, [], False]
    assert session.seen["left_by_cancelled"] == []


def test_masks_are_rendered_again_where_they_are_not_whole(session: Session):
    assert session.seen["left"] == ["left", True]


def test_a_job_takes_its_checkpoint_up_with_masks_that_were_rendered_again(session: Session):
    assert session.seen["taken_up"] == ["cancelled", []]
    assert session.seen["whole"] == ["FINISHED"]
    assert not any("take up" in warning for warning in session.seen["warnings"])
    assert session.seen["left_by_jobs"] == []


def test_drawn_masks_strips_and_alpha_end_up_in_the_layers(session: Session):
    manifest = read_manifest(session.out / "result")
    assert manifest.names == ("poly", "disc", "sign", "blob", "background")
    assert [mask.get("locked", False) for mask in manifest.masks] == [False, False, True, True]
    left = np.ones((SIZE.height, SIZE.width), bool)
    for number in USED:
        _, channels = read_exr(manifest.frame_path(session.out / "result", number))
        # The disc's strip stands one frame later than the shot's.
        sign = read_picture(session.clips / "shot" / f"shot.{number:04d}.png")[..., 3] > 127
        left[:] = True
        for layer, whole in zip(
            manifest.names, (polygon(ASKED["hard"]), _discs()[number - FIRST - 1] > 127, sign), strict=False
        ):
            assert iou(channels[f"{layer}.alpha.V"] > 0.5, whole & left) > 0.98, (layer, number)
            left &= ~whole


def test_a_carried_mask_is_corrected_in_blender_and_known_as_corrected(session: Session):
    folder = session.out / "result" / "masks"
    record = json.loads((folder / "masks.json").read_text())["files"]
    changed = [name for name, digest in record.items() if sha256(folder / name) != digest]
    assert changed == ["blob/blob.0106.png", "blob/blob.0107.png"]  # saved by its button, and by the next job
    assert len(record) == len(USED)
    before = coverage(read_picture(folder / "blob" / "blob.0108.png"))[-1, :20]
    after = coverage(read_picture(folder / changed[0]))[-1, :20]
    assert (before[:10] == 0).all()
    assert (after[:10] == 1).all()
    assert (after[10:] == 0).all()
    assert session.seen["correctable"] == [True, False]
    assert session.seen["unsaved"] == [0, 1, 0, "blob.0106.png", 8, 0]


def test_the_brush_has_object_and_not_object_as_its_two_colours_while_a_mask_is_corrected(session: Session):
    assert session.seen["brush"] == [[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0.5, 0.25, 1, 1, 0.5, 0.25]]


def test_only_masks_that_were_carried_are_corrected(session: Session):
    assert "The masks of this layer were given (poly)" in session.seen["given"]
    assert "There is no mask of this frame" in session.seen["no_frame"]


def test_objects_are_added_moved_and_removed(session: Session):
    assert session.seen["order"] == [["object1", "object3", "object2"], 2]


def test_each_source_has_its_own_fields(session: Session):
    nothing = session.seen["drawn"].pop("")
    drawn = {source: [names[1:] for names in both] for source, both in session.seen["drawn"].items()}
    assert drawn == {
        "FILE": [["path", "locked"], ["picture", "keys", "locked"]],
        "MASK": [["mask", "layer", "clock", "still", "locked"], ["mask", "layer", "clock", "keys", "locked"]],
        "STRIP": [["strip", "locked"], ["strip", "keys", "locked"]],
        "ALPHA": [["locked"], ["locked"]],
    }
    assert nothing == ["find"]
