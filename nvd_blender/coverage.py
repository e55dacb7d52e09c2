"""The coverage overlay: parts of an atlas that no frame shows are hatched, as paint there is never seen."""

from __future__ import annotations

from typing import Any, Final

import bpy

from .labels import redraw
from .results import atlas_nodes, original_of, results

_VERTEX: Final = """
void main() {
    uv = position;
    gl_Position = ModelViewProjectionMatrix * vec4(position, 0.0, 1.0);
}
"""

_FRAGMENT: Final = """
void main() {
    float unseen = 1.0 - texture(atlas, uv).a;
    float stripe = step(0.5, fract((gl_FragCoord.x + gl_FragCoord.y) / 16.0));
    color = vec4(vec3(0.25 * stripe), 0.7 * clamp(unseen, 0.0, 1.0));
}
"""

_drawn: dict[str, Any] = {}
"""The handler while the overlay is on, and the shader once it was needed."""


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
    _drawn.clear()


def _draw() -> None:
    import gpu  # noqa: PLC0415 (not there without a window)
    from gpu_extras.batch import batch_for_shader  # noqa: PLC0415

    original = _original_of(bpy.context.space_data.image)
    if original is None:
        return
    if "shader" not in _drawn:
        _drawn["shader"] = _shader(gpu)
    shader = _drawn["shader"]
    corners = {"position": [(0, 0), (1, 0), (1, 1), (0, 1)]}
    batch = batch_for_shader(shader, "TRI_FAN", corners)
    gpu.state.blend_set("ALPHA")
    shader.uniform_sampler("atlas", gpu.texture.from_image(original))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


def _original_of(image: bpy.types.Image | None) -> bpy.types.Image | None:
    for scene in results():
        for layer, node in atlas_nodes(scene).items():
            if node.image == image:
                return original_of(scene, layer)
    return None


def _shader(gpu: Any) -> Any:  # noqa: ANN401 (Blender's module, which is not there without a window)
    made = gpu.types.GPUShaderCreateInfo()
    between = gpu.types.GPUStageInterfaceInfo("nvd_coverage")
    between.smooth("VEC2", "uv")
    made.push_constant("MAT4", "ModelViewProjectionMatrix")
    made.sampler(0, "FLOAT_2D", "atlas")
    made.vertex_in(0, "VEC2", "position")
    made.vertex_out(between)
    made.fragment_out(0, "VEC4", "color")
    made.vertex_source(_VERTEX)
    made.fragment_source(_FRAGMENT)
    return gpu.shader.create_from_info(made)
