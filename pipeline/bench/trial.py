"""One trial: a contestant on a picture with one random seed, and what was measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from artpipe.renderers import Diverged, InputError, Scene, load_renderer, mean_squared_error, psnr, seed_loss
from artpipe.renderers.losses.lpips import perceptual_distance
from artpipe.renderers.losses.ssim import structural_similarity
from artpipe.stages.events import Event, Progress
from artpipe.stages.formats.names import NAME_MAX, distinct

from ..options import RunConfig
from ..running.plan import plan_of
from ..running.runner import carry_out, open_run
from .baseline import open_baseline
from .contestants import Contestant
from .descent import Descent
from .optimisers import open_fixed, scales

Array = np.ndarray[Any, Any]

# Bytes: `-initial.png` fits behind it.
_KEY_MAX = NAME_MAX - 20
# Steps between two rows of a history that the bench records itself.
_RECORD_EVERY = 32
# PSNR of an exact picture: JSON has no infinity.
_PSNR_MAX = 120.0


@dataclass(frozen=True)
class Trial:
    """What one contestant reached on one picture; figures are of the end."""

    contestant: str  # a key of `BenchOptions.competing`
    renderer: str  # "jax" or "torch"
    painting: str
    seed: int
    shapes: int
    steps: int
    mse: float  # of 0..1 values
    psnr: float  # dB
    seed_loss: float  # 4 x mse, as the seed project counts
    ssim: float
    lpips: float | None  # None without the extra `metrics`
    fit_seconds: float  # of fitting alone
    compile_seconds: float  # of compiling and loading before the fit
    pairs: float  # pixel-shape pairs drawn in all steps, in tiles of the kernel
    history: tuple[dict[str, float], ...]  # rows of step, shapes, seconds, pairs, mse, in order of time
    images: dict[str, str]  # files in the bench's folder: "initial", "target" and "final"

    @property
    def key(self) -> str:
        """The trial's name within a bench; usable as a file name."""
        return trial_key(self.contestant, self.renderer, self.painting, self.seed)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> Trial:
        """Read what `to_json` returned.

        Raises:
            InputError: a key is missing or unknown.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            raise InputError(f"a trial of a bench needs the keys {', '.join(sorted(names))}")
        return cls(**{**values, "history": tuple(values["history"])})


def trial_key(contestant: str, renderer: str, painting: str, seed: int) -> str:
    """See `Trial.key`."""
    return distinct(f"{painting}-{contestant}-{renderer}-{seed}", _KEY_MAX)


class Fitted(NamedTuple):
    """A finished fit."""

    initial: Scene
    scene: Scene
    steps: int
    seconds: float
    compile_seconds: float
    pairs: float
    history: list[dict[str, float]]


def fit(contestant: Contestant, target: Array, config: RunConfig, baseline_steps: int) -> Fitted:
    """Fit a target, (H, W, 3) float32, the contestant's way; the baseline reads only renderer, count and seed.

    Raises:
        Diverged: the fit left the finite numbers.
    """
    started = time.perf_counter()
    if contestant.configure is None:
        baseline = open_baseline(config.renderer, target, config.count, config.seed)
        return _descend(baseline, [1.0] * baseline_steps, started)
    config = replace(config, device="cpu")
    if contestant.optimiser is not None:
        return _descend(open_fixed(contestant.optimiser, target, config), scales(config), started)
    run = open_run(target, config)
    compile_seconds = time.perf_counter() - started
    pairs = _Pairs()
    result = carry_out(run, plan_of(config), config, [pairs], started)
    if result.reason == "interrupted":
        raise KeyboardInterrupt
    if not result.complete:
        raise Diverged(result.reason)
    points = zip(result.history.curve, pairs.at_progress, strict=True)
    history = [{**point.to_json(), "pairs": drawn} for point, drawn in points]
    metrics = result.metrics
    assert metrics is not None
    seconds = metrics.fit_seconds, compile_seconds
    return Fitted(result.initial, result.scene, metrics.steps, *seconds, pairs.drawn, history)


def measured(names: tuple[str, str, str, int], fitted: Fitted, target: Array) -> tuple[Trial, dict[str, Array]]:
    """The trial of a finished fit, and its pictures by file name; `names` are contestant, renderer, painting, seed."""
    initial, final = (load_renderer("cpu").render(scene) for scene in (fitted.initial, fitted.scene))
    key, shown = trial_key(*names), np.clip(final, 0, 1)
    images = {"initial": f"images/{key}-initial.png", "target": f"images/{names[2]}.png", "final": f"images/{key}.png"}
    mse = mean_squared_error(final, target)
    trial = Trial(
        *names, shapes=fitted.scene.count, steps=fitted.steps, mse=mse, psnr=min(psnr(mse), _PSNR_MAX),
        seed_loss=seed_loss(mse), ssim=structural_similarity(shown, target), lpips=perceptual_distance(shown, target),
        fit_seconds=fitted.seconds, compile_seconds=fitted.compile_seconds, pairs=fitted.pairs,
        history=tuple(fitted.history), images=images,
    )  # fmt: skip
    return trial, {images["initial"]: initial, images["target"]: target, images["final"]: final}


class _Pairs:
    """Counts pixel-shape pairs: those of the kernel's last call, times the steps since the last count."""

    def __init__(self) -> None:
        renderer: Any = load_renderer("cpu")
        self._kernel = renderer.kernel
        self.drawn = 0.0
        self.at_progress: list[float] = []
        self._step = 0

    def up_to(self, step: int) -> float:
        self.drawn += (step - self._step) * self._kernel.pair_count
        self._step = step
        return self.drawn

    def see(self, event: Event, seconds: float) -> None:
        del seconds
        if isinstance(event, Progress):
            self.at_progress.append(self.up_to(event.step))

    def close(self) -> None:
        pass


def _descend(descent: Descent, scales: Sequence[float], started: float) -> Fitted:
    """Take one step for each factor on the rates."""
    compile_seconds = time.perf_counter() - started
    initial, pairs, seconds = descent.scene(), _Pairs(), 0.0
    history = []
    for step, scale in enumerate(scales, 1):
        before = time.perf_counter()
        mse = descent.step(scale)
        seconds += time.perf_counter() - before
        if step % _RECORD_EVERY == 0 or step == len(scales):
            row = {"step": step, "shapes": initial.count, "seconds": round(seconds, 4), "mse": mse}
            history.append({**row, "pairs": pairs.up_to(step)})
    return Fitted(initial, descent.scene(), len(scales), seconds, compile_seconds, pairs.drawn, history)
