"""`subbit eval --task`: a local task of the LM evaluation harness, without network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from subbit.errors import SubbitError, UsageError
from tests.cli.process import subbit
from tests.tiny_llama import save_tiny_llama

lm_eval = pytest.importorskip("lm_eval")
from subbit.torch.tasks import evaluate_tasks  # noqa: E402

CHOICES = ["one bit", "a weight", "none of them"]
TASK = """task: bits
dataset_path: json
dataset_kwargs: {data_files: {test: bits.jsonl}}
test_split: test
fewshot_split: test
num_fewshot: 1
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("tasks")
    torch.manual_seed(0)
    save_tiny_llama(home)
    subbit("compress", "model", "-o", "m.sbit", "--bits", "3", cwd=home).ok()
    words = ["less", "than", "one", "bit", "more", "and"]
    asked = [{"question": f"{word} than", "choices": CHOICES, "answer": k % 3} for k, word in enumerate(words)]
    (home / "bits.jsonl").write_text("".join(json.dumps(line) + "\n" for line in asked))
    (home / "bits.yaml").write_text(TASK)
    return home


@pytest.fixture
def there(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


def by_the_harness(model: Path, **options: Any) -> dict[str, float]:
    """What its own front door says of the dense model, loaded by transformers."""
    harness = lm_eval.models.huggingface.HFLM(pretrained=str(model), dtype="float32", device="cpu")
    manager = lm_eval.tasks.TaskManager(include_defaults=False)
    return lm_eval.simple_evaluate(harness, tasks=["bits.yaml"], task_manager=manager, **options)["results"]["bits"]


def test_scores_stand_beside_bits(home: Path) -> None:
    options = ["--against", "model", "--task", "bits.yaml", "--limit", "5"]
    text = subbit("eval", "m.sbit", *options, cwd=home).ok()
    lines = text.splitlines()
    assert lines[0].split() == ["file", "bits", "coded", "bits", "acc", "model"]
    assert [line.split()[-1] for line in lines[1:3]] == ["model", "m.sbit"]
    assert " ± " in lines[2]
    assert lines[-1] == "5 examples of bits"


def test_the_original_scores_what_the_harness_says(there: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file="model/tokenizer.json", bos_token="Ġ", eos_token="Ġ")
    tokenizer.save_pretrained(there / "named")
    for name in ("config.json", "model.safetensors"):
        (there / "named" / name).write_bytes((there / "model" / name).read_bytes())
    original, packed = evaluate_tasks(["named", "m.sbit"], ["bits.yaml"]).rows
    (score,) = original.scores
    known = by_the_harness(there / "named")
    assert (score.value, score.error) == (known["acc,none"], known["acc_stderr,none"])
    assert (score.task, score.metric, score.examples) == ("bits", "acc", 6)
    assert packed.bytes == (there / "m.sbit").stat().st_size
    assert 2 < packed.coded_bits_per_weight <= 3 < packed.bits_per_weight < original.bits_per_weight


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("absent.yaml", None, "absent.yaml"),
        ("broken.yaml", "task: [", "broken.yaml"),
        ("nodata.yaml", TASK.replace("bits.jsonl", "absent.jsonl"), r"absent\.jsonl"),
    ],
)
def test_tasks_that_cannot_be_loaded(there: Path, name: str, content: str | None, says: str) -> None:
    if content is not None:
        (there / name).write_text(content)
    with pytest.raises(UsageError, match=says) as caught:
        evaluate_tasks(["m.sbit"], [name])
    assert caught.value.kind == "task"
    assert "local files" in str(caught.value)


def test_models_that_cannot_be_asked(there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (there / "mute").mkdir()
    for name in ("config.json", "model.safetensors"):
        (there / "mute" / name).write_bytes((there / "model" / name).read_bytes())
    with pytest.raises(SubbitError, match=r"carries no tokenizer\.json"):
        evaluate_tasks(["mute"], ["bits.yaml"])
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(SubbitError, match=r'needs the package lm_eval .*pip install "subbit\[eval\]"'):
        evaluate_tasks(["m.sbit"], ["bits.yaml"])


def test_a_text_or_a_task(home: Path) -> None:
    for options in ([], ["--text", "text.txt", "--task", "bits.yaml"]):
        assert "--text FILE, or else --task TASK" in subbit("eval", "m.sbit", *options, cwd=home).error(code=2)
