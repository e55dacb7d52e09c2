"""Runs inside Blender: a .blend that an earlier version of the extension has saved, opened and worked on.

``python saved_session.py ZIP ROOT OUT``; ROOT holds ``clip``, ``result`` and ``edit/saved.blend``; see saved/make.py.
"""

import json
import os
import sys
from pathlib import Path

zip_path, root, out = (Path(argument) for argument in sys.argv[1:4])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")

import bpy  # noqa: E402 (it reads the environment)
from installed import install, modules, render  # noqa: E402

install(zip_path)
layers, mattes, results, footage = modules("result.layers", "source.mattes", "result.scenes", "source.footage")
compositor, compat = modules("result.compositor", "host.compat")
bpy.ops.wm.open_mainfile(filepath=str(root / "edit" / "saved.blend"))
seen: dict = {"operators": dir(bpy.ops.nvd)}


# -- what was asked of the strip and of the clip -------------------------------------------------------------
scene = bpy.data.scenes["Scene"]
settings = scene.nvd.settings
seen["settings"] = [getattr(settings, name) for name in ("solver", "preset", "residual", "find", "height", "flow")]
strip = scene.sequence_editor.active_strip
asked = ("name", "source", "path", "layer", "keys", "locked")
seen["objects"] = [[getattr(one, name) for name in asked] for one in strip.nvd.masks]
seen["drawn"] = strip.nvd.masks[1].mask.name
seen["folder"] = bpy.path.abspath(strip.nvd.folder)
(clip,) = bpy.data.movieclips
seen["clip"] = [[one.name for one in clip.nvd.masks], bpy.path.abspath(clip.nvd.folder)]
chosen = footage.of(strip, scene)
seen["job"] = [[one["name"], one.get("locked", False), one.get("frame")] for one in mattes.masks_of(chosen).job]

# -- its result ------------------------------------------------------------------------------------------------
(result,) = results.results()
seen["result"] = [str(results.folder_of(result)), str(results.plate_of(result)), list(results.atlas_nodes(result))]
groups = {name: layers.group_of(result, name) for name in ("sign", "background")}
seen["opacity"] = groups["sign"].inputs["Opacity"].default_value
seen["hidden"] = [layers.is_on(group, "hidden") for group in groups.values()]
seen["strips"] = sorted(one.type for one in compat.strips(scene.sequence_editor))

# -- and the operators on it -----------------------------------------------------------------------------------
render(result, out / "plain")
assert bpy.ops.nvd.show_layer(result=result.name, layer="background") == {"FINISHED"}
assert bpy.ops.nvd.paint_atlas(result=result.name, layer="sign") == {"FINISHED"}
canvas = bpy.context.scene.tool_settings.image_paint.canvas
canvas.pixels.foreach_set([0.8, 0.1, 0.3, 1.0] * (len(canvas.pixels) // 4))
assert bpy.ops.nvd.save_atlas(result=result.name, layer="sign") == {"FINISHED"}
render(result, out / "painted")
assert bpy.ops.nvd.load_result(directory=f"{root / 'result'}/") == {"FINISHED"}
seen["again"] = [results.results() == [result], layers.group_of(result, "sign").inputs["Opacity"].default_value]
assert bpy.ops.nvd.edit_objects(action="ADD") == {"FINISHED"}
seen["added"] = [one.name for one in strip.nvd.masks]
(out / "seen.json").write_text(json.dumps(seen))
