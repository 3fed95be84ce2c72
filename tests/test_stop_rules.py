"""Stop rules: seconds, target PSNR, patience; the first that is met ends the run."""

import json
import re
import time

import numpy as np
import pytest
from cliffs import loss_with_a_cliff
from command_line import run_cli, succeeded

import artpipe
from artpipe import InputError, RendererOptions, load_fitting_renderer, mean_squared_error, psnr
from artpipe.pipeline.folders.rundir import load_config
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.plan import Plan
from artpipe.pipeline.running.runner import carry_out
from artpipe.renderers import FitSettings
from artpipe.stages.base import Run
from artpipe.stages.events import Progress
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.refine import Refine
from artpipe.stages.seed import Seed

SMALL = {"count": 8, "growth": 4, "size": "16x12"}
STEPS = 3000  # more than any run below needs


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """Two flat fields, which few circles approximate well and more steps do not improve."""
    path = tmp_path_factory.mktemp("picture") / "fields.png"
    fields = np.full((24, 32, 3), 0.5, np.float32)
    fields[:, 16:] = (0.2, 0.6, 0.3)
    save_png(fields, path)
    return path


def fitted(picture, **options):
    """The result of a run, and the stages of its events."""
    events = []
    result = artpipe.fit(picture, **SMALL, steps=STEPS, on_event=events.append, **options)
    return result, [event.stage for event in events if isinstance(event, Progress)]


@pytest.mark.parametrize("focus", [(), ((0.2, 0.5, 0.2),)], ids=["", "weighted"])
def test_a_run_ends_at_its_target_psnr(picture, focus):
    result, _ = fitted(picture, target_psnr=24.0, focus=focus)
    assert result.metrics.reason == "target-psnr" and result.metrics.steps < STEPS
    assert result.metrics.psnr >= 24
    saved = psnr(mean_squared_error(result.image, load_picture(picture, (16, 12))))
    assert saved == pytest.approx(result.metrics.psnr, abs=1e-3) and saved >= 24 - 1e-3


def test_a_run_that_is_out_of_patience_settles_and_ends(picture):
    result, stages = fitted(picture, patience=50)
    assert result.metrics.reason == "patience" and result.metrics.steps < STEPS
    assert stages[-1] == "settle" and stages[0] == "grow"
    assert result.scene.count <= 8


def test_the_first_rule_that_is_met_ends_the_run(picture):
    alone, _ = fitted(picture, target_psnr=24.0)
    both, _ = fitted(picture, target_psnr=24.0, patience=2900, seconds=1e6)
    assert both.metrics.reason == "target-psnr" and both.scene.same_as(alone.scene)
    brief, _ = fitted(picture, seconds=0.02, target_psnr=199.0)
    assert brief.metrics.reason == "seconds" and brief.metrics.steps < STEPS and 0 < brief.scene.count <= 8


# --- the command line ---

WORDS = ("--max", 8, "--growth", 4, "--size", "16x12", "--no-export")


def test_the_reason_is_printed_and_recorded_and_the_rules_are_saved(picture, tmp_path):
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


def test_invalid_rules_are_refused(picture, tmp_path):
    for name, values in {
        "--seconds": (0, -1, "soon", "nan", 1e9), "--target-psnr": (-1, "good", "nan", 201),
        "--patience": (0, 1.5, -3, 10**8), "--checkpoint-every": (-1,),
    }.items():  # fmt: skip
        for value in values:
            result = run_cli("run", picture, "-o", tmp_path / "run", name, value)
            assert result.exit_code == 2 and name in result.stderr
    assert list(tmp_path.iterdir()) == []
    for name, value in (("seconds", 0), ("target_psnr", True), ("patience", 2.5), ("patience", "5"), ("seconds", 1e9)):
        with pytest.raises(InputError, match=name):
            artpipe.fit(picture, **{name: value})


# --- divergence ---


@pytest.mark.parametrize("renderer", ["jax", "torch"])
def test_a_diverged_run_ends_with_the_last_good_scene_and_names_the_step(renderer):
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


def test_the_largest_learning_rates_do_not_make_a_run_diverge(picture, tmp_path):
    rates = [
        word for name in ("position", "radius", "colour", "opacity", "softness") for word in (f"--rate-{name}", 1000)
    ]
    succeeded("run", picture, "-o", tmp_path / "run", *WORDS, "--steps", 60, *rates)
    assert np.isfinite(artpipe.load_scene(tmp_path / "run" / "scene.json").rows).all()
