"""A whole model from one `.sbit` file: its config.json says which, transformers builds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from threading import get_ident
from typing import Any

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook

from subbit.errors import SubbitError
from subbit.model import Checkpoint, File, open_file
from subbit.model.settings import parse_settings
from subbit.torch.modules import attach
from subbit.torch.state import dtype_name, torch_dtype

__all__ = ["build", "load_model", "load_tokenizer", "package"]

_PASS_IT = "pass the module: load_model(path, model)"


def load_model(
    path: str | PathLike[str],
    model: torch.nn.Module | None = None,
    dtype: torch.dtype | str | None = None,
    base: Checkpoint | None = None,
    packed: bool = False,
) -> Any:
    """Build the transformers model that the file's config.json describes, attach the weights, return it in eval mode.

    With `model` given that module gets the weights. `dtype` is for the parameters of a model that is built here;
    without it the configuration decides. `base` is the parent checkpoint, for files that were compressed against one.
    With `packed`, linear layers multiply by the file's bytes; see :func:`attach`.
    Rotary and other buffers that the file lacks keep what the model made them.
    Raises :class:`SubbitError` for a file without configuration, an architecture that transformers lacks, a missing
    package (kind "package"), and all that :func:`attach` raises.
    """
    if model is None:
        with open_file(path) as file:
            try:
                model = build(parse_settings(_extra(file, "config.json", _PASS_IT), file.archive.path, _PASS_IT), dtype)
            except SubbitError as error:
                raise error.at(path=file.archive.path) from None
    attach(model, path, base=base, packed=packed)
    return model.eval()


def load_tokenizer(path: str | PathLike[str]) -> Any:
    """The `tokenizers.Tokenizer` of the file's tokenizer.json; raises :class:`SubbitError` if there is none."""
    with open_file(path) as file:
        tokenizers = package("tokenizers")
        text = _extra(file, "tokenizer.json", "compress the folder or GGUF file that has the tokenizer").decode()
    return tokenizers.Tokenizer.from_str(text)


def build(settings: Mapping[str, Any], dtype: torch.dtype | str | None = None) -> torch.nn.Module:
    """The transformers model that a config.json describes, its parameters on the meta device: they have no memory yet.

    `dtype` is for its parameters; without it the configuration decides. What it says about implementations is ignored:
    they may be code from elsewhere. Raises :class:`SubbitError`, kind "architecture" for a model that transformers
    lacks, kind "config" for settings that it cannot build.
    """
    transformers = package("transformers")
    architecture = _architecture(transformers, settings)
    own = dtype or settings.get("dtype") or settings.get("torch_dtype") or torch.float32
    with _default_dtype(torch_dtype(own)), _without_memory():
        try:
            built: torch.nn.Module = architecture(architecture.config_class.from_dict(without_code(settings)))
        except Exception as error:  # anything at all, where settings do not fit together
            text = f"transformers cannot build what its config.json describes: {type(error).__name__}: {error}"
            raise SubbitError(text, kind="config", hint=_PASS_IT) from error
    return built


def without_code(settings: Any) -> Any:
    """Settings without those that name an implementation: transformers would fetch and run code of that name."""
    if isinstance(settings, Mapping):
        return {
            key: without_code(value)
            for key, value in settings.items()
            if "_implementation" not in key and key not in ("auto_map", "custom_pipelines")
        }
    return [without_code(value) for value in settings] if isinstance(settings, list) else settings


def _architecture(transformers: Any, settings: Mapping[str, Any]) -> Any:
    names = settings.get("architectures")
    name = names[0] if isinstance(names, list) and names else None
    found = getattr(transformers, name, None) if isinstance(name, str) else None
    model = isinstance(found, type) and issubclass(found, transformers.PreTrainedModel)
    if not model or getattr(found, "config_class", None) is None:
        text = f"transformers {transformers.__version__} has no model {name!r}"
        raise SubbitError(text, kind="architecture", hint=_PASS_IT)
    return found


def _extra(file: File, name: str, hint: str) -> bytes:
    if name not in file.extras:
        raise SubbitError(f"carries no {name}", kind="extra", path=file.archive.path, hint=hint)
    return file.extra(name)


def package(name: str, hint: str = 'pip install "subbit[hf]"') -> Any:
    """Import an optional package, or say how it is installed: :class:`SubbitError` (kind "package")."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise SubbitError(f"needs the package {name}", kind="package", hint=hint) from None


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
    except TypeError:
        text = f"a model cannot be built in {dtype_name(dtype)}"
        raise SubbitError(text, kind="dtype", hint="float32, bfloat16 and float16 always work") from None
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _without_memory() -> Iterator[None]:
    """Parameters of modules that this thread builds meanwhile go to the meta device; buffers are made as ever.

    A model's weights are not even allocated so: freed again, they would leave holes that memory is then drawn from.
    """

    own = get_ident()

    def on_meta(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter | None) -> torch.nn.Parameter | None:
        if parameter is None or parameter.is_meta or get_ident() != own:
            return None  # stays what it is, and tied to what it is tied to
        return torch.nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)

    handle = register_module_parameter_registration_hook(on_meta)  # type: ignore[arg-type]  # may return a parameter
    try:
        yield
    finally:
        handle.remove()
