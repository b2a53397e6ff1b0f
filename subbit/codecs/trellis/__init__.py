"""The engine of `trellis`, for signed weights and for magnitudes.

`values` says what a state stands for, `classes` what scale and rate each weight has, `model` how that is stored;
`allotting` and `spending` choose it for a budget, `writing` finds the best walk, `fitting` its scale, and `reading`
follows it. `rotation` mixes rows and columns of uneven matrices. The loops are in `kernels.viterbi`,
`kernels.trellis` and `kernels.hadamard`.
"""
