from __future__ import annotations

import numpy as np

from subbit.kernels.compiled import halves as compiled
from subbit.kernels.plain import halves as plain


def test_twins_round_alike() -> None:
    random = np.random.default_rng(0)
    block = random.integers(0, 2**32, (40, 999), dtype=np.uint32).view(np.float32)
    block[0] = np.arange(999) * 2.0**-26  # subnormal halves, and ties between them
    block[1] = 65504 + np.arange(999) * 0.1
    block[2] = 1 + np.arange(999) * 2.0**-12
    block[3] = 6.1e-5 * (1 + np.arange(999) * 1e-6)
    block[4:8] = -block[:4]
    found = np.zeros((2, *block.shape), np.uint16)
    compiled.narrow(block, found[0])
    plain.narrow(block, found[1])
    numbers = ~np.isnan(block)
    assert (found[0] == found[1])[numbers].all()
    assert np.isnan(found[0].view(np.float16))[~numbers].all()
