"""Results: a scene with its history, its target and the metrics of its run."""

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

# Reasons of runs that were neither interrupted nor failed.
_COMPLETE = ("finished", "seconds", "target-psnr", "patience")


@dataclass(frozen=True, eq=False)
class Result:
    """The outcome of a run and the input of every exporter. A scene alone is a result too.

    Attributes:
        scene: the shapes.
        history: loss curve and earlier scenes, on canvases of the same size.
        target: the picture that was painted, (H, W, 3), or (H, W, 4) with straight alpha; float32, sRGB in 0..1.
        title: the painting's name.
        metrics: of the run; None for a scene without a run.
        failure: the error of a run that was interrupted or failed; else None.

    Raises:
        InputError: a snapshot or the target differs in size from the scene.
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
                raise InputError(
                    f"the snapshot at step {snapshot.step} is {size.width} x {size.height} pixels; "
                    f"needs {canvas.width} x {canvas.height}"
                )
        if self.target is not None and np.shape(self.target) not in [(canvas.height, canvas.width, k) for k in (3, 4)]:
            raise InputError(
                f"target has shape {np.shape(self.target)}; needs ({canvas.height}, {canvas.width}, 3 or 4)"
            )

    @cached_property
    def image(self) -> Array:
        """The scene drawn over its background, (H, W, 3) float32, sRGB in 0..1; drawn on first access."""
        return load_renderer("cpu").render(self.scene)

    @property
    def initial(self) -> Scene:
        """The scene after the first batch was seeded; the final scene without snapshots."""
        return self.history.snapshots[0].scene if self.history.snapshots else self.scene

    @property
    def reason(self) -> str:
        """Why the run ended, as `Metrics.reason`; "" without a run."""
        return "" if self.metrics is None else self.metrics.reason

    @property
    def complete(self) -> bool:
        """Whether the run was neither interrupted nor failed."""
        return self.reason in _COMPLETE

    @property
    def resumable(self) -> bool:
        """Whether the run can be resumed: it was interrupted or ran out of memory."""
        return self.reason == "interrupted" or self.reason.startswith("out of memory")
