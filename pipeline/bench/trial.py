"""One trial of a bench: a contestant on a painting, and all that was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from artpipe.renderers import InputError
from artpipe.stages.formats.names import NAME_MAX, distinct

# Bytes: so that `-initial.png` fits behind it.
_KEY_MAX = NAME_MAX - 20


@dataclass(frozen=True)
class Trial:
    """What one contestant did on one painting.

    Attributes:
        contestant: a key of `contestants.CONTESTANTS`.
        renderer: "jax" or "torch".
        painting: the picture's name.
        seed: of the random generator.
        circles: how many stood at the end.
        steps: optimiser steps taken.
        mse: the mean squared error at the end, on 0..1 values.
        psnr: of it, dB.
        seed_loss: 4 x mse, as the seed project counts.
        ssim: structural similarity, 1 at best.
        lpips: learned perceptual distance, 0 at best; None without the extra `metrics`.
        fit_seconds: spent on fitting alone.
        compile_seconds: spent on compiling and loading before the fit.
        pairs: pixel-circle pairs that the fit's steps drew, in tiles of the kernel: the work, whatever the machine.
        history: rows of step, circles, seconds, pairs, mse, in order of time; seconds of fitting alone.
        images: file names, in the bench's folder, of the pictures "initial", "target" and "final".
        device: where it ran.
        kernel: what drew.
    """

    contestant: str
    renderer: str
    painting: str
    seed: int
    circles: int
    steps: int
    mse: float
    psnr: float
    seed_loss: float
    ssim: float
    lpips: float | None
    fit_seconds: float
    compile_seconds: float
    pairs: float
    history: tuple[dict[str, float], ...]
    images: dict[str, str]
    device: str
    kernel: str

    @property
    def key(self) -> str:
        """What tells this trial from every other of a bench; fit for a file name."""
        return trial_key(self.contestant, self.renderer, self.painting, self.seed)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Trial:
        """The trial from what `to_json` gave.

        Raises:
            InputError: it is no such thing.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise InputError(f"a trial needs the keys {', '.join(sorted(names))}")
        return cls(**{**values, "history": tuple(values["history"])})


def trial_key(contestant: str, renderer: str, painting: str, seed: int) -> str:
    """See `Trial.key`."""
    return distinct(f"{painting}-{contestant}-{renderer}-{seed}", _KEY_MAX)
