"""The folder that a run leaves behind."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..renderers import InputError, Scene
from ..renderers.cpu_kernel import shared_kernel
from ..stages.files import whole_file, write_text
from ..stages.picture import save_png
from ..stages.scene_file import save_scene
from .config import RunConfig
from .runner import Outcome

Array = np.ndarray[Any, Any]

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
    folder: Path,
    outcome: Outcome,
    snapshots: Sequence[tuple[int, Scene]],
    target: Array,
    picture: str,
    config: RunConfig,
) -> None:
    """Writes `scene.json painting.png comparison.png metrics.json run.json snapshots.npz`.

    Args:
        folder: an empty folder.
        outcome: how the run went.
        snapshots: (step, scene) in order of time.
        target: (H, W, 3).
        picture: the path that the user gave.
        config: the options of the run.
    """
    image = shared_kernel().render(outcome.scene.rows, outcome.scene.canvas)
    initial = shared_kernel().render(outcome.initial.rows, outcome.initial.canvas)
    save_scene(outcome.scene, folder / "scene.json")
    save_png(image, folder / "painting.png")
    gap = np.ones((target.shape[0], max(4, target.shape[1] // 40), 3), np.float32)
    save_png(np.concatenate([initial, gap, target, gap, image], axis=1), folder / "comparison.png")
    save_snapshots(snapshots, folder / "snapshots.npz")
    write_text(folder / "metrics.json", json.dumps(outcome.metrics, indent=1) + "\n")
    record = {
        "format": "artpipe-run",
        "version": 1,
        "picture": picture,
        "options": config.to_json(),
        "device": outcome.metrics["device"],
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
    }
    write_text(folder / "run.json", json.dumps(record, indent=1) + "\n")


def load_config(path: Path) -> RunConfig:
    """The options of a run from its `run.json`.

    Raises:
        InputError: the file is missing or is no such record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError:
        raise InputError(f"{path} is not JSON; needs the run.json of a run") from None
    if not isinstance(record, dict) or record.get("format") != "artpipe-run" or record.get("version") != 1:
        raise InputError(f"{path} is not the run.json of a run that this artpipe can repeat")
    return RunConfig.from_json(record.get("options"))


def save_snapshots(snapshots: Sequence[tuple[int, Scene]], path: Path) -> None:
    """Writes scenes of one canvas: `steps`, `counts`, and all `rows` and `ids` one scene after the other."""
    if not snapshots:
        return
    canvas = snapshots[0][1].canvas
    with whole_file(path) as file:
        np.savez_compressed(
            file,
            steps=np.array([step for step, _ in snapshots]),
            counts=np.array([scene.count for _, scene in snapshots]),
            rows=np.concatenate([scene.rows for _, scene in snapshots]),
            ids=np.concatenate([scene.ids for _, scene in snapshots]),
            canvas=np.array([canvas.width, canvas.height]),
            background=np.array(canvas.background, np.float32),
        )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
