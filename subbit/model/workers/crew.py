"""The workers of one compression."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from subbit.errors import UsageError
from subbit.model.inputs import Inputs
from subbit.model.report import TensorReport
from subbit.model.workers import tasks
from subbit.model.workers.cluster import Cluster
from subbit.model.workers.handing import results
from subbit.model.workers.materials import Materials
from subbit.model.workers.processes import Processes
from subbit.planning import Look, Measured, Rule
from subbit.records import Encoded
from subbit_formats.sources import Source, SourceTensor

__all__ = ["Crew", "worth_a_task"]

_FEW = 4096


def worth_a_task(tensor: SourceTensor) -> bool:
    """Whether a tensor takes longer than handing it out: vectors are only copied."""
    return len(tensor.shape) >= 2 and math.prod(tensor.shape) >= _FEW


class Crew:
    """Processes of this machine, by their number, or the workers of a dask scheduler, by its address.

    The largest tensors are begun first, so that nobody waits long for the last; what comes back has no order.
    """

    def __init__(self, workers: int | str) -> None:
        if isinstance(workers, int) and workers < 1:
            raise UsageError(f"{workers} workers do no work", kind="workers", hint="1 or more, or an address")
        self._hands: Processes | Cluster = Processes(workers) if isinstance(workers, int) else Cluster(workers)
        self._materials: Materials | None = None
        self._inputs = Inputs()

    def begin(self, materials: Materials, inputs: Inputs) -> None:
        """Let every worker open the inputs; a :class:`SubbitError` says which cannot.

        What workers then read must agree with what `inputs` have seen.
        """
        self._materials, self._inputs = materials, inputs
        self._hands.begin(materials)

    def look(self, look: Look, source: Source, names: Iterable[str]) -> Iterator[tuple[str, Rule | Measured]]:
        """What planning has to know of tensors, by name."""
        return self._results(tasks.look, [(name, look.at(name)) for name in _largest_first(source, names)])

    def encode(
        self, rules: Mapping[str, Rule], source: Source, allow_nonfinite: bool
    ) -> Iterator[tuple[Encoded, TensorReport]]:
        """Tensors by their rules."""
        jobs = [(name, rules[name], allow_nonfinite) for name in _largest_first(source, rules)]
        return self._results(tasks.encode, jobs)

    def __enter__(self) -> Crew:
        self._hands.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hands.__exit__(kind, error, trace)

    def _results(self, function: Callable[..., Any], jobs: list[tuple[Any, ...]]) -> Iterator[Any]:
        assert self._materials is not None
        for found, hashes in results(self._hands, function, [(self._materials, *job) for job in jobs]):
            self._inputs.agree(hashes)
            yield found


def _largest_first(source: Source, names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: -math.prod(source[name].shape))
