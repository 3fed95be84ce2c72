"""Checkpoints: all that a run needs to go on after it was cut off, bit for bit.

They stand in `checkpoint/` of the run folder while the run is at work: `start.bin`, what it was begun with, and the
last two states, `000001.bin` and so on. Each file is written aside, synced and renamed, and holds a digest of itself:
one that is torn or changed is not used. Reading trusts nothing (`stages/formats/arrays.py`), and no path outside the
run folder is read or written for what a checkpoint says.
"""

from __future__ import annotations

import hashlib
import io
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
from artpipe.renderers.scene import stacked_rows
from artpipe.stages.base import Run, RunState, Stage
from artpipe.stages.events import Grew, Snapshot
from artpipe.stages.formats.arrays import Field, pack, unpack
from artpipe.stages.formats.files import whole_file
from artpipe.stages.history import NUMBER_MAX, SNAPSHOTS_KEPT, History, LossPoint
from artpipe.stages.limits import COUNT_MAX, STEPS_MAX

from ..options import RunConfig
from ..running.plan import Cut, Plan
from ..running.stopping import Stopping

Array = np.ndarray[Any, Any]

FOLDER = "checkpoint"
START = "start.bin"
# A checkpoint and the one before it, should the last be torn.
KEPT = 2
# Saving takes at most this share of a run's time.
COST = 0.05

# The number counts the forms that the files have had.
_KIND, _MARK = b"artpipe checkpoint ", b"artpipe checkpoint 3\n"
_DIGEST = hashlib.sha256
_HEAD = len(_MARK) + 2 * _DIGEST().digest_size + 1  # bytes of mark and digest
_PLAN = ("stage", "done", "shapes", "begun", "seconds", "cut")
# What pacing changes in the stages of a plan, where they have it, and the largest value of each.
_PACED = {"steps": STEPS_MAX, "growth": 4 * COUNT_MAX, "lead": STEPS_MAX, "begin": 1.0}
_SLATES = ("raw", "weight", "mean", "square")
# Items of an array that is written; of one that is read, as many as the file has room for.
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
    # In order of time: step, shapes, next id, and the rows that were added (-1 for a snapshot that is no growth).
    "snapshots": Field("<i8", ("snapshots", 4), _MOST),
    "snapshot_rows": Field("<f4", ("snapshot rows", "snapshot columns"), _MOST),
    "snapshot_kinds": Field("|u1", ("snapshot rows",), _MOST),
    "snapshot_ids": Field("<i8", ("snapshot rows",), _MOST),
}


@dataclass(frozen=True, eq=False)
class Start:
    """What a run was begun with.

    Attributes:
        config: its options.
        picture: the path that the user gave; for `run.json` and the title.
        target: (H, W, 3) or (H, W, 4) float32, sRGB in 0..1.
        weights: (H, W) float32; None if all pixels count the same.
    """

    config: RunConfig
    picture: str
    target: Array
    weights: Array | None


class Keeper:
    """Writes the checkpoints of a run into its folder.

    Args:
        folder: the run folder, in which `checkpoint/` is.
        every: seconds between two; 0 for one whenever possible.
        warn: told once, in one line, if a checkpoint cannot be written. The run goes on.
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
        """Writes what the run is begun with.

        Raises:
            InputError: the folder is read-only or full.
        """
        about = {"config": start.config.to_json(), "picture": start.picture}
        values: dict[str, Any] = {"about": _as_bytes(about), "target": start.target}
        if start.weights is not None:
            values["weights"] = start.weights
        _seal(self.folder / START, values, _START_TABLE)

    def offer(self, run: Run, plan: Plan) -> None:
        """Saves the run if it is time."""
        now = time.monotonic()
        if now < self._due:
            return
        self.save(run, plan)
        cost = time.monotonic() - now
        self._due = now + cost + (max(self.every, cost / COST) if self.every else 0.0)

    def save(self, run: Run, plan: Plan) -> None:
        """Saves the run, and removes all checkpoints but the last `KEPT`."""
        self._last += 1
        try:
            elapsed = plan.elapsed + time.perf_counter() - self._began
            values = _state_values(run.state(), plan, elapsed, _digest_in(self.folder / START))
            _seal(self.folder / f"{self._last:06}.bin", values, _STATE_TABLE)
        except InputError as error:
            if not self._failed:
                self._warn(f"{error}; the run goes on without a checkpoint")
            self._failed = True
            return
        _remove(_states(self.folder)[KEPT:])


def load_start(folder: Path) -> Start:
    """What the run in this folder was begun with.

    Raises:
        InputError: there is no run to go on with, or the file is broken.
    """
    path = folder / FOLDER / START
    if not path.is_file():
        raise InputError(f"{folder} holds no run that was cut off: there is no {FOLDER}/{START}")
    try:
        values = _unseal(path, _START_TABLE)
        about = _read_about(values)
        config, picture, target = RunConfig.from_json(about["config"]), about["picture"], values["target"]
        if not isinstance(picture, str) or target.shape[2] not in (3, 4) or not np.isfinite(target).all():
            raise ValueError("its target is none")
        if config.is_weighted != ("weights" in values):
            raise ValueError("its weights are missing, or not asked for")
        return Start(config, picture, target, values.get("weights"))
    except (ValueError, KeyError, TypeError, InputError) as error:
        raise InputError(f"{path} cannot be used: {_line(error)}. Without it the run has to be begun anew") from None


def restore(folder: Path, run: Run, plan: Plan, warn: Callable[[str], object]) -> Plan:
    """Puts a run, opened as it was begun, into the state of the last good checkpoint.

    Args:
        folder: the run folder.
        run: fresh.
        plan: the run's plan, as it was begun.
        warn: told, in a line each, which checkpoints cannot be used. Those are removed, so that none of them is kept in
            the place of a good one.

    Returns:
        The plan as the checkpoint has it; `plan` if none is good.
    """
    paths = _states(folder / FOLDER)
    if not paths:
        warn(f"{folder} holds no checkpoint yet: beginning anew")
    digest = _digest_in(folder / FOLDER / START)
    for tried, path in enumerate(paths, 1):
        try:
            state, resumed = _state_of(_unseal(path, _STATE_TABLE), plan, run, digest)
            run.restore(state)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError) as error:
            left = "beginning anew" if tried == len(paths) else "going on from the one before"
            warn(f"{path} cannot be used: {_line(error)}; {left}")
            _remove([path])
            continue
        return resumed
    return plan


def clear(folder: Path) -> None:
    """Removes the checkpoints of a run that came to its end; first what says that there is something to go on with."""
    inside = folder / FOLDER
    _remove([inside / START, *_states(inside)])


def _states(folder: Path) -> list[Path]:
    """Paths of checkpoints, the last one first."""
    return sorted((path for path in folder.glob("*.bin") if _number(path)), key=_number, reverse=True)


def _remove(paths: Sequence[Path]) -> None:
    """Removes files, as far as it can be done: the run does not depend on it."""
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
    """The state and the plan of a file's values, of the run that began as `start`, a digest, tells.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError: they are none.
    """
    about = _read_about(values)
    if about["start"] != start:
        raise ValueError("it is of another run")
    canvas = Canvas(**{**about["canvas"], "background": tuple(about["canvas"]["background"])})
    next_id = _whole(about["next_id"], 2**63 - 1)
    scene = Scene(values["rows"], canvas, ids=values["ids"], kinds=values["kinds"], next_id=next_id)
    slates = tuple(values[name] for name in _SLATES)
    if (values["weight"] < 0).any() or (values["square"] < 0).any():
        raise ValueError("its optimiser has means of squares that are below 0")
    fit = FitState(scene, values["drawn"], slates, _whole(about["step_count"], STEPS_MAX))
    told = about["plan"]
    cut = None
    if told["cut"] is not None:
        at, shapes, steps = told["cut"]
        most = 4 * COUNT_MAX if run.most is None else run.most
        cut = Cut(_whole(at, len(plan.first)), _whole(shapes, most), _whole(steps, STEPS_MAX))
    resumed = Plan(
        plan.first if plan.pacing is None else _paced(plan.first, about["paced"]),
        _stopping_of(about["stopping"], plan.stopping),
        plan.first,
        cut,
        stage=_whole(told["stage"], len(plan.first) if cut is None else cut.stage + 2),
        done=_whole(told["done"], 2 * STEPS_MAX + COUNT_MAX),
        shapes=None if told["shapes"] is None else _whole(told["shapes"], 4 * COUNT_MAX),
        begun=_whole(told["begun"], fit.step_count),
        seconds=_number_of(told["seconds"], NUMBER_MAX),
        elapsed=_number_of(told["elapsed"], NUMBER_MAX),
    )
    _check_place(resumed)
    return RunState(fit, about["rng"], _history_of(values, about, canvas)), resumed


def _paced_values(plan: Plan) -> list[dict[str, Any]]:
    """What pacing has changed in the stages of the plan, up to where it was cut short."""
    if plan.pacing is None:
        return []
    stages = plan.stages if plan.cut is None else plan.stages[: plan.cut.stage]
    return [{name: getattr(stage, name) for name in _PACED if hasattr(stage, name)} for stage in stages]


def _paced(stages: Sequence[Stage], told: Sequence[Mapping[str, Any]]) -> list[Stage]:
    """The stages of a plan; those that `_paced_values` told of have their numbers from there."""
    if len(told) > len(stages):
        raise ValueError("its plan has too many stages")
    paced: list[Stage] = []
    for stage, values in zip(stages, told, strict=False):
        known = {
            name: _number_of(values[name], most) if name == "begin" else _whole(values[name], int(most))
            for name, most in _PACED.items()
            if hasattr(stage, name)
        }
        if known.get("growth") == 0:
            raise ValueError("its batches are empty")
        options: Any = stage  # one of several dataclasses
        paced.append(replace(options, **known))
    return [*paced, *stages[len(told) :]]


def _check_place(plan: Plan) -> None:
    """Refuses a plan that has done more than its stage consists of."""
    if plan.done == 0:
        return
    if plan.stage == len(plan.stages) or plan.shapes is None:
        raise ValueError("it has parts of a stage that had not begun")
    parts = plan.stages[plan.stage].parts(plan.shapes)
    if next(islice(parts, plan.done - 1, None), None) is None:
        raise ValueError(f"its stage has fewer parts than the {plan.done} that were done")


def _stopping_of(told: Mapping[str, Any], rules: Stopping) -> Stopping:
    """The rules of the run, with what they had seen."""
    best = float("inf") if told["best"] is None else _number_of(told["best"], NUMBER_MAX)
    best_step, shapes = _whole(told["best_step"], STEPS_MAX), _whole(told["shapes"] + 1, 4 * COUNT_MAX + 1) - 1
    if told["reason"] not in ("", "seconds", "target-psnr", "patience"):
        raise ValueError("its stop rule is none")
    return Stopping(rules.seconds, rules.target_psnr, rules.patience, best, best_step, shapes, told["reason"])


def _history_of(values: Mapping[str, Any], about: Mapping[str, Any], canvas: Canvas) -> History:
    points = values["curve"].tolist()
    if not all(0 <= value <= NUMBER_MAX for point in points for value in point):
        raise ValueError("its loss curve has numbers that no run comes to")
    curve = [LossPoint(int(step), int(shapes), seconds, mse) for step, shapes, seconds, mse in points]
    table, rows, ids, kinds = (
        values[name] for name in ("snapshots", "snapshot_rows", "snapshot_ids", "snapshot_kinds")
    )
    if len(table) > 4 * SNAPSHOTS_KEPT or (np.diff(table[:, 0]) < 0).any():
        raise ValueError("its snapshots are too many, or not in order")
    snapshots = []
    end = 0
    for step, count, next_id, added in table.tolist():
        start, end = end, end + _whole(count, len(rows))
        if end > len(rows):
            raise ValueError("its snapshots do not fit together")
        scene = Scene(rows[start:end], canvas, ids=ids[start:end], kinds=kinds[start:end], next_id=next_id)
        _whole(step, STEPS_MAX)
        snapshots.append(Snapshot(step, scene) if added == -1 else Grew(step, scene, _whole(added, count)))
    return History(curve, snapshots, _whole(about["growth_count"], 2**62), _whole(about["other_count"], 2**62))


def _seal(path: Path, values: Mapping[str, Any], table: Mapping[str, Field]) -> None:
    """Writes values with a digest of them in front."""
    packed = io.BytesIO()
    # Not deflated: it would take longer than a second of fitting, and gain little on an optimiser's numbers.
    pack(values, table, packed, compressed=False)
    payload = packed.getbuffer()
    with whole_file(path) as file:
        file.write(_head(_DIGEST(payload)))
        file.write(payload)


def _head(digest: Any) -> bytes:
    """What stands in front of a payload of this digest."""
    return _MARK + digest.hexdigest().encode() + b"\n"


def _digest_in(path: Path) -> str:
    """The digest that a file holds of itself.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_HEAD)[len(_MARK) :].decode("ascii", "replace").strip()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def _unseal(path: Path, table: Mapping[str, Field]) -> dict[str, Any]:
    """The values that `_seal` wrote, all of the table but `weights`, which a run may lack.

    Raises:
        ValueError: the file is torn, changed, or none of ours.
    """
    if not path.is_file():  # a pipe or a device may have no end
        raise ValueError("it is no file")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if head.startswith(_KIND) and not head.startswith(_MARK):
                raise ValueError("it was written by another version of artpipe")
            # The digest first: a file of any size is refused in little memory.
            if head != _head(hashlib.file_digest(file, _DIGEST)):
                raise ValueError("it is torn or was changed")
            file.seek(_HEAD)
            payload = file.read()
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    # No array is larger than the file: what is written here is not deflated.
    fields_of_it = {name: replace(field, most=len(payload) // field.size) for name, field in table.items()}
    values = unpack(payload, fields_of_it)
    missing = set(fields_of_it) - set(values) - {"weights"}
    if missing:
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    return values


def _as_bytes(about: Mapping[str, Any]) -> Array:
    return np.frombuffer(json.dumps(about, allow_nan=False).encode(), np.uint8)


def _read_about(values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        about = json.loads(values["about"].tobytes().decode())
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(about, dict):
        raise ValueError("it tells nothing")
    return about


def _whole(value: Any, most: int) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:30]} is no whole number from 0 to {most}")
    return value


def _number_of(value: Any, most: float) -> float:
    if type(value) not in (int, float) or not 0 <= value <= most:
        raise ValueError(f"{str(value)[:30]} is no number from 0 to {most:g}")
    return float(value)


def _line(error: Exception) -> str:
    """What went wrong, in one short line."""
    return one_line(f"it lacks {error}" if isinstance(error, KeyError) else error, 200)
