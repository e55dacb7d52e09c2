"""Runs inside Blender: what an artist does with a finished result. Prints one JSON object of what was seen.

``python layers_session.py ZIP SHOT ATLASES OUT``; SHOT is a folder with a decomposition and its plates, ATLASES
holds ``other.exr``, ``half.png`` and ``label.png``, painted elsewhere.
"""

import json
import os
import shutil
import sys
from pathlib import Path

zip_path, shot, atlases, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")

import bpy  # noqa: E402 (it reads the environment)
from installed import add_pictures, install, mode_of, modules, render  # noqa: E402

install(zip_path)
atlas_files, compat, compositor, layers, paint_kept, results = modules(
    "result.atlas_files",
    "host.compat",
    "result.compositor",
    "result.layers",
    "result.paint",
    "result.scenes",
)
seen: dict = {}

KINDS = [{"kind": kind} for kind in ("EXR", "PNG", "MOVIE")]


def paint(image) -> None:
    """A bar across, not saved."""
    pixels = list(image.pixels)
    quarter = len(pixels) // 16 * 4
    pixels[quarter : 2 * quarter] = [0.6, 0.2, 0.05, 1.0] * (quarter // 4)
    image.pixels.foreach_set(pixels)


# -- how layers are shown ----------------------------------------------------------------------------
scene = compositor.load_result(shot / "result")
sign = results.atlas_nodes(scene)["sign"].image
for node in results.atlas_nodes(scene).values():
    paint(node.image)
    node.image.save()
for layer, values in {"sign": (0.6, 0.3, 1.5), "background": (0.8, 0.0, 1.0)}.items():
    for control, value in zip(("Opacity", "Light", "Gain"), values, strict=True):
        layers.group_of(scene, layer).inputs[control].default_value = value
layers.group_of(scene, "sign").inputs["Gain"].keyframe_insert("default_value", frame=1)
own_node = compat.scene_tree(scene).nodes.new("CompositorNodeBlur").name
for mode in (False, True):
    setattr(*mode_of(scene), mode)
    render(scene, out / ("faded_rebuilt" if mode else "faded"))
paint(sign)
sign.pixels[0] = 0.125
compositor.load_result(shot / "result")
seen["unsaved"] = [sign.is_dirty, sign.pixels[0]]
sign.reload()
seen["kept"] = [
    own_node in compat.scene_tree(scene).nodes,
    compat.scene_tree(scene).animation_data is not None,
    round(layers.group_of(scene, "sign").inputs["Gain"].default_value, 3),
    getattr(*mode_of(scene)),
]
compat.scene_tree(scene).animation_data_clear()
for layer in ("sign", "background"):
    for control in ("Opacity", "Light", "Gain"):
        layers.group_of(scene, layer).inputs[control].default_value = 1.0
bpy.ops.nvd.show_layer(layer="sign")
render(scene, out / "hidden")
bpy.ops.nvd.solo_layer(layer="sign")
render(scene, out / "solo")
bpy.ops.nvd.show_layer(layer="sign")
bpy.ops.nvd.solo_layer(layer="sign")
setattr(*mode_of(scene), False)
results.node_of(scene, results.ONION).inputs[0].default_value = 1.0
render(scene, out / "compared")
results.node_of(scene, results.ONION).inputs[0].default_value = 0.0

# -- atlases as files --------------------------------------------------------------------------------
for name in ("half", "label"):
    assert bpy.ops.nvd.exchange_atlas(layer="sign", filepath=str(atlases / f"{name}.png")) == {"FINISHED"}
    render(scene, out / f"exchanged_{name}")
seen["canvas"] = Path(bpy.context.scene.tool_settings.image_paint.canvas.filepath).name
assert bpy.ops.nvd.exchange_atlas(layer="sign", filepath=sign.filepath) == {"FINISHED"}
(out / "broken.exr").write_bytes(b"no picture")
original, plate = results.path_of(results.original_of(scene, "sign")), results.plate_of(scene)
for path in (out / "broken.exr", out / "missing.exr", original, plate):
    try:
        bpy.ops.nvd.exchange_atlas(layer="sign", filepath=str(path))
    except RuntimeError as error:
        seen[path.name] = str(error)
seen["after_refusal"] = results.atlas_nodes(scene)["sign"].image == sign

atlas_files.look()
paint(sign)
seen["dirty"] = sign.is_dirty
atlas_files.look()
shutil.copyfile(atlases / "other.exr", results.path_of(sign))
for _ in range(2):
    atlas_files.look()
seen["with_paint"] = [sign.is_dirty, paint_kept.is_newer_on_disk(sign)]
assert bpy.ops.nvd.reload_atlas(layer="sign") == {"FINISHED"}
seen["reloaded"] = [sign.is_dirty, paint_kept.is_newer_on_disk(sign)]
render(scene, out / "reloaded")
paint(sign)
atlas_files.look()
sign.save()
before = sign.pixels[0]
for _ in range(2):
    atlas_files.look()
shutil.copyfile(atlases / "other.exr", results.path_of(sign))
os.utime(results.path_of(sign), ns=(1, 1))
atlas_files.look()
written = []
atlas_files.reload, reload = lambda scene, layer: written.append(layer) or reload(scene, layer), atlas_files.reload
for _ in range(3):
    atlas_files.look()
seen["read_again"] = list(written)
render(scene, out / "watched")

assert bpy.ops.nvd.revert_atlas(layer="sign") == {"FINISHED"}
assert bpy.ops.nvd.revert_atlas(layer="background") == {"FINISHED"}
render(scene, out / "reverted")
seen["file_after_revert"] = results.path_of(sign).read_bytes() == (atlases / "other.exr").read_bytes()
try:
    bpy.ops.nvd.edit_atlas_elsewhere(layer="sign")
except RuntimeError as error:
    seen["no_editor"] = str(error)

# -- a .blend that moves with its folder -----------------------------------------------------------------
for layer in ("sign", "background"):
    bpy.ops.nvd.reload_atlas(layer=layer)
blend = shot / "edit" / "shot.blend"
blend.parent.mkdir()
bpy.ops.wm.save_as_mainfile(filepath=str(blend))
render(scene, out / "saved")
moved = shot.with_name("moved")
shot.rename(moved)
bpy.ops.wm.open_mainfile(filepath=str(moved / "edit" / "shot.blend"))
scene = results.results()[0]
seen["moved"] = [str(results.folder_of(scene)), str(results.plate_of(scene))]
seen["absolute"] = [image.filepath for image in bpy.data.images if image.filepath and image.filepath[:2] != "//"]
render(scene, out / "moved")
compositor.load_result(moved / "result")
seen["scenes"] = len(results.results())

# -- back to an edit whose strip was trimmed since -------------------------------------------------------
edit = bpy.data.scenes.new("edit")
strips, plates = compat.strips(edit.sequence_editor_create()), list((moved / "clip" / "frames").iterdir())
strip = add_pictures(strips, plates, start=51)
compat.trim(strip, 52, 51 + len(plates))
seen["added"] = []
for operator, kinds in ((bpy.ops.nvd.add_result, [{}]), (bpy.ops.nvd.render_result, KINDS)):
    for kind in kinds:
        before = {one.name for one in strips}
        assert operator(result=scene.name, **kind) == {"FINISHED"}
        new = next(one for one in strips if one.name not in before)
        seen["added"].append([new.type, new.channel, *compat.strip_span(new)])
seen["rendered"] = sorted(str(path.relative_to(moved)) for path in (moved / "result_render").rglob("*.*"))
edit.frame_start, edit.frame_end = 52, 50 + len(plates)
edit.render.resolution_x, edit.render.resolution_y = scene.render.resolution_x, scene.render.resolution_y
edit.view_settings.view_transform, edit.render.dither_intensity = "Standard", 0.0
for kind in ("SCENE", "IMAGE", "MOVIE"):
    for one in strips:
        one.mute = one.type != kind or one.name == "shot"
    compat.set_image_format(edit.render.image_settings, "PNG")
    render(edit, out / f"edit_{kind}")

# -- another clip, with other layers, decomposed into a result's folder -----------------------------------
again = Path(shutil.copytree(moved / "result", moved / "again"))
scene = compositor.load_result(again)
shutil.rmtree(again)
shutil.copytree(atlases / "other_result", again)
seen["another_clip"] = [
    compositor.load_result(again) == scene,
    list(results.atlas_nodes(scene)),
    str(results.plate_of(scene)),
]
render(scene, out / "another_clip")
(out / "seen.json").write_text(json.dumps(seen))
