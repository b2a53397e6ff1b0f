from __future__ import annotations

import json
from typing import Any

import pytest

from subbit.codecs import DeadZone, Dense, LowBit, Scales, Signed, Uniform
from subbit.errors import UsageError
from subbit.planning import Plan, Rule
from subbit.signs import Angle, Fitted

PLAN = Plan(
    (
        Rule("layers.0.q", DeadZone(0.7), True, 100, 71.5, 0.25),
        Rule("layers.1.q", Signed(Fitted(), LowBit(0.5), 0.1), True, 100, 60.0, 0.2, "fitted signs agree to 99 %"),
        Rule("layers.2.q", Signed(Angle(3), Scales(rank=2))),
        Rule("embed", Uniform(8), False, 50, why="embedding"),
        Rule("*", Dense(), covered=False),
    ),
    0.8,
)


def changed(**values: Any) -> str:
    """The plan's JSON with the first rule changed."""
    plan = json.loads(PLAN.to_json())
    plan["rules"][0].update(values)
    return json.dumps(plan)


def test_json_round_trip() -> None:
    assert Plan.from_json(PLAN.to_json()) == PLAN
    assert json.loads(PLAN.to_json())["version"] == 1


def test_an_edited_plan() -> None:
    text = changed(codec={"codec": "deadzone", "rate": 2})
    assert Plan.from_json(text).rule_for("layers.0.q").codec == DeadZone(2)
    short = '{"version": 1, "rules": [{"pattern": "*", "codec": {"codec": "dense"}}]}'
    assert Plan.from_json(short) == Plan((Rule("*", Dense()),))


def test_the_first_rule_that_fits() -> None:
    assert PLAN.rule_for("layers.2.q").codec == Signed(Angle(3), Scales(rank=2))
    assert PLAN.rule_for("norm.weight").codec == Dense()
    assert PLAN.using("layers.*", Uniform(4)).rule_for("layers.2.q").codec == Uniform(4)
    assert PLAN.using("layers.*", Uniform(4)).rule_for("embed").codec == Uniform(8)
    with pytest.raises(UsageError) as caught:
        Plan(PLAN.rules[:4]).rule_for("norm.weight")
    assert (caught.value.kind, caught.value.tensor) == ("plan", "norm.weight")


def test_text_and_totals() -> None:
    text = str(PLAN)
    assert "0.715  0.2500  deadzone  layers.0.q" in text
    assert "agree to 99 %" in text
    assert (PLAN.covered_weights, PLAN.covered_bits) == (200, 131.5)
    assert str(Plan(()))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"version": 2, "rules": []}', '{"version": 1}', '{"version": 1, "rules": {}}',
        '{"version": 1, "rules": [3]}', '{"version": 1, "rules": [{"pattern": "*"}]}',
        '{"version": 1, "rules": [{"codec": {"codec": "dense"}}]}', '{"version": 1, "budget": "x", "rules": []}',
        "[" * 100_000,
        changed(codec={"codec": "zip"}), changed(codec={"codec": "deadzone", "rats": 1}), changed(codec={}),
        changed(codec={"codec": "deadzone", "rate": "x"}), changed(codec={"codec": "deadzone", "rate": -1}),
        changed(codec="dense"),
        changed(codec={"codec": "uniform", "width": True}), changed(pattern=3), changed(covered="no"),
        changed(weights="x"), changed(weights=1.5), changed(bits=[1]), changed(error=True), changed(why=3),
        changed(unknown=1),
    ],
)  # fmt: skip
def test_texts_that_are_no_plan(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Plan.from_json(text)
    assert caught.value.kind == "plan"


def test_the_wrong_rule_is_named() -> None:
    with pytest.raises(UsageError, match=r"layers\.0\.q.*unknown codec 'zip'"):
        Plan.from_json(changed(codec={"codec": "zip"}))


def test_the_first_rule_that_fits_decides_whether_it_is_a_name_or_a_pattern() -> None:
    rules = [Rule("a", DeadZone(1.0)), Rule("[ab]*", DeadZone(2.0)), Rule("b", DeadZone(3.0)), Rule("a", DeadZone(4.0))]
    plan = Plan((*rules, Rule("c", DeadZone(5.0)), Rule("?", DeadZone(6.0))))
    assert [plan.rule_for(name).codec.rate for name in ("a", "b", "ab", "c", "d")] == [1.0, 2.0, 2.0, 5.0, 6.0]
