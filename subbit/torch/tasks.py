"""How compressed language models do in tasks of the LM evaluation harness, beside the bits that they take."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from subbit.errors import SubbitError, UsageError
from subbit.torch.calibration.loading import load_pretrained, open_weights
from subbit.torch.evaluation import NO_TOKENIZER, stored_size
from subbit.torch.pretrained import package

__all__ = ["Score", "TaskEvaluation", "TaskRow", "evaluate_tasks"]

_INSTALL = 'pip install "subbit[eval]"'
_SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token")
_YAML = (".yaml", ".yml")
_SEED = 1234
"""The harness's own, for the examples that it shows before the question."""


@dataclass(frozen=True)
class Score:
    """One metric of one task or group of tasks: its mean over the task's `examples`, its standard error if known."""

    task: str
    metric: str
    value: float
    error: float | None
    examples: int | None


@dataclass(frozen=True)
class TaskRow:
    """One model: its size, and how it did."""

    path: Path
    bytes: int
    bits_per_weight: float
    coded_bits_per_weight: float | None
    scores: tuple[Score, ...]


@dataclass(frozen=True)
class TaskEvaluation:
    """The models in the order in which they were given; all have the same scores in the same order."""

    tasks: tuple[str, ...]
    limit: int | None
    rows: tuple[TaskRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, version 1."""
        rows = [{**asdict(row), "path": str(row.path)} for row in self.rows]
        return {"version": 1, "tasks": list(self.tasks), "limit": self.limit, "rows": rows}


def evaluate_tasks(
    files: Sequence[str | PathLike[str]],
    tasks: Sequence[str],
    *,
    limit: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> TaskEvaluation:
    """Let the harness (package lm_eval) ask every model the same questions, one model in memory at a time.

    `files` are those of :func:`evaluate`, decoded to float32. `tasks` are YAML files of tasks, which need no network
    where their data are local files (named there as seen from the current folder), or names that the harness knows.
    Task files may name Python functions, which run: take them from whom you trust. `limit` bounds the examples of a
    task. Raises :class:`SubbitError` for a missing package (kind "package"), tasks that cannot be loaded ("task"),
    models without tokenizer ("tokenizer"), and all that loading raises.
    """
    for needed in ("transformers", "accelerate", "lm_eval"):
        package(needed, _INSTALL)
    loaded = _load(tasks)
    rows = []
    for done, path in enumerate(map(Path, files)):
        if progress is not None:
            progress(done, len(files), str(path))
        rows.append(TaskRow(path, *stored_size(path), tuple(_ask(_answering(path), loaded, limit))))
    return TaskEvaluation(tuple(tasks), limit, tuple(rows))


def _load(tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Tasks and groups as the harness keeps them; its own hundreds are listed only where one of them is named."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_defaults=any(not task.endswith(_YAML) for task in tasks))
    loaded: dict[str, dict[str, Any]] = {"tasks": {}, "groups": {}, "group_map": {}}
    for name in tasks:
        try:
            found = manager.load([name])
        except Exception as error:  # anything at all: of YAML, of data sets, of the network, of functions in the file
            hint = "a YAML file, or a name that `lm-eval ls tasks` lists; without network its data must be local files"
            text = f"task {name!r} cannot be loaded: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
            raise UsageError(text, kind="task", hint=hint) from error
        for part, entries in loaded.items():
            entries.update(found.get(part, {}))
    for task in loaded["tasks"].values():
        if task.get_config("num_fewshot") is None:
            task.set_config(key="num_fewshot", value=0)
    return loaded


def _answering(path: Path) -> Any:
    """A model as the harness takes it, with transformers' tokenizer around that of the file; draws no bars."""
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    model, tokenizer = load_pretrained(path)
    if tokenizer is None:
        raise SubbitError("carries no tokenizer.json", kind="tokenizer", path=path, hint=NO_TOKENIZER)
    special = _special_tokens(path, model.config, tokenizer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)
    answering = HFLM(pretrained=model, tokenizer=wrapped)
    for way in ("loglikelihood", "loglikelihood_rolling", "generate_until"):
        setattr(answering, way, partial(getattr(answering, way), disable_tqdm=True))
    return answering


def _special_tokens(path: Path, config: Any, tokenizer: Any) -> dict[str, str]:
    """As tokenizer_config.json names them, else as the model's configuration numbers them."""
    with open_weights(path) as source:
        named = json.loads(source.extras["tokenizer_config.json"]()) if "tokenizer_config.json" in source.extras else {}
    found = {}
    for key in _SPECIAL:
        token = named.get(key)
        token = token.get("content") if isinstance(token, Mapping) else token
        number = getattr(config, f"{key}_id", None)
        if token is None and isinstance(number, int):
            token = tokenizer.id_to_token(number)
        if isinstance(token, str):
            found[key] = token
    return found


def _ask(answering: Any, loaded: dict[str, dict[str, Any]], limit: int | None) -> Iterator[Score]:
    from lm_eval.evaluator import evaluate

    for task in loaded["tasks"].values():
        task.set_fewshot_seed(seed=_SEED)
    found = evaluate(lm=answering, task_dict=loaded, limit=limit, log_samples=False)
    for task, results in sorted(found["results"].items()):
        examples = found["n-samples"].get(task, {}).get("effective")
        for key, value in results.items():
            metric, _, kind = key.partition(",")
            if kind and not metric.endswith("_stderr"):
                error = results.get(f"{metric}_stderr,{kind}")
                known = isinstance(error, float) and math.isfinite(error)
                yield Score(task, metric if kind == "none" else key, float(value), error if known else None, examples)
