"""Draw the sidebar of the Sequencer and the Clip editor: clip, objects, job and results."""

from contextlib import suppress

import bpy

from nvd_core.spec.errors import NvdError
from nvd_core.spec.settings import QUALITY

from ..host import compat
from ..host.labels import field, paragraph
from ..jobs import forecast, frame_check, preflight
from ..result.scenes import QUALITY_KEY, folder_of, results
from ..source import footage
from ..source.objects import asked
from ..source.properties import NVD_PG_settings
from ..source.wording import SETTINGS
from .objects_panel import draw_objects
from .progress import draw_done, draw_jobs

_SHOWN_ABOVE = ("preset", "find")


class _Sidebar:
    bl_region_type = "UI"
    bl_category = "Layers"

    def scene(self, context: bpy.types.Context) -> bpy.types.Scene:
        """Scene whose settings are shown."""
        return compat.sequencer_scene(context) if self.bl_space_type == "SEQUENCE_EDITOR" else context.scene


class _Layers(_Sidebar):
    bl_label = "Layers"

    def draw(self, context: bpy.types.Context) -> None:
        """Say what to do if there is no engine."""
        if said := preflight.fault(preflight.objections(context), "engine"):
            paragraph(self.layout, said, icon="INFO")
            _open_preferences(self.layout)


class _Clip(_Sidebar):
    bl_label = ""

    def draw_header(self, context: bpy.types.Context) -> None:
        """Draw name, number of frames and output of the clip."""
        text = "Clip"
        with suppress(NvdError):  # the panel below shows the message
            text = forecast.heading(context)
        self.layout.label(text=text, icon="FILE_MOVIE")

    def draw(self, context: bpy.types.Context) -> None:
        """Draw range and size of the clip, and the field for the output folder."""
        try:
            owner, scene = footage.chosen(context)
        except NvdError as error:
            paragraph(self.layout, str(error), icon="INFO")
            return
        try:
            chosen = footage.of(owner, scene)
            used = chosen.footage
            size = f", {chosen.size}" if all(chosen.size) else ""
            paragraph(self.layout, f"Frames {used.first} to {used.last}{size}")
        except NvdError as error:
            paragraph(self.layout, str(error), icon="ERROR", alert=True)
            return
        found = preflight.objections(context)
        if said := preflight.fault(found, "clip"):
            paragraph(self.layout, said, icon="ERROR", alert=True)
        self.layout.use_property_split = True
        said = preflight.fault(found, "folder")
        field(self.layout, asked(owner, scene), "folder", said, placeholder=used.result_folder.name)


class _Objects(_Sidebar):
    bl_label = "Objects"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the list of objects, and the fields of the active one."""
        try:
            owner, scene = footage.chosen(context)
        except NvdError:
            self.layout.label(text="Objects belong to a clip", icon="INFO")
            return
        found = preflight.objections(context)
        group, shown = asked(owner, scene), None
        with suppress(NvdError):  # the panel above shows the message
            shown = footage.of(owner, scene)
        draw_objects(self.layout, group, found, scene, shown, are_strips=self.bl_space_type == "SEQUENCE_EDITOR")


class _Job(_Sidebar):
    bl_label = "Job"

    def draw(self, context: bpy.types.Context) -> None:
        """Draw settings, forecast, the button Decompose, and the jobs with their progress."""
        layout, settings = self.layout, self.scene(context).nvd.settings
        layout.use_property_split = True
        layout.prop(settings, "preset")
        found = preflight.objections(context)
        header, body = layout.panel("nvd_options", default_closed=True)
        header.label(text="Options")
        for name in (one for one in NVD_PG_settings.__annotations__ if one not in _SHOWN_ABOVE):
            said = preflight.fault(found, name)
            if body:
                _draw_setting(body, settings, name, alert=bool(said))
            if said:  # even if the field is folded away
                paragraph(body or layout, said, icon="ERROR", alert=True)
            if said and name == "solver":
                _open_preferences(body or layout)
        _draw_forecast(layout, context)
        for name in ("disk", "start"):
            if said := preflight.fault(found, name):
                paragraph(layout, said, icon="ERROR", alert=True)
        row = layout.row()
        row.scale_y = 1.4
        row.operator("nvd.decompose_clip", icon="RENDERLAYERS")
        draw_jobs(layout)


class _Results(_Sidebar):
    bl_label = "Results"

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw finished jobs, and the results in this .blend."""
        draw_done(self.layout)
        scenes = results()
        for scene in scenes:
            box = self.layout.box()
            text = f"Paint {scene.name.removeprefix('NVD ')}"
            box.operator("nvd.open_layers", text=text, icon="BRUSH_DATA").result = scene.name
            draw_quality(box, scene)
        if scenes:
            self.layout.operator("nvd.add_result", icon="SEQ_STRIP_DUPLICATE")
        self.layout.operator("nvd.load_result", icon="FILE_FOLDER")


def draw_quality(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """Draw what is wrong with a result's frames, its quality, and the button that opens its report."""
    said, folder = scene.get(QUALITY_KEY), folder_of(scene)
    if wrong := frame_check.fault(folder):
        paragraph(layout, wrong, icon="ERROR", alert=True)
    if isinstance(said, str) and said and folder:
        paragraph(layout, said)
        layout.operator("nvd.open_report", icon="TEXT").folder = str(folder)


def _open_preferences(layout: bpy.types.UILayout) -> None:
    layout.operator("preferences.addon_show", text="Open Preferences", icon="PREFERENCES").module = compat.EXTENSION


def _draw_setting(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, name: str, *, alert: bool) -> None:
    """Draw a setting, in red if it is at fault; a field that is left to the preset says so."""
    words, layout = SETTINGS[name], layout.row()
    layout.alert = alert
    if name != "height":
        options = {"placeholder": words.unset} if words.unset else {}
        layout.prop(settings, name, **options)
    elif settings.height:
        row = layout.row(align=True)
        row.prop(settings, name)
        row.operator("nvd.own_lines", text="", icon="X").scene = settings.id_data.name
    else:
        split = layout.split(factor=0.4, align=True)
        label = split.row()
        label.alignment = "RIGHT"
        label.label(text=words.name)
        lines = QUALITY[settings.preset].lines
        split.operator("nvd.own_lines", text=f"{words.unset}: {lines}").scene = settings.id_data.name


def _draw_forecast(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Draw the forecast of time, memory and disk space, if the clip's size is known."""
    try:
        takes = forecast.expected(footage.selected(context))
    except NvdError:
        return  # the panel above shows the message
    if takes:
        parts = str(takes).replace(" ", "\xa0").replace(",\xa0", ", ")
        paragraph(layout, f"{parts[0].upper()}{parts[1:]}", icon="TIME")


def _panels() -> list[type]:
    """Create the same panels for both editors."""
    made = []
    for space, name in (("SEQUENCE_EDITOR", "sequencer"), ("CLIP_EDITOR", "clip")):
        parent = f"NVD_PT_{name}"
        made.append(type(parent, (_Layers, bpy.types.Panel), {"bl_space_type": space}))
        for kind in (_Clip, _Objects, _Job, _Results):
            attributes = {"bl_space_type": space, "bl_parent_id": parent}
            made.append(type(f"{parent}{kind.__name__.lower()}", (kind, bpy.types.Panel), attributes))
    return made


register, unregister = bpy.utils.register_classes_factory(_panels())
