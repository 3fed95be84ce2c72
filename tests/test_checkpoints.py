"""Checkpoints that are truncated, modified or hostile: the previous one is used, or the run starts again."""

import io
import json
import os
import random
import resource
import tempfile
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal, run_cli
from effort import effort
from mutations import broken_npz
from run_processes import opened, sealed

from artpipe import load_scene
from artpipe.pipeline.folders.checkpoints import Keeper, Start, restore
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.plan import plan_of
from artpipe.pipeline.running.runner import carry_out, open_run

ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 12))
TARGET = np.stack([ACROSS, DOWN, ACROSS * DOWN], axis=2).astype(np.float32)
pytestmark = pytest.mark.usefixtures("steps_alone")

CONFIG = RunConfig(growth=3, count=6, steps=30, relocate_every=6, patience=1000, seconds=1e6)
OLDER, NEWER = "000001.bin", "000002.bin"


def begun(config=CONFIG):
    return open_run(TARGET, config), plan_of(config)


def cut_off(folder, config=CONFIG, parts=(12, 24)):
    """Writes a checkpoint after each of these numbers of parts; returns the steps at each."""
    (folder / "checkpoint").mkdir(parents=True, exist_ok=True)
    keeper = Keeper(folder, 0, pytest.fail)
    keeper.begin(Start(config, "a.png", TARGET, config.weights(TARGET)))
    run, plan = begun(config)
    done, steps = [], []

    def between():
        done.append(None)
        if len(done) in parts:
            keeper.save(run, plan)
            steps.append(run.step)

    carry_out(run, plan, config, [], time.perf_counter(), between=between)
    return steps


@cache
def good():
    """The files of a run folder with two checkpoints, and the optimiser steps at each."""
    with tempfile.TemporaryDirectory() as name:
        steps = cut_off(Path(name))
        return {path.name: path.read_bytes() for path in (Path(name) / "checkpoint").iterdir()}, steps


@pytest.fixture
def folder(tmp_path):
    """A run folder with two checkpoints."""
    inside = tmp_path / "run" / "checkpoint"
    inside.mkdir(parents=True)
    for name, data in good()[0].items():
        (inside / name).write_bytes(data)
    return tmp_path / "run"


@pytest.fixture(scope="module")
def any_run():
    """A run to restore into."""
    return begun()[0]


def resumed(folder, run=None):
    """The restored run, its plan, and the printed lines."""
    said = []
    run, plan = run or begun()[0], plan_of(CONFIG)
    plan = restore(folder, run, plan, said.append)
    return run, plan, said


def assert_falls_back(folder, run, case=""):
    """The newer checkpoint is not used, which one line says; the older one is."""
    run, _, said = resumed(folder, run)
    older, newer = good()[1]
    assert run.step == older < newer, case
    assert len(said) == 1 and "\n" not in said[0] and len(said[0]) < 400, case
    assert str(folder / "checkpoint" / NEWER) in said[0] and said[0].endswith("; using the previous one"), case
    (folder / "checkpoint" / NEWER).write_bytes(good()[0][NEWER])


def test_a_run_resumes_from_the_last_checkpoint_without_a_message(folder):
    run, plan, said = resumed(folder)
    assert said == [] and run.step == good()[1][1]
    assert plan.elapsed > 0 and plan.done > 0


def test_a_truncated_checkpoint_is_not_used(folder, any_run):
    path, data = folder / "checkpoint" / NEWER, good()[0][NEWER]
    for length in (0, 1, 10, 21, 50, 86, 87, len(data) // 2, len(data) - 1):  # 21: the mark, 86: mark and digest
        path.write_bytes(data[:length])
        assert_falls_back(folder, any_run, length)


def test_a_checkpoint_with_any_bit_changed_is_not_used(folder, any_run):
    path, rng, data = folder / "checkpoint" / NEWER, random.Random(8), good()[0][NEWER]
    for place in (0, 20, 21, 84, 85, 86, len(data) - 1, *(rng.randrange(len(data)) for _ in range(5))):
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        assert_falls_back(folder, any_run, place)


# --- files with a valid digest and invalid content ---


def spoiled(data, edit, compressed=False):
    """A checkpoint with a valid digest, after `edit(arrays, about)`."""
    with np.load(io.BytesIO(opened(data))) as file:
        arrays = dict(file)
    about = json.loads(arrays["about"].tobytes())
    edit(arrays, about)
    if "about" in arrays and arrays["about"].dtype == np.uint8:
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    payload = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(payload, **arrays)
    return sealed(payload.getvalue())


def put(*path, value):
    """An edit that replaces a value of the JSON."""

    def edit(arrays, about):
        for name in path[:-1]:
            about = about[name]
        about[path[-1]] = value

    return edit


def reshape(name, change):
    """An edit that replaces an array by a function of it."""

    def edit(arrays, about):
        arrays[name] = change(arrays[name])

    return edit


def fill(name, value):
    return reshape(name, lambda array: np.full_like(array, value))


def drop(*path):
    """An edit that removes an array or a value of the JSON."""

    def edit(arrays, about):
        if len(path) == 1 and path[0] in arrays:
            del arrays[path[0]]
            return
        for name in path[:-1]:
            about = about[name]
        del about[path[-1]]

    return edit


HOSTILE = {
    **{f"{name} filled with {value}": fill(name, value) for name, value in (
        ("rows", np.nan), ("drawn", np.inf), ("raw", np.nan), ("raw", 1e30), ("weight", np.nan), ("weight", -1.0),
        ("mean", np.nan), ("square", np.inf), ("square", -1e-9), ("curve", np.nan), ("curve", -1.0),
        ("snapshot_rows", np.inf), ("ids", 3), ("ids", -1), ("snapshots", 2**40), ("snapshots", -1),
    )},
    **{f"no {' '.join(path)}": drop(*path) for path in (
        ("about",), ("rows",), ("drawn",), ("square",), ("curve",), ("snapshots",), ("plan",), ("stopping",), ("rng",),
        ("canvas",), ("start",), ("paced",), ("growth_count",), ("plan", "done"), ("plan", "cut"), ("plan", "begun"),
    )},
    "rows one short": reshape("rows", lambda rows: rows[1:]),
    "raw one short": reshape("raw", lambda rows: rows[1:]),
    "raw one wide": reshape("raw", lambda rows: rows[:, :1]),
    "raw in float64": reshape("raw", lambda rows: rows.astype(np.float64)),
    "rows as objects": reshape("rows", lambda rows: rows.astype(object)),
    "about as an object": reshape("about", lambda about: np.array({"a": 1}, dtype=object)),
    "radii below 0": reshape("drawn", lambda rows: -np.abs(rows)),
    "too many snapshots": reshape("snapshots", lambda snapshots: np.zeros((100_000, 4), np.int64)),
    "snapshots out of order": reshape("snapshots", lambda snapshots: snapshots[::-1]),
    "more rows added than there are": reshape("snapshots", lambda snapshots: snapshots + np.array([0, 0, 0, 99])),
    "deep nesting": reshape("about", lambda about: np.full(200_000, ord("["), np.uint8).view(np.int8)),
    **{f"{' '.join(map(str, path))} = {str(value)[:30]}": put(*path, value=value) for path, values in {
        ("plan",): ([],), ("plan", "done"): (10**18, -1, 1000, 1.0, True, None),
        ("plan", "stage"): (10**18, -1, 4), ("plan", "shapes"): (10**18, -1, []),
        ("plan", "seconds"): (-1, 1e300, "1", float("nan"), float("inf")), ("plan", "elapsed"): (None,),
        ("plan", "begun"): (-1, 10**18, 1.5, None),
        ("plan", "cut"): (7, [], "abc", [1, 2], [1, 6, 10**12], [1, 7, 5], [9, 6, 5], [-1, 6, 5], {"a": 1, "b": 2}),
        ("paced",): (7, [{"steps": 1, "begin": 0, "growth": 1, "lead": 0}] * 4, [{}, {}, {}]),
        ("paced", 0, "steps"): (-1, 10**12, 1.5, "9"), ("paced", 0, "begin"): (-0.1, 1.1, "0", float("nan")),
        ("paced", 0, "growth"): (0, 10**9, None), ("paced", 0, "lead"): (-1, 10**12),
        ("stopping", "reason"): ("<b>",), ("stopping", "best"): ("nan", -1), ("stopping", "best_step"): (10**12,),
        ("stopping", "shapes"): ([7],), ("rng",): (None,), ("rng", "bit_generator"): ("MT19937",),
        ("rng", "state", "state"): (2**200, -1), ("rng", "state", "inc"): ("12",),
        ("step_count",): (10**18,), ("next_id",): (2**63, 0), ("growth_count",): (-5,), ("other_count",): ("2",),
        ("canvas", "width"): (17,), ("canvas", "background"): ([0.0, 0.0, 0.0], 3), ("canvas", "edge"): ("soft",),
        ("canvas",): ({"width": 65536, "height": 65536, "background": [0, 0, 0]}, {"wide": 1}),
        ("start",): ("0" * 64,),
    }.items() for value in values},
}  # fmt: skip


def test_a_hostile_checkpoint_is_not_used(folder, any_run):
    path, data = folder / "checkpoint" / NEWER, good()[0][NEWER]
    path.write_bytes(spoiled(data, lambda arrays, about: None))  # the seal of `spoiled` itself is valid
    assert resumed(folder, any_run)[2] == []
    for case, edit in HOSTILE.items():
        path.write_bytes(spoiled(data, edit))
        assert_falls_back(folder, any_run, case)


def test_random_changes_under_a_valid_digest_are_used_whole_or_refused_in_one_line(folder, tmp_path):
    path, rng, outcomes, run = folder / "checkpoint" / NEWER, random.Random(3), set(), begun()[0]
    payloads = [opened(data) for data in good()[0].values()]
    for index in range(effort(50)):
        path.write_bytes(sealed(broken_npz(rng, opened(good()[0][NEWER]), payloads, tmp_path / "trap")))
        _, plan, said = resumed(folder, run)
        assert len(said) <= 1 and all("\n" not in line and len(line) < 400 for line in said), (index, said)
        outcomes.add(not said)
        for part, _ in zip(plan.parts(run), range(2), strict=False):  # what was accepted can be continued
            list(plan.work(part, run))
        assert np.isfinite(run.scene.rows).all() and not (tmp_path / "trap").exists()
    assert outcomes == {True, False}


def test_a_small_file_with_large_arrays_is_not_used(folder, any_run):
    path = folder / "checkpoint" / NEWER
    large = {"snapshot_rows": np.zeros((2_000_000, 8), np.float32), "snapshot_ids": np.zeros(2_000_000, np.int64)}
    path.write_bytes(spoiled(path.read_bytes(), lambda arrays, about: arrays.update(large), compressed=True))
    assert path.stat().st_size < 200_000
    assert_falls_back(folder, any_run)


def test_other_files_are_not_used_as_checkpoints(folder, tmp_path, any_run):
    path = folder / "checkpoint" / NEWER
    cut_off(tmp_path / "other", replace(CONFIG, seed=5))  # the same picture and size
    for data in (
        (tmp_path / "other" / "checkpoint" / NEWER).read_bytes(), good()[0]["start.bin"], sealed(b"PK and more"),
    ):  # fmt: skip
        path.write_bytes(data)
        assert_falls_back(folder, any_run)
    if os.path.exists("/dev/zero"):
        path.unlink()
        path.symlink_to("/dev/zero")
        run, _, said = resumed(folder, any_run)
        assert run.step == good()[1][0] and "not a regular file" in said[0]
    (path / "inner").mkdir(parents=True)
    run, _, said = resumed(folder, any_run)
    assert run.step == good()[1][0] and len(said) == 1


NONE_VALID = {
    "empty": {OLDER: b"", NEWER: b""},
    "no checkpoint yet": {OLDER: None, NEWER: None},
    # Refused after the fit was restored: it must leave no trace.
    "broken halfway": {OLDER: None, NEWER: ("rng", "bit_generator")},
}


@pytest.mark.parametrize("case", NONE_VALID)
def test_without_a_valid_checkpoint_the_run_starts_from_the_beginning(folder, case):
    for name, data in NONE_VALID[case].items():
        path = folder / "checkpoint" / name
        if data is None:
            path.unlink()
        else:
            path.write_bytes(spoiled(path.read_bytes(), put(*data, value="MT19937")) if data else data)
    run, plan, said = resumed(folder)
    assert said and said[-1].endswith("starting from the beginning")
    assert (run.step, run.scene.count, plan.done, plan.shapes) == (0, 0, 0, None)
    result = carry_out(run, plan, CONFIG, [], time.perf_counter())
    wanted = carry_out(*begun(), CONFIG, [], time.perf_counter())
    assert result.scene.same_as(wanted.scene) and result.reason == "finished"


def test_a_valid_checkpoint_is_kept_until_two_valid_ones_follow(folder):
    inside = folder / "checkpoint"
    (inside / NEWER).write_bytes(b"torn")
    run, plan, _ = resumed(folder)
    Keeper(folder, 0, pytest.fail).save(run, plan)
    assert (inside / OLDER).read_bytes() == good()[0][OLDER]
    assert len(list(inside.glob("0*.bin"))) == 2
    assert resumed(folder)[2] == []


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    cut_off(tmp_path, parts=range(1, 30))
    assert {path.name for path in (tmp_path / "checkpoint").iterdir()} == {"start.bin", "000028.bin", "000029.bin"}


# --- start.bin ---

STARTS = {
    "empty": lambda data: b"",
    "truncated": lambda data: data[:-1],
    "a checkpoint": lambda data: good()[0][NEWER],
    "without a target": lambda data: spoiled(data, drop("target")),
    "with a target of two channels": lambda data: spoiled(data, reshape("target", lambda t: t[:, :, :2])),
    "with a target of NaN": lambda data: spoiled(data, fill("target", np.nan)),
    "with weights that the options exclude": lambda data: spoiled(
        data, lambda arrays, about: arrays.update(weights=np.ones((12, 16), np.float32))
    ),
    "without options": lambda data: spoiled(data, drop("config")),
    "with options out of range": lambda data: spoiled(data, put("config", "steps", value=10**12)),
    "with unknown options": lambda data: spoiled(data, put("config", "colour", value=1)),
    "with a picture that is not a path": lambda data: spoiled(data, put("picture", value=[1])),
    "with objects": lambda data: spoiled(data, reshape("target", lambda target: target.astype(object))),
}


def test_an_invalid_start_is_refused_in_one_line(folder):
    path = folder / "checkpoint" / "start.bin"
    before = good()[0]
    for case, spoil in STARTS.items():
        path.write_bytes(spoil(before["start.bin"]))
        line = refusal("resume", folder)
        assert f"{path} cannot be used" in line and "Start the run again" in line, case
    path.write_bytes(before["start.bin"].replace(b"artpipe checkpoint 3", b"artpipe checkpoint 2"))
    assert f"{path} cannot be used: another version of artpipe wrote it" in refusal("resume", folder)
    assert {path.name: path.read_bytes() for path in path.parent.iterdir()}.keys() == before.keys()


def test_a_folder_without_a_run_is_refused_and_unchanged(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    assert "no interrupted run" in refusal("resume", tmp_path / "empty")
    assert "no run folder" in refusal("resume", tmp_path / "file")
    assert "no run folder" in refusal("resume", tmp_path / "none")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file"]


# --- links ---


def test_links_out_of_the_run_folder_are_not_followed(folder, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (folder / "checkpoint" / "lock").symlink_to(tmp_path / "mine")
    refusal("resume", folder)
    assert (tmp_path / "mine").read_text() == "mine"
    elsewhere = tmp_path / "elsewhere"
    (folder / "checkpoint").rename(elsewhere)
    (elsewhere / ".mine.part").write_text("mine")
    (folder / "checkpoint").symlink_to(elsewhere)
    before = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    assert "is a link" in refusal("resume", folder)
    assert run_cli("run", tmp_path / "none.png", "-o", folder).exit_code == 1
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == before


# --- a full disk ---


def test_a_failed_checkpoint_is_reported_once_and_the_run_continues(tmp_path):
    said = []
    (tmp_path / "checkpoint").mkdir()
    keeper = Keeper(tmp_path, 0, said.append)
    keeper.begin(Start(CONFIG, "a.png", TARGET, None))
    run, plan = begun()
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, former[1]))  # no file may become longer; Python ignores the signal
    try:
        result = carry_out(run, plan, CONFIG, [], time.perf_counter(), between=lambda: keeper.offer(run, plan))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert result.reason == "finished"
    assert len(said) == 1 and "\n" not in said[0] and said[0].endswith("the run continues without a checkpoint")
    assert [path.name for path in (tmp_path / "checkpoint").iterdir()] == ["start.bin"]


def test_a_scene_that_cannot_be_saved_in_the_run_folder_is_saved_elsewhere(folder):
    (folder / "scene.json" / "inner").mkdir(parents=True)  # a folder blocks the file
    result = run_cli("resume", folder, "--no-export", "-q")
    line = result.stderr.splitlines()
    assert result.exit_code == 1 and len(line) == 1
    assert str(folder / "scene.json") in line[0] and "The scene is saved as" in line[0]
    spare = Path(line[0].split("The scene is saved as ")[1].split(";")[0])
    run, plan = begun()
    assert load_scene(spare).same_as(carry_out(run, plan, CONFIG, [], 0.0).scene)
    spare.unlink()
    spare.parent.rmdir()
    (folder / "scene.json" / "inner").rmdir()
    (folder / "scene.json").rmdir()
    assert run_cli("resume", folder, "--no-export", "-q").exit_code == 0  # what was done is not lost
    assert (folder / "scene.json").is_file() and not (folder / "checkpoint").exists()
