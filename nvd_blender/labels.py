"""Sentences in panels: Blender's labels are one line and cut off what does not fit."""

from __future__ import annotations

import textwrap
from typing import Final

import bpy

_CHARACTER_PX: Final = 6.0
_MARGIN_PX: Final = 80.0


def paragraph(layout: bpy.types.UILayout, text: str, *, icon: str = "NONE", width_px: float = 0) -> None:
    """A text over as many lines as it takes.

    Args:
        layout: where it goes.
        text: the text; no line ends at a no-break space.
        icon: before its first line.
        width_px: what there is, before the interface is scaled; that of the region if 0.
    """
    if not width_px:
        region = bpy.context.region
        scale = bpy.context.preferences.system.ui_scale or 1.0  # 0 without a window
        width_px = (region.width if region else 400) / scale
    lines = textwrap.wrap(text, max(20, int((width_px - _MARGIN_PX) / _CHARACTER_PX)), break_on_hyphens=False)
    column = layout.column(align=True)
    for index, line in enumerate(lines):
        column.label(text=line.replace("\xa0", " "), icon=icon if index == 0 or icon == "NONE" else "BLANK1")


def redraw(*kinds: str, region: str = "") -> None:
    """Draw the open editors of these kinds again.

    Args:
        kinds: the areas' types.
        region: the type of the regions that will do, as the shot beside a panel takes long to draw; all if empty.
    """
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            for one in area.regions if area.type in kinds else ():
                if region in {"", one.type}:
                    one.tag_redraw()
