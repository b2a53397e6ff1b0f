"""Memory while compressing stays near the largest tensor, whatever the size of the checkpoint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MIB = 1 << 20
LARGEST = 4 * MIB
MARGIN = 16 * MIB

CHILD = """
import sys
import numpy as np
import subbit

def peak():
    # not getrusage: there a child starts from the peak of its parent
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))

plan = subbit.Plan.from_json(sys.argv[3])
small = np.random.default_rng(0).standard_normal((600, 600)).astype(np.float16)
subbit.compress({"a": small}, sys.argv[2] + ".warm", plan=plan)
subbit.compress({"a": small}, sys.argv[2] + ".planned")
base = peak()
subbit.compress(sys.argv[1], sys.argv[2], plan=plan)
print(base, peak())
"""

PLANS = {
    codec: f'{{"version": 1, "rules": [{{"pattern": "*", "codec": {knobs}}}]}}'
    for codec, knobs in {
        "uniform": '{"codec": "uniform", "width": 4}',
        "deadzone": '{"codec": "deadzone", "rate": 0.8}',
    }.items()
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four shards of 8 MiB in bfloat16, the largest tensor 4 MiB; as float32 all would be twice the bound."""
    from benchmarks.memory import write_checkpoint

    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, total=32 * MIB, shard=8 * MIB, largest=LARGEST)
    return folder


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says")
@pytest.mark.parametrize("codec", PLANS)
def test_peak_memory(codec: str, checkpoint: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(checkpoint), str(tmp_path / "m.sbit"), PLANS[codec]]
    base, peak = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert peak - base < 4 * LARGEST + MARGIN
