"""Jobs that are ended at random moments and taken up again end in the same bytes, and leave nothing else.

NVD_KILLS says how often, of which there is no end; 4 by default.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

KILLS = int(os.environ.get("NVD_KILLS", "4"))
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "kills.py"


def test_ended_at_random_moments_a_job_ends_in_the_same_bytes() -> None:
    run = [sys.executable, SCRIPT, "--kills", str(KILLS), "--seed", "1", "--json"]
    run += [] if KILLS > 20 else ["--of", "carried"]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    jobs = json.loads(done.stdout)
    assert sum(len(job["ends"]) for job in jobs) == KILLS
    assert [job for job in jobs if job["faults"]] == []
