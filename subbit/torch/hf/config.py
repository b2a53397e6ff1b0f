"""What a configuration says of a compressed model, and how one is made while a dense model is loaded."""

from __future__ import annotations

from typing import Any

from transformers.quantizers.auto import register_quantization_config
from transformers.utils.quantization_config import QuantizationConfigMixin

from subbit.errors import UsageError
from subbit.model.folder import CONFIG_VERSION

__all__ = ["SubbitConfig"]

_BITS = 0.8


@register_quantization_config("subbit")
class SubbitConfig(QuantizationConfigMixin):  # type: ignore[misc, no-untyped-call, unused-ignore]
    """Says that a model is compressed; given to `from_pretrained` of a dense one, compresses it once it is loaded.

    `options` are those of :func:`subbit.compress` (`bits`, `file_bits`, `plan`, `keep`, `profile` …), by default .8
    bits a covered weight in codes that multiply packed (profile "speed"). Linear layers multiply by the bytes of the
    file where its codes can be multiplied as they are stored; with `packed` also where they are decoded anew for each
    product, which takes little memory and much time, and with False all weights are decoded when the model is loaded.
    Raises :class:`UsageError` for a configuration of a newer version.
    """

    def __init__(self, packed: bool | None = None, version: int = CONFIG_VERSION, **options: Any) -> None:
        options.pop("quant_method", None)
        if type(version) is not int or not 1 <= version <= CONFIG_VERSION:
            text = f"the model's configuration is of version {version!r}, this subbit knows {CONFIG_VERSION}"
            raise UsageError(text, kind="config", hint="pip install -U subbit")
        if packed not in (True, False, None):
            raise UsageError(f"packed is {packed!r}", kind="config", hint="it is true, false or null")
        self.quant_method = "subbit"
        self.packed, self.version = packed, version
        self.options = {"profile": "speed", **options}
        if not {"bits", "file_bits", "plan"} & set(options):
            self.options["bits"] = _BITS

    def to_dict(self) -> dict[str, Any]:
        """What config.json keeps: nothing that was a matter of one loading."""
        return {"quant_method": self.quant_method, "version": self.version}

    def to_diff_dict(self) -> dict[str, Any]:
        """The same."""
        return self.to_dict()
