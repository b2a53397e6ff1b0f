from __future__ import annotations

import numpy as np
import pytest

from subbit.kernels.compiled import factors as compiled
from subbit.kernels.plain import factors as plain


def problem(rows: int, rank: int, seed: int) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    codes = random.integers(-64, 64, (rows, rank), endpoint=True).astype(np.float64)
    basis = random.standard_normal((rank + 5, rank))
    latents = random.random(rank)
    latents[rank // 2] = 0
    scales = random.random(rows)
    scales[0] = 0
    pull = random.standard_normal((rows, rank + 5)) @ basis
    return codes, scales, pull, basis.T @ basis, latents


@pytest.mark.parametrize("heat", [0.8, 0.3, 0.0])
@pytest.mark.parametrize(("rows", "rank"), [(1, 1), (7, 3), (20, 33)])
def test_settle(rows: int, rank: int, heat: float) -> None:
    codes, scales, *given = problem(rows, rank, rank)
    found = []
    for kernels in (plain, compiled):
        mine = codes.copy(), scales.copy()
        kernels.settle(*mine, *given, 64, heat)
        found.append(mine)
    for a, b in zip(*found, strict=True):
        assert a.tobytes() == b.tobytes()
    settled = found[0][0]
    assert np.array_equal(settled, np.rint(settled))
    assert np.abs(settled).max() <= 64


def test_settling_lowers_the_cost() -> None:
    codes, scales, pull, gram, latents = problem(50, 12, 0)
    codes = np.where(codes < 0, -64.0, 64.0)

    def cost() -> np.ndarray:
        x = codes / 64 * latents * scales[:, None]
        return np.einsum("ik,kl,il->i", x, gram, x) - 2 * (x * pull).sum(axis=1)

    for _ in range(4):
        before = cost()
        compiled.settle(codes, scales, pull, gram, latents, 64, 0.0)
        assert (cost() <= before + 1e-9).all()
    assert set(np.abs(codes).ravel()) == {64.0}


def test_relax_solves() -> None:
    *_, gram, latents = problem(3, 9, 1)
    target = gram @ np.arange(1.0, 10)
    found = []
    for kernels in (plain, compiled):
        mine = latents.copy()
        kernels.relax(gram, target, mine, 400)
        found.append(mine)
    assert found[0].tobytes() == found[1].tobytes()
    assert np.allclose(found[0], np.arange(1, 10), atol=1e-3)


@pytest.mark.parametrize(("rows", "cols", "rank"), [(1, 1, 1), (3, 600, 4), (17, 257, 5), (2, 9, 23)])
def test_compose(rows: int, cols: int, rank: int) -> None:
    random = np.random.default_rng(rank)
    u, v = (random.integers(0, 2, (rank, count)).astype(np.uint8) for count in (rows, cols))
    latents = random.integers(0, 4096, rank)
    expected = ((1 - 2 * u.T.astype(np.int64)) * latents) @ (1 - 2 * v.astype(np.int64))
    for kernels in (plain, compiled):
        out = np.full((rows, cols), np.nan, np.float32)
        kernels.compose(u, v, latents.astype(np.float32), out)
        assert np.array_equal(out, expected)
