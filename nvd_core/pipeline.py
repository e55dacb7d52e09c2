"""From a job to a decomposition folder: prepare, solve, export, measure, report, as one stream of events.

Closing the stream cancels the job; what is finished stays in the checkpoint. Nothing but a lock is written before
the clip and its masks have been read through.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, TypeAlias, get_args

from nvd_core import __version__
from nvd_core.checkpoints import Checkpoints, save_arrays
from nvd_core.clip import ClipInfo, open_clip, parse_range
from nvd_core.conventions import Size
from nvd_core.costs import SHARES, Ledger, peak_memory_bytes
from nvd_core.decomposition import Decomposition
from nvd_core.diagnosis import Examination
from nvd_core.diagnosis.cut import find_cuts, scene_cut
from nvd_core.diagnosis.finding import cautions
from nvd_core.errors import InputError, SetupError, UsageError
from nvd_core.export.atlases import write_atlas
from nvd_core.export.frames import write_channels, write_frames
from nvd_core.export.report import write_report
from nvd_core.flow import located, open_flow
from nvd_core.folder import (
    FRAME_NAME,
    Manifest,
    Source,
    channels_path,
    check_space,
    checkpoint_path,
    is_ours,
    log_path,
    manifest_path,
    masks_path,
    report_path,
    unwritable,
    write_manifest,
)
from nvd_core.forecast import Needs
from nvd_core.masks import check_names, open_mattes
from nvd_core.masks.models import CARRIERS, FINDERS, check_model
from nvd_core.measure import measure
from nvd_core.parallel import WORKERS
from nvd_core.previews import preview_of_masks
from nvd_core.protocol import Artifact, Caution, Done, Event, Metric, encode
from nvd_core.roto import Wanted, clear_unfinished, is_little, rotoscope
from nvd_core.settings import (
    ALPHA,
    Carry,
    Find,
    Job,
    MaskSource,
    Settings,
    Shown,
    Solver,
    has_to_find,
    starts_from,
    with_paths_from,
    working_lines,
)
from nvd_core.shot import Shot, prepare
from nvd_core.solution import Solution
from nvd_core.steps import Result, mapped
from nvd_core.writer import sole_writer

_LEAST_PX: Final = 32

Solve: TypeAlias = Callable[[Shot, Settings, Checkpoints], Generator[Event, None, Solution]]


def _lattice() -> Solve:
    from nvd_core.lattice.solve import solve  # noqa: PLC0415 (the chosen solver alone is loaded)

    return solve


def _neural() -> Solve:
    try:
        from nvd_core.neural.solve import solve  # noqa: PLC0415 (only this solver needs torch)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SetupError("The neural solver needs torch", hint="pip install 'nvd-blender[neural]'") from error
    return solve


_SOLVERS: Final[dict[Solver, Callable[[], Solve]]] = {"lattice": _lattice, "neural": _neural}


def decompose(job: Job, folder: Path, *, resume: bool = False) -> Generator[Event, None, None]:
    """Decompose a clip into a folder.

    Args:
        job: what to decompose, and how.
        folder: where the result goes; new, empty, or an earlier result.
        resume: take up what a killed or cancelled run of the same job has finished.

    Yields:
        Events; the last is :class:`nvd_core.protocol.Done`.

    Raises:
        InputError: clip, masks or folder cannot be used; nothing is left behind then.
        SetupError: the solver lacks a package or a device.
        MemoryLimitError: the job takes more memory than may be used.
    """
    if not job.clip:
        raise UsageError("The job names no clip", hint="Write it as clip = 'PATH'.")
    _check_settings(job)
    solve = _SOLVERS[job.settings.solver]()
    _check_folder(folder)
    clip = open_clip(Path(job.clip), job.settings.fps)
    yield from clip.info.cautions
    if job.shown:
        _check_shown(job.shown, clip.info)
    if min(clip.info.size) < _LEAST_PX:
        raise InputError(f"The clip is {clip.info.size}, too small to follow anything in it", where=clip.info.path)
    numbers = parse_range(job.settings.frames, clip.info)
    is_lacking = is_little(job.masks) or has_to_find(job.masks, len(numbers), job.settings)
    whole = [mask for mask in job.masks if mask.frame is None]
    check_names([mask.name for mask in whole] + sorted({mask.name for mask in job.masks if mask.frame is not None}))
    open_mattes(whole, clip.info, numbers)
    flow = open_flow(job.settings.flow, clip.info, numbers, job.settings.device)
    needs = Needs.of(clip.info.size, len(numbers), job.masks, job.settings)
    takes = needs.forecast(WORKERS)
    check_space(folder, takes.disk_bytes)
    takes.check_memory()
    at_once = needs.plates_at_once(WORKERS)
    ledger, told = Ledger(SHARES if is_lacking else {name: SHARES[name] for name in SHARES if name != "masks"}), []
    with _occupied(folder):
        if is_lacking:
            wanted = Wanted(clip, numbers, job.masks, masks_path(folder), folder, at_once, job.settings)
            masks = yield from ledger.phase("masks", _heard(rotoscope(wanted), told))
            job = replace(job, masks=masks)
        mattes = open_mattes(job.masks, clip.info, numbers)
        reading = prepare(clip, mattes, numbers, working_lines(job.settings), folder, at_once, flow)
        shot = yield from ledger.phase("prepare", reading)
        # Closed before the folder may be another writer's.
        with closing(_solve_and_export(job, shot, solve, folder, ledger, told, resume=resume)) as events:
            yield from _logged(events, folder, anew=not resume)
    yield Done(folder=str(folder))


def _heard(events: Generator[Event, None, Result], told: list[Caution]) -> Generator[Event, None, Result]:
    """The same events; what its owner should know is noted, too."""

    def note(event: Event) -> Event:
        if isinstance(event, Caution):
            told.append(event)
        return event

    return mapped(events, note)


def _solve_and_export(
    job: Job, shot: Shot, solve: Solve, folder: Path, ledger: Ledger, told: list[Caution], *, resume: bool
) -> Generator[Event, None, None]:
    """All that writes to the folder."""
    checkpoints = Checkpoints.open(folder, _fingerprint(job, shot), resume=resume)
    if resume and not checkpoints.is_taken_up:
        yield Caution(message="No part of this job has been solved yet", hint="Solving begins anew.")
    diagnoses = list(scene_cut((yield from ledger.phase("cuts", find_cuts(shot.frames))), shot.numbers))
    yield from cautions(diagnoses)
    yield from preview_of_masks(shot, checkpoints.folder)
    solution = yield from ledger.phase("solve", solve(shot, job.settings, checkpoints))
    manifest = yield from ledger.phase("frames", _export(job, shot, solution, folder, checkpoints, told))
    del solution  # its atlases are on disk now
    examination = Examination(shot.numbers, shot.clip.info.size)
    made = Decomposition(folder, manifest, shot.at_once)
    metrics = yield from ledger.phase("measure", measure(made, examination))
    found = [] if diagnoses else examination.diagnoses(metrics)  # a cut makes all of the others
    yield from cautions(found)
    manifest = replace(manifest, metrics=metrics)
    for name in ("psnr", "psnr_atlas_only"):
        yield Metric(name=name, value=metrics[name])
    costs = {"stages": ledger.stages, "peak_memory_bytes": peak_memory_bytes()}
    made = Decomposition(folder, manifest, shot.at_once)
    manifest = yield from ledger.phase("report", write_report(made, diagnoses + found, costs))
    shot.clip.info.unchanged.check_all()  # the report is of files that were opened anew
    write_manifest(folder, manifest)
    checkpoints.discard()


def _logged(events: Generator[Event, None, None], folder: Path, *, anew: bool) -> Generator[Event, None, None]:
    """Keep what is said in the folder, too."""
    path = log_path(folder)
    try:
        log = path.open("wb" if anew else "ab", buffering=0)
    except OSError as error:
        raise unwritable(path, error) from error
    with log:
        for seq, event in enumerate(events, 1):
            with suppress(OSError):  # a full disk is for those to tell who write the result
                log.write(encode(event, seq).encode() + b"\n")
            yield event


def _export(
    job: Job, shot: Shot, solution: Solution, folder: Path, checkpoints: Checkpoints, told: list[Caution]
) -> Generator[Event | float, None, Manifest]:
    """Write atlases, frames and solution; the manifest that names them is returned, not yet written."""
    info = shot.clip.info
    if checkpoints.load("exporting") is None:
        _clear_results(folder)
        checkpoints.save("exporting", {})
    files, cautions = {}, [f"{one.message}. {one.hint}" for one in (*info.cautions, *told)]
    for layer in solution.layers:
        files[layer] = write_atlas(folder, layer, solution.atlas(layer))
        yield Artifact(path=str(folder / files[layer].painted))
        if files[layer].kept:
            caution = f"{files[layer].kept} is painted and was kept; the new atlas is {files[layer].painted}"
            cautions.append(caution)
            yield Caution(message=caution, hint="Carry the paint over to it.")
    for done, path in enumerate(write_frames(shot, solution, folder, info.name)):
        yield Artifact(path=str(path))
        yield (done + 1) / len(shot.numbers)
    write_channels(solution.layers, channels_path(folder, info.name, shot.numbers[0]))
    save_arrays(folder / "solution.safetensors", solution.arrays())
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
        ),
        layers=solution.layers,
        atlas_files={layer: one.painted for layer, one in files.items()},
        original_files={layer: one.original for layer, one in files.items()},
        settings=_telling(job.settings),
        masks=tuple(_told(mask, folder) for mask in job.masks),
        versions={"nvd_core": __version__, **solution.versions},
        warnings=tuple(cautions),
    )


def _telling(settings: Settings) -> dict[str, Any]:
    """Settings that results depend on."""
    there = with_paths_from(settings, Path.cwd())
    return asdict(replace(there, memory="", flow=located(settings.flow, Path.cwd())))


def _told(mask: MaskSource, folder: Path) -> dict[str, Any]:
    """A mask, for the manifest."""
    return {"name": mask.name, "path": _named(mask, folder)} | ({"locked": True} if mask.locked else {})


def _named(mask: MaskSource, folder: Path) -> str:
    if mask.path == ALPHA:
        return ALPHA
    path = Path(mask.path).absolute()
    own = folder.absolute()
    return path.relative_to(own).as_posix() if path.is_relative_to(own) else str(path)


def _check_settings(job: Job) -> None:
    """Refuse what would be ignored."""
    settings = job.settings
    _check_models(job)
    if settings.solver != "neural":
        if settings.preset == "paper":
            raise UsageError("The preset paper is the neural solver's", hint="Add --solver neural, or choose another.")
        for name in ("steps", "batch", "budget_s", "target_psnr"):
            if getattr(settings, name) is not None:
                raise UsageError(f"{name} is the neural solver's", hint="Add --solver neural, or leave it out.")
    elif settings.batch is not None and starts_from(settings) != "none":
        raise UsageError("batch is for networks that start from nothing", hint="Add --start none, or leave it out.")


def _check_models(job: Job) -> None:
    """Refuse models that there are not, or that would not be asked."""
    settings = job.settings
    if settings.find not in get_args(Find):
        check_model("find", settings.find, FINDERS)
        if job.masks:
            raise UsageError("find names a model, and masks are given", hint="Leave one of the two out.")
    if settings.carry not in get_args(Carry):
        check_model("carry", settings.carry, CARRIERS)
        if not (is_little(job.masks) or has_to_find(job.masks, 1, settings) or has_to_find(job.masks, 2, settings)):
            raise UsageError(
                "carry names a model, and there is nothing to carry",
                hint="Give masks of single frames, or leave it out.",
            )


def _check_shown(shown: Shown, info: ClipInfo) -> None:
    """Refuse what is decoded in another way than it is shown."""
    size, as_read = Size(shown.width, shown.height), "Linear Rec.709" if info.is_linear else "sRGB"
    for is_other, what, hint in (
        (
            info.turned and not shown.turns,
            f"The video is turned by {info.turned} degrees in its metadata, which this Blender does not show",
            "Export it upright, or use Blender 4.5 or later.",
        ),
        (
            not info.is_even,
            "The video's frames last unequally long, so that it is shown with some twice and without others",
            "Export it with a constant frame rate.",
        ),
        (
            shown.frames not in {0, info.count},
            f"The video has {info.count} frames, but is shown with {shown.frames}",
            "Add it again without Adjust Playback Rate.",
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


def _check_folder(folder: Path) -> None:
    """Refuse a place that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise InputError("The output is a file", where=folder, hint="Name a folder for it.")
    if folder.is_dir() and any(folder.iterdir()) and not is_ours(folder):
        raise InputError("The output folder holds something else", where=folder, hint="Choose a new or an empty one.")


def _make(folder: Path) -> list[Path]:
    """Create a folder; the ones that were not there before are returned, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _unmake(missing)
        raise unwritable(folder, error) from error
    return missing


def _unmake(folders: list[Path]) -> None:
    for path in folders:
        if path.is_dir() and not any(path.iterdir()):
            with suppress(OSError):  # another writer may have it by now
                path.rmdir()


@contextmanager
def _occupied(folder: Path) -> Iterator[None]:
    """Hold a folder for one writer. If nothing worth keeping comes of it, it is as it was before."""
    made = _make(folder)
    try:
        with sole_writer(folder):
            try:
                yield
            finally:
                if not manifest_path(folder).exists() and not any(checkpoint_path(folder).rglob("*.safetensors")):
                    shutil.rmtree(checkpoint_path(folder), ignore_errors=True)
                    with suppress(OSError):  # a disk that can no longer be written to has been told of
                        log_path(folder).unlink(missing_ok=True)
                clear_unfinished(masks_path(folder))
    finally:
        _unmake(made)


def _clear_results(folder: Path) -> None:
    """Take away what an earlier job has exported, but not its atlases, which may be painted."""
    manifest_path(folder).unlink(missing_ok=True)
    for path in (*folder.glob("frames/*.exr"), *folder.glob("channels/*.exr"), *folder.glob("stmap/*/*.exr")):
        if FRAME_NAME.fullmatch(path.name):
            path.unlink()
    for path in report_path(folder).glob("atlas_*.png"):
        path.unlink()


def _fingerprint(job: Job, shot: Shot) -> str:
    """What makes two jobs the same."""
    models = {name: getattr(job.settings, name).partition(":")[0] for name in ("find", "carry")}
    settings = _telling(replace(job.settings, flow="dis", **models))  # the rest is in the content, wherever it lies
    facts = [__version__, shot.sha256, shot.layers, settings, list(shot.numbers)]
    facts.append([mask.path == ALPHA for mask in job.masks])
    facts.append([mask.locked for mask in job.masks])
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
