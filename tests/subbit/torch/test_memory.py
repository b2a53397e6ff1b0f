"""A model loaded packed takes about its file's size, and little more while it is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from subbit.signs import Angle, Hashed

pytest.importorskip("transformers")

WIDTH = 2048
LARGEST = 2 * WIDTH**2
CONFIG = {"hidden_size": WIDTH, "intermediate_size": WIDTH, "num_attention_heads": 16, "num_key_value_heads": 16}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says")
@pytest.mark.parametrize("plane", [Angle(seed=1), Hashed(seed=1)], ids=lambda plane: plane.kind)
def test_loading_packed(plane, tmp_path):
    from benchmarks.memory import LOADING
    from benchmarks.signed import SMOLLM2, write_llama

    for blocks in (1, 16):
        config = SMOLLM2 | CONFIG | {"num_hidden_layers": blocks, "vocab_size": 64}
        write_llama(tmp_path / f"{blocks}.sbit", config, plane)
    done = subprocess.run(
        [sys.executable, "-c", LOADING, str(tmp_path / "1.sbit"), str(tmp_path / "16.sbit")],
        check=True, capture_output=True, text=True, env={**os.environ, "SUBBIT_THREADS": "1"},
    )  # fmt: skip
    found, size = json.loads(done.stdout), (tmp_path / "16.sbit").stat().st_size
    assert 28e6 < size < 16 * 7 * LARGEST / 25  # half a bit, and what is not weights
    assert found["peak_bytes"] < size + 2 * LARGEST
    assert found["loaded_bytes"] < 1.3 * size
    assert found["held_bytes"] < 1.5 * size
