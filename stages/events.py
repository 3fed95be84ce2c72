"""What stages tell while they work. Data only; observers decide what is shown and kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from artpipe.renderers import Scene


@dataclass(frozen=True)
class Progress:
    """Optimiser steps were taken.

    Attributes:
        stage: the name of the stage at work.
        step: optimiser steps of the run so far.
        circles: rows in the scene.
        mse: mean squared error over all pixels alike, whatever is optimised; PSNR is computed from it. Before the last
            step, or after it if weights or another loss are optimised.
        loss: what is optimised, before the last step; equal to `mse` if not given.
    """

    stage: str
    step: int
    circles: int
    mse: float
    loss: float | None = None

    def __post_init__(self) -> None:
        if self.loss is None:
            object.__setattr__(self, "loss", self.mse)


@dataclass(frozen=True)
class Grew:
    """A batch was seeded.

    Attributes:
        step: optimiser steps of the run so far.
        added: rows that are new.
        scene: the scene with them.
    """

    step: int
    added: int
    scene: Scene


@dataclass(frozen=True)
class Relocated:
    """Circles were torn out and others built.

    Attributes:
        step: optimiser steps of the run so far.
        kept: rows that stayed.
        added: rows that are new.
    """

    step: int
    kept: int
    added: int


@dataclass(frozen=True)
class Snapshot:
    """A scene worth keeping, for timelapses.

    Attributes:
        step: optimiser steps of the run so far.
        scene: the scene as it stands.
    """

    step: int
    scene: Scene


@dataclass(frozen=True)
class Exported:
    """A file was written.

    Attributes:
        step: optimiser steps of the run so far.
        path: the file.
    """

    step: int
    path: Path


Event = Progress | Grew | Relocated | Snapshot | Exported
