"""Results of fits and scenes, and the metrics of a run."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import artpipe
from artpipe import Canvas, History, InputError, Metrics, Result, Scene, Snapshot

SCENE = Scene.circles(Canvas(16, 12), x=[5], y=[6], radius=[4], colour=[(0.9, 0.2, 0.1)])
METRICS = Metrics(
    shapes=1, steps=20, mse=0.01, fit_seconds=0.5, total_seconds=2.0, renderer="jax", kernel="numba", device="cpu",
    reason="finished",
)  # fmt: skip
TARGET = np.full((12, 16, 3), 0.5, np.float32)


@pytest.fixture(scope="module")
def fitted():
    return artpipe.fit(TARGET, count=4, growth=2, steps=12, relocate_every=4)


def test_a_fit_returns_scene_picture_metrics_history_and_target(fitted):
    assert fitted.image is fitted.image  # drawn once
    np.testing.assert_array_equal(fitted.image, artpipe.render(fitted.scene))
    assert fitted.metrics.shapes == fitted.scene.count == 4 and fitted.metrics.steps == 12
    assert fitted.metrics.mse == pytest.approx(artpipe.mean_squared_error(fitted.image, TARGET), rel=1e-4)
    assert fitted.history.curve[-1].step == 12 and fitted.history.curve[-1].shapes == 4
    assert fitted.initial is fitted.history.snapshots[0].scene
    np.testing.assert_array_equal(fitted.target, TARGET)
    assert (fitted.reason, fitted.failure) == ("finished", None) and fitted.complete and not fitted.resumable


def test_a_scene_alone_is_a_result():
    result = Result(SCENE)
    assert result.metrics is None and result.reason == "" and result.initial is SCENE
    assert not result.complete and not result.resumable
    assert result.history.snapshots == [] and result.history.curve == []


@pytest.mark.parametrize(
    ("reason", "complete", "resumable"),
    [
        ("finished", True, False), ("seconds", True, False), ("target-psnr", True, False), ("patience", True, False),
        ("interrupted", False, True), ("out of memory. Try a smaller --size or --max", False, True),
        ("diverged: the gradient at step 3 is not finite", False, False),
    ],
)  # fmt: skip
def test_a_result_says_how_its_run_ended(reason, complete, resumable):
    result = Result(SCENE, metrics=replace(METRICS, reason=reason))
    assert (result.complete, result.resumable) == (complete, resumable)


def test_snapshots_of_one_s_own_make_a_film(tmp_path):
    history = History(snapshots=[Snapshot(10, Scene.empty(SCENE.canvas)), Snapshot(20, SCENE)])
    (path,) = artpipe.export(Result(SCENE, history), tmp_path / "a.gif", seconds=1)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("changes", [{}, {"weighted_mse": 0.02}, {"loss": -3.5}, {"mse": 0.0}])
def test_metrics_survive_json(changes):
    metrics = replace(METRICS, **changes)
    values = json.loads(json.dumps(metrics.to_json(), allow_nan=False))
    assert Metrics.from_json(values) == metrics
    assert [name for name in ("weighted_mse", "loss") if name in values] == [
        name for name in ("weighted_mse", "loss") if name in changes
    ]


def test_metrics_derive_psnr_and_seed_loss_from_the_mse():
    assert METRICS.psnr == pytest.approx(20) and METRICS.seed_loss == pytest.approx(0.04)
    assert replace(METRICS, mse=0.0).psnr is None  # an exact picture; JSON has no infinity


def test_metrics_that_lack_a_value_or_hold_an_invalid_one_are_refused_by_name():
    for name in ("shapes", "steps", "mse", "fit_seconds", "total_seconds", "device", "reason"):
        values = METRICS.to_json()
        del values[name]
        with pytest.raises(InputError, match=f"{name} is None"):
            Metrics.from_json(values)
    for value in (-1, 1.5, "2", True, math.nan, [1]):
        with pytest.raises(InputError, match="shapes is "):
            Metrics.from_json({**METRICS.to_json(), "shapes": value})
