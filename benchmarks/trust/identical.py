"""The same bits everywhere: decoded weights, and the bytes of files (promise 9).

Threads, processors, kernels, versions of Python, NumPy and Numba. Other Pythons are those that `environments.pythons`
finds; each gets the oldest or the newest NumPy and Numba that subbit supports there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from benchmarks.trust.environments import READING, environment, pythons, wheel
from benchmarks.trust.proof import Proof
from benchmarks.trust.specimens import GOLDEN
from benchmarks.trust.twins import differing

__all__ = ["Run", "prove"]

_OLDEST = {"numpy": "1.26.*", "numba": "0.59.*", "llvmlite": "0.42.*"}
_WITH_OLDEST = ("3.10", "3.11", "3.12")
_WITH_NEWEST = ("3.11", "3.12", "3.13", "3.14")
_HOSTILE = 5_000
_FEW = "tiny*.sbit"


@dataclass(frozen=True, eq=False)
class Run:
    """One way to decode and to encode: which Python, and what in its environment differs."""

    what: str
    settings: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable
    encodes: bool = True


HERE = (
    Run("compiled, 2 threads"),
    Run("compiled, 1 thread", {"SUBBIT_THREADS": "1"}),
    Run("any processor", {"NUMBA_CPU_NAME": "generic"}, encodes=False),
    Run("NumPy", {"SUBBIT_KERNELS": "plain"}, encodes=False),
)


def prove(share: float) -> list[Proof]:
    """Other Pythons and all goldens only in the whole proof; else the smallest goldens and one checkpoint."""
    whole = share >= 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = [Run(run.what, run.settings) for run in HERE] if whole else list(HERE)
        if whole:
            runs += _other_pythons(folder)
        checkpoint = folder / "model.safetensors"
        save_file(_weights(), checkpoint)
        found = {}
        for place, run in enumerate(runs):
            target = folder / str(place)
            target.mkdir()
            found[run] = _result(run, whole, checkpoint, target)
    return [
        _decoded(found, whole),
        _encoded({run: each for run, each in found.items() if run.encodes}),
        _hostile(max(1, int(share * _HOSTILE))),
    ]


def _other_pythons(folder: Path) -> Iterator[Run]:
    """The oldest packages in the oldest Python, the newest in all; the compiler in the first and the last."""
    built, here = wheel(folder), ".".join(map(str, sys.version_info[:2]))
    same = [f"{name}=={version(name)}" for name in READING[1:]]
    newest = {name: version(name) for name in _OLDEST}
    old = [name for name in pythons() if name in _WITH_OLDEST][:1]
    new = [name for name in pythons() if name in _WITH_NEWEST and name != here]
    for name, packages in [*((name, _OLDEST) for name in old), *((name, newest) for name in new)]:
        python = environment(
            pythons()[name], folder / f"{name}-{'oldest' if packages is _OLDEST else 'newest'}", built,
            [*same, *(f"{package}=={packages[package]}" for package in packages)],
        )  # fmt: skip
        compiled = packages is _OLDEST or name == new[-1]
        yield Run(f"Python {name}", {"SUBBIT_KERNELS": "compiled" if compiled else "plain"}, python)


def _result(run: Run, whole: bool, checkpoint: Path, target: Path) -> dict[str, Any]:
    pattern = "*.sbit*" if whole else _FEW
    command = [run.python, "-I", str(Path(__file__).parent / "decoded.py"), str(GOLDEN), pattern]
    if run.encodes:
        command += [str(checkpoint), str(target), *([str(GOLDEN / "make_golden.py")] if whole else [])]
    settings = {"SUBBIT_KERNELS": "compiled", "SUBBIT_THREADS": "2"} | dict(run.settings)
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False, cwd=target)
    if done.returncode:
        return {"error": done.stderr[-500:], "decoded": {}, "encoded": {}}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _decoded(found: Mapping[Run, dict[str, Any]], whole: bool) -> Proof:
    digests = json.loads((GOLDEN / "digests.json").read_text(encoding="utf-8"))
    due = {f"{file}:{name}": one["sha256"] for file, each in digests.items() for name, one in each["tensors"].items()}
    some = due if whole else {name: digest for name, digest in due.items() if "/tiny" in name}
    return _proof("weights of goldens decoded to their digests", found, "decoded", some)


def _encoded(found: Mapping[Run, dict[str, Any]]) -> Proof:
    first = next(iter(found.values()))["encoded"]
    return _proof(
        "files written with the same bytes: goldens of every codec, and a checkpoint", found, "encoded", first
    )


def _hostile(count: int) -> Proof:
    failures = list(differing(count))
    what = "hostile tensors that compiled and NumPy kernels decode to the same, or refuse in the same words"
    return Proof(9, what, count, len(failures), tuple(failures[:10]))


def _proof(what: str, found: Mapping[Run, dict[str, Any]], part: str, due: Mapping[str, str]) -> Proof:
    failures = [f"{run.what}: {each['error']}" for run, each in found.items() if "error" in each]
    for run, each in found.items():
        if "error" not in each:
            failures += [
                f"{run.what}: {name}"
                for name in sorted(due.keys() | each[part])
                if each[part].get(name) != due.get(name)
            ]
    note = "; ".join(_told(run, each) for run, each in found.items())
    absent = [f"3.{minor}" for minor in range(10, 15) if f"3.{minor}" not in pythons()]
    note += f"; not at hand: Python {', '.join(absent)}" if absent and len(found) > len(HERE) else ""
    return Proof(9, what, len(due) * len(found), len(failures), tuple(failures[:10]), note)


def _told(run: Run, each: Mapping[str, Any]) -> str:
    """A run, and its versions where they are others than here."""
    if run.python == sys.executable or "error" in each:
        return run.what
    versions = ", ".join(f"{name} {each['versions'][name]}" for name in ("numpy", "numba"))
    return f"{run.what}, {versions}, {run.settings['SUBBIT_KERNELS']}"


def _weights() -> dict[str, np.ndarray]:
    """A small model: matrices, a convolution, an embedding, vectors."""
    random = np.random.default_rng(9)
    shapes = {
        "layers.0.q.weight": (192, 128), "layers.0.k.weight": (64, 128), "layers.0.up.weight": (257, 192),
        "layers.0.norm.weight": (128,), "conv.weight": (24, 16, 3, 3), "embed_tokens.weight": (300, 64),
    }  # fmt: skip
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
