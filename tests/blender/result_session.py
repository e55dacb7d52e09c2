"""Runs inside Blender: results that were made elsewhere, and a .blend of an earlier Blender.

``python result_session.py ZIP RESULT OUT [BLEND]``; RESULT is a finished decomposition, BLEND what this session saves.
"""

import json
import os
import shutil
import sys
from pathlib import Path

zip_path, solved, out = (Path(argument) for argument in sys.argv[1:4])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")

import bpy  # noqa: E402 (it reads the environment)

seen: dict = {}
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
package = "bl_ext.user_default.nvd_blender"
results = __import__(f"{package}.results", fromlist=["*"])


def render_all(into: Path) -> None:
    for name in ("plain", "painted"):
        scene = bpy.data.scenes[name]
        scene.render.filepath = str(into / name / "####.png")
        bpy.ops.render.render(animation=True, scene=scene.name)


def refused(folder: Path) -> str:
    scenes = len(bpy.data.scenes)
    try:
        bpy.ops.nvd.load_result(directory=f"{folder}/")
    except RuntimeError as error:
        return str(error) if len(bpy.data.scenes) == scenes else "half a scene"
    return ""


copies = {name: Path(shutil.copytree(solved, out / name)) for name in ("plain", "painted", "lacking", "unfinished")}
(copies["unfinished"] / "manifest.json").unlink()
(copies["unfinished"] / "checkpoint").mkdir()
min((copies["lacking"] / "frames").iterdir()).unlink()
seen["refused"] = [refused(folder) for folder in (out, copies["unfinished"], copies["lacking"])]
for name in ("plain", "painted"):
    assert bpy.ops.nvd.load_result(directory=f"{copies[name]}/") == {"FINISHED"}
    results.result_scene(copies[name]).name = name
for node in results.atlas_nodes(bpy.data.scenes["painted"]).values():
    pixels = [0.8, 0.1, 0.3, 1.0] * (len(node.image.pixels) // 4)
    node.image.pixels.foreach_set(pixels)
    node.image.save()
bpy.ops.wm.save_as_mainfile(filepath=str(out / "saved.blend"))
render_all(out / "here")
if len(sys.argv) > 4:
    bpy.ops.wm.open_mainfile(filepath=sys.argv[4])
    render_all(out / "opened")
(out / "seen.json").write_text(json.dumps(seen))
