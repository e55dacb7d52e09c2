"""Runs inside Blender: eyes and hands. Real mouse and keys by ``xdotool``, pictures of the screen by ``import``.

Whatever takes time is a generator that says for how many seconds Blender may go on before it is asked again, so
that Blender is never kept waiting: ``yield from click(...)``.
"""

import json
import os
import re
import subprocess
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import bpy

Walk = Generator[float, None, None]

_STEP_PX = 14
_HALF_ROW_PX = 12
_STATUS_BAR_PX = 22
_COLUMNS = (0.65, 0.87, 0.3, 0.51)
"""Where buttons are looked for, shares of a region's width; the scroll bar and the tabs are left out."""

_MOVED_S = 0.06
"""Blender takes in where the mouse is."""

_found: dict[tuple[str, str, str], tuple[float, float]] = {}
"""Where in which editor's region a button was last, px: looked for there first."""


class Place(NamedTuple):
    """A region of an area of a window."""

    window: bpy.types.Window
    area: bpy.types.Area
    region: bpy.types.Region

    def to_screen(self, x: float, y: float) -> tuple[int, int]:
        """From pixels of the region, upwards, to pixels of the screen, downwards."""
        first = bpy.context.window_manager.windows[0]  # it fills the screen
        bottom = first.y + first.height - self.window.y
        return int(self.window.x + self.region.x + x), int(bottom - self.region.y - y)

    def middle(self) -> tuple[int, int]:
        """Of the region, on the screen."""
        return self.to_screen(self.region.width / 2, self.region.height / 2)

    def box(self) -> list[int]:
        """Left, top, right and bottom on the screen."""
        region = self.region
        return [*self.to_screen(0, region.height), *self.to_screen(region.width, 0)]

    def override(self) -> AbstractContextManager:
        """For operators that are to act there."""
        return bpy.context.temp_override(window=self.window, area=self.area, region=self.region)


def places() -> Iterator[Place]:
    """Everything that is shown."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            yield from (Place(window, area, one) for one in area.regions if one.width > 1 and one.height > 1)


def place(editor: str, kind: str = "WINDOW", of: Callable[[bpy.types.Space], bool] = bool) -> Place:
    """The largest editor of a type.

    Args:
        editor: the area's type.
        kind: of the region.
        of: which of the editors.
    """
    found = [
        one for one in places() if (one.area.type, one.region.type) == (editor, kind) and of(one.area.spaces.active)
    ]
    return max(found, key=lambda one: one.area.width * one.area.height)


def boxes() -> dict[str, list[int]]:
    """Where on the screen the editors' regions are; of several alike, the largest."""
    ordered = sorted(places(), key=lambda one: one.area.width * one.area.height)
    window = bpy.context.window_manager.windows[0]
    bar = [0, window.height - _STATUS_BAR_PX, window.width, window.height]
    found = {f"{one.area.type}.{_mode(one.area.spaces.active)}/{one.region.type}": one.box() for one in ordered}
    return found | {"STATUSBAR": bar}


def _mode(space: bpy.types.Space) -> str:
    return space.ui_mode if space.type == "IMAGE_EDITOR" else getattr(space, "view_type", "")


def until(true: Callable[[], object], limit_s: float = 60.0, every_s: float = 0.1) -> Walk:
    """Go on until something holds."""
    for _ in range(int(limit_s / every_s)):
        if true():
            return
        yield every_s
    raise TimeoutError(true)


def take(steps: Walk, seen: dict[str, Any], file: Path, pictures: Path) -> None:
    """Take all steps, write what was seen to a file, and quit; an error ends them and is among what was seen."""

    def go_on() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            pass
        except Exception:  # noqa: BLE001 (told in the test's process)
            seen["error"] = traceback.format_exc()
            os.system(f"import -window root {pictures / 'error.png'}")
        file.write_text(json.dumps(seen))
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(go_on, first_interval=3.0, persistent=True)


def program(*command: object) -> Walk:
    """Run a program beside Blender."""
    running = subprocess.Popen([str(one) for one in command])
    yield from until(lambda: running.poll() is not None, every_s=0.01)
    if running.returncode:
        raise OSError(f"{command}: {running.returncode}")


def mouse(*arguments: object) -> Walk:
    """Move and click; see xdotool."""
    yield from program("xdotool", *arguments)
    yield _MOVED_S


def click(x: int, y: int) -> Walk:
    """Press a point of the screen."""
    yield from mouse("mousemove", x, y)
    yield from mouse("click", 1)
    yield 0.3


def key(*names: str) -> Walk:
    """Press keys, one after the other."""
    for name in names:
        yield from program("xdotool", "key", name)
        yield 0.2


def write(text: str) -> Walk:
    """Put a text into the field under the mouse, as its whole content."""
    yield from mouse("click", "--repeat", 2, "--delay", 40, 1)
    yield from key("ctrl+a")
    yield from program("xdotool", "type", "--delay", 15, text)
    yield 0.3
    yield from key("Return")


def drag(points: list[tuple[int, int]]) -> Walk:
    """Press, move along, let go."""
    yield from mouse("mousemove", *points[0])
    yield 0.2
    yield from mouse("mousedown", 1)
    for point in points:
        yield from mouse("mousemove", *point)
    yield from mouse("mouseup", 1)
    yield 0.5


def press(where: Place, wanted: str, columns: Sequence[float] = _COLUMNS) -> Walk:
    """Find a button by the call or the property that Blender says it stands for, and press it."""
    yield from point_at(where, wanted, columns)
    yield from mouse("click", 1)
    yield 0.3


def point_at(where: Place, wanted: str, columns: Sequence[float] = _COLUMNS) -> Walk:
    """Bring the mouse over a button, scrolling if it is out of sight.

    Args:
        where: the region that has it.
        wanted: pattern of what :func:`_under_mouse` says.
        columns: where across the region it is looked for, shares of the width.
    """
    button = (where.area.type, where.region.type, wanted)
    if button in _found and (yield from _is_at(where, wanted, *_found[button])):
        return
    for scroll in (0, *[5] * 4, *[-20] * 1):
        if scroll:
            yield from mouse("mousemove", *where.middle())
            yield from mouse("click", "--repeat", abs(scroll), 5 if scroll > 0 else 4)
            yield 0.3
        for column in columns:
            x = where.region.width * column
            hits = []
            for y in range(where.region.height - 4, _HALF_ROW_PX, -_STEP_PX):  # the whole button is in sight
                yield from mouse("mousemove", *where.to_screen(x, y))
                if re.search(wanted, _under_mouse(where)):
                    hits.append(y)
                elif hits:
                    break
            if hits:
                _found[button] = x, sum(hits) / len(hits)
                if (yield from _is_at(where, wanted, *_found[button])):
                    return
    raise LookupError(wanted)


def _is_at(where: Place, wanted: str, x: float, y: float) -> Generator[float, None, bool]:
    """Bring the mouse to a point of a region, and say whether the button is there."""
    yield from mouse("mousemove", *where.to_screen(x, y))
    yield 0.3
    return bool(re.search(wanted, _under_mouse(where)))


def _under_mouse(where: Place) -> str:
    """The call or the property that the button under the mouse stands for; empty if there is none."""
    with where.override():
        if bpy.ops.ui.copy_python_command_button.poll():
            bpy.ops.ui.copy_python_command_button()
            return bpy.context.window_manager.clipboard
        found = getattr(bpy.context, "property", None)
    return found[1] if found else ""
