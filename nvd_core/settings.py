"""A decomposition job, declared once.

Command line, ``job.toml``, the stored manifest and Blender's panel all derive from these dataclasses:
field names become flags, the text beside a field its help, the bounds its check.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple

from annotated_types import Interval, MinLen, doc

from nvd_core.errors import UsageError

Solver = Literal["lattice", "neural"]
Preset = Literal["preview", "standard", "final", "paper"]
Start = Literal["lattice", "none"]
Find = Literal["moving", "nothing"]
Carry = Literal["motion"]
Residual = Literal["editing", "fidelity"]
Device = Literal["auto", "cpu", "cuda"]


_STRICT: Final[dict[str, Any]] = {"extra": "forbid", "strict": True}
"""For whoever loads these from a file: unknown keys and values of another kind are errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a clip is decomposed."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    solver: Annotated[
        Solver,
        doc("lattice: explicit, any CPU, about a minute; neural: trained with gradients, needs torch."),
    ] = "lattice"
    preset: Annotated[
        Preset,
        doc(
            "preview: first quick result at half size; standard: everything; final: solved at the plate's own size; "
            "paper: Hashing-NVD as published, for --solver neural and a GPU."
        ),
    ] = "standard"
    residual: Annotated[
        Residual,
        doc("editing: light alone, best for painted edits; fidelity: light that follows the plate more closely."),
    ] = "editing"
    frames: Annotated[str, doc("Plate frame numbers to use, as 1001-1050; all if empty.")] = ""
    find: Annotated[
        Find | str,
        doc(
            "Objects where no mask is given: moving: what moves against the camera; nothing: all is one background; "
            "mask2former:FOLDER or maskrcnn:FILE: what that learned model knows."
        ),
    ] = "moving"
    carry: Annotated[
        Carry | str,
        doc("What carries masks of single frames to all others: motion: nothing learned; sam2:FOLDER: that model."),
    ] = "motion"
    flow: Annotated[
        str,
        MinLen(1),
        doc(
            "Optical flow: dis: found here; a folder or pattern (flow.####.exr) of flow files, .flo or EXR with vector "
            "passes; raft:WEIGHTS: torchvision's RAFT, with a file of its weights."
        ),
    ] = "dis"
    height: Annotated[
        Annotated[int, Interval(ge=64, le=4320)] | None,
        doc("Lines that the clip is solved at; results are at the plate's size all the same. Default: by preset."),
    ] = None
    fps: Annotated[
        Annotated[float, Interval(gt=0, le=1000)] | None,
        doc("Frames a second of a picture sequence. Default: 24."),
    ] = None
    start: Annotated[
        Start,
        doc("What the neural solver begins with: lattice: that solver's result, refined; none: nothing, as published."),
    ] = "lattice"
    steps: Annotated[
        Annotated[int, Interval(ge=1, le=10_000_000)] | None,
        doc("Neural: training steps at most. Default: from the lattice, 24 a frame; from nothing, 50,000."),
    ] = None
    batch: Annotated[
        Annotated[int, Interval(ge=16, le=1_000_000)] | None,
        doc(
            "Neural, from nothing: pixels in a step. Default: 10,000 on a GPU and with the preset paper; 1,000 on a "
            "CPU, which gets further that way in the same time."
        ),
    ] = None
    window: Annotated[
        int,
        Interval(ge=16, le=2000),
        doc("Frames that are solved at once; longer clips by key frames first, then by windows of so many between."),
    ] = 200
    memory: Annotated[
        str,
        doc(
            "Most memory to use, as 4G or 800M. Results do not depend on it. Default: three quarters of the machine's."
        ),
    ] = ""
    seed: Annotated[
        int,
        Interval(ge=0, le=2**31 - 1),
        doc("Neural: of the order of frames, and of the networks' first values and batches."),
    ] = 0
    budget_s: Annotated[
        Annotated[float, Interval(gt=0, le=1e7)] | None,
        doc("Neural: CPU seconds after which training ends, over all threads. Default: as many as the steps take."),
    ] = None
    target_psnr: Annotated[
        Annotated[float, Interval(gt=0, le=99)] | None,
        doc("Neural: PSNR in dB at which training ends. Default: none."),
    ] = None
    device: Annotated[
        Device,
        doc(
            "What neural solver and learned models run on; auto: an NVIDIA GPU where there is one, else the processor."
        ),
    ] = "auto"


ALPHA: Final = "alpha"
"""Instead of a mask's path: the plate's own alpha. A folder of that name is ``./alpha``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSource:
    """One object's masks.

    Attributes:
        name: of the layer.
        path: folder of pictures, one picture, a video, or :data:`ALPHA`. Of a single frame, one picture, or what
            :func:`nvd_core.masks.marks.parse_marks` reads: a box or clicks.
        first: its own number of the mask for the first frame used, the others follow; by default masks fit by their
            numbers or, failing that, by order.
        frame: the plate's number of the only frame that it is of. There may be several such masks of an object; they
            are carried to all other frames.
        locked: whether the layer's alpha is this matte as it is, whatever the solver learns.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    name: str
    path: Annotated[str, MinLen(1)]
    first: int | None = None
    frame: int | None = None
    locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How whoever asks for a job shows the clip: what is decoded must be the same, or layers do not fit.

    Attributes:
        width: in pixels; 0 if not known.
        height: in pixels; 0 if not known.
        frames: of all of a video; 0 if not known.
        turns: whether a video is turned as its metadata say.
        colour: Blender's name of the space its values are taken for; empty if not known.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    width: int = 0
    height: int = 0
    frames: int = 0
    turns: bool = True
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to decompose, and how.

    Attributes:
        clip: video file, folder of pictures, pattern (``shot.####.exr``) or one picture.
        masks: objects front to back; with none the whole clip is one background layer.
        settings: see :class:`Settings`.
        shown: by a program that will show plate and layers together, as Blender does.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    clip: str = ""
    masks: tuple[MaskSource, ...] = ()
    settings: Settings = Settings()
    shown: Shown | None = None

    def __post_init__(self) -> None:
        """Refuse masks of which one would be ignored, wherever the job comes from.

        Raises:
            UsageError: a mask of one frame also says how others fit, is the clip's own alpha, or is there twice.
        """
        single = [mask for mask in self.masks if mask.frame is not None]
        for mask in single:
            said = f"The mask of {mask.name} for frame {mask.frame}"
            if mask.first is not None:
                raise UsageError(f"{said} has first, too", hint="Write either: first is for masks of all frames.")
            if mask.path == ALPHA:
                raise UsageError(f"{said} is the clip's alpha", hint="Alpha is of all frames: leave the frame out.")
            if sum((one.name, one.frame) == (mask.name, mask.frame) for one in single) > 1:
                raise UsageError(f"{said} is given twice", hint="Leave one of them out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What a preset stands for.

    Attributes:
        lines: greatest height that the clip is solved at.
        refines: whether a layer's stiffness is tried out and every frame registered again to its picture.
        offsets: distances in frames at which frames are compared.
        density: texels of the atlas a plate pixel, each way. Measured: 2 with bilinear look-ups loses
            nothing, 1 loses 1 to 2 dB.
        atlas_rounds: passes over the plates for the atlas; the first is a plain mean.
    """

    lines: int
    refines: bool
    offsets: tuple[int, ...]
    density: float
    atlas_rounds: int


_OFFSETS: Final = (1, 2, 4, 8, 16, 24, 32)

QUALITY: Final[dict[Preset, Quality]] = {
    "preview": Quality(lines=216, refines=False, offsets=(1, 3, 9, 27), density=1.0, atlas_rounds=1),
    "standard": Quality(lines=480, refines=True, offsets=_OFFSETS, density=2.0, atlas_rounds=2),
    "final": Quality(lines=1080, refines=True, offsets=_OFFSETS, density=2.0, atlas_rounds=2),
    "paper": Quality(lines=480, refines=False, offsets=(), density=2.0, atlas_rounds=0),
}
"""What ``paper`` says of the lattice is never asked."""


class Weights(NamedTuple):
    """A learned model of the user's.

    Attributes:
        model: its kind.
        path: where it lies.
    """

    model: str
    path: str


def weights_in(setting: str) -> Weights | None:
    """The model that :attr:`Settings.find` or :attr:`Settings.carry` names, as ``MODEL:PATH``."""
    model, colon, path = setting.partition(":")
    return Weights(model, path) if colon else None


def with_paths_from(settings: Settings, base: Path) -> Settings:
    """The same settings, with what they say of paths taken as relative to a folder."""
    named = {name: weights_in(getattr(settings, name)) for name in ("find", "carry")}
    return replace(settings, **{name: f"{one.model}:{base / one.path}" for name, one in named.items() if one})


def has_to_find(masks: Collection[MaskSource], frames: int, settings: Settings) -> bool:
    """Whether objects are looked for: where no mask is given; what moves, in more than a single frame."""
    return not masks and settings.find != "nothing" and (frames > 1 or settings.find != "moving")


def starts_from(settings: Settings) -> Start:
    """What the neural solver starts from."""
    return "none" if settings.preset == "paper" else settings.start


def working_lines(settings: Settings) -> int:
    """Lines that a clip is solved at, before the plate's own height bounds them."""
    quality = QUALITY[settings.preset]
    if settings.height is None:
        return quality.lines
    return settings.height // 2 if settings.preset == "preview" else settings.height
