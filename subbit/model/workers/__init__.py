"""Tensors handed out to other processes, of this machine or of a cluster: what comes back is what would be made here.

`materials` is what a worker opens, `tasks` what it does; `handing` keeps workers busy and does again what a killed one
had; `processes` are those of this machine, `cluster` those of a dask scheduler; `crew` is what compressing talks to.
"""

from __future__ import annotations

from subbit.model.workers.crew import Crew, worth_a_task
from subbit.model.workers.materials import Materials

__all__ = ["Crew", "Materials", "worth_a_task"]
