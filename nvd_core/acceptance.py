"""Refuse jobs before they begin: ignored settings, clips that Blender shows otherwise, folders that are occupied."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import final

from nvd_core.clip import Clip, ClipInfo, frames_used, open_clip
from nvd_core.export.plates import copying
from nvd_core.flow.given import Provider
from nvd_core.masks import open_mattes
from nvd_core.roto.key_masks import check_keys, is_little
from nvd_core.runtime.address_space import check_address_space
from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.progress import Tell
from nvd_core.spec.choices.solvers import Solve
from nvd_core.spec.conventions import LEAST_PX, Size
from nvd_core.spec.disk_space import bytes_in, check_space
from nvd_core.spec.errors import InputError, UsageError
from nvd_core.spec.folder import checkpoint_path, contents, is_ours
from nvd_core.spec.forecast import Forecast, Needs
from nvd_core.spec.layer_names import check_names
from nvd_core.spec.path_safety import check_plain, own_names, refuse_inside
from nvd_core.spec.protocol import Caution
from nvd_core.spec.run_record import RunRecord, asked
from nvd_core.spec.settings import Job, Shown, has_to_find
from nvd_core.spec.versions import held, is_finished, is_staged, next_version


def check_shown(shown: Shown | None, info: ClipInfo) -> None:
    """Refuse clips that are decoded in another way than Blender shows them."""
    if shown is None:
        return
    size, as_read = Size(shown.width, shown.height), "Linear Rec.709" if info.is_linear else "sRGB"
    for is_other, what, hint in (
        (
            info.turned and not shown.turns,
            f"The video is turned by {info.turned} degrees in its metadata, which this Blender does not show",
            "Export it upright, or use Blender 4.5 or later.",
        ),
        (bool(info.unlike), info.unlike, "Convert it, for example to H.264 in MP4."),
        (
            not info.is_even,
            "The video's frames last unequally long, so that it is shown with some twice and without others",
            "Export it with a constant frame rate.",
        ),
        (
            shown.frames not in {0, info.count},
            f"The video has {info.count} frames, but is shown with {shown.frames}",
            "Add it again without Adjust Playback Rate. If that does not help, convert it to a constant frame rate.",
        ),
        (
            shown.colour not in {"", as_read},
            f"The clip's colours are shown as {shown.colour}, but are read as {as_read}",
            f"Set its Color Space to {as_read}, or convert the clip.",
        ),
        (all(size) and size != info.size, f"The clip is {info.size}, but is shown as {size}", "Add it again."),
    ):
        if is_other:
            raise InputError(what, where=info.path, hint=hint)


def check_folder(folder: Path) -> None:
    """Refuse an output folder that holds anything but a decomposition."""
    if folder.exists() and not folder.is_dir():
        raise InputError("The output is a file", where=folder, hint="Name a folder for it.")
    check_plain(folder)
    if folder.is_dir() and contents(folder) and not is_ours(folder):
        raise InputError("The output folder holds something else", where=folder, hint="Choose a new or an empty one.")


def occupied_by_result(folder: Path) -> InputError:
    """Error for a folder whose finished result would be overwritten."""
    return InputError(
        f"The folder holds {held(folder)}",
        where=folder,
        hint=f"Choose another, as {next_version(folder).name}, or write over it with --replace.",
    )


@final
@dataclass(frozen=True)
class Accepted:
    """Result of checking a job that may begin.

    Attributes:
        solve: the solver.
        clip: opened.
        numbers: plate numbers of the frames used.
        flow: optical flow from files or RAFT; None for DIS.
        needs: parameters of its costs.
        takes: forecast of its time, memory and disk space.
        lacks_masks: whether objects have to be detected, or masks propagated from key frames.
        told: cautions for the report.
    """

    solve: Solve
    clip: Clip
    numbers: range
    flow: Provider | None
    needs: Needs
    takes: Forecast
    lacks_masks: bool
    told: list[Caution]


def accept(job: Job, folder: Path, tell: Tell, *, resume: bool, replaces: bool, is_drawn: bool = True) -> Accepted:
    """Check everything about a job that can be checked before it begins; write nothing.

    Args:
        job: clip, masks and settings.
        folder: of the result.
        tell: hears cautions.
        resume: reuse checkpoints of a killed or cancelled run of the same job.
        replaces: overwrite a finished result.
        is_drawn: whether masks drawn in Blender have been rendered to their files.

    Raises:
        NvdError: the job is refused.
    """
    if not job.clip:
        raise UsageError("The job names no clip", hint="Write it as clip = 'PATH'.")
    settings = job.settings
    for choice in (settings.find, settings.carry, settings.solver, settings.flow, *(mask.path for mask in job.masks)):
        choice.check(job)
    solve = job.settings.solver.open()
    check_folder(folder)
    is_begun = resume and RunRecord.read(folder).job == asked(job)
    if not replaces and is_finished(folder) and not (is_begun or (resume and is_staged(folder))):
        raise occupied_by_result(folder)
    clip = open_clip(Path(job.clip), job.settings.fps)
    info = clip.info
    for caution in info.cautions:
        tell(caution)
    check_shown(job.shown, info)
    if min(info.size) < LEAST_PX:
        raise InputError(f"The clip is {info.size}, too small to follow anything in it", where=info.path)
    numbers = frames_used(job.settings.frames, info)
    is_lacking = is_little(job.masks) or has_to_find(job.masks, len(numbers), job.settings)
    whole = [mask for mask in job.masks if mask.frame is None]
    check_names([mask.name for mask in whole] + sorted({mask.name for mask in job.masks if mask.frame is not None}))
    copied = copying(info, numbers, job.masks)
    there = [mask for mask in job.masks if is_drawn or not mask.drawn]
    given = open_mattes([mask for mask in there if mask.frame is None], info, numbers)
    for caution in (told := [*copied, *given.cautions]):
        tell(caution)
    check_keys(there, clip, numbers)
    flow = job.settings.flow.open(info, numbers, job.settings.device)
    refuse_inside(
        folder,
        chain(info.files, flow.files if flow else (), (source.path for source in given.sources)),
        (name for name in own_names() if is_lacking or name != "masks"),
    )
    needs = Needs.of(info.size, len(numbers), job.masks, job.settings, has_copies=bool(copied))
    takes = needs.forecast(WORKERS)
    check_space(folder, takes.disk_bytes - (bytes_in(checkpoint_path(folder)) if resume else 0))
    takes.check_memory()
    check_address_space(takes.memory_bytes)
    return Accepted(solve, clip, numbers, flow, needs, takes, is_lacking, told)
