"""Inserts in the tree of a result: build a layer's stack of them from the record of edits, and read it back.

What artists set and animate are inputs of each insert's node. What does not change, such as its file, is a custom
property of the node, which is checked like the record when it is read, as a .blend may come from anybody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import bpy

from nvd_core.spec.edits import CORNERS, NO_EDITS, Edits, Insert, Keys, Stack, parse_insert, read_edits, write_edits
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import Manifest

from ..host import compat
from ..host.nodes import Node, Socket, Tree
from .insert_group import ABOVE, BELOW, NUMBERS, OPACITY, PICTURE, SURFACE, insert_group, set_insert
from .layer_group import INSERTS, INSERTS_BEYOND, PAINT_BEYOND, take_edits
from .pictures import load_picture
from .scenes import LAYER_NODE, PASSES_NODE, SURFACE_NODE, atlas_nodes, node_of
from .surface_group import UNLIT

INSERT_NODE: Final = "Insert {} on {}"
_PICTURE_NODE: Final = "Picture {}"

_KEY: Final = "nvd_insert"
"""Custom property of an insert's node: the insert, as the record has it."""

_LAYER_KEY: Final = "nvd_insert_of"
"""Custom property of all nodes that inserts need: their layer."""

_STEP, _BELOW = 260.0, 700.0
"""Distances of these nodes from each other, and from their layer's."""

_CLOSE: Final = 1e-6
"""Largest difference from the record that is rounding of Blender's single floats."""


def build(scene: bpy.types.Scene, folder: Path, manifest: Manifest) -> None:
    """Build the inserts of all layers from the record of edits, in place of those that are there.

    Raises:
        InputError: the record or a picture is missing or damaged.
    """
    edits = read_edits(folder, manifest.names)
    for layer in manifest.names:
        build_stack(scene, folder, layer, edits.get(layer, NO_EDITS), manifest.source.numbers)


def build_stack(scene: bpy.types.Scene, folder: Path, layer: str, stack: Stack, numbers: range) -> None:
    """Build the inserts of one layer."""
    tree, group = compat.scene_tree(scene), node_of(scene, LAYER_NODE.format(layer))
    _clear(scene, layer)
    if group is None or PAINT_BEYOND not in group.inputs:  # the user has changed it, or an earlier version built it
        if stack != NO_EDITS:
            raise InputError(f"The node of {layer} cannot show its inserts", where=folder, hint="Load the result anew.")
        return
    group.inputs[PAINT_BEYOND].default_value = float(not stack.is_paint_clipped)
    uv = node_of(scene, PASSES_NODE.format(layer)).outputs["uv"]
    surface = node_of(scene, SURFACE_NODE.format(layer)).outputs[UNLIT]
    below: Node | None = None
    for insert in stack.inserts:
        below = _insert(tree, folder, layer, insert, numbers, uv, surface, below)
    if below:
        for output, label in zip(ABOVE, (INSERTS, INSERTS_BEYOND), strict=True):
            tree.links.new(below.outputs[output], group.inputs[label])
    _fit_layers(scene)
    ours = [node for node in tree.nodes if node.get(_LAYER_KEY) == layer]
    for place, node in enumerate(ours):
        node.parent = group.parent
        node.location = (group.location.x - _STEP * (len(ours) - place), group.location.y - _BELOW)


def _fit_layers(scene: bpy.types.Scene) -> None:
    """Let all layers' nodes compute edits if one has any: what one shows beyond its outline hides those behind."""
    groups = [group for layer in atlas_nodes(scene) if (group := node_of(scene, LAYER_NODE.format(layer)))]
    groups = [group for group in groups if PAINT_BEYOND in group.inputs]
    has_edits = any(group.inputs[INSERTS].is_linked or group.inputs[PAINT_BEYOND].default_value for group in groups)
    for group in groups:
        take_edits(group, has_edits=has_edits)


def _clear(scene: bpy.types.Scene, layer: str) -> None:
    """Remove a layer's inserts, their key frames and their groups."""
    tree = compat.scene_tree(scene)
    ours = [node for node in tree.nodes if node.get(_LAYER_KEY) == layer]
    paths = tuple(node.path_from_id() for node in ours)
    curves = compat.curves_of(tree)
    for curve in [one for one in curves if paths and one.data_path.startswith(paths)]:
        curves.remove(curve)
    groups = [node.node_tree for node in ours if node.bl_idname == "CompositorNodeGroup"]
    for node in ours:
        tree.nodes.remove(node)
    for group in groups:
        if group and not group.users:
            bpy.data.node_groups.remove(group)


def read_stack(scene: bpy.types.Scene, layer: str, numbers: range) -> Stack:
    """Read a layer's stack from its nodes.

    Raises:
        InputError: a node holds what no insert is.
    """
    group = node_of(scene, LAYER_NODE.format(layer))
    inserts = [_read(scene, node, numbers) for node in insert_nodes(scene, layer)]
    return Stack(tuple(inserts), group is None or group.inputs[PAINT_BEYOND].default_value < 0.5)


def insert_nodes(scene: bpy.types.Scene, layer: str) -> list[Node]:
    """Nodes of a layer's inserts, bottom first."""
    group, found = node_of(scene, LAYER_NODE.format(layer)), []
    socket = group.inputs.get(INSERTS) if group else None
    while socket is not None and socket.is_linked and _KEY in (node := socket.links[0].from_node) and node not in found:
        found.append(node)
        socket = node.inputs.get(BELOW[0])
    return found[::-1]


def write(scene: bpy.types.Scene, folder: Path, manifest: Manifest) -> None:
    """Write the edits as the nodes have them to the record.

    Raises:
        InputError: a node holds what no insert is, or the record cannot be written.
    """
    edits: Edits = {layer: read_stack(scene, layer, manifest.source.numbers) for layer in manifest.names}
    if edits != read_edits(folder, manifest.names):
        write_edits(folder, {layer: stack for layer, stack in edits.items() if stack != NO_EDITS}, manifest.names)


def _insert(
    tree: Tree,
    folder: Path,
    layer: str,
    insert: Insert,
    numbers: range,
    uv: Socket,
    surface: Socket,
    below: Node | None,
) -> Node:
    """Add the nodes of an insert: its picture, and its group."""
    path = insert.path(folder, insert.start)
    image = load_picture(path, "Linear Rec.709" if path.suffix == ".exr" else "sRGB")
    if tuple(image.size) != tuple(insert.size):
        raise InputError(
            f"The picture of the insert {insert.name} is not the one that was inserted",
            where=path,
            hint="Insert it again.",
        )
    picture = tree.nodes.new("CompositorNodeImage")
    picture.image = image
    if insert.count > 1:
        image.source = "SEQUENCE"
        picture.frame_duration, picture.frame_start, picture.frame_offset = insert.count, insert.start, 0
        picture.use_auto_refresh = True
    picture.name = picture.label = _PICTURE_NODE.format(insert.name)
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = insert_group(insert, image)
    node.name, node.label = INSERT_NODE.format(insert.name, layer), insert.name
    node[_KEY] = json.dumps(asdict(insert))
    set_insert(node, insert, numbers[0], numbers[-1])
    links = [(picture.outputs[0], PICTURE), (uv, "UV"), (surface, SURFACE)]
    links += [(below.outputs[one], other) for one, other in zip(ABOVE, BELOW, strict=True)] if below else []
    for source, label in links:
        tree.links.new(source, node.inputs[label])
    _animate(node, insert)
    for one in (picture, node):
        one.show_preview, one[_LAYER_KEY] = False, layer
    return node


def _animate(node: Node, insert: Insert) -> None:
    """Give a node the key frames of its insert; without more than one there are none."""
    if len(insert.opacity) > 1:
        for frame, value in insert.opacity:
            _key(node.inputs[OPACITY], frame, value)
    if len(insert.corners) > 1:
        for frame, *row in insert.corners:
            for corner, u, v in zip(CORNERS, row[::2], row[1::2], strict=True):
                _key(node.inputs[corner], frame, (u, v, 0.0))
    for curve in compat.curves_of(node.id_data):
        if curve.data_path.startswith(node.path_from_id()):
            for point in curve.keyframe_points:
                point.interpolation = "LINEAR"


def _key(socket: Socket, frame: float, value: object) -> None:
    socket.default_value = value
    socket.keyframe_insert("default_value", frame=frame)


def _read(scene: bpy.types.Scene, node: Node, numbers: range) -> Insert:
    """Read an insert from its node."""
    insert = parse_insert(json.loads(str(node[_KEY])), Path(scene.name))
    values = {label: node.inputs[label].default_value for label in NUMBERS}
    first, last = round(values["First"]), round(values["Last"])
    return replace(
        insert,
        corners=_keys(node, CORNERS, insert.corners, numbers),
        opacity=_keys(node, [OPACITY], insert.opacity, numbers),
        is_clipped=values["Clipped"] > 0.5,
        is_visible=values["Shown"] > 0.5,
        first=None if first < numbers[0] else first,
        last=None if last > numbers[-1] else last,
        fade_in=max(0, round(values["Fade In"])),
        fade_out=max(0, round(values["Fade Out"])),
    )


def _keys(node: Node, labels: Sequence[str], before: Keys, numbers: range) -> Keys:
    """Read key frames of inputs: where they are animated by other than linear keys, one for every frame."""
    sockets = [node.inputs[label] for label in labels]
    paths = [socket.path_from_id("default_value") for socket in sockets]
    curves = {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(node.id_data)}
    ours = [curve for (path, _), curve in curves.items() if path in paths]
    points = [point for curve in ours for point in curve.keyframe_points]
    is_linear = all(point.interpolation == "LINEAR" for point in points) and not any(one.modifiers for one in ours)
    frames = sorted({point.co.x for point in points} or {0.0}) if is_linear else list(map(float, numbers))
    rows = []
    for frame in frames:
        row = [frame]
        for socket, path in zip(sockets, paths, strict=True):
            value = socket.default_value
            for index, part in enumerate(value[:2] if socket.type == "VECTOR" else [value]):
                curve = curves.get((path, index))
                row.append(curve.evaluate(frame) if curve else part)
        rows.append(tuple(row))
    same = [row[0] for row in rows] == [row[0] for row in before] or len(rows) == len(before) == 1
    if same and all(
        abs(a - b) < _CLOSE
        for row, other in zip(rows, before, strict=True)
        for a, b in zip(row[1:], other[1:], strict=True)
    ):
        return before
    return tuple(rows)
