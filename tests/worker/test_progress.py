"""What a job tells of its progress while it runs, and what it keeps of that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import job_of, solve

from nvd_core.clip.pictures import write_png
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import log_path, manifest_path
from nvd_core.spec.forecast import Needs
from nvd_core.spec.protocol import Progress, Stage, decode
from nvd_core.spec.settings import Job, MaskSource, Settings

KEY = 4


@pytest.mark.parametrize("given", ["one mask", "nothing"])
def test_a_job_passes_the_stages_it_was_forecast_by(given: str, demo: DemoClip, tmp_path: Path) -> None:
    path = str(demo.masks["sign"] / f"sign.{KEY:04d}.png")
    masks = (MaskSource.of(name="sign", path=path, frame=KEY),) if given == "one mask" else ()
    settings, out = Settings(preset="preview"), tmp_path / "out"
    events = solve(Job(clip=str(demo.frames), masks=masks, settings=settings), out)

    stages = [event.name for event in events if isinstance(event, Stage)]
    layers = stages.count("map")
    needs = Needs.of(Size(200, 112), 8, masks, settings)
    expected = [name for name, _ in needs.steps(2) if name != "regain" or "regain" in stages]
    if layers == needs.layers:
        assert [stage for stage in stages if stage in expected] == expected
    assert stages[0] == "masks"
    assert set(stages) <= {name for name, _ in needs.steps(2)} | {"solve"}

    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == 1
    assert all(event.eta_s is not None for event in progress)
    kinds = [event for event in events if isinstance(event, (Stage, Progress))]
    before_solving = [
        event.done for event in kinds[: kinds.index(Stage(name="prepare"))] if isinstance(event, Progress)
    ]
    assert len({round(done, 2) for done in before_solving}) > 5, "it moves while masks are made"

    kept = [decode(line) for line in log_path(out).read_bytes().splitlines()]
    assert kept[0] == Stage(name="masks")
    assert [event for event in kept if isinstance(event, Stage)] == [e for e in events if isinstance(e, Stage)]


def test_the_log_of_a_result_outlives_a_job_that_is_refused(demo: DemoClip, own_folder: Path, tmp_path: Path) -> None:
    before = log_path(own_folder).read_bytes()
    for number in range(1, 9):
        write_png(tmp_path / f"black/black.{number:04d}.png", np.zeros((112, 200, 3), np.uint8))
    masks = (*job_of(demo).masks, MaskSource.of(name="black", path=str(tmp_path / "black")))
    with pytest.raises(InputError, match="The mask of black is black in every frame"):
        solve(Job(clip=str(demo.frames), masks=masks), own_folder, replaces=True)
    assert log_path(own_folder).read_bytes() == before
    assert manifest_path(own_folder).is_file()
