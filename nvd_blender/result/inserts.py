"""Inserts in the tree of a result: build the nodes of a layer's stack of them, and read it back.

What artists set and animate are inputs of each insert's node. What does not change, such as its file, is a custom
property of the node, which is checked like the record when it is read, as a .blend may come from anybody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import bpy

from nvd_core.spec.edits import CORNERS, NO_EDITS, Insert, Keys, Stack, parse_insert
from nvd_core.spec.errors import InputError

from ..host import compat
from ..host.nodes import Node, Socket, Tree
from .insert_group import ABOVE, BELOW, NUMBERS, OPACITY, PICTURE, SURFACE, insert_group, set_insert, set_numbers
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

_OPEN_KEY: Final = "nvd_insert_is_open"
"""Custom property of an insert's node: whether the panel shows its fields."""

_QUICK: Final = ("blend", "is_visible", "is_clipped", "first", "last", "fade_in", "fade_out")
"""Fields of an insert that change without another node."""

_GROUP: Final = "CompositorNodeGroup"

_STEP, _BELOW = 260.0, 700.0
"""Distances of these nodes from each other, and from their layer's."""

_CLOSE: Final = 1e-6
"""Largest difference from the record that is rounding of Blender's single floats."""


def set_stack(scene: bpy.types.Scene, folder: Path, layer: str, stack: Stack, numbers: range) -> None:
    """Set the inserts of one layer. Nodes of those that stay as they are stay, with their drivers and curves.

    Args:
        scene: of the result.
        folder: of the result.
        layer: its name.
        stack: its inserts.
        numbers: of the shot's frames.

    Raises:
        InputError: the layer's node or an insert's picture is not what it was.
    """
    tree, group = compat.scene_tree(scene), group_for_inserts(scene, layer)
    if group is None:
        if stack != NO_EDITS:
            hint = "Delete the scene of this result, and load it again."
            raise InputError(f"The node of {layer} cannot show its inserts", where=folder, hint=hint)
        return
    kept = _kept(scene, layer, stack, numbers)
    images = {one.name: _picture(folder, one) for one in stack.inserts if one.name not in kept}  # before any change
    group.inputs[PAINT_BEYOND].default_value = float(not stack.is_paint_clipped)
    pictures = [link.from_node for node in kept.values() for link in node.inputs[PICTURE].links]
    stay = [*kept.values(), *pictures]
    _remove(tree, [node for node in tree.nodes if node.get(_LAYER_KEY) == layer and node not in stay])
    below: Node | None = None
    for insert in stack.inserts:
        node = kept.get(insert.name) or _insert(scene, layer, insert, images[insert.name], numbers)
        _set_blend(node, insert)
        _lay_over(tree, node, below)
        below = node
    for output, label in zip(ABOVE, (INSERTS, INSERTS_BEYOND), strict=True):
        _link(tree, below.outputs[output] if below else None, group.inputs[label])
    fit_layers(scene)
    ours = [node for node in tree.nodes if node.get(_LAYER_KEY) == layer]
    for place, node in enumerate(ours):
        node.parent = group.parent
        node.location = (group.location.x - _STEP * (len(ours) - place), group.location.y - _BELOW)


def fit_layers(scene: bpy.types.Scene) -> None:
    """Let all layers' nodes compute edits if one has any: what one shows beyond its outline hides those behind."""
    groups = [group for layer in atlas_nodes(scene) if (group := node_of(scene, LAYER_NODE.format(layer)))]
    groups = [group for group in groups if PAINT_BEYOND in group.inputs]
    has_edits = any(group.inputs[INSERTS].is_linked or group.inputs[PAINT_BEYOND].default_value for group in groups)
    for group in groups:
        take_edits(group, has_edits=has_edits)


def group_for_inserts(scene: bpy.types.Scene, layer: str) -> Node | None:
    """Node of a layer; None if the user has changed it, or an early version built it, so that it takes no inserts."""
    group = node_of(scene, LAYER_NODE.format(layer))
    return group if group and {PAINT_BEYOND, INSERTS, INSERTS_BEYOND} <= {*group.inputs.keys()} else None


def _kept(scene: bpy.types.Scene, layer: str, stack: Stack, numbers: range) -> dict[str, Node]:
    """Nodes, by insert, that show inserts of a stack already, but for what is quickly set."""
    wanted, kept = {one.name: one for one in stack.inserts}, {}
    for node in insert_nodes(scene, layer):
        with suppress(InputError):  # what holds no insert is built anew
            was = _read(scene, node, numbers)
            if was.name in wanted and was.name not in kept:
                now = wanted[was.name]
                if replace(was, **{name: getattr(now, name) for name in _QUICK}) == now:
                    kept[was.name] = node
                    if replace(was, blend=now.blend) != now:
                        set_numbers(node, now, numbers[0], numbers[-1])
    return kept


def _remove(tree: Tree, gone: Sequence[Node]) -> None:
    """Remove nodes of inserts, their key frames and drivers, and their groups."""
    groups = [node.node_tree for node in gone if node.bl_idname == _GROUP]
    for node in gone:
        _forget_animation(tree, node)
        tree.nodes.remove(node)
    for group in groups:
        if group and not group.users:
            bpy.data.node_groups.remove(group)


def _forget_animation(tree: Tree, node: Node) -> None:
    """Remove what animates a node, or one of its name that is there no more."""
    drivers = tree.animation_data.drivers if tree.animation_data else ()
    for curves in (compat.curves_of(tree), drivers):
        for curve in [one for one in curves if one.data_path.startswith(f"{node.path_from_id()}.")]:
            curves.remove(curve)


def _set_blend(node: Node, insert: Insert) -> None:
    """Give a node the group of another blend mode, if it has not the insert's; inputs, keys and links stay."""
    if blend_of(node) == insert.blend:
        return
    before, image = node.node_tree, node.inputs[PICTURE].links[0].from_node.image
    node.node_tree = insert_group(insert, image)
    node[_KEY] = json.dumps(asdict(insert))
    if before and not before.users:
        bpy.data.node_groups.remove(before)


def _lay_over(tree: Tree, node: Node, below: Node | None) -> None:
    for output, label in zip(ABOVE, BELOW, strict=True):
        _link(tree, below.outputs[output] if below else None, node.inputs[label])


def _link(tree: Tree, source: Socket | None, target: Socket) -> None:
    """Link a socket to this source alone."""
    for link in list(target.links):
        tree.links.remove(link)
    if source:
        tree.links.new(source, target)


def read_stack(scene: bpy.types.Scene, layer: str, numbers: range) -> Stack:
    """Read the stack of a layer that has a :func:`group_for_inserts` from its nodes.

    Raises:
        InputError: a node holds what no insert is.
    """
    inserts = [_read(scene, node, numbers) for node in insert_nodes(scene, layer)]
    return Stack(tuple(inserts), group_for_inserts(scene, layer).inputs[PAINT_BEYOND].default_value < 0.5)


def insert_nodes(scene: bpy.types.Scene, layer: str) -> list[Node]:
    """Nodes of a layer's inserts, bottom first."""
    group, found = node_of(scene, LAYER_NODE.format(layer)), []
    socket = group.inputs.get(INSERTS) if group else None
    while socket is not None and socket.is_linked and _KEY in (node := socket.links[0].from_node) and node not in found:
        found.append(node)
        socket = node.inputs.get(BELOW[0])
    return found[::-1]


def name_of(node: Node) -> str:
    """Name of the insert that a node shows; empty where the node holds none."""
    return _field_of(node, "name")


def blend_of(node: Node) -> str:
    """Blend mode of the insert that a node shows; empty where the node holds none."""
    return _field_of(node, "blend")


def is_open(node: Node) -> bool:
    """Whether the panel shows the fields of a node's insert."""
    return node.get(_OPEN_KEY) is True


def open_or_close(node: Node) -> None:
    """Let the panel show or hide the fields of a node's insert."""
    node[_OPEN_KEY] = not is_open(node)


def _field_of(node: Node, name: str) -> str:
    try:
        return str(json.loads(node[_KEY])[name]) if node.node_tree else ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # of a stranger's .blend
        return ""


def _picture(folder: Path, insert: Insert) -> bpy.types.Image:
    """Load the picture of an insert, or the first of a sequence.

    Raises:
        InputError: it is missing, or another one.
    """
    path = insert.path(folder, insert.start)
    image = load_picture(path, "Linear Rec.709" if path.suffix == ".exr" else "sRGB")
    if tuple(image.size) != tuple(insert.size):
        raise InputError(
            f"The picture of the insert {insert.name} is not the one that was inserted",
            where=path,
            hint="Insert it again.",
        )
    return image


def _insert(scene: bpy.types.Scene, layer: str, insert: Insert, image: bpy.types.Image, numbers: range) -> Node:
    """Add the nodes of an insert: its picture, and its group."""
    tree, surface = compat.scene_tree(scene), node_of(scene, SURFACE_NODE.format(layer)).outputs[UNLIT]
    uv = node_of(scene, PASSES_NODE.format(layer)).outputs["uv"]
    picture = tree.nodes.new("CompositorNodeImage")
    picture.image = image
    if insert.count > 1:
        image.source = "SEQUENCE"
        picture.frame_duration, picture.frame_start, picture.frame_offset = insert.count, insert.start, 0
        picture.use_auto_refresh = True
    picture.name = picture.label = _PICTURE_NODE.format(insert.name)
    node = tree.nodes.new(_GROUP)
    node.node_tree = insert_group(insert, image)
    node.name, node.label = INSERT_NODE.format(insert.name, layer), insert.name
    node[_KEY] = json.dumps(asdict(insert))
    set_insert(node, insert, numbers[0], numbers[-1])
    for source, label in ((picture.outputs[0], PICTURE), (uv, "UV"), (surface, SURFACE)):
        tree.links.new(source, node.inputs[label])
    _forget_animation(tree, node)
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
    """Read an insert from its node.

    Raises:
        InputError: it holds what no insert is.
    """
    try:
        insert = parse_insert(json.loads(node[_KEY]), Path(scene.name))
        values = {label: node.inputs[label].default_value for label in NUMBERS}
        first, last = round(values["First"]), round(values["Last"])
        opacity = _keys(node, [OPACITY], insert.opacity, numbers)
        fade_in, fade_out = (max(0, round(values[label])) for label in ("Fade In", "Fade Out"))
        found = replace(
            insert,
            corners=_keys(node, CORNERS, insert.corners, numbers),
            opacity=tuple((at, min(1.0, max(0.0, one))) for at, one in opacity),  # curves may go beyond their keys
            is_clipped=values["Clipped"] > 0.5,
            is_visible=values["Shown"] > 0.5,
            first=None if first < numbers[0] - fade_in else first,  # it has no effect there
            last=None if last > numbers[-1] + fade_out else last,
            fade_in=fade_in,
            fade_out=fade_out,
        )
        return parse_insert(asdict(found), Path(scene.name))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError, InputError) as error:
        hint = "Delete the node, or load the result again."
        raise InputError(f"The node {node.name!r} holds no insert", where=scene.name, hint=hint) from error


def _keys(node: Node, labels: Sequence[str], before: Keys, numbers: range) -> Keys:
    """Read key frames of inputs: where they are animated by other than linear keys, one for every frame."""
    sockets = [node.inputs[label] for label in labels]
    paths = [socket.path_from_id("default_value") for socket in sockets]
    curves = {(curve.data_path, curve.array_index): curve for curve in compat.curves_of(node.id_data)}
    ours = [curve for (path, _), curve in curves.items() if path in paths]
    points = [point for curve in ours for point in curve.keyframe_points]
    is_linear = all(point.interpolation == "LINEAR" for point in points) and not any(one.modifiers for one in ours)
    frames = sorted({point.co.x for point in points} or {numbers[0] - 1.0}) if is_linear else list(map(float, numbers))
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
