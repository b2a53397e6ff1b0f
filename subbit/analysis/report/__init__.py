"""`subbit report`: a page that shows one `.sbit` file, or compares two; and its figures as plots.

>>> write_report(["model.sbit"], "report.html")
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from subbit.analysis.report.facts import Progress, read_facts
from subbit.analysis.report.page import make_page
from subbit.errors import UsageError
from subbit.model.parent import Checkpoint
from subbit_formats.sbit.atomic import refuse_existing, write_whole

__all__ = ["write_report"]

_MOST_FILES = 2


def write_report(
    paths: Sequence[str | PathLike[str]],
    output: str | PathLike[str],
    *,
    base: Checkpoint | None = None,
    against: str | PathLike[str] | None = None,
    public_key: str | PathLike[str] | None = None,
    measure: bool = True,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Read one or two `.sbit` files and write what they hold and cost as one HTML page; returns its path.

    Without `measure` no weights are decoded: fast for any size, and nothing is known of signs that are coded together
    with magnitudes. `against` decodes all and counts errors against an original; `base` is the parent checkpoint, for
    files that need one; `public_key` checks signatures. The same files give the same bytes. Raises
    :class:`SubbitError` for damage, :class:`UsageError` for more files than two and where `output` exists, unless
    `force`.
    """
    if not 1 <= len(paths) <= _MOST_FILES:
        hint = "name one file, or two to compare"
        raise UsageError(f"a report shows one file or two, not {len(paths)}", kind="files", hint=hint)
    refuse_existing(Path(output), force=force)
    facts = [
        read_facts(path, base=base, against=against, public_key=public_key, measure=measure, progress=progress)
        for path in paths
    ]
    write_whole(Path(output), make_page(facts).encode(), force=force)
    return Path(output)
