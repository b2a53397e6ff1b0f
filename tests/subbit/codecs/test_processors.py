"""What a file decodes to does not depend on the processor, nor on whether there is a compiler."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from checks import weights

from subbit import (
    DeadZone,
    Dense,
    Factors,
    LowBit,
    OneOfN,
    Scales,
    Signed,
    Trellis,
    TrellisMagnitudes,
    Uniform,
    Vector,
)
from subbit.codecs.base import stored_knobs
from subbit.records import Encoded
from subbit.signs import Angle, Fitted, Hadamard, Hashed, LowRank, Stored

CODECS = [
    *(Signed(plane, Vector(16, 64)) for plane in (Angle(seed=1), Hashed(seed=1), Stored(), Fitted())),
    *(Signed(plane, Scales()) for plane in (Hadamard(seed=1), LowRank(seed=1, rank=4))),
    *(Signed(Stored(), magnitudes) for magnitudes in (Vector(17, 32), Vector(6, 16), OneOfN(), LowBit(0.7))),
    *(Signed(Angle(seed=2), TrellisMagnitudes(1.0, variable=variable, state_bits=8)) for variable in (False, True)),
    *(Trellis(rate, variable=False, state_bits=8) for rate in (0.5, 1.0)),
    Trellis(0.7, state_bits=8),
    Trellis(0.5, state_bits=8, rotation=1),
    DeadZone(0.6),
    *(Uniform(width=width) for width in (3, 4, 8)),
    Factors(1.0),
    Dense(),
]
DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16)
SHAPE = (24, 192)


def digests(path: Path) -> list[str]:
    """One for each codec, of its numbers in all types."""
    stored, found = np.load(path), []
    for place, codec in enumerate(CODECS):
        names = [name for name in stored.files if name.startswith(f"{place} ")]
        sections = {name.split()[1]: stored[name].tobytes() for name in names}
        encoded, whole = Encoded(codec.id, stored_knobs(codec), SHAPE, "float32", sections), hashlib.sha256()
        for dtype in DTYPES:
            whole.update(codec.decode(encoded, np.zeros(SHAPE, dtype)).tobytes())
        found.append(f"{codec}: {whole.hexdigest()}")
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weight, sections = weights(SHAPE, seed=3), {}
    for place, codec in enumerate(CODECS):
        for name, section in codec.encode(weight).sections.items():
            sections[f"{place} {name}"] = np.frombuffer(section, np.uint8)
    found: Path = tmp_path_factory.mktemp("encoded") / "sections.npz"
    np.savez(found, **sections)
    return found


@pytest.mark.parametrize("setting", ["NUMBA_CPU_NAME=generic", "SUBBIT_KERNELS=plain"])
def test_decoded_bits_are_the_same(setting: str, path: Path, tmp_path: Path) -> None:
    name, value = setting.split("=")
    here = {"PYTHONPATH": os.pathsep.join(sys.path), "NUMBA_CACHE_DIR": str(tmp_path), name: value}
    found = subprocess.run(
        [sys.executable, __file__, str(path)], env={**os.environ, **here}, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == digests(path)


if __name__ == "__main__":
    print("\n".join(digests(Path(sys.argv[1]))))
