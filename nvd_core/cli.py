"""The command line. Data goes to standard output, talk and progress to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from tyro.conf import (
    FlagCreatePairsOff,
    OmitArgPrefixes,
    OmitSubcommandPrefixes,
    Positional,
    UseAppendAction,
    arg,
    subcommand,
)

from nvd_core import protocol
from nvd_core.clip import open_clip, parse_range
from nvd_core.compositing import AS_SHOT, Look
from nvd_core.decomposition import Decomposition
from nvd_core.demo import run_demo
from nvd_core.errors import NvdError, UsageError, as_told
from nvd_core.export.report import words
from nvd_core.export.stmap import write_stmaps
from nvd_core.forecast import Forecast, Needs
from nvd_core.jobs import check_settings, parse_mask, read_job, with_locked
from nvd_core.measure import measure
from nvd_core.parallel import WORKERS
from nvd_core.pipeline import decompose
from nvd_core.render import Format, Mode, frame_writer, render
from nvd_core.settings import Job, Settings
from nvd_core.steps import finished
from nvd_core.stopping import heed

Item = TypeVar("Item")
Folder = Annotated[Path, arg(metavar="FOLDER")]
_PerLayer = Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="LAYER=NUMBER")]
AsJson = Annotated[bool, arg(help="Write the result as JSON to standard output.")]

talk = Console(stderr=True, highlight=False, markup=False, emoji=False)  # paths may look like either


@dataclass(frozen=True, kw_only=True)
class Decompose:
    """Decompose a clip into layers: atlases, UV passes, alphas and lighting."""

    clip: Annotated[
        Positional[str], arg(metavar="CLIP", help="Video, folder of pictures, pattern (shot.####.exr) or picture.")
    ] = ""
    out: Annotated[
        Path | None, arg(aliases=["-o"], metavar="FOLDER", help="Where the result goes. Default: CLIP's name and _nvd.")
    ] = None
    mask: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(
            metavar="NAME[@FRAME]=PATH",
            help="An object's masks: a folder, one picture, a video, or alpha: the clip's own. Front to back. With "
            "@FRAME a mask of that frame alone, carried to the others; there PATH may be box:LEFT,TOP,RIGHT,BOTTOM or "
            "clicks:X,Y;X,Y;out:X,Y.",
        ),
    ] = ()
    lock: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="NAME", help="A layer whose alpha is its mask as it is, whatever the solver learns."),
    ] = ()
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)
    job: Annotated[Path | None, arg(metavar="FILE", help="Read clip, masks and settings from a job.toml.")] = None
    resume: Annotated[bool, arg(help="Take up what a killed or cancelled run has finished.")] = False
    json: AsJson = False

    def run(self) -> str:
        """Decompose, with a bar on standard error."""
        job = self._job()
        folder = self.out or Path(f"{open_clip(Path(job.clip)).info.name}_nvd")
        events = decompose(job, folder, resume=self.resume)
        with closing(events), _bar("What is finished can be taken up with --resume.") as advance:
            has_to_tell = talk.is_terminal
            for event in events:
                if has_to_tell and isinstance(event, protocol.Stage):  # nothing was refused
                    talk.print(f"It may take {_forecast(job)}", soft_wrap=True)
                    has_to_tell = False
                _show(event, advance)
        manifest = Decomposition.open(folder).manifest
        talk.print(words(manifest), soft_wrap=True)
        talk.print(f"Look at {folder / 'report' / 'contact_sheet.png'}", soft_wrap=True)
        return _json({"folder": str(folder.absolute()), **asdict(manifest)}) if self.json else ""

    def _job(self) -> Job:
        if self.job is None and not self.clip:
            raise UsageError("No clip is named", hint="Write nvd decompose CLIP, or --job FILE.")
        settings = check_settings(asdict(self.settings))
        masks = tuple(parse_mask(text) for text in self.mask)
        if self.job is None:
            return Job(clip=self.clip, masks=with_locked(masks, self.lock), settings=settings)
        job = read_job(self.job)
        masks = with_locked(masks or job.masks, self.lock)
        return replace(job, clip=self.clip or job.clip, masks=masks, settings=settings)


@dataclass(frozen=True, kw_only=True)
class Render:
    """Re-composite a decomposition with its atlases as they are now, without Blender."""

    folder: Positional[Folder]
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER|FILE.mp4", help="A folder for pictures, or a video file.")]
    atlas: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="LAYER=FILE", help="A painted atlas in place of the folder's own."),
    ] = ()
    opacity: _PerLayer = ()
    """0 to 1: of a layer when the frame is rebuilt, of its paint when the plate is kept."""
    light: _PerLayer = ()
    """0 to 1: how much of a layer's residual is used; 0 shows its atlas unlit."""
    gain: _PerLayer = ()
    """Factor on a layer's light."""
    mode: Annotated[Mode, arg(help="keep-plate: only what was painted is touched; rebuild: the layers alone.")] = (
        "keep-plate"
    )
    format: Annotated[Format, arg(help="Of pictures: 8-bit PNG, or linear half-float EXR.")] = "png"
    json: AsJson = False

    def run(self) -> str:
        """Render all frames."""
        decomposition = Decomposition.open(self.folder)
        atlases = {layer: Path(path) for layer, path in _by_layer("atlas", "FILE", self.atlas).items()}
        manifest = decomposition.manifest
        frames = render(decomposition, atlases, self.mode, self._looks())
        with frame_writer(decomposition, self.out, self.format) as write:
            paths = [write(frame) for frame in _shown(frames, len(manifest.source.numbers), "render")]
        talk.print(f"{len(paths)} frames in {self.out}", soft_wrap=True)
        return _json({"files": sorted({str(path.absolute()) for path in paths})}) if self.json else ""

    def _looks(self) -> dict[str, Look]:
        looks: dict[str, Look] = {}
        for what, texts, most in (("opacity", self.opacity, 1.0), ("light", self.light, 1.0), ("gain", self.gain, inf)):
            for layer, text in _by_layer(what, "NUMBER", texts).items():
                value = _number(text)
                if not 0 <= value <= most or value == inf:
                    raise UsageError(f"--{what} {layer}={text} is no number from 0" + (" to 1" if most == 1 else " up"))
                looks[layer] = replace(looks.get(layer, AS_SHOT), **{what: value})
        return looks


@dataclass(frozen=True, kw_only=True)
class Score:
    """Measure a decomposition on the files that were written."""

    folder: Positional[Folder]
    json: AsJson = False

    def run(self) -> str:
        """Measure all frames."""
        decomposition = Decomposition.open(self.folder)
        with _bar() as advance:
            advance(None, "measure")
            metrics = finished(measure(decomposition), lambda done: advance(done, None))
        return _json(metrics) if self.json else words(replace(decomposition.manifest, metrics=metrics))


@dataclass(frozen=True, kw_only=True)
class Export:
    """Write a decomposition in another form, for other programs."""

    folder: Positional[Folder]
    stmap: Annotated[bool, arg(help="One RGB STMap a layer and frame, for Nuke, Fusion and After Effects.")] = False
    json: AsJson = False

    def run(self) -> str:
        """Export what is asked for."""
        if not self.stmap:
            raise UsageError("Nothing to export is named", hint="Write nvd export FOLDER --stmap.")
        decomposition = Decomposition.open(self.folder)
        manifest = decomposition.manifest
        count = len(manifest.source.numbers) * len(manifest.layers)
        paths = list(_shown(write_stmaps(decomposition), count, "stmap"))
        talk.print(f"{len(paths)} STMaps in {decomposition.folder / 'stmap'}", soft_wrap=True)
        return _json({"files": [str(path.absolute()) for path in paths]}) if self.json else ""


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Make a little clip, decompose it, paint both atlases and re-composite: pictures to look at."""

    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER", help="Where everything goes.")] = Path("demo")
    json: AsJson = False

    def run(self) -> str:
        """Run the whole path once."""
        with _bar() as advance:
            pictures = [
                str(path.absolute()) for path in finished(run_demo(self.out), lambda event: _show(event, advance))
            ]
        return _json({"pictures": pictures}) if self.json else "\n".join(pictures) + "\n"


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Say what this machine has, and what it lacks."""

    json: AsJson = False


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Decompose for another program: events as JSON lines on standard output. Used by Blender."""

    job: Positional[Annotated[Path, arg(metavar="JOB")]]
    folder: Positional[Folder]
    resume: bool = False


_COMMANDS = (
    Annotated[Decompose, subcommand("decompose")]
    | Annotated[Render, subcommand("render")]
    | Annotated[Score, subcommand("score")]
    | Annotated[Export, subcommand("export")]
    | Annotated[Demo, subcommand("demo")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Worker, subcommand("worker")]
)


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is returned."""
    command = _parsed(_COMMANDS, arguments, "nvd")
    try:
        if isinstance(command, Decompose) and command.job is not None:
            # What the job says is what flags are left out for; a flag that is there is stronger.
            default = Decompose(settings=read_job(command.job).settings)
            command = _parsed(Decompose, arguments[1:], "nvd decompose", default=default)
        with redirect_stdout(sys.stderr):  # what libraries print is talk
            data: str = command.run()
    except (NvdError, OSError, MemoryError) as error:
        told = as_told(error)
        talk.print(f"nvd: {told}", style="red", soft_wrap=True)
        return told.exit_code
    sys.stdout.write(data)
    return 0


def _parsed(kind: Any, arguments: Sequence[str], prog: str, **default: Any) -> Any:  # noqa: ANN401 (tyro knows)
    return tyro.cli(
        kind, args=list(arguments), prog=prog, config=(OmitSubcommandPrefixes, FlagCreatePairsOff),
        description="Paint a texture once, and every frame of the shot follows.", **default,
    )  # fmt: skip


@runtime_checkable
class Advance(Protocol):
    """Moves the bar: how far the work is (0 to 1), what is being done, how long it may still take."""

    def __call__(self, done: float | None, what: str | None, left: str = "") -> None:  # noqa: D102
        ...


@contextmanager
def _bar(hint: str = "") -> Iterator[Advance]:
    """A bar; whoever moves it stops there when asked to, and is told the hint."""
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=talk, transient=True) as progress:
        task = progress.add_task("", total=1.0, left="")

        def advance(done: float | None, what: str | None, left: str = "") -> None:
            heed(hint)
            progress.update(task, completed=done, description=what, left=left)

        yield advance


def _show(event: protocol.Event, advance: Advance) -> None:
    """An event as talk and bar."""
    if isinstance(event, protocol.Stage):
        advance(None, " ".join(filter(None, (event.name, event.layer))))
    elif isinstance(event, protocol.Progress):
        left = "" if event.eta_s is None else f"about {timedelta(seconds=round(event.eta_s))} left"
        advance(event.done, None, left)
    elif isinstance(event, protocol.Caution):
        talk.print(f"{event.message}. {event.hint}", style="yellow", soft_wrap=True)


def _forecast(job: Job) -> Forecast:
    info = open_clip(Path(job.clip), job.settings.fps).info
    frames = len(parse_range(job.settings.frames, info))
    return Needs.of(info.size, frames, job.masks, job.settings).forecast(WORKERS)


def _shown(items: Generator[Item, None, None], count: int, what: str) -> Iterable[Item]:
    with closing(items), _bar() as advance:
        advance(None, what)
        for done, item in enumerate(items):
            yield item
            advance((done + 1) / count, None)


def _by_layer(flag: str, what: str, texts: Iterable[str]) -> dict[str, str]:
    """``LAYER=VALUE``, as often as it was given."""
    values = {}
    for text in texts:
        layer, equals, value = text.partition("=")
        if not (layer and equals and value):
            raise UsageError(f"--{flag} {text} says no {what.lower()}", hint=f"Write it as --{flag} LAYER={what}.")
        values[layer] = value
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _json(data: object) -> str:
    return json.dumps(data, indent=1) + "\n"
