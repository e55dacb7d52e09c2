"""Runs inside Blender: whether drawing panels asks a disk, which may sleep. What was seen goes to ``seen.json``.

``python disks_session.py ZIP ENGINE_PYTHON CLIPS OUT``; CLIPS holds ``shot/``, numbered pictures, ``masks/``, and
``movie.mp4``, which is of another rate than the scene.
"""

import builtins
import io
import json
import os
import sys
import threading
from functools import wraps
from pathlib import Path
from types import SimpleNamespace

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, add_pictures, install, modules, timeline, wait_until  # noqa: E402
from recorder import drawn  # noqa: E402

install(zip_path)
compat, disk, job, jobs, preferences, records = modules(
    "host.compat", "host.disk", "jobs.job", "jobs.queue", "ui.preferences", "source.records"
)
seen: dict = {"asked": {}, "said": {}}
asked: list[str] = []


def watched(name: str, function):
    """Note what the main thread, which draws, asks of a disk."""

    @wraps(function)
    def call(*arguments, **options):
        where = str(arguments[0]) if arguments else "."
        if threading.current_thread() is threading.main_thread() and not where.startswith(("/proc", "/sys")):
            asked.append(f"{name} {where}")
        return function(*arguments, **options)

    return call


scene = bpy.context.scene
strips, editor = timeline(scene), scene.sequence_editor
shot = add_pictures(strips, (clips / "shot").iterdir())
movie = strips.new_movie(name="movie", filepath=str(clips / "movie.mp4"), channel=2, frame_start=1)
for strip in (shot, movie):
    item = strip.nvd.masks.add()
    item.name, item.path = "sign", str(clips / "masks")
scene.nvd.settings.solver, scene.nvd.settings.flow = "neural", str(clips / "flow")
waiting = job.Job(records.Record(out / "none", "waiting", out / "result", 0.0, 0))
jobs._jobs.append(waiting)
seen["job"] = waiting.record.job  # which is read once
compat.extension_folder()
chosen = bpy.context.preferences.addons[PACKAGE].preferences
disk._FRESH_S = 0.0  # everything is asked at every redraw
disk.bpy = SimpleNamespace(app=SimpleNamespace(background=False, timers=bpy.app.timers), context=bpy.context)


def draw(name: str) -> None:
    """All that Blender draws again and again, and what it asks to know whether a button is grey."""
    del asked[:]
    notes = []
    for panel in (one for one in bpy.types.Panel.__subclasses__() if one.__module__.startswith(PACKAGE)):
        if panel.bl_space_type == "SEQUENCE_EDITOR":
            for method in {"draw", "draw_header"} & set(dir(panel)):
                notes += drawn(panel, method=method).notes
    bpy.ops.nvd.decompose_clip.poll()
    bpy.ops.nvd.edit_objects.poll()
    notes += drawn(preferences.NVD_AP_preferences, chosen).notes
    seen["asked"][name], seen["said"][name] = list(asked), " ".join(notes)


for owner, name in (
    *((os, name) for name in ("stat", "lstat", "scandir", "listdir", "readlink", "access", "mkdir")),
    (io, "open"), (builtins, "open"),
):  # fmt: skip
    setattr(owner, name, watched(name, getattr(owner, name)))
for strip in (shot, movie):
    for python in ("", "/nowhere/python"):
        editor.active_strip, chosen.python = strip, python
        draw(f"{strip.name}{python} at first")
        wait_until(lambda: float("inf") not in list(disk._asked.values()))
        draw(f"{strip.name}{python} when it was told")
out.stat()  # that this is noticed
seen["noticed"] = asked[-1:]
(out / "seen.json").write_text(json.dumps(seen))
