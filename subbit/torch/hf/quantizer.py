"""The hooks of `from_pretrained` and `save_pretrained`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from torch import nn
from transformers.quantizers.auto import register_quantizer
from transformers.quantizers.base import HfQuantizer

from subbit.errors import UsageError
from subbit.model import open_file
from subbit.model.folder import PLEASE
from subbit.torch.experts import PackedExperts
from subbit.torch.hf.compressing import compressed
from subbit.torch.hf.loading import load_weights
from subbit.torch.hf.saving import Origin, save_pretrained
from subbit.torch.packed import SubbitLinear
from subbit_formats.sources.folder import STUB_NAME

__all__ = ["SubbitQuantizer"]


@register_quantizer("subbit")
class SubbitQuantizer(HfQuantizer):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """Loads `model.sbit` in the place of dense weights, or compresses these, and saves what was loaded.

    transformers builds the model on the meta device and loads a file without tensors; then every weight comes out of
    the `.sbit` file, its checksums compared. Raises :class:`SubbitError` for damage, for weights that the model or the
    file lacks, and for a folder without the file: never a model with weights from nowhere.
    """

    is_trainable = True

    def __init__(self, quantization_config: Any, **options: Any) -> None:
        super().__init__(quantization_config, **options)
        self._folder = Path()
        self._experts: str | None = None

    def is_serializable(self) -> bool:
        """It is: see :func:`save_pretrained`."""
        return True

    def update_attn_implementation(self, config: Any) -> Any:
        """The hook that sees the configuration first: names a file that transformers can open."""
        if self.pre_quantized:
            config.transformers_weights = STUB_NAME
        return config

    def _process_model_before_weight_loading(self, model: Any, **known: Any) -> None:
        if not self.pre_quantized:
            return
        if known.get("checkpoint_files") is None:
            text = "compressed weights come from a folder, and none was named"
            raise UsageError(text, kind="folder", hint="from_pretrained(FOLDER), without state_dict")
        self._folder = _whole(Path(known["checkpoint_files"][0]).parent, model.name_or_path)
        model._keys_to_ignore_on_load_missing = [".*"]  # all of them come later, and nothing is made up meanwhile
        model.tie_weights = lambda **_: None
        for module in model.modules():
            if not module._non_persistent_buffers_set:
                module._is_hf_initialized = True

    def _process_model_after_weight_loading(self, model: Any, **_: Any) -> None:
        if self.pre_quantized:
            del model._keys_to_ignore_on_load_missing, model.tie_weights
            file = open_file(self._folder)
        else:
            file = compressed(model, self.quantization_config.options)
        kept = load_weights(model, file, packed=self.quantization_config.packed)
        if any(isinstance(module, PackedExperts) for module in model.modules()):
            self._experts = model.config._experts_implementation
            model.set_experts_implementation("eager")  # one expert after the other: the others want one parameter
        model.config.transformers_weights = PLEASE
        model.save_pretrained = partial(save_pretrained, model, Origin(file, kept))

    def get_state_dict_and_metadata(self, model: Any) -> tuple[dict[str, Any] | None, dict[str, str]]:
        """What transformers itself writes: nothing, or the adapters that were added."""
        return (None if getattr(model, "_hf_peft_config_loaded", False) else {}), {}

    def _dequantize(self, model: Any, dtype: torch.dtype | None = None) -> Any:
        for name, layer in list(model.named_modules()):
            if isinstance(layer, SubbitLinear):
                _replace(model, name, _dense(layer, dtype or model.dtype))
            elif isinstance(layer, PackedExperts):
                _replace(model, name, nn.Parameter(layer.dense(dtype or model.dtype)))
        if self._experts is not None:
            model.set_experts_implementation(self._experts)
        del model.save_pretrained
        vars(model.config).pop("transformers_weights", None)  # saving has taken it away already
        return model


def _whole(folder: Path, name: str) -> Path:
    """The folder; that of a hub's cache, where transformers has put the few files that it knows, gets the weights."""
    if folder.parent.name == "snapshots":
        cache = folder.parents[2]
        snapshot_download(name, revision=folder.name, cache_dir=cache, allow_patterns=["*.sbit", "*.sbit.index.json"])
    return folder


def _dense(layer: SubbitLinear, dtype: torch.dtype) -> nn.Linear:
    dense = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device="meta")
    dense.weight = nn.Parameter(layer.weight.data.to(dtype))
    dense.bias = layer.bias
    return dense


def _replace(model: nn.Module, name: str, new: nn.Module | nn.Parameter) -> None:
    parent, _, child = name.rpartition(".")
    delattr(model.get_submodule(parent), child)
    setattr(model.get_submodule(parent), child, new)
