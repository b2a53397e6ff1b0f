"""Other Pythons and other packages: throw-away virtual environments with subbit in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

__all__ = ["READING", "ROOT", "environment", "pythons", "wheel"]

ROOT = Path(__file__).parents[2]
READING = ("numpy", "zstandard", "xxhash", "msgspec", "ml_dtypes")
"""What a device that only reads has beside subbit."""
_VERSIONS = tuple(f"3.{minor}" for minor in range(10, 15))
_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:2])))"


@cache
def pythons() -> dict[str, str]:
    """An interpreter of each version that subbit runs on and that is at hand: in SUBBIT_PYTHONS, on the PATH, or this.

    SUBBIT_PYTHONS names further ones as PATH does folders.
    """
    named = [name for name in os.environ.get("SUBBIT_PYTHONS", "").split(os.pathsep) if name]
    found: dict[str, str] = {}
    for candidate in (sys.executable, *named, *(f"python{version}" for version in _VERSIONS)):
        if path := shutil.which(candidate):
            done = subprocess.run([path, "-c", _VERSION], capture_output=True, text=True, check=False)
            if done.returncode == 0 and done.stdout.strip() in _VERSIONS:
                found.setdefault(done.stdout.strip(), path)
    return dict(sorted(found.items(), key=lambda item: _VERSIONS.index(item[0])))


def wheel(folder: Path) -> Path:
    """This checkout as a wheel."""
    _run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)])
    (built,) = folder.glob("*.whl")
    return built


def environment(python: str, folder: Path, built: Path, packages: Sequence[str], *, dependencies: bool = False) -> str:
    """Its interpreter, with these packages, what they depend on only if that is asked for, and subbit."""
    _run([python, "-m", "venv", str(folder)])
    inside = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    install = [inside, "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
    if dependencies:
        _run([*install, *packages])
    _run([*install, "--no-deps", *([] if dependencies else packages), str(built)])
    return inside


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
