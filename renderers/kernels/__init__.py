"""Kernels, which draw and differentiate rows: the float64 reference, dense drawing, and the tiled CPU kernel."""
