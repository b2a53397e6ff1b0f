"""The last step: both twins, all types, any width and alignment, and a processor that has no vectors to speak of."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from subbit.kernels.compiled import finish as compiled
from subbit.kernels.plain import finish as plain


def words_for(rows, cols, random):
    words = random.integers(0, 2**64, (rows, -(-cols // 64)), np.uint64, endpoint=False)
    if cols % 64:
        words[:, -1] &= np.uint64((1 << cols % 64) - 1)
    return words


@pytest.mark.parametrize("cols", [1, 7, 16, 17, 63, 64, 65, 100, 1000])
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_twins_write_the_same_bits_and_nothing_else(cols, kind):
    random = np.random.default_rng(cols)
    block = (random.normal(size=(5, cols)) * np.exp(8 * random.normal(size=(5, cols)))).astype(np.float32)
    signed = words_for(5, cols, random)
    for words, stream, shift in itertools.product((signed, np.empty((0, 0), np.uint64)), (False, True), (0, 3)):
        expected = np.zeros(block.shape, np.uint16 if kind else np.uint32)
        plain.finish(block, words, expected, kind, stream)
        memory = np.zeros(block.size + shift + 64, expected.dtype)
        inside = slice(shift, shift + block.size)
        compiled.finish(block, words, memory[inside].reshape(block.shape), kind, stream)
        assert np.array_equal(memory[inside].reshape(block.shape), expected)
        memory[inside] = 0
        assert not memory.any()


def test_halves_round_like_numpy_at_the_edges():
    random = np.random.default_rng(0)
    block = random.integers(0, 2**32, (40, 999), dtype=np.uint32).view(np.float32)
    block[0] = np.arange(999) * 2.0**-26  # subnormal halves, and ties between them
    block[1] = 65504 + np.arange(999) * 0.1
    block[2] = 1 + np.arange(999) * 2.0**-12
    block[3] = 6.1e-5 * (1 + np.arange(999) * 1e-6)
    block[4:8] = -block[:4]
    found = np.zeros((2, *block.shape), np.uint16)
    for twin, out in zip((plain, compiled), found, strict=True):
        twin.finish(block, np.empty((0, 0), np.uint64), out, 1, False)
    numbers = ~np.isnan(block)
    assert (found[0] == found[1])[numbers].all()
    assert np.isnan(found[1].view(np.float16))[~numbers].all()


def test_bfloat16_rounds_like_ml_dtypes():
    import ml_dtypes

    block = np.random.default_rng(1).normal(size=(3, 500)).astype(np.float32)
    block[0] = np.arange(500, dtype=np.uint32) * 0x1000 + 0x3F800000  # ties, too
    block[0] = block[0].astype(np.uint32).view(np.float32)
    out = np.zeros(block.shape, np.uint16)
    compiled.finish(block, np.empty((0, 0), np.uint64), out, 2, False)
    assert np.array_equal(out, block.astype(ml_dtypes.bfloat16).view(np.uint16))


def test_a_processor_without_wide_vectors_gives_the_same_bits(tmp_path):
    here = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "twins or halves or bfloat"],
        env={"PATH": "/usr/bin:/bin", "NUMBA_CPU_NAME": "generic", "NUMBA_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert here.returncode == 0, here.stdout
