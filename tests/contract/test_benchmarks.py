"""The benchmark runs, and its ratio is that of its own rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PEER = Path(__file__).parents[2] / "benchmarks" / "peer.py"


def test_the_benchmark_prints_both_sides_and_their_ratio():
    pytest.importorskip("torch", reason="the published networks need torch")
    command = [sys.executable, PEER, "--height", "64", "--frames", "1-6", "--batch", "500", "--json"]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    ours, published = result["rows"]
    assert result["published_steps"] > 0
    assert ours["cpu_seconds"] <= published["cpu_seconds"]
    (ratio,) = result["ratios"]
    assert ratio["psnr"] == pytest.approx(published["psnr"] - ours["psnr"])
    assert ratio["cpu_seconds"] == pytest.approx(published["cpu_seconds"] / ours["cpu_seconds"])
