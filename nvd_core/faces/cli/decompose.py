"""``nvd decompose``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import (
    OmitArgPrefixes,
    Positional,
    UseAppendAction,
    arg,
)

from nvd_core.export.report import words
from nvd_core.faces.cli.talk import AsJson, bar, json_text, talk
from nvd_core.job_files import check_settings, named_after, parse_mask, read_job, with_locked
from nvd_core.pipeline import check, decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec import run_record
from nvd_core.spec.choices import listed
from nvd_core.spec.choices.mask_origins import MASK_ORIGINS, MaskPath
from nvd_core.spec.errors import UsageError
from nvd_core.spec.forecast import Forecast
from nvd_core.spec.manifest import as_json
from nvd_core.spec.settings import Job, Settings, plain
from nvd_core.spec.versions import held, holds_result, next_version, unfinished_version


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
            help=f"An object's masks, front to back: {listed((MaskPath, *MASK_ORIGINS.values()))}. With @FRAME a mask "
            "of that frame alone, carried to the others.",
        ),
    ] = ()
    lock: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="NAME", help="A layer whose alpha is its mask as it is, whatever the solver learns."),
    ] = ()
    settings: OmitArgPrefixes[Settings] = field(default_factory=Settings)
    job: Annotated[Path | None, arg(metavar="FILE", help="Read clip, masks and settings from a job.toml.")] = None
    resume: Annotated[bool, arg(help="Take up what a killed or cancelled run has finished.")] = False
    replace: Annotated[
        bool, arg(help="Write over a result that is there, but for what you have painted. Default: a new version.")
    ] = False
    check: Annotated[
        bool, arg(help="Write nothing: say what the job may take, or why it would be refused before it begins.")
    ] = False
    json: AsJson = False

    @classmethod
    def of_job(cls, path: Path) -> Decompose:
        """The command with the settings of a ``job.toml``."""
        return cls(settings=read_job(path).settings)

    def run(self) -> str:
        """Decompose, with a bar on standard error."""
        job = self._job()
        folder = self._folder(job)
        if self.check:
            return self._checked(job, folder)

        def tell(takes: Forecast) -> None:
            if talk.is_terminal:
                talk.print(f"It may take {takes}", soft_wrap=True)

        with bar("What is finished can be taken up with --resume.") as show:
            decompose(job, folder, show, resume=self.resume, replaces=self.replace, on_forecast=tell)
        manifest = Decomposition.open(folder).manifest
        talk.print(words(manifest), soft_wrap=True)
        talk.print(f"Look at {folder / 'report' / 'contact_sheet.png'}", soft_wrap=True)
        return json_text({"folder": str(folder.absolute()), **as_json(manifest)}) if self.json else ""

    def _checked(self, job: Job, folder: Path) -> str:
        """Check the job; return its forecast as text."""
        with bar() as show:
            takes = check(job, folder, show, resume=self.resume, replaces=self.replace)
        amounts = {"seconds": takes.seconds, "memory_bytes": takes.memory_bytes, "disk_bytes": takes.disk_bytes}
        return json_text({"folder": str(folder.absolute()), **amounts}) if self.json else f"It may take {takes}\n"

    def _folder(self, job: Job) -> Path:
        """Where the result goes: a version of its own, if it would write over another."""
        asked = self.out or named_after(job)
        if self.resume and (left := unfinished_version(asked, run_record.asked(job))):
            return left
        if self.replace or not holds_result(asked):
            return asked
        new = next_version(asked)
        talk.print(
            f"{asked} holds {held(asked)}; the new result goes to {new}. --replace writes over it.", soft_wrap=True
        )
        return new

    def _job(self) -> Job:
        if self.job is None and not self.clip:
            raise UsageError("No clip is named", hint="Write nvd decompose CLIP, or --job FILE.")
        settings = check_settings(plain(self.settings))
        masks = tuple(parse_mask(text) for text in self.mask)
        if self.job is None:
            return Job(clip=self.clip, masks=with_locked(masks, self.lock), settings=settings)
        job = read_job(self.job)
        masks = with_locked(masks or job.masks, self.lock)
        return replace(job, clip=self.clip or job.clip, masks=masks, settings=settings)
