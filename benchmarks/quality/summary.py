"""The few rows of the stored runs that README.md shows."""

from __future__ import annotations

from benchmarks.quality.jobs import Job
from benchmarks.quality.ours import CALIBRATED
from benchmarks.quality.store import Results, Run
from benchmarks.quality.tables import LANGUAGE, multiple, short
from benchmarks.quality.texts import TEXTS

__all__ = ["summary"]

PEERS = ("llama.cpp IQ1_S, across rows", "llama.cpp IQ2_XXS, across rows", "hqq 2-bit", "llama.cpp IQ1_S")
BITS = (0.5, 0.7, 1.0, 1.5)


def summary(results: Results) -> str:
    """SmolLM2 calibrated on the first text: perplexity there and on the other, as it is and healed, and peers'."""
    text = next(iter(TEXTS))
    heads = ["coded bits", "file bits", *(f"{each}{how}" for each in TEXTS for how in ("", ", healed"))]
    lines = [f"| calibrated on {text} | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for bits in BITS:
        pair = [_found(results, CALIBRATED, text, bits, healed) for healed in (False, True)]
        lines.append(_row(results, f"subbit, `--bits {bits:g}`", pair))
    lines += [_row(results, peer, [_found(results, peer, text, None, False), None]) for peer in PEERS]
    return "\n".join(lines)


def _found(results: Results, method: str, text: str, bits: float | None, healed: bool) -> Run | None:
    def fits(job: Job) -> bool:
        same = (job.model, job.method, job.bits, bool(job.heal)) == (LANGUAGE, method, bits, healed)
        return same and job.text in (None, text) and not job.without and not job.whole_file

    return next((run for job, run in results.runs.items() if fits(job) and "figures" in run), None)


def _row(results: Results, label: str, pair: list[Run | None]) -> str:
    plain = pair[0]
    bits = ["", ""] if plain is None else [f"{plain[key]:.3f}" for key in ("coded_bits", "file_bits")]
    cells = ["" if run is None else f"{short(multiple(results, run, text))} ×" for text in TEXTS for run in pair]
    return "| " + " | ".join([label, *bits, *cells]) + " |"
