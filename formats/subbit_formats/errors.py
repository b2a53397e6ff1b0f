"""The one error root of the project, defined in the lowest layer so that every layer can raise it."""

from __future__ import annotations

from os import PathLike, fspath

__all__ = ["SubbitError", "UsageError", "out_of_memory"]


class SubbitError(Exception):
    """Everything that subbit refuses to do.

    The rule is raised where it lives; whoever knows the file, the tensor or the byte offset adds
    them once with :meth:`at`. `kind` is a short stable slug for programs (``"checksum"``,
    ``"truncated"``, ``"budget"`` …), `hint` the way out for people.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "invalid",
        path: str | PathLike[str] | None = None,
        tensor: str | None = None,
        offset: int | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind
        self.path = None if path is None else fspath(path)
        self.tensor = tensor
        self.offset = offset
        self.hint = hint

    def at(
        self,
        *,
        path: str | PathLike[str] | None = None,
        tensor: str | None = None,
        offset: int | None = None,
    ) -> SubbitError:
        """Fill in the places that are still unknown and return the same error, to be raised again."""
        if self.path is None and path is not None:
            self.path = fspath(path)
        if self.tensor is None:
            self.tensor = tensor
        if self.offset is None:
            self.offset = offset
        return self

    def __str__(self) -> str:
        where = []
        if self.path is not None:
            where.append(self.path)
        if self.tensor is not None:
            where.append(f"tensor {self.tensor!r}")
        if self.offset is not None:
            where.append(f"byte {self.offset}")
        text = ": ".join([", ".join(where), self.message] if where else [self.message])
        return f"{text} ({self.hint})" if self.hint else text


class UsageError(SubbitError):
    """The request itself cannot be carried out as asked: wrong option, existing output, unknown name."""


def out_of_memory() -> SubbitError:
    """What takes the place of a MemoryError."""
    hint = "take a machine, or a limit (ulimit -v), with more memory"
    return SubbitError("does not fit into memory", kind="memory", hint=hint)
