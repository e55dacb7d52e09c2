"""Operators: each reads the context, calls one function, and reports."""

from . import atlas, decompose, engine, fields, jobs, load_result, objects, render, result, workspace

_MODULES = (atlas, decompose, engine, fields, jobs, load_result, objects, render, result, workspace)


def register() -> None:
    """See :mod:`nvd_blender`."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    for module in reversed(_MODULES):
        module.unregister()
