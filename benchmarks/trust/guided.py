"""Fuzzing that follows coverage (atheris, libFuzzer): what reaches new code is changed further.

`python -m benchmarks.trust.guided FOLDER -runs=N -seed=S` is the fuzzer itself, in a process of its own: FOLDER holds
the files it starts from. Checksums are made again after each change, so that it gets behind them.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.trust.proof import Proof

__all__ = ["fuzz", "prove"]

_RUNS = 20_000
_LARGEST = 10_000
_SMALL = 2000  # bytes of a file to start from: small ones are read faster
_INSTRUMENTED = ["subbit.codecs", "subbit.coders", "subbit.signs", "subbit.bits", "subbit_formats.sbit"]


def prove(share: float) -> list[Proof]:
    """Fuzz from the goldens and their tensors; nothing is tried where atheris is not installed."""
    runs = max(200, round(_RUNS * share))
    what = "files that a coverage-guided fuzzer forges, read whole: anything but a complete SubbitError"
    if find_spec("atheris") is None:
        return [Proof(3, what, 0, 0, note="atheris is not installed")]
    code, said = fuzz(runs)
    reached = re.findall(r"cov: (\d+)", said)
    note = f"{int(reached[-1]):,} branches of the reader and the decoders reached" if reached else ""
    return [Proof(3, what, runs, int(code != 0), (said[-300:],) if code else (), note)]


def fuzz(runs: int, *options: str) -> tuple[int, str]:
    """Exit code of the fuzzer, 0 for nothing found, and what it said."""
    from benchmarks.trust.seeds import goldens, room, single_tensors

    with room() as name:
        corpus = Path(name) / "corpus"
        corpus.mkdir()
        seeds = [*goldens().values(), *single_tensors().values()]
        for number, data in enumerate(data for data in seeds if len(data) <= _SMALL):
            (corpus / str(number)).write_bytes(data)
        fixed = (f"-runs={runs}", "-seed=1", f"-max_len={_LARGEST}", "-timeout=20", f"-artifact_prefix={name}/")
        command = [sys.executable, "-m", "benchmarks.trust.guided", str(corpus), *fixed, *options]
        environment = os.environ | {"SUBBIT_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, check=False)
        return done.returncode, done.stderr + done.stdout


def _main() -> None:
    import atheris

    with atheris.instrument_imports(include=_INSTRUMENTED):
        from benchmarks.trust import victim
    from benchmarks.trust.edits import changed_bytes
    from benchmarks.trust.forgery import change_section, spoiled
    from benchmarks.trust.seeds import goldens, room
    from formats.bad.forge import forged, take_apart

    folder = room()
    path = Path(folder.name) / "fuzzed.sbit"
    start = next(iter(goldens().values()))

    def read(data: bytes) -> None:
        path.write_bytes(data)
        if found := victim.use(path, ("plain",)):
            raise AssertionError(found[0])

    def change(data: bytes, largest: int, seed: int) -> bytes:
        chance = random.Random(seed)
        try:
            index, sections = take_apart(data)
            if chance.random() < 0.5:
                return spoiled(data, chance)[:largest]
            change_section(index, sections, chance, lambda part, _: atheris.Mutate(part, len(part) + 64))
            return forged(index, sections)[:largest]
        except Exception:  # what was changed before is no file any more
            return changed_bytes(start, chance)[:largest]

    atheris.Setup(sys.argv, read, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    _main()
