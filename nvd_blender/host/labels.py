"""Draw wrapped text and fields with messages in panels, and redraw editors: Blender's labels cut off long lines."""

from __future__ import annotations

import textwrap
from typing import Any, Final

import bpy

from nvd_core.spec.errors import shown

_CHARACTER_PX: Final = 6.0
_MARGIN_PX: Final = 80.0


def paragraph(
    layout: bpy.types.UILayout, text: str, *, icon: str = "NONE", width_px: float = 0, alert: bool = False
) -> None:
    """Draw a text, wrapped to the width of the panel.

    Args:
        layout: that gets the lines.
        text: never broken at a no-break space.
        icon: in front of the first line.
        width_px: available width, before scaling of the interface; the region's if 0.
        alert: whether the text is red.
    """
    if not width_px:
        region = bpy.context.region
        scale = bpy.context.preferences.system.ui_scale or 1.0  # 0 without a window
        width_px = (region.width if region else 400) / scale
    lines = textwrap.wrap(shown(text), max(20, int((width_px - _MARGIN_PX) / _CHARACTER_PX)), break_on_hyphens=False)
    column = layout.column(align=True)
    column.alert = alert
    for index, line in enumerate(lines):
        column.label(text=line.replace("\xa0", " "), icon=icon if index == 0 or icon == "NONE" else "BLANK1")


def field(
    layout: bpy.types.UILayout,
    owner: bpy.types.bpy_struct,
    name: str,
    fault: str = "",
    **options: Any,  # noqa: ANN401
) -> None:
    """Draw a field, and below it a message in red if its value is at fault."""
    row = layout.row()
    row.alert = bool(fault)
    row.prop(owner, name, **options)
    if fault:
        paragraph(layout, fault, icon="ERROR", alert=True)


def redraw(*kinds: str, region: str = "") -> None:
    """Redraw open editors of these types.

    Args:
        kinds: types of areas.
        region: only regions of this type, as the shot beside a panel is slow to draw; all if empty.
    """
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for one in area.regions if area.type in kinds else ():
                if region in {"", one.type}:
                    one.tag_redraw()


def redraw_progress() -> None:
    """Redraw panels and status bar. Python cannot redraw the status bar, but it subscribes to the view layer's name."""
    redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", region="UI")
    bpy.msgbus.publish_rna(key=(bpy.types.ViewLayer, "name"))
