"""Runs inside Blender: takes down what a panel draws, and refuses what Blender's own layout would refuse."""

from types import MethodType

import bpy

_FUNCTIONS = bpy.types.UILayout.bl_rna.functions
_KINDS = {"STRING": str, "ENUM": str, "BOOLEAN": (bool, int), "INT": int, "FLOAT": (float, int)}


class Layout:
    """What is drawn on, in place of a UILayout.

    Attributes:
        texts: of labels, bars and fields, as they came.
        buttons: texts of the operators; where one has none, its name.
    """

    def __init__(self, above: "Layout | None" = None) -> None:
        object.__setattr__(self, "texts", above.texts if above else [])
        object.__setattr__(self, "buttons", above.buttons if above else [])

    def __setattr__(self, name: str, value: object) -> None:
        assert name in bpy.types.UILayout.bl_rna.properties, f"a layout has no {name}"

    def __getattr__(self, name: str):
        return lambda *values, **options: self._draw(name, values, options)

    @property
    def notes(self) -> list[str]:
        """All that can be read."""
        return [*self.texts, *self.buttons]

    def _draw(self, name: str, values: tuple, options: dict):
        inputs = [one for one in _FUNCTIONS[name].parameters if not one.is_output]
        given = {one.identifier: value for one, value in zip(inputs, values, strict=False)} | options
        for known in inputs:
            if known.identifier in given:
                _check(known, given.pop(known.identifier))
            else:
                assert not known.is_required, f"{name} lacks {known.identifier}"
        assert not given, f"{name} knows no {set(given)}"
        if name == "prop":
            assert values[1] in values[0].bl_rna.properties, values[1]
        if name in {"operator", "operator_menu_enum"}:
            self.buttons.append(options.get("text") or values[0])
            return _Options(values[0])
        if options.get("text"):
            self.texts.append(options["text"])
        results = [Layout(self) for one in _FUNCTIONS[name].parameters if one.is_output]
        return results[0] if len(results) == 1 else tuple(results)


class _Options:
    """What an operator's button is set to."""

    def __init__(self, operator: str) -> None:
        category, name = operator.split(".")
        object.__setattr__(self, "known", getattr(getattr(bpy.ops, category), name).get_rna_type().properties)

    def __setattr__(self, name: str, value: object) -> None:
        assert name in self.known, f"the operator has no {name}"
        _check(self.known[name], value)


def _check(known, value: object) -> None:
    kind = _KINDS.get(known.type)
    assert kind is None or isinstance(value, kind), f"{known.identifier} is {value!r}"
    if isinstance(value, str):
        value.encode(errors="surrogateescape")  # as Blender does
    if known.type == "FLOAT":
        assert known.hard_min <= value <= known.hard_max, f"{known.identifier} is {value}"
    if known.identifier == "icon":
        assert value in known.enum_items, f"there is no icon {value}"


class _Drawn:
    """Stands for what Blender makes of a class when it draws it: its methods, with our layout."""

    def __init__(self, kind: type, layout: Layout, owner: object) -> None:
        self._kind, self.layout, self._owner = kind, layout, owner

    def __getattr__(self, name: str):
        if self._owner is not None and name in self._owner.bl_rna.properties:
            return getattr(self._owner, name)
        found = getattr(self._kind, name)
        return MethodType(found, self) if callable(found) and not isinstance(found, MethodType) else found


def drawn(kind: type, owner: object = None, method: str = "draw") -> Layout:
    """What a panel, or the preferences, draw.

    Args:
        kind: their class.
        owner: whose properties are drawn, if any.
        method: draw, or draw_header.
    """
    layout = Layout()
    getattr(_Drawn(kind, layout, owner), method)(bpy.context)
    return layout
