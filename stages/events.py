"""Events that stages yield: data only; observers decide what to show and keep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artpipe.renderers import Scene


@dataclass(frozen=True)
class Progress:
    """Optimiser steps were taken.

    Attributes:
        stage: the name of the current stage.
        step: optimiser steps of the run so far.
        shapes: rows in the scene.
        mse: mean squared error at full size with equal pixel weights, from which PSNR is computed; before the last
            step, or after it if weights or a custom loss are optimised or the canvas is reduced.
        loss: the optimised loss before the last step, on the canvas of the stage; defaults to `mse`.
    """

    stage: str
    step: int
    shapes: int
    mse: float
    loss: float | None = None

    def __post_init__(self) -> None:
        if self.loss is None:
            object.__setattr__(self, "loss", self.mse)


@dataclass(frozen=True)
class Snapshot:
    """The scene at a step, worth keeping.

    Attributes:
        step: optimiser steps of the run so far.
        scene: the scene at that step.
    """

    step: int
    scene: Scene


@dataclass(frozen=True)
class Grew(Snapshot):
    """A batch was seeded; the snapshot holds it.

    Attributes:
        added: rows that are new.
    """

    added: int


@dataclass(frozen=True)
class Relocated:
    """Shapes were removed and others placed.

    Attributes:
        step: optimiser steps of the run so far.
        kept: rows that stayed.
        added: rows that are new.
    """

    step: int
    kept: int
    added: int


@dataclass(frozen=True)
class Exported:
    """A file was written.

    Attributes:
        step: optimiser steps of the run so far.
        path: the file.
    """

    step: int
    path: Path


Event = Progress | Snapshot | Grew | Relocated | Exported
