"""`python -m formats.plain_reader MODEL.sbit [PARENT.sbit]`: every tensor with the SHA-256 of its decoded elements."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from . import read

path, *parents = map(Path, sys.argv[1:])
try:
    found = read(path, read(parents[0], {}) if parents else {})
except (OSError, ValueError) as error:
    sys.exit(f"{path}: {error}")
for name, weights in found.items():
    print(hashlib.sha256(weights.tobytes()).hexdigest(), weights.dtype, list(weights.shape), name)
