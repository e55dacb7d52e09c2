"""Runs inside Blender: the clean plate of a result. What was seen goes to ``seen.json``.

``python clean_plate_session.py ZIP ENGINE_PYTHON RESULT FRAMES OUT``; RESULT is a finished decomposition of the
pictures in FRAMES.
"""

import json
import os
import shutil
import sys
from pathlib import Path

zip_path, engine_python, solved, frames, out = (Path(argument) for argument in sys.argv[1:6])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import add_pictures, fails, install, mode_of, modules, timeline, wait_until  # noqa: E402
from recorder import drawn  # noqa: E402

seen: dict = {}
install(zip_path)
clean_plate, compat, compositor, layers, results, tasks = modules(
    "jobs.clean_plate", "host.compat", "result.compositor", "result.layers", "result.scenes", "engine.tasks"
)
render = bpy.ops.nvd.render_clean_plate


def paint(image) -> None:
    """A bar across, not saved."""
    pixels = list(image.pixels)
    quarter = len(pixels) // 16 * 4
    pixels[quarter : 2 * quarter] = [0.6, 0.2, 0.05, 1.0] * (quarter // 4)
    image.pixels.foreach_set(pixels)


def panel() -> list[str]:
    with bpy.context.temp_override(scene=scene):
        return drawn(bpy.types.NVD_PT_layers).notes


def strips_of(edit) -> list:
    return [[one.type, one.channel, *compat.strip_span(one)[1:]] for one in compat.all_strips(edit)]


def holding(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} if folder.exists() else {}


# -- in no timeline: only files, of the result as it is set and painted -------------------------------------------
result = Path(shutil.copytree(solved, out / "shot_nvd"))
scene = compositor.load_result(result)
wall = results.atlas_nodes(scene)["background"].image
paint(wall)
layers.group_of(scene, "background").inputs["Light"].default_value = 0.25
assert render(kind="PNG", folder=str(out / "files")) == {"FINISHED"}
seen["saved"] = [wall.is_dirty, tasks.latest().warnings]
seen["unplaced"] = tasks.latest().success

# -- above its strip, in the folder that is offered; as what the eyes say -------------------------------------------
edit = bpy.context.scene
add_pictures(timeline(edit), frames.iterdir(), start=21)
seen["strips"] = []
for kind in ("EXR", "MOVIE"):
    assert render(kind=kind) == {"FINISHED"}
    seen["strips"].append(strips_of(edit)[-1])
seen["rendered"] = sorted(str(path.relative_to(out)) for path in (out / "shot_nvd_clean").rglob("*.*"))
seen["placed"] = [tasks.latest().success, panel()]
setattr(*mode_of(scene), True)
seen["meant"] = [clean_plate.meant(scene, ["sign", "dog"])]
bpy.ops.nvd.show_layer(layer="sign")
seen["meant"].append(clean_plate.meant(scene, ["sign", "dog"]))
assert render(kind="PNG", folder=str(out / "rebuilt")) == {"FINISHED"}
setattr(*mode_of(scene), False)

# -- files that are there ----------------------------------------------------------------------------------------
count, before = len(strips_of(edit)), holding(out / "files")
seen["there"] = [fails(render, kind="PNG", folder=str(out / "files")), holding(out / "files") == before, panel()]
seen["left_alone"] = len(strips_of(edit)) - count
assert render(kind="PNG", folder=str(out / "files"), replace=True) == {"FINISHED"}
after = holding(out / "files")
seen["replaced"] = [after.keys() == before.keys(), all(after[name] > before[name] for name in before)]

# -- cancelled ---------------------------------------------------------------------------------------------------
seen["cancelled"] = []
for kind in ("PNG", "MOVIE"):
    count = len(strips_of(edit))
    task = clean_plate.start(scene, ["sign"], out / "new" / "cancelled", kind, replaces=False)
    wait_until(lambda: task.progress.share > 0, task.poll)  # noqa: B023 (it is called at once)
    during = panel()
    assert bpy.ops.nvd.end_clean_plate() == {"FINISHED"}
    wait_until(lambda: task.state != "running", task.poll)  # noqa: B023
    there = (out / "new").exists() or len(strips_of(edit)) != count
    seen["cancelled"].append([task.state, there, during, panel()])
assert bpy.ops.nvd.end_clean_plate() == {"FINISHED"}
seen["forgotten"] = [tasks.latest() is None, panel()]

# -- refusals ----------------------------------------------------------------------------------------------------
seen["none_chosen"] = fails(render, objects=[{"name": "sign", "is_taken_out": False}])
seen["film"] = fails(render, kind="PNG", folder=str(out / "film.mp4"))
own = out / "own.exr"
shutil.copy(result / "atlas" / "background.exr", own)
bpy.ops.nvd.exchange_atlas(result=scene.name, layer="background", filepath=str(own))
paint(results.atlas_nodes(scene)["background"].image)
digest = own.read_bytes()
seen["own_file"] = [fails(render), own.read_bytes() == digest]
bpy.ops.nvd.save_atlas(result=scene.name, layer="background")
assert render(kind="PNG", folder=str(out / "exchanged")) == {"FINISHED"}
layers.group_of(scene, "background").inputs["Gain"].keyframe_insert("default_value", frame=1)
assert render(kind="PNG", folder=str(out / "animated")) == {"FINISHED"}
seen["animated"] = tasks.latest().warnings
alone = Path(shutil.copytree(solved, out / "alone_nvd"))
manifest = alone / "manifest.json"
manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"layers": ["background"]}))
seen["no_object"] = fails(render, result=compositor.load_result(alone).name)
seen["made_nothing"] = not (out / "alone_nvd_clean").exists()
shutil.rmtree(result)
seen["gone"] = fails(render, result=scene.name)
(out / "seen.json").write_text(json.dumps(seen))
