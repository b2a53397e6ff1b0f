"""Read-only reports on an open `.sbit` file; `bits_per_weight` and `contents` need its index and no NumPy."""
