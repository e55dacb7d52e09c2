"""Origins of masks: the path of a mask source in its text forms. See :mod:`nvd_core.masks` and :mod:`nvd_core.roto`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from nvd_core.spec.choices import AtPath, Choice
from nvd_core.spec.errors import UsageError

if TYPE_CHECKING:
    from typing import Self

    from nvd_core.clip import ClipInfo
    from nvd_core.masks.files import MaskFiles

Point = tuple[float, float]


class MaskOrigin(Choice):
    """Origin of an object's masks."""

    setting = "mask"
    rows: ClassVar[dict[str, type[MaskOrigin]]]
    least = 1

    @abstractmethod
    def open(self, first: int | None, clip: ClipInfo, numbers: range) -> MaskFiles:
        """Open masks for all frames and match them with the frames used.

        Args:
            first: the mask's own number for the first frame used, if it is known.
            clip: that is masked.
            numbers: plate numbers that are used; there may be masks for these alone, or for the whole clip.

        Raises:
            InputError: there are none, or they do not fit the clip.
        """


@dataclass(frozen=True)
class MaskPath(AtPath, MaskOrigin):
    """Folder of pictures, one picture, or a video. In text, the path alone."""

    name = ""
    form = "PATH"
    about = "a folder, one picture or a video"

    def open(self, first: int | None, clip: ClipInfo, numbers: range) -> MaskFiles:
        """See :meth:`MaskOrigin.open`."""
        return resolve_name("nvd_core.masks.files:open_files")(self.path, first, clip, numbers)


@dataclass(frozen=True)
class ClipAlpha(MaskOrigin):
    """The clip's own alpha. In text ``alpha``; a folder of that name is ``./alpha``."""

    name = "alpha"
    about = "the clip's own"

    def open(self, first: int | None, clip: ClipInfo, numbers: range) -> MaskFiles:  # noqa: ARG002
        """See :meth:`MaskOrigin.open`."""
        return resolve_name("nvd_core.masks.files:open_alpha")(clip, numbers)


class Marks(MaskOrigin):
    """Marks on one frame, from which the object is segmented."""

    @classmethod
    def read(cls, rest: str | None) -> Self | None:
        """Read the numbers after the colon.

        Raises:
            UsageError: they are of another form.
        """
        if rest is None:
            return None
        try:
            return cls.of(rest)
        except ValueError:
            raise UsageError(f"{f'{cls.name}:{rest}'!r} marks nothing", hint=HINT) from None

    @classmethod
    @abstractmethod
    def of(cls, rest: str) -> Self:
        """Parse the numbers.

        Raises:
            ValueError: they are of another form.
        """

    def open(self, first: int | None, clip: ClipInfo, numbers: range) -> NoReturn:  # noqa: ARG002
        """Refuse them as masks of all frames.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self} marks a single frame", hint="Say which: NAME@FRAME.")

    def segment(self, frame: Any, plate: Any) -> Any:  # noqa: ANN401 (arrays, which are not known here)
        """Segment the object; see :func:`nvd_core.roto.marks.mask_from_marks`."""
        return resolve_name("nvd_core.roto.marks:mask_from_marks")(self, frame, plate)


@dataclass(frozen=True)
class Box(Marks):
    """Box around the object, px of the plate."""

    name = "box"
    form = "box:LEFT,TOP,RIGHT,BOTTOM"
    about = "around the object in one frame"
    left: float
    top: float
    right: float
    bottom: float
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def of(cls, rest: str) -> Self:
        """See :meth:`Marks.of`."""
        left, top, right, bottom = (float(number) for number in rest.split(","))
        if not (left < right and top < bottom):
            raise ValueError
        return cls(left, top, right, bottom, f"box:{rest}")

    def __str__(self) -> str:
        return self.text or f"box:{self.left!r},{self.top!r},{self.right!r},{self.bottom!r}"


@dataclass(frozen=True)
class Clicks(Marks):
    """Clicks on a frame, px of the plate.

    Attributes:
        inside: points on the object.
        outside: points off the object.
        text: as it was written.
    """

    name = "clicks"
    form = "clicks:X,Y;X,Y;out:X,Y"
    about = "on the object and off it in one frame"
    inside: tuple[Point, ...]
    outside: tuple[Point, ...] = ()
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def of(cls, rest: str) -> Self:
        """See :meth:`Marks.of`."""
        points = [(one.startswith("out:"), *map(float, one.removeprefix("out:").split(","))) for one in rest.split(";")]
        inside, outside = (tuple((x, y) for out, x, y in points if out == which) for which in (False, True))
        if not inside:
            raise ValueError
        return cls(inside, outside, f"clicks:{rest}")

    def __str__(self) -> str:
        points = [f"{x!r},{y!r}" for x, y in self.inside] + [f"out:{x!r},{y!r}" for x, y in self.outside]
        return self.text or f"clicks:{';'.join(points)}"


HINT: Final = f"Write it as {Box.form} or as {Clicks.form}, in pixels."

MASK_ORIGINS: Final[dict[str, type[MaskOrigin]]] = {row.name: row for row in (ClipAlpha, Box, Clicks)}
"""Table of the origins that have names; any other text is a path."""
MaskOrigin.rows, MaskOrigin.unnamed = MASK_ORIGINS, MaskPath
