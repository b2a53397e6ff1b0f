"""The engine that `deadzone` (signed weights) and `lowbit` (magnitudes) share.

Scalar quantization with one distortion level, levels chosen by rate and error together, entropy-coded in
contexts of row × column density. `density` finds the contexts, `search` the step that meets a budget,
`writing` turns the result into sections and `reading` back.
"""
