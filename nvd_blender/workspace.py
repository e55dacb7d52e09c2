"""The *Layers* workspace: the atlas to paint on, the shot beside it; below them the timeline and the nodes.

The nodes are not only there to be looked at: before 5.0 Blender composites for a viewer only where they are shown.

Blender shows a workspace only after the operator that asks for it has ended, and makes the viewer's picture only
after the compositor has run. So it is laid out step by step from a timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Final

import bpy

from . import compat, coverage
from .results import ONION, atlas_nodes, node_of

_NAME: Final = "Layers"
_OURS_KEY: Final = "nvd"
_STEP_S: Final = 0.05
_PATIENCE: Final = 200

_VIEWER: Final = "Viewer Node"
"""What Blender calls the picture that a Viewer node makes."""

_BELOW: Final = 0.2
_ATLAS: Final = 0.5
"""Shares of the window: of its height, and of its width."""


def open_layers(window: bpy.types.Window, scene: bpy.types.Scene, layer: str) -> None:
    """Show a result in the workspace, which is made if it is not there, with a layer's atlas to paint on."""
    workspace = next((one for one in bpy.data.workspaces if _OURS_KEY in one), None)
    if workspace is None:
        before = set(bpy.data.workspaces)
        with bpy.context.temp_override(window=window):
            bpy.ops.workspace.duplicate()
        workspace = next(one for one in bpy.data.workspaces if one not in before)
        workspace.name, workspace[_OURS_KEY] = _NAME, True
    for one in (window.workspace, workspace):
        one.use_pin_scene = True  # each keeps its scene: rendering the edit goes on rendering the edit
    window.workspace = workspace
    steps = _steps(workspace.name, scene.name, layer)
    bpy.app.timers.register(lambda: _STEP_S if next(steps, None) else None, first_interval=_STEP_S)


def _steps(workspace: str, scene: str, layer: str) -> Iterator[bool]:
    """What is done, a piece each time Blender has drawn; names, as nothing of Blender's may be kept meanwhile."""

    def window() -> bpy.types.Window | None:
        shown = bpy.context.window_manager.windows
        return next((one for one in shown if one.workspace.name == workspace), None)

    yield from _until(lambda: window() is not None)
    if window() and scene in bpy.data.scenes:
        window().scene = bpy.data.scenes[scene]
        yield True
    if window() and not _is_laid_out(window()):
        _lay_out(window())
        yield True  # what is set on a new editor before it was drawn crashes 5.2
    if window():
        _fill(window(), layer)
        with bpy.context.temp_override(window=window()):
            bpy.ops.ed.undo_push(message="Open Layers")  # so that taking a stroke back does not close all this
    yield from _until(lambda: window() is None or _VIEWER in bpy.data.images)
    if window() and _VIEWER in bpy.data.images:
        _viewer_area(window()).spaces.active.image = bpy.data.images[_VIEWER]
        _composite(window().scene)
    yield from _until(lambda: window() is None or _is_composited(window().scene))
    yield from _until(lambda: window() is None or _turn_to_layers(_viewer_area(window())))
    if window():
        fit(window(), _atlas_area(window()))
        fit(window(), _viewer_area(window()))
        with _override(window(), _nodes_area(window())):
            bpy.ops.node.view_all()


def _until(is_so: Callable[[], bool]) -> Iterator[bool]:
    for _ in range(_PATIENCE):
        if is_so():
            return
        yield True


def _is_laid_out(window: bpy.types.Window) -> bool:
    """Whether all that is needed is there; the user may have changed the rest."""
    kinds = [area.type for area in window.screen.areas]
    return kinds.count("IMAGE_EDITOR") > 1 and "NODE_EDITOR" in kinds


def _lay_out(window: bpy.types.Window) -> None:
    """One area of what the user had, divided in four."""
    areas = sorted(window.screen.areas, key=lambda area: area.width * area.height)
    for area in areas[:-1]:
        with bpy.context.temp_override(window=window, area=area):
            bpy.ops.screen.area_close()
    atlas = _largest(window)
    atlas.type = "IMAGE_EDITOR"
    nodes = _split(window, atlas, "HORIZONTAL", _BELOW)
    nodes.ui_type = "CompositorNodeTree"
    _split(window, nodes, "VERTICAL", _ATLAS).ui_type = "TIMELINE"
    _split(window, _largest(window), "VERTICAL", _ATLAS)


def _split(window: bpy.types.Window, area: bpy.types.Area, direction: str, share: float) -> bpy.types.Area:
    """Divide an area; the lower part of it is returned, or the left one, which must be the lowest of all."""
    with bpy.context.temp_override(window=window, area=area):
        bpy.ops.screen.area_split(direction=direction, factor=share)
    return min(window.screen.areas, key=lambda one: (one.y, one.x) if direction == "HORIZONTAL" else (one.x, one.y))


def _fill(window: bpy.types.Window, layer: str) -> None:
    atlas, viewer = _atlas_area(window), _viewer_area(window)
    atlas.spaces.active.image = atlas_nodes(window.scene)[layer].image
    atlas.spaces.active.ui_mode = "PAINT"
    atlas.spaces.active.show_region_toolbar = atlas.spaces.active.show_region_tool_header = True
    viewer.spaces.active.ui_mode = "VIEW"
    viewer.spaces.active.show_region_ui = True
    compat.show_nodes_alone(_nodes_area(window).spaces.active)
    paint = window.scene.tool_settings.image_paint
    paint.mode, paint.canvas = "IMAGE", atlas.spaces.active.image
    coverage.show(is_shown=True)


def _composite(scene: bpy.types.Scene) -> None:
    """Blender composites what is seen only when something has changed."""
    compat.scene_tree(scene).update_tag()
    if onion := node_of(scene, ONION):
        onion.inputs[0].default_value = onion.inputs[0].default_value


def _is_composited(scene: bpy.types.Scene) -> bool:
    """Whether the viewer's picture is that of the scene, and not what an earlier one has left."""
    viewer = bpy.data.images.get(_VIEWER)
    return viewer is not None and tuple(viewer.size) == (scene.render.resolution_x, scene.render.resolution_y)


def _turn_to_layers(area: bpy.types.Area) -> bool:
    """Open the sidebar's tab, which Blender lets one do only once the sidebar was drawn; whether it is."""
    sidebar = _region(area, "UI")
    with suppress(AttributeError, TypeError):
        sidebar.active_panel_category = _NAME
    return sidebar.active_panel_category == _NAME


def fit(window: bpy.types.Window, area: bpy.types.Area) -> None:
    """Show the whole picture beside the sidebar and above the shelf, which Blender draws over it."""
    space, region = area.spaces.active, _region(area, "WINDOW")
    right_px = _region(area, "UI").width if space.show_region_ui else 0
    below_px = sum(one.height for one in area.regions if one.type.startswith("ASSET_SHELF") and one.height > 1)
    with _override(window, area):
        bpy.ops.image.view_all(fit_view=True)
        if space.image and all(space.image.size):
            width_px, height_px = space.image.size
            zoom = 0.95 * min((region.width - right_px) / width_px, (region.height - below_px) / height_px)
            space.zoom_percentage = 100 * zoom
            bpy.ops.image.view_pan(offset=(0.5 * right_px / zoom, -0.5 * below_px / zoom))


def _override(window: bpy.types.Window, area: bpy.types.Area) -> AbstractContextManager[None]:
    return bpy.context.temp_override(window=window, area=area, region=_region(area, "WINDOW"))


def _region(area: bpy.types.Area, kind: str) -> bpy.types.Region:
    return next(region for region in area.regions if region.type == kind)


def _image_areas(window: bpy.types.Window) -> list[bpy.types.Area]:
    return sorted((area for area in window.screen.areas if area.type == "IMAGE_EDITOR"), key=lambda area: area.x)


def _atlas_area(window: bpy.types.Window) -> bpy.types.Area:
    return _image_areas(window)[0]


def _viewer_area(window: bpy.types.Window) -> bpy.types.Area:
    return _image_areas(window)[-1]


def _nodes_area(window: bpy.types.Window) -> bpy.types.Area:
    return next(area for area in window.screen.areas if area.type == "NODE_EDITOR")


def _largest(window: bpy.types.Window) -> bpy.types.Area:
    return max(window.screen.areas, key=lambda area: area.width * area.height)
