"""Observers of a run: progress displays and the caller's function."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol

from artpipe.renderers import psnr
from artpipe.stages.events import Event, Progress


class Observer(Protocol):
    """Receives every event of a run."""

    def see(self, event: Event, seconds: float) -> None:
        """Handles an event after `seconds` of fitting."""
        ...

    def close(self) -> None:
        """Called once when the run ends."""
        ...


class Forward:
    """Passes events to the caller's function."""

    def __init__(self, on_event: Callable[[Event], object]) -> None:
        self._on_event = on_event

    def see(self, event: Event, seconds: float) -> None:
        """Calls the function."""
        del seconds
        self._on_event(event)

    def close(self) -> None:
        """Nothing to do."""


class ProgressLines:
    """Plain lines on stderr every few seconds, for logs and pipes.

    Args:
        planned: planned length of the run, in this unit.
        unit: "steps" or "s".
        every_seconds: least time between lines.
    """

    def __init__(self, planned: float, unit: str = "steps", every_seconds: float = 2.0) -> None:
        self._planned = planned
        self._unit = unit
        self._every = every_seconds
        self._last = 0.0

    def see(self, event: Event, seconds: float) -> None:
        """Prints a line if one is due, and at the end."""
        if not isinstance(event, Progress):
            return
        timed = self._unit == "s"
        if time.monotonic() - self._last >= self._every or (seconds if timed else event.step) >= self._planned:
            self._last = time.monotonic()
            of = f", {seconds:.0f} of {self._planned:g} s" if timed else f" of {self._planned}"
            print(
                f"{event.stage}: step {event.step}{of}, {event.shapes} shapes, "
                f"{psnr(event.mse):.2f} dB, {event.step / max(seconds, 1e-9):.0f} steps/s",
                file=sys.stderr,
            )

    def close(self) -> None:
        """Nothing to do."""


class ProgressBar:
    """A live line on stderr: stage, shapes, step, loss, speed, time left.

    Args:
        planned: planned length of the run, in this unit.
        unit: "steps" or "s".
    """

    def __init__(self, planned: float, unit: str = "steps") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description:<7}"),
            BarColumn(bar_width=None),
            TextColumn(f"{{task.completed:>5.0f}}/{{task.total:.0f}} {unit}"),
            TextColumn("[cyan]{task.fields[shapes]:>5} shapes"),
            TextColumn("[green]{task.fields[psnr]:>5.2f} dB"),
            TextColumn("[dim]mse {task.fields[mse]:.2e}  {task.fields[speed]:.0f} steps/s"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._timed = unit == "s"
        self._task = self._bar.add_task("seed", total=planned, shapes=0, psnr=0.0, mse=1.0, speed=0.0)
        self._bar.start()

    def see(self, event: Event, seconds: float) -> None:
        """Moves the bar."""
        if isinstance(event, Progress):
            completed = seconds if self._timed else event.step
            self._bar.update(
                self._task, description=event.stage, completed=completed, shapes=event.shapes,
                psnr=psnr(event.mse), mse=event.mse, speed=event.step / max(seconds, 1e-9),
            )  # fmt: skip

    def close(self) -> None:
        """Removes the bar."""
        self._bar.stop()
