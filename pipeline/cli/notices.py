"""Picture warnings as lines on standard error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


@contextmanager
def notices() -> Iterator[None]:
    """Prints each `PictureWarning` in one line, unless the current command is quiet."""
    from artpipe.renderers.errors import PictureWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", PictureWarning)
        show = warnings.showwarning

        def show_in_a_line(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            context = click.get_current_context(silent=True)
            if not issubclass(category, PictureWarning):
                show(message, category, *where, **more)
            elif context is None or not context.params.get("quiet"):
                click.echo(f"note: {message}", err=True)

        warnings.showwarning = show_in_a_line
        yield
