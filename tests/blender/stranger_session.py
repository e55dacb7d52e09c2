"""Runs inside Blender: .blend files and results of strangers, in which nothing is of the kind it should be.

``python stranger_session.py ZIP RESULT OUT``; RESULT is a finished decomposition. Writes what was seen as JSON.
"""

import json
import os
import shutil
import sys
import traceback
from pathlib import Path

zip_path, solved, out = (Path(argument) for argument in sys.argv[1:4])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, install, modules  # noqa: E402
from recorder import drawn  # noqa: E402

seen: dict = {"raised": [], "refused": {}, "left": {}}
install(zip_path)


results, atlas_files, coverage, compat, timers = modules(
    "result.scenes", "result.atlas_files", "result.coverage", "host.compat", "host.timers"
)


def data() -> list[str]:
    kinds = (bpy.data.scenes, bpy.data.images, bpy.data.node_groups, bpy.data.workspaces)
    all_there_is = (one for kind in kinds for one in kind)  # Blender itself makes the viewer's picture when it likes
    return sorted(f"{type(one).__name__} {one.name}" for one in all_there_is if getattr(one, "source", "") != "VIEWER")


def fault(function) -> str:
    """What a function raises; empty if nothing."""
    try:
        function()
    except Exception:  # noqa: BLE001 (it is looked at)
        return traceback.format_exc()
    return ""


def read_all() -> None:
    """Everything that reads what lies in a .blend."""
    for scene in bpy.data.scenes:
        for reader in (results.folder_of, results.plate_of, results.atlas_nodes, results.built):
            reader(scene)
        results.is_plate(scene, solved / "nowhere.png")
        results.original_of(scene, "sign")
    results.result_scene(solved)
    atlas_files.look.__wrapped__()
    coverage._original_of(None)
    for name in dir(bpy.types):
        if name.startswith("NVD_PT_"):
            drawn(getattr(bpy.types, name))


# -- a .blend whose custom properties, nodes and paths are a stranger's -----------------------------------
assert bpy.ops.nvd.load_result(directory=f"{solved}/") == {"FINISHED"}
strangers = bpy.data.scenes.new("stranger's")
for number, value in enumerate(["x", 1.5, [1, 2], {"a": 1}, b"bytes", 2**31 - 1, -5, 0, True, None]):
    strangers[results.BUILT_KEY] = value if value is not None else {}
    if said := fault(read_all):
        seen["raised"].append(["nvd_built", repr(value), said])
    if number == 5:  # no newer one can be counted
        assert bpy.ops.nvd.load_result(directory=f"{solved}/") == {"FINISHED"}
        seen["newest"] = results.built(results.result_scene(solved)) == 2**31 - 1
strangers[results.BUILT_KEY] = 7
tree = compat.empty_scene_tree(strangers)
for name in ("Plate", "Passes of sign", "Atlas of sign", "Original of sign", "Layer sign"):
    tree.nodes.new("NodeFrame").name = name
if said := fault(read_all):
    seen["raised"].append(["frames in place of nodes", "", said])
tree.nodes.clear()
image = bpy.data.images.new("one", 4, 4)
for name in ("Plate", "Passes of sign", "Atlas of sign", "Original of sign"):
    node = tree.nodes.new("CompositorNodeImage")
    node.name, node.image = name, image
for path in ("", "/x.exr", "//x.exr", "/" + "n" * 900, "/a\x1b[31m/b\n.exr", "/" + "d/" * 400 + "x"):
    image.filepath_raw = path
    if said := fault(read_all):
        seen["raised"].append(["path", path, said])
for owner in (strangers, image, bpy.context.workspace):
    owner["nvd"] = "x"
if said := fault(read_all):
    seen["raised"].append(["nvd", "x", said])
bpy.data.scenes.remove(strangers)

# -- a timer goes on --------------------------------------------------------------------------------------
told: list = []
sys.stderr.write, written = told.append, sys.stderr.write


@timers.lasting(7.0)
def fails() -> float:
    raise ValueError("why\x1b[31m")


seen["timer"] = [fails(), fails(), len(told), "\x1b" in "".join(told)]
sys.stderr.write = written
seen["lasting"] = all(
    hasattr(getattr(next(modules(name)), function), "__wrapped__")
    for name, function in (
        ("result.atlas_files", "look"),
        ("jobs.queue", "_poll_all"),
        ("jobs.queue", "_look"),
        ("engine.tasks", "_poll"),
        ("result.undo", "_push"),
        ("result.coverage", "_draw"),
    )
)

# -- results that cannot be loaded --------------------------------------------------------------------------
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.preferences.addon_enable(module=PACKAGE)
manifest = json.loads((solved / "manifest.json").read_text())
source, layer = manifest["source"], manifest["layers"][0]


def without_pixels(folder: Path) -> None:
    """A file that Blender cannot read in place of what nodes are set up from."""
    for path in folder.rglob("*.exr"):
        if path.parent.name in {"frames", "channels"}:
            path.write_bytes(b"no picture")


changes = {
    "wide": lambda m: m["source"].update(width=10**30),
    "negative": lambda m: m["source"].update(height=-(10**12)),
    "last": lambda m: m["source"].update(first=2**40, last=2**40),
    "long name": lambda m: m.update(name="n" * 3000),
    "long plate": lambda m: m["source"].update(file="/" + "n" * 3000),
    "nul": lambda m: m["source"].update(file="/a\0b"),
    "long atlas": lambda m: m["atlas_files"].update({layer: "atlas/" + "n" * 3000}),
    "atlas is a folder": lambda m: m["atlas_files"].update({layer: "atlas"}),
    "unreadable": without_pixels,
}
for name, change in changes.items():
    folder = Path(shutil.copytree(solved, out / name))
    if change is without_pixels:
        change(folder)
    else:
        changed = json.loads(json.dumps(manifest))
        change(changed)
        (folder / "manifest.json").write_text(json.dumps(changed))
    before = data()
    try:
        bpy.ops.nvd.load_result(directory=f"{folder}/")
    except RuntimeError as error:
        seen["refused"][name] = str(error)
    seen["left"][name] = [one for one in data() if one not in before]

# -- one that is loaded, and cannot be brought up to date: what is there stays ----------------------------------
folder = Path(shutil.copytree(solved, out / "twice"))
assert bpy.ops.nvd.load_result(directory=f"{folder}/") == {"FINISHED"}
scene = results.result_scene(folder)
nodes, before = sorted(node.name for node in compat.scene_tree(scene).nodes), data()
changed = json.loads(json.dumps(manifest))
changed["source"].update(width=10**30)
(folder / "manifest.json").write_text(json.dumps(changed))
fault(lambda: bpy.ops.nvd.load_result(directory=f"{folder}/"))
seen["kept"] = [data() == before, sorted(node.name for node in compat.scene_tree(scene).nodes) == nodes]
(out / "seen.json").write_text(json.dumps(seen))
