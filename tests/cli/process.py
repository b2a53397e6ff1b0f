"""Run the command line as users do, in a process of its own, and judge what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

__all__ = ["SIDE", "Result", "save", "start", "subbit", "until_tensors_are_done", "weights"]

SIDE = 64
"""Of a matrix that is just large enough to be handed out to workers."""


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def ok(self) -> str:
        """What a command that must succeed printed."""
        assert (self.code, "error" in self.err) == (0, False), self.err
        return self.out

    def json(self) -> Any:
        return json.loads(self.ok())

    def error(self, code: int = 1) -> str:
        """The one line of a command that must fail with this code and print nothing else."""
        assert (self.code, self.out) == (code, ""), self.err
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("subbit: error: ")
        return lines[0].removeprefix("subbit: error: ")


def subbit(*args: str | Path, cwd: Path, limit: Callable[[], None] | None = None, stdin: str | None = None) -> Result:
    """One call with the NumPy kernels (Numba takes longer to start than these files to code)."""
    done = subprocess.run(
        [sys.executable, "-m", "subbit_cli", *map(str, args)],
        cwd=cwd, env={**os.environ, "SUBBIT_KERNELS": "plain"}, preexec_fn=limit, input=stdin,
        capture_output=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


def weights() -> dict[str, np.ndarray]:
    """Two ordinary matrices, an embedding, a norm and a counter."""
    random = np.random.default_rng(0)
    return {
        "embed_tokens.weight": random.standard_normal((40, 64)).astype(np.float32),
        "layers.0.q.weight": (random.standard_normal((96, 128)) * 0.02).astype(np.float32),
        "layers.1.q.weight": (random.standard_normal((96, 128)) * 0.01).astype(np.float32),
        "norm.weight": np.ones(128, np.float32),
        "steps": np.array(7, np.int64),
    }


def save(path: Path, tensors: dict[str, np.ndarray] | None = None) -> Path:
    save_file(weights() if tensors is None else tensors, path, metadata={"format": "pt", "note": "a test"})
    return path


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own, begun but not awaited."""
    return subprocess.Popen(
        [sys.executable, "-m", "subbit_cli", "compress", "m.safetensors", *options], cwd=folder,
        env={**os.environ, "SUBBIT_KERNELS": "plain"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def until_tensors_are_done(path: Path) -> None:
    """Wait until a plan and some tensors stand in the journal."""
    journal, sizes, end = path.with_name(path.name + ".partial"), set[int](), time.monotonic() + 60
    while len(sizes) < 5:
        assert time.monotonic() < end
        if journal.exists():
            sizes.add(journal.stat().st_size)
        time.sleep(0.002)
