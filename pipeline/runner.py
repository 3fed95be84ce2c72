"""Carrying out a plan: pulls the stages' events, keeps the time, hands events to observers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..renderers import Diverged, RendererOptions, Scene, load_fitting_renderer, psnr, seed_loss
from ..stages.base import Run, Stage
from ..stages.record import Record
from .config import RunConfig, parse_background
from .observers import Observer

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    Attributes:
        record: what stands, at most `most` circles, and how it came about.
        initial: what stood after the first batch was seeded.
        metrics: what `metrics.json` holds; `psnr` is None where the picture is met exactly.
        reason: "finished", "interrupted", or what went wrong.
    """

    record: Record
    initial: Scene
    metrics: dict[str, Any]
    reason: str


def open_run(target: Array, config: RunConfig) -> Run:
    """A run on this target, (H, W, 3), with everything compiled, so that its time is fitting time."""
    renderer = load_fitting_renderer(config.renderer, RendererOptions(device=config.device))  # type: ignore[arg-type]
    run = Run(
        target, renderer, config.seed, parse_background(config.background), config.fit_settings(), most=config.most
    )
    run.warm_up()
    return run


def carry_out(
    run: Run, stages: Sequence[Stage], config: RunConfig, observers: Sequence[Observer], started: float
) -> Outcome:
    """Runs the stages one after the other; Ctrl-C or a divergence ends it with the scene as it stands.

    Args:
        run: what to work on.
        stages: the plan.
        config: for the record.
        observers: who sees the events.
        started: `time.perf_counter()` when the whole job began.
    """
    seconds = 0.0
    initial: Scene | None = None
    reason = "finished"
    try:
        for stage in stages:
            events = stage(run)
            while True:
                before = time.perf_counter()
                event = next(events, None)
                seconds += time.perf_counter() - before
                if event is None:
                    break
                if initial is None:
                    initial = run.showable()
                run.chronicle.see(event, seconds)
                for observer in observers:
                    observer.see(event, seconds)
    except KeyboardInterrupt:
        reason = "interrupted"
    except Diverged as error:
        reason = f"diverged: {error}"
    finally:
        for observer in observers:
            observer.close()
    record = run.record()
    scene = record.scene
    mse = run.mean_squared_error(scene)
    metrics = {
        "circles": scene.count,
        "steps": run.step,
        "mse": mse,
        "psnr": psnr(mse) if mse > 0 else None,  # JSON has no infinity
        "seed_loss": seed_loss(mse),
        "fit_seconds": round(seconds, 4),
        "total_seconds": round(time.perf_counter() - started, 4),
        "renderer": config.renderer,
        "kernel": run.fit.kernel_name,
        "device": run.fit.device_name,
        "reason": reason,
        "history": list(record.history),
    }
    return Outcome(record, scene if initial is None else initial, metrics, reason)
