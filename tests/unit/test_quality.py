"""What a panel says of how good a result is."""

from __future__ import annotations

from typing import Any

import pytest
from support import extension_module

from nvd_core.spec.manifest import Layer, Manifest, SolutionRecord, Source

quality = extension_module("result.quality")

LAYERS = {"car": {"psnr_plate": 27.31}, "background": {"psnr_plate": 30.26}}
METRICS = {"psnr": 33.04, "psnr_plate": 29.96, "size": "848x480", "layers": LAYERS}


def manifest(metrics: dict[str, Any]) -> Manifest:
    """Of a clip of 1920x1080."""
    names = tuple(LAYERS)
    files = {name: f"atlas/{name}.exr" for name in names}
    source = Source(
        path="/a.mov", file="/a.mov", sha256="", width=1920, height=1080, first=1, last=9, fps=24.0, is_linear=False
    )
    return Manifest(
        name="a", source=source, layers=(Layer("car", "object"), Layer("background", "background")),
        atlas_files=files, original_files=files, settings={},
        solution=SolutionRecord(kind="lattice", width=848, height=480), masks=(), versions={}, metrics=metrics,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "33.0 dB at 848x480; at the plate's size 30.0, car alone 27.3, background alone 30.3"),
        ({"size": "1920x1080"}, "30.0 dB, car alone 27.3, background alone 30.3"),
        ({"layers": {"background": {"psnr_plate": 30.26}}}, "33.0 dB at 848x480; at the plate's size 30.0"),
        ({"layers": {"car": {}, "background": {}}}, "33.0 dB at 848x480; at the plate's size 30.0"),
        ({"psnr_plate": None}, ""),
        ({"layers": ["car"]}, ""),
    ],
)
def test_quality_is_told_with_the_size_it_is_of(changes: dict[str, Any], words: str) -> None:
    assert quality.in_words(manifest(METRICS | changes)) == words


def test_a_result_of_an_earlier_version_says_nothing_that_it_does_not_know() -> None:
    assert quality.in_words(manifest({})) == ""
