"""What layers can be called, and how a name is written that they cannot have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LAYER_NAME
from nvd_core.spec.layer_names import check_names, spelled


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("grünes Auto", "gruenes_Auto"), ("GRÜN", "GRUeN"), ("Straße", "Strasse"), ("café.1", "cafe_1"),
        ("3rd car", "object_3rd_car"), (" car ", "car"), ("撮影", ""), ("x" * 99, "x" * 41),
    ],
)  # fmt: skip
def test_a_name_is_spelled_as_a_layer_can_have_it(name: str, better: str) -> None:
    assert spelled(name) == better
    with pytest.raises(InputError) as told:
        check_names(["car", name])
    assert (f"Write it as {better}." in told.value.hint) is bool(better)


@given(st.text())
def test_what_is_proposed_can_be_taken(name: str) -> None:
    assert not spelled(name) or LAYER_NAME.fullmatch(spelled(name))


@pytest.mark.parametrize("names", [["car", "CAR"], ["Background"], [""]])
def test_names_that_would_be_one_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError):
        check_names(names)
