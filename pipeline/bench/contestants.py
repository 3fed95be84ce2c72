"""The contestants of a bench."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from artpipe.renderers import InputError

from ..options import RunConfig
from .optimisers import OPTIMISERS


@dataclass(frozen=True)
class Contestant:
    """One way to fit a painting."""

    description: str  # for the report
    configure: Callable[[RunConfig], RunConfig] | None  # from the options of growth; None for the seed project's method
    optimiser: str | None = None  # a key of `OPTIMISERS`; None for our own Adam by rows


def _at_once(config: RunConfig) -> RunConfig:
    return replace(config, growth=config.count, relocate_fraction=0.0)


CONTESTANTS: dict[str, Contestant] = {
    "baseline": Contestant(
        "The seed project's method: all circles at once at random, logits under Adam at 0.05, nearly hard edges.", None
    ),
    "fixed": Contestant(
        "Tuned fixed count: all shapes at once, with our seeding and rates, in as many steps as growth.", _at_once
    ),
    "fixed-seconds": Contestant(
        "Tuned fixed count, in as many steps as fill the seconds of growth on the same painting.", _at_once
    ),
    "growth": Contestant("Growth: batches where the error is, a search by relocation, settling.", replace),
    "growth-no-relocation": Contestant(
        "Growth without the search: batches, refinement, settling.",
        lambda config: replace(config, relocate_fraction=0.0),
    ),
    "growth-fixed-softness": Contestant(
        "Growth with the softness of edges fixed at its initial value.",
        lambda config: replace(config, rates=replace(config.rates, softness=0.0)),
    ),
}
"""Key to contestant."""

USUAL = ("baseline", "fixed", "fixed-seconds", "growth")


def under(optimiser: str, renderers: Iterable[str]) -> tuple[str, Contestant]:
    """Key and contestant of the tuned fixed count under another optimiser.

    Raises:
        InputError: the optimiser is unknown, or a framework lacks it.
    """
    if optimiser not in OPTIMISERS:
        raise InputError(f"optimiser {optimiser!r} is unknown; choose one of {', '.join(OPTIMISERS)}")
    if "torch" in renderers and OPTIMISERS[optimiser].torch is None:
        raise InputError(f"torch.optim has no {optimiser}. Try: --renderer jax")
    return f"fixed-{optimiser}", Contestant(f"Tuned fixed count under {optimiser}.", _at_once, optimiser)


def varied(text: str) -> tuple[str, Contestant]:
    """Key and contestant of growth with some options changed: `preset=best` or `rates.position=1,growth=64`.

    Raises:
        InputError: the text is not of that form, or an option is unknown or out of range.
    """
    changes: dict[str, object] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise InputError(f"--vary {text!r}: {part!r} needs the form NAME=VALUE")
        changes[re.sub(r"^lr\.", "rates.", name)] = _number_or_word(value)
    RunConfig.of_style(changes)  # raises before the bench starts
    key = "growth-" + text.replace(" ", "").replace("/", "")

    def config_of(config: RunConfig) -> RunConfig:
        return RunConfig.of_style({"count": config.count, **changes}, config)  # a style keeps the bench's count

    return key, Contestant(f"Growth with {text}.", config_of)


def _number_or_word(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
