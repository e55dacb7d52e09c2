"""Progress that steps are handed: its parts, and what ends when whoever hears it raises."""

from __future__ import annotations

import pytest
from support import stop

from nvd_core.runtime.parallel import map_all, map_ordered
from nvd_core.runtime.progress import Progress
from nvd_core.spec.protocol import Event, Stage


def test_parts_follow_each_other_and_fill_the_whole() -> None:
    events: list[Event] = []
    first, second = Progress(events.append).split(1, 3)
    first.stage("map", "sign")
    for item, part in first.each("ab"):
        assert list(part.track(item * 2, 2)) == [item] * 2
    assert map_all(str, range(3), second) == ["0", "1", "2"]
    assert events[0] == Stage(name="map", layer="sign")
    assert [event.done for event in events[1:]] == pytest.approx([1 / 16, 1 / 8, 3 / 16, 1 / 4, 1 / 2, 3 / 4, 1])


def test_nothing_has_no_parts() -> None:
    progress = Progress(lambda _: pytest.fail("nothing is done"))
    assert not list(progress.each(()))
    assert map_all(str, (), progress) == []


def test_work_on_other_cores_has_ended_when_a_step_is_cancelled() -> None:
    ended: list[int] = []
    results = map_ordered(ended.append, range(99), workers=2)
    stop(lambda tell: list(Progress(tell).track(results, 99)), lambda _: True)
    assert 1 <= len(ended) < 9
    assert results.gi_frame is None, "its threads are still at work"
