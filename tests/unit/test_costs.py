"""How far a job is, how long it may still take, and what memory it used."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nvd_core.runtime.costs import Ledger, memory_bytes, peak_memory_bytes
from nvd_core.runtime.progress import SILENT
from nvd_core.spec.protocol import Event, Progress, Stage

STEPS = [("masks", 6.0), ("carry", 2.0), ("prepare", 1.0), ("map", 3.0), ("map", 7.0), ("report", 1.0)]


def told(ledger: Ledger, *stages: str) -> list[Progress]:
    """What is told of progress in these stages, of which each begins, is half done, and is done."""
    events: list[Event] = []
    ledger.tell = events.append
    for name in stages:
        for event in (Stage(name=name, layer="one"), *(Progress(done=done) for done in (0, 0.5, 1))):
            ledger.hear(event)
    return [event for event in events if isinstance(event, Progress)]


def new() -> Ledger:
    return Ledger(STEPS, SILENT.tell)


def test_each_step_has_the_part_of_the_bar_that_it_has_of_the_time() -> None:
    done = [one.done for one in told(new(), "masks", "carry", "prepare", "solve", "map", "map", "report")]
    ends = [0, 3, 6, 6, 7, 8, 8, 8.5, 9, 9, 9, 9, 9, 10.5, 12, 12, 15.5, 19, 19, 19.5, 20]
    assert done == [pytest.approx(seconds / 20, abs=1e-4) for seconds in ends]


def test_it_never_goes_back_and_says_how_long_from_the_first_word_on() -> None:
    told_so_far = told(new(), "masks", "carry", "carry", "unheard of", "solve", "map", "report")
    done = [one.done for one in told_so_far]
    assert done == sorted(done)
    assert done[-1] == 1
    assert all(one.eta_s is not None and one.eta_s >= 0 for one in told_so_far)
    assert told_so_far[-1].eta_s == 0


def test_what_was_forecast_is_believed_at_first() -> None:
    first = told(new(), "masks")[0]
    assert first.eta_s == pytest.approx(20, rel=0.2)


def test_other_objects_than_expected_change_what_is_left() -> None:
    ledger = new()
    before = told(ledger, "masks", "carry")[-1]
    ledger.go_on([("prepare", 1.0), *[("map", 10.0)] * 4, ("report", 1.0)])
    after = told(ledger, "prepare", "solve", "map", "map", "map", "map", "report")
    assert after[0].done >= before.done
    assert [one.done for one in after] == sorted(one.done for one in after)
    assert after[-1].done == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say what a process uses now")
def test_memory_that_was_used_before_is_not_the_jobs() -> None:
    before = np.ones(60_000_000)  # 480 MB, as a program has that runs a job among other things
    used = peak_memory_bytes()
    del before
    assert used is not None
    ledger = new()
    told(ledger, "masks")
    small = ledger.costs()
    assert small["peak_memory_bytes"] < used - 400e6
    assert abs(small["memory_before_bytes"] - memory_bytes()) < 50e6
    more = np.ones(25_000_000)
    told(ledger, "prepare")
    assert ledger.costs()["peak_memory_bytes"] > small["peak_memory_bytes"] + 150e6
    assert len(more)
