"""The table of primitives."""

from __future__ import annotations

from .base import Primitive
from .circle import CIRCLE
from .ellipse import ELLIPSE
from .stroke import STROKE
from .triangle import TRIANGLE

PRIMITIVES: dict[str, Primitive] = {primitive.name: primitive for primitive in (CIRCLE, ELLIPSE, STROKE, TRIANGLE)}
"""Name to primitive; the first is the default."""

BY_CODE: dict[int, Primitive] = {primitive.code: primitive for primitive in PRIMITIVES.values()}
"""Code, as in `Scene.kinds`, to primitive."""
