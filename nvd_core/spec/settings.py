"""A decomposition job, declared once.

Command line, ``job.toml``, the stored manifest and Blender's panel all derive from these dataclasses:
field names become flags, the text beside a field its help, the bounds its check.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Annotated, Any, ClassVar, Final, Literal, get_type_hints

from annotated_types import Interval, doc

from nvd_core.spec.choices import Text, listed
from nvd_core.spec.choices.amounts import FrameRange, MemoryBudget
from nvd_core.spec.choices.finders import FINDERS, Finder, Moving
from nvd_core.spec.choices.flow_sources import FLOW_SOURCES, Dis, FlowFiles, FlowSource
from nvd_core.spec.choices.mask_origins import Marks, MaskOrigin, MaskPath
from nvd_core.spec.choices.propagators import PROPAGATORS, Motion, Propagator
from nvd_core.spec.choices.solvers import SOLVERS, STARTS, FromLattice, FromNothing, Lattice, Solver, Start
from nvd_core.spec.errors import UsageError

Preset = Literal["preview", "standard", "final", "paper"]
Residual = Literal["editing", "fidelity"]
Device = Literal["auto", "cpu", "cuda"]

_STRICT: Final[dict[str, Any]] = {"extra": "forbid", "strict": True}
"""Configuration of pydantic for loading from files: unknown keys and values of another type are errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a clip is decomposed."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    solver: Annotated[Solver, doc(f"{listed(SOLVERS.values())}.")] = Lattice()
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
    frames: Annotated[FrameRange, doc("Plate frame numbers to use, as 1001-1050; all if empty.")] = FrameRange()
    find: Annotated[Finder, doc(f"Objects where no mask is given: {listed(FINDERS.values())}.")] = Moving()
    carry: Annotated[
        Propagator, doc(f"What carries masks of single frames to all others: {listed(PROPAGATORS.values())}.")
    ] = Motion()
    flow: Annotated[FlowSource, doc(f"Optical flow: {listed((*FLOW_SOURCES.values(), FlowFiles))}.")] = Dis()
    height: Annotated[
        Annotated[int, Interval(ge=64, le=4320)] | None,
        doc("Lines that the clip is solved at; results are at the plate's size all the same. Default: by preset."),
    ] = None
    fps: Annotated[
        Annotated[float, Interval(gt=0, le=1000)] | None,
        doc("Frames a second of a picture sequence. Default: 24."),
    ] = None
    start: Annotated[Start, doc(f"What the neural solver begins with: {listed(STARTS.values())}.")] = FromLattice()
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
        MemoryBudget,
        doc(
            "Most memory to use, as 4G or 800M. Results do not depend on it. Default: three quarters of the machine's."
        ),
    ] = MemoryBudget()
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

    @classmethod
    def of(cls, **values: Any) -> Settings:  # noqa: ANN401 (of each setting its own)
        """Settings of values as files and panels hold them, where texts stand for rows of tables and for amounts.

        Raises:
            NvdError: a text has no such form.
        """
        texts = {name: one for name, one in values.items() if name in KINDS and isinstance(one, str)}
        made: dict[str, Any] = {name: KINDS[name].parse(text) for name, text in texts.items()}
        return cls(**values | made)

    @property
    def starts_from(self) -> Start:
        """Start of the neural solver; the preset ``paper`` always starts from random initialisation."""
        return FromNothing() if self.preset == "paper" else self.start


KINDS: Final[dict[str, type[Text]]] = {
    name: kind for name, kind in get_type_hints(Settings).items() if isinstance(kind, type) and issubclass(kind, Text)
}
"""Kinds of the settings that have a text form, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSource:
    """Source of an object's masks.

    Attributes:
        name: of the layer.
        path: folder of pictures, one picture, a video, or the clip's alpha. For a single frame, one picture, or marks.
        first: the mask's own number for the first frame used, the others follow; by default masks are matched by
            number or, failing that, by order.
        frame: plate number of a key frame that the mask is of. An object may have several such masks; they are
            propagated to all other frames.
        locked: whether the layer's alpha is fixed to this matte instead of learnt.
        drawn: whether the mask was drawn over the clip as Blender shows it, which may differ from how it is decoded.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    name: str
    path: MaskOrigin
    first: int | None = None
    frame: int | None = None
    locked: bool = False
    drawn: bool = False

    @classmethod
    def of(cls, *, path: str, **values: Any) -> MaskSource:  # noqa: ANN401 (of each field its own)
        """Mask source of values as files hold them.

        Raises:
            UsageError: the path has no such form.
        """
        return cls(path=MaskOrigin.parse(path), **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How the program that starts a job shows the clip; it must be decoded the same way, or layers do not fit.

    Attributes:
        width: px; 0 if not known.
        height: px; 0 if not known.
        frames: number of frames of a whole video; 0 if not known.
        turns: whether the program rotates videos as their metadata say.
        colour: Blender's name of the clip's colour space; empty if not known.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    width: int = 0
    height: int = 0
    frames: int = 0
    turns: bool = True
    colour: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A decomposition job: clip, masks and settings.

    Attributes:
        clip: video file, folder of pictures, pattern (``shot.####.exr``) or one picture.
        masks: objects, front to back; without any, :attr:`Settings.find` says whether objects are segmented.
        settings: see :class:`Settings`.
        shown: how a program shows the clip that will show plate and layers together, as Blender does.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _STRICT

    clip: str = ""
    masks: tuple[MaskSource, ...] = ()
    settings: Settings = Settings()
    shown: Shown | None = None

    def __post_init__(self) -> None:
        """Refuse contradictory or repeated masks of key frames.

        Raises:
            UsageError: a mask of a key frame also has ``first``, is of all frames, or occurs twice; or
                marks have no frame.
        """
        if marks := [mask.name for mask in self.masks if isinstance(mask.path, Marks) and mask.frame is None]:
            raise UsageError(f"The marks of {marks[0]} are of no frame", hint="Say which frame is marked.")
        single = [mask for mask in self.masks if mask.frame is not None]
        for mask in single:
            said = f"The mask of {mask.name} for frame {mask.frame}"
            if mask.first is not None:
                raise UsageError(f"{said} has first, too", hint="Write either: first is for masks of all frames.")
            if not isinstance(mask.path, MaskPath | Marks):
                hint = f"{str(mask.path).capitalize()} is of all frames: leave the frame out."
                raise UsageError(f"{said} is {mask.path}", hint=hint)
            if sum((one.name, one.frame) == (mask.name, mask.frame) for one in single) > 1:
                raise UsageError(f"{said} is given twice", hint="Leave one of them out.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality parameters of a preset.

    Attributes:
        lines: largest working height, px.
        refines: whether the stiffness of each layer is selected, and every frame is registered again to its picture.
        offsets: distances of frames that are matched, in frames.
        density: texels of the atlas per plate pixel, along each axis. Measured: 2 with bilinear look-ups loses
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
"""Parameters of each preset; those of ``paper`` for the lattice are unused."""


def plain(value: Any) -> Any:  # noqa: ANN401 (a job, or a part of one)
    """Convert a job, its masks or settings to plain values, as JSON holds them."""
    if isinstance(value, Text):
        return str(value)
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def with_paths(job: Job, placed: Callable[[str], str]) -> Job:
    """Copy a job with every path replaced by a function, for example made absolute."""
    masks = tuple(replace(mask, path=mask.path.placed(placed)) for mask in job.masks)
    settings = replace(job.settings, **{name: getattr(job.settings, name).placed(placed) for name in KINDS})
    return replace(job, clip=job.clip and placed(job.clip), masks=masks, settings=settings)


def facts_of(job: Job, placed: Callable[[str], str]) -> dict[str, Any]:
    """Collect all that a job's result depends on, as plain values: everything but memory and how the clip is shown.

    Args:
        job: clip, masks and settings.
        placed: replaces every path; :func:`nowhere` where files are told by their content.
    """
    facts = plain(replace(with_paths(job, placed), shown=None))
    facts["settings"]["memory"] = ""
    return facts


def nowhere(_: str) -> str:
    """Leave a path out."""
    return ""


def has_to_find(masks: Collection[MaskSource], frames: int, settings: Settings) -> bool:
    """Whether objects have to be detected: there are no masks, and the finder looks for some in so many frames."""
    return not masks and settings.find.finds(frames)


def working_lines(settings: Settings) -> int:
    """Working height of a clip, px, before it is limited to the plate's own height."""
    quality = QUALITY[settings.preset]
    if settings.height is None:
        return quality.lines
    return settings.height // 2 if settings.preset == "preview" else settings.height
