"""Pictures with transparency: how they are drawn, fitted, placed on, and told apart from opaque ones."""

from dataclasses import replace

import numpy as np
import pytest
from backends import FITS, slowly
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import column_of

import artpipe
from artpipe import Canvas, FitSettings, InputError, Rates, Result, Scene, load_renderer
from artpipe.renderers import alpha
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.base import PAINT
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


def over_nothing(scene):
    """(H, W, 4) float64: the rows by the over operator on colours times alpha, straight at the end."""
    across, down = np.arange(scene.canvas.width)[None, :] + 0.5, np.arange(scene.canvas.height)[:, None] + 0.5
    painted = np.zeros((scene.canvas.height, scene.canvas.width, 4))
    names = ("x", "y", "radius", "opacity", "softness")
    columns = zip(*(scene.column(name).astype(np.float64) for name in names), scene.colour, strict=True)
    for x, y, radius, opacity, softness, colour in columns:
        distance = np.hypot(across - x, down - y) - radius
        a = opacity * FALLOFFS[scene.canvas.edge].coverage(np, distance, softness, radius)
        painted = (1 - a[:, :, None]) * painted + a[:, :, None] * np.append(colour.astype(np.float64), 1.0)
    seen = painted[:, :, 3:] >= alpha.ALPHA_MIN
    painted[:, :, :3] = np.where(seen, painted[:, :, :3] / np.where(seen, painted[:, :, 3:], 1), 0)
    return painted


def cut_out(width, height, rng):
    """A target with a soft round rim, a hole with a hard one, and noise; (H, W, 4) float32."""
    across, down = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    distance = np.hypot(across - width / 2, down - height / 2)
    target = np.empty((height, width, 4), np.float32)
    target[:, :, :3] = rng.uniform(0, 0.2, (height, width, 3)) + np.linspace(0, 0.8, width)[None, :, None]
    target[:, :, 3] = np.clip((0.45 * height - distance) / 4, 0, 1) * (distance > 0.1 * height)
    return target


def loss_and_gradient(renderer, scene, target, weights=None):
    """`Renderer.loss_and_gradient` for a target with or without alpha: the loss and its gradient by rows, (N, P)."""
    found = [
        renderer.loss_and_gradient(replace(scene, canvas=backdrop.under(scene.canvas)), backdrop.target, weights)
        for backdrop in alpha.backdrops(target, scene.canvas)
    ]
    return sum(loss for loss, _, _ in found) / len(found), np.mean([by_rows for _, by_rows, _ in found], axis=0)


def reference_loss(scene, target, weights=None):
    """The mean of the float64 losses over black and over white."""
    return np.mean(
        [
            artpipe.mean_squared_error(reference.render(scene.with_background(b)), alpha.flattened(target, b), weights)
            for b in (BLACK, WHITE)
        ]
    )


@pytest.fixture
def target():
    return cut_out(*SIZE, np.random.default_rng(1))


@pytest.fixture
def start(make_scene):
    return on_nothing(make_scene(np.random.default_rng(2), 10, *SIZE, radius=(2, 9), opacity=(0.3, 0.9)))


# --- drawing ---


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_every_renderer_tells_colours_and_alpha(make_scene, picture_tolerance, backend, edge):
    scene = on_nothing(make_scene(np.random.default_rng(5), 20, *SIZE, edge, radius=(1, 8)))
    want = over_nothing(scene)
    renderer = load_renderer("reference") if backend == "reference" else load_renderer(*BACKENDS[backend])
    got = alpha.render_with_alpha(renderer, scene)
    assert got.shape == (*SIZE[::-1], 4) and got.dtype == (np.float64 if backend == "reference" else np.float32)
    tolerance = 1e-12 if backend == "reference" else 2 * picture_tolerance(scene) + 1e-4  # at which tiles may stop
    np.testing.assert_allclose(got[:, :, 3], want[:, :, 3], rtol=0, atol=tolerance)
    # Straight colours are quotients: as sure as their alpha is large.
    np.testing.assert_allclose(
        got[:, :, :3] * want[:, :, 3:], want[:, :, :3] * want[:, :, 3:], rtol=0, atol=2 * tolerance
    )
    assert 0 < (want[:, :, 3] < 0.01).mean() < 1


def test_where_nothing_is_painted_there_is_no_colour_and_no_alpha():
    scene = Scene.circles(Canvas(9, 4, transparent=True), x=[1], y=[1], radius=[0.5], colour=[WHITE], opacity=[1])
    picture = alpha.picture_of(scene)
    assert (picture[:, 4:] == 0).all() and picture[0, 0, 3] > 0
    assert (alpha.picture_of(Scene.empty(scene.canvas)) == 0).all()
    faint = Scene.circles(scene.canvas, x=[4], y=[2], radius=[9], colour=[WHITE], opacity=[alpha.ALPHA_MIN / 2])
    assert (alpha.picture_of(faint)[:, :, :3] == 0).all()


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.tuples(*[st.floats(0, 1)] * 3))
def test_laid_over_any_colour_it_is_the_scene_on_that_background(make_scene, seed, background):
    scene = on_nothing(make_scene(np.random.default_rng(seed), 12, 20, 17, radius=(1, 8)))
    flat = alpha.flattened(alpha.picture_of(scene), background)
    # Colour is left out where alpha is less than half a level of 8 bits.
    np.testing.assert_allclose(flat, reference.render(scene.with_background(background)), rtol=0, atol=alpha.ALPHA_MIN)


@pytest.mark.parametrize("rows_each", [1, 17, 100])
@pytest.mark.parametrize("transparent", [False, True])
def test_bands_one_below_the_other_are_the_picture(make_scene, rows_each, transparent):
    scene = make_scene(np.random.default_rng(3), 20, 40, 50)
    scene = on_nothing(scene) if transparent else scene
    parts = list(alpha.picture_bands(scene, rows_each))
    np.testing.assert_allclose(np.concatenate(parts), alpha.picture_of(scene), rtol=0, atol=2e-5)
    assert len(parts) == -(-50 // rows_each)


def test_on_an_opaque_canvas_the_picture_is_the_renderers(make_scene):
    scene = make_scene(np.random.default_rng(4), 9, *SIZE)
    np.testing.assert_array_equal(alpha.picture_of(scene), artpipe.render(scene))
    np.testing.assert_array_equal(alpha.comparable(scene), artpipe.render(scene))
    over_both = alpha.comparable(on_nothing(scene))
    np.testing.assert_array_equal(over_both[:, SIZE[0] :], artpipe.render(scene.with_background(WHITE)))


# --- comparing ---


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.tuples(*[st.floats(0, 1)] * 3))
def test_over_any_background_the_error_is_at_most_its_share_of_both(make_scene, seed, background):
    rng = np.random.default_rng(seed)
    scene, target = make_scene(rng, 5, 12, 10, radius=(1, 6)), cut_out(12, 10, rng).astype(np.float64)
    background = scene.with_background(background).canvas.background  # which is rounded to float32
    black, seen, white = (
        (reference.render(scene.with_background(b)) - alpha.flattened(target, b)) ** 2
        for b in (BLACK, background, WHITE)
    )
    shares = np.array(background)
    assert (seen <= (1 - shares) * black + shares * white + 1e-9).all()


def test_an_error_is_the_mean_over_black_and_white_and_zero_for_the_picture_itself(start, target):
    assert alpha.picture_error(start, target) == pytest.approx(reference_loss(start, target), rel=1e-5)
    assert alpha.picture_error(start, alpha.picture_of(start)) < 1e-10
    opaque = alpha.flattened(target, GREY)
    want = artpipe.mean_squared_error(reference.render(start), opaque)
    assert alpha.picture_error(start, opaque) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("backend", slowly(BACKENDS))
def test_every_renderer_has_the_references_gradient_over_both(
    assert_gradients_agree, gradient_units, start, target, backend
):
    weights = np.random.default_rng(0).uniform(0.1, 1, SIZE[::-1])
    loss, by_rows = loss_and_gradient(load_renderer(*BACKENDS[backend]), start, target, weights)
    want_loss, want = loss_and_gradient(load_renderer("reference"), start, target, weights)
    assert loss == pytest.approx(want_loss, rel=1e-5)
    units = gradient_units(start, np.full((*SIZE[::-1], 3), 1 / (3 * SIZE[0] * SIZE[1])))
    assert_gradients_agree(by_rows, want, units, 2e-4, floor=1e-6)


def test_the_references_gradient_is_that_of_finite_differences(make_scene, target):
    # The logistic edge has no kinks, across which a difference would step.
    start = on_nothing(make_scene(np.random.default_rng(2), 10, *SIZE, "logistic", radius=(2, 9), opacity=(0.3, 0.9)))
    loss, by_rows = loss_and_gradient(load_renderer("reference"), start, target)
    assert loss == pytest.approx(reference_loss(start, target), rel=1e-12)
    rng = np.random.default_rng(6)
    for _ in range(5):
        direction = rng.normal(size=start.rows.shape) * 2.0**-10
        for k, column in enumerate(PAINT):
            if column.high == 1:  # colours and opacity stay inside
                held = start.column(column.name)
                direction[:, k] *= np.minimum(1, np.minimum(held, 1 - held) * 50)
        ahead, behind = (start.with_rows(start.rows + sign * direction) for sign in (1, -1))
        moved = (ahead.rows.astype(np.float64) - behind.rows) / 2  # as float32 rounded it
        change = (reference_loss(ahead, target) - reference_loss(behind, target)) / 2
        assert change == pytest.approx(float(np.sum(by_rows * moved)), rel=1e-3, abs=1e-9)


# --- fitting ---


def open_fit(backend, target, scene, **settings):
    name, options = BACKENDS[backend]
    fit = load_renderer(name, options).fit(target, scene.canvas, FitSettings(**settings))
    fit.put(scene)
    return fit


@pytest.mark.parametrize("backend", slowly(FITS))
def test_a_fit_answers_for_both_backdrops_and_goes_down_the_gradient(start, target, backend):
    # With an epsilon far above all gradients, Adam's step is as long as the gradient is.
    epsilon, scale = 1e3, 1e4
    fit = open_fit(backend, target, start, beta1=0.0, beta2=0.0, epsilon=epsilon)
    want, by_rows = loss_and_gradient(load_renderer("reference"), start, target)
    assert fit.loss() == pytest.approx(want, rel=1e-5)
    worths = [reference.worth(start.with_background(b), alpha.flattened(target, b)) for b in (BLACK, WHITE)]
    np.testing.assert_allclose(fit.worth(), np.mean(worths, axis=0), rtol=0, atol=1e-6)
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
def test_a_loss_of_ones_own_is_asked_over_both(start, target, backend):
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
        fit = open_fit("jax numba", target, start.with_background(background))
        fit.step([1.0] * 5)
        ends.append(fit.scene().rows)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan])
def test_alpha_out_of_range_is_refused_in_one_line(start, target, value):
    target[3, 4, 3] = value
    with pytest.raises(InputError, match="alpha") as caught:
        open_fit("jax numba", target, start)
    assert "\n" not in str(caught.value)


# --- runs ---


def grown(target, count=40, **options):
    run = Run(target, load_renderer("jax"), **options)
    for event in Grow(count, 10, 60)(run):
        run.history.see(event, 0.0)
    return run


def test_a_run_paints_the_picture_and_leaves_the_rest_bare(target):
    run = grown(target)
    assert run.canvas.transparent and run.scene.canvas.transparent
    picture = alpha.picture_of(run.scene)
    bare, full = target[:, :, 3] == 0, target[:, :, 3] == 1
    assert picture[bare, 3].mean() < 0.15 and picture[full, 3].mean() > 0.9
    for background in (BLACK, WHITE, MAGENTA):
        error = artpipe.render(run.scene.with_background(background)) - alpha.flattened(target, background)
        assert artpipe.psnr(float(np.mean(error**2))) > 20
    assert run.mean_squared_error(run.scene) == pytest.approx(reference_loss(run.scene, target), rel=1e-4)
    assert run.mean_squared_error(run.scene) < 0.1 * run.mean_squared_error(Scene.empty(run.canvas))


def test_the_same_seed_gives_the_same_scene(target):
    assert grown(target, seed=3).scene.same_as(grown(target, seed=3).scene)


def test_relocation_leaves_a_scene_on_the_same_canvas(target):
    run = grown(target)
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
    run = Run(target, load_renderer("jax"))
    np.testing.assert_allclose(run.canvas.background, (0, 0.5, 5 / 6), atol=1e-6)
    assert Run(target, load_renderer("jax"), background=MAGENTA).canvas.background == MAGENTA


def test_a_picture_that_is_transparent_all_over_can_be_painted():
    run = grown(np.zeros((8, 9, 4), np.float32), count=3)
    assert run.scene.count == 3 and np.isfinite(run.mean_squared_error(run.scene))
    assert run.canvas.background == WHITE


@pytest.mark.parametrize("shape", [(4, 4, 2), (4, 4, 5), (4, 4), (0, 4, 4)])
def test_targets_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"\(H, W, 4\)"):
        Run(np.zeros(shape, np.float32), load_renderer("jax"))


def test_a_record_takes_a_target_with_alpha_of_the_scenes_size(start, target):
    assert Result(start, target=target).target is target
    with pytest.raises(InputError, match="target has shape"):
        Result(start, target=target[:-1])
