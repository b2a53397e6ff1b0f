from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from checks import ODD_SHAPES, check_codec, environment, relative_error, same_bits, weights
from hypothesis import given, settings
from hypothesis import strategies as st

from subbit.codecs import DeadZone, Factors
from subbit.codecs.factors.exact import LARGEST, exact_product
from subbit.codecs.factors.grid import FINEST, Grid, nearest, power
from subbit.codecs.factors.weighting import separable
from subbit.coders.adaptive import IntegerWriter
from subbit.curvature import Curvature
from subbit.errors import SubbitError


def falling(n: int, exponent: float) -> np.ndarray:
    """Random n × n matrix with singular values i^-exponent."""
    random = np.random.default_rng(0)
    left, right = (np.linalg.qr(random.standard_normal((n, n)))[0] for _ in range(2))
    return ((left * np.arange(1, n + 1.0) ** -exponent) @ right).astype(np.float32)


def error(codec: Factors | DeadZone, matrix: np.ndarray, importance: np.ndarray | Curvature | None = None) -> float:
    return relative_error(matrix, codec.decode(codec.encode(matrix, importance)))


@pytest.mark.parametrize("shape", ODD_SHAPES)
@pytest.mark.parametrize("codec", [Factors(0.5), Factors(3.0, residual=0.4)])
def test_contract(shape: tuple[int, ...], codec: Factors) -> None:
    check_codec(codec, weights(shape), max_error=1.0)


@settings(deadline=None, max_examples=15)
@given(
    rows=st.integers(1, 40), cols=st.integers(1, 40), rate=st.floats(0.01, 4), draw=st.integers(0, 9),
    residual=st.sampled_from([0.0, 0.3, 0.9]), dtype=st.sampled_from(["float32", "float16", "float64"]),
)  # fmt: skip
def test_any_shape_and_budget(rows: int, cols: int, rate: float, draw: int, residual: float, dtype: str) -> None:
    importance = np.random.default_rng(draw).random((rows, cols)) if draw % 2 else None
    check_codec(Factors(rate, residual), weights((rows, cols), draw, dtype), importance)


def test_several_blocks_of_rows() -> None:
    matrix = weights((1100, 257))
    encoded = Factors(0.05, residual=0.5).encode(matrix)
    decoded = Factors().decode(encoded)
    with environment(SUBBIT_KERNELS="plain", SUBBIT_THREADS="2"):
        same_bits(Factors().decode(encoded), decoded)


@pytest.mark.parametrize(("exponent", "most"), [(0.0, 0.64), (0.5, 0.44), (1.0, 0.09)])
def test_error_by_spectrum(exponent: float, most: float) -> None:
    matrix = (
        np.random.default_rng(0).standard_normal((256, 256), np.float32) if exponent == 0 else falling(256, exponent)
    )
    found = error(Factors(0.5), matrix)
    assert found <= most
    assert found <= error(DeadZone(0.5), matrix) * (1.02 if exponent == 0 else 0.75)


def test_a_residual_pays_where_the_head_is_full() -> None:
    matrix = falling(192, 0.5)
    codec = Factors(1.0, residual=0.5)
    assert codec.encode(matrix).sections.keys() == codec.section_names
    assert error(codec, matrix) < 0.97 * error(Factors(1.0), matrix)


def test_a_product_of_signs_is_found() -> None:
    random = np.random.default_rng(0)
    u, v = (np.where(random.random((64, 3)) < 0.5, -1, 1) for _ in range(2))
    matrix = (u * [1.0, 0.6, 0.3] @ v.T * np.exp2(random.integers(-4, 4, (64, 1)))).astype(np.float32)
    assert error(Factors(0.5), matrix) < 3e-3


def test_importance_moves_the_error() -> None:
    matrix, columns = weights((96, 120)), np.where(np.arange(120) < 30, 30.0, 1.0)
    rows = np.where(np.arange(96) % 2, 1.0, 0.1)
    curvature = Curvature(np.diag(columns), rows)
    plain, weighted = (Factors(0.4).decode(Factors(0.4).encode(matrix, given)) for given in (None, curvature))
    assert curvature.error(matrix - weighted) < 0.76 * curvature.error(matrix - plain)
    as_array = Factors(0.4).decode(Factors(0.4).encode(matrix, curvature.importance()))
    assert curvature.error(matrix - as_array) < 0.76 * curvature.error(matrix - plain)


def test_separable_weights() -> None:
    rows, cols = np.array([1.0, 0.5, 0.0]), np.array([0.25, 1.0])
    for importance in (Curvature(4 * cols, 3 * rows), 7 * rows[:, None] * cols):
        for found, expected in zip(separable(importance, 3, 2), (rows, cols), strict=True):
            assert np.allclose(found, expected)
    for found in separable(np.zeros((1, 2)), 3, 2):
        assert (found == 1).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30, 3e36])
def test_ranges(scale: float) -> None:
    matrix = (weights((40, 50)) / 0.02 * scale).astype(np.float32)
    assert abs(error(Factors(1.0), matrix) - error(Factors(1.0), weights((40, 50)))) < 1e-3


def test_zeros() -> None:
    for codec in (Factors(), Factors(2.0, residual=0.5)):
        encoded = check_codec(codec, np.zeros((20, 30), np.float32))
        assert not codec.decode(encoded).any()
    matrix = weights((30, 40))
    matrix[3], matrix[:, 5] = 0, 0
    decoded = Factors(1.0).decode(Factors(1.0).encode(matrix))
    assert not decoded[3].any()
    assert not decoded[:, 5].any()
    assert relative_error(matrix, decoded) < 0.6


def test_cost() -> None:
    encoded = Factors(0.5).encode(weights((256, 384)))
    rank = len(encoded.sections["rows"]) // 32
    assert len(encoded.sections["columns"]) == 48 * rank
    assert 0.98 * 0.5 <= encoded.bits_per_weight <= 0.5
    assert Factors(0.5).bits((256, 384)) == 256 * 384 // 2


def test_gains() -> None:
    matrix = weights((60, 70))
    random = np.random.default_rng(0)
    rows, columns = np.exp(random.standard_normal(60)), np.exp(random.standard_normal(70))
    for codec in (Factors(1.0), Factors(2.0, residual=0.5)):
        encoded = codec.encode(matrix)
        changed = codec.decode(codec.regain(encoded, rows, columns))
        expected = codec.decode(encoded) * rows[:, None] * columns
        assert relative_error(expected, changed) < 0.022**2


def test_products_are_exact() -> None:
    random = np.random.default_rng(0)
    matrix = random.standard_normal((5, 300)).astype(np.float32) * np.exp2(random.integers(-99, 99, (5, 1)))
    codes = random.integers(-LARGEST, LARGEST, (300, 7), endpoint=True).astype(np.float64)
    found, order = exact_product(matrix, np.ones(300), codes), random.permutation(300)
    assert np.array_equal(found, exact_product(matrix[:, order], np.ones(300), codes[order]))
    assert np.allclose(found, matrix @ codes, rtol=1e-8, atol=0)


def test_grid() -> None:
    for resolution in (3, FINEST):
        scales = np.exp(np.random.default_rng(0).uniform(-8, 8, 500))
        codes, lowest = nearest(scales, resolution)
        steps = Grid(codes, codes, resolution).row_steps * power(lowest, resolution)
        assert np.abs(np.log2(steps / scales)).max() <= 0.5001 * 2.0**-resolution
        assert codes.min() == 1
    codes, _ = nearest(np.array([0.0, 1e-30, 1.0]))
    assert codes.tolist() == [0, 0, 24 * 8]
    assert Grid(codes, codes[:0]).row_steps.tolist() == [0, 0, np.float32(2.0 ** (191 / 8))]


def scales(unit: float, latents: list[int], rows: list[int], columns: list[int], *modes: int) -> bytes:
    stream = IntegerWriter()
    for values in ([len(latents), *(modes or (3, 0))], latents, rows, columns):
        stream.add(np.array(values))
    return np.float32(unit).tobytes() + stream.finish()


@pytest.mark.filterwarnings("error")
def test_damaged_scales_are_refused() -> None:
    encoded = Factors(4.0).encode(weights((2, 3)))
    signs = {"rows": b"\1\2", "columns": b"\1\2"}
    good = scales(1.0, [5, 3], [0, 192], [1, 2, 3])
    assert np.isfinite(Factors().decode(replace(encoded, sections=signs | {"scales": good}))).all()
    for bad in (
        scales(np.nan, [5, 3], [0, 1], [1, 2, 3]), scales(-1.0, [5, 3], [0, 1], [1, 2, 3]),
        scales(1e38, [5, 3], [0, 99], [1, 2, 3]), scales(1.0, [4096, 3], [0, 1], [1, 2, 3]),
        scales(1.0, [5, 3], [0, 193], [1, 2, 3]), scales(1.0, [5, 3], [0, 1], [1, 2, 193]),
        scales(1.0, [5, 3], [0, 1], [1, 2]), scales(1.0, [5], [0, 1], [1, 2, 3]),
        scales(1.0, [5, 3], [0, 1], [1, 2, 3], 6, 0), scales(1.0, [5, 3], [0, 1], [1, 2, 3], 3, 1),
        scales(1.0, [5, 3], [0, 1], [1, 2, 3], 3, 2), scales(np.inf, [5, 3], [0, 0], [1, 2, 3]), good + b"\0", good[:9],
    ):  # fmt: skip
        with pytest.raises(SubbitError) as caught:
            Factors().decode(replace(encoded, sections=signs | {"scales": bad}))
        assert caught.value.kind == "section"
    many = scales(1.0, [4095] * 4098, [0, 1], [1, 2, 3])
    with pytest.raises(SubbitError, match="out of range"):
        Factors().decode(replace(encoded, sections={"rows": b"\0" * 4098, "columns": b"\0" * 4098, "scales": many}))


@pytest.mark.parametrize("knobs", [{"rate": 0}, {"rate": 4.1}, {"rate": True}, {"residual": -0.1}, {"residual": 1}])
def test_bad_knobs(knobs: dict[str, float]) -> None:
    with pytest.raises(SubbitError) as caught:
        Factors(**knobs)
    assert caught.value.kind == "knobs"
