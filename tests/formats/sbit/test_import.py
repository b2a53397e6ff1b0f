from __future__ import annotations

import subprocess
import sys


def test_the_package_is_light() -> None:
    heavy = ("numpy", "torch", "numba", "zstandard")
    code = f"import sys, subbit_formats.sbit; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
