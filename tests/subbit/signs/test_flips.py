from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays

from subbit.bits.packing import pack_signs
from subbit.coders import integers, varints
from subbit.errors import SubbitError
from subbit.kernels import kernel
from subbit.signs import flips


@settings(deadline=None, max_examples=60)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=150)))
def test_flips_come_back(wrong):
    words = pack_signs(wrong)
    data = flips.encode(words, *wrong.shape)
    assert (data == b"") == (not wrong.any())
    assert np.array_equal(flips.decode(data, *wrong.shape), words)
    assert flips.count(data, *wrong.shape) == wrong.sum()


@pytest.mark.parametrize("rate", [1e-3, 0.01, 0.05, 0.1, 0.2])
def test_cost_is_near_the_entropy(rate):
    rows, cols = 1024, 1500
    wrong = np.random.default_rng(3).random((rows, cols)) < rate
    p = wrong.mean()
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    data = flips.encode(pack_signs(wrong), rows, cols)
    assert 8 * len(data) <= 1.03 * entropy * wrong.size + 8 * 64
    assert np.array_equal(flips.decode(data, rows, cols), pack_signs(wrong))


@settings(deadline=None, max_examples=40)
@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=140)))
def test_kernels_agree(wrong):
    words, cols = pack_signs(wrong), wrong.shape[1]
    results = []
    for backend in ("plain", "compiled"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SUBBIT_KERNELS", backend)
            planes = kernel("sign_planes")
        gaps, out = planes.gaps(words, cols), np.zeros_like(words)
        assert gaps.dtype == np.int64
        assert planes.mask(gaps, cols, out)
        assert np.array_equal(out, words)
        results.append((gaps.tolist(), planes.disagreement(words, np.zeros_like(words))))
    assert results[0] == results[1]
    assert results[0][1] == wrong.sum()


@pytest.mark.parametrize("backend", ["plain", "compiled"])
@pytest.mark.parametrize("gaps", [[35], [30, 4], [0, 34], [2**40]])
def test_flips_behind_the_last_weight_are_refused(gaps, backend, monkeypatch):
    monkeypatch.setenv("SUBBIT_KERNELS", backend)
    out = np.zeros((5, 1), np.uint64)
    assert not kernel("sign_planes").mask(np.array(gaps), 7, out)


def test_damage_is_refused():
    good = varints.write([2]) + bytes(integers.encode(np.array([3, 30])))
    assert flips.decode(good, 5, 7)[4, 0] == 1 << 6
    too_far = varints.write([2]) + bytes(integers.encode(np.array([3, 31])))
    more_than_there_are = varints.write([36]) + bytes(integers.encode(np.zeros(36, np.int64)))
    none = varints.write([0]) + bytes(integers.encode(np.zeros(0, np.int64)))
    for data in (too_far, more_than_there_are, none, good[:-1], good + b"\0", b"\xff", b"\x01"):
        with pytest.raises(SubbitError) as caught:
            flips.decode(data, 5, 7)
        assert caught.value.kind == "section"
