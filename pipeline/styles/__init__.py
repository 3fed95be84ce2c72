"""Styles: named sets of options of a run, and files of the user's own."""

from .table import STYLES, check_style, styled

__all__ = ["STYLES", "check_style", "styled"]
