"""The tiled CPU kernel, compiled by Numba."""
