"""Runs inside Blender: masks from what an artist has there. What was seen goes to ``seen.json``.

``python masks_session.py ZIP ENGINE_PYTHON CLIPS OUT``; test_mask_sources.py says what CLIPS holds and what OUT is for.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)
os.environ["PYTHONPATH"] = str(out / "others")  # neither the worker nor the second Blender must need or believe it
(out / "others").mkdir()
(out / "others" / "host.py").write_text("raise SystemExit('This is not our host.')")

import bpy  # noqa: E402 (it reads the environment)
from installed import add_pictures, fails, install, modules, poll_until, timeline  # noqa: E402

seen: dict = {}
install(zip_path)
carried, compat, diagnostics, footage, jobs, keys, mattes, objects_panel, outlook, results, decompose = modules(
    "result.generated_masks",
    "host.compat",
    "jobs.diagnostics",
    "source.footage",
    "jobs.queue",
    "source.key_frames",
    "source.mattes",
    "ui.objects_panel",
    "jobs.forecast",
    "result.scenes",
    "operators.decompose",
)


def spline(layer, corners, feather=0.0):
    new = layer.splines.new()
    new.points.add(len(corners) - 1)  # it begins with one
    new.use_cyclic = True
    for point, corner in zip(new.points, corners, strict=True):
        point.handle_left_type = point.handle_right_type = "VECTOR"
        point.co = point.handle_left = point.handle_right = corner
        point.weight = feather
    return new


def ask(*wanted: dict) -> None:
    """The objects of the strip and of the clip, front to back."""
    for group in (shot.nvd, clip.nvd):
        group.masks.clear()
        for one in wanted:
            item = group.masks.add()
            for name, value in one.items():
                setattr(item, name, value)


def started(place: Path) -> subprocess.Popen:
    """The second Blender, on the objects of what is selected."""
    place.mkdir()
    mattes.masks_of(footage.selected(bpy.context)).leave(place)
    command = mattes.rendering_command(place)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


def half_rendered(place: Path) -> list[Path]:
    return list(place.glob("mattes.*/*/*.png"))


# -- a strip of pictures with alpha, numbered from 101, of which the first two are trimmed away; it stands at 23 -----
scene = bpy.context.scene
strips = timeline(scene)


def add_strip(folder: str, start: int, channel: int):
    return add_pictures(strips, (clips / folder).iterdir(), folder, channel, start)


shot = add_strip("shot", 21, 1)
shot.frame_final_start = 23
disc = add_strip("disc", 22, 2)
scene.sequence_editor.active_strip = shot
scene.nvd.settings.preset = "preview"
clip = bpy.data.movieclips.load(str(clips / "shot" / "shot.0101.png"))

# -- masks ---------------------------------------------------------------------------------------------
asked = json.loads((clips / "asked.json").read_text())
drawn = bpy.data.masks.new("Drawn mask")
spline(drawn.layers.new(name="hard"), asked["hard"])
spline(drawn.layers.new(name="soft"), asked["soft"], feather=0.5)
hidden = drawn.layers.new(name="hidden")
spline(hidden, [(0, 0), (1, 0), (1, 1), (0, 1)])
hidden.hide_render = True
track = clip.tracking.tracks.new(name="corner", frame=1)
for frame in range(1, 40):
    track.markers.insert_frame(frame, co=(asked["track"][0] + asked["step"] * (frame - 1), asked["track"][1]))
tracked = bpy.data.masks.new("Tracked")
scene.frame_set(1)  # a point keeps the place that it has in the frame in which it gets its parent
for point in spline(tracked.layers.new(name="only"), asked["tracked"]).points:
    parent = point.parent
    parent.id_type, parent.id, parent.type = "MOVIECLIP", clip, "POINT_TRACK"
    parent.parent, parent.sub_parent = clip.tracking.objects.active.name, track.name

blender = {"source": "MASK", "mask": drawn, "still": True}
ask(
    {"name": "hard", "layer": "hard"} | blender,
    {"name": "soft", "layer": "soft"} | blender,
    {"name": "all"} | blender,
    {"name": "footage", "source": "MASK", "mask": tracked},
    {"name": "timeline", "source": "MASK", "mask": tracked, "clock": "TIMELINE"},
)
seen["rendered"] = started(out / "record").wait()
with bpy.context.temp_override(edit_movieclip=clip):
    clip.frame_start = 11
    seen["clip_start"] = [footage.selected(bpy.context).start, footage.selected(bpy.context).timeline]
    clip.frame_start = 1

# -- carried: the strip's frames 101 and 102 are trimmed away, and 103 stands at 23 -------------------------------
still = strips.new_image(name="still", filepath=str(clips / "disc" / "mask.0105.png"), channel=4, frame_start=1)
keyed = {
    "drawn": {"source": "MASK", "mask": tracked, "keys": "108, 104", "clock": "TIMELINE"},
    "beside": {"source": "STRIP", "strip": "disc", "keys": "105"},
    "still": {"source": "STRIP", "strip": "still", "keys": "106"},
    "file": {"source": "FILE", "picture": "/nowhere/sign.png", "path": "/nowhere", "keys": "103"},
    "alpha": {"source": "ALPHA", "keys": "105"},
}
ask(*({"name": name} | one for name, one in keyed.items()))
masks = mattes.masks_of(footage.selected(bpy.context))
seen["keys"] = [[one["name"], Path(one["path"]).name, one.get("frame")] for one in masks.job]
seen["carried_rendered"] = started(out / "carried").wait()
scene.frame_current = 28
ask({"source": "MASK", "mask": drawn}, {"source": "FILE"})
seen["buttons"] = []
for index, actions in ((0, ["ADD", "ADD", "CLEAR", "ADD"]), (1, ["ADD", "ADD"])):
    shot.nvd.active_mask = index
    for action in actions:
        bpy.ops.nvd.carry_mask(action=action)
        seen["buttons"].append(shot.nvd.masks[index].keys)
        scene.frame_current -= 1
seen["beside_it"] = fails(bpy.ops.nvd.carry_mask, action="ADD")
scene.frame_current = 28
ask(*({"source": "FILE", "path": f"masks/{name}"} for name in ("sign.png", "sign.####.png", "sign.mov")))
for shot.nvd.active_mask in range(3):
    bpy.ops.nvd.carry_mask(action="ADD")
seen["carried_pictures"] = [one.picture for one in shot.nvd.masks]
seen["expected"] = []
for wanted, find in (([], "nothing"), ([], "moving"), ([blender], "moving"), ([blender | {"keys": "105"}], "moving")):
    ask(*wanted)
    scene.nvd.settings.find = find
    seen["expected"].append(outlook.expected(footage.selected(bpy.context)).seconds)
with bpy.context.temp_override(edit_movieclip=clip):
    clip.frame_start = 11
    ask(blender | {"keys": "102"})
    seen["clip_timeline"] = [keys.in_timeline(one, footage.selected(bpy.context)) for one in clip.nvd.masks]
    seen["clip_keys"] = [one["frame"] for one in mattes.masks_of(footage.selected(bpy.context)).job]
    clip.frame_start = 1
strips.remove(still)

ask(blender)
orphan = started(out / "orphan")
orphan.stdin.close()  # what it sees of a Blender that is killed
seen["orphan"] = [orphan.wait(), (out / "orphan" / "mattes").exists()]

# -- refusals -------------------------------------------------------------------------------------------
refused = {
    "no_file": {"source": "FILE"},
    "no_mask": {"source": "MASK"},
    "no_layer": {"layer": "none"} | blender,
    "hidden_layer": {"layer": "hidden"} | blender,
    "nothing_drawn": {"source": "MASK", "mask": bpy.data.masks.new("Empty")},
    "no_strip": {"source": "STRIP", "strip": "none"},
    "itself": {"source": "STRIP", "strip": "shot"},
    "no_frames": {"keys": "12-14"} | blender,
    "not_shown": {"keys": "109"} | blender,
    "before": {"keys": "102"} | blender,
    "many_files": {"source": "FILE", "picture": "a.png", "keys": "103 104"},
    "no_picture": {"source": "FILE", "path": "/nowhere", "keys": "103"},
    "ended": {"source": "STRIP", "strip": "disc", "keys": "108"},
    "too_short": {"source": "STRIP", "strip": "disc"},
}
disc.frame_final_end -= 2
for name, wanted in refused.items():
    ask(wanted)
    seen[name] = fails(bpy.ops.nvd.decompose_clip)
disc.frame_final_end += 2
disc.use_reverse_frames = True
seen["reversed"] = fails(bpy.ops.nvd.decompose_clip)
disc.use_reverse_frames = False
with bpy.context.temp_override(edit_movieclip=clip):
    seen["in_clip_editor"] = fails(bpy.ops.nvd.decompose_clip)
ask(blender)
(out / "broken.png").write_bytes(b"no picture")
with bpy.context.temp_override(edit_movieclip=bpy.data.movieclips.load(str(out / "broken.png"))):
    seen["broken"] = fails(bpy.ops.nvd.decompose_clip)
broken = scene.sequence_editor.active_strip = strips.new_image(
    name="broken", filepath=str(out / "broken.png"), channel=3, frame_start=1
)
item = broken.nvd.masks.add()
item.source, item.mask = "MASK", drawn
seen["no_size"] = fails(bpy.ops.nvd.decompose_clip)
scene.sequence_editor.active_strip = shot
seen["records_after_refusals"] = len(list(jobs._place().iterdir())) if jobs._place().is_dir() else 0

# -- drawn on one frame alone, or on two ------------------------------------------------------------------------
before = [len(bpy.data.scenes), len(bpy.data.node_groups)]
ask(blender | {"still": False})
seen["one_frame"] = fails(bpy.ops.nvd.decompose_clip)
window = bpy.context.window_manager.windows[0]
area = window.screen.areas[0]
area.type = "CLIP_EDITOR"
space, two = area.spaces.active, bpy.data.masks.new("Two")
corners = spline(two.layers.new(name="only"), asked["hard"])
space.clip, space.mode, space.mask, two.layers.active = clip, "MASK", two, two.layers[0]
region = next(region for region in area.regions if region.type == "WINDOW")
with bpy.context.temp_override(window=window, area=area, region=region, space_data=space):
    for frame in (1, 5):
        window.scene.frame_set(frame)
        for point in corners.points:
            point.select, point.co = True, (point.co[0] + 0.01 * frame, point.co[1])
        assert bpy.ops.mask.shape_key_insert() == {"FINISHED"}
seen["moves"] = [mattes._moves(one, 6) for one in (drawn, tracked, two)]
seen["left_by_looking"] = [len(bpy.data.scenes), len(bpy.data.node_groups)] == before

# -- killed and cancelled while masks are rendered --------------------------------------------------------
shot.nvd.folder = str(out / "many")
ask(*({"name": f"object{index}"} | blender for index in range(40)))
job = decompose.start_job(bpy.context, resume=False)
poll_until(lambda: half_rendered(job.record.place))
seen["stage"] = [job.stage, job.state]
job._process.kill()
poll_until(lambda: not job.is_active)
seen["killed"] = [job.state, job.error, job.record.lacks_mattes, half_rendered(job.record.place)]
seen["diagnostics"] = diagnostics.text(job)
again = jobs.resume(job)
poll_until(lambda: 0 < again.done < 1)
bpy.ops.nvd.cancel(job=again.key)
process = again._process
poll_until(lambda: not again.is_active)
seen["cancelled"] = [again.state, process.returncode, half_rendered(again.record.place), (out / "many").exists()]
jobs.forget(again)
seen["left_by_cancelled"] = list(map(str, jobs._place().iterdir()))

# -- the whole job, which Blender leaves while it renders, and which is cancelled and begun again by name --------
shot.nvd.folder = str(out / "result")
ask(
    {"name": "poly", "layer": "hard"} | blender,
    {"name": "disc", "source": "STRIP", "strip": "disc"},
    {"name": "sign", "source": "ALPHA", "locked": True},
    {"name": "blob", "layer": "soft", "keys": "105", "locked": True} | blender,
)
job = decompose.start_job(bpy.context, resume=False)
poll_until(lambda: job.stage == "rasterise")
job.abandon()
job.end_by(time.monotonic() + 10)
jobs._jobs.clear()
jobs.look_for_left()
(left,) = jobs.listed()
seen["left"] = [left.state, left.record.lacks_mattes]
again = jobs.resume(left)
poll_until(lambda: list((out / "result" / "checkpoint").glob("*.map.safetensors")))
bpy.ops.nvd.cancel(job=again.key)
poll_until(lambda: not again.is_active)
seen["taken_up"] = [again.state, again.warnings]
seen["whole"] = list(bpy.ops.nvd.decompose_clip(resume=True))
seen["warnings"] = jobs.listed()[-1].warnings
seen["left_by_jobs"] = list(map(str, jobs._place().iterdir()))
pressed = SimpleNamespace(resume=False, existing="AUTO", execute=lambda _context: "refused")
shot.nvd.masks[0].still = False
seen["pressed"] = decompose.NVD_OT_decompose_clip.invoke(pressed, bpy.context, None)
shot.nvd.masks[0].still = True

# -- masks that were carried are corrected: a corner of one is painted white -------------------------------------------
result = results.results()[0]
result.frame_set(106)
seen["correctable"] = [carried.has_masks(result, layer) for layer in ("blob", "poly")]
brush = compat.brush(result)
brush.color, brush.secondary_color = (0.5, 0.25, 1.0), (1.0, 0.5, 0.25)
seen["brush"] = []
for choose, options in (("correct_mask", {}), ("mask_brush", {"is_object": False}), ("paint_atlas", {})):
    getattr(bpy.ops.nvd, choose)(layer="blob", **options)
    seen["brush"].append([*brush.color, *brush.secondary_color])
bpy.ops.nvd.correct_mask(layer="blob")
mask = bpy.context.scene.tool_settings.image_paint.canvas
pixels = list(mask.pixels)
pixels[: 4 * 10] = [1.0] * 40  # Blender counts from the bottom
seen["unsaved"] = [len(carried.unsaved(result, "blob"))]
mask.pixels[:] = pixels
seen["unsaved"] += [len(carried.unsaved(result, "blob"))]
bpy.ops.nvd.save_masks(layer="blob")
seen["unsaved"] += [len(carried.unsaved(result, "blob")), Path(mask.filepath).name, mask.depth]
seen["given"] = fails(bpy.ops.nvd.correct_mask, layer="poly")
result.frame_set(109)
seen["no_frame"] = fails(bpy.ops.nvd.correct_mask, layer="blob")
result.frame_set(107)
bpy.ops.nvd.correct_mask(layer="blob")
mask = bpy.context.scene.tool_settings.image_paint.canvas
pixels = list(mask.pixels)
pixels[: 4 * 10] = [1.0] * 40
mask.pixels[:] = pixels
jobs.start("again", out / "result", {"clip": "/nowhere"}, resume=False)
seen["unsaved"] += [len(carried.unsaved(result, "blob"))]
poll_until(lambda: not jobs.any_running())
jobs.forget(jobs.listed()[-1])

# -- the list -------------------------------------------------------------------------------------------------
ask()
for action in ("ADD", "ADD", "ADD", "UP", "UP", "UP", "DOWN", "ADD", "REMOVE"):
    bpy.ops.nvd.edit_objects(action=action)
seen["order"] = [[mask.name for mask in shot.nvd.masks], shot.nvd.active_mask]


class Layout:
    """What a panel draws on: the names of properties are noted."""

    def __init__(self, notes) -> None:
        self.notes = notes

    def __getattr__(self, name):
        def draw(*arguments, **options):
            self.notes += arguments[1:2] if name.startswith("prop") else ()
            return SimpleNamespace() if name == "operator" else Layout(self.notes)

        return draw


seen["drawn"] = {}
shot.nvd.active_mask = 0
for source in ("FILE", "MASK", "STRIP", "ALPHA"):
    ask({"source": source, "mask": drawn})
    chosen = footage.of(shot, scene)
    objects_panel.draw_objects(Layout(notes := []), shot.nvd, [], scene, chosen, are_strips=True)
    shot.nvd.masks[0].keys = "105"
    objects_panel.draw_objects(Layout(with_frames := []), shot.nvd, [], scene, chosen, are_strips=True)
    seen["drawn"][source] = [notes, with_frames]
ask()
objects_panel.draw_objects(Layout(notes := []), shot.nvd, [], scene, chosen, are_strips=True)
seen["drawn"][""] = notes
(out / "seen.json").write_text(json.dumps(seen, default=str))
