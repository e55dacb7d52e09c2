"""The private environment that *Install Engine* makes: what is in it, and the steps that make it.

Knows nothing of Blender. A record in the environment is written last and taken away first, so an
environment without one is half made: it is never used, and the next installation makes it anew. (What pip
has fetched by then it finds in its own cache.)
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
from nvd_core.errors import InputError, SetupError

from . import diagnosis, platforms
from .pip_output import failing_line

_RECORD: Final = "nvd_engine.json"
_DELETE: Final = "import pathlib, shutil, sys; pathlib.Path(sys.argv[1]).exists() and shutil.rmtree(sys.argv[1])"


def _last_words(code: int, lines: Iterable[str]) -> str:
    return "" if code == 0 else failing_line(lines)


@dataclass(frozen=True)
class Step:
    """A program to run.

    Attributes:
        stage: what it does, in words.
        command: its arguments.
        environment: its environment variables.
        fault: from its exit code and what it said, why it failed; empty if it did not.
    """

    stage: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=platforms.environment_for_python)
    fault: Callable[[int, Collection[str]], str] = _last_words


@dataclass(frozen=True)
class Contents:
    """What is in a finished environment.

    Attributes:
        version: of nvd_core.
        base: the Python it was made with, without which it does not run.
        neural: whether torch is there.
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
    """The environment in a folder."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return platforms.python_in(self.folder)

    def contents(self) -> Contents | None:
        """What is in it; None if it is not there, half made, or its base Python is gone."""
        try:
            found = Contents(**json.loads((self.folder / _RECORD).read_text(encoding="utf-8")))
            return found if self.python.is_file() and Path(found.base).is_file() else None
        except (OSError, ValueError, TypeError):
            return None

    def open(self) -> None:
        """Take the record away before anything is changed."""
        (self.folder / _RECORD).unlink(missing_ok=True)

    def close(self, contents: Contents) -> None:
        """Write the record once everything is there."""
        draft = self.folder / f"{_RECORD}.part"  # not forced to disk: half a gigabyte would go first, and Blender wait
        draft.write_text(json.dumps(asdict(contents)), encoding="utf-8")
        draft.replace(self.folder / _RECORD)

    def install_steps(self, wheels: Path, base: Path, *, neural: bool, offline: Path | None) -> list[Step]:
        """The steps that install the engine, or bring a finished one up to date.

        Args:
            wheels: what the extension carries.
            base: the Python to make the environment with.
            neural: torch, too.
            offline: a folder of wheels that is the only source; None for pip's own sources.

        Raises:
            NvdError: it cannot be done here.
        """
        wheel = wheels / f"nvd_blender-{__version__}-py3-none-any.whl"
        if not wheel.is_file():
            hint = "Install the zip that tools/build_extension.py makes, or choose an existing Python."
            raise SetupError("The extension does not carry its engine", where=wheel, hint=hint)
        if offline is not None and not any(offline.glob("*.whl")):
            raise InputError("There are no wheels in the offline folder", where=offline, hint="Choose another one.")
        steps = [] if self.contents() else [self._environment_step(base)]
        source = ["--no-index", "--find-links", offline] if offline else []
        extras = "engine,neural" if neural else "engine"
        return [
            *steps,
            Step(
                "Installing packages",
                [
                    self.python, "-m", "pip", "install", "--no-input", "--progress-bar", "off",
                    "--only-binary", ":all:",  # nothing is ever compiled here
                    "--find-links", wheels, *source, f"{wheel}[{extras}]",
                ],
                self._pips_environment(alone=offline is not None),
            ),
            Step("Checking", doctor(self.python), fault=diagnosis.fault),
        ]  # fmt: skip

    def removal_step(self, base: Path) -> Step:
        """The step that deletes it; a program of its own, as there are some ten thousand files."""
        return Step("Removing the engine", [base, "-c", _DELETE, self.folder])

    def _environment_step(self, base: Path) -> Step:
        if not (find_spec("venv") and find_spec("ensurepip")):  # this process runs on that same Python
            raise SetupError(
                "Blender's Python cannot make environments: it lacks venv or ensurepip",
                where=base,
                hint="Install your system's python3-venv, or choose an existing Python below.",
            )
        return Step("Making the environment", [base, "-m", "venv", "--clear", self.folder])

    def _pips_environment(self, *, alone: bool) -> dict[str, str]:
        """With ``alone`` nothing that is configured on this machine adds another source of packages."""
        variables = platforms.environment_for_python()
        if alone:
            variables = {key: value for key, value in variables.items() if not key.startswith("PIP_")}
            variables["PIP_CONFIG_FILE"] = os.devnull
        variables |= {
            "PYTHONUNBUFFERED": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_COLOR": "1",
            "PIP_USER": "0",
        }
        # What a cancelled pip leaves lying goes with the environment, and a small system disk is spared.
        return variables | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self.folder))


def doctor(python: Path) -> list[str | Path]:
    """The command that asks a Python what it lacks."""
    return [python, "-m", "nvd_core", "doctor", "--json"]
