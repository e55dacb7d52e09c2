"""The fuzzers of ``benchmarks/fuzz.py`` find nothing. NVD_FUZZ says how many inputs of each sort are tried."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "benchmarks" / "fuzz.py"
INPUTS = int(os.environ.get("NVD_FUZZ", "40"))
SORTS = {"read": ("manifest", "frame", "atlas", "job"), "solved": ("link", "mask", "flow", "masks_list", "checkpoint")}


@pytest.mark.parametrize("sort", SORTS)
def test_damaged_inputs_end_in_a_sentence_or_a_right_result(sort: str) -> None:
    inputs = INPUTS if sort == "read" else INPUTS // 4
    command = [sys.executable, FUZZ, "--inputs", str(inputs), "--seed", "7", "--json", "--of", *SORTS[sort]]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    rows = json.loads(done.stdout)
    assert len(rows) == inputs
    assert [row for row in rows if row["faults"]] == []
    assert done.returncode == 0
