from __future__ import annotations

import json
from typing import Any

import pytest

from benchmarks.trust import identical, twins
from benchmarks.trust.environments import pythons


def test_the_same_bits() -> None:
    decoded, encoded, hostile = identical.prove(0.01)
    assert (hostile.failures, hostile.tried) == ((), 50)
    assert (decoded.failures, decoded.tried) == ((), 12)
    assert (encoded.failures, encoded.tried) == ((), 4)
    assert "any processor" in decoded.note


def test_other_bits_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def result(run: identical.Run, *_: object) -> dict[str, Any]:
        if run.what == "NumPy":
            return {"error": "no such module", "decoded": {}, "encoded": {}}
        differs = "1 thread" in run.what
        digests = json.loads((identical.GOLDEN / "digests.json").read_text(encoding="utf-8"))
        tiny = {f"{name}:w": digests[name]["tensors"]["w"]["sha256"] for name in digests if "/tiny" in name}
        decoded = tiny | ({next(iter(tiny)): "0"} if differs else {})
        return {"decoded": decoded, "encoded": {"file": str(differs)}}

    monkeypatch.setattr(identical, "_result", result)
    monkeypatch.setattr(twins, "outcome", lambda number, kernels: f"{number} {kernels == 'plain' and number == 3}")
    decoded, encoded, hostile = identical.prove(0.001)
    assert [failure.split(",")[0] for failure in hostile.failures] == ["hostile 3"]
    assert decoded.failures == ("NumPy: no such module", "compiled, 1 thread: 0.1/tiny-deadzone.sbit:w")
    assert encoded.failures == ("compiled, 1 thread: file",)


def test_pythons_are_found_by_asking_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pythons.cache_clear()
    broken, newer = tmp_path / "python3.10", tmp_path / "mine"
    for path, answer in ((broken, "exit 1"), (newer, "echo 3.14")):
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SUBBIT_PYTHONS", str(newer))
    try:
        found = pythons()
    finally:
        pythons.cache_clear()
    assert found["3.14"] == str(newer)
    assert str(broken) not in found.values()
