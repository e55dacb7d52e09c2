"""What of *Install Engine* needs no Blender: systems, pip's words, the doctor's words, the environment's record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import extension

from nvd_core import __version__
from nvd_core.errors import InputError, SetupError

platforms, pip_output, diagnosis, private_engine = map(
    extension, ("platforms", "pip_output", "diagnosis", "private_engine")
)


# -- systems -----------------------------------------------------------------------------------------


def test_an_environments_python() -> None:
    for system, inside in (("linux", "bin/python"), ("darwin", "bin/python"), ("win32", "Scripts/python.exe")):
        assert platforms.python_in(Path("e"), system) == Path("e", inside)


def test_on_windows_the_environment_lies_where_paths_are_short_and_do_not_roam() -> None:
    home, local = Path("home"), {"LOCALAPPDATA": r"C:\Users\somebody.with-a-name\AppData\Local"}
    assert platforms.engine_folder(home, "5.2", "linux", local) == home / "engine"
    assert platforms.engine_folder(home, "5.2", "win32", {}) == home / "engine"
    found = platforms.engine_folder(home, "5.2", "win32", local)
    assert found == Path(local["LOCALAPPDATA"], "nvd", "5.2")
    assert len(str(found / "Lib" / "site-packages")) + 1 + 171 < 260  # the longest path in torch


def test_a_process_gets_a_group_of_its_own_on_every_system() -> None:
    assert platforms.own_group("linux") == platforms.own_group("darwin") == {"process_group": 0}
    flags = platforms.own_group("win32")["creationflags"]
    assert flags & 0x200
    assert flags & 0x08000000


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
def test_ending_a_group_ends_what_it_has_started() -> None:
    program = "import subprocess, sys; c = subprocess.Popen(['sleep', '600']); print(c.pid, flush=True); c.wait()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, **platforms.own_group()
    ) as process:
        process.stdout.readline()
        platforms.end_group(process)
        assert process.stdout.read() == ""  # ends when nobody holds the other end any more
        assert process.wait() == -9
    platforms.end_group(process)  # once more is no harm


def test_blenders_own_variables_do_not_reach_another_python() -> None:
    cleaned = platforms.environment_for_python({"PYTHONHOME": "x", "LD_LIBRARY_PATH": "x", "HOME": "h"})
    assert cleaned == {"HOME": "h", "PYTHONUTF8": "1"}


def test_torch_is_told_to_be_large() -> None:
    engine = platforms.download_mb(neural=False)
    assert all(platforms.download_mb(neural=True, system=system) > engine for system in ("linux", "win32", "darwin"))


# -- pip ---------------------------------------------------------------------------------------------

SAID = """\
Looking in indexes: https://example.org/simple
Processing c:\\some where\\nvd_blender-0.1.0-py3-none-any.whl
Collecting numpy>=2 (from nvd-blender==0.1.0)
  Downloading numpy-2.4.6-cp311-cp311-win_amd64.whl.metadata (6.6 kB)
Processing /wheels/pydantic_core-2.50.4-cp311-cp311-manylinux2014_x86_64.whl (from pydantic>=2.11->nvd-blender==0.1.0)
Using cached numpy-2.4.6-cp311-cp311-win_amd64.whl (16.9 MB)
Downloading opencv_python_headless-5.0.0.93-cp37-abi3-win_amd64.whl (60.0 MB)
Installing collected packages: numpy, opencv-python-headless, nvd-blender
Successfully installed numpy-2.4.6
"""


def test_what_pip_does_in_words() -> None:
    progress, told = pip_output.Progress(), []
    for line in SAID.splitlines():
        progress = pip_output.follow(line, progress)
        told.append((progress.doing, round(100 * progress.share(80))))
    assert told == [
        ("", 0),
        ("Fetching nvd-blender", 0),
        ("Looking for numpy", 0),
        ("Fetching numpy", 0),
        ("Fetching pydantic-core", 0),
        ("Fetching numpy (17 MB)", 0),
        ("Fetching opencv-python-headless (60 MB)", 19),
        ("Unpacking 3 packages", 90),
        ("Unpacking 3 packages", 90),
    ]


RETRYING = (
    "WARNING: Retrying (Retry(total={}, connect=None, read=None, redirect=None, status=None)) after connection broken "
    "by 'NewConnectionError('<pip._vendor.HTTPConnection object at 0x7f>: Cannot connect: [Errno 111] Refused')': /av/"
)


def test_a_connection_that_is_tried_again_is_told() -> None:
    assert pip_output.follow(RETRYING.format(2), pip_output.Progress("a", 1)).doing == "No connection, trying again"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (["ERROR: first", "ERROR: No matching distribution found for av>=16", "", "[notice] new pip"], "No matching"),
        (["Error: [Errno 13] Permission denied: '/x'", ""], "[Errno 13] Permission denied: '/x'"),
        (["something", "  at last  ", "\n"], "at last"),
        ([RETRYING.format(0), "ERROR: No match"], "cannot be reached: Cannot connect: [Errno 111] Refused"),
        ([RETRYING.format(3), "ERROR: No space left on device"], "No space left on device"),
        ([], "it said nothing"),
    ],
)
def test_the_failing_line(said: list[str], line: str) -> None:
    assert line in pip_output.failing_line(said)


# -- doctor ------------------------------------------------------------------------------------------


def findings(version: str = __version__, **states: str) -> list[str]:
    found = [{"what": "nvd-blender", "state": "ok", "detail": version}]
    found += [{"what": name, "state": state, "detail": ""} for name, state in states.items()]
    return json.dumps(found, indent=1).splitlines(keepends=True)


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (4, findings(numpy="missing", av="missing", torch="optional"), "Missing there: numpy, av."),
        (0, findings("0.0.1"), f"version 0.0.1, the extension {__version__}"),
        (1, ["/usr/bin/python3: No module named nvd_core\n"], "not installed there"),
        (1, ["/x: Error while finding module specification (No module named 'nvd_core')"], "not installed there"),
        (127, ["what is that?\n"], "(code 127): what is that?"),
        (0, ["/x.py:3: UserWarning: old\n", *findings(av="missing")], "Missing there: av."),
        (0, ["[1]"], "does not answer"),
        (0, [], "it said nothing"),
    ],
)  # fmt: skip
def test_what_is_missing_in_words(code: int, said: list[str], words: str) -> None:
    assert words in diagnosis.fault(code, said)


def test_nothing_is_missing_here() -> None:
    done = subprocess.run(
        private_engine.doctor(Path(sys.executable)), capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    assert diagnosis.fault(done.returncode, done.stdout.splitlines(keepends=True)) == ""


# -- the environment -----------------------------------------------------------------------------------


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / f"nvd_blender-{__version__}-py3-none-any.whl").touch()
    return folder


@pytest.fixture
def finished(tmp_path: Path):
    """A finished environment, as far as can be told without starting it."""
    engine = private_engine.PrivateEngine(tmp_path / "engine")
    engine.python.parent.mkdir(parents=True)
    engine.python.touch()
    engine.close(private_engine.Contents(version=__version__, base=sys.executable, neural=False))
    return engine


def stages(steps) -> list[str]:
    return [step.stage for step in steps]


def test_an_environment_without_a_record_is_made_anew(finished, wheels: Path) -> None:
    options = {"neural": False, "offline": None}
    assert stages(finished.install_steps(wheels, Path(sys.executable), **options)) == [
        "Installing packages",
        "Checking",
    ]
    finished.open()
    assert finished.contents() is None
    first, *_ = finished.install_steps(wheels, Path(sys.executable), **options)
    assert first.stage == "Making the environment"
    assert "--clear" in first.command


def test_an_environment_whose_base_is_gone_does_not_count(finished, tmp_path: Path) -> None:
    assert finished.contents().version == __version__
    assert not finished.contents().outdated
    finished.close(private_engine.Contents(version="0.0.1", base=str(tmp_path / "blender-4.1"), neural=True))
    assert finished.contents() is None


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{", '{"version": "0.1.0", "base": null, "neural": false}', '{"version": "0.1.0"}', '{"a": 1}', "\x00"],
)
def test_a_broken_record_is_none(finished, record: str) -> None:
    (finished.folder / private_engine._RECORD).write_text(record)
    assert finished.contents() is None


def test_the_wheel_of_this_version_is_installed_with_its_extras(finished, wheels: Path) -> None:
    for neural, extras in ((False, "[engine]"), (True, "[engine,neural]")):
        install, _ = finished.install_steps(wheels, Path(sys.executable), neural=neural, offline=None)
        assert install.command[-1] == f"{wheels / f'nvd_blender-{__version__}-py3-none-any.whl'}{extras}"
        assert "--no-index" not in install.command


def test_offline_nothing_else_is_a_source(finished, wheels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/elsewhere")
    online, _ = finished.install_steps(wheels, Path(sys.executable), neural=False, offline=None)
    offline, _ = finished.install_steps(wheels, Path(sys.executable), neural=False, offline=wheels)
    assert online.environment["PIP_FIND_LINKS"] == "/elsewhere"
    assert "PIP_FIND_LINKS" not in offline.environment
    assert offline.environment["PIP_CONFIG_FILE"] == os.devnull
    assert "--no-index" in offline.command


def test_refusals_have_words(finished, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(wheels: Path, offline: Path | None = None) -> None:
        finished.install_steps(wheels, Path(sys.executable), neural=False, offline=offline)

    with pytest.raises(SetupError, match="does not carry its engine"):
        steps(tmp_path)
    with pytest.raises(InputError, match="no wheels in the offline folder"):
        steps(wheels, tmp_path)
    finished.open()
    monkeypatch.setattr(private_engine, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(SetupError, match="lacks venv or ensurepip"):
        steps(wheels)
