"""Lay out node trees from left to right without overlaps.

Blender knows the size of a node only after drawing it, so heights are estimated from sockets and buttons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from ..host.nodes import Node, Tree

_BETWEEN: Final = (80.0, 40.0)
"""Gap beside a node, and below it."""

_BETWEEN_FRAMES: Final = 120.0
"""Gap between frames, which extend beyond their nodes and have a label above."""

_EMPTY: Final = 60.0
_SOCKET: Final = 22.0
_BUTTONS: Final = {
    "CompositorNodeImage": 250.0,
    "ShaderNodeMix": 80.0,
    "CompositorNodeMixRGB": 80.0,
    "ShaderNodeMath": 50.0,
    "CompositorNodeMath": 50.0,
}
"""Heights, measured in windows: of a node without sockets, of a socket, and of a node's buttons."""


def frame(tree: Tree, label: str, nodes: Iterable[Node]) -> None:
    """Put nodes into a new frame."""
    around = tree.nodes.new("NodeFrame")
    around.name, around.label = f"Frame of {label}", label
    for node in nodes:
        node.parent = around


def arrange(tree: Tree) -> None:
    """Lay out nodes in columns by their distance from the inputs; frames follow below, one by one."""
    links = [(link.from_node.name, link.to_node.name) for link in tree.links]  # once: reading links is slow
    bands: dict[str, list[Node]] = {"": []}
    for node in tree.nodes:
        if node.bl_idname == "NodeFrame":
            node.location = (0.0, 0.0)  # its nodes' positions are relative to it
            bands.setdefault(node.name, [])
        else:
            bands.setdefault(node.parent.name if node.parent else "", []).append(node)
        node.select = False
    column = _columns([node.name for band in bands.values() for node in band], links)
    widest: dict[int, float] = defaultdict(float)
    for node in (node for band in bands.values() for node in band):
        widest[column[node.name]] = max(widest[column[node.name]], node.width)
    left = {place: sum(widest[one] + _BETWEEN[0] for one in widest if one < place) for place in widest}
    before: dict[str, list[str]] = defaultdict(list)
    for begin, end in links:
        before[end].append(begin)
    top, height = 0.0, dict[str, float]()
    for band in bands.values():
        lowest = top
        for place in sorted({column[node.name] for node in band}):
            y = top
            for node in _by_height_of_inputs([one for one in band if column[one.name] == place], before, height):
                node.location, height[node.name] = (left[place], y), y
                y -= _height(node) + _BETWEEN[1]
            lowest = min(lowest, y)
        top = lowest - _BETWEEN_FRAMES


def _columns(names: Sequence[str], links: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Column of every node: longest path from an input; a node without inputs stands right before its first target."""
    column = dict.fromkeys(names, 0)
    moved = True
    while moved:
        moved = False
        for begin, end in links:
            if column[end] <= column[begin]:
                column[end], moved = column[begin] + 1, True
    starts = set(names) - {end for _, end in links}
    for name in starts:
        column[name] = min((column[end] for begin, end in links if begin == name), default=1) - 1
    return column


def _by_height_of_inputs(
    nodes: Sequence[Node], before: dict[str, list[str]], height: dict[str, float]
) -> Sequence[Node]:
    """Sort nodes by the mean height of their inputs, highest first, so that fewer links cross."""

    def mean_height(node: Node) -> float:
        known = [height[name] for name in before[node.name] if name in height]
        return -sum(known) / len(known) if known else 0.0

    return sorted(nodes, key=mean_height)


def _height(node: Node) -> float:
    sockets = sum(socket.enabled and not socket.hide for one in (node.inputs, node.outputs) for socket in one)
    return _EMPTY + _SOCKET * sockets + _BUTTONS.get(node.bl_idname, 0.0) * node.show_options
