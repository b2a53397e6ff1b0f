"""Peak memory of calibrating, and of compressing with calibration, as a model gets more blocks of the same size.

python -m benchmarks.calibrate_memory

One block of the model is in memory at a time: 32 blocks may take no more than eight do and a sixteenth of what their
further weights take in float32. Models and text are random.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

RESULTS = Path(__file__).parent / "results" / "calibrate_memory.json"
BLOCKS = (8, 32)
VERBS = {
    "calibrate": ["calibrate", "MODEL", "--text", "TEXT", "-o", "OUTPUT", "--tokens", "8192"],
    "compress --text": ["compress", "MODEL", "--text", "TEXT", "-o", "OUTPUT", "--tokens", "8192", "--bits", "1"],
}

MODEL = """
import sys
from pathlib import Path
import tokenizers, torch, transformers
home, blocks = Path(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(0)
config = transformers.LlamaConfig(
    vocab_size=512, hidden_size=512, intermediate_size=1408, num_hidden_layers=blocks, num_attention_heads=8
)
transformers.LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(home / "MODEL")
words = " ".join(f"w{k % 509}" for k in range(40_000))
(home / "TEXT").write_text(words)
known = {f"w{k}": k for k in range(509)} | {"?": 509}
tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="?"))
tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
tokenizer.save(str(home / "MODEL" / "tokenizer.json"))
"""


def peak(verb: str, blocks: int) -> dict[str, float]:
    """Seconds and peak bytes of one command on a model of so many blocks."""
    with TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-c", MODEL, name, str(blocks)], check=True, stderr=subprocess.DEVNULL)
        weights = (Path(name) / "MODEL" / "model.safetensors").stat().st_size // 2
        process = subprocess.Popen([sys.executable, "-m", "subbit_cli", *VERBS[verb], "-q"], cwd=name)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{verb}: exit {process.returncode}")
    return {"blocks": blocks, "weights": weights, "peak_bytes": usage.ru_maxrss * 1024}


def measure() -> dict[str, Any]:
    """Both verbs at both sizes, and whether the larger model stays within the bound."""
    found = {}
    for verb in VERBS:
        few, many = (peak(verb, blocks) for blocks in BLOCKS)
        bound = few["peak_bytes"] + 4 * (many["weights"] - few["weights"]) / 16
        found[verb] = {"runs": [few, many], "bound_bytes": bound, "within": many["peak_bytes"] <= bound}
    return found


def main() -> None:
    found = measure()
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for verb, run in found.items():
        sizes = ", ".join(f"{each['blocks']} blocks {each['peak_bytes'] / 1e6:.0f} MB" for each in run["runs"])
        print(f"{verb}: {sizes}; bound {run['bound_bytes'] / 1e6:.0f} MB, {'within' if run['within'] else 'OVER'}")


if __name__ == "__main__":
    main()
