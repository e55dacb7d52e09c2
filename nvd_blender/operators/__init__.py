"""Operators: each reads the context, calls one function, and reports."""

from . import decompose, engine, jobs, load_result, paint_atlas, result

_MODULES = (decompose, engine, jobs, load_result, paint_atlas, result)


def register() -> None:
    """See :mod:`nvd_blender`."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    for module in reversed(_MODULES):
        module.unregister()
