"""Paint on the Shot in the sidebar beside the shot."""

import bpy

from ..engine import tasks
from ..host.labels import paragraph
from ..jobs import beside, shot_paint
from ..result.scenes import folder_of
from ..result.shot_sheet import frame_of, sheet_of


def draw(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    """Draw the buttons of a result's sheet, and the outcome of painting."""
    sheet, task = sheet_of(scene), beside.latest(shot_paint.ShotPaint, folder_of(scene))
    column = layout.column(align=True)
    column.enabled = not tasks.running()
    row = column.row(align=True)
    is_canvas = sheet is not None and scene.tool_settings.image_paint.canvas == sheet
    text = f"Sheet of Frame {frame_of(sheet)}" if sheet else "Paint on the Shot"
    row.operator("nvd.paint_on_shot", text=text, icon="BRUSH_DATA", depress=is_canvas).result = scene.name
    row.operator("nvd.undo_paint_on_shot", text="", icon="LOOP_BACK").result = scene.name
    if sheet:
        row = column.row(align=True)
        row.operator("nvd.apply_to_layers", icon="CHECKMARK").result = scene.name
        row.operator("nvd.discard_sheet", icon="X").result = scene.name
        if frame_of(sheet) != scene.frame_current:
            text = f"The sheet is of frame {frame_of(sheet)}, the shot shows frame {scene.frame_current}."
            paragraph(layout, text, icon="INFO")
    if task and task.state == "running":
        layout.label(text=f"{task.stage}…", icon="TIME")
    elif task:
        row = layout.row()
        paragraph(row, task.error or task.success, icon="ERROR" if task.error else "INFO")
        row.operator("nvd.forget_shot_paint", text="", icon="X")
