"""Path arguments and options of commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from artpipe import InputError


class PathType(click.Path):
    """A path; expands `~/` where the shell does not, as in `--export=~/a.png`.

    Args:
        is_file: whether it is the path of a file, which cannot end in a slash.
    """

    def __init__(self, is_file: bool = False) -> None:
        super().__init__(path_type=Path)
        self._is_file = is_file

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            InputError: it is empty, as from an unset shell variable, or a file path ends in a slash.
        """
        text, name = os.fsdecode(value), param.opts[-1] if param else "path"
        if not text:
            raise InputError(f"{name}: the path is empty; needs a name")
        if self._is_file and text.endswith("/"):
            raise InputError(f"{name}: {text} names a folder; needs a file")
        return super().convert(os.path.expanduser(text) if text.startswith("~/") else text, param, ctx)


FILE, FOLDER = PathType(is_file=True), PathType()
