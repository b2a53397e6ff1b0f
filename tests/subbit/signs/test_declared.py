from __future__ import annotations

import json

import pytest

from subbit.errors import SubbitError
from subbit.signs import KINDS, Angle, Fitted, Hadamard, LowRank, Stored, declared, from_dict, to_dict


def test_declarations_come_back():
    planes = {"b.weight": LowRank(rank=16, seed=2**64 - 1), "a.weight": Angle(seed=7), "ä": Hadamard()}
    text = declared.to_json(planes)
    assert declared.parse(text) == planes
    assert list(json.loads(text)) == sorted(planes)
    assert declared.parse(text) == declared.parse(json.dumps(json.loads(text), indent=1))


def test_dicts_name_every_kind():
    for plane in (Angle(1), LowRank(3), Fitted(12), Stored()):
        assert from_dict(to_dict(plane)) == plane
        assert KINDS[plane.kind] is type(plane)


@pytest.mark.parametrize(
    "entry",
    [
        {"kind": "spiral"}, {"seed": 1}, {"kind": ["angle"]}, "angle", None, {"kind": "angle", "seed": -1},
        {"kind": "angle", "rank": 2}, {"kind": "lowrank", "seed": 2}, {"kind": "angle", "seed": 1.0},
        {"kind": "stored"}, {"kind": "fitted", "width": 11},
    ],
)  # fmt: skip
def test_wrong_declarations_name_the_tensor(entry):
    with pytest.raises(SubbitError) as caught:
        declared.parse(json.dumps({"good": {"kind": "angle"}, "w": entry}))
    assert caught.value.kind == "template"
    assert caught.value.tensor == "w"


TWICE = '{"a":{"kind":"angle"},"a":{"kind":"hashed"}}'


@pytest.mark.parametrize("text", ["", "{", "[]", "3", TWICE, "[" * 100_000])
def test_what_is_no_declaration_is_refused(text):
    with pytest.raises(SubbitError) as caught:
        declared.parse(text)
    assert caught.value.kind == "template"
