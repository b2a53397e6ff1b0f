from __future__ import annotations

import json

import numpy as np

from benchmarks import decode


def test_every_subject_writes_what_it_stands_for_and_is_timed_beside_a_copy():
    found = list(decode.subjects(128, 256))
    rows = decode.measure(found, 128, 256, turns=2, threads=1)
    assert {(row["name"], row["type"]) for row in rows} >= {
        (name, kind) for name in decode._OURS for kind in ("f32", "bf16")
    }
    assert all(row["copies"] > 0 and row["nanoseconds_a_weight"] > 0 for row in rows)
    singles = {s.name: s for s in found if s.kind == "f32"}
    out = np.zeros((128, 256), np.float32)
    singles["deadzone, 1"].run(out)
    matrix = np.random.default_rng(0).standard_normal((128, 256), np.float32)
    assert 0.1 < ((out - matrix) ** 2).sum() / (matrix**2).sum() < 0.6


def test_memory_starts_at_a_line_of_the_cache():
    for dtype in decode.TYPES.values():
        assert decode.touched(3, 5, dtype).ctypes.data % 64 == 0


def test_the_table_has_a_column_a_type_and_a_row_a_subject():
    row = {"name": "x", "type": "f16", "bits": 0.5, "copies": 1.234, "nanoseconds_a_weight": 1}
    lines = decode.table(json.loads(json.dumps({"runs": {"4 × 4": {"rows": [row]}}}))).splitlines()
    assert lines[0].count("|") == lines[2].count("|") == 6
    assert lines[2] == "| x | 0.500 |  | 1.23 |  |"
