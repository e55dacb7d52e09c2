"""Runs inside Blender: jobs that are killed, taken up, queued and dropped. What was seen goes to ``<step>.json``.

``python jobs_session.py STEP ZIP ENGINE_PYTHON CLIP OUT``; see test_jobs.py for the steps.
"""

import json
import os
import shutil
import sys
import threading
import time
from pathlib import Path

step = sys.argv[1]
zip_path, engine_python, clip, out = (Path(argument) for argument in sys.argv[2:6])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)
os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = str(out)  # Blender keeps thumbnails of what it shows

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, add_pictures, modules, poll_until, timeline  # noqa: E402
from recorder import Layout  # noqa: E402
from recorder import drawn as drawn_as  # noqa: E402

seen: dict = {}
bpy.ops.wm.read_factory_settings(use_empty=True)
if step == "start":
    bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
else:
    bpy.ops.preferences.addon_enable(module=PACKAGE)
compat, diagnostics, jobs, locks, outlook, panels, previews, progress, records = modules(
    "host.compat",
    "jobs.diagnostics",
    "jobs.queue",
    "host.locks",
    "jobs.forecast",
    "ui.panels",
    "jobs.previews",
    "ui.progress",
    "source.records",
)
NvdError = __import__("nvd_core.spec.errors", fromlist=["*"]).NvdError


def job_of(frames: str, *masks: str) -> dict:
    named = [{"name": mask, "path": str(clip / "masks" / mask)} for mask in masks]
    return {"clip": str(clip / "frames"), "masks": named, "settings": {"preset": "preview", "frames": frames}}


def start(name: str, **options):
    """A job on two frames of the background alone, which is quick."""
    return jobs.start(name, out / name, job_of("1-2"), resume=False, **options)


def fails(call, *arguments) -> str:
    try:
        call(*arguments)
    except (NvdError, RuntimeError) as error:
        return str(error)
    return ""


def drawn() -> list[str]:
    layout = Layout()
    progress.draw_jobs(layout)
    progress.draw_done(layout)
    return layout.notes


def records_left() -> int:
    return len(list(jobs._place().iterdir()))


def leave_alone() -> None:
    """A job that is at work when this Blender is killed."""
    started = jobs.start("shot", out / "result", job_of("", "sign"), resume=False)
    poll_until(lambda: list((out / "result" / "checkpoint").glob("*.map.safetensors")))
    waiting = jobs.start("next", out / "next", job_of("1-2"), resume=False)
    facts = {
        "worker": started._process.pid,
        "job": str(started.record.job_file),
        "states": [started.state, waiting.state],
        "to_others": [len(records.found(jobs._place(), ())[0]), records.found(jobs._place(), ())[1]],
    }
    (out / "start.part").write_text(json.dumps(facts))
    (out / "start.part").rename(out / "start.json")
    while True:
        time.sleep(0.01)
        jobs._poll_all()


def rival() -> None:
    """Another Blender, while the first one's worker is at work."""
    seen["to_the_second"] = [jobs.look_for_left(), [job.name for job in jobs.listed()]]
    started = jobs.start("rival", out / "result", job_of("1-2"), resume=False)
    poll_until(lambda: not started.is_active)
    seen["rival"], seen["offer"] = started.error, drawn()
    bpy.ops.nvd.forget_job(job=started.key)
    (out / "rival.json").write_text(json.dumps(seen))


def take_up() -> None:
    writer = locks.take(out / "result" / ".lock")
    seen["while_its_worker_ends"] = [jobs.look_for_left(), [job.name for job in jobs.listed()]]
    locks.release(writer)
    seen["when_it_has_ended"] = [jobs.look_for_left(), [job.name for job in jobs.listed()]]
    seen["offer"] = drawn()
    shown = []
    show = previews.show
    previews.show = lambda job, layer, path: (show(job, layer, path), shown.append([layer, Path(path).is_file()]))
    shot, following = jobs.listed()
    seen["resumed"] = list(bpy.ops.nvd.resume_job(job=shot.key))
    seen["previews"] = shown
    previews.show = show
    seen["scenes"] = [scene.name for scene in bpy.data.scenes if scene.name.startswith("NVD")]
    seen["psnr"] = drawn()
    seen["forgotten"] = [records_left(), list(bpy.ops.nvd.forget_job(job=following.key)), records_left()]


def queue() -> None:
    one, two, three = start("one"), start("two"), start("three")
    seen["queued"] = [job.state for job in (one, two, three)]
    seen["refused"] = fails(start, "two")
    seen["queue"] = drawn()
    bpy.ops.nvd.cancel(job=three.key)
    order = []
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "a.blend"))
    opened = 0

    def both_ended() -> bool:
        nonlocal opened
        while opened < 20 and one.state == "running" and one.stage != "start":
            bpy.ops.wm.open_mainfile(filepath=str(out / "a.blend"))
            opened += 1
        if (states := [one.state, two.state]) not in order:
            order.append(states)
        return not jobs.any_running()

    poll_until(both_ended)
    seen["order"], seen["opened"] = order, opened
    bpy.ops.nvd.forget_job(job=three.key)
    seen["left_by_the_queue"] = records_left()


def fail() -> None:
    writer = locks.take(out / "one" / ".lock")
    said = fails(
        lambda: bpy.ops.nvd.resume_job(
            job=jobs.start("again", out / "one", job_of("1-2"), resume=False, replaces=True).key
        )
    )
    locks.release(writer)
    failed = jobs.listed()[-1]
    seen["another_writer"] = said
    seen["after_failure"] = drawn()
    seen["diagnostics"] = diagnostics.text(failed)
    browser = out / "bin" / "xdg-open"  # stands for the system's file browser
    browser.parent.mkdir()
    browser.write_text(f"#!/bin/sh\nls \"$1\" > '{out}/opened.part' && mv '{out}/opened.part' '{out}/opened'\n")
    browser.chmod(0o755)
    os.environ["PATH"] = f"{browser.parent}:{os.environ['PATH']}"
    bpy.ops.nvd.open_log(folder=str(failed.record.place))
    poll_until((out / "opened").is_file)
    seen["opened_log"] = (out / "opened").read_text().split()
    seen["no_log"] = fails(lambda: bpy.ops.nvd.open_log(folder=str(out / "gone")))
    seen["copied"] = list(bpy.ops.nvd.copy_diagnostics(job=failed.key))
    seen["resumed_after_failure"] = list(bpy.ops.nvd.resume_job(job=failed.key))
    seen["left_by_failure"] = records_left()


def replace() -> None:
    """What has unfinished work is forgotten when another job writes over it, and not before."""
    old = jobs.start("old", out / "old", job_of("", "sign"), resume=False)
    poll_until(lambda: list((out / "old" / "checkpoint").glob("*.map.safetensors")))
    old.cancel()
    poll_until(lambda: not jobs.any_running())
    wrong = {**job_of("1-2"), "masks": [{"name": "sign", "path": str(out / "gone")}]}
    seen["beside"] = []
    for name, job in (("wrong", wrong), ("new", job_of("1-2"))):
        jobs.start(name, out / "old", job, resume=False)
        poll_until(lambda: not jobs.any_running())
        seen["beside"].append([one.name for one in jobs.listed()])
    seen["wrong"] = drawn()


def load() -> None:
    """Its worker finished just when Blender ended."""
    record = records.leave(jobs._place(), "whole", out / "whole", job_of("1-2"))
    shutil.copytree(out / "one", out / "whole")
    record.release()
    jobs.look_for_left()
    seen["whole"] = drawn()
    seen["loaded"] = list(bpy.ops.nvd.load_job(job=record.place.name))
    for scene in [scene for scene in bpy.data.scenes if scene.name.startswith("NVD")]:
        bpy.data.scenes.remove(scene)
    seen["gone"] = drawn()
    seen["loaded_again"] = list(bpy.ops.nvd.load_job(job=record.place.name)) + drawn()
    seen["left_by_loading"] = records_left()
    # A decomposition that was there before is not the job's.
    record = records.leave(jobs._place(), "older", out / "whole", job_of("1-2"))
    record.release()
    jobs.look_for_left()
    seen["older"] = drawn()
    bpy.ops.nvd.forget_job(job=record.place.name)


def show() -> None:
    pictures, before = sorted((clip / "frames").iterdir())[:2], len(list(out.glob("**/thumbnails/**/*")))
    shutil.copy(pictures[0], out / "preview.png")

    def shown():
        picture = previews._collections[0]["job/"]
        return [*picture.image_size, *(round(255 * value) for value in picture.image_pixels_float[:3])]

    seen["pictures"] = []
    for picture in (*pictures, None):
        if picture is None:
            (out / "preview.png").unlink()
        else:
            shutil.copy(picture, out / "preview.png")
            os.utime(out / "preview.png", (1e9, 1e9 + len(seen["pictures"]) * 10))
        previews.show("job", "", str(out / "preview.png"))
        seen["pictures"].append(shown()[:5])
    previews.show("job", "sign", "/nowhere.png")
    for damaged in ("", "no picture"):
        (out / "preview.png").write_text(damaged)
        previews.show("job", "", str(out / "preview.png"))
        seen["pictures"].append(shown()[:2])
    seen["thumbnails"] = len(list(out.glob("**/thumbnails/**/*"))) - before
    seen["images"] = len([image for image in bpy.data.images if "preview" in image.name])
    seen["icons"] = len(previews.icons("job")), len(previews.icons("other"))
    previews.drop("job")
    seen["dropped"] = previews.icons("job")


def foresee() -> None:
    scene = bpy.context.scene
    strips = timeline(scene)
    strip = add_pictures(strips, (clip / "frames").iterdir())
    many = shutil.disk_usage(out).free // (18 * 4096**2) + 2
    huge = strips.new_image(name="huge", filepath=str(out / "huge.000001.png"), channel=2, frame_start=1)
    for number in range(2, many):
        huge.elements.append(f"huge.{number:06d}.png")
    huge.frame_final_duration = many - 1
    scene.sequence_editor.active_strip = huge
    seen["too_large"] = [" ".join(drawn_as(bpy.types.NVD_PT_sequencer_job).notes), fails(bpy.ops.nvd.decompose_clip)]
    scene.nvd.settings.height = 20
    seen["too_low"] = [" ".join(drawn_as(bpy.types.NVD_PT_sequencer_job).notes), fails(bpy.ops.nvd.decompose_clip)]
    scene.nvd.settings.height = 0
    seen["forecasts"] = []
    for chosen in (None, strip):
        scene.sequence_editor.active_strip = chosen
        layout = Layout()
        panels._draw_forecast(layout, bpy.context)
        seen["forecasts"].append(layout.notes)


def come_and_go() -> None:
    extension = sys.modules[PACKAGE]
    cut_off = jobs.start("off", out / "off", job_of("", "sign"), resume=False)
    poll_until(lambda: cut_off.stage == "map sign")
    worker = cut_off._process
    extension.unregister()
    seen["threads"] = threading.active_count()
    seen["worker"] = worker.returncode is not None
    for _ in range(100):
        extension.register()
        extension.unregister()
    extension.register()
    jobs.look_for_left()
    seen["disabled"] = drawn()
    bpy.ops.nvd.forget_job(job=jobs.listed()[0].key)
    bpy.ops.preferences.addon_disable(module=PACKAGE)
    seen["left"] = [
        name
        for name, there in {
            "property": hasattr(bpy.types.Scene, "nvd"),
            "operators": bool(set(dir(bpy.ops.nvd)) & {"cancel", "resume_job", "forget_job", "load_job"}),
            "timer": any(bpy.app.timers.is_registered(timer) for timer in (jobs._poll_all, jobs._look)),
            "handler": any(PACKAGE in str(one) for one in [*bpy.app.handlers.load_post, *bpy.app.handlers.load_pre]),
            "previews": bool(previews._collections),
            "records": bool(records_left()),
        }.items()
        if there
    ]


def quit_at_work() -> None:
    bpy.ops.preferences.addon_enable(module=PACKAGE)
    loaded = sys.modules[f"{PACKAGE}.jobs.queue"]
    at_work = loaded.start("off", out / "off", job_of("", "sign"), resume=False)
    while at_work.is_active and at_work.stage != "map sign":
        time.sleep(0.01)
        loaded._poll_all()


if step == "start":
    leave_alone()
if step == "rival":
    rival()
    sys.exit()
for part in (take_up, queue, fail, replace, load, show, foresee, come_and_go):
    part()
(out / "after.json").write_text(json.dumps(seen))
quit_at_work()
