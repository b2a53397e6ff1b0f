"""What subbit promises about files, proved one promise after the other.

`python -m benchmarks.trust` runs every proof whole and keeps what it found in `results/trust.json`; tests run the same
proofs at a small share. A proof is a module of this folder with `prove(share) -> list[Proof]`.
"""
