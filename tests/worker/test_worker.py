"""The worker as a parent process sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import command, differing, job_file, job_of, results, sliding, solve, wait_until

import nvd_core
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.spec import protocol
from nvd_core.spec.conventions import Size
from nvd_core.spec.protocol import Artifact, Done, Failed, Hello, Metric, Progress, Stage
from nvd_core.spec.settings import Job, Settings

CANCEL = b'{"type": "cancel"}\n'


@contextmanager
def worker(job: Path, folder: Path, *flags: str) -> Iterator[subprocess.Popen[bytes]]:
    run = command("worker", job, folder, *flags)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(run, **pipes) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[dict[str, object]]:
    """Lines as they come; each must be one of the protocol's."""
    for line in process.stdout:
        assert protocol.decode(line) is not None, line
        yield json.loads(line)


def heard(job: Path, folder: Path, *flags: str) -> tuple[list[protocol.Event], list[int], int]:
    """Events, their numbers and the exit code of a worker that is left alone."""
    with worker(job, folder, *flags) as process:
        lines = list(lines_of(process))
        code = process.wait()
    return [protocol.decode(json.dumps(line)) for line in lines], [line["seq"] for line in lines], code


@pytest.fixture
def long_job(tmp_path: Path) -> Path:
    """A job that is still at work when it is told to stop."""
    frames = sliding(tmp_path / "clip", 40, Size(240, 136))
    return job_file(tmp_path / "job.json", Job(clip=str(frames), settings=Settings(preset="preview")))


def test_a_whole_job(demo: DemoClip, solved_folder: Path, tmp_path: Path) -> None:
    events, numbers, code = heard(job_file(tmp_path / "job.json", job_of(demo)), tmp_path / "out")
    assert code == 0
    assert numbers == list(range(1, len(numbers) + 1))
    assert isinstance(events[0], Hello)
    assert events[0].core == nvd_core.__version__
    assert events[-1] == Done(folder=str(tmp_path / "out"))
    done = [event.done for event in events if isinstance(event, Progress)]
    assert done == sorted(done)
    assert (done[0] < 0.1, done[-1]) == (True, 1.0)
    assert {"prepare", "map", "atlas", "frames", "measure", "report"} <= {
        event.name for event in events if isinstance(event, Stage)
    }
    artifacts = [Path(event.path) for event in events if isinstance(event, Artifact)]
    kinds = Counter(path.parent.name for path in artifacts)
    assert (kinds["atlas"], kinds["frames"]) == (2, 8)
    assert all(path.is_file() for path in artifacts)
    assert [event.name for event in events if isinstance(event, Metric)] == ["psnr", "psnr_atlas_only"]
    assert differing(results(tmp_path / "out"), results(solved_folder)) == []


@pytest.mark.parametrize("stop", ["message", "message after junk", "end of input"])
def test_a_worker_that_is_told_to_stop_ends_and_can_be_resumed(stop: str, long_job: Path, tmp_path: Path) -> None:
    with worker(long_job, tmp_path / "out") as process:
        seen = []
        for line in lines_of(process):
            seen.append(line)
            if line["type"] == "stage" and line["name"] == "atlas":
                if stop == "end of input":
                    process.stdin.close()
                else:
                    process.stdin.write((b"\xff\xfe junk\n[]\n" if "junk" in stop else b"") + CANCEL)
                    process.stdin.flush()
        assert process.wait() == 130
        if process.stdin.closed:
            process.stdin = None
    assert seen[-1]["type"] == "failed"
    assert seen[-1]["code"] == "cancelled"
    assert not (tmp_path / "out/manifest.json").exists()
    assert (tmp_path / "out/checkpoint/background.map.safetensors").is_file()
    events, _, code = heard(long_job, tmp_path / "out", "--resume")
    assert code == 0
    assert isinstance(events[-1], Done)
    assert not (tmp_path / "out/checkpoint").exists()


def test_a_job_cancelled_before_anything_is_done_leaves_nothing(long_job: Path, tmp_path: Path) -> None:
    with worker(long_job, tmp_path / "out") as process:
        process.stdin.write(CANCEL)
        process.stdin.flush()
        assert list(lines_of(process))[-1]["code"] == "cancelled"
        assert process.wait() == 130
    assert not (tmp_path / "out").exists()


def test_a_parent_that_stops_listening_ends_the_job(long_job: Path, tmp_path: Path) -> None:
    with worker(long_job, tmp_path / "out") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait() == 130
    assert not (tmp_path / "out/manifest.json").exists()


def bad_jobs(at: Path) -> dict[str, tuple[str, str, int]]:
    nowhere = json.dumps({"clip": str(at / "nothing.mp4")})
    return {
        "no clip there": (nowhere, "input", 3),
        "no JSON": ("{", "usage", 2),
        "no object": ("[]", "usage", 2),
        "unknown key": ('{"clip": "a", "colour": 1}', "usage", 2),
        "wrong kind": ('{"clip": 5}', "usage", 2),
        "out of range": ('{"clip": "a", "settings": {"height": 1}}', "usage", 2),
    }


@pytest.mark.parametrize("what", bad_jobs(Path()))
def test_a_bad_job_is_told_as_data(what: str, tmp_path: Path) -> None:
    text, kind, exit_code = bad_jobs(tmp_path)[what]
    (tmp_path / "job.json").write_text(text)
    events, _, code = heard(tmp_path / "job.json", tmp_path / "out")
    assert code == exit_code
    assert [type(event) for event in events] == [Hello, Failed]
    failed = events[1]
    assert failed.code == kind
    assert failed.message
    assert failed.where
    assert not (tmp_path / "out").exists()


def test_a_job_that_is_not_there_is_told_as_data(tmp_path: Path) -> None:
    events, _, code = heard(tmp_path / "job.json", tmp_path / "out")
    assert code == 2
    assert str(tmp_path / "job.json") == events[-1].where


def test_the_second_of_two_on_one_folder_is_refused(long_job: Path, tmp_path: Path) -> None:
    with worker(long_job, tmp_path / "out") as first:
        drained = threading.Thread(target=lambda: list(lines_of(first)))
        drained.start()
        wait_until((tmp_path / "out/checkpoint/job.json").is_file, first)
        first.send_signal(signal.SIGSTOP)  # so that it does not end before the second is there
        try:
            events, _, code = heard(long_job, tmp_path / "out")
        finally:
            first.send_signal(signal.SIGCONT)
        assert code == 3
        assert "Another job is writing" in events[-1].message
        assert first.wait() == 0
        drained.join()
    assert (tmp_path / "out/manifest.json").is_file()


def test_what_libraries_print_does_not_reach_the_protocol(tmp_path: Path) -> None:
    """OpenEXR speaks on its own of a file that is cut off."""
    import numpy as np

    from nvd_core.image.exr import write_exr

    write_exr(tmp_path / "cut.exr", dict.fromkeys("RGB", np.random.default_rng(0).random((96, 160), np.float32)))
    os.truncate(tmp_path / "cut.exr", 40_000)
    with worker(job_file(tmp_path / "job.json", Job(clip=str(tmp_path / "cut.exr"))), tmp_path / "out") as process:
        assert [line["type"] for line in lines_of(process)] == ["hello", "failed"]
        assert b"Exception" in process.stderr.read(), "nothing was printed, so nothing was shown"


def test_hello_comes_before_the_clip_is_opened(long_job: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow.mov")
    with worker(job_file(tmp_path / "slow.json", Job(clip=str(tmp_path / "slow.mov"))), tmp_path / "out") as process:
        assert next(lines_of(process))["type"] == "hello"


def test_sigterm_ends_the_command_line_in_order(long_job: Path, tmp_path: Path) -> None:
    run = command("decompose", "--job", long_job, "-o", tmp_path / "out")
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen(run, stderr=subprocess.PIPE, text=True) as process:
            wait_until((tmp_path / "out/checkpoint/job.json").is_file, process)
            time.sleep(0.2)
            process.send_signal(number)
            talk = process.stderr.read()
        assert process.returncode == 130
        assert "Traceback" not in talk
        assert not (tmp_path / "out/manifest.json").exists()


def test_a_folder_that_a_killed_writer_locked_is_free_again(demo: DemoClip, own_folder: Path) -> None:
    (own_folder / ".lock").touch()
    assert isinstance(solve(job_of(demo), own_folder, replaces=True)[-1], Done)
    assert not (own_folder / ".lock").exists()
