"""A decomposition with flow that is given: what no picture shows comes from the files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import disc, nvd, solve, texture, write_masks

from nvd_core.clip.pictures import write_png
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError, UsageError
from nvd_core.spec.settings import Job, MaskSource, Settings

SIZE, COUNT, CENTRE, TURN = Size(128, 96), 7, np.array([64.0, 48.0]), np.deg2rad(6)


def plain_disc_that_turns(folder: Path) -> tuple[Job, Path]:
    """A disc of one colour before a wall, and flow by which it turns."""
    wall, mask = texture(SIZE), disc((64, 48), 30, SIZE)
    y, x = np.mgrid[: SIZE.height, : SIZE.width]
    arm = np.stack([x, y], axis=-1) - CENTRE
    cos, sin = np.cos(TURN), np.sin(TURN)
    flow = (arm @ np.array([[cos, sin], [-sin, cos]]) - arm) * (mask[..., None] > 0)
    for number in range(1, COUNT + 1):
        write_png(folder / "clip" / f"disc.{number:04}.png", np.where(mask[..., None] > 0, np.uint8(150), wall))
        if number < COUNT:
            (folder / "flow").mkdir(exist_ok=True)
            cv2.writeOpticalFlow(str(folder / "flow" / f"f.{number:04}.flo"), flow.astype(np.float32))
    masks = write_masks(folder / "masks", [mask] * COUNT)
    settings = Settings(preset="preview", height=192)
    return Job(clip=str(folder / "clip"), masks=(MaskSource.of(name="disc", path=str(masks)),), settings=settings), (
        folder / "flow"
    )


def turn_of_last_frame(folder: Path) -> float:
    """Degrees by which the disc has turned since the first frame, by its UV pass."""
    made = Decomposition.open(folder)
    frames = list(made.frames())
    ends = [frame.layers["disc"].uv_atlas for frame in (frames[0], frames[-1])]
    inside = disc((64, 48), 20, SIZE) > 0
    atlas = made.original("disc")
    a, b = ((end[inside] * [atlas.shape[1], -atlas.shape[0]]).astype(np.float32) for end in ends)
    matrix, _ = cv2.estimateAffinePartial2D(b, a)
    return float(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0])))


def test_a_plain_disc_turns_as_its_flow_says(tmp_path: Path):
    job, flow = plain_disc_that_turns(tmp_path)
    given = Job(clip=job.clip, masks=job.masks, settings=Settings.of(preset="preview", height=192, flow=str(flow)))
    solve(job, tmp_path / "found")
    solve(given, tmp_path / "given")
    assert abs(turn_of_last_frame(tmp_path / "found")) < 3
    assert abs(abs(turn_of_last_frame(tmp_path / "given")) - np.rad2deg(TURN) * (COUNT - 1)) < 1
    made = [Decomposition.open(tmp_path / name).manifest for name in ("found", "given")]
    assert made[1].settings["flow"] == str(flow)
    assert made[0].source.sha256 != made[1].source.sha256  # the flow's content is part of the job


def test_bad_flow_is_refused_before_anything_is_written(tmp_path: Path):
    job, flow = plain_disc_that_turns(tmp_path)
    (flow / "f.0003.flo").write_bytes(b"PIEH")
    out = tmp_path / "out"
    done = nvd("decompose", job.clip, "--preset", "preview", "--flow", flow, "--find", "nothing", "-o", out)
    assert done.returncode == 3
    assert done.stderr.strip().splitlines()[-1].startswith("nvd: The flow file is damaged")
    assert str(flow / "f.0003.flo") in done.stderr
    assert not out.exists()
    (flow / "f.0003.flo").unlink()
    for text, error, words in (
        (str(flow), InputError, "lacks frames 3"),
        (str(tmp_path / "nothing"), InputError, "no such flow"),
        ("raft", UsageError, "needs its weights"),
    ):
        with pytest.raises(error, match=words):
            solve(Job(clip=job.clip, settings=Settings.of(preset="preview", flow=text)), out)
        assert not out.exists()
