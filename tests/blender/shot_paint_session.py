"""Runs inside Blender: paint on the picture of a frame. What was seen goes to ``seen.json``.

``python shot_paint_session.py ZIP ENGINE_PYTHON RESULT OUT``; RESULT is a finished decomposition.
"""

import json
import os
import shutil
import sys
from pathlib import Path

zip_path, engine_python, solved, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import fails, install, modules, render  # noqa: E402
from recorder import drawn  # noqa: E402

seen: dict = {}
install(zip_path)
compositor, results, sheets, shot_paint, tasks = modules(
    "result.compositor", "result.scenes", "result.shot_sheet", "jobs.shot_paint", "engine.tasks"
)
begin, apply, undo = bpy.ops.nvd.paint_on_shot, bpy.ops.nvd.apply_to_layers, bpy.ops.nvd.undo_paint_on_shot


def stroke(image, rows: range, columns: range, colour: tuple[float, ...]) -> None:
    """A rectangle, from the lower left corner."""
    pixels, width = list(image.pixels), image.size[0]
    for row in rows:
        for column in columns:
            at = 4 * (row * width + column)
            pixels[at : at + 3] = colour
    image.pixels.foreach_set(pixels)


def save(image, name: str) -> None:
    copy = bpy.data.images.new(name, *image.size)
    copy.pixels.foreach_set(list(image.pixels))
    copy.filepath_raw, copy.file_format = str(out / f"{name}.png"), "PNG"
    copy.save()


def panel() -> str:
    with bpy.context.temp_override(scene=scene):
        return " ".join(drawn(bpy.types.NVD_PT_layers).notes)


def atlas(layer: str):
    return results.atlas_nodes(scene)[layer].image


def stored() -> list[bytes]:
    return [(folder / "atlas" / f"{layer}.exr").read_bytes() for layer in ("sign", "background")]


folder = Path(shutil.copytree(solved, out / "shot_nvd"))
scene = compositor.load_result(folder)
solved_bytes = stored()
render(scene, out / "before")

# -- a sheet: the shot alone, of its frame, kept in the .blend --------------------------------------------------
results.node_of(scene, results.ONION).inputs[0].default_value = 1.0
results.atlas_nodes(scene)["background"].image.pixels[0] = 0.5  # unsaved paint, where no frame shows it
scene.frame_set(99)
seen["outside"] = fails(begin)
scene.frame_set(3)
form = scene.render.image_settings
before = form.file_format, scene.render.filepath, len(bpy.data.scenes)
assert begin() == {"FINISHED"}
sheet = sheets.sheet_of(scene)
save(sheet, "clean")
seen["sheet"] = [sheet.name, sheet.is_float, scene.tool_settings.image_paint.canvas == sheet]
seen["set_as_before"] = (form.file_format, scene.render.filepath, len(bpy.data.scenes)) == before
seen["nothing"] = fails(apply)
stroke(sheet, range(40, 70), range(50, 150), (0.8, 0.2, 0.4))
scene.frame_set(5)
assert begin() == {"FINISHED"}
seen["stays"] = [sheets.sheet_of(scene) == sheet, panel()]
save(sheet, "painted")
bpy.ops.wm.save_as_mainfile(filepath=str(out / "work.blend"))
bpy.ops.wm.open_mainfile(filepath=str(out / "work.blend"))
scene = results.result_scene(folder)
sheet = sheets.sheet_of(scene)
save(sheet, "reopened")

# -- what cannot be applied keeps the strokes ----------------------------------------------------------------------
original = folder / "atlas" / "sign.orig.exr"
original.rename(out / "away.exr")
seen["failed"] = [fails(apply), sheets.has_strokes(sheets.sheet_of(scene)), panel(), stored() == solved_bytes]
(out / "away.exr").rename(original)
own = Path(shutil.copy(folder / "atlas" / "sign.exr", out / "own.exr"))
bpy.ops.nvd.exchange_atlas(result=scene.name, layer="sign", filepath=str(own))
seen["exchanged"] = [fails(apply), fails(undo), sheets.has_strokes(sheets.sheet_of(scene))]
bpy.ops.nvd.revert_atlas(result=scene.name, layer="sign")
bpy.ops.nvd.reload_atlas(result=scene.name, layer="sign")

# -- applied -----------------------------------------------------------------------------------------------------
bpy.ops.nvd.paint_on_shot()
stroke(atlas("background"), range(1), range(1), (0.5, 0.5, 0.5))
assert apply() == {"FINISHED"}
task = tasks.latest()
seen["applied"] = [list(task.warnings), task.success, task.told, panel()]
seen["gone"] = [
    sheets.sheet_of(scene) is None,
    [image.name for image in bpy.data.images if "frame 3" in image.name],
    scene.tool_settings.image_paint.canvas in [atlas("sign"), atlas("background")],
]
seen["is_dirty"] = [atlas("sign").is_dirty, atlas("background").is_dirty]
painted_bytes = stored()
seen["changed"] = [now != then for now, then in zip(painted_bytes, solved_bytes, strict=True)]
render(scene, out / "after")

# -- undone, and redone -------------------------------------------------------------------------------------------
atlas("sign").pixels[0] = 0.5
seen["undo_refused"] = [fails(undo), stored() == painted_bytes]
bpy.ops.nvd.reload_atlas(result=scene.name, layer="sign")
assert undo() == {"FINISHED"}
seen["undone"] = [stored()[0] == solved_bytes[0], tasks.latest().success]
render(scene, out / "undone")
assert undo() == {"FINISHED"}
seen["redone"] = stored() == painted_bytes

# -- strokes painted while the first ones are applied stay, and so do discarded ones on no layer --------------------
scene.frame_set(3)
begin()
sheet = sheets.sheet_of(scene)
stroke(sheet, range(10, 20), range(10, 20), (0.1, 0.9, 0.1))
task = shot_paint.apply(scene)
stroke(sheet, range(80, 90), range(10, 20), (0.1, 0.9, 0.1))
while task.state == "running":
    task.wait(0.05)
seen["meanwhile"] = [task.state, task.success, sheets.sheet_of(scene) == sheet]
painted_bytes = stored()
assert bpy.ops.nvd.discard_sheet(result=scene.name) == {"FINISHED"}
seen["discarded"] = [sheets.sheet_of(scene) is None, stored() == painted_bytes, fails(apply)]
(out / "seen.json").write_text(json.dumps(seen))
