"""Runs inside Blender: the buttons of the preferences, without a window. Writes what was seen as JSON.

``python engine_session.py ZIP WHEELS CLIP OUT [full]``; WHEELS is a folder from which nothing can be installed. Only
with ``full`` is the engine really installed, over the network as pip is configured.
"""

import json
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

zip_path, wheels, clip, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile with space")
os.environ.pop("NVD_PYTHON", None)

here = Path.cwd()  # full of modules that must not be imported

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, add_pictures, install, modules, timeline  # noqa: E402
from recorder import Layout, drawn  # noqa: E402

seen: dict = {"version": bpy.app.version_string}


def shown(draw=None) -> str:
    """All that the preferences, or another panel, show."""
    if draw:
        draw(layout := Layout())
    else:
        layout = drawn(next(modules("ui.preferences")).NVD_AP_preferences, prefs())
    return " ".join([*layout.texts, *(f"[{button}]" for button in layout.buttons)])


def prefs():
    return bpy.context.preferences.addons[PACKAGE].preferences


def said(operator, **options) -> str:
    """What an operator says when it refuses; empty if it does not."""
    try:
        assert operator(**options) == {"FINISHED"}
    except RuntimeError as error:
        return str(error)
    return ""


def error_of(function) -> str:
    try:
        return str(function())
    except Exception as error:  # noqa: BLE001 (it is looked at)
        return str(error)


def group_is_gone(process) -> bool:
    """Whether nothing is left of a process and what it has started; the system may take a moment to bury the dead."""
    for _ in range(200):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


# -- nothing is there yet ------------------------------------------------------------------------------
install(zip_path)
tasks, engine, installation, jobs = modules("engine.tasks", "engine.location", "jobs.installation", "jobs.queue")
layers_panel = bpy.types.NVD_PT_sequencer


def layers_panel_draws(layout: Layout) -> None:
    found = drawn(layers_panel)
    layout.texts.extend(found.texts)
    layout.buttons.extend(found.buttons)


seen["panel"] = shown(layers_panel_draws)
seen["none"] = shown()
asks = next(modules("operators.engine")).NVD_OT_install_engine.question
seen["asks"] = [
    " ".join(asks(SimpleNamespace(neural=False, own_settings=False, _source=lambda source=source: source)))
    for source in (None, wheels)
]
seen["offline"] = said(bpy.ops.nvd.install_engine)
seen["unchosen"] = said(bpy.ops.nvd.check_engine)

# -- installations that fail -----------------------------------------------------------------------------
seen["no_wheels"] = said(bpy.ops.nvd.install_engine, offline=str(clip))
seen["bad_wheels"] = said(bpy.ops.nvd.install_engine, offline=str(wheels))
seen["after_bad_wheels"] = shown()
seen["half_made"] = [engine.private().folder.exists(), engine.private().contents() is None]
seen["still_none"] = error_of(engine.worker_python)

bpy.context.preferences.system.use_online_access = True
task = installation.install(neural=False, offline=None)
seen["while_running"] = shown()
seen["busy"] = [said(bpy.ops.nvd.install_engine), said(bpy.ops.nvd.remove_engine)]
assert bpy.ops.nvd.cancel_engine() == {"FINISHED"}
while task.state == "running":
    task.wait(0.05)
seen["cancelled"] = [task.state, group_is_gone(task._process), shown()]

talker = out / "talker"
talker.write_text("#!/bin/sh\nwhile :; do echo and another thing; done\n")
talker.chmod(0o755)
prefs().python = str(talker)
task = installation.check()
for _ in range(3):
    task.wait(0.05)
seen["talker"] = [task.state]
bpy.ops.nvd.cancel_engine()
while task.state == "running":
    task.wait(0.001)
seen["talker"] += [task.state, group_is_gone(task._process)]
prefs().python = ""

jobs._jobs.append(SimpleNamespace(is_active=True))
seen["decomposing"] = said(bpy.ops.nvd.install_engine)
jobs._jobs.clear()

# -- nothing depends on which file is opened, or where Blender was started -----------------------------------
(out / "stranger").mkdir()
for name in ("python", "wheels"):
    made = out / "stranger" / name
    made.write_text(f"#!/bin/sh\necho sprung >>{out / 'sprung'}\n")
    made.chmod(0o755)
bpy.ops.wm.save_as_mainfile(filepath=str(out / "stranger" / "work.blend"))
prefs().python, prefs().wheels = "//python", "//wheels"
seen["kept_in_full"] = [prefs().python, prefs().wheels]  # as it was chosen in this file, and in no other
os.chdir(out / "stranger")
bpy.ops.wm.read_homefile(use_empty=True)
seen["relative"] = []
for path in ("//python", "python", "./python", "//../stranger/python"):
    prefs().python = path
    seen["relative"] += [said(bpy.ops.nvd.check_engine), error_of(engine.worker_python), shown()]
    prefs().python = ""
    os.environ["NVD_PYTHON"] = path
    seen["relative"] += [error_of(engine.worker_python)]
    del os.environ["NVD_PYTHON"]
    seen["relative"] += [said(bpy.ops.nvd.install_engine, offline=path)]
prefs().python = prefs().wheels = ""
os.chdir(here)
lacking = next(modules("engine.private"))
found, lacking.find_spec = lacking.find_spec, lambda _: None
seen["no_venv"] = shown()
lacking.find_spec = found

# -- a Python of the user's --------------------------------------------------------------------------------
for name, path in (("wrong_python", "/bin/false"), ("bare_python", sys.executable), ("no_python", "/nowhere/python")):
    prefs().python = path
    seen[name] = [said(bpy.ops.nvd.check_engine), shown()]
prefs().python = ""

if "full" in sys.argv:
    # -- install, decompose, update ------------------------------------------------------------------------
    astray = dict.fromkeys(
        ("PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_TARGET", "PIP_PREFIX", "PIP_CONFIG_FILE"), "/nowhere"
    )
    os.environ |= astray
    assert bpy.ops.nvd.install_engine() == {"FINISHED"}
    for name in astray:
        del os.environ[name]
    seen["installed"] = shown()
    packages = engine.private().folder.rglob("*.dist-info")
    seen["packages"] = sorted(one.name.removesuffix(".dist-info").replace("-", " ") for one in packages)
    seen["locked"] = list(next(modules("engine.lockfile")).locked(neural=False).packages)
    seen["no_torch"] = error_of(lambda: engine.worker_python(neural=True))
    prefs().neural = True
    seen["wants_torch"] = shown()
    prefs().neural = False
    os.environ["NVD_PYTHON"] = "/bin/false"
    seen["python"] = [str(engine.worker_python()), str(engine.private().python)]
    strip = add_pictures(timeline(bpy.context.scene), clip.iterdir())
    bpy.context.scene.sequence_editor.active_strip = strip
    bpy.context.scene.nvd.settings.preset = "preview"
    strip.nvd.folder = str(out / "result")
    assert bpy.ops.nvd.decompose_clip() == {"FINISHED"}

    Contents = next(modules("engine.private")).Contents
    engine.private().close(Contents(version="0.0.1", base=sys.executable, neural=False))
    seen["outdated"] = shown()
    assert bpy.ops.nvd.install_engine() == {"FINISHED"}
    seen["updated"] = shown()

    prefs().python = str(engine.private().python)
    assert bpy.ops.nvd.check_engine() == {"FINISHED"}
    seen["checked"] = shown()
    prefs().python = ""
    del os.environ["NVD_PYTHON"]

# -- remove ------------------------------------------------------------------------------------------------
assert bpy.ops.nvd.remove_engine() == {"FINISHED"}
seen["removed"] = [engine.private().folder.exists(), shown(), error_of(engine.worker_python)]

# -- leaving nothing behind ----------------------------------------------------------------------------------
seen["left"] = []
for _ in range(10):
    task = next(modules("jobs.installation")).install(neural=False, offline=None)
    tasks = next(modules("engine.tasks"))
    bpy.ops.preferences.addon_disable(module=PACKAGE)
    if bpy.app.timers.is_registered(tasks._poll) or not group_is_gone(task._process) or tasks.latest():
        seen["left"].append(task.name)
    bpy.ops.preferences.addon_enable(module=PACKAGE)
(out / "seen.json").write_text(json.dumps(seen))
