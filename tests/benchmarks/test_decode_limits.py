from __future__ import annotations

from benchmarks import decode_limits


def test_every_case_is_measured_and_has_a_table(monkeypatch):
    monkeypatch.setattr(decode_limits, "SHAPES", ((128, 256), (64, 128)))
    monkeypatch.setattr(decode_limits, "_SIDES", {64: decode_limits._NAMES[:1], 128: decode_limits._NAMES[:1]})
    roofline, growth = decode_limits.roofline(2, 1), decode_limits.growth(2, 1)
    threads = decode_limits.two_threads(2, 1)
    assert {row["type"] for row in roofline} == {"f32", "f16"}
    assert all(row[key] > 0 for row in roofline for key in ("stores", "in_cache", "cycles_in_cache"))
    assert all(row["nanoseconds_a_weight"] > 0 and row["copies"] > 0 for row in growth)
    assert {row["shape"] for row in threads} == {"128 × 256", "64 × 128"}
    runs = {case: {"rows": rows} for case, rows in (("roofline", roofline), ("growth", growth), ("threads", threads))}
    tables = decode_limits.table({"runs": runs}).split("\n\n")
    assert [len(part.splitlines()) for part in tables] == [2 + len(roofline), 3, 5]
