"""A model loaded packed takes about its file's size, and little more while it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from subbit.signs import Angle, Hashed

pytest.importorskip("transformers")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux says")
@pytest.mark.parametrize("plane", [Angle(seed=1), Hashed(seed=1)], ids=lambda plane: plane.kind)
def test_loading_packed(plane, monkeypatch):
    from benchmarks.memory import WIDE, load_packed

    monkeypatch.setenv("SUBBIT_THREADS", "1")
    found = load_packed(WIDE, plane)
    size, dense = found["file_bytes"], 16 * 7 * 2 * 2048**2
    assert 28e6 < size < dense / 30
    assert found["peak_bytes"] < found["bound_bytes"] == size + 4 * 2048**2
    assert found["loaded_bytes"] < 1.3 * size
    assert found["held_bytes"] < 1.4 * size
