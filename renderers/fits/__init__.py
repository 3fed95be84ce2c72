"""Fits: a scene under optimisation against a target, in JAX and in PyTorch."""
