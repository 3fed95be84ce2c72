"""Pictures with transparency: drawn, compared and fitted."""

from dataclasses import replace

import numpy as np
import pytest
from backends import FITS, slowly
from shapes import column_of

import artpipe
from artpipe import Canvas, FitSettings, InputError, Rates, Result, Scene, load_renderer
from artpipe.renderers import alpha
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.stages.base import Run
from artpipe.stages.grow import Grow
from artpipe.stages.relocate import Relocate

BACKENDS = {"cpu": ("cpu", None), **FITS}
SIZE = (32, 24)
BLACK, GREY, WHITE = (0.0,) * 3, (0.5,) * 3, (1.0,) * 3
MAGENTA = (1.0, 0.0, 1.0)


def on_nothing(scene):
    """The scene on a transparent canvas."""
    return replace(scene, canvas=replace(scene.canvas, transparent=True))


def cut_out(width, height, rng):
    """A target with a soft round rim, a hole with a hard one, and noise; (H, W, 4) float32."""
    across, down = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    distance = np.hypot(across - width / 2, down - height / 2)
    target = np.empty((height, width, 4), np.float32)
    target[:, :, :3] = rng.uniform(0, 0.2, (height, width, 3)) + np.linspace(0, 0.8, width)[None, :, None]
    target[:, :, 3] = np.clip((0.45 * height - distance) / 4, 0, 1) * (distance > 0.1 * height)
    return target


def reference_loss(scene, target):
    """The mean of the float64 losses over black and over white."""
    over = [reference.render(scene.with_background(b)) - alpha.flattened(target, b) for b in (BLACK, WHITE)]
    return np.mean(np.square(over))


@pytest.fixture
def target():
    return cut_out(*SIZE, np.random.default_rng(1))


@pytest.fixture
def start(make_scene):
    return on_nothing(make_scene(np.random.default_rng(2), 10, *SIZE, radius=(2, 9), opacity=(0.3, 0.9)))


# --- drawing ---


@pytest.mark.parametrize("backend", ["reference", *slowly(BACKENDS)])
def test_every_renderer_gives_colours_and_alpha_that_make_the_scene_over_any_background(
    make_scene, picture_tolerance, backend
):
    renderer = load_renderer("reference") if backend == "reference" else load_renderer(*BACKENDS[backend])
    for edge in FALLOFFS:
        scene = on_nothing(make_scene(np.random.default_rng(5), 20, *SIZE, edge, radius=(1, 8)))
        picture = alpha.render_with_alpha(renderer, scene)
        assert picture.shape == (*SIZE[::-1], 4)
        assert picture.dtype == (np.float64 if backend == "reference" else np.float32)
        assert picture.min() >= 0 and picture.max() <= 1 and 0 < (picture[:, :, 3] < 0.01).mean() < 1
        seen = picture[:, :, 3] >= alpha.ALPHA_MIN  # fainter colours are left out
        # float32 sums, and 1e-4, at which tiles may stop
        tolerance = 1e-12 if backend == "reference" else 4 * picture_tolerance(scene) + 2e-4
        for background in (MAGENTA, (0.25, 0.875, 0.5)):
            got, want = alpha.flattened(picture, background), reference.render(scene.with_background(background))
            np.testing.assert_allclose(got[seen], want[seen], rtol=0, atol=tolerance)
            np.testing.assert_allclose(got, want, rtol=0, atol=tolerance + alpha.ALPHA_MIN)


def test_where_nothing_is_painted_there_is_no_colour_and_no_alpha():
    scene = Scene.circles(Canvas(9, 4, transparent=True), x=[1], y=[1], radius=[0.5], colour=[WHITE], opacity=[1])
    picture = alpha.picture_of(scene)
    assert (picture[:, 4:] == 0).all() and picture[0, 0, 3] > 0
    assert (alpha.picture_of(Scene.empty(scene.canvas)) == 0).all()
    faint = Scene.circles(scene.canvas, x=[4], y=[2], radius=[9], colour=[WHITE], opacity=[alpha.ALPHA_MIN / 2])
    assert (alpha.picture_of(faint)[:, :, :3] == 0).all()


@pytest.mark.parametrize("transparent", [False, True])
def test_bands_one_below_the_other_are_the_picture(make_scene, transparent):
    scene = make_scene(np.random.default_rng(3), 20, 40, 50)
    scene = on_nothing(scene) if transparent else scene
    for rows_each in (1, 17, 100):
        parts = list(alpha.picture_bands(scene, rows_each))
        np.testing.assert_allclose(np.concatenate(parts), alpha.picture_of(scene), rtol=0, atol=2e-5)
        assert len(parts) == -(-50 // rows_each)
    if not transparent:
        np.testing.assert_array_equal(alpha.picture_of(scene), artpipe.render(scene))
        np.testing.assert_array_equal(alpha.comparable(scene), artpipe.render(scene))
    else:
        over_white = alpha.comparable(scene)[:, 40:]
        np.testing.assert_array_equal(over_white, artpipe.render(scene.with_background(WHITE)))


# --- comparing ---


def test_an_error_is_the_mean_over_black_and_white_and_zero_for_the_picture_itself(start, target):
    assert alpha.picture_error(start, target) == pytest.approx(reference_loss(start, target), rel=1e-5)
    assert alpha.picture_error(start, alpha.picture_of(start)) < 1e-10
    opaque = alpha.flattened(target, GREY)
    want = artpipe.mean_squared_error(reference.render(start), opaque)
    assert alpha.picture_error(start, opaque) == pytest.approx(want, rel=1e-5)


# --- fitting ---


def open_fit(backend, target, scene, **settings):
    name, options = BACKENDS[backend]
    fit = load_renderer(name, options).fit(target, scene.canvas, FitSettings(**settings))
    fit.put(scene)
    return fit


@pytest.mark.parametrize("backend", slowly(FITS))
def test_a_fit_minimises_the_mean_loss_over_both_backdrops(start, target, backend):
    # With an epsilon far above all gradients, Adam's step is as long as the gradient is.
    epsilon, scale = 1e3, 1e4
    fit = open_fit(backend, target, start, beta1=0.0, beta2=0.0, epsilon=epsilon)
    over = [(start.with_background(b), alpha.flattened(target, b)) for b in (BLACK, WHITE)]
    losses, gradients, _ = zip(*(reference.loss_and_gradient(*one) for one in over), strict=True)
    want, by_rows = np.mean(losses), np.mean(gradients, axis=0)
    assert fit.loss() == pytest.approx(want, rel=1e-5)
    worths = np.mean([reference.worth(*one) for one in over], axis=0)
    np.testing.assert_allclose(fit.worth(), worths, rtol=0, atol=1e-6)
    flat = alpha.flattened(target, start.canvas.background)
    np.testing.assert_allclose(fit.residual(), reference.render(start) - flat, rtol=0, atol=1e-5)
    assert fit.step([scale]) == pytest.approx(want, rel=1e-5)
    for names, rate in (("x", "y"), Rates().position), (("red", "green", "blue"), Rates().colour):
        for name in names:
            moved = fit.scene().column(name) - start.column(name)
            np.testing.assert_allclose(moved, -rate * scale / epsilon * column_of(by_rows, name), rtol=1e-3, atol=3e-6)
            assert np.abs(moved).max() > 1e-4


def absolute(image, target):
    return abs(image - target).mean()


@pytest.mark.parametrize("backend", slowly(FITS))
def test_a_custom_loss_is_evaluated_over_both(start, target, backend):
    fit = open_fit(backend, target, start, loss=absolute)

    def want():
        scene = fit.scene()
        over = [reference.render(scene.with_background(b)) - alpha.flattened(target, b) for b in (BLACK, WHITE)]
        return float(np.abs(over).mean())

    before = want()
    assert fit.loss() == pytest.approx(before, rel=1e-5)
    assert fit.step() == pytest.approx(before, rel=1e-5)
    fit.step([1.0] * 15)
    assert want() < 0.9 * before


def test_the_background_of_a_transparent_canvas_does_not_change_the_fit(start, target):
    ends = []
    for background in (MAGENTA, WHITE):
        fit = open_fit("torch numba", target, start.with_background(background))
        fit.step([1.0] * 5)
        ends.append(fit.scene().rows)
    np.testing.assert_array_equal(*ends)


def test_alpha_out_of_range_is_refused_in_one_line(start, target):
    for value in (-0.01, 1.01, np.nan):
        target[3, 4, 3] = value
        with pytest.raises(InputError, match="alpha") as caught:
            open_fit("torch numba", target, start)
        assert "\n" not in str(caught.value)


# --- runs ---


def grown(target, count=40, **options):
    run = Run(target, load_renderer("torch"), **options)
    for event in Grow(count, 10, 60)(run):
        run.history.see(event, 0.0)
    return run


def test_a_run_paints_the_picture_and_leaves_the_rest_bare(target):
    run = grown(target)
    assert run.canvas.transparent and run.scene.canvas.transparent
    picture = alpha.picture_of(run.scene)
    bare, full = target[:, :, 3] == 0, target[:, :, 3] == 1
    assert picture[bare, 3].mean() < 0.15 and picture[full, 3].mean() > 0.9
    for background in (BLACK, MAGENTA):
        error = artpipe.render(run.scene.with_background(background)) - alpha.flattened(target, background)
        assert artpipe.psnr(float(np.mean(error**2))) > 20
    assert run.mean_squared_error(run.scene) == pytest.approx(reference_loss(run.scene, target), rel=1e-4)
    assert run.mean_squared_error(run.scene) < 0.1 * run.mean_squared_error(Scene.empty(run.canvas))
    list(Relocate(0.5)(run))
    assert run.scene.count == 40 and run.scene.canvas == run.canvas


def test_newcomers_are_sought_where_the_target_shows(target):
    target[:, : SIZE[0] // 2, 3] = 0
    run = grown(target, count=10)
    x = run.scene.column("x")
    assert (x > SIZE[0] // 2 - run.scene.column("radius")).all()
    assert (x > SIZE[0] // 2 - 2).mean() >= 0.9


def test_the_background_is_the_mean_colour_of_what_shows(target):
    target[:] = (1, 0, 0, 0)
    target[:5, :, :] = (0, 0.5, 1, 1)
    target[5:7, :, :] = (0, 0.5, 0, 0.5)
    run = Run(target, load_renderer("torch"))
    np.testing.assert_allclose(run.canvas.background, (0, 0.5, 5 / 6), atol=1e-6)
    assert Run(target, load_renderer("torch"), background=MAGENTA).canvas.background == MAGENTA


def test_a_picture_that_is_transparent_all_over_can_be_painted():
    run = grown(np.zeros((8, 9, 4), np.float32), count=3)
    assert run.scene.count == 3 and np.isfinite(run.mean_squared_error(run.scene))
    assert run.canvas.background == WHITE


def test_targets_of_another_shape_are_refused(start, target):
    for shape in ((4, 4, 2), (4, 4), (0, 4, 4)):
        with pytest.raises(InputError, match=r"\(H, W, 4\)"):
            Run(np.zeros(shape, np.float32), load_renderer("torch"))
    assert Result(start, target=target).target is target
    with pytest.raises(InputError, match="target has shape"):
        Result(start, target=target[:-1])
