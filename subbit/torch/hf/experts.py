"""Experts that transformers fuses into one parameter, kept packed as the matrices that the file holds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import product
from typing import Any

from transformers.core_model_loading import (
    Concatenate,
    MergeModulelist,
    WeightConverter,
    rename_source_key,
)

from subbit.model import File
from subbit.packed import Packed
from subbit.planning.corrections import CORRECTION
from subbit.torch.experts import PackedExperts
from subbit.torch.packed import packed_weights

__all__ = ["keep_experts"]

Group = dict[tuple[int, int], str]
"""The names of the matrices that one parameter is made of, by expert and place in the expert."""


def keep_experts(
    model: Any, file: File, stored: Iterable[str], renamings: list[Any], converters: list[Any], *, fast: bool
) -> dict[str, str]:
    """Put :class:`PackedExperts` where a parameter's matrices can all stay packed: {name in file: name in the model}.

    Left alone are parameters that are more than experts one after the other, each of matrices one under the other.
    """
    places, kept = dict(model.state_dict()), dict[str, str]()
    for place, group in _groups(model, stored, renamings, converters, places).items():
        path, _, leaf = place.rpartition(".")
        module = model.get_submodule(path)
        experts = _packed(file, group, tuple(places[place].shape), fast)
        if experts is None or getattr(module, "is_transposed", True):
            continue
        delattr(module, leaf)
        setattr(module, leaf, PackedExperts(experts))
        kept |= dict.fromkeys(group.values(), place)
    return kept


def _groups(
    model: Any, stored: Iterable[str], renamings: list[Any], converters: list[Any], places: dict[str, Any]
) -> dict[str, Group]:
    stacking = {pattern: entry for entry in converters if _stacks(entry) for pattern in entry.source_patterns}
    groups: defaultdict[str, Group] = defaultdict(dict)
    for name in stored:
        place, pattern = rename_source_key(name, renamings, converters, model.base_model_prefix, places)
        if pattern not in stacking or place not in places:
            continue
        renamed = name
        for renaming in renamings:
            renamed, _ = renaming.rename_source_key(renamed)
        number = re.search(re.escape(pattern).replace(r"\*", r"(\d+)"), renamed)
        if number:
            groups[place][int(number[1]), stacking[pattern].source_patterns.index(pattern)] = name
    return groups


def _stacks(converter: WeightConverter) -> bool:
    """Whether it puts experts one after the other, and an expert's matrices one under the other."""
    steps = [(type(step), getattr(step, "dim", None)) for step in converter.operations]
    return steps in ([(MergeModulelist, 0)], [(MergeModulelist, 0), (Concatenate, 1)])


def _packed(file: File, group: Group, shape: tuple[int, ...], fast: bool) -> list[list[Packed]] | None:
    """The matrices of each expert, or None where one is missing, does not fit, or cannot stay packed."""
    parts = 1 + max(part for _, part in group)
    if set(group) != set(product(range(shape[0]), range(parts))) or any(n + CORRECTION in file for n in group.values()):
        return None
    found: dict[tuple[int, int], Packed] = {}
    for place, name in group.items():
        packed = packed_weights(file[name], fast=fast)
        if packed is None:
            return None
        found[place] = packed
    experts = [[found[expert, part] for part in range(parts)] for expert in range(shape[0])]
    sizes = {(sum(each.rows for each in matrices), *{each.columns for each in matrices}) for matrices in experts}
    return experts if sizes == {shape[1:]} else None
