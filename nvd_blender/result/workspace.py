"""Open the *Layers* workspace: atlas and shot side by side, timeline and nodes below.

The node editor is needed: before 5.0 Blender composites for a viewer only while the nodes are visible.

Blender switches the workspace only after the operator has ended, and creates the viewer's image only after the
compositor has run. So a timer lays the workspace out step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Final, NamedTuple

import bpy

from ..host import compat
from ..host.timers import lasting
from . import coverage
from .scenes import ONION, atlas_nodes, node_of

_NAME: Final = "Layers"
_OURS_KEY: Final = "nvd"
_STEP_S: Final = 0.05
_PATIENCE: Final = 200

_VIEWER: Final = "Viewer Node"
"""Blender's name of the image that a Viewer node makes."""

_BELOW: Final = 0.2
_ATLAS: Final = 0.5
"""Share of the lower editors in the window's height, and of the left ones in its width."""


class View(NamedTuple):
    """View of an Image editor.

    Attributes:
        zoom: percent.
        x: horizontal position in the picture at the editor's centre, 0 to 1.
        y: vertical position, 0 to 1.
    """

    zoom: float
    x: float
    y: float


def open_layers(window: bpy.types.Window, scene: bpy.types.Scene, layer: str) -> None:
    """Show a result in the workspace, created if needed, with a layer's atlas as the paint canvas."""
    workspace = next((one for one in bpy.data.workspaces if _OURS_KEY in one), None)
    if workspace is None:
        before = set(bpy.data.workspaces)
        with bpy.context.temp_override(window=window):
            bpy.ops.workspace.duplicate()
        workspace = next(one for one in bpy.data.workspaces if one not in before)
        workspace.name, workspace[_OURS_KEY] = _NAME, True
    for one in (window.workspace, workspace):
        one.use_pin_scene = True  # so that rendering in the edit's workspace still renders the edit
    window.workspace = workspace
    steps = _steps(workspace.name, scene.name, layer)
    advance = lasting(None)(lambda: _STEP_S if next(steps, None) else None)
    bpy.app.timers.register(advance, first_interval=_STEP_S)


def _steps(workspace: str, scene: str, layer: str) -> Iterator[bool]:
    """Lay out the workspace, one step per redraw; by names, as references to Blender's data may become invalid."""

    def window() -> bpy.types.Window | None:
        shown = bpy.context.window_manager.windows
        return next((one for one in shown if one.workspace.name == workspace), None)

    yield from _until(lambda: window() is not None)
    if window() and scene in bpy.data.scenes:
        window().scene = bpy.data.scenes[scene]
        yield True
    if window() and not _is_laid_out(window()):
        _lay_out(window())
        yield True  # setting properties of a new editor before it was drawn crashes 5.2
    if window():
        _fill(window(), layer)
        with bpy.context.temp_override(window=window()):
            bpy.ops.ed.undo_push(message="Open Layers")  # so that undoing a stroke does not close the workspace
    yield from _until(lambda: window() is None or _VIEWER in bpy.data.images)
    if window() and _VIEWER in bpy.data.images:
        _viewer_area(window()).spaces.active.image = bpy.data.images[_VIEWER]
        _composite(window().scene)
    yield from _until(lambda: window() is None or shot_of(window().scene))
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
    """Whether the needed editors exist; the user may have changed the rest."""
    kinds = [area.type for area in window.screen.areas]
    return kinds.count("IMAGE_EDITOR") > 1 and "NODE_EDITOR" in kinds


def _lay_out(window: bpy.types.Window) -> None:
    """Close all areas but the largest, and split that into four."""
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
    """Split an area and return the window's lowest area, or leftmost after a vertical split."""
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
    """Make Blender composite the scene: it does so only after a change."""
    compat.scene_tree(scene).update_tag()
    if onion := node_of(scene, ONION):
        onion.inputs[0].default_value = onion.inputs[0].default_value


def shot_of(scene: bpy.types.Scene) -> bpy.types.Image | None:
    """Image of the viewer if it has the scene's size, and is not left from another scene."""
    viewer = bpy.data.images.get(_VIEWER)
    size = (scene.render.resolution_x, scene.render.resolution_y)
    return viewer if viewer is not None and tuple(viewer.size) == size else None


def _turn_to_layers(area: bpy.types.Area) -> bool:
    """Open the sidebar's tab, which is possible only after the sidebar was drawn; return whether it is open."""
    sidebar = _region(area, "UI")
    with suppress(AttributeError, TypeError):
        sidebar.active_panel_category = _NAME
    return sidebar.active_panel_category == _NAME


def set_canvas(
    window: bpy.types.Window | None, scene: bpy.types.Scene, image: bpy.types.Image, *, fits: bool = True
) -> dict[int, View]:
    """Make an image the paint canvas of the window's scene and the result's, and show it in Image editors.

    Args:
        window: with the editors; None without a window.
        scene: of the result.
        image: atlas or mask.
        fits: whether to zoom to the whole image.

    Returns:
        Former views of these editors, by index of the area in the window; see :func:`look`.
    """
    areas = {index: area for index, area in enumerate(window.screen.areas if window else ()) if _is_picture(area)}
    canvases = {index: area for index, area in areas.items() if not _shows_shot(area.spaces.active)}
    views = {index: view_of(area) for index, area in canvases.items()}
    shots = [space for area in areas.values() if _shows_shot(space := area.spaces.active) and not space.use_image_pin]
    for space in shots:
        space.use_image_pin = True  # a canvas is shown in every Image editor that is not pinned
    for one in {window.scene if window else bpy.context.scene, scene}:
        paint = one.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", image
    for space in shots:
        space.use_image_pin = False
    for area in canvases.values():
        space = area.spaces.active
        space.image, space.ui_mode = image, "PAINT"
        if fits:
            fit(window, area)
    return views


def view_of(area: bpy.types.Area) -> View:
    """Current view of an Image editor."""
    region = _region(area, "WINDOW")
    x, y = region.view2d.region_to_view(region.width / 2, region.height / 2)
    return View(area.spaces.active.zoom_percentage, x, y)


def look(window: bpy.types.Window, area: bpy.types.Area, view: View) -> None:
    """Set the view of an Image editor."""
    space = area.spaces.active
    space.zoom_percentage = view.zoom
    now = view_of(area)
    with _override(window, area):
        offset = ((view.x - now.x) * space.image.size[0], (view.y - now.y) * space.image.size[1])
        bpy.ops.image.view_pan(offset=offset)


def _is_picture(area: bpy.types.Area) -> bool:
    return area.type == "IMAGE_EDITOR"


def _shows_shot(space: bpy.types.SpaceImageEditor) -> bool:
    return space.image is not None and space.image.type == "COMPOSITING"


def fit(window: bpy.types.Window, area: bpy.types.Area) -> None:
    """Zoom to the whole picture in the part of the editor that sidebar and asset shelf do not cover."""
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
