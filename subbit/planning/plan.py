"""The Plan: pattern → codec, with what each is predicted to cost and lose. Executing it makes no choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from subbit.codecs import Codec, from_dict, to_dict
from subbit.errors import SubbitError, UsageError

__all__ = ["Plan", "Rule"]

VERSION = 1
_NUMBER = (int, float)
_FIELDS: dict[str, Any] = {
    "pattern": str, "codec": Mapping, "covered": bool, "weights": int, "bits": _NUMBER, "error": _NUMBER, "why": str,
}  # fmt: skip
"""What a rule may say in JSON."""


@dataclass(frozen=True)
class Rule:
    """Tensors whose name fits `pattern` go through `codec`; `covered` counts them against the budget.

    `bits` and `error` (relative squared error) are the planner's predictions for a single tensor, `weights` its
    size, `why` the reason in words; all are None or empty in rules that a user wrote.
    """

    pattern: str
    codec: Codec
    covered: bool = True
    weights: int | None = None
    bits: float | None = None
    error: float | None = None
    why: str = ""

    def fits(self, name: str) -> bool:
        """Whether the rule is for this tensor."""
        return name == self.pattern or fnmatchcase(name, self.pattern)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; predictions that are missing are left out."""
        out: dict[str, Any] = {"pattern": self.pattern, "codec": to_dict(self.codec), "covered": self.covered}
        optional = {"weights": self.weights, "bits": self.bits, "error": self.error, "why": self.why or None}
        out.update({key: value for key, value in optional.items() if value is not None})
        return out


@dataclass(frozen=True)
class Plan:
    """Rules in order: the first that fits a tensor decides. Print it, edit its JSON, pass it back."""

    rules: tuple[Rule, ...]
    budget: float | None = None

    def rule_for(self, name: str) -> Rule:
        """The first rule that fits; raises :class:`UsageError` if none does."""
        exact = self._exact.get(name, len(self.rules))
        for place in self._patterns:
            if place < exact and self.rules[place].fits(name):
                return self.rules[place]
        if exact < len(self.rules):
            return self.rules[exact]
        raise UsageError("no rule of the plan fits this tensor", kind="plan", tensor=name, hint='add a rule "*"')

    def using(self, pattern: str, codec: Codec) -> Plan:
        """The same plan with one rule in front of all others."""
        return replace(self, rules=(Rule(pattern, codec), *self.rules))

    @cached_property
    def _exact(self) -> dict[str, int]:
        """Where the first rule of each name stands: a plan may have one for each of 100,000 tensors."""
        return {rule.pattern: place for place, rule in reversed(list(enumerate(self.rules)))}

    @cached_property
    def _patterns(self) -> list[int]:
        """Where rules stand that may fit other names than their own."""
        return [place for place, rule in enumerate(self.rules) if any(sign in rule.pattern for sign in "*?[")]

    @property
    def covered_weights(self) -> int:
        """Weights that the budget covers, as far as the plan knows them."""
        return sum(rule.weights or 0 for rule in self.rules if rule.covered)

    @property
    def covered_bits(self) -> float:
        """Predicted bits of the covered tensors, container overhead included."""
        return sum(rule.bits or 0.0 for rule in self.rules if rule.covered)

    def to_json(self) -> str:
        """The plan as readable JSON; :meth:`from_json` reads it back to an equal plan."""
        rules = [rule.to_dict() for rule in self.rules]
        return json.dumps({"version": VERSION, "budget": self.budget, "rules": rules}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read an edited plan; raises :class:`UsageError` that names the rule that is wrong."""
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"the plan is not JSON: {error}", kind="plan") from None
        if not isinstance(value, dict) or value.get("version") != VERSION or not isinstance(value.get("rules"), list):
            raise UsageError(f'a plan is {{"version": {VERSION}, "rules": […]}}', kind="plan")
        budget = value.get("budget")
        if budget is not None and (isinstance(budget, bool) or not isinstance(budget, _NUMBER)):
            raise UsageError(f"a plan cannot have the budget {budget!r}", kind="plan")
        return cls(tuple(_rule(number, rule) for number, rule in enumerate(value["rules"])), budget)

    def __str__(self) -> str:
        lines = [f"{'bits':>7} {'error':>7}  codec     tensor"]
        for rule in self.rules:
            bits = f"{rule.bits / rule.weights:7.3f}" if rule.bits is not None and rule.weights else " " * 7
            error = f"{rule.error:7.4f}" if rule.error is not None else " " * 7
            why = f"  ({rule.why})" if rule.why else ""
            lines.append(f"{bits} {error}  {rule.codec.id:<9} {rule.pattern}{why}")
        if self.covered_weights:
            rate = self.covered_bits / self.covered_weights
            lines.append(f"{rate:7.3f}          predicted over {self.covered_weights:,} covered weights")
        return "\n".join(lines)


def _rule(number: int, value: Any) -> Rule:
    if not isinstance(value, dict) or not isinstance(value.get("pattern"), str):
        raise UsageError(f"rule {number} of the plan needs a pattern and a codec", kind="plan")
    for key, item in value.items():
        if key not in _FIELDS or not isinstance(item, _FIELDS[key]) or (type(item) is bool) != (key == "covered"):
            text = f"rule {number} ({value['pattern']!r}) of the plan cannot have {key} = {item!r}"
            raise UsageError(text, kind="plan", hint=f"known: {', '.join(_FIELDS)}")
    codec = value.get("codec")
    if not isinstance(codec, Mapping):
        raise UsageError(f"rule {number} ({value['pattern']!r}) of the plan has no codec", kind="plan")
    try:
        made = from_dict(codec)
    except SubbitError as error:
        raise UsageError(f"rule {number} ({value['pattern']!r}) of the plan: {error}", kind="plan") from None
    return Rule(**{**value, "codec": made})
