"""Runs inside Blender: results that hold NaN or Inf, and pictures that cannot be an atlas. What was seen is written.

``python damaged_session.py ZIP ENGINE_PYTHON DAMAGED ATLASES OUT``; DAMAGED holds decompositions with damages, and
``whole`` without; ATLASES pictures for the layer *sign*.
"""

import json
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

zip_path, engine_python, damaged, atlases, out = (Path(argument) for argument in sys.argv[1:6])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)
os.environ["FORCE_COLOR"] = "1"  # as a farm's terminal may set it

import bpy  # noqa: E402 (it reads the environment)
from installed import fails, install, modules, render, wait_until  # noqa: E402
from recorder import drawn  # noqa: E402

install(zip_path)
atlas_files, compositor, frame_check, paint, results = modules(
    "result.atlas_files", "result.compositor", "jobs.frame_check", "result.paint", "result.scenes"
)
frame_check.bpy = SimpleNamespace(app=SimpleNamespace(background=False, timers=bpy.app.timers, tempdir=str(out)))
seen: dict = {"load": {}, "frames": {}, "exchange": {}, "reload": {}, "watched": {}}


def panel() -> str:
    """What the panel of the layers says."""
    for window in bpy.context.window_manager.windows:
        window.scene = scene
    return " ".join(drawn(bpy.types.NVD_PT_layers).texts)


def let_it_read() -> None:
    """What Blender's timers do."""
    wait_until(lambda: frame_check._go_on() is None)


# -- what is not a number: refused where it can be seen, and nowhere does it reach pixels without paint ------------
for folder in sorted(damaged.iterdir()):
    scenes = len(bpy.data.scenes)
    seen["load"][folder.name] = [fails(bpy.ops.nvd.load_result, directory=f"{folder}/"), len(bpy.data.scenes) - scenes]
    scene = compositor.load_result(folder)  # as a job, or a .blend that is opened again
    let_it_read()
    seen["frames"][folder.name] = panel()
    scene.frame_end = scene.frame_start
    render(scene, out / folder.name)
    for node in results.atlas_nodes(scene).values():
        node.image.pixels.foreach_set([0.7, 0.1, 0.2, 1.0] * (len(node.image.pixels) // 4))
    render(scene, out / f"{folder.name} painted")
    bpy.data.scenes.remove(scene)
    for image in list(bpy.data.images):
        bpy.data.images.remove(image)

# -- a reader of files that are others now is ended, and what it would have said is not told ----------------------
folder = next(one for one in sorted(damaged.iterdir()) if seen["frames"][one.name])
frame_check.begin(folder)
process = frame_check._tasks[folder]._process
frame_check.forget(folder)
let_it_read()
seen["forgotten"] = [process.poll() is not None, frame_check.fault(folder)]

# -- pictures that cannot be an atlas ---------------------------------------------------------------------
assert bpy.ops.nvd.load_result(directory=f"{damaged / 'whole'}/") == {"FINISHED"}
scene = results.results()[0]
sign = results.atlas_nodes(scene)["sign"].image
own = results.path_of(sign)
shutil.copyfile(own, out / "own.exr")
size, first = tuple(sign.size), list(sign.pixels[:4])


def as_before() -> bool:
    """Whether the atlas is the one before, with its pixels, and nothing is left of another."""
    now = results.atlas_nodes(scene)["sign"].image
    others = [one for one in bpy.data.images if one.name in {path.name for path in atlases.iterdir()}]
    return now == sign and tuple(sign.size) == size and list(sign.pixels[:4]) == first and not others


atlas_files.look()
for picture in sorted(atlases.iterdir()):
    refused = fails(bpy.ops.nvd.exchange_atlas, layer="sign", filepath=str(picture))
    seen["exchange"][picture.name] = [refused, as_before()]
    if picture.suffix == ".exr":
        shutil.copyfile(picture, own)
        for _ in range(3):
            atlas_files.look()
        seen["watched"][picture.name] = [panel(), as_before()]
        seen["reload"][picture.name] = [fails(bpy.ops.nvd.reload_atlas, layer="sign"), as_before()]
    if not refused:  # back to its own
        shutil.copyfile(out / "own.exr", own)
        assert bpy.ops.nvd.exchange_atlas(layer="sign", filepath=str(own)) == {"FINISHED"}
        sign = results.atlas_nodes(scene)["sign"].image

# -- paint that is begun while such a file lies on the disk goes beside it, and over it when that is asked for ------
shutil.copyfile(atlases / "cropped.exr", own)
for _ in range(3):
    atlas_files.look()
sign.pixels[0] = 0.5
for _ in range(2):
    atlas_files.look()
seen["kept"] = [paint.keep(sign), own.read_bytes() == (atlases / "cropped.exr").read_bytes()]
sign.save()
for _ in range(3):
    atlas_files.look()
seen["mended"] = [panel(), sign.pixels[0]]
(out / "seen.json").write_text(json.dumps(seen))
