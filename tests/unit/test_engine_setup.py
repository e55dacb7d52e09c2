"""What of *Install Engine* needs no Blender: systems, pip's words, the doctor's words, the environment's record."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import extension_module

from nvd_core import __version__
from nvd_core.spec.errors import InputError, SetupError

platforms, pip_output, diagnosis, private_engine, lockfile = map(
    extension_module,
    ("host.platforms", "engine.pip_output", "engine.doctor_report", "engine.private", "engine.lockfile"),
)
ROOT = Path(__file__).parents[2]


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
    loading = ("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "LD_LIBRARY_PATH", "LD_AUDIT", "DYLD_INSERT_LIBRARIES")
    misleading = (*loading, "FORCE_COLOR", "TTY_COMPATIBLE")
    cleaned = platforms.environment_for_python({"HOME": "h"} | dict.fromkeys(misleading, "x"))
    assert cleaned == {"HOME": "h", "PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}


SYSTEMS = [("linux", "x86_64"), ("win32", "AMD64"), ("darwin", "arm64"), ("darwin", "x86_64")]


@pytest.mark.parametrize("system", SYSTEMS, ids=" ".join)
@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13)], ids=str)
def test_what_is_fetched_is_known_for_every_system(system: tuple[str, str], python: tuple[int, int]) -> None:
    where = {"system": system[0], "machine": system[1], "python": python}
    lock = lockfile.locked(neural=False, **where)
    assert 50 < lock.megabytes < 250
    assert {one.partition(" ")[0] for one in lock.packages} >= {"numpy", "av", "opencv-python-headless", "pydantic"}
    if system != ("darwin", "x86_64"):  # there torch is no longer made
        assert lockfile.locked(neural=True, **where).megabytes > lock.megabytes + 100
    else:
        with pytest.raises(SetupError, match=r"no engine with torch .* torch cannot be had .* Use an existing Python"):
            lockfile.locked(neural=True, **where)


def test_a_system_that_nothing_is_locked_for_is_told() -> None:
    with pytest.raises(SetupError, match=r"no engine to install for sunos sparc 3\.11"):
        lockfile.locked(neural=False, system="sunos", machine="sparc", python=(3, 11))


@pytest.mark.parametrize("system", SYSTEMS, ids=" ".join)
def test_what_is_not_made_for_a_python_is_named(system: tuple[str, str]) -> None:
    """Whether it is locked or not: some Linux builds Blender with a Python of its own choice."""
    where = {"system": system[0], "machine": system[1], "python": (3, 14)}
    with pytest.raises(SetupError, match=r"no engine to install .* 3\.14, as pymaxflow cannot be had for it"):
        lockfile.locked(neural=False, **where)


@pytest.mark.parametrize(("name", "extras"), [("engine", ["engine"]), ("neural", ["engine", "neural"])])
def test_the_lock_is_for_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    """Run tools/lock_engine.py when this fails."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = sorted(one for extra in extras for one in project["optional-dependencies"][extra])
    text = (ROOT / "nvd_blender" / f"{name}.lock").read_text(encoding="utf-8")
    assert f"# for: {', '.join(wanted)}\n" in text
    pinned = [line for line in text.splitlines() if "==" in line and not line.startswith((" ", "#"))]
    versions = {(canonicalize_name(one.name), str(one.specifier)[2:]) for one in map(Requirement, map(_bare, pinned))}
    for asked in map(Requirement, wanted):
        found = [version for package, version in versions if package == canonicalize_name(asked.name)]
        assert found, asked
        assert all(asked.specifier.contains(version) for version in found), asked
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert re.fullmatch(r"(?:\S+==[^\n\\]+(?: ?\\\n    --hash=sha256:[0-9a-f]{64})+\n)+", body)


def _bare(line: str) -> str:
    return line.removesuffix("\\").strip()


def test_nothing_in_a_lock_says_where_from() -> None:
    for path in (ROOT / "nvd_blender").glob("*.lock"):
        assert "://" not in path.read_text(encoding="utf-8")


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
    progress, told = pip_output.Progress(expected_mb=80), []
    for line in SAID.splitlines():
        progress = progress.follow(line)
        told.append((progress.doing, round(100 * progress.share)))
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
    assert pip_output.Progress("a", 1).follow(RETRYING.format(2)).doing == "No connection, trying again"


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
        private_engine.engine_command(Path(sys.executable), "doctor", "--json"),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path.cwd(),
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
    assert stages(steps_of(finished, wheels)) == ["Installing packages", "Checking"]
    finished.open()
    assert finished.contents() is None
    first, *_ = steps_of(finished, wheels)
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


def steps_of(finished, wheels: Path, **options):
    return finished.install_steps(wheels, Path(sys.executable), wheels / "some.lock", **{"offline": None} | options)


def test_what_is_installed_is_what_the_lock_says_and_no_setting_of_pips_counts(
    finished, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "TARGET", "PREFIX", "USER", "CONFIG_FILE"):
        monkeypatch.setenv(f"PIP_{name}", "/elsewhere")
    install, _ = steps_of(finished, wheels)
    assert {"-I", "--isolated", "--require-hashes", "--no-deps", ":all:"} <= set(install.command)
    assert install.command[-2:] == ["-r", wheels / "some.lock"]
    assert "/elsewhere" not in install.environment.values()
    assert install.environment["PIP_CONFIG_FILE"] == os.devnull
    offline, _ = steps_of(finished, wheels, offline=wheels, own_settings=True)
    assert {"--no-index", "--isolated", "--require-hashes"} <= set(offline.command)
    assert "/elsewhere" not in offline.environment.values()


def test_pips_own_settings_count_where_the_user_asks_but_not_where_packages_go(
    finished, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("INDEX_URL", "TARGET", "PREFIX", "ROOT", "USER", "PYTHON", "REQUIREMENT"):
        monkeypatch.setenv(f"PIP_{name}", "/elsewhere")
    install, _ = steps_of(finished, wheels, own_settings=True)
    assert "--isolated" not in install.command
    assert "--require-hashes" in install.command
    assert [name for name, value in install.environment.items() if value == "/elsewhere"] == ["PIP_INDEX_URL"]


def wheel_of(folder: Path, name: str, content: str) -> Path:
    """A wheel of one module."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": content,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{one},,\n" for one in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for one, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(one), text)
    return path


@pytest.mark.parametrize(("honest", "own_settings"), [(True, False), (False, False), (True, True)])
def test_pip_installs_what_is_locked_and_refuses_what_is_not(
    tmp_path: Path, wheels: Path, honest: bool, own_settings: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a real environment, with settings that would lead pip elsewhere in every file that it looks into."""
    good = wheel_of(tmp_path / "good", "locked_thing", "good = True\n")
    evil = wheel_of(tmp_path / "evil", "locked_thing", "good = False\n")
    (wheels / "some.lock").write_text(
        f"locked-thing==1.0 \\\n    --hash=sha256:{hashlib.sha256(good.read_bytes()).hexdigest()}\n"
    )
    away = tmp_path / "away"
    hostile = f"[global]\npython = {sys.executable}\n[install]\nno-deps = false\n"
    if own_settings:
        hostile += f"no-index = true\nfind-links = {good.parent}\n"
        for name in ("target", "prefix", "root"):
            hostile += f"{name} = {away / name}\n"
    else:
        hostile += f"target = {away}\n"
    for place in ("home/.config/pip", "home/.pip", "system/pip"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "pip.conf").write_text(hostile)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "system"))
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    if not own_settings:
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "home/.pip/pip.conf"))
        monkeypatch.setenv("PIP_FIND_LINKS", str(evil.parent))
    monkeypatch.setenv("PIP_TARGET", str(away))
    engine = private_engine.PrivateEngine(tmp_path / "made")
    make, install, _ = engine.install_steps(
        wheels,
        Path(sys.executable),
        wheels / "some.lock",
        offline=None if own_settings else (good if honest else evil).parent,
        own_settings=own_settings,
    )
    subprocess.run(make.command, env=make.environment, check=True, capture_output=True)
    done = subprocess.run(
        install.command, env=install.environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    asked = subprocess.run(
        [engine.python, "-I", "-c", "import locked_thing; print(locked_thing.good)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not away.exists()
    if honest:
        assert asked.stdout.strip() == "True", done.stderr
    else:
        assert asked.returncode
        said = (done.stdout + done.stderr).splitlines()
        assert "is not what was locked: locked-thing==1.0" in pip_output.failing_line(said), said


def test_refusals_have_words(finished, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(wheels: Path, offline: Path | None = None) -> None:
        steps_of(finished, wheels, offline=offline)

    with pytest.raises(SetupError, match="does not carry its engine"):
        steps(tmp_path)
    with pytest.raises(InputError, match="no wheels in the offline folder"):
        steps(wheels, tmp_path)
    finished.open()
    monkeypatch.setattr(private_engine, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(SetupError, match="lacks venv or ensurepip"):
        steps(wheels)
