"""A compression that was stopped goes on where it was and gives what an undisturbed one gives; nothing else does."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import subbit
from subbit.errors import SubbitError, UsageError
from subbit.model import encoding, inputs
from subbit.model.job import Progress
from subbit.model.journal import Journal

PLAN = subbit.Plan(()).using("*", subbit.DeadZone(2.0))


class StoppedError(Exception):
    """As a kill would be."""


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    found = {f"layer{k}.weight": random.standard_normal((40, 30)).astype(np.float32) for k in range(4)}
    return found | {"norm": np.ones(40, np.float32)}


def stop_at(name: str, doing: str = "compress") -> Progress:
    def progress(what: str, done: int, total: int, tensor: str) -> None:
        if (what, tensor) == (doing, name):
            raise StoppedError

    return progress


def stopped(path: Path, name: str = "layer2.weight", **options: Any) -> Path:
    """What a compression leaves that was stopped before a tensor."""
    options = {"checkpoint": arrays(), "plan": PLAN, "resume": True} | options
    with pytest.raises(StoppedError):
        subbit.compress(options.pop("checkpoint"), path, progress=stop_at(name), **options)
    assert os.listdir(path.parent) == [path.name + ".partial"]  # noqa: PTH208
    return path.with_name(path.name + ".partial")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for every tensor that is encoded."""
    lines: list[str] = []
    real = encoding.encode

    def encode(*arguments: Any) -> Any:
        lines.append("")
        return real(*arguments)

    monkeypatch.setattr(encoding, "encode", encode)
    return lines


@pytest.mark.parametrize("shard_bytes", [None, 2000])
@pytest.mark.parametrize("plan", [None, PLAN])
def test_it_goes_on_at_the_tensor_it_was_in(
    tmp_path: Path, encoded: list[str], shard_bytes: int | None, plan: subbit.Plan | None
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    options: dict[str, Any] = {"bits": 2.0, "shard_bytes": shard_bytes, "plan": plan}
    whole = subbit.compress(arrays(), tmp_path / "a/m.sbit", **options)
    stopped(tmp_path / "b/m.sbit", **options)
    del encoded[:]
    told: list[Any] = []
    report = subbit.compress(
        arrays(), tmp_path / "b/m.sbit", resume=True, progress=lambda *what: told.append(what), **options
    )
    assert ("resume", 2, 5, "") in told
    assert not any(what == "plan" for what, *_ in told)
    assert len(encoded) == 3
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert report.to_dict()["tensors"] == whole.to_dict()["tensors"]
    assert str(report) == str(whole)


def test_a_run_that_was_stopped_while_planning_plans_again(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        subbit.compress(arrays(), tmp_path / "m.sbit", bits=2.0, resume=True, progress=stop_at("layer3.weight", "plan"))
    told: list[str] = []
    subbit.compress(arrays(), tmp_path / "m.sbit", bits=2.0, resume=True, progress=lambda what, *_: told.append(what))
    assert "resume" not in told
    assert list(files(tmp_path)) == ["m.sbit"]


def changed(name: str) -> dict[str, np.ndarray]:
    found = arrays()
    found[name][0, 0] += 1e-6
    return found


CHANGES: list[tuple[str, dict[str, Any], str]] = [
    ("finished", {"checkpoint": changed("layer0.weight")}, "weights are not those"),
    ("to come", {"checkpoint": changed("layer3.weight")}, "weights are not those"),
    ("tensors", {"checkpoint": arrays() | {"more": np.ones(3)}}, "differs in: checkpoint"),
    ("plan", {"plan": PLAN.using("norm", subbit.Dense())}, "differs in: options"),
    ("budget", {"bits": 2.5}, "differs in: options"),
    ("costs", {"importance": {"layer0.weight": np.full((40, 1), 2.0)}}, "differs in: statistics"),
    ("parent", {"base": arrays()}, "differs in: parent"),
]


@pytest.mark.parametrize(("case", "change", "text"), CHANGES, ids=[case[0] for case in CHANGES])
def test_what_is_not_the_same_run_is_refused(tmp_path: Path, case: str, change: dict[str, Any], text: str) -> None:
    same = {"bits": 2.0} if case in ("to come", "budget") else {"plan": PLAN}  # with a plan weights to come are free
    partial = stopped(tmp_path / "m.sbit", **({"plan": None} | same))
    options = {"checkpoint": arrays(), "resume": True} | same
    with pytest.raises(SubbitError, match=text) as caught:
        subbit.compress(output=tmp_path / "m.sbit", **(options | change))
    assert caught.value.kind == "resume"
    assert str(partial) in str(caught.value)
    assert "to start anew" in str(caught.value)
    assert list(files(tmp_path)) == [partial.name]
    subbit.compress(output=tmp_path / "m.sbit", **options)
    assert list(files(tmp_path)) == ["m.sbit"]


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped(tmp_path / "m.sbit")
    monkeypatch.setattr(inputs, "__version__", "9.9")
    with pytest.raises(SubbitError, match="differs in: subbit"):
        subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True)


def test_the_parent_is_compared_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {"plan": subbit.Plan(()).using("*", subbit.Delta(rate=2.0)), "resume": True}
    parent = {name: weight + np.float32(0.01) * np.sign(weight) for name, weight in arrays().items()}
    stopped(tmp_path / "m.sbit", base=parent, **options)
    other = parent | {"layer1.weight": parent["layer1.weight"] * 2}
    with pytest.raises(SubbitError, match="its parent's weights are not those"):
        subbit.compress(arrays(), tmp_path / "m.sbit", base=other, **options)
    subbit.compress(arrays(), tmp_path / "m.sbit", base=parent, **options)
    (tmp_path / "a").mkdir()
    subbit.compress(arrays(), tmp_path / "a/m.sbit", base=parent, plan=options["plan"])
    assert (tmp_path / "a/m.sbit").read_bytes() == (tmp_path / "m.sbit").read_bytes()


def test_wherever_the_partial_file_is_cut_or_damaged(tmp_path: Path) -> None:
    subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN)
    whole = (tmp_path / "m.sbit").read_bytes()
    (tmp_path / "m.sbit").unlink()
    partial = stopped(tmp_path / "m.sbit", plan=PLAN)
    data = partial.read_bytes()
    damaged = bytearray(data)
    damaged[-5] ^= 1
    for kept in [bytes(damaged), data + bytes(4096), *(data[:size] for size in range(0, len(data), 97))]:
        partial.write_bytes(kept)
        subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True, force=True)
        assert (tmp_path / "m.sbit").read_bytes() == whole
        assert not partial.exists()


def test_what_is_something_else_is_refused(tmp_path: Path) -> None:
    partial = tmp_path / "m.sbit.partial"
    partial.write_bytes(b"precious")
    with pytest.raises(SubbitError, match="is not the work of a stopped compression"):
        subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True)
    assert files(tmp_path) == {partial.name: b"precious"}


@pytest.mark.skipif(os.name != "posix", reason="locks")
def test_one_process_at_a_time(tmp_path: Path) -> None:
    with Journal(tmp_path / "m.sbit") as journal:
        journal.begin({})
        with pytest.raises(SubbitError, match="another process is writing it"):
            subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True)
        assert journal.path.exists()


def test_errors_that_would_come_again_leave_nothing(tmp_path: Path) -> None:
    bad = arrays()
    bad["layer2.weight"][0, 0] = np.nan
    with pytest.raises(SubbitError, match="NaN"):
        subbit.compress(bad, tmp_path / "m.sbit", plan=PLAN, resume=True)
    assert files(tmp_path) == {}


def test_a_full_disk_leaves_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr("subbit_formats.sbit.atomic.os.fsync", full)
        with pytest.raises(SubbitError, match="then the same call goes on where it was") as caught:
            subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True)
    assert caught.value.kind == "disk-full"
    told: list[Any] = []
    subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True, progress=lambda *what: told.append(what))
    assert ("resume", 5, 5, "") in told


def test_an_existing_output_is_refused_first(tmp_path: Path) -> None:
    partial = stopped(tmp_path / "m.sbit")
    (tmp_path / "m.sbit").touch()
    with pytest.raises(UsageError, match="exists already"):
        subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True)
    assert partial.exists()


def test_what_is_calibrated_as_it_goes_is_refused(tmp_path: Path) -> None:
    options: list[dict[str, Any]] = [{"driver": lambda _: None}, {"importance": dict}]
    for option in options:
        with pytest.raises(UsageError, match="cannot be taken up again"):
            subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, resume=True, **option)


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        subbit.compress(arrays(), tmp_path / "m.sbit", plan=PLAN, progress=stop_at("layer2.weight"))
    assert files(tmp_path) == {}
