"""Masks that were painted are never lost, whatever is asked for next and whenever a job ends."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import stop, write_video

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import read_picture
from nvd_core.faces.demo_clip import OBJECT, DemoClip
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.runtime.progress import Progress
from nvd_core.spec.errors import InputError
from nvd_core.spec.mask_record import Record, picture_name, tidy
from nvd_core.spec.protocol import Event
from nvd_core.spec.settings import MaskSource


def asked(demo: DemoClip, folder: Path, *frames: int, name: str = OBJECT, numbers: range | None = None) -> Wanted:
    clip = open_clip(demo.frames)
    masks = tuple(MaskSource.of(name=name, path=str(true_path(demo, frame)), frame=frame) for frame in frames)
    return Wanted(clip, numbers or clip.info.numbers, masks, folder / "masks", folder, 2)


def carry(wanted: Wanted) -> None:
    """Make the masks, and open them as a job does."""
    for source in rotoscope(wanted):
        list(source.path.open(source.first, wanted.clip.info, wanted.numbers).frames(wanted.numbers))


def true_path(demo: DemoClip, frame: int) -> Path:
    return demo.masks[OBJECT] / f"{OBJECT}.{frame:04d}.png"


def picture(folder: Path, frame: int, name: str = OBJECT) -> Path:
    return folder / "masks" / picture_name(name, frame)


def paint(demo: DemoClip, folder: Path, frame: int, name: str = OBJECT) -> bytes:
    """Give a frame the true mask of another one's content, which no job would write."""
    content = true_path(demo, frame).read_bytes() + b" "
    picture(folder, frame, name).write_bytes(content)
    return content


def test_painted_ones_outside_the_frames_used_wait_for_them(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 2))
    painted = paint(demo, tmp_path, 8)
    carry(asked(demo, tmp_path, 2, numbers=range(1, 6)))
    assert picture(tmp_path, 8).read_bytes() == painted
    assert not picture(tmp_path, 7).exists(), "it is not asked for any more"
    carry(asked(demo, tmp_path, 2))
    assert picture(tmp_path, 8).read_bytes() == painted
    carry(asked(demo, tmp_path, 7, numbers=range(6, 9)))
    assert picture(tmp_path, 8).read_bytes() == painted


def test_an_object_of_which_none_is_used_is_no_object(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 2))
    painted = paint(demo, tmp_path, 8)
    sources = rotoscope(asked(demo, tmp_path, numbers=range(1, 6)))
    assert OBJECT not in {source.name for source in sources}
    assert picture(tmp_path, 8).read_bytes() == painted


def test_painted_ones_of_an_object_that_is_left_out_once_stay(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 4))
    painted = paint(demo, tmp_path, 6)
    carry(asked(demo, tmp_path, 4, name="other"))
    assert picture(tmp_path, 6).read_bytes() == painted
    carry(asked(demo, tmp_path, 4))
    assert picture(tmp_path, 6).read_bytes() == painted


def test_what_is_painted_while_masks_are_made_stays_and_counts_the_next_time(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 4))
    begun = picture(tmp_path, 1).stat().st_mtime_ns
    painted: dict[int, bytes] = {}

    def hear(_: Event) -> None:
        if not painted and picture(tmp_path, 1).stat().st_mtime_ns != begun:
            painted.update({frame: paint(demo, tmp_path, frame) for frame in (1, 8)})

    rotoscope(asked(demo, tmp_path, 5), Progress(hear))
    assert painted, "one is already written then, the other is not"
    for _ in range(2):
        assert {frame: picture(tmp_path, frame).read_bytes() for frame in painted} == painted
        carry(asked(demo, tmp_path, 5))


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_painted_after_a_job_was_ended_stays(times: int, demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 4))
    for frame in (5, 3)[:times]:
        wanted, begun = asked(demo, tmp_path, frame), picture(tmp_path, 2).stat().st_mtime_ns
        stop(
            lambda tell, wanted=wanted: rotoscope(wanted, Progress(tell)),
            lambda _, begun=begun: picture(tmp_path, 2).stat().st_mtime_ns != begun,
        )
        tidy(tmp_path / "masks")
    assert Record.read(tmp_path / "masks").painted() == {}, "what the ended jobs wrote is known for ours"
    painted = {frame: paint(demo, tmp_path, frame) for frame in (1, 8)}
    carry(asked(demo, tmp_path, 6))
    assert {frame: picture(tmp_path, frame).read_bytes() for frame in painted} == painted


def test_a_damaged_list_is_told_and_nothing_is_taken_away(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 4))
    painted = paint(demo, tmp_path, 6)
    (tmp_path / "masks" / "masks.json").write_text('{"clip": ')
    with pytest.raises(InputError, match="list of masks is damaged"):
        carry(asked(demo, tmp_path, 4))
    tidy(tmp_path / "masks")
    assert picture(tmp_path, 6).read_bytes() == painted


def test_one_that_was_taken_away_is_made_again(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 4))
    before = picture(tmp_path, 6).read_bytes()
    picture(tmp_path, 6).unlink()
    carry(asked(demo, tmp_path, 4))
    assert picture(tmp_path, 6).read_bytes() == before


def test_an_object_that_is_hidden_in_one_frame_is_still_there_in_the_others(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 2))
    before = area(tmp_path, 4)
    black = np.zeros((112, 200), np.uint8)
    picture(tmp_path, 6).write_bytes(cv2.imencode(".png", black)[1].tobytes())
    carry(asked(demo, tmp_path, 2))
    assert area(tmp_path, 6) == 0
    assert all(abs(area(tmp_path, frame) - before) < 0.2 * before for frame in (1, 3, 4, 5, 7, 8))


def area(folder: Path, frame: int) -> int:
    return int(np.count_nonzero(read_picture(picture(folder, frame))[..., 0] > 127))


def test_a_picture_of_the_result_may_be_given_as_the_mask(demo: DemoClip, tmp_path: Path) -> None:
    carry(asked(demo, tmp_path, 4))
    before = picture(tmp_path, 6).read_bytes()
    own = MaskSource.of(name=OBJECT, path=str(picture(tmp_path, 6)), frame=6)
    wanted = asked(demo, tmp_path)
    carry(Wanted(wanted.clip, wanted.numbers, (own,), wanted.folder, tmp_path, 2))
    assert picture(tmp_path, 6).read_bytes() == before


def test_a_video_whose_painted_mask_is_of_a_frame_that_is_not_used(demo: DemoClip, tmp_path: Path) -> None:
    clip = open_clip(demo.frames)
    film = write_video(tmp_path / "film.mp4", clip.frames(clip.info.numbers), clip.info.size)
    key = MaskSource.of(name=OBJECT, path=str(true_path(demo, 2)), frame=2)
    carry(Wanted(open_clip(film), range(1, 9), (key,), tmp_path / "masks", tmp_path, 2))
    painted = paint(demo, tmp_path, 8)
    carry(Wanted(open_clip(film), range(1, 5), (key,), tmp_path / "masks", tmp_path, 2))
    assert picture(tmp_path, 8).read_bytes() == painted
