"""Runs inside Blender: what happens while a job runs, or beside Blender. What was seen goes to ``seen.json``.

``python meanwhile_session.py ZIP ENGINE_PYTHON CLIPS OUT``; CLIPS holds pictures, ``shot.0001.png`` and so on, and
``one.png`` and ``other.png``, two masks of the first.
"""

import json
import os
import shutil
import sys
from pathlib import Path

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import add_pictures, install, modules, poll_until, timeline  # noqa: E402
from recorder import drawn  # noqa: E402

seen: dict = {}
install(zip_path)
atlas_files, carried, compat, decompose, jobs, paint_kept, results = modules(
    "result.atlas_files",
    "result.generated_masks",
    "host.compat",
    "operators.decompose",
    "jobs.queue",
    "result.paint",
    "result.scenes",
)
RESULT = out / "result"
MASKS = RESULT / "masks" / "sign"


def set_up() -> None:
    """A strip whose only object is carried from its first frame."""
    scene = bpy.context.scene
    scene.nvd.settings.preset = "preview"
    strip = add_pictures(timeline(scene), clips.glob("shot.*.png"))
    scene.sequence_editor.active_strip = strip
    item = strip.nvd.masks.add()
    item.name, item.picture, item.keys = "sign", str(clips / "one.png"), "1"
    strip.nvd.folder = str(RESULT)


def start(folder: Path, **options):
    bpy.context.scene.sequence_editor.active_strip.nvd.folder = str(folder)
    return decompose.start_job(bpy.context, resume=False, **options)


def finish() -> None:
    poll_until(lambda: not jobs.any_running())


def correct(number: int, value: float = 1.0):
    """Paint on the lowest rows of a mask, and leave it unsaved."""
    result = results.result_scene(RESULT)
    result.frame_set(number)
    bpy.ops.nvd.correct_mask(result=result.name, layer="sign")
    mask = bpy.context.scene.tool_settings.image_paint.canvas
    pixels = list(mask.pixels)
    pixels[: 4 * 10] = [value, value, value, 1.0] * 10
    mask.pixels[:] = pixels
    return mask


def said() -> list[str]:
    result = results.result_scene(RESULT)
    with bpy.context.temp_override(scene=result):
        return drawn(bpy.types.NVD_PT_layers).notes


# -- a job ends while its file is open: as it was, saved under another name, and opened again ------------------
set_up()
job = start(RESULT)
bpy.ops.wm.save_as_mainfile(filepath=str(out / "a.blend"))
finish()
seen["saved_meanwhile"] = [job.state, len(results.results())]
bpy.ops.wm.save_mainfile()
job = start(out / "again")
bpy.ops.wm.read_homefile(use_empty=True)
bpy.ops.wm.open_mainfile(filepath=str(out / "a.blend"))
finish()
seen["opened_again"] = [job.state, len(results.results())]
bpy.ops.wm.save_mainfile()

# -- a job ends while another file is open -------------------------------------------------------------------------
job = start(out / "elsewhere")
bpy.ops.wm.read_homefile(use_empty=True)
bpy.ops.wm.save_as_mainfile(filepath=str(out / "b.blend"))
before = [len(bpy.data.scenes), len(bpy.data.images)]
finish()
seen["elsewhere"] = [job.state, job.error, [len(bpy.data.scenes), len(bpy.data.images)] == before]
seen["offered"] = drawn(bpy.types.NVD_PT_sequencer_job).notes
jobs.look_for_left()
seen["found_again"] = drawn(bpy.types.NVD_PT_sequencer_job).notes
bpy.ops.wm.open_mainfile(filepath=str(out / "a.blend"))
seen["not_by_itself"] = len(results.results())
(left,) = (one for one in jobs.listed() if one.folder.name == "elsewhere")
seen["loaded"] = [list(bpy.ops.nvd.load_job(job=left.key)), results.result_scene(out / "elsewhere") is not None]
seen["records"] = len(list(jobs._place().iterdir()))

# -- masks that are painted while a job makes them anew ----------------------------------------------------------------
item = bpy.context.scene.sequence_editor.active_strip.nvd.masks[0]
seen["aside"] = []
for picture in ("other", "one"):
    item.picture = str(clips / f"{picture}.png")
    job = start(RESULT, existing="REPLACE")
    dirty, untouched = correct(3, 0.75), correct(5, 0.25)
    saved = correct(4)
    saved.save()
    untouched.reload()
    finish()
    told = [one for one in job.warnings if "your paint was saved" in one]
    seen["aside"].append([job.state, dirty.is_dirty, told])
files = sorted(path.name for path in MASKS.iterdir())
seen["files"] = [name for name in files if "paint" in name]
pictures = [bpy.data.images.load(str(MASKS / name)) for name in seen["files"]]
seen["paint"] = [round(picture.pixels[0], 2) for picture in pictures]
seen["anew"] = [round(dirty.pixels[0], 2), json.loads((RESULT / "masks/masks.json").read_text())["kept"]]
seen["goes_on"] = list(bpy.ops.nvd.decompose_clip(existing="REPLACE"))

# -- masks that another program saves ------------------------------------------------------------------------------
bpy.context.scene.tool_settings.image_paint.canvas = None
atlas_files.look()
other = MASKS / "sign.0008.png"


def save_elsewhere(path: Path, *, stamp: int) -> None:
    shutil.copyfile(other, path)
    os.utime(path, ns=(stamp, stamp))
    for _ in range(2):
        atlas_files.look()


mask = correct(6)
atlas_files.look()
save_elsewhere(MASKS / "sign.0006.png", stamp=10**18)
seen["with_paint"] = [mask.is_dirty, paint_kept.is_newer_on_disk(mask), said()]
bpy.ops.nvd.correct_mask(layer="sign", result=results.result_scene(RESULT).name)
seen["still"] = [mask.is_dirty, round(mask.pixels[0], 2)]
assert bpy.ops.nvd.reload_masks(layer="sign", result=results.result_scene(RESULT).name) == {"FINISHED"}
seen["reloaded"] = [mask.is_dirty, round(mask.pixels[0], 2), "nvd.reload_masks" in said()]
save_elsewhere(MASKS / "sign.0006.png", stamp=10**18 + 10**9)  # it is shown, and holds no paint
seen["shown"] = [mask.is_dirty, paint_kept.is_newer_on_disk(mask)]
mask = correct(6)
save_elsewhere(MASKS / "sign.0006.png", stamp=10**18 + 2 * 10**9)
bpy.context.scene.tool_settings.image_paint.canvas = None  # the playhead has moved on: it holds paint nevertheless
seen["moved_on"] = [paint_kept.is_newer_on_disk(mask), "nvd.reload_masks" in said()]
bpy.ops.nvd.save_masks(layer="sign", result=results.result_scene(RESULT).name)
seen["saved_over"] = [mask.is_dirty, "nvd.reload_masks" in said()]
mask = correct(6, 0.5)
atlas_files.look()
seen["after"] = paint_kept.is_newer_on_disk(mask)
save_elsewhere(MASKS / "sign.0006.png", stamp=10**18 + 3 * 10**9)
seen["kept"] = paint_kept.keep_all(RESULT)
(out / "seen.json").write_text(json.dumps(seen))
