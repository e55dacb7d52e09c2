"""The protocol's lines: what goes in comes out, and nothing that comes in does harm."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nvd_core.spec import protocol
from nvd_core.spec.protocol import decode, encode, is_cancel

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ANY_TEXT = st.text(st.characters(), max_size=40)  # also halves of surrogate pairs, as in paths that are no UTF-8
VALUES = {"str": ANY_TEXT, "float": NUMBERS, "float | None": st.none() | NUMBERS}
KINDS = tuple(protocol._TYPES.values())
EVENTS = st.one_of(st.builds(kind, **{field.name: VALUES[field.type] for field in fields(kind)}) for kind in KINDS)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(event=EVENTS, seq=st.integers(0, 1 << 40))
def test_an_event_comes_out_as_it_went_in(event: protocol.Event, seq: int) -> None:
    line = encode(event, seq)
    assert decode(line) == event
    assert json.loads(line)["seq"] == seq


@given(event=EVENTS)
def test_an_event_is_one_line_that_any_stream_can_carry(event: protocol.Event) -> None:
    line = encode(event, 1)
    assert len(line.splitlines()) == 1
    assert line.encode("utf-8").decode("utf-8") == line


@given(junk=st.binary(max_size=200))
def test_any_bytes_are_survived(junk: bytes) -> None:
    for line in (junk, junk.decode("utf-8", "replace")):
        assert decode(line) is None
        assert not is_cancel(line)


@given(data=JSON)
def test_any_json_is_survived(data: object) -> None:
    decode(json.dumps(data))
    assert not is_cancel(json.dumps(data))


@given(kind=JSON, rest=st.dictionaries(ANY_TEXT, JSON, max_size=3))
def test_any_type_and_fields_are_survived(kind: object, rest: dict[str, object]) -> None:
    decode(json.dumps({**rest, "v": protocol.VERSION, "type": kind}))


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_depth_without_end_is_survived(deep: str) -> None:
    assert decode(deep) is None
    assert not is_cancel(deep)


@given(event=EVENTS, extra=JSON)
def test_fields_of_a_later_version_are_passed_over(event: protocol.Event, extra: object) -> None:
    assert decode(json.dumps({**json.loads(encode(event, 1)), "of_a_later_version": extra})) == event


@given(event=EVENTS)
def test_another_version_is_not_understood(event: protocol.Event) -> None:
    assert decode(json.dumps({**json.loads(encode(event, 1)), "v": protocol.VERSION + 1})) is None


def test_only_cancel_is_cancel() -> None:
    assert is_cancel('{"type": "cancel"}\n')
    assert not is_cancel('{"type": "cancelled"}')
    assert not is_cancel('"cancel"')
