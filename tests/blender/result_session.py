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
from installed import install, modules, render  # noqa: E402

seen: dict = {}
install(zip_path)
compat, results = modules("host.compat", "result.scenes")


def render_all(into: Path) -> None:
    for name in ("plain", "painted"):
        render(bpy.data.scenes[name], into / name)


def sockets(node) -> int:
    return sum(one.enabled for one in (*node.inputs, *node.outputs))


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
scripts = Path(bpy.utils.system_resource("SCRIPTS")) / "startup" / "bl_ui"
offered = "".join(path.read_text() for path in scripts.glob("node_add_menu*.py"))
trees = [compat.scene_tree(bpy.data.scenes["plain"]), *bpy.data.node_groups]
seen["not_offered"] = sorted({node.bl_idname for tree in trees for node in tree.nodes if node.bl_idname not in offered})
seen["nodes"] = [
    [[node.bl_idname, node.show_options, sockets(node), *node.location, node.width] for node in tree.nodes]
    for tree in trees
]
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
