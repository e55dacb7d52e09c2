"""Draw a shader over the picture of an Image editor."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import bpy

_VERTEX: Final = """
void main() {
    uv = position;
    gl_Position = ModelViewProjectionMatrix * vec4(position, 0.0, 1.0);
}
"""


def cover(fragment: str, **pictures: bpy.types.Image) -> None:
    """Draw over the picture; for a POST_VIEW draw handler.

    Args:
        fragment: code of the fragment shader, which computes ``color`` from ``uv`` and samplers.
        pictures: images by the names of their samplers.
    """
    import gpu  # noqa: PLC0415 (not there without a window)
    from gpu_extras.batch import batch_for_shader  # noqa: PLC0415

    shader = _shader(fragment, *pictures)
    batch = batch_for_shader(shader, "TRI_FAN", {"position": [(0, 0), (1, 0), (1, 1), (0, 1)]})
    gpu.state.blend_set("ALPHA")
    for name, picture in pictures.items():
        shader.uniform_sampler(name, gpu.texture.from_image(picture))
    batch.draw(shader)
    gpu.state.blend_set("NONE")


@cache
def _shader(fragment: str, *samplers: str) -> Any:  # noqa: ANN401 (its class is not there without a window)
    import gpu  # noqa: PLC0415

    made = gpu.types.GPUShaderCreateInfo()
    between = gpu.types.GPUStageInterfaceInfo("nvd_overlay")
    between.smooth("VEC2", "uv")
    made.push_constant("MAT4", "ModelViewProjectionMatrix")
    for slot, name in enumerate(samplers):
        made.sampler(slot, "FLOAT_2D", name)
    made.vertex_in(0, "VEC2", "position")
    made.vertex_out(between)
    made.fragment_out(0, "VEC4", "color")
    made.vertex_source(_VERTEX)
    made.fragment_source(fragment)
    return gpu.shader.create_from_info(made)


def forget_shaders() -> None:
    """Free the compiled shaders."""
    _shader.cache_clear()
