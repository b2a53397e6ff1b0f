"""Markup that is safe by construction: text is escaped unless it was made here."""

from __future__ import annotations

import re
from html import escape

from subbit.printable import shown

__all__ = ["Html", "breakable", "join", "number", "percent", "rounded", "short", "size", "tag", "text"]

_ENDS = re.compile(r"[._/](?=[^._/])")
_VOID = frozenset(("link", "meta"))
_UNITS = ("", "k", "M", "G", "T")
_MANY = 1000


class Html(str):
    """Markup; every other string is text."""

    __slots__ = ()


def text(value: object) -> Html:
    """Text as markup: unprintable characters become visible escapes, then < > & and quotes lose their meaning."""
    return value if isinstance(value, Html) else Html(escape(shown(str(value))))


def join(*parts: object) -> Html:
    """Parts one after the other, text escaped; None and False are left out."""
    return Html("".join(text(part) for part in parts if part is not None and part is not False))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. `class_` is class, other underscores are hyphens; None and False leave an attribute out."""
    named = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    listed = "".join(
        f" {key}" if value is True else f' {key}="{text(value)}"'
        for key, value in named
        if value is not None and value is not False
    )
    return Html(f"<{name}{listed}>" if name in _VOID else f"<{name}{listed}>{join(*children)}</{name}>")


def breakable(name: object) -> Html:
    """A name that may be broken at the ends of its parts."""
    return Html(_ENDS.sub(r"\g<0><wbr>", text(name)))


def number(value: float | None, digits: int = 3) -> str:
    """A figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def rounded(value: float | None, digits: int = 3) -> str:
    """A figure of any magnitude to so many digits that count, or a dash."""
    return "–" if value is None else "0" if value == 0 else f"{value:#.{digits}g}".removesuffix(".")


def short(count: int) -> str:
    """A large number as people say it: 135 M."""
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{rounded(value)} {_UNITS[unit]}" if unit else f"{count:,}"


def size(count: int) -> str:
    """Bytes as people say them: 29.2 MB."""
    return f"{short(count)}B" if count >= _MANY else f"{count:,} bytes"


def percent(share: float) -> str:
    """A share for geometry: enough digits for any screen, and the same on every machine."""
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%"
