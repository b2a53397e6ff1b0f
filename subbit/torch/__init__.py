"""Weights of a `.sbit` file in torch: as tensors, in a module, as a transformers model.

>>> from subbit.torch import attach, load_model
>>> attach(model, "model.sbit")
>>> model = load_model("model.sbit", dtype="bfloat16")

The part that needs torch: nothing outside this folder imports it.
"""

from __future__ import annotations

from subbit.torch.calibrated import CalibratedReport, compress_calibrated
from subbit.torch.calibration import calibrate, calibrate_checkpoint
from subbit.torch.evaluation import Evaluation, evaluate
from subbit.torch.healing import HealReport, heal
from subbit.torch.modules import Unmatched, attach
from subbit.torch.packed import SubbitLinear
from subbit.torch.pretrained import load_model, load_tokenizer
from subbit.torch.state import state_dict
from subbit.torch.templates import template_signs

__all__ = [
    "CalibratedReport", "Evaluation", "HealReport", "SubbitLinear", "Unmatched", "attach", "calibrate",
    "calibrate_checkpoint", "compress_calibrated", "evaluate", "heal", "load_model", "load_tokenizer", "state_dict",
    "template_signs",
]  # fmt: skip
