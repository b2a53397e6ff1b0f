"""matplotlib, for those who have it: imported when a plot is drawn, and never shown on a screen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from os import PathLike
from typing import Any

from subbit.errors import UsageError

__all__ = ["check_plot", "saved_figure"]


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
def saved_figure(path: str | PathLike[str], panels: int = 1) -> Iterator[Any]:
    """Yield a row of `panels` axes (one axis alone if it is 1) and write them to `path` in the format of its suffix.

    Raises what :func:`check_plot` raises.
    """
    check_plot(path)
    figure = import_module("matplotlib.figure").Figure(figsize=(4.5 * panels, 3.5), layout="constrained")
    yield figure.subplots(1, panels)
    figure.savefig(path)
