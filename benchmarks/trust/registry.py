"""The promises, and the modules of this folder that prove each."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from benchmarks.trust.proof import Proof

__all__ = ["PROMISES", "PROOFS", "prover"]

PROMISES = {
    1: "Loading runs no code",
    2: "Every flipped bit, truncation and appended byte is reported before a weight is handed out",
    3: "Only SubbitError leaves the reader, the decoders and the command line; kernels stay in their arrays",
    4: "Time and memory are bounded by what the file states, and that by limits",
    5: "One file, one meaning",
    6: "Old file or new file, never a torn one",
    7: "A killed compression resumes and gives the same bytes",
    8: "Files live for ever",
    9: "Decoding is bit-identical everywhere",
    10: "Figures are honest",
    11: "Signed files prove their origin",
    12: "Long runs leak nothing",
}

PROOFS: tuple[str, ...] = (
    "no_code",
    "flips",
    "edits",
    "fuzz",
    "commands",
    "guided",
    "bounded",
    "meaning",
    "for_ever",
    "honest",
    "signed_files",
    "guarded",
    "crash",
    "faults",
    "syscalls",
    "disks",
    "resume",
    "squeeze",
    "soak",
    "identical",
)
"""Modules of this folder, in the order they run."""


def prover(name: str) -> Callable[[float], list[Proof]]:
    """The `prove` of a module: a share of 1 is the whole proof, .01 about a hundredth of it."""
    found: Callable[[float], list[Proof]] = importlib.import_module(f"benchmarks.trust.{name}").prove
    return found
