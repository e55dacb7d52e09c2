"""Runs inside Blender: clips whose EXRs have data windows of their own. What was seen goes to ``seen.json``.

``python overscan_session.py ZIP ENGINE_PYTHON OUT OWN FOLDER...``: each FOLDER has such a ``clip`` and its result,
``out``, which is rendered into ``OUT/FOLDER``. OWN has such a ``clip``, its ``masks``, and the same frames ``whole``.
"""

import json
import os
import shutil
import sys
from pathlib import Path

zip_path, engine_python, out, own, *folders = (Path(argument) for argument in sys.argv[1:])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import add_pictures, fails, install, modules, render, timeline  # noqa: E402

seen: dict = {"shown": {}}
install(zip_path)
atlas_files, compat, edit, jobs, results = modules(
    "result.atlas_files", "host.compat", "result.conform", "jobs.queue", "result.scenes"
)

NvdError = next(modules("result.conform")).InputError


def add_strip(folder: Path, channel: int = 1):
    new = add_pictures(strips, (folder / "clip").iterdir(), folder.name, channel)
    scene.sequence_editor.active_strip = new
    return new


def reads(result) -> str:
    """The folder that the plate's node reads, and how."""
    image = results.node_of(result, results.PLATE_NODE).image
    return f"{results.path_of(image).parent.name} {image.source}"


# -- results are loaded, in one file, and shown again when it is opened again ---------------------------------------
for folder in folders:
    assert bpy.ops.nvd.load_result(directory=f"{folder / 'out'}/") == {"FINISHED"}
    result = results.result_scene(folder / "out")
    seen["shown"][folder.name] = [reads(result), results.plate_of(result).parent == folder / "clip"]
    render(result, out / folder.name)
bpy.ops.wm.save_as_mainfile(filepath=str(out / "work.blend"))
bpy.ops.wm.open_mainfile(filepath=str(out / "work.blend"))
for folder in folders:
    result = results.result_scene(folder / "out")
    seen["shown"][folder.name] += [reads(result), results.plate_of(result).parent == folder / "clip"]
    render(result, out / f"{folder.name} again")

# -- a result goes above the strip of its clip, and what it reads is no atlas ---------------------------------------
scene = bpy.data.scenes.new("Edit")
bpy.context.window_manager.windows[0].scene = scene
strips = timeline(scene)
first, *_ = folders
add_strip(first)
result = results.result_scene(first / "out")
seen["added"] = [list(bpy.ops.nvd.add_result(result=result.name)), edit.place_of(result).start]
for kept in (first / "out" / "plate" / "shot.0002.exr", first / "clip" / "shot.0002.exr"):
    try:
        atlas_files.exchange(result, "box", kept)
    except NvdError as error:
        seen.setdefault("must_stay", []).append(str(error))

# -- decomposing: what was drawn over the data window is no mask ----------------------------------------------------
strip = add_strip(own, channel=5)
scene.nvd.settings.preset = "preview"
strip.nvd.folder = str(out / "result")
item = strip.nvd.masks.add()
item.name, item.source, item.mask, item.still = "box", "MASK", bpy.data.masks.new("Drawn"), True
spline = item.mask.layers.new().splines.new()
spline.points.add(3)
for point, place in zip(spline.points, ((0.3, 0.3), (0.6, 0.3), (0.6, 0.6), (0.3, 0.6)), strict=True):
    point.co = point.handle_left = point.handle_right = place
spline.use_cyclic = True
seen["drawn"] = [fails(bpy.ops.nvd.decompose_clip), (out / "result").exists()]
item.source, item.path = "FILE", str(own / "masks")
assert bpy.ops.nvd.decompose_clip() == {"FINISHED"}
seen["warnings"] = jobs.listed()[-1].warnings

# -- the clip is written anew, whole, and with overscan again: the scene that is there follows ----------------------
before = {file.name: file.read_bytes() for file in (own / "clip").iterdir()}
seen["followed"] = []
for name in ("overscan", "whole", "overscan again"):
    if name != "overscan":
        for file in (own / "whole").iterdir():
            (own / "clip" / file.name).write_bytes(file.read_bytes() if name == "whole" else before[file.name])
        assert bpy.ops.nvd.decompose_clip(existing="REPLACE") == {"FINISHED"}
    result = results.result_scene(out / "result")
    seen["followed"].append([reads(result), results.plate_of(result).parent == own / "clip"])
    render(result, out / name)

# -- a folder that was copied without them --------------------------------------------------------------------------
shutil.rmtree(out / "result" / "plate")
seen["lacking"] = fails(bpy.ops.nvd.load_result, directory=f"{out / 'result'}/")
(out / "seen.json").write_text(json.dumps(seen))
