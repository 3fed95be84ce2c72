"""Growth and search on a reduced canvas: what a run shows, saves and reports is at full size."""

from dataclasses import replace

import numpy as np
import pytest
from run_processes import waves

import artpipe
from artpipe import Canvas, FitSettings, Scene, load_renderer
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.kernels import reference
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.base import Run
from artpipe.stages.events import Progress, Snapshot
from artpipe.stages.grow import Grow
from artpipe.stages.levels import Level, reduced
from artpipe.stages.refine import Settle
from artpipe.stages.relocate import Search

WAVES = waves()[:45, :62]  # of sides that no reduction below divides
OPTIONS = {"count": 24, "growth": 10, "steps": 90, "relocate_every": 12, "reduction": 3}


def with_alpha(picture):
    height, width = picture.shape[:2]
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return np.dstack([picture, np.clip(3 - 3 * np.hypot(across, down), 0, 1)]).astype(np.float32)


def fitted(picture=WAVES, **options):
    """The result of a run on a reduced canvas, and its events."""
    events = []
    return artpipe.fit(picture, on_event=events.append, **{**OPTIONS, **options}), events


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (WAVES, {}),
        (WAVES, {"renderer": "torch", "focus": ((0.3, 0.4, 0.2),), "shape": "ellipse,stroke,triangle,circle"}),
        (WAVES, {"loss": "l1", "reduction": 2, "shape": "triangle"}),
        (with_alpha(WAVES), {"shape": "ellipse"}),
        (WAVES, {"hard": True, "shape": "stroke", "reduction": 64}),
    ],
    ids=["plain", "mixed and weighted", "loss", "alpha", "hard"],
)
def test_every_scene_that_a_run_shows_is_on_the_full_canvas_with_its_own_error(picture, options):
    result, events = fitted(picture, **options)
    assert result.scene.count == 24 and result.metrics.steps == 90
    scenes = [event.scene for event in events if isinstance(event, Snapshot)]
    assert len(scenes) > 5
    assert {(scene.canvas.width, scene.canvas.height) for scene in (result.scene, *scenes)} == {(62, 45)}
    if picture.shape[2] == 3:
        assert result.metrics.mse == pytest.approx(np.mean((reference.render(result.scene) - picture) ** 2), rel=1e-3)
    if options.get("hard"):
        assert all((scene.softness <= 0.5).all() for scene in scenes)
        np.testing.assert_array_equal(result.scene.softness, np.float32(0.5))


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_the_reported_error_is_that_of_the_full_canvas_from_the_first_step_on(renderer):
    run = Run(WAVES, load_renderer(renderer))
    for event in Grow(12, 6, 30, reduction=3)(run):
        if isinstance(event, Progress):
            drawn = reference.render(run.showable())
            assert event.mse == pytest.approx(np.mean((drawn - WAVES) ** 2), rel=1e-3)
            assert event.loss < event.mse
    assert run.reduction == 3 and (run.scene.canvas.width, run.scene.canvas.height) == (21, 15)


def test_a_scene_keeps_its_ids_shapes_and_steps_as_the_canvas_changes():
    run = Run(WAVES, load_renderer("jax"))
    list(Grow(12, 6, 30, reduction=4)(run))
    before, shown, step = run.scene, run.showable(), run.step
    run.rescale(1)
    assert run.step == step == 30
    np.testing.assert_array_equal(run.scene.ids, before.ids)
    assert run.scene.same_as(shown)
    np.testing.assert_allclose(run.scene.centres(), 4 * before.centres(), rtol=1e-5)
    np.testing.assert_allclose(run.scene.thickness(), 4 * before.thickness(), rtol=1e-5)
    run.rescale(4)
    np.testing.assert_allclose(run.scene.rows, before.rows, rtol=1e-5, atol=1e-5)


def test_an_enlarged_scene_looks_the_same():
    rng = np.random.default_rng(0)
    target = rng.uniform(0, 1, (44, 60, 3)).astype(np.float32)
    canvas = Canvas(60, 44, (0.2, 0.4, 0.6))
    full, small = (Level(target, canvas, load_renderer("torch"), FitSettings(), factor) for factor in (1, 4))
    scene = Scene.circles(
        small.canvas, x=rng.uniform(0, 15, 9), y=rng.uniform(0, 11, 9), radius=3, softness=1.5, opacity=0.8,
        colour=rng.uniform(0, 1, (9, 3)),
    )  # fmt: skip
    enlarged = full.adapted(scene, small.reduction)
    assert enlarged.canvas == canvas
    means = reference.render(enlarged).reshape(11, 4, 15, 4, 3).mean(axis=(1, 3))
    assert np.abs(means - reference.render(scene)).mean() < 0.005


def test_a_reduced_picture_holds_the_means_of_its_blocks():
    picture = with_alpha(WAVES)
    small = reduced(picture[:, :, :3], 4)
    assert small.shape == (12, 16, 3) and small.dtype == np.float32
    for line, column in ((0, 0), (5, 7), (11, 3), (2, 15), (11, 15)):
        block = picture[4 * line : 4 * line + 4, 4 * column : 4 * column + 4]
        np.testing.assert_allclose(small[line, column], block[:, :, :3].mean(axis=(0, 1)), rtol=1e-5)
        alpha = block[:, :, 3].mean()
        found = reduced(picture, 4)[line, column]
        assert found[3] == pytest.approx(alpha, rel=1e-5, abs=1e-7)
        np.testing.assert_allclose(
            found[:3] * found[3], (block[:, :, :3] * block[:, :, 3:]).mean(axis=(0, 1)), rtol=1e-4, atol=1e-6
        )


def test_a_search_on_a_reduced_canvas_is_nearly_as_good_where_shapes_are_large():
    full, small = (artpipe.fit(WAVES, count=12, steps=240, reduction=factor).metrics.mse for factor in (1, 2))
    assert small < 1.15 * full


def test_the_settling_sharpens_rims_beyond_what_the_reduced_canvas_allows():
    picture = np.zeros((48, 64, 3), np.float32)
    picture[10:38, 20:44] = 1
    run = Run(picture, load_renderer("jax"))
    list(Grow(6, 6, 60, reduction=4)(run))
    least = 4 * run.settings.softness_min
    assert run.showable().softness.min() >= least * (1 - 1e-5)
    list(Settle(150)(run))
    assert run.scene.softness.min() < 0.9 * least


@pytest.mark.parametrize(
    ("rule", "reason"),
    [({"target_psnr": 17.0}, "target-psnr"), ({"patience": 30}, "patience"), ({"seconds": 0.4}, "seconds")],
)
def test_a_stop_rule_ends_a_run_at_full_size(rule, reason):
    result, events = fitted(**{"steps": 4000, **rule})
    assert result.reason == reason and result.metrics.steps < 4000
    assert (result.scene.canvas.width, result.scene.canvas.height) == (62, 45) and result.scene.count <= 24
    if reason == "patience":
        assert [event.stage for event in events if isinstance(event, Progress)][-1] == "settle"
    if reason == "target-psnr":
        assert result.metrics.psnr >= 17


def test_a_run_without_settling_steps_ends_at_full_size():
    for steps in (0, 1, 3):
        result, _ = fitted(steps=steps)
        assert result.scene.count == 24 and result.scene.canvas.width == 62


def test_a_large_canvas_is_reduced_as_far_as_its_shapes_allow():
    plain = RunConfig()
    for count, sides, reduction in [
        (2048, (256, 256), None), (16, (512, 512), None),  # up to 512 pixels, nothing changes
        (2048, (1024, 1024), 2), (5000, (768, 512), None), (20_000, (1024, 1024), None), (100, (1024, 700), 4),
        (2048, (4096, 4096), 9), (1, (8192, 8192), 32),
    ]:  # fmt: skip
        assert replace(plain, count=count).fitted(*sides).reduction == reduction
    assert replace(plain, reduction=1).fitted(4096, 4096).reduction == 1
    stages = replace(plain, reduction=2).plan()
    assert [stage.reduction for stage in stages] == [2, 2, 1] and isinstance(stages[1], Search)


def test_a_function_as_a_loss_sees_the_full_canvas_only():
    shapes = set()

    def loss(image, target):
        shapes.add(image.shape)
        return ((image - target) ** 2).mean()

    picture = np.full((600, 540, 3), 0.3, np.float32)
    artpipe.fit(picture, count=2, steps=4, loss=loss)
    assert shapes == {(600, 540, 3)}


def test_batches_grow_with_the_number_of_shapes():
    for count, growth in ((2048, 256), (300, 256), (20_000, 2500)):
        assert RunConfig(count=count).plan()[0].growth == growth
    assert RunConfig(count=20_000, growth=256).plan()[0].growth == 256
