"""Text from files, made safe to show."""

from __future__ import annotations

__all__ = ["shown"]


def shown(text: str) -> str:
    """Text with everything that is not printable escaped: names come from files and may be hostile."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
