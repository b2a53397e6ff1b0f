"""The errors that users of the library see: one root, so that one `except` catches all."""

from subbit_formats.errors import SubbitError, UsageError, out_of_memory

__all__ = ["SubbitError", "UsageError", "out_of_memory"]
