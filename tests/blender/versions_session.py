"""Runs inside Blender: one result after another, beside or over what is there. What was seen goes to ``seen.json``.

``python versions_session.py ZIP ENGINE_PYTHON CLIPS OUT``; CLIPS holds pictures, ``shot.0001.png`` and
``other.0001.png`` and so on, and ``masks/`` of both.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import add_pictures, fails, install, modules, poll_until, timeline  # noqa: E402
from recorder import drawn  # noqa: E402

seen: dict = {}
install(zip_path)
compat, compositor, decompose, edit, footage, frame_check, jobs, outlook, results = modules(
    "host.compat",
    "result.compositor",
    "operators.decompose",
    "result.conform",
    "source.footage",
    "jobs.frame_check",
    "jobs.queue",
    "jobs.forecast",
    "result.scenes",
)
scene = bpy.context.scene
scene.nvd.settings.preset = "preview"
strips = timeline(scene)


def add_strip(name: str, channel: int, first: int = 0, count: int = 8):
    new = add_pictures(strips, clips.glob(f"{name}.*.png"), name, channel)
    new.frame_final_start, new.frame_final_end = 1 + first, 1 + first + count
    item = new.nvd.masks.add()
    item.name, item.path = "sign", str(clips / "masks")
    return new


def run(strip, **options) -> str:
    scene.sequence_editor.active_strip = strip
    heading = outlook.heading(bpy.context)
    assert bpy.ops.nvd.decompose_clip(**options) == {"FINISHED"}
    return heading


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def paint(image, colour) -> None:
    image.pixels.foreach_set([*colour, 1.0] * (len(image.pixels) // 4))


def atlas(folder: Path, layer: str):
    return results.atlas_nodes(results.result_scene(folder))[layer].image


# -- two halves of a clip, and a second clip whose output is still the first one's -----------------------
first_half, second_half = add_strip("shot", 1, 0, 4), add_strip("shot", 2, 4, 4)
shot = clips / "shot_nvd"
seen["headings"] = [run(first_half)]
before = content(shot)
seen["headings"].append(run(second_half))
other = add_strip("other", 3)
other.nvd.folder = str(shot)
seen["headings"].append(run(other))
seen["untouched"] = [content(shot) == before]
seen["scenes"] = {
    str(results.folder_of(one).relative_to(clips)): [
        one.name,
        one.frame_start,
        one.frame_end,
        results.plate_of(one).name,
    ]
    for one in results.results()
}

# -- the object is renamed over unsaved paint --------------------------------------------------------------------
paint(atlas(shot, "sign"), (0.9, 0.0, 0.9))
first_half.nvd.masks[0].name = "car"
seen["no_own"] = fails(bpy.ops.nvd.decompose_clip, existing="REPLACE") if run(first_half) else ""
renamed = atlas(shot, "sign")
seen["renamed"] = [renamed.is_dirty, [round(value, 2) for value in renamed.pixels[:3]], renamed.users > 0]
seen["untouched"].append(content(shot) == before)

# -- written over: paint is saved first, and stays -----------------------------------------------------------------
first_half.nvd.masks[0].name = "sign"
scene.sequence_editor.active_strip = first_half
edit_scene = results.result_scene(shot)
twin = add_strip("shot", 9, 0, 4)
scene.sequence_editor.active_strip = twin
seen["meant"] = [edit.place_meant(bpy.context, edit_scene).strip == twin, edit.place_of(edit_scene).strip == twin]
strips.remove(twin)
scene.sequence_editor.active_strip = first_half
assert bpy.ops.nvd.add_result(result=edit_scene.name) == {"FINISHED"}
seen["holding"] = decompose._holding(outlook.output_of(footage.selected(bpy.context)).own)
frame_check._faults[results.folder_of(edit_scene)] = "A frame is damaged."
seen["damaged"] = [frame_check.fault(results.folder_of(edit_scene))]
assert bpy.ops.nvd.decompose_clip(existing="REPLACE") == {"FINISHED"}
seen["damaged"].append(frame_check.fault(results.folder_of(results.result_scene(shot))))
seen["replaced"] = jobs.listed()[-1].warnings
image = atlas(shot, "sign")
seen["painted"] = [image.is_dirty, [round(value, 2) for value in image.pixels[:3]]]
seen["strips"] = [one.scene == results.result_scene(shot) for one in strips if one.type == "SCENE"]
seen["folders"] = sorted(path.name for path in clips.glob("*_nvd*"))

# -- halves that wait for each other ---------------------------------------------------------------------------------
for strip in (first_half, second_half):
    strip.nvd.folder = str(out / "queued")
    scene.sequence_editor.active_strip = strip
    decompose.start_job(bpy.context, resume=False)
seen["queued"] = [job.folder.name for job in jobs.listed() if job.is_active]
scene.sequence_editor.active_strip = first_half
seen["twice"] = fails(bpy.ops.nvd.decompose_clip)
poll_until(lambda: not jobs.any_running())
seen["queued_done"] = [job.state for job in jobs.listed()]

# -- paint on an atlas that was solved anew meanwhile; a mask that was corrected and not saved; no file ------------
queued = next(job for job in jobs.listed() if job.folder.name == "queued")
image = atlas(queued.folder, "sign")
solved = round(image.pixels[0], 2)
paint(image, (0.9, 0.0, 0.9))
queued.load()
seen["loaded_again"] = [queued.state, image.is_dirty, round(image.pixels[0], 2)]
os.utime(queued.folder / "atlas/sign.orig.exr", ns=(1, 1))
queued.load()
aside = bpy.data.images.load(str(queued.folder / "atlas/sign.paint.exr"))
seen["aside"] = [queued.state, image.is_dirty, round(image.pixels[0], 2) == solved, round(aside.pixels[0], 2)]
seen["aside_told"] = queued.warnings
results.atlas_nodes(results.result_scene(queued.folder))["sign"].image = bpy.data.images.new("mine", 8, 8)
queued.load()
seen["mine"] = [queued.state, atlas(queued.folder, "sign").name]
result = results.result_scene(queued.folder).name
seen["no_file"] = fails(bpy.ops.nvd.reload_atlas, result=result, layer="sign")
assert bpy.ops.nvd.revert_atlas(result=result, layer="sign") == {"FINISHED"}
(queued.folder / "masks/sign").mkdir(parents=True)
corrected = shutil.copy(next((clips / "masks").iterdir()), queued.folder / "masks/sign/sign.0001.png")
mask = compositor.load_picture(Path(corrected), "Non-Color")
paint(mask, (1.0, 1.0, 1.0))

# -- resumed: with the masks as they are by then, and where that can help ------------------------
first_half.nvd.folder, scene.sequence_editor.active_strip = str(out / "resumed"), first_half
job = decompose.start_job(bpy.context, resume=False)
poll_until(lambda: list((out / "resumed" / "checkpoint").glob("*.safetensors")))
job.cancel()
poll_until(lambda: not jobs.any_running())
asked, others = job.record.job, [{"name": "other"}]
seen["unfinished"] = [
    bool(decompose._unfinished(one, out / "resumed"))
    for one in (asked, asked | {"masks": others}, asked | {"settings": {"frames": "2-3"}}, asked | {"clip": "/nowhere"})
]
resume, given = jobs.resume, []
jobs.resume = lambda job, masks: given.append(masks) or job
name, first_half.name = first_half.name, "renamed"
fails(bpy.ops.nvd.resume_job, job=job.key)
first_half.name = name
fails(bpy.ops.nvd.resume_job, job=job.key)
first_half.nvd.masks.clear()
fails(bpy.ops.nvd.resume_job, job=job.key)
first_half.nvd.masks.add().name = "sign"
jobs.resume, seen["given"] = resume, [masks is not None for masks in given]
shutil.copytree(clips / "masks", clips / "corrected")
first_half.nvd.masks[0].path = str(clips / "corrected")
seen["resumed"] = [job.state, job.can_resume, list(bpy.ops.nvd.resume_job(job=job.key))]
seen["resumed"] += [json.loads((out / "resumed" / "manifest.json").read_text())["masks"][0]["path"]]
seen["told"] = jobs.listed()[-1].warnings
assert mask.is_dirty
bad = jobs.start("bad", out / "queued_v009", {"clip": "/nowhere.mp4"}, resume=False)
poll_until(lambda: not jobs.any_running())
seen["mask"] = [mask.is_dirty, bad.warnings]
seen["bad"] = [bad.state, bad.can_resume, drawn(bpy.types.NVD_PT_sequencer_job).buttons]
(out / "seen.json").write_text(json.dumps(seen))
