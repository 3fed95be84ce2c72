"""The tuned fixed count under optimisers of optax and torch.optim, in place of our own Adam by rows.

They move the same parameters, each at its own rate, from the same seeding, by the same kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from artpipe.renderers.fits.rows import parameters_of
from artpipe.stages.refine import Settle
from artpipe.stages.seed import Seed

from ..options import RunConfig
from ..presets import PRESETS
from .descent import Descent, Optimiser, Problem, open_descent

Array = np.ndarray[Any, Any]

# Gradients of a mean over pixels are about 1e-7: the usual epsilon of 1e-8 would stall these.
_EPS = {"eps": 1e-12}
# As in our own fits.
_BETA, _BETAS = {"b2": 0.9, **_EPS}, {"betas": (0.9, 0.9), **_EPS}

OPTIMISERS: dict[str, Optimiser] = {
    "adam": Optimiser(("adam", _BETA), ("Adam", _BETAS)),
    "adamw": Optimiser(("adamw", {"weight_decay": 1e-5, **_BETA}), ("AdamW", {"weight_decay": 1e-5, **_BETAS})),
    "nadam": Optimiser(("nadam", _BETA), ("NAdam", _BETAS)),
    "radam": Optimiser(("radam", _BETA), ("RAdam", _BETAS)),
    "rmsprop": Optimiser(("rmsprop", {"decay": 0.9, **_EPS}), ("RMSprop", {"alpha": 0.9, **_EPS})),
    "adagrad": Optimiser(("adagrad", {"initial_accumulator_value": 0.0, **_EPS}), ("Adagrad", _EPS), 3.0),
    "lion": Optimiser(("lion", {"weight_decay": 0.0}), None, 0.5),
    "adabelief": Optimiser(("adabelief", {"eps_root": 0.0, **_BETA}), None),
}


def open_fixed(name: str, target: Array, config: RunConfig) -> Descent:
    """All shapes of a configuration, seeded at once, under an optimiser; compiled.

    Args:
        name: a key of `OPTIMISERS` that the configuration's renderer has.
        target: (H, W, 3) float32, sRGB in 0..1.
        config: count, seeding, rates, seed, renderer.
    """
    from ..running.runner import open_run  # loads the kernel

    run = open_run(target, config)
    seeding = config.plan()[0]
    for _ in Seed(config.count, seeding.newcomers)(run):  # type: ignore[attr-defined]
        pass
    scene = run.scene
    parameters = parameters_of(scene.kinds, run.canvas, run.settings)
    is_log, is_logit = parameters.is_log.T, parameters.is_logit.T

    def rows(raw: Any, xp: Any, sigmoid: Any) -> Any:
        log, logit = xp.asarray(is_log), xp.asarray(is_logit)
        values = xp.where(log, xp.exp(xp.where(log, raw, 0.0)), raw)
        return xp.where(logit, sigmoid(raw), values)

    limits = (parameters.low.T.copy(), parameters.high.T.copy())
    problem = Problem(target, scene, parameters.encode(scene.rows), rows, parameters.rates.T, limits)
    return open_descent(config.renderer, problem, OPTIMISERS[name])


def scales(config: RunConfig) -> list[float]:
    """The factor on the rates at each step: 1, and falling at the end as in `Settle`."""
    steps = config.filled.steps or 0
    settling = round(steps * PRESETS[config.preset].settle_share)
    return [1.0] * (steps - settling) + Settle(settling).scales
