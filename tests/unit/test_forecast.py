"""The forecast against what was measured, and in words."""

from __future__ import annotations

import pytest

from nvd_core.conventions import Size
from nvd_core.forecast import Forecast, disk_bytes, forecast
from nvd_core.settings import Settings

SMALL, MEDIUM, LARGE = Size(384, 216), Size(768, 432), Size(1920, 1080)


@pytest.mark.parametrize(
    ("size", "frames", "preset", "cpu_s", "gigabytes"),
    [
        (SMALL, 25, "standard", 33, None),
        (MEDIUM, 50, "standard", 130, 1.0),
        (MEDIUM, 50, "preview", 26, 0.5),
        (LARGE, 100, "standard", 427, 2.2),
    ],
)
def test_it_is_near_what_was_measured(
    size: Size, frames: int, preset: str, cpu_s: float, gigabytes: float | None
) -> None:
    expected = forecast(size, frames, 2, Settings(preset=preset), cores=1)
    assert expected.seconds == pytest.approx(cpu_s, rel=0.15)
    assert gigabytes is None or expected.memory_bytes == pytest.approx(gigabytes * 1e9, rel=0.15)


def test_more_of_anything_takes_more() -> None:
    few = forecast(MEDIUM, 50, 2, Settings(), cores=4)
    for more in (
        forecast(LARGE, 50, 2, Settings(), cores=4),
        forecast(MEDIUM, 60, 2, Settings(), cores=4),
        forecast(MEDIUM, 50, 2, Settings(), cores=2),
    ):
        assert more.seconds > few.seconds
        assert more.disk_bytes >= few.disk_bytes
        assert more.memory_bytes >= few.memory_bytes
    assert forecast(MEDIUM, 50, 3, Settings(), cores=4).disk_bytes > few.disk_bytes
    assert forecast(LARGE, 50, 2, Settings(preset="final"), cores=4).seconds > 2 * few.seconds


def test_a_smaller_height_takes_less_to_solve_and_the_same_disk() -> None:
    less, normal = (forecast(LARGE, 50, 2, Settings(height=height), cores=4) for height in (240, None))
    assert less.seconds < normal.seconds
    assert less.memory_bytes < normal.memory_bytes
    assert less.disk_bytes == normal.disk_bytes == disk_bytes(LARGE, 50, 2)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "about 10 s"),
        (33, "about 30 s"),
        (54, "about 50 s"),
        (56, "about 1 min"),
        (125, "about 2 min"),
        (594, "about 10 min"),
        (1000, "about 15 min"),
        (9000, "about 2 h"),
    ],
)
def test_times_are_told_as_coarsely_as_they_are_known(seconds: float, words: str) -> None:
    assert str(Forecast(seconds, 1.14e9, 23.4e9)) == f"{words}, 1.1 GB of memory, 23 GB on disk"
