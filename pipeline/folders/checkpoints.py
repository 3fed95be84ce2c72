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
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import Canvas, FitState, InputError, Scene
from artpipe.renderers.errors import one_line
from artpipe.renderers.primitives.base import SHAPE
from artpipe.stages.base import Run, RunState, Stage
from artpipe.stages.formats.arrays import Field, pack, unpack
from artpipe.stages.formats.files import whole_file
from artpipe.stages.limits import COUNT_MAX, STEPS_MAX
from artpipe.stages.record import MOMENTS_KEPT, Chronicle, Moment, Thinned

from ..options import RunConfig
from ..running.runner import Course
from ..running.stopping import Stopping

Array = np.ndarray[Any, Any]

FOLDER = "checkpoint"
START = "start.bin"
# A checkpoint and the one before it, should the last be torn.
KEPT = 2
# Saving takes at most this share of a run's time.
COST = 0.05

_MARK = b"artpipe checkpoint 1\n"
_DIGEST = hashlib.sha256
_HEAD = len(_MARK) + 2 * _DIGEST().digest_size + 1  # bytes of mark and digest
_HISTORY = ("step", "circles", "seconds", "mse")
_COURSE = ("stage", "done", "circles", "begun", "seconds", "elapsed", "cut")
# What pacing changes in the stages of a plan, where they have it, and the largest value of each.
_PACED = {"steps": STEPS_MAX, "growth": 4 * COUNT_MAX, "lead": STEPS_MAX, "begin": 1.0}
_SLATES = ("raw", "weight", "mean", "square")
_COLUMNS = SHAPE + 1
# What float64 counts to, one by one; no step, circle, second or loss of a run is beyond.
NUMBER_MAX = 2.0**53
# Items of an array that is written; of one that is read, as many as the file has room for.
_MOST = 2**62


_START_TABLE = {
    "about": Field("|u1", ("bytes",), _MOST),
    "target": Field("<f4", ("height", "width", "channels"), _MOST),
    "weights": Field("<f4", ("height", "width"), _MOST),
}
_STATE_TABLE = {
    "about": Field("|u1", ("bytes",), _MOST),
    "rows": Field("<f4", ("rows", _COLUMNS), _MOST),
    "ids": Field("<i8", ("rows",), _MOST),
    "drawn": Field("<f4", ("rows", _COLUMNS), _MOST),
    "raw": Field("<f4", ("rows", _COLUMNS), _MOST),
    "weight": Field("<f4", ("rows", 2), _MOST),
    "mean": Field("<f4", ("rows", _COLUMNS), _MOST),
    "square": Field("<f4", ("rows", _COLUMNS), _MOST),
    "history": Field("<f8", ("told", len(_HISTORY)), _MOST),
    # Scenes on the way, one after the other: number of the event, kind (0 grown, 1 snapshot), step, circles, next id.
    "moments": Field("<i8", ("moments", 5), _MOST),
    "moment_rows": Field("<f4", ("moment rows", _COLUMNS), _MOST),
    "moment_ids": Field("<i8", ("moment rows",), _MOST),
}


@dataclass(frozen=True, eq=False)
class Start:
    """What a run was begun with.

    Attributes:
        config: its options.
        picture: the path that the user gave; only for the record.
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

    def offer(self, run: Run, course: Course) -> None:
        """Saves the run if it is time."""
        now = time.monotonic()
        if now < self._due:
            return
        self.save(run, course)
        cost = time.monotonic() - now
        self._due = now + cost + (max(self.every, cost / COST) if self.every else 0.0)

    def save(self, run: Run, course: Course) -> None:
        """Saves the run, and removes all checkpoints but the last `KEPT`."""
        self._last += 1
        try:
            _seal(self.folder / f"{self._last:06}.bin", self._values(run, course), _STATE_TABLE)
        except InputError as error:
            if not self._failed:
                self._warn(f"{error}; the run goes on without a checkpoint")
            self._failed = True
            return
        _remove(_states(self.folder)[KEPT:])

    def _values(self, run: Run, course: Course) -> dict[str, Any]:
        spent = replace(course, elapsed=course.elapsed + time.perf_counter() - self._began)
        return _state_values(run.state(), spent, _digest_in(self.folder / START))


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
        raise InputError(f"{path} is broken: {_line(error)}. Without it the run has to be begun anew") from None


def restore(folder: Path, run: Run, course: Course, warn: Callable[[str], object]) -> None:
    """Puts a run, opened as it was begun, and its course where the last good checkpoint has them.

    Args:
        folder: the run folder.
        run: fresh.
        course: fresh.
        warn: told, in a line each, which checkpoints are broken. Those are removed, so that none of them is kept in
            the place of a good one.
    """
    paths = _states(folder / FOLDER)
    if not paths:
        warn(f"{folder} holds no checkpoint yet: beginning anew")
    digest = _digest_in(folder / FOLDER / START)
    for tried, path in enumerate(paths, 1):
        try:
            state, moved = _state_of(_unseal(path, _STATE_TABLE), course, run, digest)
            run.restore(state)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError) as error:
            left = "beginning anew" if tried == len(paths) else "going on from the one before"
            warn(f"{path} is broken: {_line(error)}; {left}")
            _remove([path])
            continue
        for field in fields(Course):
            setattr(course, field.name, getattr(moved, field.name))
        return


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


def _state_values(state: RunState, course: Course, start: str) -> dict[str, Any]:
    fit, chronicle = state.fit, state.chronicle
    kinds = (chronicle.growths, chronicle.snapshots)
    moments = [(order, kind, moment) for kind, kept in enumerate(kinds) for order, moment in kept.kept]
    scenes = [moment.scene for _, _, moment in moments]
    stopping = asdict(course.stopping)
    if stopping["best"] == float("inf"):
        stopping["best"] = None
    about = {
        "start": start,
        "course": {name: getattr(course, name) for name in _COURSE},
        "paced": _paced_values(course),
        "stopping": stopping,
        "chance": state.chance,
        "step_count": fit.step_count,
        "next_id": fit.scene.next_id,
        "canvas": asdict(fit.scene.canvas),
        "seen": chronicle.seen,
        "thinned": [[kept.came, kept.stride] for kept in kinds],
    }
    empty = fit.scene.select(np.zeros(0, np.int64))
    return {
        "about": _as_bytes(about),
        "rows": fit.scene.rows,
        "ids": fit.scene.ids,
        "drawn": fit.rows,
        **dict(zip(_SLATES, fit.slates, strict=True)),
        "history": np.array([[row[name] for name in _HISTORY] for row in chronicle.history]).reshape(-1, len(_HISTORY)),
        "moments": np.array(
            [[order, kind, m.step, m.scene.count, m.scene.next_id] for order, kind, m in moments], np.int64
        ).reshape(-1, 5),
        "moment_rows": np.concatenate([empty.rows, *(scene.rows for scene in scenes)]),
        "moment_ids": np.concatenate([empty.ids, *(scene.ids for scene in scenes)]),
    }


def _state_of(values: Mapping[str, Any], course: Course, run: Run, start: str) -> tuple[RunState, Course]:
    """The state and the course of a file's values, of the run that began as `start`, a digest, tells.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OverflowError, InputError: they are none.
    """
    about = _read_about(values)
    if about["start"] != start:
        raise ValueError("it is of another run")
    canvas = Canvas(**{**about["canvas"], "background": tuple(about["canvas"]["background"])})
    scene = Scene(values["rows"], canvas, ids=values["ids"], next_id=_whole(about["next_id"], 2**63 - 1))
    slates = tuple(values[name] for name in _SLATES)
    if (values["weight"] < 0).any() or (values["square"] < 0).any():
        raise ValueError("its optimiser has means of squares that are below 0")
    fit = FitState(scene, values["drawn"], slates, _whole(about["step_count"], STEPS_MAX))
    told = about["course"]
    moved = Course(
        course.stages,
        _stopping_of(about["stopping"], course.stopping),
        done=_whole(told["done"], 2 * STEPS_MAX + COUNT_MAX),
        circles=None if told["circles"] is None else _whole(told["circles"], 4 * COUNT_MAX),
        begun=_whole(told["begun"], fit.step_count),
        seconds=_number_of(told["seconds"], NUMBER_MAX),
        elapsed=_number_of(told["elapsed"], NUMBER_MAX),
    )
    if moved.pacing is not None:
        moved.stages = _paced(moved.stages, about["paced"])
    if told["cut"] is not None:
        at, circles, steps = told["cut"]
        most = 4 * COUNT_MAX if run.most is None else run.most
        moved.recut((_whole(at, len(course.stages)), _whole(circles, most), _whole(steps, STEPS_MAX)))
    moved.stage = _whole(told["stage"], len(moved.stages))
    _check_place(moved)
    return RunState(fit, about["chance"], _chronicle_of(values, about, canvas)), moved


def _paced_values(course: Course) -> list[dict[str, Any]]:
    """What pacing has changed in the stages of the plan, up to where it was cut short."""
    if course.pacing is None:
        return []
    stages = course.stages if course.cut is None else course.stages[: course.cut[0]]
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
        plan: Any = stage  # one of several dataclasses
        paced.append(replace(plan, **known))
    return [*paced, *stages[len(told) :]]


def _check_place(course: Course) -> None:
    """Refuses a course that has done more than its stage consists of."""
    if course.done == 0:
        return
    if course.stage == len(course.stages) or course.circles is None:
        raise ValueError("it has parts of a stage that had not begun")
    parts = course.stages[course.stage].parts(course.circles)
    if next(islice(parts, course.done - 1, None), None) is None:
        raise ValueError(f"its stage has fewer parts than the {course.done} that were done")


def _stopping_of(told: Mapping[str, Any], rules: Stopping) -> Stopping:
    """The rules of the run, with what they had seen."""
    best = float("inf") if told["best"] is None else _number_of(told["best"], NUMBER_MAX)
    best_step, circles = _whole(told["best_step"], STEPS_MAX), _whole(told["circles"] + 1, 4 * COUNT_MAX + 1) - 1
    if told["reason"] not in ("", "seconds", "target-psnr", "patience"):
        raise ValueError("its stop rule is none")
    return Stopping(rules.seconds, rules.target_psnr, rules.patience, best, best_step, circles, told["reason"])


def _chronicle_of(values: Mapping[str, Any], about: Mapping[str, Any], canvas: Canvas) -> Chronicle:
    history = []
    for row in values["history"].tolist():
        if not all(0 <= value <= NUMBER_MAX for value in row):
            raise ValueError("its history has numbers that no run comes to")
        told = dict(zip(_HISTORY, row, strict=True))
        history.append({**told, "step": int(told["step"]), "circles": int(told["circles"])})
    rows, ids, moments = values["moment_rows"], values["moment_ids"], values["moments"]
    if len(moments) > 4 * MOMENTS_KEPT or (np.diff(moments[np.argsort(moments[:, 0]), 2]) < 0).any():
        raise ValueError("its moments are too many, or not in order")
    kept: tuple[list[tuple[int, Moment]], ...] = ([], [])
    end = 0
    for order, kind, step, count, next_id in moments.tolist():
        start, end = end, end + _whole(count, len(rows))
        if kind not in (0, 1) or end > len(rows):
            raise ValueError("its moments do not fit together")
        scene = Scene(rows[start:end], canvas, ids=ids[start:end], next_id=next_id)
        kept[kind].append((order, Moment(_whole(step, STEPS_MAX), scene)))
    (came, stride), (came_snapshots, stride_snapshots) = about["thinned"]
    return Chronicle(
        history,
        Thinned(kept[0], _whole(came, 2**62), max(1, _whole(stride, 2**62))),
        Thinned(kept[1], _whole(came_snapshots, 2**62), max(1, _whole(stride_snapshots, 2**62))),
        _whole(about["seen"], 2**62),
    )


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
