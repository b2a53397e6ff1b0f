"""Budget → Plan: which codec and knobs for which tensor.

`plan` holds the frozen, printable Plan; `coverage` says which tensors the budget covers; `corrections` what a low-rank
correction stands for; `curves` measures what each tensor could cost and lose; `allocate` spends the budget where it
saves most; `planner` puts them together.
"""

from __future__ import annotations

from subbit.planning.coverage import Coverage
from subbit.planning.plan import Plan, Rule
from subbit.planning.planner import make_plan

__all__ = ["Coverage", "Plan", "Rule", "make_plan"]
