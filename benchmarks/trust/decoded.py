"""What the subbit of some Python makes of files and weights, as JSON: a script that needs nothing but subbit.

    python decoded.py GOLDEN PATTERN [CHECKPOINT FOLDER [MAKE_GOLDEN]]

Decodes the golden files whose names fit. With a checkpoint, also compresses it to FOLDER, and writes there what
`make_golden.py` writes: the bytes of all of it are to be the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import subbit

_PACKAGES = ("numpy", "numba", "zstandard", "xxhash", "msgspec", "ml_dtypes")
_OTHERS = ("torch", "numba", "click", "rich", "safetensors", "gguf", "transformers", "cryptography")


def main() -> None:
    """Decode, and where asked encode."""
    golden, pattern, *rest = sys.argv[1:]
    found: dict[str, Any] = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "others": [name for name in _OTHERS if find_spec(name)],
        "decoded": _decoded(Path(golden), pattern),
        "encoded": _encoded(*map(Path, rest)) if rest else {},
    }
    print(json.dumps(found))


def _decoded(golden: Path, pattern: str) -> dict[str, str]:
    """The SHA-256 of every tensor of the golden files."""
    found = {}
    for path in sorted(golden.glob(f"*/{pattern}")):
        name = path.relative_to(golden).as_posix()
        for tensor, weights in subbit.load(path, base=path.parent / "parent.sbit").items():
            found[f"{name}:{tensor}"] = _sha256(np.ascontiguousarray(weights).tobytes())
    return found


def _encoded(checkpoint: Path, folder: Path, make_golden: Path | None = None) -> dict[str, str]:
    """The SHA-256 of what is written."""
    found = {}
    for profile in ("size", "speed"):
        target = folder / f"{profile}.sbit"
        subbit.compress(checkpoint, target, bits=1.0, profile=profile)
        found[f"compress for {profile}"] = _sha256(target.read_bytes())
    if make_golden is not None:
        subprocess.run([sys.executable, str(make_golden), "--output", str(folder)], check=True)
        digests = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
        found |= {name: each["sha256"] for name, each in digests.items()}
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
