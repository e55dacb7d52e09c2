"""A clip that is longer than a window: one atlas, on which every point stays where it is, also across the joins."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import differing, nvd, results, solve, stop, texture

from nvd_core.clip.pictures import write_png
from nvd_core.image.geometry import transform
from nvd_core.lattice.windows import OVERLAP, windows
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import BACKGROUND, Size, x_from_u, y_from_v
from nvd_core.spec.protocol import Progress
from nvd_core.spec.settings import Job, Settings

SIZE = Size(160, 96)
FRAMES, WINDOW, SWING = 72, 28, 48


def camera(t: float) -> np.ndarray:
    """From a frame to the wall: there and back, with a little roll and zoom."""
    phase = 2 * np.pi * t / SWING
    zoom, roll = 1 + 0.05 * np.sin(phase), 0.04 * np.sin(2 * phase)
    turn = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    centre = np.array([190 + 80 * np.sin(phase), 120 + 30 * np.sin(2 * phase)])
    return np.vstack([np.column_stack([turn, centre - turn @ (np.array(SIZE) / 2)]), [0, 0, 1]])


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, wall = tmp_path_factory.mktemp("long") / "frames", texture(Size(380, 240), seed=3)
    for t in range(FRAMES):
        frame = cv2.warpPerspective(wall, camera(t), SIZE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        write_png(folder / f"wall.{t + 1:04d}.png", frame)
    return folder


def job(clip: Path, **settings: object) -> Job:
    return Job(clip=str(clip), settings=Settings.of(**{"window": WINDOW} | settings))


@pytest.fixture(scope="module")
def folder(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("solved") / "out"
    solve(job(clip), folder)
    return folder


def places_of(folder: Path, late: int = 0) -> np.ndarray:
    """Where on the atlas points of the wall are in each frame, px; NaN where they are not seen."""
    decomposition = Decomposition.open(folder)
    rows, columns = decomposition.original(BACKGROUND).shape[:2]
    wall = np.stack(np.meshgrid(np.arange(0.0, 380, 8), np.arange(0.0, 240, 8)), axis=-1).reshape(-1, 2)
    places = []
    for frame in decomposition.frames():
        at = transform(np.linalg.inv(camera(frame.number - 1 + late)), wall).astype(np.float32)[None]
        seen = ((at > 2) & (at < np.array(SIZE) - 3)).all(axis=-1)[0, :, None]
        uv = frame.layers[BACKGROUND].uv_atlas
        texels = [x_from_u(uv[..., 0], columns), y_from_v(uv[..., 1], rows)]
        place = [cv2.remap(one, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[0] for one in texels]
        places.append(np.where(seen, np.stack(place, axis=-1) / 2, np.nan))  # two texels a pixel
    found = np.array(places)
    return found[:, ~np.isnan(found).all(axis=(0, 2))]


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.nanmedian(np.linalg.norm(a - b, axis=-1)))


@pytest.fixture(scope="module")
def places(folder: Path) -> np.ndarray:
    return places_of(folder)


@pytest.fixture(scope="module")
def steps(places: np.ndarray) -> np.ndarray:
    """How far points move on the atlas from a frame to the next."""
    return np.array([apart(*pair) for pair in pairwise(places)])


def test_windows_cover_the_clip_and_overlap() -> None:
    for count, longest in ((FRAMES, WINDOW), (201, 200), (1200, 200), (17, 16), (1000, 16)):
        spans = windows(count, longest)
        assert sorted({t for span in spans for t in span}) == list(range(count))
        assert max(map(len, spans)) <= longest
        assert all(a.stop - b.start == min(OVERLAP, longest // 2) for a, b in pairwise(spans))


def test_a_point_has_one_place_on_the_atlas_all_through_the_clip(places: np.ndarray) -> None:
    usual = np.nanmedian(places, axis=0)
    assert max(apart(one, usual) for one in places) < 0.2
    assert apart(places[0], places[-1]) < 0.2


def test_what_is_seen_again_is_in_the_same_place(places: np.ndarray) -> None:
    assert max(apart(*pair) for pair in zip(places, places[SWING:], strict=False)) < 0.2


def test_joins_cannot_be_told_from_other_frames(places: np.ndarray, steps: np.ndarray) -> None:
    spans = windows(FRAMES, WINDOW)
    assert len(spans) > 2
    for before, after in pairwise(spans):
        assert steps[after.start - 1 : before.stop].max() < max(0.1, 1.5 * np.percentile(steps, 90))
        assert apart(places[after.start - 1], places[before.stop]) < 0.15


def test_the_check_sees_a_frame_that_is_late(folder: Path, places: np.ndarray) -> None:
    assert apart(places_of(folder, late=1)[20], places[20]) > 1


def test_a_killed_job_goes_on_in_its_window_and_ends_in_the_same_bytes(
    clip: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    kept = out / "checkpoint" / f"{BACKGROUND}.frames-0.safetensors"
    stop(partial(decompose, job(clip, memory="3G"), out), lambda _: kept.exists())
    assert not (out / "checkpoint" / f"{BACKGROUND}.map.safetensors").exists()
    done = [event.done for event in solve(job(clip, memory="2G"), out, resume=True) if isinstance(event, Progress)]
    assert done == sorted(done)
    assert differing(results(out), results(folder)) == []


def test_too_little_memory_is_said_before_the_start(clip: Path, tmp_path: Path) -> None:
    done = nvd("decompose", clip, "-o", tmp_path / "out", "--memory", "200M")
    assert done.returncode == 5
    assert "GB of memory, and 0.2 GB may be used. Allow more memory" in " ".join(done.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("amount", ["4", "much", "-4G", "0G"])
def test_an_amount_of_memory_that_is_none_is_refused(amount: str, clip: Path, tmp_path: Path) -> None:
    done = nvd("decompose", clip, "-o", tmp_path / "out", f"--memory={amount}")
    assert done.returncode == 2
    assert "is not an amount of memory. Write it as 4G or 800M." in " ".join(done.stderr.split())
