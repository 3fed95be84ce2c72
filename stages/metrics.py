"""Metrics of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from artpipe.renderers import psnr, seed_loss
from artpipe.renderers.checks import instance, real_number, whole_number

from .history import NUMBER_MAX

_OPTIONAL = ("ssim", "weighted_mse", "loss", "colours")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Metrics of a run, as in `metrics.json`.

    Attributes:
        shapes: rows of the scene.
        steps: optimiser steps taken.
        mse: mean squared error with equal pixel weights.
        psnr: PSNR of `mse`, dB; None if `mse` is 0.
        seed_loss: 4 x `mse`, the seed project's loss.
        ssim: structural similarity, 1 for equal pictures; None in files of older versions.
        weighted_mse: mean squared error with the run's pixel weights; None without weights.
        loss: value of what was minimised; None if that was the mean squared error.
        colours: number of different colours of the rows; None without a palette.
        fit_seconds: seconds of fitting.
        total_seconds: seconds of the run, including compilation.
        renderer: "jax" or "torch".
        kernel: "numba" or "dense".
        device: device of the fit.
        reason: why the run ended: "finished", the stop rule that ended it ("seconds", "target-psnr", "patience"),
            "interrupted", or what went wrong.
    """

    shapes: int
    steps: int
    mse: float
    psnr: float | None = field(init=False)
    seed_loss: float = field(init=False)
    ssim: float | None = None
    weighted_mse: float | None = None
    loss: float | None = None
    colours: int | None = None
    fit_seconds: float
    total_seconds: float
    renderer: str
    kernel: str
    device: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "psnr", psnr(self.mse) if self.mse > 0 else None)
        object.__setattr__(self, "seed_loss", seed_loss(self.mse))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `weighted_mse`, `loss` and `colours` only if they are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None or name not in _OPTIONAL}

    @classmethod
    def from_json(cls, values: Any) -> Metrics:
        """The metrics from the output of `to_json`; unknown keys are ignored. Older files have "circles" for "shapes".

        Raises:
            InputError: a value is missing, has another type or is out of range.
        """
        given = instance("metrics", values, dict)
        return cls(
            shapes=whole_number("shapes", given.get("shapes", given.get("circles")), 0, NUMBER_MAX),
            steps=whole_number("steps", given.get("steps"), 0, NUMBER_MAX),
            mse=real_number("mse", given.get("mse"), 0, NUMBER_MAX),
            ssim=_optional("ssim", given, -1),
            weighted_mse=_optional("weighted_mse", given, 0),
            loss=_optional("loss", given, -NUMBER_MAX),
            colours=None if given.get("colours") is None else whole_number("colours", given["colours"], 0, NUMBER_MAX),
            fit_seconds=real_number("fit_seconds", given.get("fit_seconds"), 0, NUMBER_MAX),
            total_seconds=real_number("total_seconds", given.get("total_seconds"), 0, NUMBER_MAX),
            **{name: instance(name, given.get(name), str) for name in ("renderer", "kernel", "device", "reason")},
        )


def _optional(name: str, values: Mapping[str, Any], low: float) -> float | None:
    value = values.get(name)
    return None if value is None else real_number(name, value, low, NUMBER_MAX)
