"""Checkpoints that are torn, changed, or whole but hostile: the one before is used, or the run is begun anew."""

import io
import json
import os
import random
import resource
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from command_line import refusal, run_cli
from effort import effort
from measuring import peak_memory
from run_processes import opened, sealed

from artpipe import ArtpipeError, InputError
from artpipe.pipeline.folders.checkpoints import Keeper, Start, load_start, restore
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.plan import plan_of
from artpipe.pipeline.running.runner import carry_out, open_run

ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 12))
TARGET = np.stack([ACROSS, DOWN, ACROSS * DOWN], axis=2).astype(np.float32)
pytestmark = pytest.mark.usefixtures("steps_alone")

CONFIG = RunConfig(growth=3, count=6, steps=30, relocate_every=6, patience=1000, seconds=1e6)
OLDER, NEWER = "000001.bin", "000002.bin"


def begun(config=CONFIG, target=TARGET):
    return open_run(target, config), plan_of(config)


def cut_off(folder, config=CONFIG, target=TARGET, parts=(12, 24)):
    """A run folder with a checkpoint after each of these numbers of parts; gives back the steps at each."""
    inside = folder / "checkpoint"
    inside.mkdir(parents=True, exist_ok=True)
    keeper = Keeper(folder, 0, pytest.fail)
    keeper.begin(Start(config, "a.png", target, config.weights(target)))
    run, plan = begun(config, target)
    done, steps = [], []

    def between():
        done.append(None)
        if len(done) in parts:
            keeper.save(run, plan)
            steps.append(run.step)

    carry_out(run, plan, config, [], time.perf_counter(), between=between)
    return steps


def gone_on_with(folder, config=CONFIG, target=TARGET):
    """The run as it is restored, its plan, and what was said."""
    said = []
    run, plan = begun(config, target)
    plan = restore(folder, run, plan, said.append)
    return run, plan, said


@pytest.fixture
def folder(tmp_path):
    """A run folder with two checkpoints."""
    for name, data in good_files().items():
        path = tmp_path / "run" / "checkpoint" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "run"


@cache
def good_files():
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        assert len(cut_off(Path(name))) == 2
        return {path.name: path.read_bytes() for path in (Path(name) / "checkpoint").iterdir()}


@cache
def good_steps():
    """Optimiser steps at the older and the newer checkpoint."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        return cut_off(Path(name))


def assert_falls_back(folder):
    """The newer checkpoint is not used, which one line says; the older one is."""
    run, _, said = gone_on_with(folder)
    assert run.step == good_steps()[0] < good_steps()[1]
    assert len(said) == 1 and "\n" not in said[0] and len(said[0]) < 400
    assert str(folder / "checkpoint" / NEWER) in said[0] and said[0].endswith("; using the previous one")


def test_the_last_checkpoint_is_gone_on_from_in_silence(folder):
    run, plan, said = gone_on_with(folder)
    assert said == [] and run.step == good_steps()[1]
    assert plan.elapsed > 0 and plan.done > 0


LENGTHS = {
    "none": lambda size: 0, "a byte": lambda size: 1, "half the mark": lambda size: 10, "the mark": lambda size: 21,
    "half the digest": lambda size: 50, "the head": lambda size: 86, "a byte of the rest": lambda size: 87,
    "half": lambda size: size // 2, "all but a byte": lambda size: size - 1,
}  # fmt: skip


@pytest.mark.parametrize("length", LENGTHS)
def test_of_a_torn_checkpoint_the_one_before_is_used(folder, length):
    path = folder / "checkpoint" / NEWER
    data = path.read_bytes()
    path.write_bytes(data[: LENGTHS[length](len(data))])
    assert_falls_back(folder)


def test_of_a_checkpoint_with_any_bit_changed_the_one_before_is_used(folder):
    path, rng = folder / "checkpoint" / NEWER, random.Random(8)
    good = path.read_bytes()
    for place in (0, 20, 21, 84, 85, 86, len(good) - 1, *(rng.randrange(len(good)) for _ in range(5))):
        data = bytearray(good)
        data[place] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        assert_falls_back(folder)


# --- whole files that say what no run says ---


def spoiled(data, edit, compressed=False):
    """A checkpoint with a digest that is right, after `edit(arrays, about)`."""
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
    """An edit that puts a value into what the file tells about the run."""

    def edit(arrays, about):
        for name in path[:-1]:
            about = about[name]
        about[path[-1]] = value

    return edit


def fill(name, value):
    """An edit that fills an array."""

    def edit(arrays, about):
        arrays[name] = np.full_like(arrays[name], value)

    return edit


def reshape(name, change):
    def edit(arrays, about):
        arrays[name] = change(arrays[name])

    return edit


def drop(*path):
    def edit(arrays, about):
        if len(path) == 1 and path[0] in arrays:
            del arrays[path[0]]
            return
        for name in path[:-1]:
            about = about[name]
        del about[path[-1]]

    return edit


HOSTILE = {
    **{f"NaN in {name}": fill(name, np.nan) for name in ("rows", "drawn", "raw", "weight", "mean", "square")},
    **{f"infinite {name}": fill(name, np.inf) for name in ("rows", "drawn", "raw", "square", "curve", "snapshot_rows")},
    **{f"no {name}": drop(name) for name in ("about", "rows", "ids", "drawn", "raw", "square", "curve", "snapshots")},
    **{f"no {name}": drop(name) for name in ("plan", "stopping", "rng", "step_count", "canvas", "start")},
    **{f"no {name}": drop(name) for name in ("growth_count", "other_count")},
    **{f"no {name} of the plan": drop("plan", name) for name in ("stage", "done", "shapes", "seconds", "cut")},
    "rows one short": reshape("rows", lambda rows: rows[1:]),
    "raw one short": reshape("raw", lambda rows: rows[1:]),
    "raw one wide": reshape("raw", lambda rows: rows[:, :1]),
    "rows of two kinds of numbers": reshape("raw", lambda rows: rows.astype(np.float64)),
    "rows as objects": reshape("rows", lambda rows: rows.astype(object)),
    "about as an object": reshape("about", lambda about: np.array({"a": 1}, dtype=object)),
    "parameters out of their limits": fill("raw", 1e30),
    "weights below 0": fill("weight", -1.0),
    "squares below 0": fill("square", -1e-9),
    "ids that repeat": fill("ids", 3),
    "ids below 0": fill("ids", -1),
    "radii below 0": reshape("drawn", lambda rows: -np.abs(rows)),
    "snapshots of more rows than there are": fill("snapshots", 2**40),
    "snapshots of fewer than none": fill("snapshots", -1),
    "too many snapshots": reshape("snapshots", lambda snapshots: np.zeros((100_000, 4), np.int64)),
    "snapshots out of order": reshape("snapshots", lambda snapshots: snapshots[::-1]),
    "more rows added than there are": reshape("snapshots", lambda snapshots: snapshots + np.array([0, 0, 0, 99])),
    "a curve of NaN": fill("curve", np.nan),
    "a curve below 0": fill("curve", -1.0),
    **{
        f"{name} {value}": put("plan", name, value=value)
        for name, value in (
            ("done", 10**18), ("done", -1), ("done", 1000), ("done", 1.0), ("done", True), ("done", None),
            ("stage", 10**18), ("stage", -1), ("stage", 4), ("stage", 3), ("shapes", 10**18), ("shapes", -1),
            ("shapes", []), ("seconds", -1), ("seconds", 1e300), ("seconds", "1"), ("elapsed", None),
            ("cut", 7), ("cut", []), ("cut", "abc"), ("cut", [1, 2]), ("cut", [1, 6, 10**12]), ("cut", [1, 10**12, 5]),
            ("cut", [1, 7, 5]), ("cut", [9, 6, 5]), ("cut", [-1, 6, 5]), ("cut", {"a": 1, "b": 2, "c": 3}),
        )
    },
    **{f"begun {value}": put("plan", "begun", value=value) for value in (-1, 10**18, 1.5, None, "1", True)},
    "no begun of the plan": drop("plan", "begun"),
    "no paced": drop("paced"),
    "paced that is a number": put("paced", value=7),
    "paced of too many stages": put("paced", value=[{"steps": 1, "begin": 0, "growth": 1, "lead": 0}] * 4),
    "paced of nothing": put("paced", value=[{}, {}, {}]),
    **{
        f"paced {name} {value}": put("paced", 0, name, value=value)
        for name, value in (
            ("steps", -1), ("steps", 10**12), ("steps", 1.5), ("steps", "9"), ("begin", -0.1), ("begin", 1.1),
            ("begin", "0"), ("begin", float("nan")), ("growth", 0), ("growth", 10**9), ("growth", None), ("lead", -1),
            ("lead", 10**12),
        )
    },
    "seconds that are not a number": put("plan", "seconds", value=float("nan")),
    "endless seconds": put("plan", "seconds", value=float("inf")),
    "a plan that is a list": put("plan", value=[]),
    "a rule that is none": put("stopping", "reason", value="<b>"),
    "a best loss that is none": put("stopping", "best", value="nan"),
    "a best loss below 0": put("stopping", "best", value=-1),
    "a best step beyond all": put("stopping", "best_step", value=10**12),
    "shapes of the best that are none": put("stopping", "shapes", value=[7]),
    "a generator of another kind": put("rng", "bit_generator", value="MT19937"),
    "a generator that is none": put("rng", value=None),
    "a generator with too large a state": put("rng", "state", "state", value=2**200),
    "a generator with a state below 0": put("rng", "state", "state", value=-1),
    "a generator with words in it": put("rng", "state", "inc", value="12"),
    "steps beyond all": put("step_count", value=10**18),
    "a next id beyond all": put("next_id", value=2**63),
    "a next id below the ids": put("next_id", value=0),
    "growths below 0": put("growth_count", value=-5),
    "snapshots that are no number": put("other_count", value="2"),
    "a canvas of another size": put("canvas", "width", value=17),
    "a huge canvas": put("canvas", value={"width": 65536, "height": 65536, "background": [0, 0, 0]}),
    "another background": put("canvas", "background", value=[0.0, 0.0, 0.0]),
    "a background that is none": put("canvas", "background", value=3),
    "a canvas that is none": put("canvas", value={"wide": 1}),
    "an edge that is none": put("canvas", "edge", value="soft"),
    "another run's": put("start", value="0" * 64),
    "deep nesting": reshape("about", lambda about: np.full(200_000, ord("["), np.uint8).view(np.int8)),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_of_a_hostile_checkpoint_the_one_before_is_used(folder, case):
    path = folder / "checkpoint" / NEWER
    path.write_bytes(spoiled(path.read_bytes(), HOSTILE[case]))
    assert_falls_back(folder)


def test_a_checkpoint_that_was_not_spoiled_but_sealed_again_is_used(folder):
    """So that the test above cannot pass for a seal that is wrong."""
    path = folder / "checkpoint" / NEWER
    path.write_bytes(spoiled(path.read_bytes(), lambda arrays, about: None))
    assert gone_on_with(folder)[2] == []


def test_arrays_that_unpack_to_far_more_than_the_file_are_not_used(folder):
    path = folder / "checkpoint" / NEWER
    large = {"snapshot_rows": np.zeros((2_000_000, 8), np.float32), "snapshot_ids": np.zeros(2_000_000, np.int64)}
    path.write_bytes(spoiled(path.read_bytes(), lambda arrays, about: arrays.update(large), compressed=True))
    assert path.stat().st_size < 200_000
    assert_falls_back(folder)


@pytest.mark.parametrize("kind", ["a file of another run", "a file of the run's beginning", "a folder", "no zip file"])
def test_of_what_is_no_checkpoint_of_this_run_the_one_before_is_used(folder, tmp_path, kind):
    path = folder / "checkpoint" / NEWER
    if kind == "a file of another run":  # of the same picture and size, but another seed
        cut_off(tmp_path / "other", replace(CONFIG, seed=5))
        path.write_bytes((tmp_path / "other" / "checkpoint" / NEWER).read_bytes())
    elif kind == "a file of the run's beginning":
        path.write_bytes((folder / "checkpoint" / "start.bin").read_bytes())
    elif kind == "a folder":
        path.unlink()
        (path / "inner").mkdir(parents=True)
    else:
        path.write_bytes(sealed(b"PK and more"))
    assert_falls_back(folder)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs /dev/zero")
def test_a_checkpoint_without_an_end_is_not_read(folder):
    path = folder / "checkpoint" / NEWER
    path.unlink()
    path.symlink_to("/dev/zero")
    assert_falls_back(folder)


def test_where_no_checkpoint_is_good_the_run_is_begun_anew(folder):
    for name in (OLDER, NEWER):
        (folder / "checkpoint" / name).write_bytes(b"")
    run, plan, said = gone_on_with(folder)
    assert len(said) == 2 and said[1].endswith("; starting from the beginning")
    assert (run.step, run.scene.count, plan.done, plan.shapes) == (0, 0, 0, None)
    assert_ends_as_whole(run, plan)


def test_what_was_refused_halfway_leaves_no_trace_in_what_is_begun_anew(folder):
    (folder / "checkpoint" / OLDER).unlink()
    path = folder / "checkpoint" / NEWER
    path.write_bytes(spoiled(path.read_bytes(), HOSTILE["a generator of another kind"]))
    run, plan, said = gone_on_with(folder)
    assert len(said) == 1 and "starting from the beginning" in said[0]
    assert_ends_as_whole(run, plan)


def test_a_run_that_was_killed_before_its_first_checkpoint_is_begun_anew(folder):
    for name in (OLDER, NEWER):
        (folder / "checkpoint" / name).unlink()
    run, plan, said = gone_on_with(folder)
    assert len(said) == 1 and said[0].endswith("holds no checkpoint yet; starting from the beginning")
    assert_ends_as_whole(run, plan)


def assert_ends_as_whole(run, plan):
    result = carry_out(run, plan, CONFIG, [], time.perf_counter())
    fresh, again = begun()
    wanted = carry_out(fresh, again, CONFIG, [], time.perf_counter())
    assert result.scene.same_as(wanted.scene) and result.reason == "finished"


def test_a_broken_checkpoint_is_never_kept_instead_of_a_good_one(folder):
    """The good one before it stays until there are two good ones after it."""
    inside = folder / "checkpoint"
    (inside / NEWER).write_bytes(b"torn")
    run, plan, _ = gone_on_with(folder)
    Keeper(folder, 0, pytest.fail).save(run, plan)
    assert (inside / OLDER).read_bytes() == good_files()[OLDER]
    assert len(list(inside.glob("0*.bin"))) == 2
    assert gone_on_with(folder)[2] == []


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    cut_off(tmp_path, parts=range(1, 30))
    assert {path.name for path in (tmp_path / "checkpoint").iterdir()} == {"start.bin", "000028.bin", "000029.bin"}


# --- what a run was begun with ---

STARTS = {
    "empty": lambda data: b"",
    "torn": lambda data: data[:-1],
    "of words": lambda data: b"words",
    "a checkpoint": lambda data: good_files()[NEWER],
    "without a target": lambda data: spoiled(data, drop("target")),
    "with a target of two channels": lambda data: spoiled(data, reshape("target", lambda t: t[:, :, :2])),
    "with a target of NaN": lambda data: spoiled(data, fill("target", np.nan)),
    "with weights that are not asked for": lambda data: spoiled(
        data, lambda arrays, about: arrays.update(weights=np.ones((12, 16), np.float32))
    ),
    "without options": lambda data: spoiled(data, drop("config")),
    "with options out of range": lambda data: spoiled(data, put("config", "steps", value=10**12)),
    "with options that are unknown": lambda data: spoiled(data, put("config", "colour", value=1)),
    "with a picture that is no path": lambda data: spoiled(data, put("picture", value=[1])),
    "with objects": lambda data: spoiled(data, reshape("target", lambda target: target.astype(object))),
}


def test_a_run_of_another_version_is_refused_in_one_line(folder):
    path = folder / "checkpoint" / "start.bin"
    path.write_bytes(path.read_bytes().replace(b"artpipe checkpoint 3", b"artpipe checkpoint 2"))
    assert f"{path} cannot be used: another version of artpipe wrote it" in refusal("resume", folder)


@pytest.mark.parametrize("case", STARTS)
def test_a_broken_beginning_is_refused_in_one_line(folder, case):
    path = folder / "checkpoint" / "start.bin"
    path.write_bytes(STARTS[case](path.read_bytes()))
    before = {path.name: path.read_bytes() for path in path.parent.iterdir()}
    line = refusal("resume", folder)
    assert f"{path} cannot be used" in line and "Start the run again" in line
    assert {path.name: path.read_bytes() for path in path.parent.iterdir()} == before


def test_a_folder_without_a_run_to_go_on_with_is_refused_and_stays_as_it_is(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("mine")
    assert "no interrupted run" in refusal("resume", tmp_path / "empty")
    assert "no run folder" in refusal("resume", tmp_path / "file")
    assert "no run folder" in refusal("resume", tmp_path / "none")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["empty", "file"]


# --- links ---


def test_nothing_outside_the_run_folder_is_touched_for_a_link(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    (folder / "checkpoint").rename(elsewhere)
    (elsewhere / "lock").write_text("mine")
    (elsewhere / ".mine.part").write_text("mine")
    (folder / "checkpoint").symlink_to(elsewhere)
    before = {path.name: path.read_bytes() for path in elsewhere.iterdir()}
    assert "is a link" in refusal("resume", folder)
    assert run_cli("run", tmp_path / "none.png", "-o", folder).exit_code == 1
    assert {path.name: path.read_bytes() for path in elsewhere.iterdir()} == before


def test_a_lock_that_is_a_link_is_not_followed(folder, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (folder / "checkpoint" / "lock").symlink_to(tmp_path / "mine")
    refusal("resume", folder)
    assert (tmp_path / "mine").read_text() == "mine"


# --- a full disk ---


def test_a_checkpoint_that_cannot_be_written_is_told_of_once_and_the_run_goes_on(tmp_path):
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


def test_results_that_cannot_be_saved_are_saved_elsewhere(folder):
    from artpipe import load_scene

    (folder / "scene.json" / "inner").mkdir(parents=True)  # a folder stands in the way
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


# --- thousands ---

SECONDS_MAX, BYTES_MAX, LETTERS_MAX = 10, 2_000_000_000, 400


def restored_many(name, seed, count):
    """Spoils a file of a run folder again and again, goes on from it, and prints what came of all."""
    from mutations import broken_bytes, broken_json, broken_npz

    folder, rng = Path(name), random.Random(int(seed))
    inside = folder / "checkpoint"
    good = {path.name: path.read_bytes() for path in sorted(inside.iterdir())}
    others = list(good.values())
    outcomes, slowest = {}, (0.0, 0)
    for index in range(int(count)):
        spoiled_name = "start.bin" if index % 8 == 0 else NEWER
        for path in inside.iterdir():
            path.unlink()
        for each, data in good.items():
            (inside / each).write_bytes(data)
        data, kind = good[spoiled_name], rng.random()
        if kind < 0.2:
            data = broken_bytes(rng, data, others)
        elif kind < 0.6:
            data = sealed(broken_npz(rng, opened(data), others, folder / "trap"))
        else:
            data = sealed(with_about(opened(data), lambda about: broken_json(rng, about, others)))
        (inside / spoiled_name).write_bytes(data)
        start = time.perf_counter()
        outcome = came_of(folder, spoiled_name)
        slowest = max(slowest, (time.perf_counter() - start, index))
        if outcome not in ("whole", "refused"):
            (folder / f"bad-{index}").write_bytes(data)
            outcome = f"{index}: {outcome}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "bytes": peak_memory()}))


def with_about(payload, change):
    """An .npz whose text about the run is changed."""
    file, about = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(file, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == "about.npy":
                text = np.load(io.BytesIO(data)).tobytes()
                np.save(about, np.frombuffer(change(text), np.uint8))
                data = about.getvalue()
            new.writestr(member, data)
    return file.getvalue()


def came_of(folder, name):
    """What came of a spoiled file: "whole", "refused", or what went wrong."""
    said = []
    try:
        start = load_start(folder)
    except InputError as error:
        good = name == "start.bin" and is_a_line(str(error))
        return "refused" if good else f"said {str(error)[:500]!r}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {str(error)[:300]}"
    if name == "start.bin":  # what it asks for may be large; that it is read is enough
        return "whole" if RunConfig.from_json(start.config.to_json()) == start.config else "is not whole"
    try:
        run, plan = begun()
        plan = restore(folder, run, plan, said.append)
        for part, _ in zip(plan.parts(run), range(3), strict=False):
            for _ in plan.work(part, run):
                pass
        run.result()
    except ArtpipeError as error:  # numbers that are in order, but not those of any fit
        return "refused" if is_a_line(str(error)) and not said else f"said {said!r}, {str(error)[:500]!r}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {str(error)[:300]}"
    if not said:
        return "whole"
    if len(said) == 1 and is_a_line(said[0]) and said[0].endswith("using the previous one"):
        return "refused"
    return f"said {said!r}"


def is_a_line(text):
    return "\n" not in text and len(text) < LETTERS_MAX


@pytest.mark.slow
def test_many_spoiled_checkpoints_are_used_or_refused_in_one_line(folder):
    """By another process, so that a crash is seen, and its memory is its own."""
    count = effort(400)
    command = [sys.executable, __file__, str(folder), "1", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert set(told["outcomes"]) <= {"whole", "refused"}, told
    assert told["slowest"][0] < SECONDS_MAX and told["bytes"] < BYTES_MAX, told
    assert told["outcomes"]["refused"] > count / 2 and told["outcomes"]["whole"] > count / 100
    assert not (folder / "trap").exists()


if __name__ == "__main__":
    restored_many(*sys.argv[1:])
