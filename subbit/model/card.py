"""The model card of a compressed model: what a hub's page says of it, figures with their bits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from subbit.errors import SubbitError
from subbit.model.file import File

__all__ = ["model_card", "read_quality"]

_LOAD = """```
pip install "subbit[hf]"
```

```python
import subbit.torch.hf  # before from_pretrained
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("FOLDER")
```"""


def model_card(file: File, base_model: str | None = None, quality: Mapping[str, Any] | None = None) -> str:
    """Markdown with a YAML head: library, base model, bits of the coded weights and of the whole file, codecs.

    `quality` is what :func:`read_quality` gives: a table of its figures follows, bits beside them.
    """
    head = ["library_name: subbit", "tags:", "- subbit", "- quantized"]
    if base_model is not None:
        head.append(f"base_model: {json.dumps(base_model, ensure_ascii=False)}")
        head.append("base_model_relation: quantized")
    codecs = Counter(entry.codec for entry in file.archive.tensors.values() if entry.covered)
    listed = ", ".join(f"{codec} ({count})" for codec, count in codecs.most_common())
    parts = [
        "\n".join(["---", *head, "---"]),
        f"# {base_model or 'A model'}, compressed with subbit",
        f"**{file.bits_per_weight:.3f} bits a weight** over the whole file ({file.archive.size:,} bytes, "
        f"{file.archive.weights:,} weights), {file.coded_bits_per_weight:.3f} over the coded tensors: bytes on disk × "
        "8 ÷ weights, with scales, codebooks, headers and checksums in it.",
        f"Codecs of the coded tensors: {listed or 'none'}.",
        _LOAD,
    ]
    if quality is not None:
        parts += ["## Quality", _table(quality)]
    return "\n\n".join(parts) + "\n"


def read_quality(path: str | PathLike[str]) -> dict[str, Any]:
    """What `subbit eval --json` printed; raises :class:`SubbitError` (kind "quality") for anything else."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
        if found["version"] == 1 and all(len(row["perplexity"]) == 3 for row in found["rows"]):
            return dict(found)
    except OSError as error:
        raise SubbitError(error.strerror or str(error), kind="quality", path=path, hint="check the name") from error
    except (ValueError, KeyError, TypeError):
        pass
    hint = "subbit eval model.sbit --against ORIGINAL --text FILE --json > quality.json"
    raise SubbitError("holds no figures of subbit eval", kind="quality", path=path, hint=hint)


def _table(quality: Mapping[str, Any]) -> str:
    lines = [
        "| model | bits, whole file | bits, coded | perplexity | × original | KL, nats a token | same next token |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in quality["rows"]:
        coded = "" if row["coded_bits_per_weight"] is None else f"{row['coded_bits_per_weight']:.3f}"
        cells = [Path(row["path"]).name, f"{row['bits_per_weight']:.3f}", coded]
        cells += [_cell(row.get(name)) for name in ("perplexity", "times", "kl", "agreement")]
        lines.append("| " + " | ".join(cells) + " |")
    text = Path(quality["text"]).name
    lines.append(f"\n{quality['tokens']:,} tokens of {text} in windows of {quality['window']}; 95 % intervals.")
    return "\n".join(lines)


def _cell(estimate: list[float] | None) -> str:
    return "" if estimate is None else f"{estimate[0]:.4g} ({estimate[1]:.4g} … {estimate[2]:.4g})"
