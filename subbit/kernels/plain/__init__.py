"""The NumPy twins: the readable definition of every kernel, and all that a reading device needs."""
