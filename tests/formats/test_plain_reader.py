"""The second reader: stands alone, decodes every golden to its digests, and the goldens take all of its ways."""

from __future__ import annotations

import ast
import dis
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from formats import plain_reader
from subbit.codecs import CODECS, MAGNITUDES
from subbit.signs import KINDS

ROOT = Path(plain_reader.__file__).parents[2]
GOLDEN = ROOT / "formats" / "golden"
DIGESTS: dict[str, Any] = json.loads((GOLDEN / "digests.json").read_text(encoding="utf-8"))
FILES = {str(path): path.read_text(encoding="utf-8") for path in Path(plain_reader.__file__).parent.glob("[!_]*.py")}
FILES[plain_reader.__file__] = Path(plain_reader.__file__).read_text(encoding="utf-8")

WAYS: dict[str, dict[str, set[Any]]] = {
    "__init__.decode": {"name": {*CODECS}},
    "__init__.dense": {"data[0]": {0, 1}},
    "signs.flips": {"len(data) > 0": {True, False}},
    "parts.integers": {"data[0]": {0, 1}},
    "layouts.scales": {"data[0]": {0, 1}},
    "layouts.vector": {"data[0]": {0, 1}},
    "layouts.factors": {"int(residual)": {0, 1}},
    "layouts.one_of_n": {"knobs.get('mask', 'stored')": {"stored", "seeded"}},
    "signs.plane": {"kind": {*KINDS} - {"base"}},
    "layouts.signed": {
        "kind": {*MAGNITUDES},
        "knobs['signs']['kind'], 'flips' in parts": {(k, f) for k in KINDS for f in (True, False)} - {("stored", True)},
    },
    "trellis.trellis": {
        "weights, data[0]": {*((True, m) for m in (0, 1, 2, 4, 5, 12, 20, 28)), *((False, m) for m in (0, 1, 16))},
        "bool((rate == 0).any())": {True, False},
        "knobs.get('rotation') is None": {True, False},
    },
    "scalar.scalar": {"len(ends) - 1": {1, 2}, "signs": {1, 2}}
    | {f"signs, int({what}) > 0": {(1, True), (1, False), (2, True), (2, False)} for what in ("last", "q", "count")},
    "scalar.block": {"lanes": {1, 4}},
    "parts.__init__": {"locals().get('lanes')": {None, 1, 2, 4, 16}},
}
"""What functions of the reader have to see while they read the goldens: all that SPEC.md lets them."""


def parents(name: str) -> dict[str, Any]:
    return plain_reader.read(GOLDEN / name.split("/")[0] / "parent.sbit", {})


@pytest.mark.parametrize("name", DIGESTS)
def test_every_golden_decodes_to_its_digests(name: str) -> None:
    found = {
        key: {"dtype": str(value.dtype), "shape": list(value.shape), "sha256": hashlib.sha256(value).hexdigest()}
        for key, value in plain_reader.read(GOLDEN / name, parents(name)).items()
    }
    assert found == DIGESTS[name]["tensors"]


def test_it_stands_alone() -> None:
    imports = [node for text in FILES.values() for node in ast.walk(ast.parse(text))]
    plain = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    named = {str(node.module) for node in imports if isinstance(node, ast.ImportFrom) and node.level == 0}
    found = {name.split(".")[0] for name in plain | named}
    assert found - sys.stdlib_module_names == {"ml_dtypes", "numpy", "xxhash", "zstandard"}


def test_it_is_a_command() -> None:
    def run(*names: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "formats.plain_reader", *(str(GOLDEN / name) for name in names)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done, expected = run("0.1/base.sbit", "0.1/parent.sbit"), DIGESTS["0.1/base.sbit"]["tensors"]
    found = {line.split()[-1]: line.split()[0] for line in done.stdout.splitlines()}
    assert found == {name: tensor["sha256"] for name, tensor in expected.items()}
    refused = run("0.1/base.sbit")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "parent" in refused.stderr


def test_goldens_take_every_line_and_every_way() -> None:
    taken: set[tuple[str, int]] = set()
    seen: dict[str, dict[str, set[Any]]] = {name: {way: set() for way in ways} for name, ways in WAYS.items()}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in FILES:
            return None
        taken.add((frame.f_code.co_filename, frame.f_lineno))
        if event == "return":
            name = f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
            for way, values in seen.get(name, {}).items():
                values.add(eval(way, frame.f_globals, frame.f_locals))  # noqa: S307
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for name in DIGESTS:
            plain_reader.read(GOLDEN / name, parents(name))
    finally:
        sys.settrace(before)
    assert seen == WAYS
    missed = set(written()) - taken
    assert [line for path, number in sorted(missed) for line in FILES[path].splitlines()[number - 1 : number]] == [
        "        raise ValueError(otherwise)"
    ]


def written() -> Iterator[tuple[str, int]]:
    """The lines inside functions."""
    left = [
        (path, code) for path, text in FILES.items() for code in compile(text, path, "exec").co_consts
        if isinstance(code, CodeType) and code.co_flags & 2
    ]  # fmt: skip
    while left:
        path, code = left.pop()
        left += [(path, part) for part in code.co_consts if isinstance(part, CodeType)]
        yield from ((path, line) for _, line in dis.findlinestarts(code) if line and line > code.co_firstlineno)
