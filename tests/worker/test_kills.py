"""Jobs that are ended at random moments and taken up again end in the same bytes, and leave nothing else.

NVD_KILLS says how often, of which there is no end; 4 by default. Above 20, jobs are also ended before each single thing
that they do to files, below before some.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = int(os.environ.get("NVD_KILLS", "4"))
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_ended_before_a_file_event_a_job_ends_in_the_same_bytes() -> None:
    stride = ["--stride", "1" if KILLS > 20 else "60", "--seed", str(KILLS)]
    done = subprocess.run(
        [sys.executable, SCRIPT, "--every", *stride, "--json"], check=False, capture_output=True, text=True
    )
    assert done.stdout, done.stderr
    jobs = json.loads(done.stdout)
    assert [job["case"] for job in jobs if not job["ends"]] == []
    assert [job for job in jobs if job["faults"]] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("case", ["unpainted", "painted", *(["corrected"] if KILLS > 20 else [])])
def test_ended_between_any_two_files_of_a_handover_a_job_ends_in_the_same_bytes(case: str) -> None:
    """Above all between the two files of an atlas, of which one might be the former result's."""
    run = [sys.executable, SCRIPT, "--every", "--handover", "--of", case, "--json"]
    done = subprocess.run(run, check=False, capture_output=True, text=True)
    assert done.stdout, done.stderr
    (job,) = json.loads(done.stdout)
    assert len(job["ends"]) > 40, "most of its files were not among them"
    assert job["faults"] == []


def test_ended_at_random_moments_a_job_ends_in_the_same_bytes() -> None:
    run = [sys.executable, SCRIPT, "--kills", str(KILLS), "--seed", "1", "--json"]
    run += [] if KILLS > 20 else ["--of", "carried"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    jobs = json.loads(done.stdout)
    assert sum(len(job["ends"]) for job in jobs) == KILLS
    assert [job for job in jobs if job["faults"]] == []
