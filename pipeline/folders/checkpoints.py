"""Checkpoints: the complete state of a run; restoring one continues bit-identically.

During a run, `checkpoint/` in the run folder holds `start.bin` (options, target, weights) and the last two states,
`000001.bin` and so on. Each file is written to a temporary name, synced and renamed, and contains its own digest: a
truncated or modified file is not used. Files are untrusted (`stages/formats/arrays.py`); their content never names a
path.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, FitState, InputError, Scene
from artpipe.renderers.errors import one_line
from artpipe.renderers.row_layout import stacked_rows
from artpipe.stages.base import Run, RunState, Stage
from artpipe.stages.events import Grew, Snapshot
from artpipe.stages.formats.arrays import Field
from artpipe.stages.history import NUMBER_MAX, SNAPSHOTS_KEPT, History, LossPoint
from artpipe.stages.limits import COUNT_MAX, STEPS_MAX

from ..options import RunConfig
from ..running.plan import Cut, Plan
from ..running.stopping import Stopping
from .sealed import digest_in, seal, unseal

Array = np.ndarray[Any, Any]

FOLDER = "checkpoint"
START = "start.bin"
# States kept: the older one is the fallback if the last is damaged.
KEPT = 2
# Largest share of a run's time that saving may take.
COST = 0.05

_PLAN = ("stage", "done", "shapes", "begun", "seconds", "cut")
# Fields of stages that pacing changes, and their largest values.
_PACED = {"steps": STEPS_MAX, "growth": 4 * COUNT_MAX, "lead": STEPS_MAX, "begin": 1.0}
_SLATES = ("raw", "weight", "mean", "square")
# Most items of an array when writing; when reading, the file size limits them.
_MOST = 2**62

_START_TABLE = {
    "about": Field("|u1", ("bytes",), _MOST),
    "target": Field("<f4", ("height", "width", "channels"), _MOST),
    "weights": Field("<f4", ("height", "width"), _MOST),
}
_STATE_TABLE = {
    "about": Field("|u1", ("bytes",), _MOST),
    "rows": Field("<f4", ("rows", "columns"), _MOST),
    "kinds": Field("|u1", ("rows",), _MOST),
    "ids": Field("<i8", ("rows",), _MOST),
    "drawn": Field("<f4", ("rows", "columns"), _MOST),
    "raw": Field("<f4", ("rows", "columns"), _MOST),
    "weight": Field("<f4", ("rows", 2), _MOST),
    "mean": Field("<f4", ("rows", "columns"), _MOST),
    "square": Field("<f4", ("rows", "columns"), _MOST),
    "curve": Field("<f8", ("points", len(LossPoint._fields)), _MOST),
    # In order of time: step, shapes, next id, and rows added (-1 for a snapshot that is not a growth).
    "snapshots": Field("<i8", ("snapshots", 4), _MOST),
    "snapshot_rows": Field("<f4", ("snapshot rows", "snapshot columns"), _MOST),
    "snapshot_kinds": Field("|u1", ("snapshot rows",), _MOST),
    "snapshot_ids": Field("<i8", ("snapshot rows",), _MOST),
}


@dataclass(frozen=True, eq=False)
class Start:
    """The inputs of a run.

    Attributes:
        config: its options.
        picture: the path that the user gave; for `run.json` and the title.
        target: (H, W, 3) or (H, W, 4) float32, sRGB in 0..1.
        weights: (H, W) float32; None if all pixels have the same weight.
    """

    config: RunConfig
    picture: str
    target: Array
    weights: Array | None


class Keeper:
    """Writes the checkpoints of a run into its folder.

    Args:
        folder: the run folder, which contains `checkpoint/`.
        every: seconds between checkpoints; 0 for one after each part.
        warn: called once, with one line, if a checkpoint cannot be written. The run continues.
    """

    def __init__(self, folder: Path, every: float, warn: Callable[[str], object]) -> None:
        self.folder = folder / FOLDER
        self.every = every
        self._warn = warn
        self._failed = False
        self._due = time.monotonic() + every
        numbers = [_number(path) for path in self.folder.glob("*.bin")]
        self._last = max(numbers, default=0)
        self._began = time.perf_counter()

    def begin(self, start: Start) -> None:
        """Writes the inputs of the run.

        Raises:
            InputError: the folder is read-only or full.
        """
        about = {"config": start.config.to_json(), "picture": start.picture}
        values: dict[str, Any] = {"about": _as_bytes(about), "target": start.target}
        if start.weights is not None:
            values["weights"] = start.weights
        seal(self.folder / START, values, _START_TABLE)

    def offer(self, run: Run, plan: Plan) -> None:
        """Saves the run if a checkpoint is due."""
        now = time.monotonic()
        if now < self._due:
            return
        self.save(run, plan)
        cost = time.monotonic() - now
        self._due = now + cost + (max(self.every, cost / COST) if self.every else 0.0)

    def save(self, run: Run, plan: Plan) -> None:
        """Saves the run and removes all checkpoints but the last `KEPT`."""
        self._last += 1
        try:
            elapsed = plan.elapsed + time.perf_counter() - self._began
            values = _state_values(run.state(), plan, elapsed, digest_in(self.folder / START))
            seal(self.folder / f"{self._last:06}.bin", values, _STATE_TABLE)
        except InputError as error:
            if not self._failed:
                self._warn(f"{error}; the run continues without a checkpoint")
            self._failed = True
            return
        _remove(_states(self.folder)[KEPT:])


def load_start(folder: Path) -> Start:
    """The inputs of the run in this folder.

    Raises:
        InputError: there is no run to continue, or the file is invalid.
    """
    path = folder / FOLDER / START
    if not path.is_file():
        raise InputError(f"{folder} holds no interrupted run: there is no {FOLDER}/{START}")
    try:
        values = unseal(path, _START_TABLE)
        about = _read_about(values)
        config, picture, target = RunConfig.from_json(about["config"]), about["picture"], values["target"]
        if not isinstance(picture, str) or target.shape[2] not in (3, 4) or not np.isfinite(target).all():
            raise ValueError("its target is not a finite (H, W, 3) or (H, W, 4) picture with a path")
        if config.is_weighted != ("weights" in values):
            raise ValueError("its weights do not match its options")
        return Start(config, picture, target, values.get("weights"))
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(f"{path} cannot be used: {_line(error)}. Start the run again") from None


def restore(folder: Path, run: Run, plan: Plan, warn: Callable[[str], object]) -> Plan:
    """Restores a new run from the last valid checkpoint.

    Args:
        folder: the run folder.
        run: the run before its first step.
        plan: the plan before its first part.
        warn: called with one line for each invalid checkpoint. Those are removed, so that none replaces a valid one.

    Returns:
        The plan of the checkpoint; `plan` if no checkpoint is valid.
    """
    paths = _states(folder / FOLDER)
    if not paths:
        warn(f"{folder} holds no checkpoint yet; starting from the beginning")
    digest = digest_in(folder / FOLDER / START)
    for tried, path in enumerate(paths, 1):
        try:
            state, resumed = _state_of(unseal(path, _STATE_TABLE), plan, run, digest)
            run.restore(state)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError) as error:
            left = "starting from the beginning" if tried == len(paths) else "using the previous one"
            warn(f"{path} cannot be used: {_line(error)}; {left}")
            _remove([path])
            continue
        return resumed
    return plan


def clear(folder: Path) -> None:
    """Removes the checkpoints of a finished run; first `start.bin`, which marks a run as resumable."""
    inside = folder / FOLDER
    _remove([inside / START, *_states(inside)])


def _states(folder: Path) -> list[Path]:
    """Paths of checkpoints, newest first."""
    return sorted((path for path in folder.glob("*.bin") if _number(path)), key=_number, reverse=True)


def _remove(paths: Sequence[Path]) -> None:
    """Removes files; errors are ignored, since the run does not depend on it."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _number(path: Path) -> int:
    return int(path.stem) if path.stem.isascii() and path.stem.isdigit() else 0


def _state_values(state: RunState, plan: Plan, elapsed: float, start: str) -> dict[str, Any]:
    fit, history = state.fit, state.history
    stopping = asdict(plan.stopping)
    if stopping["best"] == float("inf"):
        stopping["best"] = None
    about = {
        "start": start,
        "plan": {**{name: getattr(plan, name) for name in _PLAN}, "elapsed": elapsed},
        "paced": _paced_values(plan),
        "stopping": stopping,
        "rng": state.rng,
        "step_count": fit.step_count,
        "next_id": fit.scene.next_id,
        "canvas": asdict(fit.scene.canvas),
        "reduction": state.reduction,
        "backgrounds": [snapshot.scene.canvas.background for snapshot in history.snapshots],
        "growth_count": history.growth_count,
        "other_count": history.other_count,
    }
    empty = fit.scene.select(np.zeros(0, np.int64))
    scenes = [snapshot.scene for snapshot in history.snapshots]
    return {
        "about": _as_bytes(about),
        "rows": fit.scene.rows,
        "kinds": fit.scene.kinds,
        "ids": fit.scene.ids,
        "drawn": fit.rows,
        **dict(zip(_SLATES, fit.slates, strict=True)),
        "curve": np.array(history.curve).reshape(-1, len(LossPoint._fields)),
        "snapshots": np.array(
            [[s.step, s.scene.count, s.scene.next_id, getattr(s, "added", -1)] for s in history.snapshots], np.int64
        ).reshape(-1, 4),
        "snapshot_rows": stacked_rows([empty.rows, *(scene.rows for scene in scenes)]),
        "snapshot_kinds": np.concatenate([empty.kinds, *(scene.kinds for scene in scenes)]),
        "snapshot_ids": np.concatenate([empty.ids, *(scene.ids for scene in scenes)]),
    }


def _state_of(values: Mapping[str, Any], plan: Plan, run: Run, start: str) -> tuple[RunState, Plan]:
    """The state and the plan from the values of a file; `start` is the digest of the run's `start.bin`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError: the values are invalid.
    """
    about = _read_about(values)
    if about["start"] != start:
        raise ValueError("it belongs to another run")
    canvas = Canvas(**{**about["canvas"], "background": tuple(about["canvas"]["background"])})
    next_id = _whole(about["next_id"], 2**63 - 1)
    scene = Scene(values["rows"], canvas, ids=values["ids"], kinds=values["kinds"], next_id=next_id)
    slates = tuple(values[name] for name in _SLATES)
    if (values["weight"] < 0).any() or (values["square"] < 0).any():
        raise ValueError("its optimiser state has negative weights or means of squares")
    fit = FitState(scene, values["drawn"], slates, _whole(about["step_count"], STEPS_MAX))
    saved = about["plan"]
    cut = None
    if saved["cut"] is not None:
        at, shapes, steps = saved["cut"]
        most = 4 * COUNT_MAX if run.most is None else run.most
        cut = Cut(_whole(at, len(plan.first)), _whole(shapes, most), _whole(steps, STEPS_MAX))
    resumed = Plan(
        plan.first if plan.pacing is None else _paced(plan.first, about["paced"]),
        _stopping_of(about["stopping"], plan.stopping),
        plan.first,
        cut,
        stage=_whole(saved["stage"], len(plan.first) if cut is None else cut.stage + 2),
        done=_whole(saved["done"], 2 * STEPS_MAX + COUNT_MAX),
        shapes=None if saved["shapes"] is None else _whole(saved["shapes"], 4 * COUNT_MAX),
        begun=_whole(saved["begun"], fit.step_count),
        seconds=_number_of(saved["seconds"], NUMBER_MAX),
        elapsed=_number_of(saved["elapsed"], NUMBER_MAX),
    )
    _check_place(resumed)
    reduction = about.get("reduction", 1)
    if reduction not in (1, *(stage.reduction for stage in plan.first)):
        raise ValueError("its canvas has a size that the plan does not use")
    return RunState(fit, about["rng"], _history_of(values, about, run.canvas), reduction), resumed


def _paced_values(plan: Plan) -> list[dict[str, Any]]:
    """The fields that pacing changed in the stages of the plan, up to where it was cut short."""
    if plan.pacing is None:
        return []
    stages = plan.stages if plan.cut is None else plan.stages[: plan.cut.stage]
    return [{name: getattr(stage, name) for name in _PACED if hasattr(stage, name)} for stage in stages]


def _paced(stages: Sequence[Stage], saved: Sequence[Mapping[str, Any]]) -> list[Stage]:
    """The stages of a plan with the fields that `_paced_values` saved."""
    if len(saved) > len(stages):
        raise ValueError("its plan has too many stages")
    paced: list[Stage] = []
    for stage, values in zip(stages, saved, strict=False):
        known = {
            name: _number_of(values[name], most) if name == "begin" else _whole(values[name], int(most))
            for name, most in _PACED.items()
            if hasattr(stage, name)
        }
        if known.get("growth") == 0:
            raise ValueError("its batches are empty")
        options: Any = stage  # one of several dataclasses
        paced.append(replace(options, **known))
    return [*paced, *stages[len(saved) :]]


def _check_place(plan: Plan) -> None:
    """Rejects a plan that has done more parts than its stage has."""
    if plan.done == 0:
        return
    if plan.stage == len(plan.stages) or plan.shapes is None:
        raise ValueError("its stage has not begun but has parts that were done")
    parts = plan.stages[plan.stage].parts(plan.shapes)
    if next(islice(parts, plan.done - 1, None), None) is None:
        raise ValueError(f"its stage has fewer parts than the {plan.done} that were done")


def _stopping_of(saved: Mapping[str, Any], rules: Stopping) -> Stopping:
    """The stop rules of the run with their saved state."""
    best = float("inf") if saved["best"] is None else _number_of(saved["best"], NUMBER_MAX)
    best_step, shapes = _whole(saved["best_step"], STEPS_MAX), _whole(saved["shapes"] + 1, 4 * COUNT_MAX + 1) - 1
    if saved["reason"] not in ("", "seconds", "target-psnr", "patience"):
        raise ValueError("its stop rule is unknown; known are seconds, target-psnr, patience")
    return Stopping(rules.seconds, rules.target_psnr, rules.patience, best, best_step, shapes, saved["reason"])


def _history_of(values: Mapping[str, Any], about: Mapping[str, Any], canvas: Canvas) -> History:
    points = values["curve"].tolist()
    if not all(0 <= value <= NUMBER_MAX for point in points for value in point):
        raise ValueError("its loss curve has values out of range")
    curve = [LossPoint(int(step), int(shapes), seconds, mse) for step, shapes, seconds, mse in points]
    table, rows, ids, kinds = (
        values[name] for name in ("snapshots", "snapshot_rows", "snapshot_ids", "snapshot_kinds")
    )
    if len(table) > 4 * SNAPSHOTS_KEPT or (np.diff(table[:, 0]) < 0).any():
        raise ValueError("it has too many snapshots, or they are not in order")
    snapshots = []
    end = 0
    backgrounds = about.get("backgrounds", [canvas.background] * len(table))
    for (step, count, next_id, added), background in zip(table.tolist(), backgrounds, strict=True):
        start, end = end, end + _whole(count, len(rows))
        if end > len(rows):
            raise ValueError("its snapshots have more rows than the file")
        on = replace(canvas, background=tuple(background))
        scene = Scene(rows[start:end], on, ids=ids[start:end], kinds=kinds[start:end], next_id=next_id)
        _whole(step, STEPS_MAX)
        snapshots.append(Snapshot(step, scene) if added == -1 else Grew(step, scene, _whole(added, count)))
    return History(curve, snapshots, _whole(about["growth_count"], 2**62), _whole(about["other_count"], 2**62))


def _as_bytes(about: Mapping[str, Any]) -> Array:
    return np.frombuffer(json.dumps(about, allow_nan=False).encode(), np.uint8)


def _read_about(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        about = json.loads(values["about"].tobytes().decode())
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(about, dict):
        raise ValueError("its JSON is not an object")
    return about


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:30]} is not a whole number from 0 to {most}")
    return value


def _number_of(value: Any, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:30]} is not a number from 0 to {most:g}")
    return float(value)


def _line(error: Exception) -> str:
    """The error in one short line."""
    return one_line(f"it lacks {error}" if isinstance(error, KeyError) else error, 200)
