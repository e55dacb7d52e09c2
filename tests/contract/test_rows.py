"""A new flow source, mask source, finder, propagator, solver, start or exporter is a row of its table, and no more."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import job_of
from support import solve as solve_job

from nvd_core.__main__ import main
from nvd_core.export.exporters import run_exporter
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.lattice.solve import solve
from nvd_core.masks.files import MaskFiles, open_files
from nvd_core.result.decomposition import Decomposition
from nvd_core.roto.discover import Found
from nvd_core.spec.choices import AtPath, Choice, Cost, Text, listed
from nvd_core.spec.choices.amounts import FrameRange, MemoryBudget
from nvd_core.spec.choices.finders import FINDERS, Finder, Mask2Former, MaskRcnn, Moving, Nothing
from nvd_core.spec.choices.flow_sources import FLOW_SOURCES, Dis, FlowFiles, FlowSource, Raft
from nvd_core.spec.choices.mask_origins import MASK_ORIGINS, Box, Clicks, ClipAlpha, MaskOrigin, MaskPath
from nvd_core.spec.choices.propagators import PROPAGATORS, Motion, Propagator, Sam2
from nvd_core.spec.choices.solvers import SOLVERS, STARTS, FromLattice, FromNothing, Lattice, Neural, Solver, Start
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError, NvdError, UsageError
from nvd_core.spec.exporters import EXPORTERS, Exporter, exported
from nvd_core.spec.forecast import Needs
from nvd_core.spec.manifest import Manifest, read_manifest
from nvd_core.spec.run_record import asked
from nvd_core.spec.settings import Job, MaskSource, Settings

ran: list[str] = []
"""Names of the rows that ran, in order."""


@dataclass(frozen=True)
class Still(AtPath, FlowSource):
    name = "still"
    form = "still:PATH"
    about = "nothing moves"
    cost = Cost(cpu_s={"prepare": {"job": 100.0}}, loaded_bytes=5e9)

    def open(self, info: Any, *_: object) -> Any:
        ran.append(str(self))
        size = info.size
        zero = np.zeros((size.height, size.width, 2), np.float32)
        place = Path(self.path)
        return SimpleNamespace(path=place, files=(place,), distances=(1,), pair=lambda *_: (zero, zero))


@dataclass(frozen=True)
class Middle(Finder):
    name = "middle"
    about = "what is in the middle"
    cost = Cost(cpu_s={"find": {"job": 100.0}})

    def open(self, *_: object) -> Callable[..., tuple[Found, ...]]:
        def find(camera: Any, progress: Any) -> tuple[Found, ...]:
            ran.append(self.name)
            mask = np.zeros(camera.frames[0].shape[:2], bool)
            mask[mask.shape[0] // 4 : -mask.shape[0] // 4, mask.shape[1] // 4 : -mask.shape[1] // 4] = True
            return (Found(0, mask, 1.0),)

        return find


@dataclass(frozen=True)
class Fixed(Propagator):
    name = "fixed"
    about = "stays where it is"
    cost = Cost(cpu_s={"carry": {"job": 100.0}})

    def open(self, *_: object) -> Callable[[str], Any]:
        def follow(camera: Any, keys: Any, start: int, step: int) -> Iterator[Any]:
            ran.append(self.name)
            while True:
                yield keys[start]

        return lambda _: follow


@dataclass(frozen=True)
class Grid(Solver):
    name = "grid"
    about = "as the lattice does"
    cost = Cost(cpu_s={"solve": {"frame": 100.0}}, peak_bytes={"solve": {"job": 5e9}})

    def open(self) -> Any:
        ran.append(self.name)
        return solve


@dataclass(frozen=True)
class Unmoved(Start):
    name = "unmoved"
    about = "the lattice's maps as they are"
    cost = Cost(cpu_s={"solve": {"job": 100.0}})

    def open(self) -> Callable[..., Any]:
        ran.append(self.name)
        return lambda shot, settings, checkpoints, _device, progress: solve(shot, settings, checkpoints, progress)


@dataclass(frozen=True)
class Beside(MaskOrigin):
    name = "beside"
    about = "masks that lie beside the clip"
    cost = Cost(cpu_s={"prepare": {"job": 100.0}}, peak_bytes={"prepare": {"job": 5e9}})

    def open(self, first: int | None, clip: Any, numbers: range) -> MaskFiles:
        ran.append(self.name)
        return open_files(str(clip.path.parent / "masks" / "sign"), first, clip, numbers)


def names_of(folder: Path, _: Manifest) -> list[Path]:
    return [folder / "names" / "names.txt"]


def write_names(decomposition: Decomposition) -> Iterator[Path]:
    (path,) = names_of(decomposition.folder, decomposition.manifest)
    path.parent.mkdir()
    path.write_text("\n".join(decomposition.manifest.names))
    yield path


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more row in each table."""
    tables = (FLOW_SOURCES, FINDERS, PROPAGATORS, SOLVERS, STARTS, MASK_ORIGINS)
    for table, row in zip(tables, (Still, Middle, Fixed, Grid, Unmoved, Beside), strict=True):
        monkeypatch.setitem(table, row.name, row)
    exporter = Exporter("The layers' names.", "lists", names_of, f"{__name__}:write_names")
    monkeypatch.setitem(EXPORTERS, "names", exporter)
    ran.clear()


def nvd(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command in this process."""
    monkeypatch.setattr(sys, "argv", ["nvd", *map(str, arguments)])
    try:
        return main()
    except SystemExit as end:
        return end.code


CHOSEN = {"flow": "still:here", "find": "middle", "carry": "fixed", "solver": "grid"}


def test_new_rows_run_from_the_command_line(
    rows: None, demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()
    flags = [f"--{name}={text}" for name, text in CHOSEN.items()]
    assert nvd(monkeypatch, "decompose", demo.frames, *flags, "--preset=preview", "--frames=1-3", "-o", "out") == 0
    assert ran == ["grid", "still:here", "middle", "fixed"]
    settings = read_manifest(tmp_path / "out").settings
    assert {name: settings[name] for name in CHOSEN} == CHOSEN | {"flow": f"still:{tmp_path / 'here'}"}
    assert nvd(monkeypatch, "export", "out", "--names", "--stmap") == 0
    assert (tmp_path / "out" / "names" / "names.txt").read_text() == "object\nbackground"
    assert "1 lists in" in capfd.readouterr().err
    for command, said in (("decompose", "grid"), ("export", "The layers' names.")):
        assert nvd(monkeypatch, command, "--help") == 0
        assert said in capfd.readouterr().out


def test_a_new_start_and_a_new_mask_source_run_from_the_command_line(
    rows: None, demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the neural solver needs torch")
    flags = ["--mask=sign=beside", "--solver=neural", "--start=unmoved", "--preset=preview", "--frames=1-3"]
    assert nvd(monkeypatch, "decompose", demo.frames, *flags, "-o", tmp_path / "out") == 0
    assert {*ran} == {"beside", "unmoved"}
    manifest = read_manifest(tmp_path / "out")
    assert (manifest.names, manifest.settings["start"]) == (("sign", "background"), "unmoved")


def test_the_folder_of_a_new_exporter_is_the_decompositions_own(rows: None, own_folder: Path, demo: DemoClip) -> None:
    made = Decomposition.open(own_folder)
    written = {path for name in EXPORTERS for path in run_exporter(made, name)}
    assert written == {*exported(own_folder, made.manifest)}
    assert all(path.relative_to(own_folder).parts[0] in EXPORTERS for path in written)
    solve_job(job_of(demo, frames="1-3"), own_folder, replaces=True)
    assert not any(path.exists() for path in written), "those of the former result"
    (own_folder / "names" / "names.txt").symlink_to(demo.frames)
    with pytest.raises(InputError, match="is a link"):
        Decomposition.open(own_folder)


@pytest.mark.parametrize(
    ("row", "flag"), [(Middle, "--find=middle"), (Still, "--flow=still:here"), (Beside, "--mask=sign=beside")]
)
def test_new_rows_are_checked_before_the_job(
    row: type[Choice],
    flag: str,
    rows: None,
    demo: DemoClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def check(self: Choice, job: object) -> None:
        raise UsageError("It is too dark to find anything", hint="Light the set.")

    monkeypatch.setattr(row, "check", check)
    assert nvd(monkeypatch, "decompose", demo.frames, flag, "-o", tmp_path / "out") == 2
    assert "too dark" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_new_rows_cost_what_they_say(rows: None) -> None:
    def needs(*masks: MaskSource, **chosen: str) -> Needs:
        return Needs.of(Size(320, 180), 4, masks, Settings.of(**chosen))

    files, beside = (needs(MaskSource.of(name="sign", path=path)) for path in ("masks", "beside"))
    assert beside.forecast(1).seconds > files.forecast(1).seconds + 90
    assert beside.memory_bytes(1) >= 5e9 > files.memory_bytes(1)

    assert needs(solver="neural", start="unmoved").forecast(1).seconds > needs().forecast(1).seconds + 50
    for name, seconds in (("flow", 90), ("find", 90), ("carry", 90), ("solver", 300)):
        more = needs(**{name: CHOSEN[name]})
        assert more.forecast(1).seconds > needs().forecast(1).seconds + seconds, name
    assert needs(flow="still:x").memory_bytes(1) >= 5e9
    assert needs(solver="grid").memory_bytes(1) >= 5e9
    assert [stage for stage, _ in needs(solver="grid").steps(1)][-4:] == ["solve", "frames", "measure", "report"]


def test_help_has_every_origin_of_masks(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert nvd(monkeypatch, "decompose", "--help") == 0
    said = "".join(re.split(r"[\s│]+", capfd.readouterr().out))
    for row in (MaskPath, *MASK_ORIGINS.values()):
        assert row.about
        assert listed([row]).replace(" ", "") in said


FORMS = [
    (Solver, "lattice", Lattice()), (Solver, "neural", Neural()),
    (Start, "lattice", FromLattice()), (Start, "none", FromNothing()),
    (Finder, "moving", Moving()), (Finder, "nothing", Nothing()),
    (Finder, "mask2former:models/a:b", Mask2Former("models/a:b")), (Finder, "maskrcnn:m.pth", MaskRcnn("m.pth")),
    (Propagator, "motion", Motion()), (Propagator, "sam2:models/sam2", Sam2("models/sam2")),
    (Propagator, "sam2", Sam2("")),
    (FlowSource, "dis", Dis()), (FlowSource, "raft:w.pth", Raft("w.pth")),
    (FlowSource, "flow/f.####.exr", FlowFiles("flow/f.####.exr")), (FlowSource, r"C:\flow", FlowFiles(r"C:\flow")),
    (MaskOrigin, "alpha", ClipAlpha()), (MaskOrigin, "./alpha", MaskPath("./alpha")),
    (MaskOrigin, "masks/car", MaskPath("masks/car")), (MaskOrigin, "box", MaskPath("box")),
    (MaskOrigin, "box:1,2,30.5,40", Box(1, 2, 30.5, 40)), (MaskOrigin, "box: 1,2.0,3,4", Box(1, 2, 3, 4)),
    (MaskOrigin, "clicks:1,2;3,4;out:5,6", Clicks(((1, 2), (3, 4)), ((5, 6),))),
    (FrameRange, "", FrameRange()), (FrameRange, "12", FrameRange(12, 12)), (FrameRange, "12-12", FrameRange(12, 12)),
    (FrameRange, "1001-1050", FrameRange(1001, 1050)), (MemoryBudget, "", MemoryBudget()),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value"), FORMS, ids=[f"{kind.__name__} {text}" for kind, text, _ in FORMS])
def test_a_text_form_is_parsed_and_written_as_it_was(kind: type[Text], text: str, value: Text) -> None:
    assert kind.parse(text) == value
    assert str(kind.parse(text)) == text
    assert kind.parse(str(value)) == value  # which no text was parsed for


def test_a_job_that_an_earlier_program_was_killed_at_is_known_again() -> None:
    """The digest is of the texts as they were written; 0.1.0 made this one."""
    paths = {"alpha": None, "box: 1,2.0,3,4": 3, "clicks:1,2;out:3,4": 4, "/masks/d": None}
    masks = tuple(
        MaskSource.of(name=name, path=path, frame=frame)
        for name, (path, frame) in zip("abcd", paths.items(), strict=True)
    )
    settings = Settings.of(
        flow="raft:/w.pth", carry="sam2:/m", find="nothing", memory="4G", frames="12-12", solver="neural"
    )
    digest = "0489d06fbc5d4f5dec6ec748ff195973fba24e7d89d3d8de8ba790237635d537"
    assert asked(Job(clip="/clip.mov", masks=masks, settings=settings)) == digest


@pytest.mark.parametrize("text", ["4G", "800M", "1.5 gb", "2T", "0.123456789T"])
def test_an_amount_of_memory_is_the_same_when_it_is_written_and_parsed_again(text: str) -> None:
    assert MemoryBudget.parse(str(MemoryBudget.parse(text))) == MemoryBudget.parse(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Finder, "people:x"), (Finder, "moving:x"), (Propagator, "sam3:x"), (MaskOrigin, ""),
        (Solver, "magic"), (Solver, "lattice:x"), (Start, "x"), (FlowSource, ""), (MaskOrigin, "box:1,2,3"),
        (MaskOrigin, "clicks:out:1,2"), (FrameRange, "all"), (MemoryBudget, "4X"),
    ],
)  # fmt: skip
def test_what_has_no_such_form_is_refused(kind: type[Text], text: str) -> None:
    assert not kind.reads(text)
    with pytest.raises(NvdError):
        kind.parse(text)
