"""Results: a scene with its history, its target, and the figures of the run that made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from artpipe.renderers import ArtpipeError, InputError, Scene, load_renderer
from artpipe.renderers.checks import instance

from .history import History
from .metrics import Metrics

Array = np.ndarray[Any, Any]

# The reasons of runs that were neither interrupted nor failed.
_WANTED = ("finished", "seconds", "target-psnr", "patience")


@dataclass(frozen=True, eq=False)
class Result:
    """What a run reached, and all that exporters draw from. A scene alone is a result too.

    Attributes:
        scene: the shapes.
        history: loss curve and snapshots on the way to the scene, on canvases of its size.
        target: what was painted: (H, W, 3), or (H, W, 4) with straight alpha; float32, sRGB in 0..1.
        title: the painting's name.
        metrics: figures of the run; None for a scene without a run.
        failure: the error of a run that was interrupted or failed; else None.

    Raises:
        InputError: a snapshot or the target is not of the scene's size.
    """

    scene: Scene
    history: History = field(default_factory=History, repr=False)
    target: Array | None = field(default=None, repr=False)
    title: str = "painting"
    metrics: Metrics | None = None
    failure: ArtpipeError | None = None

    def __post_init__(self) -> None:
        canvas = instance("scene", self.scene, Scene).canvas
        for snapshot in instance("history", self.history, History).snapshots:
            size = snapshot.scene.canvas
            if (size.width, size.height) != (canvas.width, canvas.height):
                raise InputError(f"the scene at step {snapshot.step} is not {canvas.width} x {canvas.height} pixels")
        if self.target is not None and np.shape(self.target) not in [(canvas.height, canvas.width, k) for k in (3, 4)]:
            raise InputError(
                f"target has shape {np.shape(self.target)}; needs ({canvas.height}, {canvas.width}, 3 or 4)"
            )

    @cached_property
    def image(self) -> Array:
        """The scene drawn over its background, (H, W, 3) float32, sRGB in 0..1; drawn when first asked for."""
        return load_renderer("cpu").render(self.scene)

    @property
    def initial(self) -> Scene:
        """The scene after the first batch was seeded; the final one where no snapshot was kept."""
        return self.history.snapshots[0].scene if self.history.snapshots else self.scene

    @property
    def reason(self) -> str:
        """Why the run ended, as `Metrics.reason`; "" without a run."""
        return "" if self.metrics is None else self.metrics.reason

    @property
    def complete(self) -> bool:
        """Whether the run was neither interrupted nor failed."""
        return self.reason in _WANTED

    @property
    def resumable(self) -> bool:
        """Whether resuming the run may get further: it was interrupted, or there was too little memory."""
        return self.reason == "interrupted" or self.reason.startswith("out of memory")
