"""Operators: each reads the context, calls one function, and reports."""

from . import (
    atlas,
    clean_plate,
    decompose,
    engine,
    fields,
    inserts,
    jobs,
    load_result,
    objects,
    pin_insert,
    render,
    result,
    shot_paint,
    workspace,
)

_MODULES = (
    atlas, clean_plate, decompose, engine, fields, inserts, jobs, load_result, objects, pin_insert, render, result,
    shot_paint, workspace,
)  # fmt: skip


def register() -> None:
    """See :mod:`nvd_blender`."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    for module in reversed(_MODULES):
        module.unregister()
