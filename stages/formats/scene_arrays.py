"""The scene as plain arrays in an .npz file: the compact twin of the JSON file, with the same names and meanings.

`numpy.load("scene.npz")["rows"]` is all that a reader needs.
"""

from __future__ import annotations

from artpipe.renderers.primitives.base import CIRCLE

from .arrays import Field

# The largest scene that is written or read: some 100 times what a fit has. Its rows and ids fill 10 MB.
ROWS_MAX = 250_000

# Characters of a word; the longest there is has 13.
_WORD_MAX = 64
_WORD, _WHOLE = Field("<U", (), _WORD_MAX), Field("<i8", (), 1)
_COLUMNS = len(CIRCLE.columns)

# N is the number of rows. The ids are kept as they are: their differences would save 2 % of a file of 2048 rows.
ARRAYS: dict[str, Field] = {
    "format": _WORD,
    "version": _WHOLE,
    "width": _WHOLE,
    "height": _WHOLE,
    "background": Field("<f4", (3,), 3),
    "edge": _WORD,
    "transparent": _WHOLE,
    "order": _WORD,
    "columns": Field("<U", (_COLUMNS,), _COLUMNS * _WORD_MAX),
    "kinds": Field("<U", (1,), _WORD_MAX),
    "next_id": _WHOLE,
    "ids": Field("<i8", ("N",), ROWS_MAX),
    "rows": Field("<f4", ("N", _COLUMNS), ROWS_MAX * _COLUMNS),
}
