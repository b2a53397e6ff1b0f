"""Template signs against ordinary ones, and the figures of "Sign Lock-In" (arXiv 2602.17063), on a character model.

python -m benchmarks.lockin [GROUP …] [--workers 2] [--seeds 0 1 2]    train what is missing in results/lockin.json
python -m benchmarks.lockin --plots                                    draw the stored figures, results/lockin/*.png
python -m benchmarks.lockin --docs                                     put the stored tables into docs/

A run that is stored already is not repeated: an interrupted benchmark goes on where it was.
"""
