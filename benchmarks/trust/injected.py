"""The calls by which writers touch the disk, counted, and one of them made to fail or to be the last."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

__all__ = ["Injected"]

_SYSTEM = ("open", "fsync", "link", "unlink", "close")
_PATHS = ("replace", "unlink")
_FILES = ("write", "flush", "close")


class Injected:
    """A context manager: call number `at` (from 1; 0 for none) does `action` in place of its work, and so do all after
    it if it is `lasting`. `calls` names all that were made."""

    def __init__(self, at: int = 0, action: Callable[[], object] | None = None, lasting: bool = False) -> None:
        self.calls: list[str] = []
        self._at, self._action, self._lasting = at, action or fail, lasting
        self._stack = ExitStack()

    def __enter__(self) -> Injected:
        for name in _SYSTEM:
            self._patch(os, name)
        for name in _PATHS:
            self._patch(Path, name)
        real = os.fdopen
        self._stack.enter_context(mock.patch.object(os, "fdopen", lambda *a, **k: _File(real(*a, **k), self)))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def count(self, name: str) -> None:
        """Note a call; the one that was asked for fails here."""
        self.calls.append(name)
        if self._at and (len(self.calls) == self._at or (self._lasting and len(self.calls) > self._at)):
            self._action()

    def _patch(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **options: Any) -> Any:
            if name == "close":  # a descriptor is gone even where closing it fails
                real(*arguments)
            self.count(name)
            return None if name == "close" else real(*arguments, **options)

        self._stack.enter_context(mock.patch.object(owner, name, call))


class _File:
    def __init__(self, file: Any, injected: Injected) -> None:
        self._file, self._injected = file, injected

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._file, name)
        if name not in _FILES:
            return real

        def call(*arguments: Any) -> Any:
            if name == "close":
                real()
            self._injected.count(f"file.{name}")
            return None if name == "close" else real(*arguments)

        return call


def fail() -> None:
    """The disk fails."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))
