"""Layered video decomposition: paint a texture once, and every frame of the shot follows.

::

    import nvd_core as nvd

    result = nvd.decompose("shot.mov", {"car": "masks/car"})
    car = result.frame(12).layers["car"]  # .uv, .alpha, .residual, .surface
    nvd.write(result, "edited.mp4", atlases={"car": "painted.png"})

Importing it loads nothing heavy and leaves threads and environment of the process alone; see :mod:`nvd_core.api`.
"""

TYPE_CHECKING = False  # not typing's: python -m nvd_core would look for that module where it stands first

__version__ = "0.1.0"

if TYPE_CHECKING:
    from nvd_core.api import (
        Decomposition,
        MaskSource,
        NvdError,
        Settings,
        decompose,
        export_as,
        insert,
        open,  # noqa: A004 (as PIL.Image has it; used with the package's name)
        paint,
        render,
        score,
        undo_paint,
        write,
    )

__all__ = [
    "Decomposition", "MaskSource", "NvdError", "Settings", "decompose", "export_as", "insert", "open", "paint",
    "render", "score", "undo_paint", "write",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Load the library when something of it is used: Blender, too, imports this package, and has none of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nvd_core import api  # noqa: PLC0415

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
