"""Runs with a limit of seconds: the plan has the steps that fit at any pace, and ends settled."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from command_line import succeeded
from run_processes import waves

from artpipe.pipeline.folders.checkpoints import Keeper, Start, restore
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.observers import Forward
from artpipe.pipeline.running.plan import Plan, plan_of
from artpipe.pipeline.running.runner import carry_out, open_run
from artpipe.stages.events import Grew, Progress, Relocated
from artpipe.stages.pictures.picture import save_png

pytestmark = pytest.mark.usefixtures("steps_alone")

ACROSS, DOWN = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 20))
TARGET = np.stack([ACROSS, DOWN, 0.5 + 0.5 * np.sin(9 * ACROSS * DOWN)], axis=2).astype(np.float32)
CONFIG = RunConfig(growth=4, count=8, seed=3, seconds=0.6)
STEP = 0.001  # seconds of an optimiser step by a steady clock


class Clock:
    """A clock that advances with each reading, so that a step takes the same time on any machine.

    Args:
        tick: seconds of a reading, as a function of the time.
    """

    def __init__(self, tick=lambda now: STEP):
        self.now = 0.0
        self.tick = tick

    def perf_counter(self):
        self.now += self.tick(self.now)
        return self.now


CLOCKS = {
    "steady": lambda now: STEP,
    "ever slower": lambda now: STEP * (1 + now),
    "ever faster": lambda now: STEP * (4 - 3 * min(1.0, now)),
    "five times slower": lambda now: STEP * (5 if now > 0.3 else 1),
    "five times faster": lambda now: STEP * (1 if now > 0.3 else 5),
    "sometimes stopping": lambda now: 0.04 if int(now / STEP) % 97 == 0 else STEP,
    "slow": lambda now: 10 * STEP,
}


@pytest.fixture
def clock(monkeypatch):
    return lambda tick=CLOCKS["steady"]: monkeypatch.setattr("artpipe.pipeline.running.plan.time", Clock(tick))


def carried_out(config, target=TARGET, between=None):
    """The result of a run by the patched clock, its plan, and its events."""
    events = []
    run, plan = open_run(target, config), plan_of(config)
    call = between and (lambda: between(run, plan))
    return carry_out(run, plan, config, [Forward(events.append)], 0.0, between=call), plan, events


def steps_of(stage, events):
    return sum(1 for _ in filter(lambda event: isinstance(event, Progress) and event.stage == stage, events))


@pytest.mark.parametrize(
    ("preset", "tick"), [*(("draft", tick) for tick in CLOCKS), ("balanced", "slow"), ("best", "ever slower")]
)
def test_a_run_takes_its_seconds_and_ends_settled_at_any_pace(clock, preset, tick):
    clock(CLOCKS[tick])
    result, plan, events = carried_out(replace(CONFIG, preset=preset, steps=100_000))
    assert result.reason == "seconds" and result.scene.count == 8
    assert 0.85 < result.metrics.fit_seconds / CONFIG.seconds < 1.15
    assert next(event for event in events if isinstance(event, Progress)).stage == "grow"
    if plan.stage < len(plan.stages):
        assert plan.settles and plan.stages[-1].progress(result.metrics.steps - plan.begun) > 0.85


def test_settling_under_a_costlier_loss_ends_settled_within_the_seconds(clock):
    plan, events = plan_of(replace(CONFIG, preset="draft", steps=100_000)), []
    plan = Plan([*plan.stages[:-1], replace(plan.stages[-1], loss="ssim")], plan.stopping)
    clock(lambda now: STEP * (20 if plan.settles else 1))
    run = open_run(TARGET, CONFIG, settle_losses=["ssim"])
    run.step_seconds[:] = [20 * STEP]
    result = carry_out(run, plan, CONFIG, [Forward(events.append)], 0.0)
    assert 0.8 < result.metrics.fit_seconds / CONFIG.seconds < 1.2
    searched = max(event.step for event in events if isinstance(event, Progress) and event.stage == "search")
    assert 10 <= result.metrics.steps - searched <= 20  # half of the seconds
    if plan.stage < len(plan.stages):
        assert plan.settles and plan.stages[-1].progress(result.metrics.steps - plan.begun) > 0.8


def test_settling_on_a_larger_canvas_ends_settled_within_the_seconds(clock):
    config, events = replace(CONFIG, reduction=3, preset="draft", steps=100_000), []
    plan = plan_of(config)
    clock(lambda now: STEP * (6 if plan.settles else 1))
    run = open_run(TARGET, config)
    result = carry_out(run, plan, config, [Forward(events.append)], 0.0)
    assert run.reduction == 1
    assert 0.8 < result.metrics.fit_seconds / CONFIG.seconds < 1.2
    searched = max(event.step for event in events if isinstance(event, Progress) and event.stage == "search")
    assert 20 <= result.metrics.steps - searched <= 70  # a fifth to half of the seconds
    if plan.stage < len(plan.stages):
        assert plan.settles and plan.stages[-1].progress(result.metrics.steps - plan.begun) > 0.8


def test_the_relocated_share_falls_to_0_and_the_pool_shrinks_in_time(clock):
    clock()
    _, _, events = carried_out(RunConfig(growth=20, count=40, seed=3, seconds=1.2, preset="best"))
    relocated = [event for event in events if isinstance(event, Relocated)]
    assert len(relocated) > 15
    assert relocated[0].added == 25 and relocated[-1].added <= 2  # half of the pool at first
    pools = [event.kept + event.added for event in relocated]
    assert pools[0] == 50 and pools[-1] == 40 and pools == sorted(pools, reverse=True)
    falling = [event.added for event in relocated]
    assert all(later <= earlier + 1 for earlier, later in pairwise(falling))


def test_a_plan_by_seconds_is_as_good_as_the_plan_of_the_same_steps(clock):
    config = RunConfig(growth=16, count=48, preset="best", seconds=0.3)
    clock()
    timed = carried_out(config, waves())[0].metrics
    planned = carried_out(replace(config, seconds=None, steps=timed.steps), waves())[0].metrics
    assert timed.psnr > planned.psnr - 1.0  # from seed to seed, 48 circles differ by more than half a decibel


def test_steps_that_are_reached_first_end_the_run_as_without_a_clock(clock):
    for steps in (0, 1, 90):
        clock()
        config = replace(CONFIG, steps=steps)
        timed = carried_out(replace(config, seconds=100.0))[0]
        plain = carried_out(replace(config, seconds=None))[0]
        assert timed.reason == "finished" and timed.metrics.steps == steps
        assert timed.scene.same_as(plain.scene)


# Options of runs with seconds, and the ticks of an irregular clock.
IRREGULAR = [
    (
        {"seconds": 0.3, "growth": 1, "count": 12, "pool": 3.0, "relocate_every": 2, "relocate_fraction": 1.0},
        (0.02, 0.002),
    ),
    ({"growth": 30, "count": 1, "relocate_fraction": 0.0}, (0.001,)),
    ({"seconds": 0.001, "preset": "best"}, (0.02,)),
    ({"seconds": 0.02, "growth": 7, "count": 19, "pool": 1.0}, (0.0005, 0.003)),
    ({"steps": 40, "relocate_every": 60, "preset": "draft"}, (0.004, 0.02, 1e-4)),
    ({"steps": 0, "seconds": 0.1, "pool": 2.7}, (0.001,)),
]


@pytest.mark.parametrize(("options", "ticks"), IRREGULAR)
def test_runs_of_any_options_end_in_time_with_all_they_may_hold_at_most(clock, options, ticks):
    clock(lambda now: ticks[int(7 * now) % len(ticks)])
    config = replace(CONFIG, **options)
    result, _, _ = carried_out(config)
    assert result.reason == "seconds" or result.metrics.steps == config.steps
    assert config.steps is None or result.metrics.steps <= config.steps
    assert 0 < result.scene.count <= config.count and result.metrics.fit_seconds < config.seconds + 0.2


def test_batches_are_larger_if_seeding_would_take_all_the_time(clock):
    clock(lambda now: 5 * STEP)
    result, _, events = carried_out(RunConfig(growth=1, count=80, seconds=0.8))
    batches = [event.added for event in events if isinstance(event, Grew)]
    assert result.scene.count == 80 and sum(batches) == 100
    assert batches[0] == 1 and max(batches) > 3
    assert steps_of("settle", events) and result.metrics.fit_seconds < 0.85


def test_patience_ends_a_run_before_its_seconds_and_settles_within_them(clock):
    clock()
    result, _, events = carried_out(replace(CONFIG, patience=40, seconds=10.0), np.full_like(TARGET, 0.5))
    assert result.reason == "patience" and result.metrics.fit_seconds < 10
    assert steps_of("settle", events)


def test_the_command_line_shows_elapsed_and_total_seconds(clock, tmp_path):
    clock()
    save_png(TARGET, tmp_path / "a.png")
    words = ("--max", 8, "--growth", 4, "--preset", "draft", "--seconds", 0.5, "--no-export")
    result = succeeded("run", tmp_path / "a.png", "-o", tmp_path / "run", *words)
    assert re.search(r"^\w+: step \d+, \d of 0\.5 s, ", result.stderr, re.MULTILINE)
    assert ", ended by --seconds 0.5" in result.stdout
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["reason"] == "seconds" and metrics["shapes"] == 8 and metrics["steps"] > 300


# --- interrupted ---


@pytest.mark.parametrize("after", [3, 60, 280])
def test_a_resumed_run_continues_with_its_plan(clock, tmp_path, after):
    clock()
    config = replace(CONFIG, relocate_every=9)
    (tmp_path / "checkpoint").mkdir()
    keeper = Keeper(tmp_path, 0, pytest.fail)
    keeper.begin(Start(config, "a.png", TARGET, None))
    kept = []

    def between(run, plan):
        if not kept and run.step >= after:
            keeper.save(run, plan)
            kept.append((run.step, list(plan.stages), plan.stage, plan.done, plan.begun, plan.seconds))

    whole, _, _ = carried_out(config, between=between)
    run, plan = open_run(TARGET, config), plan_of(config)
    plan = restore(tmp_path, run, plan, pytest.fail)
    assert [(run.step, list(plan.stages), plan.stage, plan.done, plan.begun, plan.seconds)] == kept
    result = carry_out(run, plan, config, [], 0.0)
    assert result.reason == "seconds" and result.scene.count == 8
    assert 0.85 < result.metrics.fit_seconds / CONFIG.seconds < 1.15
    assert abs(result.metrics.steps - whole.metrics.steps) < 0.1 * whole.metrics.steps
