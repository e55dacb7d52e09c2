"""Lock what *Install Engine* installs: ``python tools/lock_engine.py`` writes ``engine.lock`` and ``neural.lock``.

Run it again whenever the extras *engine* or *neural* of ``pyproject.toml`` change, or newer versions are wanted. uv
resolves for all systems at once, from the index that pip is configured with. A lock is a requirements file of pip's: of
every package one version, and the hashes of all wheels that Blender's Pythons can use of it. Its head says what that
comes to on each system.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parent.parent
LOCKS = {"engine": ["engine"], "neural": ["engine", "neural"]}
"""Files and the extras they are for."""

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
"""Of Blender 4.2 to 5.0, and of 5.1 on; between and after them, of those that Linux distributions build."""

_HEAD = """\
# What Install Engine installs: these files and no others. Made by tools/lock_engine.py; do not edit.
# for: {wanted}
"""


class Target(NamedTuple):
    """A system that Blender runs on.

    Attributes:
        platform: as ``sys.platform`` there.
        machine: as ``platform.machine()`` there, in small letters.
        os_name: as ``os.name`` there.
        platforms: of wheels, the best first.
    """

    platform: str
    machine: str
    os_name: str
    platforms: list[str]


TARGETS = (
    Target(
        "linux", "x86_64", "posix",
        [*(f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)), "manylinux2014_x86_64", "linux_x86_64"],
    ),
    Target("win32", "amd64", "nt", ["win_amd64"]),
    Target("darwin", "arm64", "posix", list(mac_platforms((26, 0), "arm64"))),
    Target("darwin", "x86_64", "posix", list(mac_platforms((15, 0), "x86_64"))),
)  # fmt: skip


class Wheel(NamedTuple):
    """A file that a target can use."""

    rank: int
    size: int
    sha256: str


def main() -> None:
    """Write both locks."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name, wanted in LOCKS.items():
        target = ROOT / "nvd_blender" / f"{name}.lock"
        target.write_text(_lock(_resolved(wanted), [one for extra in wanted for one in extras[extra]]))
        print(target)


def _resolved(extras: list[str]) -> list[dict[str, Any]]:
    """The packages that the extras come to on all systems, with all of their files."""
    index = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    ).stdout.strip()
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "pylock.toml"
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "compile",
            ROOT / "pyproject.toml",
            "-q",
            "--no-config",
            "-o",
            out,
        ]
        options = ["--format=pylock.toml", "--universal", "--python-version=3.11", "--only-binary=:all:"]
        options += [f"--extra={extra}" for extra in extras] + ["--default-index", index] * bool(index)
        subprocess.run([*command, *options], check=True)
        return tomllib.loads(out.read_text(encoding="utf-8"))["packages"]


def _lock(packages: list[dict[str, Any]], wanted: list[str]) -> str:
    """The text of a lock."""
    lines, heads = dict.fromkeys(range(len(packages)), ""), []
    hashes: dict[int, set[str]] = {number: set() for number in lines}
    for target in TARGETS:
        for python in PYTHONS:
            used = {number: _wheels(one, target, python) for number, one in enumerate(packages)
                    if _applies(one, target, python)}  # fmt: skip
            where = f"{target.platform} {target.machine} {python[0]}.{python[1]}"
            if lacking := [packages[number]["name"] for number, wheels in used.items() if not wheels]:
                heads.append(f"# {where}: no wheel of {', '.join(lacking)}\n")
                print(heads[-1], end="")
                continue
            for number, wheels in used.items():
                hashes[number] |= {wheel.sha256 for wheel in wheels}
            megabytes = sum(min(wheels).size for wheels in used.values()) / 1e6
            names = ", ".join(f"{packages[number]['name']} {packages[number]['version']}" for number in used)
            heads.append(f"# {where}: {megabytes:.0f} MB: {names}\n")
    for number, one in enumerate(packages):
        marker = f" ; {one['marker']}" if "marker" in one else ""
        lines[number] = f"{one['name']}=={one['version']}{marker}"
        lines[number] += "".join(f" \\\n    --hash=sha256:{value}" for value in sorted(hashes[number])) + "\n"
    used_lines = [lines[number] for number in lines if hashes[number]]
    return _HEAD.format(wanted=", ".join(sorted(wanted))) + "".join([*heads, *used_lines])


def _applies(package: dict[str, Any], target: Target, python: tuple[int, int]) -> bool:
    """Whether a system needs a package."""
    version = f"{python[0]}.{python[1]}"
    where = {
        "sys_platform": target.platform,
        "platform_system": {"linux": "Linux", "win32": "Windows", "darwin": "Darwin"}[target.platform],
        "platform_machine": "AMD64" if target.platform == "win32" else target.machine,
        "os_name": target.os_name,
        "python_version": version,
        "python_full_version": f"{version}.9",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return "marker" not in package or Marker(package["marker"]).evaluate(where)


def _wheels(package: dict[str, Any], target: Target, python: tuple[int, int]) -> list[Wheel]:
    """The wheels that a system can use."""
    interpreter = f"cp{python[0]}{python[1]}"
    tags: list[Tag] = [
        *cpython_tags(python, platforms=target.platforms),
        *compatible_tags(python, interpreter, target.platforms),
    ]
    ranks = {tag: rank for rank, tag in enumerate(tags)}
    found = []
    for wheel in package.get("wheels", ()):
        name = unquote(wheel["url"].rpartition("/")[2])
        usable = [ranks[tag] for tag in parse_wheel_filename(name)[3] if tag in ranks]
        if usable:
            found.append(Wheel(min(usable), wheel["size"], wheel["hashes"]["sha256"]))
    return found


if __name__ == "__main__":
    main()
