"""Symbols to bytes and back, without loss: what occurs how often (the model) and the coder are two things."""
