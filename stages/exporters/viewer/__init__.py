"""The viewer: one HTML file to zoom into a painting and watch its growth."""

from .export import export_viewer

__all__ = ["export_viewer"]
