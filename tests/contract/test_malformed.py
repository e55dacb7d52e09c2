"""Malformed clips, masks, atlases and manifests: one sentence or success, little memory, nothing left behind.

NVD_MALFORMED says how many are tried, of which there is no end; 300 by default.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

MALFORMED = Path(__file__).parents[1] / "malformed.py"
COUNT = int(os.environ.get("NVD_MALFORMED", "300"))
MOST_BYTES = 512 << 20
"""That reading one of these small files may take."""


def test_malformed_input_is_refused_in_a_sentence_or_read(solved_folder: Path, tmp_path: Path) -> None:
    names, results, talk = _attempts(solved_folder, tmp_path)
    assert len(names) == COUNT
    died = [name for number, name in names.items() if number not in results]
    assert not died, talk[-3000:]
    faults = {names[number]: one["code"] for number, one in results.items() if one["code"] not in {0, 3}}
    assert not faults, "\n".join(map(str, faults.items()))
    assert {names[number]: one["took"] for number, one in results.items() if one["took"] > MOST_BYTES} == {}
    # A job that was given up keeps the masks it has found, and they are whole.
    left = {names[number]: one["left"] for number, one in results.items() if one["left"]}
    refused = {names[number] for number, one in results.items() if one["code"] == 3}
    assert refused & left.keys() == set()
    assert [name for name, paths in left.items() if "masks.json" not in paths] == []
    sentences = [line for line in talk.splitlines() if line.startswith("nvd: ")]
    assert len(sentences) == sum(one["code"] == 3 for one in results.values())
    assert [line for line in sentences if not line.endswith(".")] == []


def _attempts(result: Path, folder: Path) -> tuple[dict[int, str], dict[int, dict[str, Any]], str]:
    """Names of the cases, what came of them, and what was said. A process that dies is followed by another."""
    names: dict[int, str] = {}
    results: dict[int, dict[str, Any]] = {}
    talk = ""
    while len(names) < COUNT:
        first = max(names, default=-1) + 1
        place = folder / f"from {first}"
        place.mkdir()
        command = [sys.executable, MALFORMED, place, result, str(first), str(COUNT)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        talk += done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"number"')]
        names |= {one["number"]: one["name"] for one in lines if "name" in one}
        results |= {one["number"]: one for one in lines if "code" in one}
        if not lines:
            pytest.fail(done.stderr[-3000:])
    return names, results, talk
