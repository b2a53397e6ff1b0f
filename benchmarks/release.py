"""The distributions as their users get them: built, installed outside of the tree, and used, on old and new packages.

    SUBBIT_PYTHONS=/path/python3.10:/path/python3.13 python -m benchmarks.release

Builds sdist and wheel by `python -m build`, compares the wheel with one that is built from this tree, and uses it with
each Python at hand: with the oldest versions that pyproject.toml allows on the oldest, with the newest everywhere.
torch is left out: without it the library, and the commands that do not need it, must work. What is written must be the
same bytes everywhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

from benchmarks.trust.environments import ROOT, environment, pythons, wheel

RESULTS = Path(__file__).parent / "results" / "release.json"
_USED = """
import hashlib, json, subprocess, sys
from importlib.metadata import version
from pathlib import Path
import numpy as np
from safetensors.numpy import load_file, save_file
import subbit
assert "site-packages" in subbit.__file__ and (Path(subbit.__file__).parent / "py.typed").exists()
assert version("subbit") == subbit.__version__
weights = np.random.default_rng(0).standard_normal((256, 384), dtype=np.float32)
save_file({"w": weights, "norm": np.ones(384, np.float32)}, "m.safetensors")
command = [str(Path(sys.executable).with_name("subbit"))]
steps = (
    "compress m.safetensors --bits 0.8", "verify m.sbit --against m.safetensors", "inspect bits-per-weight m.sbit",
    "decompress m.sbit -o again.safetensors", "report m.sbit -o m.html",
)
for step in steps:
    subprocess.run(command + step.split(), check=True, capture_output=True)
loaded = subbit.load("m.sbit")["w"]
assert (load_file("again.safetensors")["w"] == loaded).all()
assert ((loaded - weights) ** 2).mean() < 0.4
packages = ("numpy", "numba", "safetensors", "click", "msgspec", "xxhash", "zstandard", "ml_dtypes", "rich", "gguf")
print(json.dumps({"sha256": hashlib.sha256(Path("m.sbit").read_bytes()).hexdigest(),
                  "versions": {name: version(name) for name in packages}}))
"""


def main() -> int:
    """Build, install, use, write results; 1 where bytes differ."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        built = distributions(folder / "dist")
        runs = [_use(folder, python, path, kind, built) for kind, python, path in _environments()]
    same = len({run["sha256"] for run in runs}) == 1
    results = {"wheel": built.name, "same_bytes": same, "runs": runs}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    for run in runs:
        print(f"Python {run['python']}, {run['packages']}: {run['versions']}")
    print(f"the same bytes everywhere: {same}")
    return int(not same)


def distributions(folder: Path) -> Path:
    """Build both, the wheel from the sdist; returns the wheel, whose contents are those of one built from the tree."""
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    if _contents(built) != _contents(wheel(folder / "tree")):
        raise SystemExit("the wheel from the sdist is not the one from the tree")
    return built


def _contents(built: Path) -> dict[str, int]:
    with zipfile.ZipFile(built) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def _environments() -> list[tuple[str, str, str]]:
    """Kind of packages, version and path of the interpreter."""
    found = pythons()
    oldest = next(iter(found))
    return [("oldest", oldest, found[oldest]), *(("newest", python, path) for python, path in found.items())]


def _use(folder: Path, python: str, path: str, kind: str, built: Path) -> dict[str, object]:
    home = folder / f"{python}-{kind}"
    home.mkdir()
    inside = environment(path, home / "venv", built, _requirements(kind), dependencies=True)
    done = subprocess.run([inside, "-I", "-c", _USED], cwd=home, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"Python {python}, {kind} packages:\n{done.stderr[-2000:]}")
    return {"python": python, "packages": kind, **json.loads(done.stdout)}


def _requirements(kind: str) -> list[str]:
    """What subbit depends on, but torch; the oldest are the lower bounds."""
    wanted = [Requirement(text) for text in requires("subbit") or []]
    plain = [each for each in wanted if each.marker is None and each.name != "torch"]
    return [str(each) if kind == "newest" else f"{each.name}~={_lowest(each)}" for each in plain]


def _lowest(requirement: Requirement) -> str:
    (bound,) = requirement.specifier
    return bound.version + ".0" * (2 - bound.version.count("."))


if __name__ == "__main__":
    sys.exit(main())
