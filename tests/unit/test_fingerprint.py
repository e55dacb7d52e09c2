"""All that changes a job's result tells it from others to ``--resume``, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from support import write_masks

from nvd_core.clip import open_clip
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.masks import open_mattes
from nvd_core.shot import prepare
from nvd_core.shot.fingerprint import fingerprint_of
from nvd_core.spec.choices import AtPath, Choice
from nvd_core.spec.choices.finders import Finder
from nvd_core.spec.choices.flow_sources import FlowSource
from nvd_core.spec.choices.mask_origins import Marks, MaskOrigin
from nvd_core.spec.choices.propagators import Propagator
from nvd_core.spec.choices.solvers import Solver, Start
from nvd_core.spec.run_record import asked
from nvd_core.spec.settings import Job, MaskSource, Settings, Shown

MASK: Final = MaskSource.of(name="sign", path="/masks")

OTHER_MASKS: Final[dict[str, Any]] = {
    "name": "car", "path": MaskOrigin.parse("alpha"), "first": 3, "frame": 2, "locked": True, "drawn": True,
}  # fmt: skip

OTHER_SETTINGS: Final[dict[str, Any]] = {
    "solver": "neural", "preset": "final", "residual": "fidelity", "frames": "1-2", "find": "nothing",
    "carry": "sam2:/m", "flow": "raft:/w", "height": 96, "fps": 25.0, "start": "none", "steps": 5, "batch": 64,
    "window": 20, "seed": 1, "budget_s": 9.0, "target_psnr": 30.0, "device": "cpu",
}  # fmt: skip

CHOICES: Final = {
    FlowSource: ["dis", "raft", "a/flow"],
    Finder: ["moving", "nothing", "mask2former:m", "maskrcnn:m"],
    Propagator: ["motion", "sam2:m"],
    Solver: ["lattice", "neural"],
    Start: ["lattice", "none"],
    MaskOrigin: ["alpha", "box:1,2,3,4", "clicks:1,2;3,4;out:5,6", "a/mask"],
}
"""One value of each row."""


@pytest.fixture(scope="module")
def fingerprint(demo: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Job], str]:
    """Fingerprint of a job, whatever its files, of one frame of the demo."""
    clip = open_clip(demo.frames)
    shot = prepare(clip, open_mattes((), clip.info), range(1, 2), 96, tmp_path_factory.mktemp("scratch"))
    return lambda job: fingerprint_of(job, shot)


def test_every_field_that_changes_the_result_tells_jobs_apart(fingerprint: Callable[[Job], str]) -> None:
    assert OTHER_MASKS.keys() == {one.name for one in fields(MaskSource)}
    assert OTHER_SETTINGS.keys() | {"memory"} == {one.name for one in fields(Settings)}
    jobs = {"as it is": Job(clip="/clip", masks=(MASK,))}
    jobs |= {f"mask's {name}": Job(masks=(replace(MASK, **{name: one}),)) for name, one in OTHER_MASKS.items()}
    jobs |= {name: Job(masks=(MASK,), settings=Settings.of(**{name: one})) for name, one in OTHER_SETTINGS.items()}
    jobs["two masks"] = Job(masks=(MASK, replace(MASK, name="car")))
    jobs["two masks, the other way"] = Job(masks=(replace(MASK, name="car"), MASK))
    for digest in (fingerprint, asked):
        named = {digest(replace(job, clip="/clip")): name for name, job in jobs.items()}
        assert [*named.values()] == [*jobs]


def test_every_field_of_a_choice_but_its_path_tells_jobs_apart(fingerprint: Callable[[Job], str]) -> None:
    def told(kind: type[Choice], choice: Any) -> str:
        if kind is MaskOrigin:
            frame = 1 if isinstance(choice, Marks) else None
            return fingerprint(Job(masks=(MaskSource(name="sign", path=choice, frame=frame),)))
        return fingerprint(Job(settings=Settings(**{kind.setting: choice})))

    for kind, texts in CHOICES.items():
        values = [kind.parse(text) for text in texts]
        assert {type(value) for value in values} >= {*kind.rows.values()}, "a new row is missing here"
        for value in values:
            for one in fields(value):
                if one.compare and not (isinstance(value, AtPath) and one.name == "path"):
                    old = getattr(value, one.name)
                    text = {"text": ""} if hasattr(value, "text") else {}
                    other = replace(value, **text | {one.name: ((7.0, 7.0),) if isinstance(old, tuple) else old + 0.5})
                    values = [*values, other]
        assert len({told(kind, value) for value in values}) == len(values)


def test_places_memory_and_how_a_clip_is_shown_tell_no_jobs_apart(fingerprint: Callable[[Job], str]) -> None:
    here, there = (
        Job(
            clip=f"/{place}/clip",
            masks=(MaskSource.of(name="sign", path=f"/{place}/masks"),),
            settings=Settings.of(flow=f"/{place}/flow", find=f"maskrcnn:/{place}/m", memory=memory),
            shown=shown,
        )
        for place, memory, shown in (("a", "4G", None), ("b", "", Shown(width=9)))
    )
    assert fingerprint(here) == fingerprint(there)
    assert asked(here) == asked(
        replace(here, shown=there.shown, settings=replace(here.settings, memory=there.settings.memory))
    )
    assert asked(here) != asked(there)


def test_masks_that_change_objects_tell_jobs_apart(demo: DemoClip, tmp_path: Path) -> None:
    """Of a picture for all frames and a folder, the same three files make two other masks."""
    clip, numbers = open_clip(demo.frames), range(1, 3)
    pictures = [np.full((112, 200), 255, np.uint8) for _ in range(3)]
    for index, picture in enumerate(pictures):
        picture[20 * index :, 60 * (index + 1) :] = 0
    write_masks(tmp_path / "still", pictures[:1])
    write_masks(tmp_path / "moving", pictures[1:])
    write_masks(tmp_path / "moving then", pictures[:2])
    write_masks(tmp_path / "still then", pictures[2:])

    def made(*paths: Path) -> str:
        masks = tuple(MaskSource.of(name=name, path=str(path)) for name, path in zip("ab", paths, strict=True))
        shot = prepare(clip, open_mattes(masks, clip.info, numbers), numbers, 96, tmp_path)
        return fingerprint_of(Job(masks=masks), shot)

    (still,), (still_then,) = ([*(tmp_path / name).iterdir()] for name in ("still", "still then"))
    assert made(still, tmp_path / "moving") != made(tmp_path / "moving then", still_then)
