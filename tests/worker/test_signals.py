"""Signals end every command in order, whenever they come and however often: one sentence, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import command, job_file, sliding, tree, wait_until

from nvd_core.spec.conventions import Size
from nvd_core.spec.settings import Job, Settings

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc when signals are caught")


def catches(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> bool:
    """Whether a process has a handler of its own."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16)
    return bool(caught >> (number - 1) & 1)


def started(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """A process that has begun to listen to signals, and hardly anything else; also where tests run under ``nohup``."""
    options = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)} | options
    process = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, **options)
    wait_until(lambda: catches(process), process)
    return process


def long_clip(at: Path) -> Path:
    return sliding(at / "clip", 40, Size(240, 136))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("decompose", signal.SIGINT),
        ("decompose", signal.SIGHUP),
        ("render to pictures", signal.SIGTERM),
        ("render to a film", signal.SIGINT),
        ("export", signal.SIGHUP),
        ("score", signal.SIGTERM),
    ],
)
def test_a_signal_ends_a_command_in_order(name: str, number: int, own_folder: Path, tmp_path: Path) -> None:
    arguments = {
        "decompose": ["decompose", long_clip(tmp_path), "-o", tmp_path / "new"],
        "render to pictures": ["render", own_folder, "-o", tmp_path / "new"],
        "render to a film": ["render", own_folder, "-o", tmp_path / "new.mp4"],
        "export": ["export", own_folder, "--stmap"],
        "score": ["score", own_folder],
    }[name]
    before = tree(own_folder)
    with started(*arguments, stdout=subprocess.PIPE) as process:
        process.send_signal(number)
        out, talk = process.communicate()
    assert process.returncode == 130, talk
    assert out == ""
    assert re.fullmatch(r"nvd: Cancelled[^\n]*\.", talk.strip()), talk
    after = tree(own_folder)
    assert {path: data for path, data in after.items() if not path.startswith("stmap/")} == before
    assert not [path for path in after if ".part" in path]
    assert not list(tmp_path.glob("new*")) + list(tmp_path.glob(".new*"))


def test_asked_again_and_again_it_goes_on_ending(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with started("decompose", long_clip(tmp_path), "-o", folder, "--preset=preview", "--find=nothing") as process:
        wait_until((folder / "checkpoint/background.map.safetensors").is_file, process)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        talk = process.stderr.read()
    assert process.returncode == 130, talk
    assert talk.strip() == "nvd: Cancelled. What is finished can be taken up with --resume."
    left = tree(folder)
    assert "checkpoint/background.map.safetensors" in left
    assert not [path for path in left if ".part" in path or path in {".lock", "manifest.json"}]


def test_a_signal_ends_the_worker_in_order(tmp_path: Path) -> None:
    job = job_file(tmp_path / "job.json", Job(clip=str(long_clip(tmp_path)), settings=Settings(preset="preview")))
    with started("worker", job, tmp_path / "out", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in process.stdout]
        talk = process.stderr.read()
    assert process.returncode == 130
    assert [lines[-1][name] for name in ("type", "code")] == ["failed", "cancelled"]
    assert talk == ""
    assert not (tmp_path / "out").exists()


def test_a_command_that_shall_outlive_its_session_does(own_folder: Path) -> None:
    """As ``nohup`` starts it."""
    ignoring = {"preexec_fn": lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)}
    with started("score", own_folder, stdout=subprocess.PIPE, **ignoring) as process:
        process.send_signal(signal.SIGHUP)
        out, talk = process.communicate()
    assert process.returncode == 0, talk
    assert "| sign |" in out


def test_a_step_that_takes_too_long_to_hear_it_is_not_waited_for() -> None:
    program = """
import os, signal, time
from nvd_core.runtime import stopping
stopping._GRACE_S = 0.1
with stopping.stopping_on_signals():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
"""
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=60, env=os.environ)
    assert done.returncode == 130
    assert done.stderr.strip() == "nvd: Cancelled in the middle of a long step."
