"""Validate plain values, as JSON holds them, against the types and bounds of a dataclass, without pydantic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Interval, MinLen

_MOST: Final = 2**63
"""Bound of the magnitude of numbers: integers stay below 64 bits, and NaN and infinity fail the comparison."""


def misfit(values: Mapping[str, object], declared: type) -> str:
    """Name of the first value that does not fit its field; empty if all fit. Fields may be missing.

    Args:
        values: by name of the field; other names are ignored.
        declared: the dataclass.
    """
    kinds = get_type_hints(declared, include_extras=True)
    return next((name for name, value in values.items() if name in kinds and not fits(value, kinds[name])), "")


def fits(value: Any, kind: Any) -> bool:  # noqa: ANN401 (anything, and a type as it is written)
    """Whether a value fits an annotated type; tuples may be lists, as in JSON, and strings must be valid in paths."""
    origin = get_origin(kind) or kind
    if reads := getattr(origin, "reads", None):  # see nvd_core.spec.choices.Text
        return fits(value, str) and reads(value)
    test = _TESTS.get(origin)
    return test(value, get_args(kind)) if test else origin is Any or isinstance(value, origin)


def _is_path(text: str) -> bool:
    """Whether a string could be a path, or a part of one: any string setting may end up in one."""
    try:
        return b"\0" not in text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # an unpaired surrogate
        return False


def _is_number(value: Any, *kinds: type) -> bool:  # noqa: ANN401
    return isinstance(value, kinds) and not isinstance(value, bool) and abs(value) < _MOST  # nor is NaN


_TESTS: Final[dict[Any, Callable[[Any, tuple[Any, ...]], bool]]] = {
    Annotated: lambda value, of: fits(value, of[0]) and all(_is_within(value, bound) for bound in of[1:]),
    Literal: lambda value, of: isinstance(value, str) and value in of,
    Union: lambda value, of: any(fits(value, one) for one in of),
    UnionType: lambda value, of: any(fits(value, one) for one in of),
    tuple: lambda value, of: isinstance(value, list | tuple) and all(fits(one, of[0]) for one in value),
    dict: lambda value, of: (
        isinstance(value, dict) and all(fits(key, of[0]) and fits(one, of[1]) for key, one in value.items())
    ),
    float: lambda value, _: _is_number(value, int, float),
    int: lambda value, _: _is_number(value, int),
    str: lambda value, _: isinstance(value, str) and _is_path(value),
}


def _is_within(value: Any, bound: object) -> bool:  # noqa: ANN401 (of the type that the bound belongs to)
    if isinstance(bound, MinLen):
        return len(value) >= bound.min_length
    if not isinstance(bound, Interval):  # documentation
        return True
    limits = ((bound.gt, value.__gt__), (bound.ge, value.__ge__), (bound.lt, value.__lt__), (bound.le, value.__le__))
    return all(limit is None or holds(limit) is True for limit, holds in limits)
