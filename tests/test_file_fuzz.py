"""Thousands of hostile files: each gives a valid result or a refusal of one line, quickly, in little memory.

Another process reads them, so that a crash is seen, and its memory is its own.
"""

import json
import os
import pickle
import random
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from effort import effort
from scene_files import plain_row, scene_of

from artpipe import InputError, Scene, load_scene, save_scene
from artpipe.pipeline.folders.rundir import load_config, load_result, save_run
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.stages.events import Snapshot
from artpipe.stages.formats import version_1
from artpipe.stages.formats.scene_arrays import ROWS_MAX, WIDEST, names_of, row_arrays
from artpipe.stages.formats.scene_file import BYTES_MAX as SCENE_BYTES
from artpipe.stages.formats.snapshots import SNAPSHOTS_MAX, load_snapshots, save_snapshots
from artpipe.stages.history import History, LossPoint
from artpipe.stages.metrics import Metrics
from artpipe.stages.result import Result

pytestmark = pytest.mark.slow

SECONDS_MAX, BYTES_MAX, LETTERS_MAX = 10, 2_000_000_000, 400


def good_run(folder, each=6):
    """A run folder with `each` rows of each kind, and its scene also as .npz."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    scenes = [scene_of(rng, PRIMITIVES, rows) for rows in (2, 4, each)]
    snapshots = [Snapshot(10 * k, scene) for k, scene in enumerate(scenes)]
    curve = [LossPoint(k, 8 + k, k / 50, 1 / (k + 1)) for k in range(20)]
    metrics = Metrics(
        shapes=scenes[-1].count, steps=20, mse=0.01, fit_seconds=0.4, total_seconds=1.5, renderer="jax",
        kernel="numba", device="cpu", reason="finished",
    )  # fmt: skip
    target = np.full((30, 40, 3), 0.5, np.float32)
    result = Result(scenes[-1], History(curve, snapshots), target, metrics=metrics)
    save_run(folder, result, "a/painting.jpg", RunConfig(steps=20))
    save_scene(result.scene, folder / "scene.npz")
    return folder


# Kind: the file that is spoiled, in a run folder; what is read.
KINDS = {
    "scene.json": lambda path: [load_scene(path)],
    "scene.npz": lambda path: [load_scene(path)],
    "run.json": lambda path: [load_config(path), load_result(path.parent)],
    "metrics.json": lambda path: [load_result(path.parent)],
    "snapshots.npz": lambda path: [load_result(path.parent)],
}


def is_whole(result):
    """Whether what was read is what the rest of the program counts on."""
    if isinstance(result, RunConfig):
        return RunConfig.from_json(json.loads(json.dumps(result.to_json()))) == result
    if isinstance(result, Result):
        numbers = [value for point in result.history.curve for value in point]
        scenes = [result.scene, *(snapshot.scene for snapshot in result.history.snapshots)]
        if result.metrics is not None:
            assert Metrics.from_json(json.loads(json.dumps(result.metrics.to_json()))) == result.metrics
        return all(map(is_whole, scenes)) and all(0 <= value < 1e17 for value in numbers) and type(result.title) is str
    # Which refuses what is wrong.
    again = Scene(result.rows, result.canvas, ids=result.ids, kinds=result.kinds, next_id=result.next_id)
    return again.same_as(result) and len(result.rows) == result.count


def read(name, path):
    """The outcome of reading a file: "whole", "refused", or what went wrong (a warning too)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return "whole" if all(map(is_whole, KINDS[name](path))) else "is not whole"
    except InputError as error:
        # The folder's name is as long as where the tests run makes it.
        message = str(error).replace(str(path), name)
        return "refused" if "\n" not in message and len(message) < LETTERS_MAX else f"said {message[:1000]!r}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {str(error)[:300]}"


def read_many(name, folder, seed="1", count="0"):
    """Reads spoiled files in the place of a good one (or that file once), and prints what came of them.

    The file that a crash left is still there.
    """
    from measuring import peak_memory
    from mutations import broken_json, broken_npz

    path, trap = Path(folder) / name, Path(folder) / "trap"
    good, rng = path.read_bytes() if int(count) else b"", random.Random(int(seed))
    others = [other.read_bytes() for other in sorted(path.parent.iterdir())] if good else []
    outcomes, slowest = {}, 0.0
    for index in range(int(count) or 1):
        if good:
            data = broken_json(rng, good, others) if name.endswith("json") else broken_npz(rng, good, others, trap)
            path.write_bytes(data)
        start = time.process_time()  # the wall clock would hang on what else the machine does
        outcome = read(name, path)
        slowest = max(slowest, time.process_time() - start)
        if outcome not in ("whole", "refused"):
            (path.parent / f"bad-{index}").write_bytes(path.read_bytes())
            outcome = f"{index}: {outcome}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "bytes": peak_memory()}))


def outcomes_of(*words):
    """The outcomes of `read_many` in another process."""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, __file__, *map(str, words)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert set(result["outcomes"]) <= {"whole", "refused"}, result
    assert result["slowest"] < SECONDS_MAX and result["bytes"] < BYTES_MAX, result
    return result["outcomes"]


@pytest.mark.parametrize(
    ("name", "count"),
    [("scene.json", 1500), ("scene.npz", 1200), ("run.json", 300), ("metrics.json", 300), ("snapshots.npz", 300)],
)
def test_spoiled_files_load_whole_or_are_refused_in_one_line(tmp_path, name, count):
    count = effort(count)
    outcomes = outcomes_of(name, good_run(tmp_path / "run"), 1, count)
    assert outcomes["refused"] > count / 4 and outcomes["whole"] > count / 200  # it is neither all noise nor all good
    assert not (tmp_path / "run" / "trap").exists()


def test_the_trap_in_the_spoiled_files_is_a_good_one(tmp_path):
    from mutations import Trap

    pickle.loads(pickle.dumps(Trap(tmp_path / "trap")))
    assert (tmp_path / "trap").exists()


# --- large files ---


def large_scene(path, rows, version=2):
    """Writes a scene of `rows` equal rows, quickly."""
    names = names_of(PRIMITIVES["triangle"])
    kinds = {"kinds": ["circle"], "columns": version_1.COLUMNS} if version == 1 else {"kinds": {"triangle": names}}
    head = json.dumps(
        {
            "format": "artpipe-scene", "version": version, "width": 65536, "height": 65536, "background": [0, 0, 0],
            "edge": "linear", "order": "back to front", **kinds, "next_id": rows, "ids": list(range(rows)),
        }
    )  # fmt: skip
    row = "[100,100,0.5,0.5,0.5,0.5,2,900]" if version == 1 else json.dumps(["triangle", *plain_row("triangle")])
    path.write_text(f'{head[:-1]}, "rows": [{",".join([row] * rows)}]}}')


def filled(path, start, middle, end, size):
    path.write_text(start + middle * ((size - len(start) - len(end)) // len(middle)) + end)


def large_snapshots(path, scenes, kinds, **others):
    """Scenes of the canvas of `good_run`, of the same rows again and again: a hundredth of a gigabyte on the disk."""
    kinds = np.array(kinds)
    rows = np.zeros((len(kinds), WIDEST), np.float32)
    for primitive in PRIMITIVES.values():
        rows[kinds == primitive.code, : primitive.width] = plain_row(primitive.name)
    parts = {
        "version": np.array(2), "steps": np.arange(scenes), "counts": np.full(scenes, len(kinds)),
        "ids": np.tile(np.arange(len(kinds)), scenes), "canvas": np.array([40, 30]),
        "background": np.zeros(3, np.float32),
        **row_arrays(np.tile(rows, (scenes, 1)), np.tile(kinds, scenes)),
    }  # fmt: skip
    np.savez_compressed(path, **{**parts, **others})


ONE, MOST = [0], np.full(250_000, PRIMITIVES["triangle"].code)
MIXED = np.resize([primitive.code for primitive in PRIMITIVES.values()], 250_000)
PLAIN_RUN = '{"format": "artpipe-run", "version": 1, "options": {}, "picture": "'
LARGE = {
    "as many rows as there may be": ("scene.json", "whole", lambda path: large_scene(path, ROWS_MAX)),
    "as many rows of version 1": ("scene.json", "whole", lambda path: large_scene(path, ROWS_MAX, 1)),
    "a row too many": ("scene.json", "refused", lambda path: large_scene(path, ROWS_MAX + 1)),
    "empty lists": ("scene.json", "refused", lambda path: filled(path, '{"rows":[', "[],", "0]}", SCENE_BYTES)),
    "lists in lists": ("scene.json", "refused", lambda path: filled(path, "", "[", "", SCENE_BYTES)),
    "a long word": ("scene.json", "refused", lambda path: filled(path, '{"format":"', "é", '"}', SCENE_BYTES // 2)),
    "too many bytes": ("scene.json", "refused", lambda path: filled(path, '{"a":"', "x", '"}', SCENE_BYTES + 1)),
    "a long history": ("metrics.json", "refused", lambda path: filled(path, '{"history":[', "{},", "{}]}", 50_000_000)),
    "a long title": ("run.json", "whole", lambda path: filled(path, PLAIN_RUN, "<", '"}', 1_000_000)),
    "as many snapshots as there may be": ("snapshots.npz", "whole", lambda path: large_snapshots(path, 24, MIXED)),
    "a snapshot too many": ("snapshots.npz", "refused", lambda path: large_snapshots(path, 25, MOST)),
    "countless snapshots": (
        "snapshots.npz", "refused",
        lambda path: large_snapshots(path, 1, ONE, steps=np.zeros(10**7, int), counts=np.zeros(10**7, int)),
    ),
    "snapshots that wrap around": (
        "snapshots.npz", "refused",
        lambda path: large_snapshots(path, 3, ONE, counts=np.array([2**63 - 1, 2**63 - 1, 5])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LARGE)
def test_large_files_are_read_or_refused_in_little_time_and_memory(tmp_path, case):
    name, outcome, write = LARGE[case]
    write(good_run(tmp_path / "run") / name)
    assert outcomes_of(name, tmp_path / "run") == {outcome: 1}


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
@pytest.mark.parametrize("name", KINDS)
def test_a_device_without_an_end_is_not_read_for_ever(tmp_path, name):
    path = good_run(tmp_path / "run") / name
    path.unlink()
    path.symlink_to("/dev/zero")
    outcomes_of(name, path.parent)


def test_snapshots_that_are_too_many_are_thinned_when_they_are_written(tmp_path):
    scene = scene_of(np.random.default_rng(1), PRIMITIVES, 2)
    folder = good_run(tmp_path / "run")
    save_snapshots([Snapshot(k, scene) for k in range(SNAPSHOTS_MAX + 1)], folder / "snapshots.npz")
    kept = load_snapshots(folder / "snapshots.npz", scene.canvas)
    assert [snapshot.step for snapshot in kept] == list(range(1, SNAPSHOTS_MAX + 1, 2))


if __name__ == "__main__":
    read_many(*sys.argv[1:])
