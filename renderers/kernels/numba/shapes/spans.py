"""The spans of discs and segments within a horizontal band, of which the extent of every shape is made.

A span is (left, right), empty where left > right; all numbers are float32 pixels.
"""

from __future__ import annotations

import math

from numba import njit

from .layout import ZERO


@njit
def disc_span(x, y, radius, low, high, left, right):
    """The span, widened by the part of a disc between the lines y = low and y = high."""
    off = max(low - y, y - high, ZERO)
    square = radius * radius - off * off
    if square >= ZERO:
        half = math.sqrt(square)
        left, right = min(left, x - half), max(right, x + half)
    return left, right


@njit
def edge_span(ax, ay, bx, by, low, high, left, right):
    """The span, widened by the part of a segment between the lines y = low and y = high."""
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    if by >= low and ay <= high:
        slope = (bx - ax) / (by - ay) if by > ay else ZERO
        first = ax + (low - ay) * slope if ay < low else ax
        last = ax + (high - ay) * slope if by > high else bx
        left, right = min(left, first, last), max(right, first, last)
    return left, right
