"""Runs inside Blender: inserts as an artist makes them. What was seen goes to ``seen.json``.

``python inserts_session.py ZIP ENGINE_PYTHON RESULT PICTURE FRAMES OUT``; RESULT is a finished decomposition of the
pictures in FRAMES, PICTURE a transparent one.
"""

import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

zip_path, engine_python, solved, picture, frames, out = (Path(argument) for argument in sys.argv[1:7])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import fails, install, modules, render  # noqa: E402
from recorder import drawn  # noqa: E402

seen: dict = {}
install(zip_path)
compat, compositor, edit_record, inserts, results = modules(
    "host.compat", "result.compositor", "result.edit_record", "result.inserts", "result.scenes"
)
from nvd_core.spec import edits as spec_edits  # noqa: E402
from nvd_core.spec.edits import Blend, edits_path, read_edits, write_edits  # noqa: E402
from nvd_core.spec.manifest import read_manifest  # noqa: E402

nvd = bpy.ops.nvd
folder = Path(shutil.copytree(solved, out / "shot_nvd"))
manifest = read_manifest(folder)
scene = compositor.load_result(folder)
blend_file = str(out / "work.blend")


def node_of(name: str):
    nodes = [node for layer in manifest.names for node in inserts.insert_nodes(scene, layer)]
    return next(node for node in nodes if inserts.name_of(node) == name)


def set_corners(name: str, *corners: tuple[float, float]) -> None:
    for label, (u, v) in zip(("Upper Left", "Upper Right", "Lower Right", "Lower Left"), corners, strict=True):
        node_of(name).inputs[label].default_value = (u, v, 0)


def key(name: str, label: str, frame: int, value) -> None:
    socket = node_of(name).inputs[label]
    socket.default_value = value
    socket.keyframe_insert("default_value", frame=frame)


def record():
    return read_edits(folder, manifest.names)


def stack() -> list[str]:
    return [one.name for one in record()["sign"].inserts]


def panel() -> str:
    with bpy.context.temp_override(scene=scene):
        return " ".join(drawn(bpy.types.NVD_PT_layers).notes)


def elsewhere(name: str, **values) -> None:
    """Another program changes an insert."""
    now = record()
    layer, insert = spec_edits.inserts(now)[name]
    write_edits(folder, now | {layer: now[layer].having(replace(insert, **values))}, manifest.names)


def on(layer: str, name: str = "") -> dict:
    return {"result": scene.name, "layer": layer} | ({"insert": name} if name else {})


# -- insert, set, key ------------------------------------------------------------------------------------------
for layer in ("sign", "sign", "background"):
    assert nvd.insert_picture(**on(layer), filepath=str(picture)) == {"FINISHED"}
first = min(frames.iterdir())
assert nvd.insert_picture(**on("sign"), filepath=str(first), is_sequence=True) == {"FINISHED"}
film = record()["sign"].inserts[-1].name
seen["inserted"] = [stack(), [one.name for one in record()["background"].inserts], record()["sign"].inserts[-1].count]
seen["no_file"] = fails(nvd.insert_picture, **on("sign"), filepath=str(out / "none.png"))
(out / "text.png").write_text("no picture")
seen["no_picture"] = fails(nvd.insert_picture, **on("sign"), filepath=str(out / "text.png"))
seen["refused_in_panel"] = panel()

set_corners("soft", (-0.4, 1.3), (0.6, 1.2), (0.5, 0.2), (-0.3, 0.4))  # beyond the outline
assert nvd.blend_insert(**on("sign", "soft"), blend="SCREEN") == {"FINISHED"}
assert nvd.clip_insert(**on("sign", "soft-2")) == {"FINISHED"}
assert nvd.blend_insert(**on("sign", "soft-2"), blend="OVERLAY") == {"FINISHED"}
for frame, value in ((1, 0.2), (8, 1.0)):
    key("soft-2", "Opacity", frame, value)
    key("soft-2", "Upper Left", frame, (0.1, 0.9 - frame / 40, 0))
assert nvd.paint_beyond(**on("background")) == {"FINISHED"}
for name in ("soft", film):
    assert nvd.open_insert(**on("sign", name)) == {"FINISHED"}
asked = []
stat, os.stat = os.stat, lambda *values, **options: (asked.append(str(values[0])), stat(*values, **options))[1]
seen["panel"], seen["asked"] = panel(), asked[:]
out.stat()
os.stat, seen["noticed"] = stat, asked[-1:]
for label, value in (("First", 2), ("Last", 7), ("Fade In", 2), ("Fade Out", 1)):
    node_of(film).inputs[label].default_value = value
before = edits_path(folder).read_bytes()
bpy.ops.wm.save_as_mainfile(filepath=blend_file)
seen["saved"] = [before != edits_path(folder).read_bytes(), edit_record.read_nodes(scene, manifest) == record()]
render(scene, out / "shown")
shutil.copytree(folder, out / "shown_nvd")

# -- read back ---------------------------------------------------------------------------------------------------
digest = edits_path(folder).read_bytes()
bpy.ops.wm.open_mainfile(filepath=blend_file)
scene = results.result_scene(folder)
edit_record.look.__wrapped__()
seen["reopened"] = [edit_record.read_nodes(scene, manifest) == record(), edits_path(folder).read_bytes() == digest]

# -- a driver and an artist's own curve stay, whatever is done with the stack ----------------------------------------
node_of("soft").inputs["Opacity"].driver_add("default_value").driver.expression = "0.5"
assert nvd.move_insert(**on("sign", "soft"), places=2) == {"FINISHED"}
assert nvd.move_insert(**on("sign", "soft-2"), places=-5) == {"FINISHED"}
assert nvd.blend_insert(**on("sign", "soft"), blend="MULTIPLY") == {"FINISHED"}
assert nvd.show_insert(**on("sign", "soft")) == {"FINISHED"}
seen["moved"] = [stack(), len(compat.scene_tree(scene).animation_data.drivers), record()["sign"].inserts[2].blend]
pictures = sorted(path.name for path in (folder / "edits").iterdir())
assert nvd.remove_insert(**on("sign", "soft")) == {"FINISHED"}
seen["removed"] = [
    stack(), len(compat.scene_tree(scene).animation_data.drivers),
    pictures == sorted(path.name for path in (folder / "edits").iterdir()),
]  # fmt: skip
seen["gone"] = fails(nvd.remove_insert, **on("sign", "soft"))

# -- none is shown: the plate ------------------------------------------------------------------------------------
for layer, name in (("sign", "soft-2"), ("sign", film), ("background", "soft-3")):
    assert nvd.show_insert(**on(layer, name)) == {"FINISHED"}
render(scene, out / "hidden")

# -- another program ---------------------------------------------------------------------------------------------
elsewhere("soft-3", opacity=((0.0, 0.25),))
edit_record.look.__wrapped__()
seen["read"] = [node_of("soft-3").inputs["Opacity"].default_value, edit_record.told.get(folder, "")]
node_of("soft-3").inputs["Opacity"].default_value = 0.5  # undone: the scene has its former note, memory the new one
former = scene["nvd_edits"]
edit_record.write(scene)
scene["nvd_edits"] = former
node_of("soft-3").inputs["Opacity"].default_value = 0.25
edit_record.look.__wrapped__()
seen["undone"] = [node_of("soft-3").inputs["Opacity"].default_value]
edit_record.write(scene)
seen["undone"].append(record()["background"].inserts[0].opacity)

seen["differing"] = []
for keeps, opacity in (("NODES", 0.75), ("FILE", 0.625)):
    node_of("soft-3").inputs["Opacity"].default_value = opacity
    elsewhere("soft-3", opacity=((0.0, 0.125),))
    digest = edits_path(folder).read_bytes()
    edit_record.look.__wrapped__()
    told = panel()
    bpy.ops.wm.save_mainfile()
    refused = fails(nvd.show_insert, **on("background", "soft-3"))
    refused_load = fails(nvd.load_result, directory=f"{folder}/")
    stays = [node_of("soft-3").inputs["Opacity"].default_value, edits_path(folder).read_bytes() == digest]
    assert nvd.settle_inserts(result=scene.name, keeps=keeps) == {"FINISHED"}
    settled = [node_of("soft-3").inputs["Opacity"].default_value, record()["background"].inserts[0].opacity[0][1]]
    seen["differing"].append([told, refused, refused_load, stays, settled, panel()])

# -- a picture that is gone: nothing is built by halves -----------------------------------------------------------
there = folder / record()["sign"].inserts[0].file
there.rename(out / "away")
before = record()
elsewhere("soft-2", corners=((0.0, *[0.5] * 8),))
digest = edits_path(folder).read_bytes()
edit_record.look.__wrapped__()
seen["no_file_of"] = [panel(), fails(nvd.load_result, directory=f"{folder}/"), len(inserts.insert_nodes(scene, "sign"))]
bpy.ops.wm.save_mainfile()
seen["no_file_of"].append(edits_path(folder).read_bytes() == digest)
(out / "away").rename(there)
write_edits(folder, before, manifest.names)
edit_record.look.__wrapped__()

# -- a stranger's nodes --------------------------------------------------------------------------------------------
digest, node = edits_path(folder).read_bytes(), node_of("soft-3")
own, seen["junk"] = node["nvd_insert"], []
data = json.loads(own)
for junk in (
    "x",
    "[]",
    7,
    "[" * 100_000,
    *(json.dumps(data | one) for one in ({"file": "../../x.png"}, {"count": -1})),
):
    node["nvd_insert"] = junk
    bpy.ops.wm.save_mainfile()
    panel()
    words = fails(nvd.paint_beyond, **on("background"))
    seen["junk"].append([words, edits_path(folder).read_bytes() == digest, node["nvd_insert"] == junk])
node["nvd_insert"] = own
edits_path(folder).unlink()
edit_record.look.__wrapped__()
seen["lost"] = [node_of("soft-3") == node, edit_record.told.get(folder, "")]
assert nvd.settle_inserts(result=scene.name, keeps="NODES") == {"FINISHED"}
seen["lost"].append(edits_path(folder).read_bytes() == digest)

# -- every mode ------------------------------------------------------------------------------------------------------
modes = get_args(Blend) if compat.IS_5 else ("HUE",)
edits = record()
edits["background"] = replace(
    edits["background"], inserts=(replace(edits["background"].inserts[0], is_visible=True, opacity=((0.0, 1.0),)),)
)
write_edits(folder, edits, manifest.names)
edit_record.look.__wrapped__()
set_corners("soft-3", (0.02, 0.98), (0.98, 0.98), (0.98, 0.02), (0.02, 0.02))
for mode in modes:
    assert nvd.blend_insert(**on("background", "soft-3"), blend=mode) == {"FINISHED"}
    scene.frame_set(1)
    scene.render.filepath = str(out / "modes" / f"{mode}.png")
    bpy.ops.render.render(write_still=True, scene=scene.name)
(out / "seen.json").write_text(json.dumps(seen))
