"""Runs inside Blender: sets the states that come in, a JSON object a line, and draws everything in each of them.

``python panel_session.py ZIP RESULT CLIPS OUT``; answers with what was drawn, or with the traceback. RESULT is a
finished decomposition; CLIPS holds ``pictures/``, ``movie.mp4`` and ``sound.wav``.
"""

import faulthandler
import json
import os
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path

zip_path, result, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ.pop("NVD_PYTHON", None)
faulthandler.enable()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Blender talks there

import bpy  # noqa: E402 (it reads the environment)
from recorder import drawn  # noqa: E402

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
package = "bl_ext.user_default.nvd_blender"
compat, compositor, job, jobs, preferences, previews, records, results = (
    __import__(f"{package}.{name}", fromlist=["*"])
    for name in ("compat", "compositor", "job", "jobs", "preferences", "previews", "records", "results")
)
protocol = __import__("nvd_core.protocol", fromlist=["*"])
ENGINES = {"absent": "", "wrong": "/nowhere/python", "present": sys.executable}


pictures = sorted((clips / "pictures").iterdir())
FILES = {
    "pictures": pictures[0], "picture": pictures[0],
    "movie": clips / "movie.mp4", "movie that goes": clips / "movie.mp4",
    "missing picture": "/nowhere/a.1.png", "missing movie": "/nowhere/movie.mp4", "sound": clips / "sound.wav",
}  # fmt: skip


def add_strip(kind: str, strips):
    place = {"name": kind, "channel": 1, "frame_start": 1}
    if kind == "meta":
        return strips.new_meta(**place)
    if kind == "scene":
        return strips.new_scene(scene=bpy.data.scenes.new("other"), **place)
    if kind not in FILES or (kind == "sound" and not bpy.app.build_options.audaspace):  # bpy 4.2 has no sound
        length = "length" if "length" in strips.bl_rna.functions["new_effect"].parameters else "frame_end"
        return strips.new_effect(type="TEXT" if kind == "sound" else kind, **place, **{length: 9})
    new = strips.new_sound if kind == "sound" else strips.new_image if "picture" in kind else strips.new_movie
    strip = new(filepath=str(FILES[kind]), **place)
    for picture in pictures[1:] * (kind == "pictures"):
        strip.elements.append(picture.name)
    if kind == "movie that goes":
        strip.filepath = "/nowhere/movie.mp4"
    return strip


def set_strip(scene, state: dict) -> None:
    scene.sequence_editor_clear()
    if state["kind"] == "no editor":
        return
    editor = scene.sequence_editor_create()
    if state["kind"] == "none":
        return
    strip = editor.active_strip = add_strip(state["kind"], compat.strips(editor))
    strip.mute, strip.name = state["mute"], state["name"] or "x"
    if state["retimed"] and state["kind"] in {"pictures", "movie"} and bpy.app.version >= (5, 2):  # it crashes earlier
        strip.retiming_keys.add(timeline_frame=2)
        return
    if strip.type in {"MOVIE", "IMAGE"}:
        strip.animation_offset_start, strip.animation_offset_end = state["hard"]
        strip.use_reverse_frames, strip.strobe = state["reversed"], state["strobe"]
    strip.frame_final_start, strip.frame_final_end = state["trim"]


def set_jobs(states: list[dict]) -> None:
    for one in jobs._jobs:
        previews.drop(one.key)
    jobs._jobs.clear()
    for index, state in enumerate(states):
        record = records.Record(out / f"none{index}", state["name"], Path(state["folder"]), 0.0, 0)
        added = job.Job(record, is_whole=state["whole"])
        for line in state["lines"]:
            if (event := protocol.decode(line)) is not None:
                added._take(event)
        added.state, added.error = state["state"], state["error"]
        jobs._jobs.append(added)


def lose_tree(scene) -> None:
    if compat.IS_5:
        scene.compositing_node_group = None
    else:
        scene.use_nodes = False


def lose_atlas_node(scene) -> None:
    compat.scene_tree(scene).nodes.remove(next(iter(results.atlas_nodes(scene).values())))


def lose_atlas(scene) -> None:
    next(iter(results.atlas_nodes(scene).values())).image = None


def lose_groups(scene) -> None:
    bpy.data.batch_remove([one for one in bpy.data.node_groups if one != compat.scene_tree(scene)])


DAMAGES = {
    "": lambda _scene: None,
    "folder gone": lambda _scene: [setattr(image, "filepath", "/nowhere/x.exr") for image in bpy.data.images],
    "renamed": lambda scene: setattr(scene, "name", "撮影 " * 9),
    "no nodes": lambda scene: compat.scene_tree(scene).nodes.clear(),
    "no atlas node": lose_atlas_node,
    "no atlas": lose_atlas,
    "no images": lambda _scene: bpy.data.batch_remove(list(bpy.data.images)),
    "no groups": lose_groups,
    "no tree": lose_tree,
}


def set_results(damages: list[str]) -> None:
    for scene in results.results():
        bpy.data.scenes.remove(scene)
    bpy.data.batch_remove([*bpy.data.node_groups, *bpy.data.images])
    for index, damage in enumerate(damages):
        folder = out / f"result{index}"
        if not folder.exists():
            folder.symlink_to(result)
        DAMAGES[damage](compositor.load_result(folder))


def set_state(state: dict) -> bpy.types.MovieClip | None:
    scene = bpy.context.scene
    preferences = bpy.context.preferences.addons[package].preferences
    preferences.python, preferences.neural, preferences.wheels = ENGINES[state["engine"]], *state["preferences"]
    if compat.IS_5:
        bpy.context.workspace.sequencer_scene = scene if state["has_sequencer_scene"] else None
    set_strip(scene, state["strip"])
    scene.nvd.masks.clear()
    for values in state["masks"]:
        mask = scene.nvd.masks.add()
        mask.name, mask.path, mask.source, mask.frames = values
    for name, value in state["settings"].items():
        setattr(scene.nvd.settings, name, value)
    scene.nvd.folder = state["folder"]
    set_jobs(state["jobs"])
    set_results(state["results"])
    clip = bpy.data.movieclips.load(str(FILES[state["clip"].removesuffix(" gone")])) if state["clip"] else None
    if "gone" in state["clip"]:
        clip.filepath = "/nowhere"
    return clip


def draw_all(clip: bpy.types.MovieClip | None) -> dict[str, list[str]]:
    seen = {}
    with bpy.context.temp_override(edit_movieclip=clip) if clip else nullcontext():
        for panel in bpy.types.Panel.__subclasses__():
            if panel.__module__.startswith(package) and getattr(panel, "poll", lambda _context: True)(bpy.context):
                for method in {"draw", "draw_header"} & set(dir(panel)):
                    seen[f"{panel.__name__}.{method}"] = drawn(panel, method=method).notes
        for scene in results.results():
            with bpy.context.temp_override(scene=scene):
                seen[f"layers of {scene.name}"] = drawn(bpy.types.NVD_PT_layers).notes
        chosen = bpy.context.preferences.addons[package].preferences
        seen["preferences"] = drawn(preferences.NVD_AP_preferences, chosen).notes
    if clip:
        bpy.data.movieclips.remove(clip)
    return seen


for line in sys.stdin:
    try:
        answer = draw_all(set_state(json.loads(line)))
    except Exception:  # noqa: BLE001 (it is the answer)
        answer = {"traceback": traceback.format_exc()}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
