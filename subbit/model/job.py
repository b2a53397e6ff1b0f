"""One compression as it goes: tensors of a source through the rules of a plan into the file that is being written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from subbit.curvature import Curvature
from subbit.errors import SubbitError
from subbit.figures import ERRORS, LOSSLESS, pack_errors
from subbit.model.encoding import encode_by_rule
from subbit.model.journal import Journal
from subbit.model.parent import Parent
from subbit.model.remaining import Remaining
from subbit.model.report import Report, TensorReport
from subbit.model.workers import Crew, worth_a_task
from subbit.planning import Plan
from subbit.records import Encoded
from subbit_formats.sbit import open_reader
from subbit_formats.sources import Source

__all__ = ["Importance", "Job", "Progress"]

Importance = Mapping[str, np.ndarray | Curvature]
"""What errors cost, by tensor: importance that broadcasts to the matrix, or curvature."""

Progress = Callable[[str, int, int, str], None]
"""Called with (what is being done, weights done, weights in all, the tensor's name).

While compressing, weights done are the share of the time that is over, times weights in all: codecs differ in how long
a weight takes. "resume" is told once, with the tensors that an earlier run has finished and tensors in all.
"""


class Job:
    """Adds tensors one by one, each by its rule; what was added stands in `done`.

    Encoding and decoding name file and tensor in every :class:`SubbitError`.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        writer: Any,
        importance: Importance | None = None,
        parent: Parent | None = None,
        allow_nonfinite: bool = False,
        progress: Progress | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.source = source
        self.plan = plan
        self.done: set[str] = set()
        self._rules = {name: plan.rule_for(name) for name in source}
        self._writer = writer
        self._importance = importance
        self._parent = parent
        self._allow_nonfinite = allow_nonfinite
        self._progress = progress
        self._journal = journal
        self._rows: list[TensorReport] = []
        self._order = list(reversed(list(source)))
        self._pending: dict[str, tuple[Encoded | None, bool]] = {}
        self._sizes = {name: (self._rules[name].codec.id, math.prod(source[name].shape)) for name in source}
        self._weights = sum(size for _, size in self._sizes.values())
        left = (size for name, size in self._sizes.items() if not self._finished(name))
        self._remaining = Remaining(left)
        self._since = time.perf_counter()

    def add(
        self, name: str, target: np.ndarray | None = None, importance: np.ndarray | Curvature | None = None
    ) -> np.ndarray | None:
        """Encode a tensor by its rule and write it; returns it decoded, None where nothing is lost.

        `target` is encoded in place of the weights, such as what makes up for errors elsewhere, and `importance` in
        place of what the job knows; the reported error is against the weights themselves.
        """
        tensor = self.source[name]
        self._tell(name)
        try:
            if self._finished(name):
                self._take(name)
                return None
            if importance is None and self._importance is not None:
                importance = self._importance.get(name)
            encoded, row, decoded = encode_by_rule(
                tensor, self._rules[name], importance, self._parent, self._allow_nonfinite, target
            )
            self._keep(encoded, row)
            return decoded
        except SubbitError as refused:
            raise refused.at(path=tensor.path, tensor=name) from None

    def share(self, crew: Crew) -> None:
        """Add what workers can do: large tensors that are not done yet, in the order in which they come back."""
        rules = {
            name: self._rules[name]
            for name, tensor in self.source.items()
            if worth_a_task(tensor) and name not in self.done and not self._finished(name)
        }
        for encoded, row in crew.encode(rules, self.source, self._allow_nonfinite):
            self._tell(row.name)
            self._keep(encoded, row)

    def _tell(self, name: str) -> None:
        if self._progress is not None:
            self._progress("compress", int(self._remaining.share() * self._weights), self._weights, name)

    def _keep(self, encoded: Encoded, row: TensorReport) -> None:
        if self._journal is not None:
            self._journal.keep(encoded, row)
        self._done(encoded, row)
        now = time.perf_counter()
        self._remaining.took(*self._sizes[row.name], now - self._since)  # with what came between: a model's own steps
        self._since = now

    def _finished(self, name: str) -> bool:
        """Whether an earlier run has encoded this tensor."""
        return self._journal is not None and name in self._journal

    def _take(self, name: str) -> None:
        """Take a tensor over from an earlier run, after looking whether it was made from the same weights."""
        assert self._journal is not None
        self._journal.inputs.check(name, self.source, self._parent)
        self._done(*self._journal.take(name))

    def _done(self, encoded: Encoded, row: TensorReport) -> None:
        self._rows.append(row)
        self._pending[row.name] = encoded, row.covered
        self.done.add(row.name)
        self._write()
        if self._journal is not None and row.name in self._pending:
            self._pending[row.name] = None, row.covered  # it waits on disk

    def _write(self) -> None:
        """Write what is next in the file's order: what comes later waits, in the journal if there is one."""
        while self._order and self._order[-1] in self._pending:
            name = self._order.pop()
            waiting, covered = self._pending.pop(name)
            encoded = waiting or self._again(name)
            self._writer.add(
                name, shape=encoded.shape, dtype=encoded.dtype, codec=encoded.codec, knobs=encoded.knobs,
                sections=encoded.sections, covered=covered,
            )  # fmt: skip

    def _again(self, name: str) -> Encoded:
        assert self._journal is not None
        return self._journal.take(name)[0]

    def finish(self) -> None:
        """Add what is left: tensors in the source's order, aliases, extras, and the errors that were measured."""
        for name in self.source:
            if name not in self.done:
                self.add(name)
        for name, other in self.source.aliases.items():
            self._writer.alias(name, other)
        for name, extra in self.source.extras.items():
            self._writer.extra(name, extra())
        lossy = sorted((row.name, row.error) for row in self._rows if row.codec not in LOSSLESS)
        if lossy:
            self._writer.extra(ERRORS, pack_errors([error for _, error in lossy]), compress=False)
        if self._progress is not None:
            self._progress("compress", self._weights, self._weights, "")

    def report(self) -> Report:
        """The figures of the file as it stands on disk, once the writer has closed it."""
        path: Path = self._writer.path
        index = path if path.exists() else path.with_name(path.name + ".index.json")
        rows = {row.name: row for row in self._rows}
        with open_reader(index) as file:
            sizes = {name: tensor.stored_bytes for name, tensor in file.tensors.items()}
            sized = tuple(replace(rows[name], bytes=sizes[name]) for name in self._rules)  # the source is closed
            return Report(index, file.size, file.weights, file.covered_bytes, file.covered_weights, sized)
