"""Each thing that can be wrong with a clip is named on the clip that has it, and not on its twin."""

from __future__ import annotations

import json

import diagnosis_clips as clips
import pytest
from diagnosis_clips import Clip, job_of
from support import solve

PAIRS = {
    "too_short": (clips.still, clips.locked),
    "blur": (clips.blurred, clips.soft),
    "motion_too_large": (clips.leaping, clips.brisk),
    "hidden": (clips.behind_posts, clips.behind_a_post),
    "turning": (clips.turning, clips.swaying),
    "mask_covers_background": (clips.wide_mask, clips.rough_mask),
    "mask_misses": (clips.narrow_mask, clips.rough_mask),
    "parallax": (clips.with_pole, clips.slanted),
    "textured_light": (clips.boiling, clips.lit),
    "swimming": (clips.boiling, clips.swaying),
    "unfollowed": (clips.noise, clips.good),
    "scene_cut": (clips.two_shots, clips.good),
}


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory: pytest.TempPathFactory):
    """What ``report.json`` says of a clip, decomposed once."""
    known: dict[Clip, dict[str, dict]] = {}

    def of(clip: Clip) -> dict[str, dict]:
        if clip not in known:
            folder = tmp_path_factory.mktemp(clip.__name__)
            solve(job_of(clip, folder), folder / "out")
            report = json.loads((folder / "out" / "report" / "report.json").read_text())
            known[clip] = {one["name"]: one for one in report["diagnoses"]}
        return known[clip]

    return of


@pytest.mark.parametrize("symptom", PAIRS)
def test_it_is_named_on_the_clip_that_has_it(symptom: str, diagnosed) -> None:
    assert symptom in diagnosed(PAIRS[symptom][0])


@pytest.mark.parametrize("symptom", PAIRS)
def test_it_is_not_named_on_the_clip_that_has_not(symptom: str, diagnosed) -> None:
    assert symptom not in diagnosed(PAIRS[symptom][1])
