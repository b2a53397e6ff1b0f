"""The Numba kernels; nothing outside this folder imports numba."""
