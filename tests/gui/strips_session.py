"""Runs inside a Blender with a window: several strips, several results, by mouse and keys, a picture a step.

``blender --python strips_session.py -- SPEC``; SPEC is the JSON that test_strips_window.py writes. What was seen
goes to ``strips.json``; pictures of the screen to the folder that SPEC names.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
spec = json.loads(Path(sys.argv[-1]).read_text())
os.environ["NVD_PYTHON"] = spec["python"]

import bpy  # noqa: E402 (it reads the environment)
import hands  # noqa: E402
from hands import Place, Walk, place  # noqa: E402

PACKAGE = "bl_ext.user_default.nvd_blender"
OUT, PICTURES = Path(spec["out"]), Path(spec["pictures"])
LIMIT_S = 400.0
seen: dict[str, Any] = {}
bpy.context.preferences.view.show_splash = False


def module(name: str) -> Any:
    return sys.modules[f"{PACKAGE}.{name}"]


def sequencer(kind: str = "WINDOW") -> Place:
    return place("SEQUENCE_EDITOR", kind, lambda space: space.view_type == "SEQUENCER")


def panel() -> Place:
    return sequencer("UI")


def has_panel() -> bool:
    try:
        return panel().region.active_panel_category != "UNSUPPORTED"
    except ValueError:
        return False


def scene():
    return next(one for one in bpy.data.scenes if one.sequence_editor)


def strips():
    return scene().sequence_editor.strips


def results() -> dict[str, list]:
    """What scene shows which frames, by folder."""
    found = module("result.scenes")
    return {found.folder_of(one).name: [one.name, one.frame_start, one.frame_end] for one in found.results()}


def atlas(folder: str):
    found = module("result.scenes")
    result = next(one for one in found.results() if found.folder_of(one).name == folder)
    return next(iter(found.atlas_nodes(result).values())).image


def heading() -> str:
    with sequencer().override():
        return module("jobs.forecast").heading(bpy.context)


def headed(folder: str) -> Walk:
    """Go on when the disk has told where the result goes."""
    yield from hands.until(lambda: heading().endswith(f" {folder}"))


def finished() -> Walk:
    listed = module("jobs.queue").listed
    yield from hands.until(lambda: listed() and not any(job.is_active for job in listed()), limit_s=LIMIT_S)
    yield 1.0
    seen.setdefault("jobs", []).append([listed()[-1].state, listed()[-1].error, listed()[-1].folder.name])


def decomposed() -> Walk:
    yield from hands.press(panel(), "nvd.decompose_clip", columns=[0.51])
    yield from finished()


# -- the steps ---------------------------------------------------------------------------------------------


def start() -> Walk:
    bpy.ops.extensions.package_install_files(filepath=spec["extension"], repo="user_default", enable_on_install=True)
    template = Path(next(iter(bpy.utils.app_template_paths()))) / "Video_Editing" / "startup.blend"
    bpy.ops.workspace.append_activate(idname="Video Editing", filepath=str(template))
    yield 1.0
    bpy.context.window.workspace.sequencer_scene = bpy.context.window.scene
    bpy.context.window.scene.nvd.settings.preset = "preview"
    with sequencer().override():
        bpy.ops.sequencer.movie_strip_add(
            "EXEC_DEFAULT", True, filepath=spec["clip"], frame_start=1, channel=1, sound=False, use_framerate=False,
            adjust_playback_rate=False, move_strips=False,
        )  # fmt: skip
        item = strips()[0].nvd.masks.add()
        item.name, item.path = "sign", spec["masks"]
        bpy.ops.sequencer.view_all()
    sequencer().area.spaces.active.show_region_ui = True
    yield from hands.until(has_panel)
    panel().region.active_panel_category = "Layers"
    yield 0.5


def split_strip() -> Walk:
    """K at the playhead, then both halves, each from the panel."""
    bpy.context.window.workspace.sequencer_scene.frame_set(7)
    yield from hands.mouse("mousemove", *sequencer().middle())
    yield from hands.key("k")
    yield 0.5
    seen["split"] = [[one.name, [item.name for item in one.nvd.masks]] for one in strips()]
    first, second = sorted(strips(), key=lambda one: one.left_handle)
    seen["headings"] = []
    for half, folder in ((first, "shot_nvd"), (second, "shot_nvd_v002")):
        scene().sequence_editor.active_strip = half
        yield from headed(folder)
        seen["headings"].append(heading())
        yield from decomposed()


def two_results() -> Walk:
    seen["two_results"] = results()
    yield 0.5


def painted_in_layers() -> Walk:
    """A stroke in the Layers workspace, then back to the edit, where it is undone."""
    yield from hands.press(panel(), 'nvd.open_layers.*result="NVD shot"', columns=[0.51])
    yield from hands.until(lambda: bpy.context.window.workspace.name == "Layers")
    yield 5.0
    bpy.context.window.scene.tool_settings.image_paint.unified_paint_settings.color = (1.0, 0.0, 1.0)
    x, y = place("IMAGE_EDITOR", of=lambda space: space.ui_mode == "PAINT").middle()
    for lower in (0, 30):
        yield from hands.drag([(x - 30 + 3 * step, y - 10 + lower + step) for step in range(20)])
        yield 1.0
    seen["stroke"] = [atlas("shot_nvd").is_dirty, bpy.context.window.scene.name]


def undone_in_the_edit() -> Walk:
    bpy.context.window.workspace = bpy.data.workspaces["Video Editing"]
    yield 1.0
    seen["undone"] = []
    for keys in ("ctrl+z", "ctrl+z", "ctrl+shift+z"):
        yield from hands.mouse("mousemove", *sequencer().middle())
        yield from hands.key(keys)
        yield 1.5
        seen["undone"].append([bpy.context.window.scene.name, bpy.context.window.workspace.name])


def renamed_over_paint() -> Walk:
    """The object gets another name while its atlas holds unsaved paint."""
    seen["dirty"] = [atlas("shot_nvd").is_dirty]
    first = min(strips(), key=lambda one: one.left_handle)
    scene().sequence_editor.active_strip = first
    first.nvd.masks[0].name = "car"
    yield from decomposed()
    seen["dirty"] += [atlas("shot_nvd").is_dirty, atlas("shot_nvd").users > 0]
    first.nvd.masks[0].name = "sign"
    yield 0.5


def asked_what_to_do() -> Walk:
    """The dialog, where the strip has a result of these objects; left by Escape."""
    yield from hands.press(panel(), "nvd.decompose_clip", columns=[0.51])
    yield 1.0
    yield from shot()
    yield from hands.key("Escape")
    yield 0.5
    seen["left_alone"] = len(module("jobs.queue").listed())


def second_clip_with_sound() -> Walk:
    """Its sound is active, and the output is still the first clip's."""
    with sequencer().override():
        bpy.ops.sequencer.movie_strip_add(
            "EXEC_DEFAULT", True, filepath=spec["other"], frame_start=40, channel=3, sound=True, use_framerate=False,
            adjust_playback_rate=False, move_strips=False,
        )  # fmt: skip
    other = next(one for one in strips() if one.type == "MOVIE" and one.left_handle == 40)
    other.nvd.folder = str(Path(spec["clip"]).with_name("shot_nvd"))
    scene().sequence_editor.active_strip = next(one for one in strips() if one.type == "SOUND")
    yield from headed("shot_nvd_v004")
    seen["sound"] = [scene().sequence_editor.active_strip.type, heading()]
    yield from decomposed()
    seen["all_results"] = results()


STEPS = [
    start, split_strip, two_results, painted_in_layers, undone_in_the_edit, renamed_over_paint, asked_what_to_do,
    second_clip_with_sound,
]  # fmt: skip


def shot() -> Walk:
    number = 1 + len(list(PICTURES.glob("*.png")))
    yield from hands.program(
        "import", "-window", "root", PICTURES / f"{number:02}-{seen['step'].replace('_', '-')}.png"
    )


def all_steps() -> Walk:
    for step in STEPS:
        seen["step"] = step.__name__
        yield from step()
        yield 0.3
        yield from shot()


hands.take(all_steps(), seen, OUT / "strips.json", PICTURES)
