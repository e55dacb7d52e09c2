"""Runs inside Blender: an artist's path without the window. Prints one JSON object of what was seen.

``python session.py ZIP ENGINE_PYTHON CLIPS OUT``; see test_blender.py for what CLIPS holds and what is asked of OUT.
"""

import json
import os
import sys
from pathlib import Path

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["PYTHONPATH"] = "/nowhere"  # the worker must not inherit it

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, add_pictures, fails, mode_of, modules, timeline  # noqa: E402

seen: dict = {"version": bpy.app.version_string}


def render(scene, name: str) -> None:
    """All frames of a scene into a folder of that name."""
    bpy.ops.wm.save_as_mainfile(filepath=str(out / "work.blend"), copy=True)
    scene.render.filepath = str(out / name / "####.png")
    bpy.ops.render.render(animation=True, scene=scene.name)


def settings_of(scene) -> list:
    """What of a scene must stay as the user has it."""
    view, image = scene.view_settings, scene.render.image_settings
    return [
        view.view_transform, view.exposure, scene.render.dither_intensity, scene.render.resolution_x, scene.render.fps,
        scene.frame_start, scene.frame_end, scene.render.filepath, image.file_format, bool(compat.scene_tree(scene)),
    ]  # fmt: skip


# -- install ---------------------------------------------------------------------------------------
bpy.ops.wm.read_factory_settings(use_empty=True)
loaded = set(sys.modules)
bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
seen["brought_in"] = sorted({name.partition(".")[0] for name in set(sys.modules) - loaded})
compat, footage, jobs, layers, results = modules(
    "host.compat", "source.footage", "jobs.queue", "result.layers", "result.scenes"
)

# -- refusals --------------------------------------------------------------------------------------
scene = bpy.context.scene
seen["no_strip"] = fails(bpy.ops.nvd.decompose_clip)
seen["nothing_to_paint"] = fails(bpy.ops.nvd.paint_atlas)
strips, plates = timeline(scene), sorted((clips / "plates").iterdir())
strip = add_pictures(strips, plates, start=21)
strip.frame_final_start = 23  # leaves two frames away
scene.sequence_editor.active_strip = strip
seen["no_engine"] = fails(bpy.ops.nvd.decompose_clip)
bpy.context.preferences.addons[PACKAGE].preferences.python = "/bin/false"
seen["wrong_engine"] = fails(bpy.ops.nvd.decompose_clip)
bpy.context.preferences.addons[PACKAGE].preferences.python = str(engine_python)
own_image = bpy.data.images.load(str(plates[2]))
strip.use_reverse_frames = True
seen["reversed"] = fails(bpy.ops.nvd.decompose_clip)
strip.use_reverse_frames = False
seen["no_result"] = fails(bpy.ops.nvd.add_result)

# -- image strip: decompose, un-edited, painted, rebuilt ---------------------------------------------
before = settings_of(scene)
scene.nvd.settings.preset = "preview"
mask = strip.nvd.masks.add()
mask.name, mask.path = "sign", str(clips / "masks")
strip.nvd.folder = str(out / "result")
assert bpy.ops.nvd.decompose_clip() == {"FINISHED"}
seen["settings_kept"] = settings_of(scene) == before
result = results.result_scene(out / "result")
seen["range"] = [result.frame_start, result.frame_end]
seen["atlases"] = list(results.atlas_nodes(result))
tree = compat.scene_tree(result)
seen["unlinked"] = [
    f"{node.name}.{socket.name}"
    for node in tree.nodes
    for socket in node.inputs
    if socket.name in {"Image", "Plate", "UV", "Residual", "Painted", "Original"} and not socket.is_linked
]
render(result, "unedited")

assert bpy.ops.nvd.paint_atlas(layer="sign") == {"FINISHED"}
canvas = scene.tool_settings.image_paint.canvas
seen["canvas"] = Path(canvas.filepath).name
for node in results.atlas_nodes(result).values():
    image = node.image
    width, height = image.size
    pixels = list(image.pixels)
    for row in range(height // 4, height // 2):  # a bar across, opaque on one side and thin on the other
        for column in range(width):
            at, share = 4 * (row * width + column), column / width
            pixels[at : at + 3] = [
                (1 - share) * old + share * new for old, new in zip(pixels[at : at + 3], (0.8, 0.1, 0.3), strict=True)
            ]
    image.pixels.foreach_set(pixels)
render(result, "painted")  # not saved yet: the compositor shows what is painted
for node in results.atlas_nodes(result).values():
    node.image.save()
setattr(*mode_of(result), True)
render(result, "rebuilt")
setattr(*mode_of(result), False)

# -- back to the edit --------------------------------------------------------------------------------
strip.transform.offset_x, strip.crop.min_y = 3, 5
assert bpy.ops.nvd.add_result() == {"FINISHED"}
added = next(one for one in strips if one.type == "SCENE")
seen["placed_alike"] = (
    [added.transform.offset_x, added.crop.min_y] == [strip.transform.offset_x, strip.crop.min_y] == [3.0, 5]
)
added.transform.offset_x, added.crop.min_y, strip.transform.offset_x, strip.crop.min_y = 0, 0, 0, 0
seen["added"] = [added.channel, *compat.strip_span(added)[1:]]
scene.frame_start, scene.frame_end = 23, 23 + len(plates) - 3
scene.render.resolution_x, scene.render.resolution_y = result.render.resolution_x, result.render.resolution_y
scene.view_settings.view_transform, scene.render.dither_intensity = "Standard", 0.0
compat.set_image_format(scene.render.image_settings, "PNG")
render(scene, "sequenced")
groups = len(bpy.data.node_groups)
assert bpy.ops.nvd.decompose_clip(existing="REPLACE") == {"FINISHED"}
seen["second_run"] = [
    len(bpy.data.node_groups) - groups,
    len([one for one in bpy.data.scenes if results.BUILT_KEY in one]),
]
render(results.result_scene(out / "result"), "painted_again")

# -- a strip that stands still before and after its footage -----------------------------------------------
strip.frame_final_start, strip.frame_final_end = 15, 40
found = footage.from_strip(strip, scene)
seen["extended"] = [found.first, found.last]
strip.animation_offset_start, strip.animation_offset_end = 2, 1
strip.frame_final_start, strip.frame_final_end = 15, 40
found = footage.from_strip(strip, scene)
seen["trimmed"] = [found.first, found.last]
strip.animation_offset_start, strip.animation_offset_end = 0, 0

seen["own_image"] = [own_image.source, own_image.alpha_mode]
strip.nvd.folder = str(out / "another")  # of the same clip, so of the same name
strip.frame_final_start, strip.frame_final_end = 23, 21 + len(plates)
assert bpy.ops.nvd.decompose_clip() == {"FINISHED"}
seen["newest"] = str(results.folder_of(results.results()[0]))
render(results.result_scene(out / "result"), "painted_beside_another")

# -- movie strip -------------------------------------------------------------------------------------
for one in list(strips):
    strips.remove(one)
movie = strips.new_movie(name="movie", filepath=str(clips / "movie.mp4"), channel=1, frame_start=1)
scene.sequence_editor.active_strip = movie
movie.colorspace_settings.name = "Filmic Log"
seen["other_colour"] = fails(bpy.ops.nvd.decompose_clip)
movie.colorspace_settings.name = "sRGB"
assert bpy.ops.nvd.decompose_clip() == {"FINISHED"}
result = results.result_scene(clips / "movie_nvd")
seen["movie_range"] = [result.frame_start, result.frame_end]
render(result, "movie_unedited")
scene.frame_start, scene.frame_end = 1, movie.frame_final_duration
render(scene, "movie_strip")

# -- movies that are not shown as they are stored -----------------------------------------------------------
for name in ("turned", "uneven"):
    strips.remove(movie)
    movie = strips.new_movie(
        name=name, filepath=str(clips / f"{name}.mp4"), channel=1, frame_start=1, fit_method="ORIGINAL"
    )
    scene.sequence_editor.active_strip = movie
    seen[name] = fails(bpy.ops.nvd.decompose_clip)
    if not seen[name]:
        result = results.result_scene(clips / f"{name}_nvd")
        render(result, f"{name}_unedited")
        scene.render.resolution_x, scene.render.resolution_y = result.render.resolution_x, result.render.resolution_y
        scene.frame_start, scene.frame_end = 1, movie.frame_final_duration
        render(scene, f"{name}_strip")

# -- movie clip, of pictures that are numbered from 0 --------------------------------------------------
clip = bpy.data.movieclips.load(str(clips / "zero" / "z.0000.png"))
with bpy.context.temp_override(edit_movieclip=clip):
    assert bpy.ops.nvd.decompose_clip() == {"FINISHED"}
result = results.result_scene(clips / "zero" / "z_nvd")
seen["zero_range"] = [result.frame_start, result.frame_end]
render(result, "zero_unedited")

# -- another version is installed over this one, in the same Blender ------------------------------------
core = sys.modules["nvd_core"]
bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
seen["keeps_the_old_core"] = sys.modules["nvd_core"] is core
(jobs,) = modules("jobs.queue")

# -- leaving nothing behind ----------------------------------------------------------------------------
bpy.ops.preferences.addon_disable(module=PACKAGE)
seen["left"] = [
    name
    for name, there in {
        "property": hasattr(bpy.types.Scene, "nvd"),
        "operator": "decompose_clip" in dir(bpy.ops.nvd),
        "panel": hasattr(bpy.types, "NVD_PT_sequencer"),
        "timer": bpy.app.timers.is_registered(jobs._poll_all),
    }.items()
    if there
]
(out / "seen.json").write_text(json.dumps(seen))
