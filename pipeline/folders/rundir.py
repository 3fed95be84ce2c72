"""The run folder: its files, written and read."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from artpipe.renderers import InputError
from artpipe.renderers.alpha import picture_of
from artpipe.renderers.checks import instance
from artpipe.renderers.errors import one_line
from artpipe.stages.formats.files import read_at_most, write_text
from artpipe.stages.formats.names import name_of_picture
from artpipe.stages.formats.scene_file import load_scene, save_scene
from artpipe.stages.formats.snapshots import load_snapshots, save_snapshots
from artpipe.stages.formats.together import in_pairs
from artpipe.stages.history import History, LossPoint
from artpipe.stages.metrics import Metrics
from artpipe.stages.pictures.picture import load_picture, picture_size, save_png
from artpipe.stages.result import Result

from ..options import RunConfig
from .checkpoints import FOLDER, START

Array = np.ndarray[Any, Any]

# Size limits of files to read; parsed JSON takes up to 25 times its size. A history of ten million steps fits.
RUN_BYTES_MAX, METRICS_BYTES_MAX = 1_000_000, 50_000_000

# Version of `run.json`. Version 1 has other names for some options.
VERSION = 2
_RENAMED_IN_2 = {"most": "count"}
PACKAGES = ("artpipe", "jax", "jaxlib", "numba", "numpy", "optax", "pillow", "torch")


def save_run(folder: Path, result: Result, picture: str, config: RunConfig) -> None:
    """Writes `scene.json painting.png target.png comparison.png metrics.json run.json snapshots.npz`.

    Args:
        folder: the run folder.
        result: the result of the run, with metrics.
        picture: the path that the user gave.
        config: the options of the run.
    """
    assert result.metrics is not None
    image, first = (picture_of(scene) for scene in (result.scene, result.initial))
    target, snapshots = result.target, result.history.snapshots
    jobs: list[Callable[[], object]] = [
        lambda: save_snapshots(snapshots, folder / "snapshots.npz"),
        lambda: save_scene(result.scene, folder / "scene.json"),
        lambda: save_png(image, folder / "painting.png"),
    ]
    if target is not None:
        gap = np.ones((target.shape[0], max(4, target.shape[1] // 40), target.shape[2]), np.float32)
        gap[:, :, 3:] = 0  # transparent, if the pictures have alpha
        comparison = np.concatenate([first, gap, target, gap, image], axis=1)
        jobs += [
            lambda: save_png(target, folder / "target.png"),
            lambda: save_png(comparison, folder / "comparison.png"),
        ]
    for _ in in_pairs(jobs):
        pass
    # Last, since they mark a run whose other files are saved.
    write_text(folder / "metrics.json", json.dumps(metrics_of(result), indent=1) + "\n")
    save_options(folder, picture, config, result.metrics.device)


def metrics_of(result: Result) -> dict[str, Any]:
    """The content of `metrics.json`: the metrics of a run, and its loss curve as `history`."""
    assert result.metrics is not None
    return {**result.metrics.to_json(), "history": [point.to_json() for point in result.history.curve]}


def save_options(folder: Path, picture: str, config: RunConfig, device: str) -> None:
    """Writes `run.json`: all that is needed to repeat the run.

    Args:
        folder: the run folder.
        picture: the path that the user gave.
        config: the options of the run.
        device: where the fit runs.
    """
    options = {
        "format": "artpipe-run",
        "version": VERSION,
        "picture": picture,
        "options": config.to_json(),
        "device": device,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }
    write_text(folder / "run.json", json.dumps(options, indent=1) + "\n")


def is_finished(folder: Path) -> bool:
    """Whether the run in a folder has ended and all its files are saved."""
    return (folder / "metrics.json").is_file() and not (folder / FOLDER / START).exists()


def load_config(path: Path) -> RunConfig:
    """The options of a run from its `run.json`.

    Raises:
        InputError: the file is missing or is not a run.json.
    """
    content = read_json(path, RUN_BYTES_MAX)
    version = content.get("version") if isinstance(content, dict) and content.get("format") == "artpipe-run" else None
    if version not in (1, VERSION):
        raise InputError(f"{path} is not a run.json of version 1 or {VERSION}")
    options = content.get("options")
    if version == 1 and isinstance(options, dict):
        options = {_RENAMED_IN_2.get(name, name): value for name, value in options.items()}
    try:
        return RunConfig.from_json(options)
    except InputError as error:
        raise InputError(f"{path} has invalid options: {one_line(error)}") from None


def scene_file(path: Path) -> Path:
    """The scene file of a run folder, or the path itself if it is a file.

    Raises:
        InputError: there is no scene file.
    """
    if not os.path.lexists(path):  # Path.exists raises for names that are too long
        raise InputError(f"there is no run folder or scene file {path}")
    if not path.is_dir():
        return path
    if not (path / "scene.json").is_file():
        raise InputError(f"{path} is not a run folder: it holds no scene.json")
    return path / "scene.json"


def load_result(path: Path) -> Result:
    """The result that a run folder or a scene file holds, for exporters.

    Args:
        path: a run folder (every file but `scene.json` may be missing), or a scene file.

    Raises:
        InputError: the path does not exist, or a file is invalid.
    """
    file = scene_file(path)
    scene = load_scene(file)
    if file == path:
        return Result(scene, title=name_of_picture(path))
    options = read_json(path / "run.json", RUN_BYTES_MAX) if (path / "run.json").is_file() else {}
    picture = options.get("picture") if isinstance(options, dict) else None
    title = name_of_picture(picture) if isinstance(picture, str) else path.name
    target = None
    if (path / "target.png").is_file():
        size = picture_size(path / "target.png")
        if size != (scene.canvas.width, scene.canvas.height):
            raise InputError(
                f"{path / 'target.png'} is {size[0]} x {size[1]} pixels; the scene is "
                f"{scene.canvas.width} x {scene.canvas.height}"
            )
        target = load_picture(path / "target.png", size)
    metrics, curve = _load_metrics(path / "metrics.json")
    snapshots = load_snapshots(path / "snapshots.npz", scene.canvas) if (path / "snapshots.npz").is_file() else []
    return Result(scene, History(curve, snapshots), target, title, metrics)


def _load_metrics(path: Path) -> tuple[Metrics | None, list[LossPoint]]:
    """The metrics and the loss curve of `metrics.json`, if the file exists."""
    if not path.is_file():
        return None, []
    content = read_json(path, METRICS_BYTES_MAX)
    try:
        metrics = Metrics.from_json(content)
        return metrics, [LossPoint.from_json(row) for row in instance("history", content.get("history"), list)]
    except InputError as error:
        raise InputError(f"{path} is not a metrics.json: {one_line(error)}") from None


def read_json(path: Path, most: int) -> Any:
    """The content of a JSON file of at most `most` bytes.

    Raises:
        InputError: the file is missing, too large, or not JSON.
    """
    data = read_at_most(path, most)
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError):
        raise InputError(f"{path} is not JSON; needs a file that a run wrote") from None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
