"""Other words for options, for the suggestion when an option is unknown."""

from __future__ import annotations

import click

_SYNONYMS = {
    "--palette": ("color", "colors", "colour", "colours", "num-colors", "num-colours", "swatches"),
    "--max": ("circles", "number", "num", "num-shapes", "shapes", "shape-count", "n-circles", "n-shapes"),
    "--shape": ("primitive", "primitives", "kind", "mode"),
    "--style": ("look", "effect", "filter", "theme"),
    "--radius": ("min-radius", "max-radius", "radius-min", "radius-max", "shape-size", "thickness", "stroke-width"),
    "--softness": ("blur", "soft", "feather", "falloff", "softness-max"),
    "--opacity": ("alpha", "transparency", "opacity-min", "opacity-max", "opaque"),
    "--background": ("bg", "canvas", "canvas-color", "background-color", "background-colour", "paper"),
    "--size": ("resolution", "resize", "width", "height"),
    "--steps": ("iterations", "iters", "epochs"),
    "--renderer": ("backend", "framework"),
}
_OPTION_OF = {f"--{word}": option for option, words in _SYNONYMS.items() for word in words}


def suggested(error: click.NoSuchOption) -> click.NoSuchOption:
    """The error with the option that the word stands for as its suggestion, if the command has that option."""
    option = _OPTION_OF.get(error.option_name.lower())
    known = {flag for one in error.ctx.command.get_params(error.ctx) for flag in one.opts} if error.ctx else set()
    if option is None or option not in known:
        return error
    # As the message, since click keeps only possibilities that are spelt alike.
    return click.NoSuchOption(error.option_name, f"{error.message} Did you mean {option!r}?", ctx=error.ctx)
