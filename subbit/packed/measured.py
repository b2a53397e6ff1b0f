"""Which of several ways is the fastest here: found by trying, once, and kept for this machine.

What was found stands in `products.json` in the folder SUBBIT_CACHE, else XDG_CACHE_HOME/subbit, else ~/.cache/subbit;
where that cannot be written it is found again in every process. Delete the file to measure anew.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Lock

from subbit.codecs.blocks import thread_count

__all__ = ["Fastest", "fastest"]

_TRIES = 3


class Fastest:
    """Remembers by key the name of the way that took least time."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._found: dict[str, str] | None = None

    def __call__(self, key: str, ways: Mapping[str, Callable[[], object]]) -> str:
        """The name of the fastest way; where it is not known, all are tried, each `_TRIES` times."""
        if len(ways) == 1:
            return next(iter(ways))
        name = self._known().get(key, "")
        if name in ways:
            return name
        seconds = dict.fromkeys(ways, float("inf"))
        for turn in range(_TRIES + 1):  # the first compiles
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                if turn:
                    seconds[name] = min(seconds[name], time.perf_counter() - start)
        best = min(seconds, key=lambda name: seconds[name])
        self._keep(key, best)
        return best

    def _known(self) -> dict[str, str]:
        if self._found is None:
            try:
                stored = json.loads(self._path.read_text("utf-8"))
                self._found = {str(key): str(name) for key, name in stored[_machine()].items()}
            except (OSError, ValueError, KeyError, AttributeError, TypeError):
                self._found = {}
        return self._found

    def _keep(self, key: str, name: str) -> None:
        with self._lock:
            found = self._known()
            found[key] = name
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with NamedTemporaryFile("w", dir=self._path.parent, encoding="utf-8", delete=False) as file:
                    json.dump({_machine(): found}, file, indent=1)
                Path(file.name).replace(self._path)
            except OSError:
                pass


def fastest(key: str, ways: Mapping[str, Callable[[], object]]) -> str:
    """:class:`Fastest` of this machine, for the number of threads in use."""
    return _here()(f"{key}, {thread_count()} threads", ways)


@cache
def _here() -> Fastest:
    return Fastest(_folder() / "products.json")


def _folder() -> Path:
    if chosen := os.environ.get("SUBBIT_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "subbit"


def _machine() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()}"
