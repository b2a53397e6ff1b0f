"""matplotlib, for those who have it: imported when a plot is drawn, and never shown on a screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import Any

from subbit.errors import UsageError
from subbit.printable import shown
from subbit_formats.sbit.atomic import refuse_existing, write_whole

__all__ = ["check_plot", "literal", "saved_figure"]

_DPI = 200


def check_plot(path: str | PathLike[str]) -> None:
    """Refuse a plot before the work for it is done.

    Raises :class:`UsageError` without matplotlib (kind "package") and for a suffix that it cannot write ("plot").
    """
    try:
        import_module("matplotlib")
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        raise UsageError("plots need matplotlib", kind="package", hint='pip install "subbit[plot]"') from None
    suffix = str(path).rpartition(".")[2].lower()
    if suffix not in import_module("matplotlib.backend_bases").FigureCanvasBase.get_supported_filetypes():
        raise UsageError(f"no plot can be written as {str(path)!r}", kind="plot", hint="end its name in .png or .svg")


@contextmanager
def saved_figure(
    path: str | PathLike[str], panels: int = 1, *, size: tuple[float, float] = (4.5, 3.5), force: bool = True
) -> Iterator[Any]:
    """Yield a row of `panels` axes (one axis alone if it is 1) and write them to `path` in the format of its suffix.

    A panel has `size` in inches. The picture appears whole or not at all, and the same picture is the same bytes.
    Raises what :func:`check_plot` raises, and :class:`UsageError` for a file that exists, unless `force`.
    """
    check_plot(path)
    target = Path(path)
    refuse_existing(target, force=force)
    made = import_module("matplotlib.figure").Figure(figsize=(size[0] * panels, size[1]), layout="constrained")
    yield made.subplots(1, panels)
    kind = target.suffix[1:].lower()
    dated = {"svg": "Date", "svgz": "Date", "pdf": "CreationDate", "ps": "CreationDate", "eps": "CreationDate"}
    image = BytesIO()
    with import_module("matplotlib").rc_context({"svg.hashsalt": "subbit"}):
        made.savefig(image, format=kind, dpi=_DPI, metadata={dated[kind]: None} if kind in dated else None)
    write_whole(target, image.getvalue(), force=force)


def literal(name: str) -> str:
    """A name from a file as matplotlib shows it: neither a formula nor, by its first letter, left out of a legend."""
    safe = shown(name).replace("$", r"\$")
    return f" {safe}" if safe.startswith("_") else safe
