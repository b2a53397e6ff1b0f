"""Bits as such: packing them, counting them, what they are worth."""
