"""The command line, a module a command. Data goes to standard output, talk and progress to standard error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import reduce
from operator import or_
from pkgutil import resolve_name
from typing import Annotated, Any, Final

import tyro
from tyro.conf import FlagCreatePairsOff, OmitSubcommandPrefixes, subcommand
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from nvd_core.faces.cli.talk import talk
from nvd_core.runtime.host import return_memory
from nvd_core.spec.choices import Text
from nvd_core.spec.choices.solvers import Solver, Start
from nvd_core.spec.errors import as_told, shown

_COMMANDS: Final = {
    "decompose": "decompose:Decompose",
    "paint": "paint:Paint",
    "render": "render:Render",
    "insert": "edit:InsertPicture",
    "edit": "edit:Edit",
    "score": "score:Score",
    "export": "export:Export",
    "demo": "demo:Demo",
    "doctor": "programs:Doctor",
    "verify": "verify:Verify",
    "worker": "programs:Worker",
}
"""Module and class of every command. Only the one that is run is imported: all take a second."""


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code is returned."""
    return_memory()
    try:
        command = _command(arguments)
        with redirect_stdout(sys.stderr):  # what libraries print is talk
            data: str = command.run()
    except Exception as error:  # noqa: BLE001 (all of them end in words)
        told = as_told(error)
        talk.print(f"nvd: {told}", style="red", soft_wrap=True)
        return told.exit_code
    sys.stdout.write(shown(data))
    return 0


def _command(arguments: Sequence[str]) -> Any:  # noqa: ANN401 (one of the commands)
    """Parse a command line."""
    name = arguments[0] if arguments else ""
    if name not in _COMMANDS:
        named = (Annotated[_class(one), subcommand(one)] for one in _COMMANDS)
        return _parsed(
            reduce(or_, named), arguments, "nvd", "Paint a texture once, and every frame of the shot follows."
        )
    kind = _class(name)
    asked = kind, arguments[1:], f"nvd {name}", kind.__doc__
    command = _parsed(*asked)
    if not hasattr(kind, "of_job") or command.job is None:
        return command
    # What the job says is what flags are left out for; a flag that is there is stronger.
    return _parsed(*asked, default=kind.of_job(command.job))


def _class(command: str) -> Any:  # noqa: ANN401 (a dataclass with run)
    kind = resolve_name(f"{__name__}.{_COMMANDS[command]}")
    return getattr(kind, "with_flags", lambda: kind)()


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


def _parsed(kind: Any, arguments: Sequence[str], prog: str, description: str, **default: Any) -> Any:  # noqa: ANN401
    options = default | {
        "prog": prog,
        "config": (OmitSubcommandPrefixes, FlagCreatePairsOff),
        "registry": _REGISTRY,
        "description": description,
    }
    harmless = [shown(argument) for argument in arguments]
    if harmless != list(arguments):  # a name of a file, which tyro would repeat as it is if it is misplaced
        with suppress(SystemExit):
            return tyro.cli(kind, args=list(arguments), console_outputs=False, **options)
    with redirect_stderr(getattr(sys.stderr, "rich_proxied_file", sys.stderr)):  # its colours are its own
        return tyro.cli(kind, args=harmless, **options)
