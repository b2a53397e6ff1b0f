"""Arrays that kernels make live as long as their addresses: numba frees each behind its last mention."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import subbit.kernels.compiled

MODULES = sorted(Path(subbit.kernels.compiled.__file__).parent.glob("*.py"))
MAKERS = {"empty", "zeros", "full", "concatenate", "aligned", "copy"}

PROGRAM = """
import numpy as np
from numba.core.runtime import _nrt_python

_nrt_python.memsys_use_cpython_allocator()  # whose debugging form fills what is freed

from checks import environment, same_bits, weights
from subbit import Angle, Hashed, Signed, Vector
from subbit.packed import pack

for codec in (Signed(Angle(), Vector(16, 32)), Signed(Hashed(), Vector(24, 300)), Signed(Angle(), Vector(5, 256))):
    encoded = codec.encode(weights((70, 192)))
    with environment(SUBBIT_KERNELS="compiled"):
        found = codec.decode(encoded)
        product = pack(encoded).multiply(np.eye(192, dtype=np.float32)).T
    with environment(SUBBIT_KERNELS="plain"):
        same_bits(found, codec.decode(encoded))
    assert np.allclose(product, found, atol=1e-6)
"""


def own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, or within a loop, without those of functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef):
            yield child
            yield from own(child)


def new_arrays(node: ast.AST) -> set[str]:
    """Names that are given to arrays that are made here."""
    found = set()
    for statement in own(node):
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple | ast.Name):
            target, value = statement.targets[0], statement.value
            many = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            for name, made in zip(target.elts, value.elts, strict=True) if many else [(target, value)]:
                if isinstance(made, ast.Call) and ast.unparse(made.func).split(".")[-1] in MAKERS:
                    found.add(ast.unparse(name.elts[0] if isinstance(name, ast.Tuple) else name))
    return found


def forgotten(tree: ast.AST) -> Iterator[str]:
    """New arrays whose address is taken where nothing need mention them later: in no loop, and not kept."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        nodes, arrays = list(own(function)), new_arrays(function)
        calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "keep"]
        loops = [node for node in nodes if isinstance(node, ast.For | ast.While)]
        arrays -= {ast.unparse(call.args[0]) for call in calls}
        arrays -= {ast.unparse(part) for node in nodes if isinstance(node, ast.Return) for part in own(node)}
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr == "data":
                name = ast.unparse(node).split(".")[0].split("[")[0]
                around = [loop for loop in loops if node in own(loop) and name not in new_arrays(loop)]
                if name in arrays and not around:
                    yield f"{function.name}: {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_who_takes_the_address_of_a_new_array_keeps_it(path: Path) -> None:
    assert list(forgotten(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("module", ["vector", "arranging", "octets", "turning"])
def test_the_rule_bites(module: str) -> None:
    (path,) = (path for path in MODULES if path.stem == module)
    text = path.read_text(encoding="utf-8")
    assert list(forgotten(ast.parse(text.replace("keep(", "print("))))


def test_nothing_is_read_after_it_was_freed() -> None:
    path = os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])
    environment = os.environ | {"PYTHONMALLOC": "debug", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
