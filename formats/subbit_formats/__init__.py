"""Bytes on disk: the `.sbit` container and the checkpoints it is made from. Knows no codec."""
