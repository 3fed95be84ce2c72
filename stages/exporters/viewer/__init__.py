"""The viewer: one HTML file in which a painting can be looked at closely and watched as it grows."""

from .export import export_viewer

__all__ = ["export_viewer"]
