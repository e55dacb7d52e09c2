"""Jobs in real Blenders: killed with it and taken up by the next one, queued, shown, and gone without a trace."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from blenders import BLENDERS
from support import differing, results, solve, tree, wait_until

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo_clip import DemoClip, write_clip
from nvd_core.job_files import read_job
from nvd_core.spec.conventions import Size

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


class Sessions(NamedTuple):
    """A Blender that was killed, one that wanted the same folder meanwhile, and the one after them."""

    killed: dict[str, Any]
    rival: dict[str, Any]
    after: dict[str, Any]
    out: Path


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoClip:
    return write_clip(tmp_path_factory.mktemp("small"), frames=6, size=Size(160, 96))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What the job ends in where nobody kills it; made when the job is known."""
    return {}


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def sessions(
    request: pytest.FixtureRequest,
    extension: Path,
    small_demo: DemoClip,
    undisturbed: dict[str, dict[str, bytes]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Sessions:
    out = tmp_path_factory.mktemp("out")
    write_png(out / "huge.000001.png", np.zeros((4096, 4096, 3), np.uint8))
    script, clip = Path(__file__).with_name("jobs_session.py"), small_demo.frames.parent
    command, rest = [request.param, script], [extension, sys.executable, clip, out]
    with (out / "start.log").open("wb") as log:
        blender = subprocess.Popen([*command, "start", *rest], stdout=log, stderr=log, cwd=out)
        try:
            wait_until((out / "start.json").is_file, blender)
            killed = json.loads((out / "start.json").read_text())
            worker = psutil.Process(killed["worker"])
            worker.suspend()  # it shall not be ready before the other Blender has come
            before = tree(out / "result")
            done = subprocess.run([*command, "rival", *rest], capture_output=True, text=True, check=False, cwd=out)
            assert (out / "rival.json").is_file(), done.stdout[-3000:] + done.stderr[-3000:]
            rival = json.loads((out / "rival.json").read_text()) | {"damaged": differing(tree(out / "result"), before)}
            worker.resume()
        finally:
            blender.kill()
        assert blender.wait() == -signal.SIGKILL, (out / "start.log").read_text()[-3000:]
    gone, alive = psutil.wait_procs([worker], timeout=10)
    killed["worker_is_gone"] = bool(gone) or alive[0].status() == psutil.STATUS_ZOMBIE
    killed["checkpoint"] = [path.name for path in (out / "result" / "checkpoint").glob("*.safetensors")]
    if not undisturbed:
        job = tmp_path_factory.mktemp("job") / "job.json"
        shutil.copy(killed["job"], job)
        solve(read_job(job), job.with_name("out"))
        undisturbed |= {"result": results(job.with_name("out"))}
    done = subprocess.run([*command, "after", *rest], capture_output=True, text=True, check=False, cwd=out)
    assert (out / "after.json").is_file(), done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 0, "it quit with a job at work"
    return Sessions(killed, rival, json.loads((out / "after.json").read_text()), out)


def test_a_worker_ends_with_its_blender_and_keeps_its_checkpoint(sessions: Sessions) -> None:
    assert sessions.killed["worker_is_gone"]
    assert "sign.map.safetensors" in sessions.killed["checkpoint"]


def test_another_blender_is_not_offered_what_this_one_works_on(sessions: Sessions) -> None:
    assert sessions.killed["states"] == ["running", "waiting"]
    assert sessions.killed["to_others"] == [0, True]


def test_two_blenders_on_one_folder_do_not_disturb_each_other(sessions: Sessions) -> None:
    assert sessions.rival["to_the_second"] == [True, []]
    assert "Another job is writing to the folder" in sessions.rival["rival"]
    assert "Wait for it, or choose another" in sessions.rival["rival"]
    assert "Resume rival" in sessions.rival["offer"]
    assert sessions.rival["damaged"] == []


def test_the_next_blender_offers_what_was_cut_off(sessions: Sessions) -> None:
    assert sessions.after["while_its_worker_ends"] == [True, ["next"]]
    assert sessions.after["when_it_has_ended"] == [False, ["shot", "next"]]
    assert {"Resume shot", "Resume next", "Forget"} <= set(sessions.after["offer"])


def test_a_resumed_job_ends_in_the_same_bytes(sessions: Sessions, undisturbed: dict[str, dict[str, bytes]]) -> None:
    assert sessions.after["resumed"] == ["FINISHED"]
    assert differing(results(sessions.out / "result"), undisturbed["result"]) == []
    assert len(sessions.after["scenes"]) == 1
    assert any(re.fullmatch(r"shot, PSNR \d\d\.\d dB at 160x96", text) for text in sessions.after["psnr"])
    assert sessions.after["forgotten"] == [1, ["FINISHED"], 0]


def test_one_job_runs_and_the_next_waits(sessions: Sessions) -> None:
    assert sessions.after["queued"] == ["running", "waiting", "waiting"]
    assert {"two waits", "three waits", "nvd.cancel"} <= set(sessions.after["queue"])
    assert sessions.after["order"] == [["running", "waiting"], ["done", "running"], ["done", "done"]]
    assert sessions.after["opened"] == 20
    assert not (sessions.out / "three").exists()
    assert sessions.after["left_by_the_queue"] == 0


def test_two_jobs_on_one_folder_are_refused(sessions: Sessions) -> None:
    assert "A job of this Blender has that folder already" in sessions.after["refused"]
    assert "Another job is writing to the folder" in sessions.after["another_writer"]


def test_a_failure_has_words_and_diagnostics(sessions: Sessions) -> None:
    assert {"Resume again", "Forget", "Copy Diagnostics", "nvd.open_log"} <= set(sessions.after["after_failure"])
    text = sessions.after["diagnostics"]
    for words in ("Another job is writing", "Blender: ", "Extension: ", "Engine: ", "System: ", "worker.log:"):
        assert words in text
    assert '"type": "done"' in text or '"type": "artifact"' in text  # of events.jsonl
    assert "worker.log" in sessions.after["opened_log"]
    assert "The log is gone" in sessions.after["no_log"]
    assert sessions.after["copied"] == ["FINISHED"]
    assert sessions.after["resumed_after_failure"] == ["FINISHED"]
    assert sessions.after["left_by_failure"] == 0


def test_a_result_that_is_whole_is_loaded(sessions: Sessions) -> None:
    assert "Load whole" in sessions.after["whole"]
    assert sessions.after["loaded"] == ["FINISHED"]
    gone, (ended, *loaded_again) = sessions.after["gone"], sessions.after["loaded_again"]
    assert ended == "FINISHED"
    assert loaded_again.count("Load") == gone.count("Load") - 1
    assert sessions.after["left_by_loading"] == 0
    assert "Resume older" in sessions.after["older"]


def test_previews_are_shown_replaced_and_freed(sessions: Sessions, small_demo: DemoClip) -> None:
    assert sessions.after["previews"] == [["", True], ["sign", True], ["background", True]]
    corners = [read_rgb(path)[-1, 0].tolist() for path in sorted(small_demo.frames.iterdir())[:2]]
    first, second, missing, *damaged = sessions.after["pictures"]
    assert (first[:2], second[:2], missing, damaged) == ([160, 96], [160, 96], second, [[160, 96]] * 2)
    for shown, corner in zip((first, second), corners, strict=True):
        assert max(abs(one - other) for one, other in zip(shown[2:], corner, strict=True)) <= 1
    assert sessions.after["icons"] == [1, 0]
    assert (sessions.after["thumbnails"], sessions.after["images"]) == (0, 0)
    assert sessions.after["dropped"] == []


def test_the_panel_says_what_a_clip_will_take(sessions: Sessions) -> None:
    nothing, strip = sessions.after["forecasts"]
    assert nothing == []
    assert re.fullmatch(r"About 10 s, 0\.\d GB of memory, 0\.1 GB on disk", " ".join(strip))


def test_a_disk_that_cannot_hold_the_result_is_told_and_refused(sessions: Sessions) -> None:
    for told in sessions.after["too_large"]:
        assert "The disk is full: the result needs about" in told
        assert "Free some space, choose another place" in told


def test_a_height_that_is_too_low_is_told_and_refused(sessions: Sessions) -> None:
    for told in sessions.after["too_low"]:
        assert "Lines is 20. Set 64 or more" in told


def test_a_job_is_forgotten_when_another_writes_over_its_work(sessions: Sessions) -> None:
    beside, instead = sessions.after["beside"]
    assert beside[-2:] == ["old", "wrong"]
    assert instead[-1:] == ["new"]
    assert not {"old", "wrong"} & set(instead)


def test_a_hundred_times_disabled_leaves_nothing_behind(sessions: Sessions) -> None:
    assert "Resume off" in sessions.after["disabled"]
    assert sessions.after["threads"] == 1
    assert sessions.after["worker"]
    assert sessions.after["left"] == []
