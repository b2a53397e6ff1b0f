"""Compressed models in Hugging Face transformers.

>>> import subbit.torch.hf  # registers "subbit" as a quantization method
>>> model = AutoModelForCausalLM.from_pretrained("FOLDER")  # of `subbit folder model.sbit -o FOLDER`
>>> model = AutoModelForCausalLM.from_pretrained("DENSE", quantization_config=SubbitConfig(bits=1.0))
>>> model.save_pretrained("FOLDER")

A folder holds `model.sbit`, the files that travelled with it (configuration, tokenizer), and a configuration that
transformers refuses where subbit is not imported: never random weights.
"""

from __future__ import annotations

from subbit.torch.hf.config import SubbitConfig
from subbit.torch.hf.quantizer import SubbitQuantizer

__all__ = ["SubbitConfig", "SubbitQuantizer"]
