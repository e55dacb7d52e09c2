"""Runs inside a Blender with a window: an artist's way through the extension, by mouse and keys, a picture a step.

``blender --python session.py -- WALK SPEC``; SPEC is the JSON that test_window.py writes, WALK a name in ``WALKS``.
What was seen goes to ``<WALK>.json``; pictures of the screen, and which part of it is which editor, to the folder that
SPEC names. A step is a function; its picture is taken when it is through.
"""

import faulthandler
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
walk, spec = sys.argv[sys.argv.index("--") + 1], json.loads(Path(sys.argv[-1]).read_text())
os.environ["XDG_CACHE_HOME"] = spec["out"]  # Blender keeps thumbnails of what it shows

import bpy  # noqa: E402 (it reads the environment)
import hands  # noqa: E402
from clock import Clock  # noqa: E402
from hands import Place, Walk, place  # noqa: E402

PACKAGE = "bl_ext.user_default.nvd_blender"
OUT, PICTURES = Path(spec["out"]), Path(spec["pictures"])
PAINT = (1.0, 0.0, 1.0)
IDLE_S = 3.0
_ROW_PX = 23
_HIGHER_PX = 320

faulthandler.enable()
bpy.context.preferences.view.show_splash = False
bpy.context.preferences.filepaths.temporary_directory = spec["out"]
clock = Clock(PACKAGE)
seen: dict[str, Any] = {}
said: list[str] = []
"""What panels have said in sentences."""


# -- looking -----------------------------------------------------------------------------------------


def module(name: str) -> Any:
    return sys.modules[f"{PACKAGE}.{name}"]


def job():
    return module("jobs.queue").listed()[0]


def sequencer(kind: str = "WINDOW") -> Place:
    return place("SEQUENCE_EDITOR", kind, lambda space: space.view_type == "SEQUENCER")


def at_work() -> str:
    return f"job: {job().stage}" if module("jobs.queue").listed() else ""


def panel() -> Place:
    return sequencer("UI")


def layers() -> Place:
    """The sidebar beside the shot."""
    return place("IMAGE_EDITOR", "UI", lambda space: space.ui_mode == "VIEW")


def layers_shown() -> bool:
    """Whether the sidebar beside the shot is there, with its tab turned to."""
    sidebars = [one for one in hands.places() if (one.area.type, one.region.type) == ("IMAGE_EDITOR", "UI")]
    return any(one.region.active_panel_category == "Layers" for one in sidebars)


def image_editor(mode: str) -> Place:
    return place("IMAGE_EDITOR", of=lambda space: space.ui_mode == mode)


def facts() -> dict[str, Any]:
    """What undo must not lose."""
    scene = next((one for one in bpy.data.scenes if one.sequence_editor), None)
    results = module("result.scenes").results()
    return {
        "objects": [mask.name for mask in scene.sequence_editor.strips[0].nvd.masks] if scene else [],
        "strips": [strip.type for strip in scene.sequence_editor.strips] if scene else [],
        "results": [one.name for one in results],
        "painted": painted(results[0]) if results else 0,
        "scene": bpy.context.window.scene.name,
    }


def painted(result) -> int:
    """Pixels of the front atlas that have the colour of the paint."""
    pixels = atlas(result).pixels[:]
    return sum(red > 0.9 and green < 0.1 for red, green in zip(pixels[0::4], pixels[1::4], strict=True))


def atlas(result):
    return next(iter(module("result.scenes").atlas_nodes(result).values())).image


def shot(name: str) -> Walk:
    """A picture of the screen, and where on it the editors are."""
    yield from hands.program("import", "-window", "root", PICTURES / f"{name}.png")
    seen.setdefault("boxes", {})[name] = hands.boxes()


# -- the steps ---------------------------------------------------------------------------------------


def install() -> Walk:
    """From the zip, with the preferences' own operator."""
    bpy.ops.screen.userpref_show(section="EXTENSIONS")
    yield from whole_preferences()
    with place("PREFERENCES").override():
        bpy.ops.extensions.package_install_files(
            filepath=spec["extension"], repo="user_default", enable_on_install=True
        )
    yield 1.0
    clock.watch(module("jobs.job"), "load_result")
    module("ui.panels").paragraph = listening(module("ui.panels").paragraph)
    module("ui.progress").paragraph = listening(module("ui.progress").paragraph)


def whole_preferences() -> Walk:
    """No window manager sees to it that the window lies on the screen."""
    yield 1.0
    yield from hands.program("xdotool", "search", "--name", "Preferences", "windowmove", 340, 40)
    yield 1.0


def listening(paragraph):
    def draw(layout, text, **options) -> None:
        if text not in said:
            said.append(text)
        paragraph(layout, text, **options)

    return draw


def video_editing() -> Walk:
    with place("PREFERENCES").override():
        bpy.ops.wm.window_close()
    template = Path(next(iter(bpy.utils.app_template_paths()))) / "Video_Editing" / "startup.blend"
    bpy.ops.workspace.append_activate(idname="Video Editing", filepath=str(template))
    yield 1.0
    bpy.context.window.workspace.sequencer_scene = bpy.context.window.scene


def add_strip() -> Walk:
    where = sequencer()
    with where.override():
        bpy.ops.sequencer.movie_strip_add(
            "EXEC_DEFAULT", True, filepath=spec["clip"], frame_start=1, channel=1, sound=False, move_strips=False
        )
    yield 0.5
    with where.override():
        bpy.ops.sequencer.view_all()


def heighten(by_px: int) -> Walk:
    """Give the Sequencer more of the window, so that all of its sidebar is seen, or give it back."""
    area = sequencer().area
    x, y = area.x + area.width // 2, bpy.context.window.height - area.y - area.height
    yield from hands.drag([(x, y), (x, y - by_px // 2), (x, y - by_px)])
    yield 1.0


def open_tab() -> Walk:
    yield from heighten(_HIGHER_PX)
    yield from hands.mouse("mousemove", *sequencer().middle())
    yield from hands.key("n")
    yield 1.0
    panel().region.active_panel_category = "Layers"
    yield 0.5
    seen["without_engine"] = list(said)


def choose_engine() -> Walk:
    yield from hands.press(panel(), "preferences.addon_show", columns=[0.51])
    yield from whole_preferences()
    yield from hands.point_at(place("PREFERENCES"), "^python$")
    yield from hands.write(spec["python"])
    yield from hands.press(place("PREFERENCES"), "nvd.check_engine")
    yield from hands.until(lambda: not module("engine.tasks").running())
    task = module("engine.tasks").latest()
    seen["check"] = [task.state, task.success, task.error]
    bpy.ops.wm.save_userpref()


def add_object() -> Walk:
    """One picture, of the playhead's frame, chosen in the file browser."""
    with place("PREFERENCES").override():
        bpy.ops.wm.window_close()
    bpy.context.preferences.view.filebrowser_display_type = (
        "SCREEN"  # no window manager brings another one to the front
    )
    yield 0.5
    yield from hands.press(panel(), "nvd.edit_objects.*ADD", columns=[0.87])
    yield from hands.press(panel(), "nvd.carry_mask", columns=[0.51])
    yield from hands.press(panel(), "nvd.browse_mask", columns=[0.82])
    yield from hands.until(lambda: file_browser().area.spaces.active.params)
    yield 1.0
    params = file_browser().area.spaces.active.params
    seen["browser"] = [params.use_filter_image, params.use_filter_movie, params.use_filter_folder]
    params.directory, params.filename = os.fsencode(Path(spec["mask"]).parent), Path(spec["mask"]).name
    yield 1.0
    yield from shot(f"{number():02}-browse")
    yield from hands.mouse("mousemove", *file_browser().middle())
    yield from hands.key("Return")
    yield from hands.until(lambda: asked()[0][2])


def file_browser() -> Place:
    """The one that asks for a file."""
    return place("FILE_BROWSER", of=lambda space: space.active_operator is not None)


def asked() -> list[list[str]]:
    """Of every object its name, the frames that its mask is of, and its picture."""
    masks = bpy.context.window.scene.sequence_editor.strips[0].nvd.masks
    return [[mask.name, mask.keys, mask.picture] for mask in masks]


def mask_sources() -> Walk:
    """The menu of what a mask may come from, left open for the picture."""
    yield from hands.point_at(panel(), "nvd.browse_mask", columns=[0.82])
    yield from hands.mouse("mousemove_relative", "--", -60, -_ROW_PX)
    yield from hands.mouse("click", 1)
    yield 0.5


def undo_object() -> Walk:
    yield from hands.key("Escape")

    states = [asked()]
    for keys in (*["ctrl+z"] * 3, *["ctrl+shift+z"] * 3):
        yield from undo(sequencer(), keys)
        states.append(asked())
    seen["undo_object"] = states


def undo(where: Place, keys: str) -> Walk:
    yield from hands.mouse("mousemove", *where.to_screen(where.region.width * 0.3, where.region.height * 0.45))
    yield from hands.key(keys)
    yield 1.0


def forecast() -> Walk:
    """Nobody touches anything for a while: what Blender does by itself."""
    yield 1.0
    clock.phase = lambda: "idle"
    yield IDLE_S
    clock.phase = str


def decompose() -> Walk:
    yield from hands.press(panel(), "nvd.decompose_clip", columns=[0.51])
    clock.phase = at_work
    yield from hands.until(lambda: list((job().folder / "checkpoint").glob("*.map.safetensors")), limit_s=300)
    seen["running"] = [job().state, job().stage, job().done]


def cancel() -> Walk:
    hold(job(), still=True)  # until the button is found, however fast the machine is
    yield from hands.point_at(panel(), "nvd.cancel", columns=[0.65])
    hold(job(), still=False)
    yield from hands.mouse("click", 1)
    yield from hands.until(lambda: not job().is_active)
    yield 0.5
    clock.phase = str
    seen["cancelled"] = [job().state, job().error, *said[-1:]]


def hold(job, *, still: bool) -> None:
    """Make a worker stand still, or go on."""
    os.kill(job._process.pid, signal.SIGSTOP if still else signal.SIGCONT)


def resume() -> Walk:
    yield from hands.press(panel(), "nvd.resume_job", columns=[0.3])
    clock.phase = at_work
    yield from hands.until(lambda: job().done > 0)
    seen["resumed"] = [job().state, job().resumes]


def preview() -> Walk:
    """As soon as there is a live picture the worker stands still until it is taken."""
    yield from hands.until(lambda: module("jobs.previews").icons(job().key), every_s=0.02)
    hold(job(), still=True)
    yield 1.0
    seen["preview"] = [job().state, job().stage, module("jobs.previews").icons(job().key)]


def finish() -> Walk:
    hold(job(), still=False)
    yield from hands.until(lambda: not job().is_active)
    yield 1.0
    clock.phase = str
    seen["finished"] = [job().state, job().error, job().metrics]
    seen["loaded"] = facts()
    yield from hands.mouse("mousemove", *panel().middle())
    yield from hands.mouse("click", "--repeat", 40, 5)  # down to the buttons of the result


def undo_result() -> Walk:
    """What is built without a button must come back, too."""
    where = sequencer()
    yield from undo(where, "ctrl+z")
    seen["result_undone"] = facts()
    yield from shot(f"{number():02}-result-undone")
    yield from hands.press(panel(), "nvd.load_job")
    yield 0.5
    seen["load_again"] = facts()
    yield from undo(where, "ctrl+z")
    yield from undo(where, "ctrl+shift+z")
    seen["result_redone"] = facts()


def open_layers() -> Walk:
    """One click: atlas and shot side by side."""
    yield from hands.press(panel(), "nvd.open_layers", columns=[0.51])
    yield from hands.until(lambda: bpy.context.window.workspace.name == "Layers")
    yield from hands.until(layers_shown)
    bpy.context.scene.frame_set(bpy.context.scene.frame_current + 4)
    yield 3.0
    tools = bpy.context.window.scene.tool_settings.image_paint
    seen["canvas"] = [tools.canvas.name, tools.mode, tools.brush.name]


def paint() -> Walk:
    bpy.context.window.scene.tool_settings.image_paint.unified_paint_settings.color = PAINT
    seen["unpainted"] = facts()
    where = image_editor("PAINT")
    x, y = where.middle()
    yield from hands.drag([(x - 30 + 3 * step, y - 10 + step) for step in range(20)])
    yield 1.0
    seen["stroke"] = facts() | {"dirty": atlas(module("result.scenes").results()[0]).is_dirty}


def undo_stroke() -> Walk:
    yield from undo(image_editor("PAINT"), "ctrl+z")
    seen["stroke_undone"] = facts()


def redo_stroke() -> Walk:
    yield from undo(image_editor("PAINT"), "ctrl+shift+z")
    seen["stroke_redone"] = facts()


def last_frame() -> Walk:
    """Where the light differs most from the atlas's."""
    scene = bpy.context.window.scene
    scene.frame_set(scene.frame_end)
    yield 3.0


def unlit() -> Walk:
    """The slider of the layer's light, all the way down."""
    yield from slide("Light", "0")


def lit_again() -> Walk:
    yield from slide("Light", "1")
    bpy.context.window.scene.frame_set(5)
    yield 3.0


def hidden() -> Walk:
    yield from hands.press(layers(), 'nvd.show_layer.*layer="object1"', columns=[0.11])
    yield 1.0


def shown_again() -> Walk:
    yield from hands.press(layers(), 'nvd.show_layer.*layer="object1"', columns=[0.11])
    yield 1.0


def compared() -> Walk:
    """The plate over the shot."""
    yield from hands.point_at(layers(), r"Plate over the result.*default_value")
    yield from hands.write("1")
    yield 1.0
    yield from shot(f"{number():02}-plate")
    yield from hands.point_at(layers(), r"Plate over the result.*default_value")
    yield from hands.write("0")
    yield 1.0


def slide(control: str, value: str) -> Walk:
    """Write a number into a slider of the front layer."""
    group = module("result.layers").group_of(bpy.context.window.scene, "object1")
    yield from hands.point_at(layers(), rf"Layer object1.*inputs\[{group.inputs.find(control)}\]")
    yield from hands.write(value)
    yield 1.0


def save_atlas() -> Walk:
    yield from hands.press(layers(), 'nvd.save_atlas.*layer="object1"', columns=[0.51])
    yield 1.0
    seen["saved"] = facts() | {"dirty": atlas(module("result.scenes").results()[0]).is_dirty}


def correct_mask() -> Walk:
    """In red over the shot."""
    yield from hands.press(layers(), 'nvd.correct_mask.*layer="object1"', columns=[0.51])
    yield 2.0
    seen["mask"] = [canvas().name, canvas().is_dirty]


def canvas():
    return bpy.context.window.scene.tool_settings.image_paint.canvas


def paint_mask() -> Walk:
    x, y = image_editor("PAINT").middle()
    yield from hands.drag([(x - 30 + 3 * step, y + 40 + step) for step in range(20)])
    yield 1.0
    seen["mask_painted"] = [canvas().name, canvas().is_dirty]


def mask_of_another_frame() -> Walk:
    """The playhead moves on: what was painted is kept, and the view stays."""
    before = image_editor("PAINT").area.spaces.active.zoom_percentage
    bpy.context.window.scene.frame_set(9)
    yield from hands.until(lambda: canvas().name != seen["mask"][0])
    yield 3.0
    kept = bpy.data.images[seen["mask"][0]].is_dirty
    moved = image_editor("PAINT").area.spaces.active.zoom_percentage - before
    seen["mask_followed"] = [canvas().name, canvas().is_dirty, kept, round(moved)]


def mask_saved() -> Walk:
    bpy.context.window.scene.frame_set(5)
    yield from hands.until(lambda: canvas().name == seen["mask"][0])
    yield from hands.press(layers(), 'nvd.save_masks.*layer="object1"', columns=[0.82])
    yield 1.0
    seen["mask_saved"] = [canvas().is_dirty, bpy.path.abspath(canvas().filepath)]
    yield from hands.press(layers(), 'nvd.paint_atlas.*layer="object1"', columns=[0.51])
    yield 1.0
    seen["atlas_again"] = canvas().name


def add_result() -> Walk:
    yield from hands.press(layers(), "nvd.add_result", columns=[0.51])
    yield 0.5
    seen["added"] = facts()
    where = image_editor("VIEW")
    yield from undo(where, "ctrl+z")
    seen["added_undone"] = facts()
    yield from undo(where, "ctrl+shift+z")
    seen["added_redone"] = facts()


def render_result() -> Walk:
    """Through its dialog; Blender renders in a window of its own."""
    rendered = Path(spec["clip"]).parent / "shot_nvd_render" / "v001"
    yield from hands.press(layers(), "nvd.render_result", columns=[0.51])
    yield from hands.key("Return")
    yield from hands.until(lambda: len(list(rendered.glob("*.exr"))) == spec["frames"])
    yield from hands.until(lambda: "IMAGE" in facts()["strips"])
    seen["rendered"] = facts()["strips"]


def back_to_the_edit() -> Walk:
    for window in bpy.context.window_manager.windows[1:]:
        with bpy.context.temp_override(window=window):
            bpy.ops.wm.window_close()
    bpy.context.window.workspace = bpy.data.workspaces["Video Editing"]
    yield 1.0
    yield from heighten(-_HIGHER_PX)
    bpy.context.window.workspace.sequencer_scene.frame_set(6)
    yield 3.0


def save_file() -> Walk:
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "shot.blend"))
    yield 0.5


def reopen() -> Walk:
    """The next day: another Blender, with the user's preferences."""
    yield 2.0
    seen["reopened"] = facts()


def edited() -> Walk:
    """What the Sequencer makes of it at another time."""
    bpy.context.window.workspace.sequencer_scene.frame_set(9)
    yield 3.0


def layers_again() -> Walk:
    yield from hands.press(panel(), "nvd.open_layers", columns=[0.51])
    yield from hands.until(lambda: bpy.context.window.workspace.name == "Layers")
    yield 3.0


WALKS = {
    "first": [
        install, video_editing, add_strip, open_tab, choose_engine, add_object, mask_sources, undo_object,
        forecast, decompose, cancel, resume, preview, finish, undo_result,
        open_layers, paint, undo_stroke, redo_stroke, last_frame, unlit, lit_again, hidden, shown_again, compared,
        save_atlas, correct_mask, paint_mask, mask_of_another_frame, mask_saved,
        add_result, render_result, back_to_the_edit, save_file,
    ],
    "next": [reopen, edited, layers_again],
}  # fmt: skip


# -- going through them ------------------------------------------------------------------------------


def number() -> int:
    """Of the next picture."""
    return 1 + len(list(PICTURES.glob("*.png")))


def all_steps() -> Walk:
    try:
        for step in WALKS[walk]:
            seen["step"] = step.__name__
            yield from step()
            yield 0.3
            yield from shot(f"{number():02}-{step.__name__.replace('_', '-')}")
        del seen["step"]
    finally:
        seen["clock"] = clock.report()


hands.take(all_steps(), seen, OUT / f"{walk}.json", PICTURES)
