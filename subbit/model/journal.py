"""What a compression has finished, in a file beside its output: one that was killed goes on from there.

`model.sbit.partial` holds what the run is made of, its plan, then each tensor as it was encoded with its row of the
report, in the order they were finished.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from subbit.errors import SubbitError
from subbit.model.appended import AppendedFile, refused
from subbit.model.inputs import Inputs
from subbit.model.report import TensorReport
from subbit.planning import Plan
from subbit.records import Encoded

__all__ = ["Journal"]

_MAY_PASS = ("disk-full", "unwritable", "unreadable", "memory", "exists", "workers", "cluster")
"""Kinds of errors after which the same call may succeed."""


class _Run(msgspec.Struct, tag="run"):
    made_of: dict[str, str]


class _Plan(msgspec.Struct, tag="plan"):
    plan: str
    inputs: dict[str, str]


class _Tensor(msgspec.Struct, tag="tensor"):
    codec: str
    knobs: dict[str, Any]
    dtype: str
    sections: list[tuple[str, int]]
    row: TensorReport
    inputs: dict[str, str]


class Journal:
    """The file: a context manager that removes it at the end, and after errors that the same call would meet again.

    It stays after a kill, an interrupt, a full disk. From `begin` on `plan` is that of an earlier run, and `inputs`
    know what that has read. Raises :class:`SubbitError`, kind "resume" for a file that is of another run or that
    another process is writing.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(output.name + ".partial")
        self.plan: Plan | None = None
        self.inputs = Inputs()
        self._places: dict[str, int] = {}
        self._file: AppendedFile | None = None
        self._ours = False

    def begin(self, made_of: Mapping[str, str]) -> None:
        """Open the file, and find what an earlier run made of the same has finished."""
        self._file = AppendedFile(self.path)
        for place, head in self._file.records():
            try:
                record = msgspec.msgpack.decode(head, type=_Run | _Plan | _Tensor)
            except msgspec.MsgspecError:
                raise refused(self.path, "is of another version of subbit") from None
            if isinstance(record, _Run):
                other = [what for what in made_of if record.made_of.get(what) != made_of[what]]
                if other:
                    raise refused(self.path, f"is of another run, which differs in: {', '.join(other)}")
                self._ours = True
                continue
            self.inputs.seen |= record.inputs
            if isinstance(record, _Plan):
                self.plan = Plan.from_json(record.plan)
            else:
                self._places[record.row.name] = place
        if not self._ours:
            self._append(_Run(dict(made_of)))
            self._ours = True

    @property
    def finished(self) -> int:
        """How many tensors need not be encoded again."""
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def keep_plan(self, plan: Plan) -> None:
        """Append a plan, made from all that was read until now."""
        self._append(_Plan(plan.to_json(), self.inputs.seen))

    def keep(self, encoded: Encoded, row: TensorReport) -> None:
        """Append a tensor."""
        parts = {name: memoryview(part).cast("B") for name, part in encoded.sections.items()}
        sections = [(name, part.nbytes) for name, part in parts.items()]
        inputs = self.inputs.of(row.name)
        head = _Tensor(encoded.codec, dict(encoded.knobs), encoded.dtype, sections, row, inputs)
        self._places[row.name] = self._append(head, parts)

    def take(self, name: str) -> tuple[Encoded, TensorReport]:
        """A tensor that is finished, now or by an earlier run, and its row of the report."""
        assert self._file is not None
        record = self._file.read(self._places[name])
        if record is None:
            raise refused(self.path, "has changed")
        head, body, sections, start = msgspec.msgpack.decode(record[0], type=_Tensor), record[1], {}, 0
        for part, size in head.sections:
            sections[part] = body[start : start + size]
            start += size
        return Encoded(head.codec, head.knobs, head.row.shape, head.dtype, sections), head.row

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        stays = error is not None
        if self._ours and isinstance(error, SubbitError):
            stays = error.kind == "resume" or error.kind in _MAY_PASS
            if error.kind == "resume":
                error.hint = f"remove {self.path} to start anew"
            elif stays:
                error.hint = "; ".join([*filter(None, [error.hint]), "then the same call goes on where it was"])
        if self._ours and not stays:
            with suppress(OSError):  # the output is there, and the same call would only find all of it done
                self.path.unlink(missing_ok=True)
        self._file.close()

    def _append(self, head: msgspec.Struct, parts: Mapping[str, memoryview] = {}) -> int:
        assert self._file is not None
        return self._file.append(msgspec.msgpack.encode(head), list(parts.values()))
