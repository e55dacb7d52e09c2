"""Runs inside Blender: what is asked for of a clip follows it. What was seen goes to ``seen.json``.

``python strips_session.py ZIP ENGINE_PYTHON CLIPS OUT``; CLIPS holds ``shot/``, numbered pictures, and ``sound.mp4``.
"""

import json
import os
import sys
from pathlib import Path

zip_path, engine_python, clips, out = (Path(argument) for argument in sys.argv[1:5])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")
os.environ["NVD_PYTHON"] = str(engine_python)

import bpy  # noqa: E402 (it reads the environment)
from installed import PACKAGE, add_pictures, install, modules  # noqa: E402

seen: dict = {}
install(zip_path, use_empty=False)
compat, edit, footage, kept_module, keys, look, mattes, objects, preflight = modules(
    "host.compat",
    "result.conform",
    "source.footage",
    "source.ownership",
    "source.key_frames",
    "source.look",
    "source.mattes",
    "source.objects",
    "jobs.preflight",
)


def sequencer():
    """For operators of the Sequencer."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    area.type = "SEQUENCE_EDITOR"
    region = next(region for region in area.regions if region.type == "WINDOW")
    if compat.IS_5:
        window.workspace.sequencer_scene = window.scene
    return bpy.context.temp_override(window=window, area=area, region=region)


def all_strips():
    return compat.strips(bpy.context.scene.sequence_editor)


def add_strip(name: str, start: int = 1, channel: int = 1):
    return add_pictures(all_strips(), (clips / "shot").iterdir(), name, channel, start)


def kept(owner) -> list:
    """What a strip or clip holds."""
    return [owner.nvd.folder, [[item.name, item.mask.name if item.mask else ""] for item in owner.nvd.masks]]


def ask(owner) -> None:
    item = owner.nvd.masks.add()
    item.name, item.source, item.mask = "sign", "MASK", bpy.data.masks.get("Drawn") or bpy.data.masks.new("Drawn")
    owner.nvd.folder = "//elsewhere"


def activate(strip) -> bool:
    bpy.context.scene.sequence_editor.active_strip = strip
    return True


def chosen() -> str:
    try:
        return footage.chosen_strip(bpy.context.scene).name
    except Exception as error:  # noqa: BLE001 (it is what is looked at)
        return str(error)


# -- a movie of another rate, as its operator adds it, which crashes 5.x as a module ----------------------------
scene = bpy.context.scene
scene.render.fps = 30
scene.sequence_editor_create()
seen["rates"] = []
for adjusts in () if compat.IS_5 else (True, False):
    with sequencer():
        bpy.ops.sequencer.movie_strip_add(
            filepath=str(clips / "sound.mp4"), frame_start=1, channel=1 + 2 * adjusts, sound=False,
            adjust_playback_rate=adjusts, use_framerate=False,
        )  # fmt: skip
    seen["rates"].append([one.sentence for one in preflight.objections(bpy.context)])
scene.render.fps = 24
scene.sequence_editor_clear()

# -- what is asked for follows its strip -------------------------------------------------------------------
scene.sequence_editor_create()
shot = add_strip("shot")
ask(shot)
wanted = kept(shot)
with sequencer():
    bpy.ops.sequencer.split(frame=4, channel=1, type="SOFT", side="BOTH", ignore_selection=True)
    seen["split"] = [kept(strip) == wanted for strip in all_strips()]
    for strip in all_strips():
        strip.select = True
    bpy.ops.sequencer.duplicate()
    seen["duplicated"] = [kept(strip) == wanted for strip in all_strips()]
    kept_module.look()
    bpy.ops.sequencer.copy()
    bpy.ops.sequencer.paste()
    kept_module.look()
    seen["pasted"] = [kept(strip) == wanted for strip in all_strips()]
    all_strips()[0].nvd.masks[0].mask = None
    kept_module.look()
    seen["cleared"] = [kept(strip) == wanted for strip in all_strips()]
    all_strips()[0].nvd.masks[0].mask = bpy.data.masks["Drawn"]
all_strips()[0].name = "renamed"
clip = bpy.data.movieclips.load(str(min((clips / "shot").iterdir())))
clip.use_fake_user = True
ask(clip)
seen["copied"] = [
    kept(clip.copy()) == wanted,
    *(kept(one) == wanted for one in compat.strips(scene.copy().sequence_editor)),
]
bpy.ops.wm.save_as_mainfile(filepath=str(out / "shot.blend"))
bpy.ops.wm.open_mainfile(filepath=str(out / "shot.blend"))
seen["reopened"] = [kept(strip) == wanted for strip in [*all_strips(), *bpy.data.movieclips]]
bpy.ops.wm.read_homefile(use_empty=True)
with bpy.data.libraries.load(str(out / "shot.blend")) as (_, appended):
    appended.scenes = ["Scene"]
seen["appended"] = [kept(strip) == wanted for strip in compat.strips(appended.scenes[0].sequence_editor)]

# -- the frames that a mask is carried from are the clip's ------------------------------------------------------------
bpy.ops.wm.read_factory_settings()
bpy.ops.preferences.addon_enable(module=PACKAGE)
scene = bpy.context.scene
scene.sequence_editor_create()
shot, clip = add_strip("shot", start=21), bpy.data.movieclips.load(str(min((clips / "shot").iterdir())))
clip.frame_start, clip.use_fake_user = 11, True
shot.frame_final_start = 23
for owner, frames in ((shot, "24"), (clip, "12, 13")):
    ask(owner)
    owner.nvd.masks[0].frames = frames  # as an earlier version kept them, by the playhead


def carried_from(owner) -> list:
    """The frames of the clip that the mask is of, as it is kept and as the job has them, and those of the timeline."""
    chosen, item = footage.of(owner, bpy.context.scene), owner.nvd.masks[0]
    return [item.keys, item.frames, keys.keys_of(item, chosen), keys.in_timeline(item, chosen)]


seen["unread"] = carried_from(shot)
bpy.ops.wm.save_as_mainfile(filepath=str(out / "older.blend"))
bpy.ops.wm.open_mainfile(filepath=str(out / "older.blend"))
shot, clip = all_strips()[0], bpy.data.movieclips[0]
seen["read_once"] = [carried_from(shot), carried_from(clip)]
shot.frame_start += 100
clip.frame_start = 1
seen["moved"] = [carried_from(shot), carried_from(clip)]
with sequencer():
    shot.select = True
    bpy.ops.sequencer.duplicate()
    all_strips()[-1].frame_start += 50
    bpy.ops.sequencer.split(frame=126, channel=1, type="SOFT", side="BOTH", ignore_selection=True)
seen["spread"] = [carried_from(one)[2:] for one in all_strips()]

# -- objects that an earlier version has kept with the scene --------------------------------------------------
bpy.ops.wm.read_factory_settings()
bpy.ops.preferences.addon_enable(module=PACKAGE)
scene = bpy.context.scene
scene.sequence_editor_create()
first, second = add_strip("first"), add_strip("second", channel=2)
ask(scene)
seen["old"] = [objects.asked(strip, scene) == scene.nvd for strip in (first, second)]
seen["taken"] = [objects.take_over(first, scene), objects.take_over(second, scene), kept(first) == wanted]
seen["left"] = [kept(scene), kept(second)]

# -- which strip is meant --------------------------------------------------------------------------------------
for strip in list(all_strips()):
    all_strips().remove(strip)
editor = scene.sequence_editor
seen["meant"] = {"nothing": chosen()}
first, second = add_strip("first"), add_strip("second", start=20)
editor.active_strip, first.select, second.select = None, False, True
seen["meant"]["one selected"] = chosen()
first.select = True
seen["meant"]["two selected"] = chosen()
editor.active_strip = second
seen["meant"]["two selected, one active"] = chosen()
for strip in list(all_strips()):
    all_strips().remove(strip)
if bpy.app.build_options.audaspace:  # bpy 4.2 has no sound
    for start in (1, 40):
        all_strips().new_movie(name=f"at {start}", filepath=str(clips / "sound.mp4"), channel=1, frame_start=start)
        sound = all_strips().new_sound(name="sound", filepath=str(clips / "sound.mp4"), channel=2, frame_start=start)
    for select in (False, True):
        for strip in all_strips():
            strip.select = select
        editor.active_strip = sound
        seen["meant"][f"its sound, {'all' if select else 'nothing else'} selected"] = chosen()
# -- how a strip is shown -----------------------------------------------------------------------------------------
strip = bpy.types.MovieStrip if hasattr(bpy.types, "MovieStrip") else bpy.types.MovieSequence
picture = bpy.types.ImageStrip if hasattr(bpy.types, "ImageStrip") else bpy.types.ImageSequence
seen["properties"] = sorted({*strip.bl_rna.properties.keys(), *picture.bl_rna.properties.keys()})
seen["known"] = [*look.CARRIED, *look.PARTS, *look.REFUSED]
for one in list(all_strips()):
    all_strips().remove(one)
shot = add_strip("shot")
seen["refused"] = {}
for name, value in {"use_deinterlace": True, "strobe": 2.0, "use_reverse_frames": True}.items():
    before = getattr(shot, name)
    setattr(shot, name, value)
    seen["refused"][name] = preflight.objections(bpy.context)[0].sentence if activate(shot) else ""
    setattr(shot, name, before)
set_to = {
    "color_saturation": 0.5, "color_multiply": 0.75, "use_flip_x": True, "use_flip_y": True, "use_float": True,
    "multiply_alpha": True, "blend_alpha": 0.5, "blend_type": "ADD", "mute": True,
}  # fmt: skip
for name, value in set_to.items():
    setattr(shot, name, value)
shot.transform.scale_x, shot.crop.min_x = 2.0, 3
for frame, value in ((1, 0.25), (5, 0.75)):
    shot.transform.rotation = value
    shot.transform.keyframe_insert("rotation", frame=frame)
has_modifiers = bpy.app.version[:2] != (5, 0)  # making one crashes bpy 5.0.1
if has_modifiers:
    curves = shot.modifiers.new("Curves", "CURVES")
    curves.curve_mapping.curves[0].points.new(0.25, 0.75)
    curves.curve_mapping.update()
    mask = shot.modifiers.new("Mask", "MASK")
    mask.input_mask_type, mask.input_mask_id = "ID", bpy.data.masks.new("Input")
plain = add_strip("plain", channel=3)
seen["hides"] = [look.hides_what_is_below(one) for one in (plain, shot)]
activate(plain)
for one in (shot, plain):
    other = bpy.data.scenes.new("NVD shot")
    place = edit.Place(other, scene, one, 1, 1, 9)
    added = edit.add_above(
        place,
        lambda strips, channel, start, other=other: strips.new_scene(
            "result", scene=other, channel=channel, frame_start=start
        ),
    )
    if one == shot:
        carried = added
seen["carried"] = {name: getattr(carried, name) == value for name, value in set_to.items()}
seen["carried"]["parts"] = [carried.transform.scale_x, carried.crop.min_x] == [2.0, 3]
scene.frame_set(3)
seen["carried"]["animation"] = carried.transform.rotation == shot.transform.rotation != 0.75
if has_modifiers:
    points = carried.modifiers["Curves"].curve_mapping.curves[0].points
    seen["carried"]["modifiers"] = [round(value, 2) for value in points[1].location] == [0.25, 0.75]
    seen["carried"]["masks"] = carried.modifiers["Mask"].input_mask_id == mask.input_mask_id
seen["active"] = editor.active_strip == plain
seen["muted"] = [shot.mute, plain.mute]

# -- strips in meta strips ------------------------------------------------------------
for one in list(all_strips()):
    all_strips().remove(one)
shot, matte = add_strip("shot", start=5), add_strip("matte", start=5, channel=2)
ask(shot)
if has_modifiers:
    shot.modifiers.new("Curves", "CURVES")
other = bpy.data.scenes.new("NVD inner")
other.frame_start, other.frame_end = 1, 8
meta = all_strips().new_meta(name="meta", channel=5, frame_start=1)
shot.move_to_meta(meta)
matte.move_to_meta(meta)
activate(meta)
for one in all_strips():
    one.select = one == meta
seen["meta"] = {"meant": chosen()}
edit.results, edit.plate_of = (lambda: [other]), (lambda _result: min((clips / "shot").iterdir()))
edit.result_scene = lambda _folder: other
place = edit.place_of(other)
added = edit.add_above(
    place,
    lambda strips, channel, start: strips.new_scene("result", scene=other, channel=channel, frame_start=start),
)
seen["meta"]["place"] = [place.strip.name, place.start, added.parent_meta() == meta, added.channel > matte.channel]
seen["meta"]["modifiers"] = [one.name for one in added.modifiers] == [one.name for one in shot.modifiers]
seen["meta"]["left"] = [len(scene.sequence_editor.meta_stack), scene.sequence_editor.active_strip == meta]
seen["meta"]["used"] = edit.uses_of(out)
item = shot.nvd.masks[0]
item.source, item.strip = "STRIP", "matte"
seen["meta"]["matte"] = mattes.sources_of(item, footage.of(shot, scene))[0]["first"]
seen["meta"]["owners"] = sorted(one.name for one, _ in footage.owners() if one in (shot, matte))
editor.display_stack(meta)
activate(shot)
seen["meta"]["entered"] = chosen()
item.source, item.keys, item.frames = "MASK", "", "7"
keys.take_over_all(footage.owners())
seen["meta"]["key"] = item.keys
editor.display_stack(None)

# -- brought from another file, where a name is another's ----------------------------------------
bpy.ops.wm.read_factory_settings()
bpy.ops.preferences.addon_enable(module=PACKAGE)
bpy.context.scene.sequence_editor_create()
shot, disc = add_strip("shot"), add_strip("disc", channel=2)
ask(shot)
shot.nvd.masks.add().name = "beside"
shot.nvd.masks[1].source, shot.nvd.masks[1].strip = "STRIP", "disc"
kept_module.look()
own = bpy.data.masks["Drawn"].get("nvd_id")
disc.select, shot.select = False, True
with sequencer():
    bpy.ops.sequencer.copy()
bpy.ops.wm.read_homefile()
bpy.context.scene.sequence_editor_create()
bpy.data.masks.new("Drawn").use_fake_user = True
all_strips().new_movie(name="disc", filepath=str(clips / "sound.mp4"), channel=3, frame_start=1)
with sequencer():
    bpy.ops.sequencer.paste()
for _ in range(2):
    kept_module.look()
pasted = next(one for one in all_strips() if one.type == "IMAGE")
activate(pasted)
mask = pasted.nvd.masks[0].mask
seen["brought"] = {
    "is its own": own is not None and (mask is None or mask.get("nvd_id") == own),
    "told": [one.sentence for one in preflight.objections(bpy.context) if one.field == "mask"],
    "has mask": mask is not None,
}
pasted.nvd.masks[0].mask = bpy.data.masks["Drawn"]
kept_module.look()
seen["brought"]["chosen here"] = pasted.nvd.masks[0].mask == bpy.data.masks["Drawn"]
pasted.nvd.masks[1].strip = ""
kept_module.look()
pasted.nvd.masks[1].strip = "disc"
kept_module.look()
seen["brought"]["chosen again"] = [one.sentence for one in preflight.objections(bpy.context) if one.index == 1]

# -- what is known before the start ------------------------------------------------------------------------------------
bpy.ops.wm.read_factory_settings()
bpy.ops.preferences.addon_enable(module=PACKAGE)
scene = bpy.context.scene
scene.sequence_editor_create()
shot = add_strip("shot")
activate(shot)
for folder in ("masks", "nothing", "taken"):
    (out / folder).mkdir()
(out / "masks" / "mask.png").write_bytes(b"a picture")
(out / "taken" / "a letter.txt").write_text("Dear")
good = {"name": "car", "path": str(out / "masks")}
cases = {
    "good": {},
    "umlaut": {"name": "gr\u00fcnes Auto"},
    "empty name": {"name": ""},
    "reserved": {"name": "Background"},
    "no mask": {"path": "/nowhere/masks"},
    "no pictures": {"path": str(out / "nothing")},
    "no field": {"path": ""},
    "no datablock": {"source": "MASK"},
}
seen["before"] = {}


def before(name: str) -> None:
    seen["before"][name] = [list(one) for one in preflight.objections(bpy.context)]
    try:
        seen["before"][name].append(bpy.ops.nvd.decompose_clip.poll())
    except RuntimeError as error:
        seen["before"][name].append(str(error))


for name, values in cases.items():
    shot.nvd.masks.clear()
    item = shot.nvd.masks.add()
    for field, value in (good | values).items():
        setattr(item, field, value)
    before(name)
shot.nvd.masks.clear()
for name in ("car", "Car"):
    item = shot.nvd.masks.add()
    item.name, item.path = name, good["path"]
before("twice")
shot.nvd.masks.clear()
for name, folder in {"taken": out / "taken", "a file": out / "masks" / "mask.png"}.items():
    shot.nvd.folder = str(folder)
    before(name)
shot.nvd.folder = ""
settings = scene.nvd.settings
for name, value in {"solver": "neural", "flow": "/nowhere/flow", "height": 20, "memory": "much"}.items():
    plain = getattr(settings, name)
    setattr(settings, name, value)
    before(name)
    setattr(settings, name, plain)
settings.solver = "neural"
bare = out / "bare"
(bare / "bin").mkdir(parents=True)
for file in ("bin/python", "pyvenv.cfg"):
    (bare / file).touch()
os.environ["NVD_PYTHON"] = str(bare / "bin" / "python")
before("no torch")
os.environ["NVD_PYTHON"] = str(engine_python)
settings.property_unset("solver")
shot.directory = "/nowhere/"
before("no clip")
os.environ["NVD_PYTHON"] = ""
before("no engine")
(out / "seen.json").write_text(json.dumps(seen))
