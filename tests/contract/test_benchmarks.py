"""The benchmarks run, and their ratios are those of their own rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the published networks need torch")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def result_of(script: str, *options: str) -> Any:
    command = [sys.executable, BENCHMARKS / script, *options, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize(("until", "seconds", "has_reached"), [("11.5", "1000", True), ("20", "3", False)])
def test_the_peer_trains_to_a_psnr_or_is_given_up(until: str, seconds: str, has_reached: bool) -> None:
    options = ("--height", "64", "--frames", "1-2", "--batch", "200", "--until", until, "--seconds", seconds)
    result = result_of("peer.py", *options)
    ours, same, theirs = result["rows"]
    assert ours["psnr"] >= float(until)
    assert ours["cpu_seconds"] <= same["cpu_seconds"]
    assert result["has_reached"] == has_reached == (theirs["psnr"] >= float(until))
    assert has_reached or theirs["cpu_seconds"] >= float(seconds)
    assert result["times_as_long"] == pytest.approx(theirs["cpu_seconds"] / ours["cpu_seconds"])


def test_what_one_more_object_costs() -> None:
    rows = result_of("objects.py", "--objects", "1", "2", "--frames", "2", "--height", "48", "--steps", "1")
    assert [row["objects"] for row in rows] == [1, 1, 1, 2, 2, 2]
    firsts = {row["solver"]: row for row in rows if row["objects"] == 1}
    assert len(firsts) == 3
    for row in rows:
        first = firsts[row["solver"]]
        assert row["time_ratio"] == pytest.approx(row["cpu_seconds"] / first["cpu_seconds"])
        assert row["memory_ratio"] == pytest.approx(row["peak_mib"] / first["peak_mib"])


def test_a_checkout_against_itself() -> None:
    options = (str(BENCHMARKS.parent), "--frames", "1-2", "--preset", "preview")
    result = result_of("speed.py", *options)
    before, now = result["stages"]["whole command"]
    assert result["ratio"] == pytest.approx(now / before)
    assert {"prepare", "map background", "atlas background", "frames", "measure"} <= {*result["stages"]}
    assert all(before == now for before, now in result["measures"].values())
