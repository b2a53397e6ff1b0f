"""Checkpoints that run code when they are unpickled."""

from __future__ import annotations

import builtins
import collections
import io
import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

__all__ = ["evil_checkpoints", "runs_in_torch"]

_NAMES = ("m.pt", "m.pth", "m.bin", "m.ckpt", "m.pkl", "m.safetensors", "m.gguf", "m.sbit")


class _Evil:
    """Calls a function with arguments when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def evil_checkpoints(folder: Path, sentinel: Path) -> Iterator[Path]:
    """Files, and folders with them, one after the other; each makes `sentinel` if its code runs."""
    for number, (evil, form, name) in enumerate(_all(sentinel)):
        where = folder / str(number)
        where.mkdir()
        (where / name).write_bytes(form(evil))
        yield where / name
        if name == "m.bin":
            (where / "config.json").write_text('{"architectures": ["Evil"], "auto_map": {"AutoModel": "code.Evil"}}')
            (where / "code.py").write_text(f"open({str(sentinel)!r}, 'w')")
            (where / name).rename(where / "pytorch_model.bin")
            yield where
            index = {"metadata": {}, "weight_map": {"w": "pytorch_model.bin"}}
            (where / "pytorch_model.bin.index.json").write_text(json.dumps(index))
            yield where / "pytorch_model.bin.index.json"


def _all(sentinel: Path) -> Iterator[tuple[_Evil, Callable[[_Evil], bytes], str]]:
    code = f"open({str(sentinel)!r}, 'w').close()"
    payloads = (
        _Evil(Path.touch, sentinel),
        _Evil(builtins.exec, code),
        _Evil(builtins.eval, code),
        _Evil(open, sentinel, "w"),
    )
    for evil in payloads:
        for form in (_zipped, _old, _in_optimizer, _among_weights, pickle.dumps):
            for name in _NAMES:
                yield evil, form, name


def _zipped(evil: _Evil) -> bytes:
    return _saved(evil, True)


def _old(evil: _Evil) -> bytes:
    return _saved({"w": torch.ones(2, 2), "x": evil}, False)


def _in_optimizer(evil: _Evil) -> bytes:
    return _saved({"state_dict": {"w": torch.ones(2, 2)}, "optimizer": [evil]}, True)


def _among_weights(evil: _Evil) -> bytes:
    return _saved(collections.OrderedDict(a=torch.ones(2, 2), b=evil, c=torch.ones(3)), True)


def _saved(checkpoint: Any, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(checkpoint, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def runs_in_torch(path: Path, sentinel: Path) -> bool:
    """Whether `torch.load` runs the code of a file where it is not told to load weights only."""
    with suppress(Exception):
        torch.load(path, weights_only=False)
    ran = sentinel.exists()
    sentinel.unlink(missing_ok=True)
    return ran
