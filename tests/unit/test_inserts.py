"""Inserts: pictures that are pinned to a layer show in every frame, behind what is in front; the rest stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from support import job_of, nvd, solve, tree

import nvd_core
from nvd_core.clip.pictures import write_png
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.image.colour import display_from_linear, to_linear, to_uint8
from nvd_core.image.geometry import pixel_grid, transform
from nvd_core.result.composite import Composite, composite
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.editing import change_insert, clip_paint, delete_key, insert_picture, remove_insert
from nvd_core.result.rendering import open_edits, render
from nvd_core.runtime.writer import sole_writer
from nvd_core.shot.inserts import on_picture
from nvd_core.spec.edits import Blend, at, edits_path, inserts, keyed, read_edits
from nvd_core.spec.errors import InputError
from nvd_core.spec.versions import holds_result

RED = np.array([1, 0, 0], np.float32)


@pytest.fixture
def own(own_folder: Path) -> Decomposition:
    return Decomposition.open(own_folder)


@pytest.fixture
def red(tmp_path: Path) -> Path:
    """A picture, red all over."""
    return still(tmp_path / "red.png", (255, 0, 0, 255))


def still(path: Path, rgba: tuple[int, int, int, int]) -> Path:
    write_png(path, np.full((60, 80, 4), rgba, np.uint8))
    return path


def rendered(decomposition: Decomposition, mode: str = "keep-plate") -> list[Composite]:
    return list(render(decomposition, {}, mode))


def owned_by(decomposition: Decomposition, layer: str) -> list[np.ndarray]:
    return [frame.layers[layer].alpha == 1 for frame in decomposition.frames()]


@pytest.mark.parametrize("layer", ["sign", "background"])
def test_it_shows_in_every_frame_lit_by_the_shot_and_nothing_else_changes(
    layer: str, own: Decomposition, red: Path
) -> None:
    insert_picture(own, layer, red, is_clipped=True)
    ((_, insert),) = inserts(read_edits(own.folder, own.manifest.names)).values()
    shown = 0
    for done, frame in zip(rendered(own), own.frames(), strict=True):
        part, plate = frame.layers[layer], to_linear(frame.plate)
        place = on_picture(insert.corners_at(1), part.uv_atlas)
        apart = np.abs(place - 0.5).max(axis=-1)  # from its middle; at its border it is 0.5
        assert np.array_equal(done.linear[apart > 0.52], plate[apart > 0.52])
        within = (apart < 0.48) & (part.alpha == 1)
        np.testing.assert_allclose(done.linear[within], part.residual[within] * RED, rtol=1e-3, atol=1e-4)
        assert np.array_equal(done.linear[part.alpha == 0], plate[part.alpha == 0])
        shown += np.count_nonzero(within)
    assert shown > 500


def test_an_insert_and_paint_of_the_same_are_the_same(own: Decomposition, tmp_path: Path) -> None:
    """What is inserted over a part of the atlas is what painting that part gives."""
    atlas = own.original("background")
    height, width = atlas.shape[:2]
    painted = to_uint8(display_from_linear(atlas))
    painted[40:100, 60:140] = np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)
    write_png(tmp_path / "painted.png", painted)
    write_png(tmp_path / "part.png", painted[40:100, 60:140])
    by_paint = list(render(own, {"background": tmp_path / "painted.png"}, "keep-plate"))
    insert_picture(own, "background", tmp_path / "part.png", [(60, 40), (140, 40), (140, 100), (60, 100)])
    assert (height, width) > (100, 140)
    for one, other in zip(by_paint, rendered(own), strict=True):
        apart = np.abs(display_from_linear(one.linear) - display_from_linear(other.linear)).max(axis=-1)
        assert np.percentile(apart[apart > 0], 50) < 0.05
        assert np.mean(np.square(apart)) < 2e-4, "37 dB: they differ on the border alone, where one is transparent"


def test_it_lies_behind_what_is_in_front(own: Decomposition, red: Path) -> None:
    covered = own.covered("background")
    height, width = covered.shape
    insert_picture(own, "background", red, [(0, 0), (width, 0), (width, height), (0, height)])
    for done, frame, in_front in zip(rendered(own), own.frames(), owned_by(own, "sign"), strict=True):
        plate = to_linear(frame.plate)
        assert np.array_equal(done.linear[in_front], plate[in_front])
        behind = frame.layers["sign"].alpha == 0
        assert (done.linear[behind][:, 1:] < 0.01).all()


def test_beyond_the_outline_it_moves_with_the_layer(own: Decomposition, demo: DemoClip, red: Path) -> None:
    """A flag on the sign, next to it, is where the sign's true motion carries it."""
    numbers = own.manifest.source.numbers
    frame = own.frame(numbers[4])
    rows, columns = np.nonzero(frame.layers["sign"].alpha > 0.5)
    right, top, bottom = int(columns.max()), int(rows.min()), int(rows.max())
    middle = (top + bottom) / 2
    box = [(right - 5, top), (right + 20, top), (right + 20, middle), (right - 5, middle)]
    assert right + 20 < own.size.width
    insert_picture(own, "sign", red, box, numbers[4])
    overlaps, errors = [], []
    for index, (done, plate) in enumerate(zip(rendered(own), own.frames(), strict=True)):
        to_there = np.linalg.inv(demo.motions["sign"][4]) @ demo.motions["sign"][index]
        there = transform(to_there, pixel_grid(own.size).astype(np.float64)) + 0.5
        true = ((there > box[0]) & (there < box[2])).all(axis=-1)
        linear, before = done.linear, to_linear(plate.plate)
        found = np.abs(linear - before).max(axis=-1) > 0.02
        overlaps.append(np.count_nonzero(found & true) / np.count_nonzero(found | true))
        errors.append((linear[true & found][:, 1:] > 0.02).mean())
    assert min(overlaps) > 0.9, overlaps
    assert max(errors) < 0.05, "the wall is seen through it"


def test_clipped_to_the_outline_it_ends_there(own: Decomposition, red: Path) -> None:
    insert_picture(own, "sign", red, [(-40, -40), (400, -40), (400, 400), (-40, 400)], is_clipped=True)
    for done, frame in zip(rendered(own), own.frames(), strict=True):
        outside = frame.layers["sign"].alpha == 0
        assert np.array_equal(done.linear[outside], to_linear(frame.plate)[outside])


def test_paint_on_transparent_parts_of_the_atlas_shows_if_it_is_asked_for(own: Decomposition, tmp_path: Path) -> None:
    atlas, covered = own.original("sign").copy(), own.covered("sign")
    atlas[covered < 0.5] = RED
    write_png(tmp_path / "painted.png", to_uint8(display_from_linear(atlas)))

    def beyond() -> list[int]:
        frames = zip(render(own, {"sign": tmp_path / "painted.png"}, "keep-plate"), own.frames(), strict=True)
        return [
            np.count_nonzero((done.linear != to_linear(frame.plate)).any(axis=-1) & (frame.layers["sign"].alpha == 0))
            for done, frame in frames
        ]

    assert beyond() == [0] * len(beyond())
    clip_paint(own, "sign", is_clipped=False)
    assert min(beyond()) > 20


def test_multiplying_keeps_the_plates_grain(own: Decomposition, tmp_path: Path) -> None:
    grey = still(tmp_path / "grey.png", (188, 188, 188, 255))
    insert_picture(own, "background", grey, blend="MULTIPLY")
    factor = to_linear(np.full((1, 1, 3), 188, np.uint8)).max()
    for done, frame, is_own in zip(rendered(own), own.frames(), owned_by(own, "background"), strict=True):
        plate = to_linear(frame.plate)
        ratio = (done.linear / np.maximum(plate, 1e-3))[is_own & (plate.min(axis=-1) > 0.05)]
        is_under = np.abs(ratio - factor).max(axis=-1) < 2e-3
        is_beside = np.abs(ratio - 1).max(axis=-1) < 1e-6
        assert is_under.mean() > 0.02
        assert (is_under | is_beside).mean() > 0.95, "the rest is its border"


@pytest.mark.parametrize("mode", ["keep-plate", "rebuild"])
def test_order_opacity_and_visibility(mode: str, own: Decomposition, red: Path, tmp_path: Path) -> None:
    blue = still(tmp_path / "blue.png", (0, 0, 255, 255))
    insert_picture(own, "sign", red)
    insert_picture(own, "sign", blue)

    def middle() -> np.ndarray:
        done, frame = rendered(own, mode)[0], own.frame(own.manifest.source.first)
        rows, columns = np.nonzero(frame.layers["sign"].alpha > 0.99)
        at = int(np.median(rows)), int(np.median(columns))
        return done.linear[at] / frame.layers["sign"].residual[at]

    np.testing.assert_allclose(middle(), [0, 0, 1], atol=2e-3)
    change_insert(own, "blue", opacity=0.25)
    np.testing.assert_allclose(middle(), [0.75, 0, 0.25], atol=2e-3)
    change_insert(own, "blue", places=-1)
    np.testing.assert_allclose(middle(), [1, 0, 0], atol=2e-3)
    change_insert(own, "red", is_visible=False)
    change_insert(own, "blue", opacity=1.0)
    np.testing.assert_allclose(middle(), [0, 0, 1], atol=2e-3)
    remove_insert(own, "blue")
    assert not np.allclose(middle(), [0, 0, 1], atol=0.05)
    assert (own.folder / "edits" / "blue.png").is_file(), "the picture stays"


def test_a_range_with_fades_and_a_movie_in_the_shots_time(own: Decomposition, tmp_path: Path) -> None:
    greys = [40, 120, 200]
    for index, grey in enumerate(greys, 1):
        write_png(tmp_path / "film" / f"film.{index:04d}.png", np.full((30, 40, 3), grey, np.uint8))
    film = insert_picture(own, "background", tmp_path / "film", start=3, first=2, last=7, fade_in=1)
    first = own.manifest.source.first
    assert film.count == len(greys)
    assert [film.strength(number) for number in range(first, first + 8)] == [0, 0, 1, 1, 1, 1, 1, 0]
    still = replace(film, count=1)
    assert [still.strength(number) for number in range(first, first + 8)] == [0, 0.5, 1, 1, 1, 1, 1, 0]
    shown = []
    for done, frame in zip(rendered(own), own.frames(), strict=True):
        part = frame.layers["background"]
        place = on_picture(film.corners_at(1), part.uv_atlas)
        inside = (np.abs(place - 0.5).max(axis=-1) < 0.4) & (part.alpha == 1)
        colour = (done.linear / part.residual)[inside]
        shown.append(round(float(np.median(display_from_linear(colour)) * 255)) if inside.any() else None)
    assert shown[2:7] == [40, 120, 200, 200, 200]
    film.path(own.folder, 4).unlink()
    with pytest.raises(InputError, match="A picture of the insert film is missing"):
        rendered(own)


def test_pins_are_honoured_in_their_frames_and_pass_into_each_other(own: Decomposition, red: Path) -> None:
    first, last = own.manifest.source.first, own.manifest.source.last
    box = [(20, 20), (60, 22), (58, 50), (18, 48)]
    insert_picture(own, "background", red, box, first, name="pinned")
    insert = change_insert(own, "pinned", box, last, last)
    insert = change_insert(own, "pinned", box, first, first)
    assert [row[0] for row in insert.corners] == [first, last]
    for number in (first, last):
        uv_atlas = own.frame(number).layers["background"].uv
        middle = cv2.getPerspectiveTransform(np.float32([(0, 1), (1, 1), (1, 0), (0, 0)]), np.float32(box))
        x, y = transform(middle, np.array([[0.5, 0.5]]))[0] - 0.5
        place = on_picture(insert.corners_at(number), uv_atlas)[round(y), round(x)]
        assert np.abs(place - 0.5).max() < 0.03
    with pytest.raises(InputError, match="no frame 99"):
        change_insert(own, "pinned", box, 99, 99)


@pytest.mark.parametrize("first", [0, 1])
def test_the_first_key_holds_in_all_frames_and_keys_can_be_deleted(own: Decomposition, red: Path, first: int) -> None:
    own = replace(own, manifest=replace(own.manifest, source=replace(own.manifest.source, first=first)))
    insert_picture(own, "background", red, name="pinned")
    for key, opacity in ((3, 0.2), (5, 0.6)):
        insert = change_insert(own, "pinned", key=key, opacity=opacity)
    assert insert.opacity == ((3.0, 0.2), (5.0, 0.6))
    assert delete_key(own, "pinned", 3).opacity == ((5.0, 0.6),)
    assert delete_key(own, "pinned", 5).opacity == ((first - 1.0, 0.6),)
    with pytest.raises(InputError, match="no key at frame 5"):
        delete_key(own, "pinned", 5)


def test_keys_interpolate_and_hold() -> None:
    keys = keyed(keyed(((2.0, 0.0),), 6, [1.0]), 4, [0.8])
    assert [round(at(keys, frame)[0], 6) for frame in (1, 2, 3, 4, 5, 6, 7)] == [0, 0, 0.4, 0.8, 0.9, 1, 1]


def test_corners_map_as_opencv_does() -> None:
    rng = np.random.default_rng(0)
    corners = ((0.2, 0.8), (0.9, 0.7), (0.8, 0.1), (0.1, 0.3))
    points = rng.random((100, 2)).astype(np.float32)
    theirs = cv2.getPerspectiveTransform(np.float32(corners), np.float32([(0, 1), (1, 1), (1, 0), (0, 0)]))
    np.testing.assert_allclose(on_picture(corners, points), transform(theirs, points), atol=1e-5)
    flat = on_picture(((0, 0), (1, 1), (2, 2), (3, 3)), points)
    assert (flat == -1).all(), "a picture without area is not seen"


def test_large_pictures_are_reduced_and_deep_ones_stay_deep(own: Decomposition, tmp_path: Path) -> None:
    write_png(tmp_path / "large.png", np.zeros((900, 1600, 3), np.uint8))
    large = insert_picture(own, "sign", tmp_path / "large.png")
    assert large.width < 250, "hardly finer than the atlas"
    cv2.imwrite(str(tmp_path / "deep.tif"), np.full((20, 20, 3), 30000, np.uint16))
    assert insert_picture(own, "sign", tmp_path / "deep.tif").file == "edits/deep.exr"
    assert rendered(own)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"corners": [[0.0, 1, 2]]}, "corners"),
        ({"corners": [[0.0] + [float("nan")] * 8]}, "damaged"),
        ({"opacity": [[0.0, 2.0]]}, "opacity"),
        ({"blend": "../x"}, "blend"),
        ({"file": "../../etc/passwd"}, "file"),
        ({"file": "edits/other.png"}, "file"),
        ({"width": 10**9}, "width"),
        ({"name": "a/b", "file": "edits/a/b.png"}, "file"),
    ],
)
def test_a_damaged_record_is_refused(damage: dict[str, object], said: str, own: Decomposition, red: Path) -> None:
    insert_picture(own, "sign", red)
    data = json.loads(edits_path(own.folder).read_text())
    data["layers"]["sign"]["inserts"][0] |= damage
    edits_path(own.folder).write_text(json.dumps(data))
    with pytest.raises(InputError, match=said):
        rendered(own)


def test_links_in_the_edits_are_refused(own: Decomposition, red: Path, tmp_path: Path) -> None:
    insert_picture(own, "sign", red)
    (own.folder / "edits" / "red.png").unlink()
    (own.folder / "edits" / "red.png").symlink_to(red)
    with pytest.raises(InputError, match="is a link"):
        rendered(own)


def test_the_command_line(own: Decomposition, red: Path, tmp_path: Path) -> None:
    folder = own.folder
    done = nvd("insert", folder, red, "--layer=sign", "--name=logo", "--blend=SCREEN", "--frames=2-5", "--fade", 1, 2)
    assert done.returncode == 0, done.stderr
    box = ("--box=10,10,60,40", "--frame=3", "--key=3")
    done = nvd("edit", folder, "logo", "--opacity=0.5", *box, "--visible=off", "--json")
    assert done.returncode == 0, done.stderr
    ((insert,),) = (stack["inserts"] for stack in json.loads(done.stdout).values())
    assert (insert["blend"], insert["opacity"]) == ("SCREEN", [[3.0, 0.5]])
    assert [row[0] for row in insert["corners"]] == [3.0]
    assert (insert["first"], insert["last"], insert["fade_in"], insert["fade_out"]) == (2, 5, 1, 2)
    before = edits_path(folder).read_bytes()
    for arguments, said in [
        (("insert", folder, red, "--layer=none"), "no layer 'none'"),
        (("insert", folder, red, "--layer=sign", "--name=LOGO"), "already"),
        (("insert", folder, red, "--layer=sign", "--name=../x"), "no name"),
        (("insert", folder, tmp_path / "gone.png", "--layer=sign"), "gone.png"),
        (("insert", folder, red, "--layer=sign", "--box=1,2,3"), "4 numbers"),
        (("insert", folder, red, "--layer=sign", "--frame=99", "--box=1,2,3,4"), "no frame 99"),
        (("edit", folder, "none", "--remove"), "no insert 'none'"),
        (("edit", folder, "logo", "--opacity=7"), "opacity that it cannot have"),
        (("edit", folder, "--opacity=0.5"), "none is named"),
        (("edit", folder, "logo", "--remove", "--opacity=0.5"), "do not go together"),
        (("edit", folder, "logo", "--key=3"), "--key is the frame of corners or opacity"),
        (("edit", folder, "logo", "--frame=3"), "--frame is the frame that corners are on"),
        (("insert", folder, red, "--layer=sign", "--frame=3"), "--frame is the frame that corners are on"),
        (("edit", folder, "logo", "--delete-key=4"), "no key at frame 4"),
    ]:
        done = nvd(*arguments)
        assert done.returncode != 0, said
        assert said in done.stderr.replace("\n", " ")
        assert "Traceback" not in done.stderr
    assert edits_path(folder).read_bytes() == before
    assert {path.name for path in (folder / "edits").iterdir()} == {"logo.png"}


def shares(former: Decomposition, frames: list[Composite], new: Decomposition) -> float:
    """Share of what an edit has changed in both results, in all that it has changed in either."""
    both = either = 0
    for before, after in zip(frames[-len(new.manifest.source.numbers) :], rendered(new), strict=True):
        assert before.number == after.number
        plate = to_linear(former.one_frame(before.number).plate)
        one, other = (np.abs(frame.linear - plate).max(axis=-1) > 0.05 for frame in (before, after))
        both, either = both + np.count_nonzero(one & other), either + np.count_nonzero(one | other)
    assert either > 200
    return both / either


def test_inserts_follow_to_the_result_that_replaces_theirs(own: Decomposition, demo: DemoClip, red: Path) -> None:
    insert_picture(own, "sign", red)
    insert_picture(own, "background", red, [(20, 20), (60, 22), (58, 50), (18, 48)], 4, name="wall", blend="SCREEN")
    before, corners = rendered(own), inserts(read_edits(own.folder, own.manifest.names))["wall"][1].corners
    solve(job_of(demo, preset="standard", frames="3-8"), own.folder, replaces=True)
    other = Decomposition.open(own.folder)
    assert inserts(read_edits(own.folder, own.manifest.names))["wall"][1].corners != corners
    assert shares(other, before, other) > 0.93
    assert not (own.folder / "checkpoint").exists()
    (own.folder / "manifest.json").unlink()
    assert holds_result(own.folder), "what is left of it is the artist's"


def test_inserts_follow_to_a_version_beside(own: Decomposition, demo: DemoClip, red: Path) -> None:
    insert_picture(own, "sign", red, [(150, 40), (170, 42), (168, 58), (149, 56)], 4)
    before, files = rendered(own), tree(own.folder)
    events = solve(job_of(demo, preset="standard", frames="3-8"), own.folder.with_name("own_v002"))
    other = Decomposition.open(own.folder.with_name("own_v002"))
    assert shares(own, before, other) > 0.93
    assert tree(own.folder) == files
    assert not [event for event in events if "Look at it" in str(event)]
    refused = nvd("edit", other.folder, f"--carry-from={own.folder}")
    assert refused.returncode != 0
    assert "edits of its own" in refused.stderr


def test_beyond_the_outline_a_tint_tints_what_is_there(own: Decomposition, tmp_path: Path) -> None:
    grey = still(tmp_path / "grey.png", (188, 188, 188, 255))
    frame = own.one_frame(4)
    right = int(np.nonzero(frame.layers["sign"].alpha > 0.5)[1].max()) + 4
    insert_picture(
        own, "sign", grey, [(right, 20), (right + 15, 20), (right + 15, 40), (right, 40)], 4, blend="MULTIPLY"
    )
    done, plate = rendered(own)[3].linear, to_linear(frame.plate)
    ratio = (done / np.maximum(plate, 1e-3))[24:36, right + 4 : right + 11]
    np.testing.assert_allclose(ratio, to_linear(np.full((1, 1, 3), 188, np.uint8)).max(), atol=0.02)


def test_where_the_layer_is_not_seen_nothing_of_it_is(own: Decomposition, red: Path) -> None:
    frame = own.one_frame(4)
    kinds = [layer.kind for layer in own.manifest.layers]
    insert_picture(own, "sign", red, [(150, 40), (170, 42), (168, 58), (149, 56)], 4)
    edits = open_edits(own)
    shown = composite(frame, kinds, edits, "keep-plate", {}).linear
    gone = {
        name: replace(layer, alpha=np.full_like(layer.alpha, name != "sign")) for name, layer in frame.layers.items()
    }
    hidden = composite(frame._replace(layers=gone), kinds, edits, "keep-plate", {}).linear
    assert np.count_nonzero(shown != to_linear(frame.plate)) > 100
    assert np.array_equal(hidden, to_linear(frame.plate))


def test_what_could_not_be_read_again_is_not_written(own: Decomposition, red: Path) -> None:
    insert_picture(own, "sign", red)
    before, names = edits_path(own.folder).read_bytes(), sorted(path.name for path in (own.folder / "edits").iterdir())
    far = [(9e5, 0.0), (9e5 + 9, 0.0), (9e5 + 9, 9.0), (9e5, 9.0)]
    for points, values in ((far, {}), (None, {"opacity": ((0.0, 2.0),)}), (None, {"start": 2**70})):
        with pytest.raises(InputError, match="cannot have"):
            insert_picture(own, "sign", red, points, name="other", **values)
    for crossing in ([(0, 0), (9, 9), (9, 0), (0, 9)], [(0, 0), (5, 5), (9, 9), (0, 9)], [(0, 0), (9, 9)]):
        with pytest.raises(InputError, match="not those of a picture"):
            change_insert(own, "red", [(float(x), float(y)) for x, y in crossing])
    assert edits_path(own.folder).read_bytes() == before
    assert sorted(path.name for path in (own.folder / "edits").iterdir()) == names


def test_fades_without_a_range_are_those_of_the_shot(own: Decomposition, red: Path) -> None:
    insert = insert_picture(own, "sign", red, fade_in=1, fade_out=1)
    assert [insert.strength(number) for number in own.manifest.source.numbers] == [0.5, 1, 1, 1, 1, 1, 1, 0.5]


def test_of_two_writers_at_once_none_is_lost(own: Decomposition, red: Path) -> None:
    with sole_writer(own.folder), pytest.raises(InputError, match="Another job"):
        insert_picture(own, "sign", red)
    assert insert_picture(own, "sign", red).name == "red"


@pytest.mark.parametrize("blend", get_args(Blend))
def test_every_blend_mode_gives_finite_colours(blend: str, own: Decomposition, tmp_path: Path) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (30, 40, 4), np.uint8)
    write_png(tmp_path / "any.png", picture)
    nvd_core.insert(own, "background", tmp_path / "any.png", blend=blend)
    changed = 0
    for done, frame in zip(rendered(own), own.frames(), strict=True):
        assert np.isfinite(done.linear).all()
        changed += np.count_nonzero(done.linear != to_linear(frame.plate))
    assert changed > 1000
