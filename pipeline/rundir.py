"""The folder that a run leaves behind."""

from __future__ import annotations

import json
import math
import platform
import struct
import zipfile
import zlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..renderers import Canvas, InputError, Scene
from ..renderers.cpu_renderer import CpuRenderer
from ..renderers.primitives import SHAPE
from ..stages.files import whole_file, write_text
from ..stages.picture import load_picture, picture_size, save_png
from ..stages.record import Moment, Record
from ..stages.scene_file import load_scene, save_scene
from .config import RunConfig

Array = np.ndarray[Any, Any]

# What snapshots may take in memory: 128 scenes of 200,000 circles.
SNAPSHOTS_BYTES_MAX = 1_000_000_000

PACKAGES = ("artpipe", "jax", "jaxlib", "numba", "numpy", "optax", "pillow", "torch")


def new_folder(wanted: Path) -> Path:
    """Makes the folder, or if something is in it already, the first free sibling, `name-2` and so on.

    Raises:
        InputError: no folder can be made there.
    """
    for number in range(1, 10_000):
        folder = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not any(folder.iterdir()):
                return folder
        except OSError as error:
            raise InputError(f"cannot use {folder} as output folder: {error.strerror or error}. Try -o") from None
    raise InputError(f"{wanted} and 9998 siblings are taken; try another folder with -o")


def save_run(
    folder: Path, record: Record, initial: Scene, metrics: dict[str, Any], picture: str, config: RunConfig
) -> None:
    """Writes `scene.json painting.png target.png comparison.png metrics.json run.json snapshots.npz`.

    Args:
        folder: an empty folder.
        record: what the run left.
        initial: the first batch.
        metrics: for `metrics.json`.
        picture: the path that the user gave.
        config: the options of the run.
    """
    image, first = (CpuRenderer().render(scene) for scene in (record.scene, initial))
    save_scene(record.scene, folder / "scene.json")
    save_png(image, folder / "painting.png")
    target = record.target
    if target is not None:
        save_png(target, folder / "target.png")
        gap = np.ones((target.shape[0], max(4, target.shape[1] // 40), 3), np.float32)
        save_png(np.concatenate([first, gap, target, gap, image], axis=1), folder / "comparison.png")
    save_snapshots(record.moments, folder / "snapshots.npz")
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    options = {
        "format": "artpipe-run",
        "version": 1,
        "picture": picture,
        "options": config.to_json(),
        "device": metrics["device"],
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }
    write_text(folder / "run.json", json.dumps(options, indent=1) + "\n")


def load_config(path: Path) -> RunConfig:
    """The options of a run from its `run.json`.

    Raises:
        InputError: the file is missing or is no such record.
    """
    content = _read_json(path)
    if not isinstance(content, dict) or content.get("format") != "artpipe-run" or content.get("version") != 1:
        raise InputError(f"{path} is not the run.json of a run that this artpipe can repeat")
    return RunConfig.from_json(content.get("options"))


def load_record(path: Path) -> Record:
    """What a run folder or a scene file holds for exporters.

    Args:
        path: a folder that a run left (what it lacks beside `scene.json` is left out), or a scene file.

    Raises:
        InputError: there is no such thing, or a file in it is broken.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"there is no run folder or scene file {path}")
        return Record(load_scene(path), title=path.stem)
    if not (path / "scene.json").is_file():
        raise InputError(f"{path} is no run folder: it holds no scene.json")
    scene = load_scene(path / "scene.json")
    options, metrics = (
        _read_json(path / name) if (path / name).is_file() else {} for name in ("run.json", "metrics.json")
    )
    title = Path(str(options.get("picture", path.name))).stem if isinstance(options, dict) else path.name
    target = None
    if (path / "target.png").is_file():
        size = picture_size(path / "target.png")
        if size != (scene.canvas.width, scene.canvas.height):
            raise InputError(f"{path / 'target.png'} is {size[0]} x {size[1]} pixels; the scene is not")
        target = load_picture(path / "target.png", size)
    moments = load_snapshots(path / "snapshots.npz", scene.canvas) if (path / "snapshots.npz").is_file() else ()
    return Record(scene, moments, _history(metrics, path / "metrics.json"), target, title)


def _history(metrics: Any, path: Path) -> tuple[dict[str, float], ...]:
    try:
        rows = tuple(
            {name: float(row[name]) for name in ("step", "circles", "seconds", "mse")}
            for row in (metrics.get("history") or ())
        )
        if not all(math.isfinite(value) for row in rows for value in row.values()):
            raise ValueError
        return rows
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"{path} is not the metrics.json of a run") from None


def save_snapshots(moments: Sequence[Moment], path: Path) -> None:
    """Writes scenes of one canvas: `steps`, `counts`, and all `rows` and `ids` one scene after the other."""
    if not moments:
        return
    canvas = moments[0].scene.canvas
    with whole_file(path) as file:
        np.savez_compressed(
            file,
            steps=np.array([moment.step for moment in moments]),
            counts=np.array([moment.scene.count for moment in moments]),
            rows=np.concatenate([moment.scene.rows for moment in moments]),
            ids=np.concatenate([moment.scene.ids for moment in moments]),
            canvas=np.array([canvas.width, canvas.height]),
            background=np.array(canvas.background, np.float32),
        )


def load_snapshots(path: Path, canvas: Canvas) -> tuple[Moment, ...]:
    """Reads what `save_snapshots` wrote.

    Raises:
        InputError: it is broken, or not of this canvas.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > SNAPSHOTS_BYTES_MAX:
                raise ValueError(f"unpacked it is larger than {SNAPSHOTS_BYTES_MAX} bytes")
        with np.load(path, allow_pickle=False) as file:
            steps, counts, rows, ids = (file[name] for name in ("steps", "counts", "rows", "ids"))
            size = file["canvas"].tolist()
        if size != [canvas.width, canvas.height]:
            raise ValueError(f"it is of a canvas of {size}")
        if len(steps) != len(counts) or int(counts.sum()) != len(rows) or len(rows) != len(ids):
            raise ValueError("its parts do not fit together")
        if rows.ndim != 2 or rows.shape[1] != SHAPE + 1 or (counts < 0).any():
            raise ValueError("its parts do not fit together")
        ends = np.cumsum(counts)
        return tuple(
            Moment(int(step), Scene(rows[end - count : end], canvas, ids=ids[end - count : end]))
            for step, count, end in zip(steps, counts, ends, strict=True)
        )
    # What numpy and zipfile raise for broken bytes, and what a scene says of broken numbers.
    except (
        OSError, KeyError, TypeError, ValueError, AttributeError, EOFError, OverflowError, RuntimeError, MemoryError,
        SyntaxError, struct.error, zipfile.BadZipFile, zlib.error, InputError,
    ) as error:  # fmt: skip
        raise InputError(f"{path} is broken: {error}. Without it, only the final scene can be exported") from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON; needs a file that a run wrote") from None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
