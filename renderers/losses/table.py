"""The table of losses."""

from __future__ import annotations

from functools import cache

from ..checks import shown
from ..errors import InputError
from .base import Loss
from .guide import GUIDE
from .l1 import L1
from .lpips import LPIPS
from .mse import MSE
from .oklab import OKLAB
from .ssim import SSIM

LOSSES: dict[str, Loss] = {loss.name: loss for loss in (MSE, L1, OKLAB, SSIM, LPIPS, GUIDE)}
"""Name to loss; the first is the default."""

LOSS_NAMES = ", ".join(f"{loss.name}:CLASS" if loss.of else loss.name for loss in LOSSES.values())
"""The names in the form in which they are given, for messages."""


@cache
def loss_named(name: str) -> Loss:
    """The loss of a name, which is followed by a colon and an argument for losses that need one.

    Raises:
        InputError: the loss or its argument is unknown, or the argument is missing or superfluous.
        BackendUnavailable: the package that defines the arguments is missing.
    """
    word, colon, argument = name.partition(":")
    if word not in LOSSES:
        raise InputError(f"loss {shown(word)} is unknown; choose one of {LOSS_NAMES}")
    loss = LOSSES[word]
    if loss.of is None and not colon:
        return loss
    if loss.of is None or not argument:
        raise InputError(f"loss {name!r} needs {'an' if loss.of else 'no'} argument after a colon: {loss.help}")
    return loss.of(argument)
