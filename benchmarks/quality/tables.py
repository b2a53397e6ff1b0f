"""The stored runs as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.quality.jobs import SELF, SHIPPED, Job
from benchmarks.quality.store import Results, Run
from benchmarks.quality.texts import TEXTS

__all__ = ["multiple", "short", "tables"]

LANGUAGE = "smollm2"
TITLES = {
    "minilm": "MiniLM-L6 (share of 100 half paragraphs that find their other half / rank correlation of similarities "
    "with the original's)",
    "efficientnet": "EfficientNet-Lite0 (accuracy on 20 pictures / cross entropy)",
    "crepe": "CREPE tiny (tones within 50 cents / median distance in cents)",
}


def tables(results: Results) -> str:
    """Those that there are runs for: SmolLM2, its rungs switched off one by one, the other models."""
    parts = [_ladder(results), _rungs(results), *(_other(results, model) for model in TITLES)]
    return "\n\n".join(part for part in parts if part)


def multiple(results: Results, run: Run, text: str) -> float:
    """Perplexity over that of the shipped model on the same text."""
    shipped = results.runs[Job(LANGUAGE, SHIPPED)]["figures"][text]["perplexity"]
    found: float = run["figures"][text]["perplexity"] / shipped
    return found


def _ladder(results: Results) -> str:
    """A row for all runs that differ in the text alone; × 1 is the shipped model."""
    shipped = results.runs.get(Job(LANGUAGE, SHIPPED))
    if shipped is None:
        return ""
    rows: dict[tuple[Job, bool], dict[str | None, Run]] = {}
    for job, run in results.runs.items():
        if job.model == LANGUAGE and job.method != SHIPPED and not job.without:
            own = job.text == SELF  # of no use to either text more than to the other
            rows.setdefault((replace(job, text=None), own), {})[None if own else job.text] = run
    before = ", ".join(f"{shipped['figures'][text]['perplexity']:.1f} on {text}" for text in TEXTS)
    heads = [f"{text}: calibrated on {how}" for text in TEXTS for how in ("it", "the other")]
    lines = [
        f"SmolLM2-135M, perplexity as a multiple of the shipped model's ({before}; its bits: "
        f"{shipped['coded_bits']:.2f}, file {shipped['file_bits']:.2f}) / divergence from it, nats a token:",
        "",
        "| " + " | ".join(["", "coded bits", "file bits", *heads, "seconds"]) + " |",
        "|---|" + "---:|" * 7,
    ]
    for (job, own), runs in sorted(rows.items(), key=lambda row: _bits(row[1])):
        label = job.key.removeprefix(f"{LANGUAGE}/").replace("/", ", ") + (", on text of its own" if own else "")
        lines.append(_row(results, label, runs))
    return "\n".join(lines)


def _row(results: Results, label: str, runs: Mapping[str | None, Run]) -> str:
    cells = []
    for text in TEXTS:
        other = next(each for each in TEXTS if each != text)
        for calibrated in (text, other):
            cells.append(_against(results, runs.get(calibrated, runs.get(None)), text))
    done = [run for run in runs.values() if "unavailable" not in run]
    bits = [_range([run[key] for run in done], 3) for key in ("coded_bits", "file_bits")]
    seconds = _range([run["compress_seconds"] for run in done], 0)
    return "| " + " | ".join([label, *bits, *cells, seconds]) + " |"


def _against(results: Results, run: Run | None, text: str) -> str:
    if run is None:
        return ""
    if "unavailable" in run:
        return _missing(run)
    return f"{short(multiple(results, run, text))} × / {short(run['figures'][text]['kl'])}"


def _rungs(results: Results) -> str:
    """What each rung is worth: it alone switched off, everything else as it was."""
    lines = ["| switched off | " + " | ".join(f"{text}, {bits:g} bit" for text, bits in _ablated(results)) + " |"]
    if not _ablated(results):
        return ""
    lines.append("|---|" + "---:|" * len(_ablated(results)))
    rungs = list(dict.fromkeys(job.without for job in results.runs if job.without))
    for rung in ["", *rungs]:
        cells = []
        for text, bits in _ablated(results):
            job = next((job for job in results.runs if _same(job, text, bits) and job.without == rung), None)
            cells.append("" if job is None else _against(results, results.runs[job], text))
        lines.append("| " + " | ".join([rung or "nothing", *cells]) + " |")
    title = "SmolLM2 calibrated on the text that it is evaluated on, each rung switched off alone:"
    return "\n".join([title, "", *lines])


def _ablated(results: Results) -> list[tuple[str, float]]:
    found = {(job.text, job.bits) for job in results.runs if job.without and job.text and job.bits}
    return sorted((text, bits) for text, bits in found if text and bits)


def _same(job: Job, text: str, bits: float) -> bool:
    return job == Job(LANGUAGE, job.method, bits, text, job.without)


def _other(results: Results, model: str) -> str:
    own = [(job, run) for job, run in results.runs.items() if job.model == model]
    figures = next((run["figures"] for _, run in own if "figures" in run), None)
    if figures is None:
        return ""
    heads = [*figures] if _nested(figures) else ["figures"]
    lines = ["| " + " | ".join(["", "coded bits", "file bits", *heads]) + " |", "|---|" + "---:|" * (2 + len(heads))]
    for job, run in sorted(own, key=lambda one: (one[0].method != SHIPPED, _bits({None: one[1]}))):
        label = job.key.partition("/")[2].replace("/", ", ")
        if "unavailable" in run:
            lines.append("| " + " | ".join([label, "", "", *[_missing(run)] * len(heads)]) + " |")
            continue
        parts = run["figures"].values() if _nested(figures) else [run["figures"]]
        cells = [" / ".join(short(value) for value in part.values()) for part in parts]
        lines.append("| " + " | ".join([label, f"{run['coded_bits']:.3f}", f"{run['file_bits']:.3f}", *cells]) + " |")
    return f"{TITLES[model]}:\n\n" + "\n".join(lines)


def _nested(figures: Mapping[str, Any]) -> bool:
    return isinstance(next(iter(figures.values())), dict)


def _missing(run: Run) -> str:
    return "refuses" if run["unavailable"].startswith("refuses") else "–"


def _bits(runs: Mapping[str | None, Run]) -> float:
    """What rows are ordered by; those without figures come last."""
    found: list[float] = [run.get("coded_bits", float("inf")) for run in runs.values()]
    return min(found)


def _range(values: Sequence[float], digits: int) -> str:
    """One number, or two where runs on different texts differ."""
    ends = dict.fromkeys(f"{value:.{digits}f}" for value in (min(values), max(values))) if values else {}
    return " … ".join(ends)


def short(value: float) -> str:
    """Three digits or whole numbers; powers of ten from 100,000."""
    if abs(value) >= 100_000:
        return f"{value:.0e}".replace("e+0", "e")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"
