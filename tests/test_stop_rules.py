"""Stop rules: after so many seconds, at a likeness, out of patience; whichever comes first."""

import json
import re
import time

import numpy as np
import pytest
from cliffs import loss_with_a_cliff
from command_line import run_cli, succeeded
from run_processes import waves

import artpipe
from artpipe import InputError, RendererOptions, load_fitting_renderer, mean_squared_error, psnr
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.observers import Forward
from artpipe.pipeline.running.plan import Plan
from artpipe.pipeline.running.runner import carry_out, open_run
from artpipe.pipeline.running.stopping import Stopping
from artpipe.renderers import FitSettings
from artpipe.stages.base import Run
from artpipe.stages.events import Progress
from artpipe.stages.grow import Grow
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.relocate import Search
from artpipe.stages.seed import Seed

SMALL = {"count": 8, "growth": 4, "size": "16x12"}
STEPS = 3000  # that none of the runs below should come to


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A few flat fields, which few circles are good at and no more steps get any better."""
    path = tmp_path_factory.mktemp("picture") / "fields.png"
    fields = np.full((24, 32, 3), 0.5, np.float32)
    fields[:, 16:] = (0.2, 0.6, 0.3)
    save_png(fields, path)
    return path


def fitted(picture, **options):
    """The result of a run, and the stages that it told of."""
    events = []
    result = artpipe.fit(picture, **SMALL, steps=STEPS, on_event=events.append, **options)
    return result, [event.stage for event in events if isinstance(event, Progress)]


@pytest.mark.parametrize("focus", [(), ((0.2, 0.5, 0.2),)], ids=["", "weighted"])
def test_a_run_ends_at_the_likeness_asked_for(picture, focus):
    result, _ = fitted(picture, target_psnr=24.0, focus=focus)
    assert result.metrics.reason == "target-psnr" and result.metrics.steps < STEPS
    assert result.metrics.psnr >= 24
    saved = psnr(mean_squared_error(result.image, load_picture(picture, (16, 12))))
    assert saved == pytest.approx(result.metrics.psnr, abs=1e-3) and saved >= 24 - 1e-3


def test_a_run_that_is_out_of_patience_settles_and_ends(picture):
    result, stages = fitted(picture, patience=50)
    assert result.metrics.reason == "patience" and result.metrics.steps < STEPS
    assert stages[-1] == "settle" and stages[0] == "grow"
    patient, _ = fitted(picture, patience=150)
    assert result.metrics.steps < patient.metrics.steps
    assert result.scene.count <= 8


def test_the_rule_that_is_met_first_ends_the_run(picture):
    alone, _ = fitted(picture, target_psnr=24.0)
    both, _ = fitted(picture, target_psnr=24.0, patience=2900, seconds=1e6)
    assert both.metrics.reason == "target-psnr" and both.scene.same_as(alone.scene)
    impatient, _ = fitted(picture, target_psnr=199.0, patience=100)
    assert impatient.metrics.reason == "patience"


def test_rules_that_are_never_met_change_nothing(picture):
    plain = artpipe.fit(picture, **SMALL, steps=60)
    ruled = artpipe.fit(picture, **SMALL, steps=60, seconds=1e6, target_psnr=200.0, patience=10_000)
    assert ruled.metrics.reason == plain.metrics.reason == "finished"
    assert ruled.scene.same_as(plain.scene)


def test_a_run_ends_within_its_seconds(picture):
    result, _ = fitted(picture, seconds=0.02)
    assert result.metrics.reason == "seconds" and result.metrics.steps < STEPS
    assert 0 < result.scene.count <= 8


@pytest.mark.slow
def test_a_run_that_seconds_end_is_settled():
    """The search is cut short for it, and what is left of the seconds makes the picture better."""
    target = waves()
    config, events = RunConfig(count=48), []
    stages = [Grow(60, 20, 60), Search(1_000_000, 48, 30, 0.5), Settle(1_000_000)]
    plan = Plan(stages, Stopping(seconds=4.0))
    result = carry_out(open_run(target, config), plan, config, [Forward(events.append)], time.perf_counter())
    assert result.reason == "seconds" and result.scene.count == 48
    told = [event for event in events if isinstance(event, Progress)]
    settling = [event for event in told if event.stage == "settle"]
    assert told[-1] is settling[-1] and {event.shapes for event in settling} == {48}
    # A busy machine may leave it few steps: then it is told of once, and as good as it was.
    assert result.metrics.mse <= settling[0].mse * 1.1


# --- the command line ---

WORDS = ("--max", 8, "--growth", 4, "--size", "16x12", "--no-export")


def test_the_reason_is_told_in_the_last_line_and_in_the_metrics_and_the_rules_are_kept(picture, tmp_path):
    folder = tmp_path / "run"
    rules = ("--target-psnr", 24, "--patience", 2900, "--seconds", 900)
    result = succeeded("run", picture, "-o", folder, *WORDS, "--steps", STEPS, *rules)
    assert ", ended by --target-psnr 24" in result.stdout
    assert json.loads((folder / "metrics.json").read_text())["reason"] == "target-psnr"
    config = load_config(folder / "run.json")
    assert (config.target_psnr, config.patience, config.seconds) == (24, 2900, 900)
    again = tmp_path / "again"
    succeeded("run", picture, "-o", again, "--no-export", "--config", folder / "run.json")
    assert (again / "scene.json").read_bytes() == (folder / "scene.json").read_bytes()
    plain = succeeded("run", picture, "-o", tmp_path / "plain", *WORDS, "--steps", 6)
    assert "ended by" not in plain.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--seconds", 0), ("--seconds", -1), ("--seconds", "soon"), ("--target-psnr", -1), ("--target-psnr", "good"),
        ("--patience", 0), ("--patience", 1.5), ("--patience", -3), ("--checkpoint-every", -1),
        ("--seconds", "nan"), ("--seconds", 1e9), ("--target-psnr", "nan"), ("--target-psnr", 201),
        ("--patience", 10**8),
    ],
    ids=str,
)  # fmt: skip
def test_what_no_rule_can_be_is_a_usage_error(picture, tmp_path, words):
    result = run_cli("run", picture, "-o", tmp_path / "run", *words)
    assert result.exit_code == 2 and words[0] in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"seconds": 0}, {"target_psnr": True}, {"patience": 2.5}, {"patience": "5"}, {"seconds": 1e9}], ids=str
)
def test_python_refuses_them_too(picture, options):
    with pytest.raises(InputError, match=next(iter(options))):
        artpipe.fit(picture, **options)


# --- a fit that leaves the finite numbers ---


@pytest.mark.parametrize("renderer", ["jax", "torch"])
def test_a_run_that_diverges_ends_with_the_last_good_scene_and_says_where(renderer):
    cliff = loss_with_a_cliff(renderer, 0.02)
    target = np.zeros((12, 16, 3), np.float32)
    target[:, :8] = 1
    run = Run(target, load_fitting_renderer(renderer, RendererOptions()), settings=FitSettings(loss=cliff), most=8)
    config = RunConfig(count=8, renderer=renderer)
    result = carry_out(run, Plan([Seed(8), Refine(500)]), config, [], time.perf_counter())
    assert not result.complete
    step = int(re.match(r"diverged: the gradient at step (\d+) is not finite", result.reason)[1])
    assert step == result.metrics.steps + 1 <= 500
    assert "position=0.75" in result.reason and "smaller learning rates" in result.reason
    scene = result.scene
    assert scene.count == 8 and np.isfinite(scene.rows).all()
    assert result.metrics.mse <= mean_squared_error(artpipe.render(run.history.snapshots[0].scene), target)


def test_no_options_of_the_command_line_make_a_run_diverge(picture, tmp_path):
    rates = [
        word for name in ("position", "radius", "colour", "opacity", "softness") for word in (f"--rate-{name}", 1000)
    ]
    succeeded("run", picture, "-o", tmp_path / "run", *WORDS, "--steps", 60, *rates)
    assert np.isfinite(artpipe.load_scene(tmp_path / "run" / "scene.json").rows).all()
