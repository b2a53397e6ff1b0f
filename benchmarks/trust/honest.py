"""Figures are honest: bits and errors counted again from the bytes, and figures that somebody changed."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

import subbit
from benchmarks.trust.pinning import pin
from benchmarks.trust.proof import Proof
from benchmarks.trust.specimens import CODECS
from formats.bad.forge import canonical, forged, take_apart
from subbit.analysis.bits_per_weight import count_bits
from subbit.analysis.contents import list_tensors
from subbit.figures import ERRORS
from subbit_formats.sbit import open_reader

__all__ = ["prove"]

BUDGETS: tuple[dict[str, Any], ...] = (
    *({"bits": bits, "profile": profile} for bits in (0.6, 1.0, 2.0, 4.0) for profile in ("size", "speed")),
    *({"file_bits": bits, "profile": profile} for bits in (3.0, 6.0) for profile in ("size", "speed")),
    *({"bits": 3.0, "signs": signs} for signs in ("joint", "fitted", "stored", "base")),
    *({"bits": 2.0, "shard_bytes": size} for size in (3000, 9000)),
    {"bits": 2.0, "embeddings": 4, "cover": ["*norm*"]},
)
FORGERIES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "smaller by a hundred-thousandth": lambda figures, k: _with(figures, k, figures[k] * (1 - 1e-5)),
    "larger by a hundred-thousandth": lambda figures, k: _with(figures, k, figures[k] * (1 + 1e-5)),
    "a tenth": lambda figures, k: _with(figures, k, figures[k] / 10),
    "nothing": lambda figures, k: _with(figures, k, 0.0),
    "no number": lambda figures, k: _with(figures, k, math.nan),
    "that of another tensor": lambda figures, k: _with(figures, k, figures[k - 1]),
    "left out": np.delete,
}


def _with(figures: np.ndarray, place: int, figure: float) -> np.ndarray:
    changed = figures.copy()
    changed[place] = figure
    return changed


def prove(share: float) -> list[Proof]:
    """Write files by all codecs and kinds of budgets, count them again by SPEC.md, and forge their figures."""
    wrong, unnoticed, forgeries = [], [], 0
    jobs: list[dict[str, Any]] = [*BUDGETS, *({"codec": codec} for codec in CODECS)]
    numbers = range(0, len(jobs), math.ceil(1 / share))
    for number in numbers:
        with tempfile.TemporaryDirectory() as folder:
            case = written(Path(folder), jobs[number], number)
            wrong += [f"{jobs[number]}: {what}" for what in (*bits(case, jobs[number]), *errors(case))]
            for what in forged_files(case):
                forgeries += 1
                if not refused(case):
                    unnoticed.append(f"{jobs[number]}: {what}")
    what = "files of all codecs, budgets and shards whose bits and errors were counted again"
    return [
        Proof(10, what, len(numbers), len(wrong), tuple(wrong[:10])),
        Proof(10, "stated errors forged under right checksums", forgeries, len(unnoticed), tuple(unnoticed[:10])),
    ]


class Case(NamedTuple):
    """A checkpoint, what was made of it, and the parent that it needs."""

    original: Path
    base: dict[str, np.ndarray] | None
    report: subbit.Report


def written(folder: Path, job: dict[str, Any], seed: int) -> Case:
    """Tensors of several kinds, and what a job makes of them."""
    random, options, base = np.random.default_rng([10, seed]), dict(job), None
    arrays = {f"layers.{k}.weight": random.standard_normal((96, 64 + k)).astype(np.float32) for k in range(3)}
    arrays |= {"half.weight": random.standard_normal((40, 3, 3, 3)).astype(np.float16), "norm": np.ones(64, np.float32)}
    arrays |= {"embed_tokens.weight": random.standard_normal((80, 64)).astype(np.float32), "steps": np.array(7)}
    save_file(arrays, folder / "m.safetensors")
    if codec := options.pop("codec", None):
        options["plan"] = subbit.plan(arrays, bits=4.0).using("layers.*", codec).using("half.*", codec)
    if options.get("signs") == "base":
        base = {name: array + array.dtype.type(1) / 8 for name, array in arrays.items() if name != "steps"}
    return Case(folder / "m.safetensors", base, subbit.compress(folder / "m.safetensors", base=base, **options))


def bits(case: Case, job: dict[str, Any]) -> Iterator[str]:
    """Sizes and bits that are not those of the bytes on disk, and budgets that were not kept."""
    report = case.report
    total, covered, sizes = bytes_of(report.path)
    with open_reader(report.path) as archive:
        inspected = count_bits(archive)
    if not total == report.file_bytes == inspected["file"]["bytes"]:
        yield f"{total} bytes on disk, {report.file_bytes} reported, {inspected['file']['bytes']} inspected"
    if not covered == report.coded_bytes == inspected["coded"]["bytes"]:
        yield f"{covered} coded bytes, {report.coded_bytes} reported, {inspected['coded']['bytes']} inspected"
    if sizes != {row.name: row.bytes for row in report.tensors}:
        yield "a tensor has another size than reported"
    weights = {row.name: math.prod(row.shape) for row in report.tensors}
    file = 8 * total / sum(weights.values())
    coded = 8 * covered / max(sum(weights[row.name] for row in report.tensors if row.covered), 1)
    if (report.bits_per_weight, report.coded_bits_per_weight) != (file, coded):
        yield f"{file} and {coded} bits a weight, {report.bits_per_weight} and {report.coded_bits_per_weight} reported"
    if coded > job.get("bits", math.inf) or file > job.get("file_bits", math.inf):
        yield f"{coded} bits a coded weight and {file} of the file are more than was allowed"


def bytes_of(path: Path) -> tuple[int, int, dict[str, int]]:
    """Bytes on disk, those that the budget covers, and those of each tensor, by SPEC.md's "What counts as a bit"."""
    shards = (
        [path.with_name(name) for name in json.loads(path.read_bytes())["files"]] if path.suffix == ".json" else [path]
    )
    covered, sizes = 0, {}
    for shard in shards:
        index, _ = take_apart(shard.read_bytes())
        end, used = 128, set()
        for tensor in index["tensors"]:
            before = end
            for _, size in tensor["sections"]:
                end += size + (size and -end % (64 if size >= 4096 else 8))
            sizes[tensor["name"]] = end - before + 16 * len(tensor["sections"]) + len(canonical(tensor)) + 1
            if tensor.get("covered", True):
                covered += sizes[tensor["name"]]
                used.add(tensor["codec"])
        covered += sum(len(canonical(index["codecs"][number])) + 1 for number in used)
    return sum(file.stat().st_size for file in {path, *shards}), covered, sizes


def errors(case: Case) -> Iterator[str]:
    """Errors, reported or stated, that are not those of the decoded weights."""
    decoded, original = subbit.load(case.report.path, base=case.base), load_file(case.original)
    with open_reader(case.report.path) as archive:
        stated = {row["name"]: row["error"] for row in list_tensors(archive)["tensors"]}
    for row in case.report.tensors:
        weight, found = (array.astype("f8") for array in (original[row.name], decoded[row.name]))
        measured = float(np.sum((weight - found) ** 2) / np.sum(weight**2))
        if not math.isclose(row.error, measured, rel_tol=1e-9):
            yield f"{row.name} has the error {measured}, {row.error} reported"
        if not math.isclose(stated[row.name], measured, rel_tol=1e-6):
            yield f"{row.name} has the error {measured}, the file states {stated[row.name]}"


def forged_files(case: Case) -> Iterator[str]:
    """The file with other figures, once for each tensor and way; what was done, while it stands on the disk."""
    path = case.report.path
    files = json.loads(path.read_bytes())["files"] if path.suffix == ".json" else {}
    holder = path.with_name(min(files)) if files else path
    good, good_index = holder.read_bytes(), path.read_bytes()
    index, sections = take_apart(good)
    place = [extra["name"] for extra in index["extras"]].index(ERRORS) - len(index["extras"])
    figures = np.frombuffer(sections[place], "<f4")
    for what, change in FORGERIES.items():
        for number in range(len(figures)):
            if np.array_equal(changed := change(figures, number), figures):
                continue  # that of the only tensor
            sections[place] = changed.astype("<f4").tobytes()
            index["extras"][place]["size"] = len(sections[place])
            holder.write_bytes(forged(index, sections))
            if files:
                pin(path, holder)
            yield f"{what}, {number}"
    path.write_bytes(good_index)
    holder.write_bytes(good)


def refused(case: Case) -> bool:
    """Whether the file is whole by its checksums and refused for its figures."""
    with open_reader(case.report.path) as archive:
        archive.verify()
    try:
        subbit.verify(case.report.path, against=case.original, base=case.base)
    except subbit.SubbitError as error:
        return error.kind == "figures"
    return False
