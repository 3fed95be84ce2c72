"""Who competes in a bench: each contestant is a way to fill in `RunConfig`, but for the seed project's method."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from artpipe.renderers import InputError
from artpipe.renderers.options import changed

from ..options import RunConfig
from .optimisers import OPTIMISERS


@dataclass(frozen=True)
class Contestant:
    """One way to a painting.

    Attributes:
        sentence: what it does, for readers of the report.
        configure: from the bench's own configuration to this contestant's; None for the seed project's method.
        optimiser: a key of `optimisers.OPTIMISERS`; none for our own Adam by rows.
    """

    sentence: str
    configure: Callable[[RunConfig], RunConfig] | None
    optimiser: str | None = None


def _at_once(config: RunConfig) -> RunConfig:
    return replace(config, growth=config.count, relocate_fraction=0.0)


def _without_learned_softness(config: RunConfig) -> RunConfig:
    return replace(config, rates=replace(config.rates, softness=0.0))


CONTESTANTS: dict[str, Contestant] = {
    "baseline": Contestant(
        "The seed project's method: all circles at once at random, logits under Adam at 0.05, nearly hard edges.", None
    ),
    "fixed": Contestant(
        "A tuned fixed count: all circles at once, by our seeding and at our rates, in as many steps as growth.",
        _at_once,
    ),
    "fixed-seconds": Contestant(
        "The tuned fixed count, given as many steps as fill the seconds that growth took on the same painting.",
        _at_once,
    ),
    "growth": Contestant("Growth: batches where the picture is wrong, a search that relocates, a settling.", replace),
    "growth-no-relocation": Contestant(
        "Growth without the search: batches, refinement, settling.",
        lambda config: replace(config, relocate_fraction=0.0),
    ),
    "growth-fixed-softness": Contestant(
        "Growth with edges that stay as soft as they were seeded.", _without_learned_softness
    ),
}
"""Key to contestant. The first four make up every bench; the others come by option."""

USUAL = ("baseline", "fixed", "fixed-seconds", "growth")


def under(optimiser: str, renderers: Iterable[str]) -> tuple[str, Contestant]:
    """The tuned fixed count under another optimiser.

    Raises:
        InputError: there is no such optimiser, or not in each of the frameworks.
    """
    if optimiser not in OPTIMISERS:
        raise InputError(f"optimiser {optimiser!r} is unknown; choose one of {', '.join(OPTIMISERS)}")
    if "torch" in renderers and OPTIMISERS[optimiser][2] is None:
        raise InputError(f"torch.optim has no {optimiser}. Try: --renderer jax")
    return f"fixed-{optimiser}", Contestant(f"The tuned fixed count under {optimiser}.", _at_once, optimiser)


def varied(text: str) -> tuple[str, Contestant]:
    """A contestant that is growth with some options changed: `preset=best` or `rates.position=1,growth=64`.

    Raises:
        InputError: it is not of that form, or an option is unknown or out of range.
    """
    changes: dict[str, object] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            raise InputError(f"--vary {text!r}: {part!r} needs the form NAME=VALUE")
        changes[re.sub(r"^lr\.", "rates.", name)] = _value(value)
    changed(RunConfig(), changes)  # refuses now what cannot be used
    key = "growth-" + text.replace(" ", "").replace("/", "")
    return key, Contestant(f"Growth with {text}.", lambda config: changed(config, changes))


def _value(text: str) -> object:
    """A number if it is one, else the word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
