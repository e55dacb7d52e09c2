"""Settings whose values are rows of a table, such as solvers and sources of optical flow.

A row is a frozen dataclass with its text form, help, checks and cost. What runs it is imported when it runs, so that
the table needs the standard library alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Final

from nvd_core.spec.errors import InputError, NvdError, SetupError, UsageError

if TYPE_CHECKING:
    from typing import Self

    from nvd_core.spec.settings import Device, Job

_PACKAGES: Final = ("torch", "transformers", "torchvision")


@dataclass(frozen=True)
class Cost:
    """Cost of a row in the forecast; units are those of :meth:`nvd_core.spec.forecast.Needs.amounts`.

    Attributes:
        cpu_s: CPU seconds over all threads, by stage and unit.
        peak_bytes: memory, by stage and unit.
        loaded_bytes: memory through all stages.
        is_known: whether the seconds may be told; else they serve progress alone.
    """

    cpu_s: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    peak_bytes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    loaded_bytes: float = 0.0
    is_known: bool = True


class Text(ABC):
    """Value with a text form, on the command line, in a job's file, in a manifest and in a .blend.

    Attributes:
        least: characters that the text has at least.
    """

    least: ClassVar[int] = 0

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form, as ``str`` writes it.

        Raises:
            NvdError: the text has another form.
        """

    @classmethod
    def reads(cls, text: str) -> bool:
        """Whether text has the form; for :mod:`nvd_core.spec.validation`."""
        try:
            cls.parse(text)
        except NvdError:
            return False
        return True

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths in it."""
        return ()

    def placed(self, place: Callable[[str], str]) -> Self:  # noqa: ARG002 (there are none)
        """Copy with every path replaced by a function, for example made absolute."""
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> dict[str, Any]:
        """Schema by which pydantic reads the text form: a dictionary, so that pydantic is not needed here."""
        parse = {"type": "no-info", "function": cls.parse}
        return {"type": "function-after", "function": parse, "schema": {"type": "str", "min_length": cls.least}}


class Choice(Text):
    """Row of a table, in text ``NAME``, or ``NAME:REST`` where it takes a value.

    Attributes:
        setting: name of the setting.
        rows: the table, by name.
        unnamed: row of a text that names no other, a path; without one, such a text is refused.
        name: in text.
        form: text form, for help; the name if empty.
        about: what it is, for help.
        cost: in the forecast.
    """

    setting: ClassVar[str]
    rows: ClassVar[dict[str, Any]]
    unnamed: ClassVar[Callable[[str], Any] | None] = None
    name: ClassVar[str]
    form: ClassVar[str] = ""
    about: ClassVar[str] = ""
    cost: ClassVar[Cost] = Cost()

    @classmethod
    def parse(cls, text: str) -> Self:
        """See :meth:`Text.parse`."""
        name, colon, rest = text.partition(":")
        row = cls.rows.get(name)
        made = row.read(rest if colon else None) if row else None
        if made is None and text and cls.unnamed:
            made = cls.unnamed(text)
        if made is None:
            raise cls.unknown(text)
        return made

    @classmethod
    def read(cls, rest: str | None) -> Self | None:
        """Read the text after the colon, None without a colon; return None if it is no text of this row."""
        return cls() if rest is None else None

    @classmethod
    def unknown(cls, text: str) -> UsageError:
        """Error for a text that names no row."""
        known = " or ".join(row.form or row.name for row in cls.rows.values())
        return UsageError(f"{cls.setting}: {text!r} is nothing that there is", hint=f"There is {known}.")

    def __str__(self) -> str:
        return self.name

    def files(self) -> list[Path]:
        """List its own files that results depend on, in a fixed order.

        Raises:
            InputError: they are not there.
        """
        return []

    def check(self, job: Job) -> None:
        """Refuse a job that it cannot be used in, before the job begins; open no file.

        Raises:
            UsageError: it cannot.
        """


def listed(rows: Iterable[type[Choice]]) -> str:
    """List rows for a setting's help: ``dis: found here; raft:WEIGHTS: torchvision's RAFT``."""
    return "; ".join(f"{row.form or row.name}: {row.about}" for row in rows)


@dataclass(frozen=True)
class AtPath(Choice):
    """Row that takes a path: ``NAME:PATH``."""

    path: str

    @classmethod
    def read(cls, rest: str | None) -> Self | None:
        """See :meth:`Choice.read`; a missing path is refused when it is used."""
        return cls(rest or "")

    @property
    def paths(self) -> tuple[str, ...]:
        """See :attr:`Text.paths`."""
        return (self.path,) if self.path else ()

    def placed(self, place: Callable[[str], str]) -> Self:
        """See :meth:`Text.placed`."""
        return replace(self, path=place(self.path)) if self.path else self

    def __str__(self) -> str:
        return ":".join(filter(None, (self.name, self.path)))


class Learned(AtPath):
    """Learned model with the user's weights, at a local path.

    Attributes:
        opener: function of path and device that opens the model, as ``module:function``.
    """

    opener: ClassVar[str]

    def check(self, job: Job) -> None:  # noqa: ARG002
        """Refuse a model without a path."""
        if not self.path:
            raise self.unknown(str(self))

    def files(self) -> list[Path]:
        """See :meth:`Choice.files`.

        Raises:
            InputError: there is nothing at its path, or something that is no file.
        """
        path = Path(self.path)
        if not path.exists():
            hint = "Nothing is downloaded: name your own."
            raise InputError(f"There is no model {self.name}", where=path, hint=hint)
        files = [*sorted(path.glob("*.json")), *sorted(path.glob("*.safetensors"))] if path.is_dir() else [path]
        if others := [file for file in files if not file.is_file()]:  # a device or a pipe, which may never end
            raise InputError("The model is no file", where=others[0], hint="Name a file, or a folder of files.")
        return files

    def open_model(self, device: Device) -> Any:  # noqa: ANN401 (each model is of its own class)
        """Open the model.

        Raises:
            SetupError: a package is missing, or there is no such device.
            InputError: there is no such model, or it cannot be used.
        """
        try:
            return resolve_name(self.opener)(Path(self.path), device)
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _PACKAGES:
                raise
            raise SetupError(
                f"The model {self.name} needs {package}, which cannot be imported",
                hint=f"pip install '{'torchvision' if package == 'torchvision' else 'nvd-blender[models]'}'",
            ) from error
