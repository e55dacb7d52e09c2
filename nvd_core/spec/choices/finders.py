"""Finders: what detects objects where no mask is given; the rows of the setting ``find``. See :mod:`nvd_core.roto`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, ClassVar, Final

from nvd_core.spec.choices import Choice, Cost, Learned
from nvd_core.spec.errors import UsageError

if TYPE_CHECKING:
    from nvd_core.roto.camera import Camera
    from nvd_core.roto.discover import Found
    from nvd_core.runtime.progress import Progress
    from nvd_core.spec.settings import Device, Job

LEARNED_S: Final = 11.0
"""CPU seconds of the smallest SAM 2 to propagate a mask to a frame; of a segmenter, about the same."""

LEARNED_BYTES: Final = 1.5e9
"""Peak memory of a learned model."""


class Finder(Choice):
    """Finder of objects in a clip without masks.

    Attributes:
        is_by_motion: whether objects are outlined by how they move; parts that stand still are then regained.
    """

    setting = "find"
    rows: ClassVar[dict[str, type[Finder]]]
    is_by_motion: ClassVar[bool] = False

    def finds(self, frames: int) -> bool:  # noqa: ARG002 (some can find objects in any number)
        """Whether it looks for objects in a clip of so many frames."""
        return True

    @abstractmethod
    def open(self, device: Device) -> Callable[[Camera, Progress], tuple[Found, ...]]:
        """Open the detector: a function of the clip with its camera's motion, which returns the objects.

        Raises:
            SetupError: a package is missing, or there is no such device.
            InputError: there is no such model, or it cannot be used.
        """


@dataclass(frozen=True)
class Moving(Finder):
    """Objects that move against the camera."""

    name = "moving"
    about = "what moves against the camera"
    is_by_motion = True
    cost = Cost(
        cpu_s={"find": {"look_px": 4.6e-6}, "regain": {"frame": 1.0, "small_px": 0.0}},
        peak_bytes={
            "find": {"job": 2.8e8, "frame": 3.5e5},
            "regain": {"job": 4.4e8, "frame": 3.5e5, "solved_frame": 7.0e6, "small_frame_px": 471},
        },
    )

    def finds(self, frames: int) -> bool:
        """See :meth:`Finder.finds`."""
        return frames > 1

    def open(self, device: Device) -> Callable[[Camera, Progress], tuple[Found, ...]]:  # noqa: ARG002
        """See :meth:`Finder.open`."""
        return resolve_name("nvd_core.roto.discover:find_objects")


@dataclass(frozen=True)
class Nothing(Finder):
    """No objects: the clip is one background."""

    name = "nothing"
    about = "all is one background"

    def finds(self, frames: int) -> bool:  # noqa: ARG002
        """See :meth:`Finder.finds`."""
        return False

    def open(self, device: Device) -> Callable[[Camera, Progress], tuple[Found, ...]]:  # noqa: ARG002
        """See :meth:`Finder.open`."""
        return lambda *_: ()


class Segmenter(Learned, Finder):
    """Learned segmenter of instances."""

    cost = Cost(cpu_s={"find": {"sample": LEARNED_S}}, peak_bytes={"find": {"job": LEARNED_BYTES}})

    def check(self, job: Job) -> None:
        """Refuse a model without a path, and one that masks leave nothing to find."""
        super().check(job)
        if job.masks:
            raise UsageError("find names a model, and masks are given", hint="Leave one of the two out.")

    def open(self, device: Device) -> Callable[[Camera, Progress], tuple[Found, ...]]:
        """See :meth:`Finder.open`."""
        find, recognise = resolve_name("nvd_core.roto.recognise:find_known"), self.open_model(device).instances
        return lambda camera, progress: find(camera, recognise, progress)


@dataclass(frozen=True)
class Mask2Former(Segmenter):
    """Mask2Former (Cheng et al., CVPR 2022)."""

    name = "mask2former"
    form = "mask2former:FOLDER"
    about = "what that learned model knows"
    opener = "nvd_core.roto.models.mask2former:Mask2Former.open"


@dataclass(frozen=True)
class MaskRcnn(Segmenter):
    """Mask R-CNN (He et al., ICCV 2017)."""

    name = "maskrcnn"
    form = "maskrcnn:FILE"
    about = "what that learned model knows"
    opener = "nvd_core.roto.models.maskrcnn:MaskRcnn.open"


FINDERS: Final[dict[str, type[Finder]]] = {row.name: row for row in (Moving, Nothing, Mask2Former, MaskRcnn)}
"""Table of the finders, by name."""
Finder.rows = FINDERS
