"""Run a job: masks, preparation, solving, export, measuring, report.

Whoever hears its events cancels it by raising; finished parts stay in the checkpoint. Only a lock and generated masks
are written before the clip and its masks have been read completely.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any, final

from nvd_core import __version__
from nvd_core.acceptance import Accepted, accept, occupied_by_result
from nvd_core.clip import Clip
from nvd_core.export.edits import hold_edits, put_edits
from nvd_core.export.frames import write_channels, write_frames
from nvd_core.export.handover import forget_what_is_not_whole, hand_over, settle
from nvd_core.export.plates import write_copies
from nvd_core.export.report import write_report
from nvd_core.image.exr import rgba_channels, write_exr
from nvd_core.masks import open_mattes
from nvd_core.quality.diagnosis import Examination, bright
from nvd_core.quality.diagnosis.finding import caution
from nvd_core.quality.diagnosis.shot_cuts import find_cuts, scene_cut
from nvd_core.quality.measure import measure
from nvd_core.result.decomposition import Decomposition
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.runtime.checkpoints import Checkpoints, save_arrays
from nvd_core.runtime.costs import Ledger
from nvd_core.runtime.host import one_thread_each
from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.progress import SILENT, Progress, Tell
from nvd_core.runtime.writer import occupied
from nvd_core.shot import Shot, prepare
from nvd_core.shot.fingerprint import difference, fingerprint_of
from nvd_core.shot.previews import preview_masks
from nvd_core.shot.solution import Solution
from nvd_core.spec.choices.mask_origins import MaskPath
from nvd_core.spec.folder import (
    atomic,
    channels_path,
    log_path,
    manifest_path,
    masks_path,
    solution_path,
    staged_log_path,
    staged_masks_path,
    staged_path,
    unwritable,
)
from nvd_core.spec.forecast import Forecast
from nvd_core.spec.manifest import Manifest, Source, write_manifest
from nvd_core.spec.mask_record import forget_masks, unless_refused
from nvd_core.spec.path_safety import check_plain
from nvd_core.spec.protocol import Caution, Done, Event, Metric, encode
from nvd_core.spec.run_record import RunRecord
from nvd_core.spec.settings import Job, MaskSource, facts_of, working_lines
from nvd_core.spec.versions import former_version, is_staged


def decompose(
    job: Job,
    folder: Path,
    on_event: Tell = SILENT.tell,
    *,
    resume: bool = False,
    replaces: bool = False,
    on_forecast: Callable[[Forecast], object] = lambda _: None,
) -> None:
    """Decompose a clip into a folder.

    Args:
        job: clip, masks and settings.
        folder: of the result; new, empty, or that of an earlier job.
        on_event: hears the events; the last is :class:`nvd_core.spec.protocol.Done`. An exception in it cancels the
            job, which can be resumed.
        resume: reuse checkpoints of a killed or cancelled run of the same job.
        replaces: overwrite a finished result; painted atlases and corrected masks stay.
        on_forecast: hears what the job may take once it is accepted.

    Raises:
        InputError: clip, masks or folder cannot be used, or the folder holds a result. Nothing is left behind then,
            except masks that had been generated and are not the cause.
        SetupError: the solver lacks a package or a device.
        MemoryLimitError: the job takes more memory than may be used.
    """
    with one_thread_each():
        accepted = accept(job, folder, on_event, resume=resume, replaces=replaces)
        on_forecast(accepted.takes)
        _decompose(job, accepted, folder, on_event, resume=resume, replaces=replaces)
        on_event(Done(folder=str(folder)))


def check(
    job: Job, folder: Path, on_event: Tell = SILENT.tell, *, resume: bool = False, replaces: bool = False
) -> Forecast:
    """Check a job as :func:`decompose` does before it begins, and write nothing.

    Masks drawn in Blender are not read: they are rendered when the job begins.

    Args:
        job: as for :func:`decompose`.
        folder: as for :func:`decompose`.
        on_event: hears cautions; the last event is :class:`nvd_core.spec.protocol.Done`.
        resume: as for :func:`decompose`.
        replaces: as for :func:`decompose`.

    Returns:
        Forecast of its time, memory and disk space.

    Raises:
        NvdError: :func:`decompose` would refuse the job.
    """
    with one_thread_each():
        accepted = accept(job, folder, on_event, resume=resume, replaces=replaces, is_drawn=False)
    on_event(Done(folder=str(folder)))
    return accepted.takes


def _decompose(job: Job, accepted: Accepted, folder: Path, on_event: Tell, *, resume: bool, replaces: bool) -> None:
    clip, numbers, needs = accepted.clip, accepted.numbers, accepted.needs
    at_once = needs.plates_at_once(WORKERS)
    log = _Log(on_event)
    ledger = Ledger(needs.steps(WORKERS), log.hear)
    progress = Progress(ledger.hear)
    with occupied(folder):
        begun = RunRecord.of(job, folder, resume=resume, replaces=replaces)
        if begun.is_done:  # only tidying up was interrupted
            settle(folder)
            return
        _end_other(folder, begun, on_event, makes_masks=accepted.lacks_masks)
        with unless_refused(_own_masks(folder)):
            if accepted.lacks_masks:
                begun.write(folder)
                job = _with_masks(job, clip, numbers, folder, at_once, progress.stage("masks"))
                ledger.go_on(
                    replace(needs, layers=len(job.masks) + 1, propagated=0, is_discovered=False).steps(WORKERS)
                )
            mattes = open_mattes(job.masks, clip.info, numbers)
            lines, flow = working_lines(job.settings), accepted.flow
            shot = prepare(clip, mattes, numbers, lines, folder, at_once, flow, progress.stage("prepare"))
        told = [*accepted.told, *(event for event in log.early if isinstance(event, Caution))]
        accepted = replace(accepted, told=told)
        path = staged_log_path(folder) if manifest_path(folder).is_file() else log_path(folder)
        with log.written(path, anew=not resume):
            _solve_and_export(job, shot, accepted, folder, ledger, begun, resume=resume)
        settle(folder)


@final
class _Log:
    """Event log of a job, which is written once all input has been read.

    Attributes:
        early: events that were heard before.
    """

    def __init__(self, tell: Tell) -> None:
        self.early: list[Event] = []
        self._tell, self._file, self._seq = tell, None, 0

    def hear(self, event: Event) -> None:
        """Write an event, or keep it for later, and pass it on."""
        if self._file:
            self._write(self._file, event)
        else:
            self.early.append(event)
        self._tell(event)

    @contextmanager
    def written(self, path: Path, *, anew: bool) -> Iterator[None]:
        """Write events to a new file, which continues the former content."""
        try:
            former = b"" if anew or not path.is_file() else path.read_bytes()
            with atomic(path) as temporary:
                temporary.write_bytes(former)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error
        with self._file:
            for event in self.early:
                self._write(self._file, event)
            yield

    def _write(self, file: FileIO, event: Event) -> None:
        self._seq += 1
        with suppress(OSError):  # writing the result reports a full disk
            file.write(encode(event, self._seq).encode() + b"\n")


def _end_other(folder: Path, begun: RunRecord, tell: Tell, *, makes_masks: bool) -> None:
    """Clear leftovers of another job from the folder: its staged result and masks lie where this job's would."""
    if is_staged(folder) and not (manifest_path(folder).is_file() or begun.is_taken_up):
        hand_over(folder, tell)  # the other job was killed while it did this
    if not makes_masks:
        forget_masks(staged_masks_path(folder))


def _with_masks(job: Job, clip: Clip, numbers: range, folder: Path, at_once: int, progress: Progress) -> Job:
    """Segment or propagate masks for all frames, and return the job with them; a former result keeps its own."""
    names = {mask.name for mask in job.masks}
    before = folder if manifest_path(folder).is_file() else former_version(folder, Path(job.clip), numbers, names)
    if before:
        check_plain(before, [masks_path(before).name])
    former, place = before and masks_path(before), _own_masks(folder)
    wanted = Wanted(clip, numbers, job.masks, place, folder, at_once, job.settings, former)
    return replace(job, masks=rotoscope(wanted, progress))


def _own_masks(folder: Path) -> Path:
    """Folder of this job's generated masks: staged if the folder holds a result, until they replace its own."""
    return staged_masks_path(folder) if manifest_path(folder).is_file() else masks_path(folder)


def _solve_and_export(
    job: Job, shot: Shot, accepted: Accepted, folder: Path, ledger: Ledger, begun: RunRecord, *, resume: bool
) -> None:
    """Solve, export and move the result to its place, resuming checkpoints of the same job."""
    fingerprint = fingerprint_of(job, shot)
    former = Checkpoints.fingerprint(folder) if resume else ""
    if former != fingerprint:
        if resume:
            ledger.hear(Caution(message=difference(former, fingerprint), hint="Solving begins anew."))
        if is_staged(folder) and not manifest_path(folder).is_file():
            hand_over(folder, ledger.hear)  # another job's, interrupted while it did this
        if manifest_path(folder).is_file() and not begun.replaces:
            raise occupied_by_result(folder)
    begun.write(folder)
    checkpoints = Checkpoints.open(folder, fingerprint, resume=resume)
    if is_staged(folder):
        forget_what_is_not_whole(folder, ledger.hear)
    if not is_staged(folder):
        _make_result(job, shot, accepted, folder, checkpoints, ledger)
    hold_edits(folder, ledger.hear)
    hand_over(folder, ledger.hear)
    put_edits(folder, Path(job.clip), ledger.hear)
    replace(begun, is_done=True).write(folder)


def _make_result(
    job: Job, shot: Shot, accepted: Accepted, folder: Path, checkpoints: Checkpoints, ledger: Ledger
) -> None:
    """Solve, export, measure and report into the staging folder, where a former result is not touched."""
    progress, staged = Progress(ledger.hear), staged_path(folder)
    diagnoses = list(scene_cut(find_cuts(shot.frames, progress.stage("cuts")), shot.numbers))
    caution(diagnoses, progress.tell)
    preview_masks(shot, checkpoints.folder, progress.tell)
    solution = accepted.solve(shot, job.settings, checkpoints, progress.stage("solve"))
    manifest = _export(job, shot, solution, accepted, folder, progress.stage("frames"))
    del solution  # its atlases are on disk now
    examination = Examination(shot.numbers, shot.clip.info.size, manifest.background)
    made = Decomposition(staged, manifest, shot.at_once)
    metrics = measure(made, examination, progress.stage("measure"))
    further = examination.diagnoses(metrics)
    if diagnoses:  # a scene cut causes all other symptoms that depend on motion
        further = [one for one in further if one.name == bright.NAME]
    caution(further, progress.tell)
    manifest = replace(manifest, metrics=metrics)
    for name in ("psnr", "psnr_atlas_only"):
        progress.tell(Metric(name=name, value=metrics[name], size=metrics["size"]))
    costs, made = ledger.costs(), Decomposition(staged, manifest, shot.at_once)
    manifest = write_report(made, diagnoses + further, costs, progress.stage("report"))
    shot.clip.info.unchanged.check_all()  # the report has opened the clip's files again
    write_manifest(staged, manifest)


def _export(job: Job, shot: Shot, solution: Solution, accepted: Accepted, folder: Path, progress: Progress) -> Manifest:
    """Write atlases, frames and solution; return their manifest, which is not written yet."""
    info, staged = shot.clip.info, staged_path(folder)
    atlases = {layer: f"atlas/{layer}.orig.exr" for layer in solution.layers}
    for layer, name in atlases.items():
        write_exr(staged / name, rgba_channels(solution.atlas(layer)))
    has_copies = accepted.needs.has_copies
    framing, copying = progress.split(1, has_copies)
    write_frames(shot, solution, staged, info.name, framing)
    if has_copies:
        write_copies(info, shot.numbers, staged, shot.at_once, copying)
    write_channels(solution.layers, channels_path(staged, info.name, shot.numbers[0]))
    save_arrays(solution_path(staged), solution.arrays())
    return Manifest(
        name=info.name,
        source=Source(
            path=str(info.path.absolute()),
            file=str(info.file(shot.numbers[0]).absolute()),
            sha256=shot.sha256,
            width=info.size.width,
            height=info.size.height,
            fps=info.fps,
            first=shot.numbers[0],
            last=shot.numbers[-1],
            is_linear=info.is_linear,
            seen_from=str(folder.absolute()),
            has_copies=has_copies,
        ),
        layers=shot.layers,
        atlas_files=atlases,
        original_files=atlases,
        settings=facts_of(job, lambda named: str(Path(named).absolute()))["settings"],
        solution=solution.record,
        masks=tuple(_mask_entry(mask, folder) for mask in job.masks),
        versions={"nvd_core": __version__, **solution.versions},
        warnings=tuple(f"{one.message}. {one.hint}" for one in (*info.cautions, *accepted.told)),
    )


def _mask_entry(mask: MaskSource, folder: Path) -> dict[str, Any]:
    """Entry of a mask in the manifest; its path is relative if it lies in the folder."""
    return {"name": mask.name, "path": _manifest_path(mask, folder)} | ({"locked": True} if mask.locked else {})


def _manifest_path(mask: MaskSource, folder: Path) -> str:
    if not isinstance(mask.path, MaskPath):
        return str(mask.path)
    path, own = Path(mask.path.path).absolute(), folder.absolute()
    if path.is_relative_to(staged_masks_path(own)):
        path = masks_path(own) / path.relative_to(staged_masks_path(own))
    return path.relative_to(own).as_posix() if path.is_relative_to(own) else str(path)
