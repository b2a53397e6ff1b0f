"""Budget → Plan: which codec and knobs for which tensor.

`plan` holds the frozen, printable Plan; `coverage` says which tensors the budget covers, `budget` how many bits it
leaves them; `corrections` what a low-rank correction stands for; `curves` measures what each tensor could cost and
lose, for the sign `planes` and `families` of codecs that suit it; `looking` is all that is done with one tensor;
`allocate` spends the budget where it saves most; `planner` puts them together.
"""

from __future__ import annotations

from subbit.planning.budget import check_bits
from subbit.planning.coverage import Coverage, check_patterns
from subbit.planning.curves import check_choices
from subbit.planning.looking import Look, Measured
from subbit.planning.parents import Find
from subbit.planning.plan import Plan, Rule
from subbit.planning.planner import make_plan

__all__ = [
    "Coverage", "Find", "Look", "Measured", "Plan", "Rule", "check_bits", "check_choices", "check_patterns",
    "make_plan",
]  # fmt: skip
