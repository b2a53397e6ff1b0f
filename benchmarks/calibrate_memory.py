"""Peak memory of calibrating, and of compressing with calibration, as a model gets more blocks of the same size.

python -m benchmarks.calibrate_memory

One block of the model is in memory at a time: sixteen blocks may take no more than four do and a sixteenth of what
their further weights take in float32. Each runs as it comes, and once more with arrays of a megabyte and more outside
of glibc's heaps ("exact"): what lies free in heaps differs from run to run by more than the bound, which is therefore
asked of the second. Models and text are random.
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
BLOCKS = (4, 16)
EXACT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
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


def peak(verb: str, blocks: int, environment: dict[str, str]) -> dict[str, float]:
    """Weights and peak bytes of one command on a model of so many blocks."""
    with TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-c", MODEL, name, str(blocks)], check=True, stderr=subprocess.DEVNULL)
        weights = (Path(name) / "MODEL" / "model.safetensors").stat().st_size // 2
        process = subprocess.Popen(
            [sys.executable, "-m", "subbit_cli", *VERBS[verb], "-q"], cwd=name, env=os.environ | environment
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{verb}: exit {process.returncode}")
    return {"blocks": blocks, "weights": weights, "peak_bytes": usage.ru_maxrss * 1024}


def measure() -> dict[str, Any]:
    """Both verbs at both sizes, and whether the larger model stays within the bound."""
    found = {}
    for verb in VERBS:
        as_it_comes = [peak(verb, blocks, {}) for blocks in BLOCKS]
        few, many = exact = [peak(verb, blocks, EXACT) for blocks in BLOCKS]
        bound = few["peak_bytes"] + 4 * (many["weights"] - few["weights"]) / 16
        within = many["peak_bytes"] <= bound
        found[verb] = {"as_it_comes": as_it_comes, "exact": exact, "bound_bytes": bound, "within": within}
    return found


def main() -> None:
    found = measure()
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for verb, runs in found.items():
        for way in ("as_it_comes", "exact"):
            sizes = ", ".join(f"{each['blocks']} blocks {each['peak_bytes'] / 1e6:.0f} MB" for each in runs[way])
            print(f"{verb}, {way.replace('_', ' ')}: {sizes}")
        print(f"bound {runs['bound_bytes'] / 1e6:.0f} MB, {'within' if runs['within'] else 'OVER'}")


if __name__ == "__main__":
    main()
