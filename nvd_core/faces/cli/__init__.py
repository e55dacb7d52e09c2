"""The command line, a module a command. Data goes to standard output, talk and progress to standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import make_dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

import tyro
from tyro.conf import (
    FlagCreatePairsOff,
    OmitSubcommandPrefixes,
    arg,
    subcommand,
)
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from nvd_core.faces.cli.decompose import Decompose
from nvd_core.faces.cli.demo import Demo
from nvd_core.faces.cli.edit import Edit, InsertPicture
from nvd_core.faces.cli.export import Export
from nvd_core.faces.cli.paint import Paint
from nvd_core.faces.cli.programs import Doctor, Worker
from nvd_core.faces.cli.render import Render
from nvd_core.faces.cli.score import Score
from nvd_core.faces.cli.talk import talk
from nvd_core.faces.cli.verify import Verify
from nvd_core.job_files import read_job
from nvd_core.runtime.host import return_memory
from nvd_core.spec.choices import Text
from nvd_core.spec.choices.solvers import Solver, Start
from nvd_core.spec.errors import as_told, shown
from nvd_core.spec.exporters import EXPORTERS


def _commands() -> Any:  # noqa: ANN401 (a union of types)
    """All commands; export has a flag for each row of its table."""
    flags = [(name, Annotated[bool, arg(help=one.about)], False) for name, one in EXPORTERS.items()]
    export: Any = make_dataclass(
        "Export", flags, bases=(Export,), namespace={"__doc__": Export.__doc__}, frozen=True, kw_only=True
    )
    kinds = (Decompose, Paint, Render, Edit, Score, export, Demo, Doctor, Verify, Worker)
    named = [(one, one.__name__.lower()) for one in kinds] + [(InsertPicture, "insert")]
    return reduce(or_, (Annotated[one, subcommand(name)] for one, name in named))


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is returned."""
    return_memory()
    try:
        command = _parsed(_commands(), arguments, "nvd")
        if isinstance(command, Decompose) and command.job is not None:
            # What the job says is what flags are left out for; a flag that is there is stronger.
            default = Decompose(settings=read_job(command.job).settings)
            command = _parsed(Decompose, arguments[1:], "nvd decompose", default=default)
        with redirect_stdout(sys.stderr):  # what libraries print is talk
            data: str = command.run()
    except Exception as error:  # noqa: BLE001 (all of them end in words)
        told = as_told(error)
        talk.print(f"nvd: {told}", style="red", soft_wrap=True)
        return told.exit_code
    sys.stdout.write(shown(data))
    return 0


_REGISTRY = ConstructorRegistry()


@_REGISTRY.primitive_rule
def _text_form(asked: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Parse flags of settings that have a text form; of a table without any other form the rows are offered."""
    kind = asked.type
    if not (isinstance(kind, type) and issubclass(kind, Text)):
        return None
    names = tuple(kind.rows) if issubclass(kind, Solver | Start) else None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="{" + ",".join(names) + "}" if names else "STR",
        instance_from_str=lambda texts: kind.parse(texts[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
        choices=names,
    )


def _parsed(kind: Any, arguments: Sequence[str], prog: str, **default: Any) -> Any:  # noqa: ANN401 (tyro knows)
    options = default | {
        "prog": prog,
        "config": (OmitSubcommandPrefixes, FlagCreatePairsOff),
        "registry": _REGISTRY,
        "description": "Paint a texture once, and every frame of the shot follows.",
    }
    harmless = [shown(argument) for argument in arguments]
    if harmless != list(arguments):  # a name of a file, which tyro would repeat as it is if it is misplaced
        with suppress(SystemExit):
            return tyro.cli(kind, args=list(arguments), console_outputs=False, **options)
    with redirect_stderr(getattr(sys.stderr, "rich_proxied_file", sys.stderr)):  # its colours are its own
        return tyro.cli(kind, args=harmless, **options)
