"""Runs inside Blender: what the engine says of a job before it is started. What was seen goes to ``seen.json``.

``python checks_session.py ZIP ENGINE_PYTHON CLIPS OUT``; CLIPS holds ``shot/``, numbered pictures, masks of them in
``masks/``, others that do not fit in ``wide/``, ``later/``, ``black/``, and flow of another size in ``flow/``.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, add_pictures, install, modules, timeline, wait_until  # noqa: E402
from recorder import drawn  # noqa: E402

install(zip_path)
checks, preflight = modules("jobs.checks", "jobs.preflight")
checks.bpy = SimpleNamespace(app=SimpleNamespace(background=False, timers=bpy.app.timers, tempdir=str(out / "temp")))
checks._STILL_S = 0.0

scene = bpy.context.scene
shot = add_pictures(timeline(scene), (clips / "shot").iterdir())
scene.sequence_editor.active_strip = shot
item, settings = shot.nvd.masks.add(), scene.nvd.settings
item.name, item.path = "sign", str(clips / "masks")
shot.nvd.folder = str(out / "new" / "result")
seen: dict = {"told": {}, "at_once": {}}


def drawn_panels() -> list[str]:
    notes = []
    for panel in (one for one in bpy.types.Panel.__subclasses__() if one.__module__.startswith(PACKAGE)):
        if panel.bl_space_type == "SEQUENCE_EDITOR" and "draw" in dir(panel):
            notes += drawn(panel).notes
    return notes


def let_it_ask() -> None:
    """What Blender's timers do."""
    wait_until(lambda: checks._go_on() is None)


def told(name: str) -> None:
    drawn_panels()
    seen["at_once"][name] = [bpy.ops.nvd.decompose_clip.poll(), checks._desk.task is None]
    let_it_ask()
    found = preflight.objections(bpy.context)
    text = " ".join(drawn_panels())
    seen["told"][name] = {
        "fields": [[one.field, one.index, one.sentence] for one in found],
        "drawn": all(one.sentence.split(" (")[0] in text for one in found),
        "can_start": bpy.ops.nvd.decompose_clip.poll(),
    }


told("good")
for name in ("wide", "later"):
    item.path = str(clips / name)
    told(name)
item.path = str(clips / "masks")
told("good again")
item.keys, item.picture = "2", str(clips / "black" / "mask.0001.png")
told("black")
item.keys = ""
settings.flow = str(clips / "flow")
told("flow")
settings.flow = ""
settings.memory = "200M"
told("memory")
settings.memory = ""
drawn_mask = bpy.data.masks.new("Drawn")
spline = drawn_mask.layers.new(name="L").splines.new()
spline.points.add(3)
item.source, item.mask, item.still = "MASK", drawn_mask, True
told("drawn")
item.source, item.path = "FILE", str(clips / "wide")
told("wide again")
for mask in (clips / "masks").iterdir():
    shutil.copy(mask, clips / "wide")
told("mended")

# -- something else is asked while an engine is at work ------------------------------------------------------
checks._answers.clear()
item.path = str(clips / "later")
preflight.objections(bpy.context)
while checks._desk.task is None:
    checks._go_on()
outdated, process = checks._desk.asked, checks._desk.task._process
item.path = str(clips / "masks")
preflight.objections(bpy.context)
let_it_ask()
seen["outdated"] = [outdated in checks._answers, process.poll() is not None, len(checks._answers)]
checks._answers.clear()
preflight.objections(bpy.context)
while checks._desk.task is None:
    checks._go_on()
process = checks._desk.task._process
checks.stop()
seen["stopped"] = process.poll() is not None
seen["written"] = (out / "new").exists()
(out / "seen.json").write_text(json.dumps(seen))
