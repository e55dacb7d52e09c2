"""Standard streams, places and words that a program may be given: no traceback, the right exit code, no escape."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from support import command, job_of, traps, tree

from nvd_core.faces.demo_clip import DemoClip
from nvd_core.runtime.streams import NO_READER
from nvd_core.spec.errors import InputError, shown

posix = pytest.mark.skipif(sys.platform == "win32", reason="streams of POSIX")
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b2J\u202egnp.exe\r\b"
STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def shell(line: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """A line of bash in which "$@" is nvd with these arguments."""
    run = ["bash", "-c", f"set -o pipefail; {line}", "nvd", *command(*arguments)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=300, errors="replace", **options)
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


@pytest.fixture
def untouched(own_folder: Path) -> Iterator[Path]:
    """A result, of which nothing changes meanwhile."""
    before = tree(own_folder)
    yield own_folder
    assert tree(own_folder) == before


# -- streams ---------------------------------------------------------------------------------------------

LINES = {
    '"$@" | true': (NO_READER, ""),
    '"$@" >&-': (4, "nvd: Standard output cannot be written: bad file descriptor."),
    '"$@" >/dev/full': (4, "nvd: Standard output cannot be written: no space left on device."),
    '"$@" 2>&- >/dev/null': (0, ""),
    '"$@" 2>/dev/full >/dev/null': (0, ""),
    '"$@" 2> >(true) >/dev/null': (0, ""),
    '"$@" <&- >/dev/null': (0, ""),
    '"$@" <&- >&- 2>&-': (4, ""),
}


@posix
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("arguments", [["doctor", "--json"], ["score", "{}", "--json"], ["render", "--help"]], ids=str)
def test_streams_that_are_closed_full_or_without_a_reader(untouched: Path, arguments: list[str], line: str) -> None:
    code, says = LINES[line]
    done = shell(line, *(one.format(untouched) for one in arguments))
    assert done.returncode == code, done.stderr
    assert done.stderr.strip().endswith(says)


@posix
def test_a_closed_stream_is_not_taken_for_a_file_of_the_result(demo: DemoClip, tmp_path: Path) -> None:
    """What is opened next would get its number: what is said would be written into the artist's picture."""
    job = job_of(demo)
    masks = [f"--mask={mask.name}={mask.path}" for mask in job.masks]
    arguments = ["decompose", job.clip, *masks, "--preset=preview", "--frames=1-2", "-o", tmp_path / "out", "--json"]
    done = shell('"$@" <&- >&- 2>&-', *arguments)
    assert done.returncode == 4  # it is done, and cannot say so
    assert shell('"$@" >/dev/null', "score", tmp_path / "out").returncode == 0


@posix
def test_a_stream_that_would_not_wait_loses_nothing(untouched: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    run = command("decompose", "--help")
    with subprocess.Popen(run, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0
    assert b"--replace" in said


@posix
def test_a_worker_that_nobody_hears_stops_in_words(demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"clip": str(demo.frames)}))
    for line in ('"$@" >&-', '"$@" | true', '"$@" >/dev/full', '"$@" <&- >/dev/null', '"$@" <&- >&- 2>&-'):
        done = shell(line, "worker", tmp_path / "job.json", tmp_path / "out")
        assert done.returncode == 130, line
        assert not list((tmp_path / "out").glob("manifest.json"))


# -- places ----------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["doctor"], 0),
        (["doctor", "--json"], 0),
        (["--version"], 0),
        (["score", "{}"], 0),
        (["score", "relative"], 3),
        (["decompose", "relative.mp4"], 3),
        (["decompose", "--help"], 0),
        (["render", "{}", "-o", "relative"], 3),
        (["export", "relative", "--stmap"], 3),
        (["demo", "-o", "relative"], 3),
        (["worker", "job.json", "out"], 2),
    ],
    ids=str,
)
def test_a_current_directory_that_was_deleted(
    own_folder: Path, arguments: list[str], code: int, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    filled = [one.format(own_folder) for one in arguments]
    done = shell('cd gone && rmdir "$PWD" && "$@" </dev/zero', *filled, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert code in {0, 2} or len(done.stderr.strip().splitlines()) == 1


@posix
@pytest.mark.parametrize("environment", [{"HOME": "/nowhere/x"}, {"HOME": "/proc/1/mem"}, {"HOME": ""}], ids=str)
def test_a_home_that_cannot_be_read(untouched: Path, environment: dict[str, str]) -> None:
    assert shell('"$@"', "score", untouched, env=os.environ | environment).returncode == 0


@posix
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
def test_names_that_the_terminals_letters_lack(own_folder: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    folder = own_folder.rename(tmp_path / "日本 é")
    done = shell('"$@"', "render", folder, "-o", tmp_path / "ö.mp4", env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    done = shell('"$@"', "score", tmp_path / "ß", env=os.environ | environment)
    assert done.returncode == 3


# -- words -------------------------------------------------------------------------------------------------


def test_what_steers_a_terminal_is_shown_as_an_escape() -> None:
    assert shown(EVIL) == r"\x1b]0;owned\x07\x1b[31m\x9b2J\u202egnp.exe\r\x08"
    assert shown("日本 é ß\n 1\xa0GB 🙂") == "日本 é ß\n 1\xa0GB 🙂"
    assert shown("\udc9b\u2028\x00\x7f") == r"\udc9b\u2028\x00\x7f"
    assert str(InputError(EVIL, where=EVIL, hint=EVIL)).count(shown(EVIL)) == 3


def in_a_terminal(*arguments: object) -> tuple[int, str]:
    """What a command says in a terminal, where rich has its colours."""
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color"}
    with subprocess.Popen(command(*arguments), stdin=its, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        said = b""
        try:
            while part := os.read(ours, 65536):
                said += part
        except OSError:  # the end of a terminal
            pass
        os.close(ours)
    return process.returncode, said.decode(errors="replace")


def harmless(said: str) -> str:
    """What was said without rich's and tyro's own colours, bars and cursor, which say nothing of others."""
    return re.sub(r"\x1b\[(\?25[lh]|[\d;]*[mKAG]|2K)|\r", "", said)


@posix
@pytest.mark.parametrize(
    ("what", "is_terminal"),
    [
        *((what, False) for what in ("name", "mask", "atlas", "job", "version")),
        *((what, True) for what in ("warning", "folder", "flag")),
    ],
)
def test_no_escape_reaches_a_terminal(own_folder: Path, tmp_path: Path, what: str, is_terminal: bool) -> None:
    evil = EVIL.replace("\x9b", "")
    manifest = json.loads((own_folder / "manifest.json").read_text())
    arguments: list[object] = ["score", own_folder]
    match what:
        case "warning":
            manifest["warnings"] = [evil]
        case "name":
            manifest["layers"] = [evil]
        case "version":
            manifest["schema_version"] = evil
        case "folder":
            arguments = ["score", tmp_path / evil]
        case "flag":
            arguments = ["score", own_folder, f"--{evil}", evil]
        case "mask":
            shutil.copytree(manifest["source"]["path"], clip := tmp_path / evil)
            arguments = ["decompose", clip, f"--mask={evil}={tmp_path / evil}x", "-o", tmp_path / "out"]
        case "atlas":
            arguments = ["render", own_folder, f"--atlas={evil}={evil}", "-o", tmp_path / "out"]
        case "job":
            (tmp_path / f"{evil}.json").write_text(json.dumps({evil: evil}))
            arguments = ["decompose", "--job", tmp_path / f"{evil}.json"]
    (own_folder / "manifest.json").write_text(json.dumps(manifest))
    if is_terminal:
        _, said = in_a_terminal(*arguments)
        said = harmless(said)
    else:
        done = shell('"$@"', *arguments)
        said = done.stdout + done.stderr
    assert said
    assert not STEERING.search(said), repr(said)
    assert "owned" in said


def test_json_has_no_raw_controls(own_folder: Path) -> None:
    manifest = json.loads((own_folder / "manifest.json").read_text())
    manifest["warnings"] = [EVIL]
    (own_folder / "manifest.json").write_text(json.dumps(manifest))
    done = shell('"$@"', "score", own_folder, "--json")
    assert done.stdout.isascii()
    assert not STEERING.search(done.stdout)


# -- code that lies about ---------------------------------------------------------------------------------

LOADED_BEFORE = {
    "__future__", "collections", "contextlib", "functools", "importlib", "keyword", "operator", "reprlib", "types",
    "warnings",
}  # fmt: skip
"""What ``python -m`` itself imports before a program can say anything: see docs/security.md."""


COMMANDS = {
    "doctor": ["doctor"],
    "version": ["--version"],
    "score": ["score", "{}"],
    "export": ["export", "{}", "--stmap"],
    "render": ["render", "{}", "-o", "edited"],
    "decompose": ["decompose", "{clip}", "--preset=preview", "--frames=1-2", "--mask=sign={mask}", "-o", "out"],
    "worker": ["worker", "{job}", "out"],
}


@posix
@pytest.mark.parametrize(
    ("how", "name"), [*(("nvd", name) for name in COMMANDS), ("-m", "doctor"), ("-m", "decompose")]
)
def test_nothing_is_imported_from_where_it_stands(
    own_folder: Path, demo: DemoClip, tmp_path: Path, how: str, name: str
) -> None:
    here = traps(tmp_path / "here", LOADED_BEFORE if how == "-m" else frozenset())
    (tmp_path / "job.json").write_text(json.dumps({"clip": str(demo.frames), "settings": {"frames": "1-2"}}))
    places = {"clip": demo.frames, "mask": demo.masks["sign"], "job": tmp_path / "job.json"}
    started = {
        "nvd": [Path(sys.executable).with_name("nvd")],
        "-m": [sys.executable, "-m", "nvd_core"],
    }[how]
    run = [*started, *(one.format(own_folder, **places) for one in COMMANDS[name])]
    with subprocess.Popen(run, cwd=here, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        done.stdout.read()
        words = done.stderr.read().decode()
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()
    assert done.returncode == 0, words


@pytest.mark.skipif(find_spec("bpy") is None, reason="bpy is not installed")
def test_the_demos_blender_imports_nothing_from_where_it_stands(own_folder: Path, tmp_path: Path) -> None:
    here = traps(tmp_path / "here")
    program = (
        "import sys; from pathlib import Path; from nvd_core.faces.demo import _composite_in_blender as composite; "
        "composite(Path(sys.argv[1]), Path('edited'))"  # which is meant from here
    )
    run = [sys.executable, "-P", "-c", program, own_folder]
    done = subprocess.run(run, cwd=here, capture_output=True, text=True, check=False)
    assert not (tmp_path / "sprung").exists(), (tmp_path / "sprung").read_text()
    assert done.returncode == 0, done.stderr
    assert len(list((here / "edited").glob("*.png"))) == 8
