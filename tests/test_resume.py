"""A run that is interrupted and resumed, anywhere and repeatedly, ends as an uninterrupted one, bit for bit."""

import random
import signal
import time
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from effort import effort
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from run_processes import ended, finished, results, started, wait_for, waves

from artpipe import load_scene, mean_squared_error, render
from artpipe.pipeline.folders.checkpoints import Keeper, Start, load_start, restore
from artpipe.pipeline.folders.rundir import load_result
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.interruption import Interruption
from artpipe.pipeline.running.plan import plan_of
from artpipe.pipeline.running.runner import carry_out, open_run
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.pictures.picture import save_png

pytestmark = pytest.mark.usefixtures("steps_alone")

ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 20))
OPAQUE = np.stack([ACROSS, DOWN, 0.5 + 0.5 * np.sin(9 * ACROSS * DOWN)], axis=2).astype(np.float32)
PLAIN = RunConfig(growth=4, count=8, steps=60, relocate_every=9, seed=3)
CONFIGS = {
    "plain": PLAIN,
    "weights": replace(PLAIN, focus=((0.3, 0.4, 0.2),), edges=0.5),
    "alpha": replace(PLAIN, background="#336699"),
    "reduced": replace(PLAIN, reduction=2),
    "reduced, with patience": replace(PLAIN, steps=2000, patience=26, reduction=3, hard=True, focus=((0.3, 0.4, 0.2),)),
    "patience": replace(PLAIN, steps=2000, patience=26),
    "target-psnr": replace(PLAIN, steps=2000, target_psnr=20.0, focus=((0.3, 0.4, 0.2),)),
    "other rules": replace(PLAIN, preset="draft", pool=2.0, relocate_every=4, relocate_fraction=0.9, seeder="gain"),
}


def target_of(name):
    alpha = (np.hypot(ACROSS - 0.5, DOWN - 0.5) < 0.4).astype(np.float32)
    return np.dstack([OPAQUE, alpha]) if name == "alpha" else OPAQUE


@cache
def whole(name, renderer):
    """The result of an uninterrupted run, and its number of parts."""
    config = replace(CONFIGS[name], renderer=renderer)
    ends = []
    run = open_run(target_of(name), config)
    result = carry_out(run, plan_of(config), config, [], time.perf_counter(), between=lambda: ends.append(run.step))
    return result, len(ends)


def in_pieces(name, renderer, pieces, folder):
    """The result of the same run, saved and restored after each of these numbers of parts."""
    config = replace(CONFIGS[name], renderer=renderer)
    target = target_of(name)
    start = Start(config, "a.png", target, config.weights(target))
    (folder / "checkpoint").mkdir(exist_ok=True)
    Keeper(folder, 0, pytest.fail).begin(start)
    for path in (folder / "checkpoint").glob("0*.bin"):
        path.unlink()
    for number, parts in enumerate([*pieces, None]):
        start = load_start(folder)
        run, plan = open_run(start.target, start.config, weights=start.weights), plan_of(start.config)
        if number:
            plan = restore(folder, run, plan, pytest.fail)
        result = continued(run, plan, config, parts)
        if result.reason != "interrupted":
            break
        Keeper(folder, 0, pytest.fail).save(run, plan)
    return result


def continued(run, plan, config, parts):
    """The result of a run that is interrupted during the part after `parts`; None for no interruption."""
    interruption, done = Interruption(), []

    def between():
        done.append(run.step)
        if len(done) == parts:
            interruption.signal = signal.SIGINT

    if parts == 0:
        interruption.signal = signal.SIGINT
    return carry_out(run, plan, config, [], time.perf_counter(), interruption, between)


def assert_same(result, wanted):
    assert result.reason == wanted.reason
    assert result.scene.same_as(wanted.scene) and result.initial.same_as(wanted.initial)
    snapshots, expected = result.history.snapshots, wanted.history.snapshots
    assert [(type(one), one.step) for one in snapshots] == [(type(one), one.step) for one in expected]
    assert all(a.scene.same_as(b.scene) for a, b in zip(snapshots, expected, strict=True))
    assert without_clock(result) == without_clock(wanted)


def without_clock(result):
    curve = [point._replace(seconds=0) for point in result.history.curve]
    return replace(result.metrics, fit_seconds=0, total_seconds=0), curve


# --- in this process: after any part ---

SLOW = [*((name, "jax") for name in CONFIGS), ("plain", "torch"), ("weights", "torch")]
# 0: between the first seeding and the first step, when the fit draws rounded rows; 1: where a stop rule ends the run.
QUICK = [
    ("plain", "jax", [0.0]), ("plain", "jax", [0.3, 0.02, 0.5]), ("target-psnr", "jax", [1.0]),
    ("alpha", "torch", [0.0]), ("alpha", "torch", [0.3, 0.02, 0.5]),
    ("reduced", "jax", [0.3, 0.6, 0.8]), ("reduced, with patience", "torch", [0.4, 0.3, 0.5]),
]  # fmt: skip


def assert_pieces_make_a_whole(name, renderer, shares, folder):
    wanted, count = whole(name, renderer)
    assert wanted.reason == next((rule for rule in ("patience", "target-psnr") if rule in name), "finished")
    assert_same(in_pieces(name, renderer, [round(share * count) for share in shares], folder), wanted)


@pytest.mark.parametrize(("name", "renderer", "shares"), QUICK)
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path, name, renderer, shares):
    assert_pieces_make_a_whole(name, renderer, shares, tmp_path)


@pytest.mark.parametrize("name", ["plain", "patience"])
def test_joined_and_single_steps_give_the_same_run(monkeypatch, name):
    alone, _ = whole(name, "jax")
    monkeypatch.setattr("artpipe.pipeline.running.plan.TOGETHER_SECONDS", 1.0)
    config, ends = CONFIGS[name], []
    run = open_run(target_of(name), config)
    call = lambda: ends.append(run.step)  # noqa: E731
    assert_same(carry_out(run, plan_of(config), config, [], time.perf_counter(), between=call), alone)
    assert len(ends) < alone.metrics.steps / 2


@pytest.mark.slow
@pytest.mark.parametrize(("name", "renderer"), SLOW)
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(shares=[0.0] * 6)
@example(shares=[1.0, 0.0])
@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_a_run_resumed_anywhere_ends_as_an_uninterrupted_one(tmp_path, name, renderer, shares):
    assert_pieces_make_a_whole(name, renderer, shares, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_a_run_can_be_resumed_after_any_of_its_parts(tmp_path, renderer):
    wanted, count = whole("plain", renderer)
    assert count > 60
    for parts in range(renderer == "jax", count, 2):  # odd parts with one renderer, even with the other
        assert_same(in_pieces("plain", renderer, [parts], tmp_path), wanted)


# --- processes ---

WORDS = ("--size", 64, "--max", 48, "--growth", 12, "--steps", 3000, "--no-export", "-q")
KILLS = effort(3)  # for each renderer


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "hills.png"
    save_png(waves(), path)
    return path


@pytest.fixture(scope="module", params=FITTING_RENDERERS)
def uninterrupted(request, picture, tmp_path_factory):
    """A renderer, the command line of a run with it, and the folder of the finished run."""
    words = ("run", picture, *WORDS, "--renderer", request.param)
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = finished(*words, "-o", folder)
    assert done.returncode == 0, done.stderr
    return request.param, words, folder


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_run_that_is_killed_repeatedly_ends_as_an_uninterrupted_one(uninterrupted, tmp_path):
    """At any moment: during import, a step, or the writing of a checkpoint."""
    renderer, words, whole_folder = uninterrupted
    rng = random.Random(f"kills of {renderer}")
    kills, chains = 0, 0
    while kills < KILLS:
        chains += 1
        folder = tmp_path / f"run-{chains}"
        line = (*words, "-o", folder, "--checkpoint-every", 0)
        while True:
            process = started(*line)
            wait_for_some_moment(process, folder, rng)
            code, errors = ended(process, [signal.SIGKILL] if kills < KILLS else [])
            assert code in (0, -signal.SIGKILL), errors
            kills += code != 0
            if code == 0:
                break
            if (folder / "checkpoint" / "start.bin").exists():
                every = rng.choice((0, 0, 0.02)) if kills < KILLS else 5
                line = ("resume", folder, "--no-export", "--checkpoint-every", every)
        assert results(folder) == results(whole_folder)
    assert {path.name for path in tmp_path.iterdir()} == {f"run-{k + 1}" for k in range(chains)}  # no siblings


def wait_for_some_moment(process, folder, rng):
    """Waits: sometimes until before the fit, else until some steps into it."""
    if rng.random() < 0.15:
        time.sleep(rng.uniform(0.0, 1.5))
    elif "resume" in process.args:
        for line in process.stderr:
            if "resuming at step" in line or "starting from the beginning" in line:
                break
        time.sleep(rng.uniform(0.0, 0.3))
    else:
        while process.poll() is None and not (folder / "checkpoint" / "000001.bin").exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0.0, 0.2))


@pytest.mark.slow
def test_an_interrupted_run_saves_the_best_scene_and_can_be_resumed(uninterrupted, tmp_path):
    renderer, words, whole_folder = uninterrupted
    number, code = (signal.SIGINT, 130) if renderer == "jax" else (signal.SIGTERM, 143)
    folder = tmp_path / "run"
    loud = [word for word in words if word != "-q"]
    process = started(*loud, "-o", folder)
    wait_for(process, ": step ")
    exit_code, errors = ended(process, [number])
    assert exit_code == code, errors
    hints = [line for line in errors.splitlines() if "artpipe resume" in line]
    assert hints == [f"interrupted; the current scene is saved. To continue: artpipe resume {folder}"]
    assert errors.splitlines()[-1] == hints[0]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*results(whole_folder)["names"], "checkpoint"])
    result = load_result(folder)
    losses = [mean_squared_error(render(one.scene), result.target) for one in result.history.snapshots[-8:]]
    scene = load_scene(folder / "scene.json")
    assert mean_squared_error(render(scene), result.target) <= min(losses) + 1e-9
    assert 0 < scene.count <= 48 and results(folder)["metrics"]["reason"] == "interrupted"

    done = finished("resume", folder, "--no-export")
    assert done.returncode == 0 and "resuming at step" in done.stderr
    assert results(folder) == results(whole_folder)
    again = finished("resume", folder, "--no-export")
    assert again.returncode == 0 and "is finished" in again.stderr
    assert results(folder) == results(whole_folder)
