"""``nvd`` and ``python -m nvd_core``."""

import os
import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python searches the current directory for modules, and would run a cv2.py there. Modules imported before this line
    # were searched there, too; nvd, or python -P -m nvd_core, avoids that.
    try:
        if sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 (pathlib is not loaded yet)
            del sys.path[0]
    except OSError:  # it was deleted
        pass

from pathlib import Path

from nvd_core import __version__
from nvd_core.runtime.address_space import check_address_space
from nvd_core.runtime.stopping import stopping_on_signals
from nvd_core.runtime.streams import standard_streams
from nvd_core.spec.errors import as_told


def main() -> int:
    """Run the command line; return the exit code."""
    with standard_streams() as streams, stopping_on_signals():
        try:
            code = _run(sys.argv[1:])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        except Exception as error:  # noqa: BLE001 (every error becomes a message)
            told = as_told(error)
            print(f"nvd: {told}", file=sys.stderr)  # noqa: T201
            code = told.exit_code
        return streams.code(code)


def _run(arguments: list[str]) -> int:
    """Run a command; ``doctor`` and ``worker`` need only the standard library at first, to report missing packages."""
    if arguments == ["--version"]:
        print(__version__)  # noqa: T201
        return 0
    if arguments in (["doctor"], ["doctor", "--json"]):
        from nvd_core.faces.doctor import report  # noqa: PLC0415

        return report(as_json="--json" in arguments)
    flags = {"--resume", "--replace", "--check"} & {*arguments}
    places = [argument for argument in arguments[1:] if argument not in flags]
    if arguments[:1] == ["worker"] and len(places) == 2:
        from nvd_core.faces.worker import run_worker  # noqa: PLC0415

        resume, replaces, checks = (flag in flags for flag in ("--resume", "--replace", "--check"))
        return run_worker(*map(Path, places), resume=resume, replaces=replaces, checks=checks)
    check_address_space()
    from nvd_core.faces.cli import run  # noqa: PLC0415

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
