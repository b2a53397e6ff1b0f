"""The command: runs proofs, keeps what they found, shows it."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import benchmarks.trust
from benchmarks.rate import machine
from benchmarks.report import publish
from benchmarks.trust.registry import PROMISES, PROOFS, prover

RESULTS = Path(__file__).parent.parent / "results" / "trust.json"
PEERS = ("safetensors", "gguf-py", "zstd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, prove, show; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.trust",
        description=benchmarks.trust.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("proofs", nargs="*", metavar="PROOF", help=f"of {', '.join(PROOFS)}; all if none is named")
    parser.add_argument("--share", type=float, default=1.0, help="how much of each proof; less than 1 is not kept")
    parser.add_argument("--docs", action="store_true", help="only put the stored table into docs/")
    options = parser.parse_args(arguments)
    if unknown := set(options.proofs) - set(PROOFS):
        parser.error(f"no such proof: {', '.join(sorted(unknown))}")
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    stored = {"version": 1, "proofs": {}} | results
    if options.docs:
        publish("trust", table(stored))
        return 0
    for name in options.proofs or PROOFS:
        start = time.monotonic()
        found = [asdict(proof) for proof in prover(name)(options.share)]
        seconds = round(time.monotonic() - start, 1)
        for proof in found:
            line = f"{name}: {proof['what']}: {proof['failed']} of {proof['tried']} failed ({seconds} s)"
            print("\n  ".join([line, *proof["failures"]]), file=sys.stderr, flush=True)
        stored["proofs"][name] = {"machine": machine(), "seconds": seconds, "share": options.share, "found": found}
        if options.share == 1:
            order = {name: stored["proofs"][name] for name in PROOFS if name in stored["proofs"]}
            RESULTS.write_text(json.dumps(stored | {"proofs": order}, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(table(stored))
    ran = options.proofs or PROOFS
    return int(any(proof["failed"] for name in ran for proof in stored["proofs"][name]["found"]))


def table(stored: dict[str, Any]) -> str:
    """A row for each thing that was tried, the first of a promise with its name."""
    lines = [
        "| promise | tried | times | broken | " + " | ".join(PEERS) + " |",
        "|---|---|---:|---:|" + "---|" * len(PEERS),
    ]
    found = [proof for run in stored["proofs"].values() for proof in run["found"]]
    for number, promise in PROMISES.items():
        name = f"{number}. {promise}"
        for proof in (proof for proof in found if proof["promise"] == number):
            what = proof["what"] + (f" ({proof['note']})" if proof["note"] else "")
            cells = [name, what, f"{proof['tried']:,}", str(proof["failed"])]
            cells += [proof["peers"].get(peer, "") for peer in PEERS]
            lines.append("| " + " | ".join(cells) + " |")
            name = ""
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
