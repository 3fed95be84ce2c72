"""What draws and differentiates rows of a scene: the float64 reference, dense drawing, and the tiled CPU kernel."""
