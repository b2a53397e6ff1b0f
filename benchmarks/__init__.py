"""Measurements of subbit beside its peers; run them as `python -m benchmarks.<name>`."""
