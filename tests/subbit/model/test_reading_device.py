"""A device that only reads needs numpy, zstandard, xxhash, msgspec and ml_dtypes, and no other package."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[3]
NEEDED = ("numpy", "zstandard", "xxhash", "msgspec", "ml_dtypes")
PROGRAM = """
import sys
import subbit

parent, *paths = sys.argv[1:]
for path in paths:
    weights = subbit.load(path, base=parent)
    subbit.verify(path, base=parent)
    print(len(weights))
for name in ("torch", "numba", "click", "rich", "safetensors", "gguf"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    sys.exit(f"{name} is here after all")
"""


def test_every_golden_is_read_with_five_packages(tmp_path: Path) -> None:
    for name in NEEDED:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        packages = Path(spec.origin).parents[1]
        for part in (name, f"{name}.libs"):  # shared libraries of wheels stand beside the package
            if (packages / part).exists():
                (tmp_path / part).symlink_to(packages / part)
    golden = ROOT / "formats" / "golden" / "0.1"
    files = sorted(str(path) for path in golden.glob("*.sbit"))
    paths = os.pathsep.join(map(str, (tmp_path, ROOT, ROOT / "formats")))
    environment = {"PYTHONPATH": paths, "PATH": os.environ.get("PATH", "")}
    run = [sys.executable, "-S", "-c", PROGRAM, str(golden / "parent.sbit"), *files]  # -S: no site-packages
    done = subprocess.run(run, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(files) > 5
