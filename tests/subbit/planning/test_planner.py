from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from subbit.bits.packing import unpack_signs
from subbit.codecs import DeadZone, Dense, Signed, Trellis, TrellisMagnitudes, Uniform, Vector
from subbit.curvature import Curvature
from subbit.errors import SubbitError, UsageError
from subbit.planning import Coverage, Plan, make_plan
from subbit.signs import Angle, Fitted, Hashed, LowRank, SignPlane, Stored, signs
from subbit.tensors import encode
from subbit_formats.dtypes import dtype_name


@dataclass(frozen=True)
class InMemory:
    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> str:
        return dtype_name(self.array.dtype)

    def read(self) -> np.ndarray:
        return self.array


def planned(arrays: dict[str, np.ndarray], bits: float, **options: object) -> Plan:
    tensors = {name: InMemory(array) for name, array in arrays.items()}
    return make_plan(tensors, bits, options.pop("coverage", Coverage()), **options)  # type: ignore[arg-type]


def gaussian(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def templated(plane: SignPlane, rows: int, cols: int, flips: float = 0.0) -> np.ndarray:
    random = np.random.default_rng(0)
    negative = unpack_signs(signs(plane, b"", rows, cols), cols).astype(bool) ^ (random.random((rows, cols)) < flips)
    return np.where(negative, -1, 1) * np.abs(gaussian(rows, cols))


def test_equal_tensors_get_equal_rates_and_predictions_hold() -> None:
    arrays = {"a": gaussian(512, 512, seed=1), "b": gaussian(512, 512, scale=1e-4, seed=2)}
    plan = planned(arrays, 1.0)
    rates = [plan.rule_for(name).codec.rate for name in arrays]  # type: ignore[attr-defined]
    assert rates[0] == pytest.approx(rates[1], abs=0.06)  # relative errors count, not sizes
    for name, weight in arrays.items():
        rule = plan.rule_for(name)
        decoded = rule.codec.decode(encode(weight, rule.codec))
        error = ((weight - decoded) ** 2).sum() / (weight**2).sum()
        assert rule.error == pytest.approx(error, rel=0.05)


def test_importance_moves_bits() -> None:
    arrays = {"a": gaussian(512, 512, seed=1), "b": gaussian(512, 512, seed=2)}
    plan = planned(arrays, 1.0, importance={"a": np.full((1, 512), 8.0), "b": np.ones((512, 1))})
    rate = {name: plan.rule_for(name).codec.rate for name in arrays}  # type: ignore[attr-defined]
    assert 1.2 < rate["a"] - rate["b"] < 2  # log2(8) / 2 = 1.5 and more, because a dead zone's first bits save less


def test_what_is_not_covered() -> None:
    arrays = {"lm_head.weight": gaussian(40, 30), "norm": gaussian(30), "ids": np.arange(12).reshape(3, 4),
              "q": gaussian(300, 300)}  # fmt: skip
    plan = planned(arrays, 1.0)
    codecs = {name: plan.rule_for(name).codec for name in arrays}
    assert codecs["lm_head.weight"] == Uniform(8)
    assert codecs["norm"] == codecs["ids"] == Dense()
    assert plan.covered_weights == 90_000
    assert planned({"norm": gaussian(30)}, 1.0).covered_weights == 0


def test_names_that_look_like_patterns() -> None:
    arrays = {"a[bc]": gaussian(256, 256), "ab": gaussian(3), "a*": gaussian(4), "aa": np.zeros((2, 2), np.int8)}
    plan = planned(arrays, 1.0)
    assert isinstance(plan.rule_for("a[bc]").codec, Trellis)
    for name in ("ab", "a*", "aa"):
        assert plan.rule_for(name).codec == Dense()
        assert plan.rule_for(name).weights == arrays[name].size


@pytest.mark.parametrize("plane", [Angle(3), LowRank(seed=1, rank=8), Hashed(5)], ids=lambda plane: plane.kind)
def test_a_declared_template_is_used_where_it_holds(plane: SignPlane) -> None:
    weight = templated(plane, 512, 512)
    rule = planned({"a": weight}, 0.6, declared={"a": plane}).rule_for("a")
    assert isinstance(rule.codec, Signed)
    assert rule.codec.signs == plane
    assert "100.0000%" in rule.why
    assert rule.error is not None
    assert rule.error < 0.19
    flipped = planned({"a": templated(plane, 512, 512, 0.05)}, 0.8, declared={"a": plane}).rule_for("a")
    assert isinstance(flipped.codec, Signed)


@pytest.mark.parametrize("bits", [0.3, 0.8, 2.0])
def test_a_declared_template_that_is_a_lie_is_not(bits: float) -> None:
    for weight in (templated(Hashed(4), 512, 512), gaussian(512, 512)):
        assert isinstance(planned({"a": weight}, bits, declared={"a": Hashed(5)}).rule_for("a").codec, Trellis)


def test_a_template_with_many_flips_is_used_as_far_as_its_signs_are_cheaper_than_a_bit() -> None:
    weight = templated(Hashed(5), 512, 512, 0.3)  # H(.3) = .88
    assert isinstance(planned({"a": weight}, 0.3, declared={"a": Hashed(5)}).rule_for("a").codec, Trellis)
    assert isinstance(planned({"a": weight}, 2.0, declared={"a": Hashed(5)}).rule_for("a").codec, Signed)


def test_an_angle_template_that_nobody_declared_is_found() -> None:
    rule = planned({"a": templated(Angle(7), 600, 500)}, 0.6).rule_for("a")
    assert isinstance(rule.codec, Signed)
    assert isinstance(rule.codec.signs, Fitted)


def test_forced_signs() -> None:
    weight = templated(Angle(7), 256, 256)
    assert isinstance(planned({"a": weight}, 0.6, signs="joint").rule_for("a").codec, Trellis)
    assert planned({"a": weight}, 1.6, signs="stored").rule_for("a").codec.signs == Stored()  # type: ignore[attr-defined]
    assert planned({"a": weight}, 1.0, signs="fitted").rule_for("a").codec.signs == Fitted()  # type: ignore[attr-defined]
    for mode, tensor in (("no", None), ("declared", "a")):
        with pytest.raises(UsageError) as caught:
            planned({"a": weight}, 1.0, signs=mode)
        assert (caught.value.kind, caught.value.tensor) == ("signs", tensor)


def test_templates_take_the_bits_that_others_save() -> None:
    arrays = {"free": templated(Hashed(1), 512, 512), "ordinary": gaussian(512, 512, seed=9)}
    plan = planned(arrays, 0.8, declared={"free": Hashed(1)})
    assert isinstance(plan.rule_for("free").codec, Signed)
    assert isinstance(plan.rule_for("free").codec.magnitudes, TrellisMagnitudes)  # type: ignore[attr-defined]
    assert isinstance(plan.rule_for("ordinary").codec, Trellis)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["q", "lm_head.weight"])
def test_weights_that_are_no_numbers(name: str, bad: float) -> None:
    weight = gaussian(64, 64)
    weight[3, 3] = bad
    with pytest.raises(SubbitError) as caught:
        planned({name: weight}, 1.0)
    assert (caught.value.kind, caught.value.tensor) == ("nonfinite", name)
    rule = planned({name: weight}, 1.0, allow_nonfinite=True).rule_for(name)
    assert rule.codec == Dense()
    assert not rule.covered


@pytest.mark.parametrize("bits", [0, -1, float("nan"), float("inf")])
def test_budgets_that_are_no_numbers(bits: float) -> None:
    with pytest.raises(UsageError) as caught:
        planned({"q": gaussian(64, 64)}, bits)
    assert caught.value.kind == "budget"


def heavy(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(3, shape).astype(np.float32)


def curvature(rows: int, cols: int) -> Curvature:
    inputs = np.random.default_rng(3).standard_normal((2 * cols, cols)) * np.linspace(0.3, 2, cols)
    return Curvature(inputs.T @ inputs / len(inputs), np.ones(rows))


def test_each_tensor_gets_the_code_that_errs_least_and_the_plan_says_so() -> None:
    plan = planned({"gaussian": gaussian(256, 300), "heavy": heavy(256, 300)}, 1.0)
    rules = {name: plan.rule_for(name) for name in ("gaussian", "heavy")}
    assert isinstance(rules["gaussian"].codec, Trellis)
    assert isinstance(rules["heavy"].codec, DeadZone)
    assert rules["gaussian"].why.startswith("deadzone would lose 0.")
    assert rules["heavy"].why.startswith("trellis would lose 0.")
    assert Plan.from_json(plan.to_json()) == plan


def test_columns_that_feed_back_are_coded_by_scalars() -> None:
    weight, whole = gaussian(200, 120), curvature(200, 120)
    rule = planned({"a": weight}, 1.0, importance={"a": whole}).rule_for("a")
    assert isinstance(rule.codec, DeadZone)
    assert rule.why == "feedback between columns"
    for known in (Curvature(np.diagonal(whole.columns).copy(), whole.rows), whole.importance()):
        rule = planned({"a": weight}, 1.0, importance={"a": known}).rule_for("a")
        assert isinstance(rule.codec, Trellis)
        decoded = rule.codec.decode(encode(weight, rule.codec, known))
        costs = whole.importance()
        lost = (costs * (weight - decoded) ** 2).sum() / (costs * weight**2).sum()
        assert rule.error == pytest.approx(lost, rel=0.06)


@pytest.mark.parametrize("bits", [0.3, 2.0])
def test_rows_of_very_different_importance(bits: float) -> None:
    weight, rows = gaussian(1000, 256), np.random.default_rng(0).permutation(1 / np.arange(1, 1001))
    known = Curvature(np.ones(256), rows)
    rule = planned({"a": weight}, bits, importance={"a": known}).rule_for("a")
    assert isinstance(rule.codec, Trellis)
    decoded = rule.codec.decode(encode(weight, rule.codec, known))
    lost = (rows[:, None] * (weight - decoded) ** 2).sum() / (rows[:, None] * weight**2).sum()
    assert rule.error == pytest.approx(lost, rel=0.12)


@pytest.mark.parametrize("bits", [0.5, 1.5])
def test_speed_is_for_codes_of_one_rate(bits: float) -> None:
    arrays = {f"free{k}": templated(Hashed(k), 200, 192) for k in range(4)}
    arrays |= {"gaussian": gaussian(256, 300), "weighed": gaussian(200, 120), "head.correction": gaussian(2, 500)}
    arrays["head"] = gaussian(200, 300, seed=5)
    declared = {f"free{k}": Hashed(k) for k in range(4)}
    known = {"weighed": curvature(200, 120)}
    plan = planned(arrays, bits, declared=declared, importance=known, profile="speed")
    spent = 0
    for name, weight in arrays.items():
        rule = plan.rule_for(name)
        assert rule.bits is not None
        if name.startswith("free"):
            assert isinstance(rule.codec.magnitudes, Vector)  # type: ignore[attr-defined]
        elif name != "head.correction":
            assert isinstance(rule.codec, Trellis)
            assert not rule.codec.variable
            assert "fixed rate" in rule.why
        bound = encode(weight, rule.codec, known.get(name)).bits
        assert bound <= rule.bits
        spent += bound
    assert 0.8 * bits * plan.covered_weights < spent <= bits * plan.covered_weights
    assert plan.covered_bits / plan.covered_weights == pytest.approx(bits, rel=0.01)
    assert Plan.from_json(plan.to_json()) == plan


def test_few_states_for_many_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = gaussian(256, 256)
    assert planned({"a": weight}, 1.0).rule_for("a").codec.state_bits == 12  # type: ignore[attr-defined]
    monkeypatch.setattr("subbit.planning.planner._MANY", weight.size - 1)
    assert planned({"a": weight}, 1.0).rule_for("a").codec.state_bits == 10  # type: ignore[attr-defined]


def test_profiles_that_there_are_not() -> None:
    with pytest.raises(UsageError) as caught:
        planned({"a": gaussian(64, 64)}, 1.0, profile="fast")
    assert caught.value.kind == "profile"
