"""The coverage overlay: hatch the parts of an atlas that no frame shows, where paint would be invisible."""

from __future__ import annotations

from typing import Any, Final

import bpy

from ..host.labels import redraw
from ..host.overlays import cover, forget_shaders
from ..host.timers import lasting
from .scenes import atlas_nodes, original_of, results

_FRAGMENT: Final = """
void main() {
    float unseen = 1.0 - texture(atlas, uv).a;
    float stripe = step(0.5, fract((gl_FragCoord.x + gl_FragCoord.y) / 16.0));
    color = vec4(vec3(0.25 * stripe), 0.7 * clamp(unseen, 0.0, 1.0));
}
"""

_drawn: dict[str, Any] = {}
"""Draw handler of the overlay while it is on."""


def is_shown() -> bool:
    """Whether the overlay is on."""
    return "handler" in _drawn


def show(*, is_shown: bool) -> None:
    """Turn the overlay on or off."""
    if is_shown and "handler" not in _drawn and not bpy.app.background:
        _drawn["handler"] = bpy.types.SpaceImageEditor.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    elif not is_shown and "handler" in _drawn:
        bpy.types.SpaceImageEditor.draw_handler_remove(_drawn.pop("handler"), "WINDOW")
    redraw("IMAGE_EDITOR")


def register() -> None:
    """See :mod:`nvd_blender`."""


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    show(is_shown=False)
    forget_shaders()


@lasting(None)
def _draw() -> None:
    original = _original_of(bpy.context.space_data.image)
    if original:
        cover(_FRAGMENT, atlas=original)


def _original_of(image: bpy.types.Image | None) -> bpy.types.Image | None:
    for scene in results():
        for layer, node in atlas_nodes(scene).items():
            if node.image == image:
                return original_of(scene, layer)
    return None
