"""The node tree: plate, one group a layer, keep-plate or rebuild, a viewer and an output.

It computes what :mod:`nvd_core.compositing` states; a test compares the two pixel by pixel.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.folder import Manifest, Source, inside, read_manifest

from . import compat
from .compat import Node, Socket, Tree
from .one_pixel import write_one_pixel

FOLDER_KEY: Final = "nvd_folder"
"""Custom property of a result's scene: the decomposition it shows."""

BUILT_KEY: Final = "nvd_built"
"""Custom property of a result's scene: counts up, so that the newest is known."""

OURS_KEY: Final = "nvd"
"""Custom property of the images that were loaded for a result."""

MODE_SWITCH: Final = "Rebuild from layers"
"""Name of the switch between keeping the plate (off) and rebuilding every pixel from the layers (on)."""

ATLAS_NODE: Final = "Atlas of {}"
"""Name of the node that holds a layer's atlas to paint."""

TOLERANCE_RELATIVE: Final = 0.01
TOLERANCE_ABSOLUTE: Final = 0.001
OWNED_FROM: Final = 0.9
"""As in :mod:`nvd_core.compositing`, which cannot be imported here: it needs numpy. A test compares them."""

_WHOLE_NUMBERS: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tga", ".webp")
"""Pictures that need not be read to know that they have no floating-point numbers."""

_COLOUR, _NUMBER, _VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"


def load_result(folder: Path) -> bpy.types.Scene:
    """Build the scene of a finished decomposition.

    Raises:
        InputError: the folder is none.
    """
    return build_scene(folder, read_manifest(folder))


def build_scene(folder: Path, manifest: Manifest) -> bpy.types.Scene:
    """The scene that re-composites a decomposition, made anew or brought up to date.

    Scene frames are plate frames. The user's own scenes and their settings are not touched.
    """
    source = manifest.source
    scene = result_scene(folder) or bpy.data.scenes.new(f"NVD {manifest.name}")
    scene[BUILT_KEY] = 1 + max((one.get(BUILT_KEY, 0) for one in results()), default=0)
    scene[FOLDER_KEY] = str(folder)
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.render.resolution_percentage = 100
    scene.render.fps = max(1, round(source.fps))
    scene.render.fps_base = scene.render.fps / source.fps
    scene.frame_start, scene.frame_end = source.first, source.last
    scene.frame_set(source.first)
    scene.render.use_sequencer = False
    scene.render.dither_intensity = 0.0
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    compat.set_image_format(scene.render.image_settings, "PNG")
    compat.use_exact_compositor(scene)
    _build_tree(compat.empty_scene_tree(scene), folder, manifest)
    return scene


def results() -> list[bpy.types.Scene]:
    """The scenes of all decompositions, the one that was built last first."""
    return sorted((one for one in bpy.data.scenes if FOLDER_KEY in one), key=lambda one: -one.get(BUILT_KEY, 0))


def result_scene(folder: Path) -> bpy.types.Scene | None:
    """The scene of a decomposition, if it was built."""
    return next((scene for scene in results() if scene[FOLDER_KEY] == str(folder)), None)


def atlas_nodes(scene: bpy.types.Scene) -> dict[str, Node]:
    """The nodes that hold the atlases to paint, by layer, front to back."""
    tree = compat.scene_tree(scene)
    prefix = ATLAS_NODE.format("")
    return {node.name.removeprefix(prefix): node for node in tree.nodes if node.name.startswith(prefix)} if tree else {}


def set_mode(scene: bpy.types.Scene, *, rebuild: bool) -> None:
    """Choose what a result's scene shows: the plate with the paint on it, or the layers alone."""
    compat.set_switch(compat.scene_tree(scene).nodes[MODE_SWITCH], on=rebuild)


class _Layer(NamedTuple):
    """A layer's group in the scene's tree: what it adds to the plate, and what it is by itself."""

    change: Socket
    alone: Socket


def _build_tree(tree: Tree, folder: Path, manifest: Manifest) -> None:
    plate = _plate_node(tree, manifest.source)
    passes = _load(manifest.frame_path(folder, manifest.source.first), "Non-Color")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        frame = manifest.frame_path(folder, manifest.source.first)
        one_pixel = Path(temporary) / frame.name  # with its number
        write_one_pixel(frame, one_pixel)
        with _instead(passes, str(one_pixel)):
            layers = [_layer(tree, folder, manifest, name, passes, plate.outputs[0]) for name in manifest.layers]
    kept, rebuilt = plate.outputs[0], layers[0].alone
    for layer in layers:
        kept = compat.mix(tree, "ADD", 1.0, kept, layer.change)
    for layer in layers[1:]:
        rebuilt = compat.mix(tree, "ADD", 1.0, rebuilt, layer.alone)
    chosen = compat.switch(tree, MODE_SWITCH, kept, rebuilt).outputs[0]
    tree.links.new(chosen, compat.output_node(tree).inputs[0])
    tree.links.new(chosen, tree.nodes.new("CompositorNodeViewer").inputs[0])
    _arrange(tree)


def _layer(tree: Tree, folder: Path, manifest: Manifest, name: str, passes: bpy.types.Image, plate: Socket) -> _Layer:
    """The nodes of one layer: its passes, its atlas twice, and its group."""
    frames = _sequence_node(tree, passes, manifest.source)
    frames.layer = name
    frames.name = frames.label = f"Passes of {name}"
    atlases = []
    for label, files in ((ATLAS_NODE, manifest.atlas_files), ("Original of {}", manifest.original_files)):
        node = tree.nodes.new("CompositorNodeImage")
        node.image = _load(inside(folder, files[name]), "Linear Rec.709")
        node.name = node.label = label.format(name)
        atlases.append(node)
    group = tree.nodes.new("CompositorNodeGroup")
    group.node_tree = _layer_group(f"NVD {manifest.name} {name}", atlases[0].image.size, atlases[1].image.size)
    group.name = group.label = name
    inputs = [
        plate,
        *(frames.outputs[one] for one in ("uv", "alpha", "residual")),
        *(one.outputs[0] for one in atlases),
    ]
    for socket, target in zip(inputs, group.inputs, strict=True):
        tree.links.new(socket, target)
    return _Layer(group.outputs["Change"], group.outputs["Layer"])


def _layer_group(name: str, painted_size: tuple[int, int], original_size: tuple[int, int]) -> Tree:
    """What :func:`nvd_core.compositing.keep_plate` and one term of ``rebuild`` compute."""
    tree = bpy.data.node_groups.new(name, "CompositorNodeTree")
    ports = {
        "Plate": _COLOUR, "UV": _VECTOR, "Alpha": _NUMBER, "Residual": _COLOUR, "Painted": _COLOUR, "Original": _COLOUR,
    }  # fmt: skip
    for label, kind in ports.items():
        tree.interface.new_socket(label, in_out="INPUT", socket_type=kind)
    for label in ("Change", "Layer"):
        tree.interface.new_socket(label, in_out="OUTPUT", socket_type=_COLOUR)
    plate, uv, alpha, residual, painted, original = list(tree.nodes.new("NodeGroupInput").outputs)[: len(ports)]
    painted = compat.map_uv(tree, painted, painted_size, uv)
    original = compat.map_uv(tree, original, original_size, uv)

    lit_painted = compat.mix(tree, "MULTIPLY", 1.0, residual, painted)
    lit_original = compat.mix(tree, "MULTIPLY", 1.0, residual, original)
    touched = _changed(tree, painted, original)
    owned = compat.math(tree, "DIVIDE", compat.math(tree, "SUBTRACT", alpha, OWNED_FROM), 1 - OWNED_FROM, clamp=True)
    difference = compat.mix(tree, "MULTIPLY", 1.0, residual, compat.mix(tree, "SUBTRACT", 1.0, painted, original))
    mismatch = compat.mix(tree, "SUBTRACT", 1.0, lit_original, plate)
    added = compat.mix(tree, "MULTIPLY", 1.0, difference, compat.math(tree, "MULTIPLY", alpha, touched))
    replaced = compat.mix(tree, "MULTIPLY", 1.0, mismatch, compat.math(tree, "MULTIPLY", owned, touched))

    output = tree.nodes.new("NodeGroupOutput")
    tree.links.new(compat.mix(tree, "ADD", 1.0, added, replaced), output.inputs["Change"])
    tree.links.new(compat.mix(tree, "MULTIPLY", 1.0, lit_painted, alpha), output.inputs["Layer"])
    _arrange(tree)
    return tree


def _changed(tree: Tree, painted: Socket, original: Socket) -> Socket:
    """See :func:`nvd_core.compositing.changed`."""
    ours, theirs = compat.channels(tree, painted), compat.channels(tree, original)
    apart = brightest = None
    for one, other in zip(ours[:3], theirs[:3], strict=True):
        distance = compat.math(tree, "ABSOLUTE", compat.math(tree, "SUBTRACT", one, other))
        brighter = compat.math(tree, "MAXIMUM", one, other)
        apart = distance if apart is None else compat.math(tree, "MAXIMUM", apart, distance)
        brightest = brighter if brightest is None else compat.math(tree, "MAXIMUM", brightest, brighter)
    tolerance = compat.math(tree, "MULTIPLY_ADD", brightest, TOLERANCE_RELATIVE, TOLERANCE_ABSOLUTE)
    return compat.math(tree, "SUBTRACT", compat.math(tree, "DIVIDE", apart, tolerance), 1.0, clamp=True)


def _plate_node(tree: Tree, source: Source) -> Node:
    path = Path(source.file)
    image = _load(path, None)
    image.alpha_mode = "CHANNEL_PACKED"  # colour as it is in the file, whatever its alpha says
    if path.suffix.lower() == ".exr" or (path.suffix.lower() not in _WHOLE_NUMBERS and _is_float(image)):
        image.colorspace_settings.name = "Linear Rec.709"
    with _instead(image, ""):
        node = _sequence_node(tree, image, source)
    node.name = node.label = "Plate"
    return node


def _is_float(image: bpy.types.Image) -> bool:
    """Whether its file has floating-point numbers. It is read for that."""
    return image.is_float and image.depth // image.channels == 32


def _sequence_node(tree: Tree, image: bpy.types.Image, source: Source) -> Node:
    """An image node that shows file number N at scene frame N."""
    if image.source == "FILE" and len(source.numbers) > 1:
        image.source = "SEQUENCE"
    node = tree.nodes.new("CompositorNodeImage")
    node.image = image
    node.frame_duration = len(source.numbers)
    node.frame_start, node.frame_offset = source.first, source.first - 1
    node.use_auto_refresh = True
    return node


def _load(path: Path, colorspace: str | None) -> bpy.types.Image:
    """An image datablock of a file, apart from the user's own; ours is read again, unless it holds unsaved paint."""
    ours = {bpy.path.abspath(image.filepath): image for image in bpy.data.images if OURS_KEY in image}
    image = ours.get(str(path))
    if image is None:
        image = bpy.data.images.load(str(path))
        image[OURS_KEY] = True
    elif not image.is_dirty:
        image.reload()
    if colorspace:
        image.colorspace_settings.name = colorspace
    return image


@contextmanager
def _instead(image: bpy.types.Image, path: str) -> Iterator[None]:
    """Have an image at another path while nodes are built from it, as its file would be read for each."""
    own = image.filepath
    image.filepath = path
    try:
        yield
    finally:
        image.filepath_raw = own
        image.buffers_free()


def _arrange(tree: Tree) -> None:
    """Lay nodes out from left to right by how many links they are from the start."""
    column: dict[str, int] = {node.name: 0 for node in tree.nodes}
    links = [(link.from_node.name, link.to_node.name) for link in tree.links]  # asking Blender takes long
    for _ in column:
        for begin, end in links:
            column[end] = max(column[end], column[begin] + 1)
    filled: dict[int, float] = {}
    for node in tree.nodes:
        place = column[node.name]
        node.location = (280.0 * place, -filled.get(place, 0.0))
        filled[place] = filled.get(place, 0.0) + 420.0
