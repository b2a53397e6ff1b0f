"""What the subbit of some Python makes of files and weights, as JSON: a script that needs nothing but subbit.

    python decoded.py GOLDEN [MAKE_GOLDEN CHECKPOINT FOLDER]

Decodes all files of GOLDEN. With the rest, also writes what `make_golden.py` writes to FOLDER, and compresses a
checkpoint: the bytes of all of it are to be the same everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
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
    golden, *rest = map(Path, sys.argv[1:])
    found: dict[str, Any] = {
        "python": ".".join(map(str, sys.version_info[:3])),
        "versions": {name: found for name in _PACKAGES if (found := _version(name))},
        "others": [name for name in _OTHERS if find_spec(name)],
        "from": os.fspath(Path(subbit.__file__).parent),
        "decoded": _decoded(golden),
    }
    if rest:
        make_golden, checkpoint, folder = rest
        command = [sys.executable, str(make_golden), "--output", str(folder)]
        subprocess.run(command, check=True)
        digests = json.loads((folder / "digests.json").read_text(encoding="utf-8"))
        found["encoded"] = {name: each["sha256"] for name, each in digests.items()}
        for profile in ("size", "speed"):
            target = folder / f"{profile}.sbit"
            subbit.compress(checkpoint, target, bits=1.0, profile=profile)
            found["encoded"][f"compress for {profile}"] = _sha256(target.read_bytes())
    print(json.dumps(found))


def _decoded(golden: Path) -> dict[str, str]:
    """The SHA-256 of every tensor of every golden file."""
    digests = json.loads((golden / "digests.json").read_text(encoding="utf-8"))
    found = {}
    for name in digests:
        path = golden / name
        for tensor, weights in subbit.load(path, base=path.parent / "parent.sbit").items():
            found[f"{name}:{tensor}"] = _sha256(np.ascontiguousarray(weights).tobytes())
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
