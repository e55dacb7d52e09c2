"""Draw a layer's inserts in the sidebar, top first, and the fields of those that are open."""

from __future__ import annotations

from typing import Final

import bpy

from nvd_core.spec.edits import CORNERS

from ..engine import tasks
from ..host.labels import paragraph
from ..host.nodes import Node
from ..jobs import beside, insertion
from ..result import edit_record, inserts
from ..result.insert_group import NUMBERS, OPACITY
from ..result.layer_group import PAINT_BEYOND
from ..result.scenes import folder_of

_SPAN: Final = ("First", "Last", "Fade In", "Fade Out")


def draw_disagreement(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """Draw what keeps a result's inserts from being saved, and the choice where another program has changed them."""
    folder = folder_of(scene)
    if said := edit_record.told.get(folder):
        paragraph(layout, said, icon="ERROR")
    if folder in edit_record.differing:
        row = layout.row(align=True)
        for keeps, text in (("FILE", "Take the File's"), ("NODES", "Keep These")):
            button = row.operator("nvd.settle_inserts", text=text)
            button.result, button.keeps = scene.name, keeps


def draw_inserts(layout: bpy.types.UILayout, scene: bpy.types.Scene, layer: str) -> None:
    """Draw the inserts of a layer, and what is done with all of them."""
    group = inserts.group_for_inserts(scene, layer)
    if group is None:
        return
    column = layout.column()
    for node in reversed(inserts.insert_nodes(scene, layer)):
        _draw(column, scene, layer, node)
    is_beyond = group.inputs[PAINT_BEYOND].default_value > 0.5
    _aim(column.operator("nvd.paint_beyond", depress=is_beyond), scene, layer)
    row = column.row()
    row.enabled = not tasks.running()
    _aim(row.operator("nvd.insert_picture", text="Insert Picture…", icon="IMAGE_DATA"), scene, layer)
    task = beside.latest(insertion.Insertion, folder_of(scene))
    if task and task.layer == layer:
        if task.state == "running":
            layout.label(text=f"{task.name}…", icon="TIME")
        elif task.error:
            paragraph(layout, task.error, icon="ERROR")


def _draw(layout: bpy.types.UILayout, scene: bpy.types.Scene, layer: str, node: Node) -> None:
    """Draw an insert: eye, name, mode, order, and its opacity below; its fields, if it is open."""
    name = inserts.name_of(node)
    if not name or any(label not in node.inputs for label in (OPACITY, *CORNERS, *NUMBERS)):
        paragraph(layout, f"The node {node.name} holds no insert. Delete it.", icon="ERROR")
        return

    def button(row: bpy.types.UILayout, operator: str, **options: object) -> bpy.types.OperatorProperties:
        found = _aim(row.operator(f"nvd.{operator}", **options), scene, layer)
        found.insert = name
        return found

    is_open, is_shown = inserts.is_open(node), node.inputs["Shown"].default_value > 0.5
    row = layout.row(align=True)
    icon = "DISCLOSURE_TRI_DOWN" if is_open else "DISCLOSURE_TRI_RIGHT"
    button(row, "open_insert", text="", icon=icon, emboss=False)
    button(row, "show_insert", text="", icon="HIDE_OFF" if is_shown else "HIDE_ON", emboss=False)
    row.label(text=name)
    mode = inserts.blend_of(node).replace("_", " ").title()
    found = _aim(row.operator_menu_enum("nvd.blend_insert", "blend", text=mode), scene, layer)
    found.insert = name
    for places, icon in ((1, "TRIA_UP"), (-1, "TRIA_DOWN")):
        button(row, "move_insert", text="", icon=icon).places = places
    button(row, "remove_insert", text="", icon="X")
    layout.prop(node.inputs[OPACITY], "default_value", text="Opacity", slider=True)
    if not is_open:
        return
    button(layout, "pin_insert", text="Pin on the Atlas", icon="PINNED")
    column = layout.column(align=True)
    column.use_property_split = column.use_property_decorate = True  # with dots that set key frames
    for corner in CORNERS:
        for index, axis in enumerate("UV"):
            text = f"{corner} {axis}" if index == 0 else axis
            column.prop(node.inputs[corner], "default_value", index=index, text=text)
    column.separator()
    for label in _SPAN:
        column.prop(node.inputs[label], "default_value", text=label)
    is_clipped = node.inputs["Clipped"].default_value > 0.5
    button(layout, "clip_insert", text="Clip to Outline", depress=is_clipped)


def _aim(button: bpy.types.OperatorProperties, scene: bpy.types.Scene, layer: str) -> bpy.types.OperatorProperties:
    button.result, button.layer = scene.name, layer
    return button
