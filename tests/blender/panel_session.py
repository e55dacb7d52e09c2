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
from types import SimpleNamespace

zip_path, result, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ.pop("NVD_PYTHON", None)
faulthandler.enable()
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Blender talks there

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, install, modules  # noqa: E402
from recorder import Layout, drawn  # noqa: E402

install(zip_path)
compat, compositor, tasks, job, jobs, menus, preferences, previews, progress, properties, records, results = modules(
    "host.compat",
    "result.compositor",
    "engine.tasks",
    "jobs.job",
    "jobs.queue",
    "ui.menus",
    "ui.preferences",
    "jobs.previews",
    "ui.progress",
    "source.properties",
    "source.records",
    "result.scenes",
)
footage, mattes, objects = modules("source.footage", "source.mattes", "source.objects")
protocol = __import__("nvd_core.spec.protocol", fromlist=["*"])
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
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.python, preferences.neural, preferences.wheels = ENGINES[state["engine"]], *state["preferences"]
    if compat.IS_5:
        bpy.context.workspace.sequencer_scene = scene if state["has_sequencer_scene"] else None
    set_strip(scene, state["strip"])
    clip = bpy.data.movieclips.load(str(FILES[state["clip"].removesuffix(" gone")])) if state["clip"] else None
    if "gone" in state["clip"]:
        clip.filepath = "/nowhere"
    strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
    for group in [one.nvd for one in (scene, strip, clip) if one]:
        group.masks.clear()
        for values in state["masks"]:
            mask = group.masks.add()
            mask.name, mask.path, mask.source, mask.keys = values
        group.folder = state["folder"]
    for name, value in state["settings"].items():
        setattr(scene.nvd.settings, name, value)
    set_jobs(state["jobs"])
    failed = tasks.Task("Install", (), out / "log", state="failed", error=state.get("task", ""))
    tasks._latest[:] = [failed] if failed.error else []
    set_results(state["results"])
    return clip


def draw_all(clip: bpy.types.MovieClip | None) -> dict[str, list[str]]:
    seen = {}
    with bpy.context.temp_override(edit_movieclip=clip) if clip else nullcontext():
        for panel in bpy.types.Panel.__subclasses__():
            if panel.__module__.startswith(PACKAGE) and getattr(panel, "poll", lambda _context: True)(bpy.context):
                for method in {"draw", "draw_header"} & set(dir(panel)):
                    seen[f"{panel.__name__}.{method}"] = drawn(panel, method=method).notes
        for scene in results.results():
            with bpy.context.temp_override(scene=scene):
                seen[f"layers of {scene.name}"] = drawn(bpy.types.NVD_PT_layers).notes
        for name, draw in (("status bar", progress.draw_in_status_bar), ("menu", menus._draw)):
            header = SimpleNamespace(layout=Layout())
            draw(header, bpy.context)
            seen[name] = header.layout.notes
        chosen = bpy.context.preferences.addons[PACKAGE].preferences
        seen["preferences"] = drawn(preferences.NVD_AP_preferences, chosen).notes
    if clip:
        bpy.data.movieclips.remove(clip)
    return seen


def texts() -> list[str]:
    """What stands beside fields and buttons, and in their tooltips."""
    found = []
    owners = [kind.bl_rna for kind in bpy.types.PropertyGroup.__subclasses__() if kind.__module__.startswith(PACKAGE)]
    owners += [getattr(bpy.ops.nvd, name).get_rna_type() for name in dir(bpy.ops.nvd)]
    for owner in owners:
        found += [owner.name, owner.description]
        for one in owner.properties:
            found += [one.name, one.description]
            if one.type == "ENUM":
                found += [text for item in one.enum_items for text in (item.name, item.description)]
    return found


def in_menus() -> dict[str, list[str]]:
    """What of ours stands in Blender's own menus."""
    seen = {}
    for menu in ("SEQUENCER_MT_strip", "CLIP_MT_clip"):
        layout = Layout()
        for draw in getattr(bpy.types, menu).draw._draw_funcs:
            if draw.__module__.startswith(PACKAGE):
                draw(SimpleNamespace(layout=layout), bpy.context)
        names = (button.removeprefix("nvd.") for button in layout.buttons)
        seen[menu] = [getattr(bpy.ops.nvd, name).get_rna_type().name for name in names]
    return seen


def with_row(state: dict) -> dict[str, list[str]]:
    """What a field offers, and all that is drawn, while a row that the panel has no texts for is chosen."""
    module, kind = state["row"].split(":")
    kind = getattr(__import__(f"nvd_core.spec.choices.{module}", fromlist=["*"]), kind)
    properties.unregister()
    kind.rows["mine"] = type("Mine", (kind,), {"name": "mine", "about": "one of my own", "open": lambda *_: None})
    properties.register()
    is_mask = kind.setting == "mask"
    group = objects.NVD_PG_mask if is_mask else properties.NVD_PG_settings
    field = group.bl_rna.properties["source" if is_mask else kind.setting]
    items = field.enum_items if field.type == "ENUM" else ()
    offered = [field.description, *(f"{one.name}: {one.description}" for one in items)]
    if is_mask:
        state["masks"] = [["sign", "", "mine", "2"]]
    else:
        state["settings"][kind.setting] = "mine"
    clip = set_state(state)
    masks = [[one["name"], one["path"]] for one in mattes.masks_of(footage.selected(bpy.context)).job]
    seen = draw_all(clip)
    properties.unregister()
    del kind.rows["mine"]
    properties.register()
    seen |= {f"{name}, row gone": notes for name, notes in draw_all(None).items()}
    if not is_mask:
        bpy.context.scene.nvd.settings.property_unset(kind.setting)
    return seen | {"offered": offered, "masks": masks}


def browsed(state: dict) -> dict[str, list[str]]:
    """What the first object's mask is after something was chosen in the file browser."""
    folder, names, is_sequence = state["browse"]
    bpy.ops.nvd.browse_mask(
        directory=str(clips / folder), files=[{"name": name} for name in names], sequence=is_sequence
    )
    mask = bpy.context.scene.sequence_editor.active_strip.nvd.masks[0]
    return {"path": [str(Path(one).relative_to(clips)) if one else "" for one in (mask.path, mask.picture)]}


for line in sys.stdin:
    try:
        state = json.loads(line)
        if "row" in state:
            answer = with_row(state)
        elif "texts" in state or "menus" in state:
            answer = {"texts": texts()} if "texts" in state else in_menus()
        else:
            answer = draw_all(set_state(state))
        if "listed" in state:
            answer = {"listed": sorted(path.name for path in (clips / state["listed"]).iterdir())}
        if "browse" in state:
            answer = browsed(state)
    except Exception:  # noqa: BLE001 (it is the answer)
        answer = {"traceback": traceback.format_exc()}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
