"""The private environment of *Install Engine*: its contents, and the steps that make and delete it.

Independent of Blender. A record in the environment is written last and deleted first, so an environment without one
is incomplete: it is never used, and the next installation makes it anew. (pip finds earlier downloads in its cache.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from nvd_core import __version__
from nvd_core.spec.errors import InputError, SetupError

from ..host import platforms
from . import doctor_report
from .pip_output import failing_line

_RECORD: Final = "nvd_engine.json"
_SAID_BY: Final = "nvd: "
_DELETE: Final = "import pathlib, shutil, sys; pathlib.Path(sys.argv[1]).exists() and shutil.rmtree(sys.argv[1])"


def _last_words(code: int, lines: Iterable[str]) -> str:
    return "" if code == 0 else failing_line(lines)


@dataclass(frozen=True)
class Step:
    """Program to run.

    Attributes:
        stage: shown to the user.
        command: program and arguments.
        environment: environment variables.
        fault: computes a message from exit code and output; empty on success.
        heeds_input: whether the program stops by itself, leaving nothing half-written, when its input ends.
    """

    stage: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=platforms.environment_for_python)
    fault: Callable[[int, Collection[str]], str] = _last_words
    heeds_input: bool = False


@dataclass(frozen=True)
class Contents:
    """Contents of a finished environment.

    Attributes:
        version: of nvd_core.
        base: path of the Python that it was made with and depends on.
        neural: whether torch is installed.
    """

    version: str
    base: str
    neural: bool

    @property
    def outdated(self) -> bool:
        """Whether it belongs to another version of the extension."""
        return self.version != __version__


@dataclass(frozen=True)
class PrivateEngine:
    """Private environment in a folder."""

    folder: Path

    @property
    def python(self) -> Path:
        """Path of its Python."""
        return platforms.python_in(self.folder)

    def contents(self) -> Contents | None:
        """Read its record; None if the environment is missing or incomplete, or its base Python is gone."""
        try:
            contents = Contents(**json.loads((self.folder / _RECORD).read_text(encoding="utf-8")))
            return contents if self.python.is_file() and Path(contents.base).is_file() else None
        except (OSError, ValueError, TypeError):
            return None

    def open(self) -> None:
        """Delete the record before the environment is changed."""
        (self.folder / _RECORD).unlink(missing_ok=True)

    def close(self, contents: Contents) -> None:
        """Write the record once the environment is complete."""
        draft = self.folder / f"{_RECORD}.part"  # no fsync: it would flush half a gigabyte first and block Blender
        draft.write_text(json.dumps(asdict(contents)), encoding="utf-8")
        draft.replace(self.folder / _RECORD)

    def install_steps(
        self, wheels: Path, base: Path, lock: Path, *, offline: Path | None, own_settings: bool = False
    ) -> list[Step]:
        """Steps that install the engine, or update a finished one.

        Whatever the source, only files with hashes in the lock are installed.

        Args:
            wheels: folder of the wheels in the extension.
            base: Python to make the environment with.
            lock: lock file.
            offline: folder of wheels as the only source; None for a package index.
            own_settings: use index, proxy and so on of this machine's pip settings; else pip's defaults.

        Raises:
            NvdError: the wheels are missing, or the environment cannot be made.
        """
        wheel = wheels / f"nvd_blender-{__version__}-py3-none-any.whl"
        if not wheel.is_file():
            hint = "Install the zip that tools/build_extension.py makes, or choose an existing Python."
            raise SetupError("The extension does not carry its engine", where=wheel, hint=hint)
        if offline is not None and not any(offline.glob("*.whl")):
            raise InputError("There are no wheels in the offline folder", where=offline, hint="Choose another one.")
        steps = [] if self.contents() else [self._environment_step(base)]
        source = ["--no-index", "--find-links", offline] if offline else []
        isolated = [] if own_settings and not offline else ["--isolated"]
        return [
            *steps,
            Step(
                "Installing packages",
                [
                    self.python, "-I", "-m", "pip", *isolated, "--python=", "install", *self._here,
                    "--no-input", "--progress-bar", "off",
                    "--only-binary", ":all:",  # nothing is ever compiled here
                    "--require-hashes", "--no-deps", "--find-links", wheels, *source, "-r", lock,
                ],
                self._pips_environment(isolated=bool(isolated)),
            ),
            checking_step(self.python),
        ]  # fmt: skip

    def removal_step(self, base: Path) -> Step:
        """Step that deletes the environment; in a process of its own, as there are some ten thousand files."""
        return Step("Removing the engine", [base, "-I", "-c", _DELETE, self.folder])

    def _environment_step(self, base: Path) -> Step:
        if unable := self.inability(base):
            raise unable
        return Step("Making the environment", [base, "-I", "-m", "venv", "--clear", self.folder])

    def inability(self, base: Path) -> SetupError | None:
        """Error if no environment can be made with a Python; else None."""
        if self.contents() or (find_spec("venv") and find_spec("ensurepip")):  # this process runs on that same Python
            return None
        hint = "Install your system's python3-venv, or choose an existing Python below."
        return SetupError(
            "Blender's Python cannot make environments: it lacks venv or ensurepip", where=base, hint=hint
        )

    @property
    def _here(self) -> list[str | Path]:
        """Options that fix pip's target: only the command line overrides settings in pip's configuration files."""
        return ["--no-user", "--target=", "--prefix", self.folder, "--root", self.folder.absolute().anchor]

    def _pips_environment(self, *, isolated: bool) -> dict[str, str]:
        """Environment variables for pip; if isolated, without any pip settings of this machine."""
        variables = platforms.environment_for_python()
        if isolated:
            variables = {key: value for key, value in variables.items() if not key.startswith("PIP_")}
            variables["PIP_CONFIG_FILE"] = os.devnull  # pip then reads no configuration file at all
        for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_REQUIREMENT"):
            variables.pop(name, None)
        variables |= {
            "PYTHONUNBUFFERED": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_COLOR": "1",
        }
        # Leftovers of a cancelled pip are deleted with the environment, and a small system disk is spared.
        return variables | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.folder))


def engine_command(python: Path, *arguments: str | Path) -> list[str]:
    """Command line of ``nvd`` with these arguments in a Python that holds the engine."""
    return [str(python), "-P", "-m", "nvd_core", *map(str, arguments)]


def said_by_engine(lines: Collection[str]) -> list[str]:
    """Sentences of the engine among its output."""
    return [line.removeprefix(_SAID_BY).strip() for line in lines if line.startswith(_SAID_BY)]


def checking_step(python: Path) -> Step:
    """Step that checks a Python by ``nvd doctor``."""
    return Step("Checking", engine_command(python, "doctor", "--json"), fault=doctor_report.fault)
