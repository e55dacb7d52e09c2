"""Add the operators to the menus Strip of the Sequencer and Clip of the Clip editor, and so to Blender's search."""

import bpy

_MENUS = ("SEQUENCER_MT_strip", "CLIP_MT_clip")


def _draw(menu: bpy.types.Menu, _context: bpy.types.Context) -> None:
    layout = menu.layout
    layout.separator()
    layout.operator("nvd.decompose_clip", icon="RENDERLAYERS")
    layout.operator("nvd.add_result", icon="SEQ_STRIP_DUPLICATE")
    layout.operator("nvd.load_result", icon="FILE_FOLDER")


def register() -> None:
    """See :mod:`nvd_blender`."""
    for name in _MENUS:
        getattr(bpy.types, name).append(_draw)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    for name in _MENUS:
        getattr(bpy.types, name).remove(_draw)
