"""``nvd insert`` and ``nvd edit``."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, arg

from nvd_core.faces.cli.talk import AsJson, Folder, json_text, talk
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.editing import change_insert, clip_paint, delete_key, insert_picture, remove_insert
from nvd_core.result.follow import Followed, carry_inserts
from nvd_core.spec.choices.amounts import FrameRange
from nvd_core.spec.edits import Blend, Insert, read_edits
from nvd_core.spec.errors import UsageError

_Corners = Annotated[
    tuple[str, str, str, str] | None,
    arg(
        metavar="X,Y X,Y X,Y X,Y",
        help="Upper left, upper right, lower right, lower left, px from the top left.",
    ),
]
_Box = Annotated[str | None, arg(metavar="LEFT,TOP,RIGHT,BOTTOM", help="Its sides, px, instead of corners.")]
_Frame = Annotated[int | None, arg(help="Frame of the shot that the corners are on; without it they are on the atlas.")]
_Opacity = Annotated[float | None, arg(help="0 to 1.")]
_Mode = Annotated[Blend | None, arg(help="How its colours meet those below, as in Blender's Mix Color.")]
_Range = Annotated[FrameRange, arg(metavar="FIRST-LAST", help="Frames that show it.")]
_Fade = Annotated[tuple[int, int] | None, arg(metavar="IN OUT", help="Frames from transparent to opaque, and back.")]
_OnOff = Literal["on", "off"]
_Clipped = Annotated[_OnOff | None, arg(help="Whether it ends at the layer's outline. Inserts go beyond at first.")]


@dataclass(frozen=True, kw_only=True)
class InsertPicture:
    """Pin a picture or a movie to a layer, over what is painted there: every frame of the shot shows it."""

    folder: Positional[Folder]
    file: Annotated[Positional[Path], arg(help="A picture, a video, a folder of pictures, or a pattern.")]
    layer: str
    """Layer that it is pinned to."""
    frame: _Frame = None
    corners: _Corners = None
    box: _Box = None
    name: str = ""
    """Of the insert. Default: the file's."""
    opacity: _Opacity = None
    blend: _Mode = None
    frames: _Range = FrameRange()
    fade: _Fade = None
    clipped: _Clipped = None
    json: AsJson = False

    def run(self) -> str:
        """Insert it."""
        _check_frame(self.frame, self.corners, self.box)
        decomposition = Decomposition.open(self.folder)
        values = _values(self.blend, self.frames, self.fade, self.clipped)
        if self.opacity is not None:
            values["opacity"] = ((0.0, self.opacity),)
        points = _points(self.corners, self.box)
        done = insert_picture(decomposition, self.layer, self.file, points, self.frame, self.name, **values)
        talk.print(f"{done.name} is pinned to {self.layer}. Render the shot with nvd render.", soft_wrap=True)
        return json_text(asdict(done)) if self.json else ""


@dataclass(frozen=True, kw_only=True)
class Edit:
    """List the inserts of a decomposition, or change one."""

    folder: Positional[Folder]
    name: Annotated[Positional[str], arg(help="The insert. Without it all are listed.")] = ""
    frame: _Frame = None
    key: Annotated[int | None, arg(help="Frame of a key of corners or opacity; without it they hold in all.")] = None
    corners: _Corners = None
    box: _Box = None
    opacity: _Opacity = None
    blend: _Mode = None
    frames: _Range = FrameRange()
    fade: _Fade = None
    clipped: _Clipped = None
    visible: Annotated[_OnOff | None, arg(help="Whether it is shown.")] = None
    move: Annotated[int, arg(metavar="PLACES", help="Up in the stack of its layer; down if negative.")] = 0
    delete_key: Annotated[int | None, arg(metavar="FRAME", help="Delete its keys at a frame.")] = None
    remove: Annotated[bool, arg(help="Take it out. Its picture stays in the folder.")] = False
    carry_from: Annotated[Path | None, arg(metavar="FOLDER", help="Take over the inserts of another result.")] = None
    paint_beyond: Annotated[str, arg(metavar="LAYER", help="Show paint on transparent parts of its atlas, too.")] = ""
    paint_clipped: Annotated[str, arg(metavar="LAYER", help="Show paint within its outline alone, as at first.")] = ""
    json: AsJson = False

    def run(self) -> str:
        """Change it, then list all."""
        self._check()
        decomposition = Decomposition.open(self.folder)
        for layer, is_clipped in ((self.paint_beyond, False), (self.paint_clipped, True)):
            if layer:
                clip_paint(decomposition, layer, is_clipped=is_clipped)
        if self.carry_from:
            talk.print(_carried(*carry_inserts(Decomposition.open(self.carry_from), decomposition)), soft_wrap=True)
        if self.name:
            self._change(decomposition)
        edits = read_edits(decomposition.folder, decomposition.manifest.names)
        for layer, stack in edits.items():
            for one in reversed(stack.inserts):
                talk.print(f"{layer}: {_words(one)}", soft_wrap=True)
        if not any(stack.inserts for stack in edits.values()):
            talk.print("There are no inserts.")
        return json_text({layer: asdict(stack) for layer, stack in edits.items()}) if self.json else ""

    def _check(self) -> None:
        """Refuse flags that would do nothing."""
        others = {"folder", "name", "carry_from", "paint_beyond", "paint_clipped", "json"}
        changes = [
            one.name for one in fields(self) if one.name not in others and getattr(self, one.name) != one.default
        ]
        flags = [f"--{name.replace('_', '-')}" for name in changes]
        if changes and not self.name:
            raise UsageError(f"{flags[0]} changes an insert, and none is named", hint="Write nvd edit FOLDER NAME.")
        if len(changes) > 1 and {"remove", "delete_key"} & {*changes}:
            raise UsageError(f"{' and '.join(flags)} do not go together", hint="Give them one after the other.")
        if self.key is not None and not {"corners", "box", "opacity"} & {*changes}:
            raise UsageError("--key is the frame of corners or opacity", hint="Add --corners, --box or --opacity.")
        _check_frame(self.frame, self.corners, self.box)

    def _change(self, decomposition: Decomposition) -> None:
        if self.remove:
            remove_insert(decomposition, self.name)
            return
        if self.delete_key is not None:
            delete_key(decomposition, self.name, self.delete_key)
            return
        values = _values(self.blend, self.frames, self.fade, self.clipped)
        if self.visible:
            values["is_visible"] = self.visible == "on"
        points = _points(self.corners, self.box)
        change_insert(decomposition, self.name, points, self.frame, self.key, self.opacity, self.move, **values)


def _values(
    blend: Blend | None,
    frames: FrameRange,
    fade: tuple[int, int] | None,
    clipped: _OnOff | None,
) -> dict[str, Any]:
    """Fields of an insert for the flags that are there."""
    values: dict[str, Any] = {}
    if blend:
        values["blend"] = blend
    if frames != FrameRange():
        values |= {"first": frames.first, "last": frames.last}
    if fade:
        if min(fade) < 0:
            raise UsageError(f"--fade {fade[0]} {fade[1]} are no numbers of frames")
        values |= {"fade_in": fade[0], "fade_out": fade[1]}
    if clipped:
        values["is_clipped"] = clipped == "on"
    return values


def _check_frame(frame: int | None, corners: object, box: object) -> None:
    if frame is not None and not (corners or box):
        raise UsageError("--frame is the frame that corners are on", hint="Add --corners or --box.")


def _points(corners: tuple[str, str, str, str] | None, box: str | None) -> list[tuple[float, float]] | None:
    """Corners, px, of the flags."""
    if corners and box:
        raise UsageError("--corners and --box are both given", hint="Give one of them.")
    if box:
        left, top, right, bottom = _numbers("box", box, 4)
        return [(left, top), (right, top), (right, bottom), (left, bottom)]
    if corners:
        return [tuple(_numbers("corners", one, 2)) for one in corners]  # pyright: ignore[reportReturnType]
    return None


def _numbers(flag: str, text: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(number) < 1e6 for number in numbers):
        raise UsageError(f"--{flag} {text} is not {count} numbers with commas between them")
    return numbers


def _carried(found: list[Followed], lost: list[str]) -> str:
    """Say which inserts were carried over to another result, and how surely."""
    words = [f"{one.insert.name} was carried over; the surface bends under it by {one.off_px:.1f} px." for one in found]
    words += [f"{name} was not: no frame shows its place in both results." for name in lost]
    return "\n".join(words or ["There are no inserts to carry over."])


def _words(one: Insert) -> str:
    """Describe an insert in a line."""
    parts = [one.name, one.blend.lower().replace("_", " "), f"opacity {one.opacity[0][1]:g}"]
    if one.count > 1:
        parts.append(f"{one.count} pictures from frame {one.start}")
    if one.first is not None or one.last is not None:
        parts.append(f"frames {one.first}-{one.last}")
    if keys := sorted({row[0] for rows in (one.corners, one.opacity) for row in rows if len(rows) > 1}):
        parts.append(f"keys at {', '.join(f'{key:g}' for key in keys)}")
    parts += ["clipped to the outline"] * one.is_clipped + ["hidden"] * (not one.is_visible)
    return ", ".join(parts)
