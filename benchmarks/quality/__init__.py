"""What is left of models after compression, by their own yardsticks, beside the peers in the same evaluation.

python -m benchmarks.quality [WHAT …]     run what results/quality.json lacks (models, or patterns of jobs)
python -m benchmarks.quality --list       name the jobs, and say which are stored
python -m benchmarks.quality --docs       put the stored tables into docs/, draw results/quality/*.png

A finished job is stored at once: an interrupted benchmark goes on where it was.
"""
