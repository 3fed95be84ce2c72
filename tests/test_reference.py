"""The float64 reference: gradients by finite differences, and the worth of rows."""

import numpy as np
import pytest
from shapes import KIND_IDS, KINDS, column_of, made, seeded

from artpipe import Canvas, Scene, mean_squared_error
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.table import BY_CODE

# Everything lies on a grid of 1/64 and is moved by 2^-11 either way: exact in the float32 rows of a scene (at
# most 6 bits before the point, 11 behind), so that the difference quotient is one of float64 pictures.
STEP = 2.0**-11


@pytest.fixture(params=KINDS, ids=KIND_IDS)
def scene(request, rng, off_kinks):
    """Eight overlapping shapes; one is centred on a pixel centre, one leaves the canvas, one hides another."""
    (name, edge), count = request.param, 8
    canvas = Canvas(14, 11, (0.25, 0.5, 0.75), edge)
    x, y, radius = rng.uniform(0, 14, count), rng.uniform(0, 11, count), rng.uniform(1, 6, count)
    x[0], y[0] = 5.5, 4.5
    x[1] = -2.0
    x[3], y[3], radius[3] = x[2], y[2], 7.0
    rim = rng.uniform(1, 3, count)
    plain = made(lambda kind: seeded(rng, canvas, kind, x, y, radius, rim, rng.uniform(0.15, 0.95, count)), name)
    plain = plain.with_columns(colour=0.06 + 0.88 * plain.colour)
    # Moving a value by a step moves a rim by at most some times that.
    return off_kinks(plain.with_rows(np.round(plain.rows * 64) / 64), margin=8 * STEP)


@pytest.fixture
def target(scene, rng):
    return rng.uniform(0, 1, (scene.canvas.height, scene.canvas.width, 3))


def slopes(scene, loss):
    """The gradient of a loss by finite differences: by rows, (N, P), and by background, (3,)."""

    def slope(moved):
        return (loss(moved(STEP)) - loss(moved(-STEP))) / (2 * STEP)

    def with_value(step, place):
        rows = scene.rows.copy()
        rows[place] += step
        return scene.with_rows(rows)

    by_rows, background = np.zeros(scene.rows.shape), np.array(scene.canvas.background)
    for place in np.argwhere([np.arange(scene.rows.shape[1]) < BY_CODE[kind].width for kind in scene.kinds.tolist()]):
        by_rows[tuple(place)] = slope(lambda step, place=tuple(place): with_value(step, place))
    units = np.eye(3)
    return by_rows, [slope(lambda step, unit=unit: scene.with_background(background + step * unit)) for unit in units]


def assert_slopes(got, want):
    # A central difference is off by STEP²/6 times the third derivative, which within a rim 1 px wide is at most some
    # tens of times the first: 4e-8 x 50 of the largest slope.
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=4e-6 * np.abs(want).max())


def test_any_gradient_on_the_picture_is_pulled_back_to_the_slopes_by_finite_differences(scene, target):
    want = slopes(scene, lambda moved: np.sum(target * reference.render(moved)))
    for got, slope in zip(reference.gradient(scene, target), want, strict=True):
        assert_slopes(got, slope)


def test_the_gradient_of_the_weighted_loss_is_its_slope_by_finite_differences(scene, target, rng):
    weights = rng.uniform(0, 1, target.shape[:2])
    loss, *gradients = reference.loss_and_gradient(scene, target, weights)

    def loss_of(moved):
        return mean_squared_error(reference.render(moved), target, weights)

    assert loss == loss_of(scene)
    for got, slope in zip(gradients, slopes(scene, loss_of), strict=True):
        assert_slopes(got, slope)
    plain, ones = (reference.loss_and_gradient(scene, target, w) for w in (None, np.ones(target.shape[:2])))
    for got, want in zip(plain, ones, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-18)


def test_the_weighted_loss_is_the_mean_over_pixels_repeated_by_weight(rng):
    image, target = rng.uniform(0, 1, (2, 1, 3, 3))
    repeated = [0, 0, 0, 2]  # weights 3, 0, 1
    expected = np.mean((image[:, repeated] - target[:, repeated]) ** 2)
    assert mean_squared_error(image, target, np.array([[3, 0, 1]])) == pytest.approx(expected, rel=1e-12)


def test_worth_is_what_the_loss_rises_by_when_a_row_is_left_out(scene, target, rng):
    weights = rng.uniform(0, 1, target.shape[:2])
    whole = mean_squared_error(reference.render(scene), target, weights)
    for i, worth in enumerate(reference.worth(scene, target, weights)):
        rest = Scene(np.delete(scene.rows, i, axis=0), scene.canvas, kinds=np.delete(scene.kinds, i))
        left = mean_squared_error(reference.render(rest), target, weights)
        assert worth == pytest.approx(left - whole, rel=1e-9, abs=1e-15)


def test_worth_is_nothing_for_what_is_not_seen_and_negative_for_what_harms():
    canvas = Canvas(4, 4, (0, 0, 0))
    scene = Scene.circles(
        canvas, x=[2] * 4, y=[2] * 4, radius=[20, 20, 20, 0.5], opacity=[1, 1, 1, 1],
        colour=[[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]],  # hidden, hidden, seen, harmful
    )  # fmt: skip
    target = np.broadcast_to([1.0, 0.0, 0.0], (4, 4, 3))
    worth = reference.worth(scene, target)
    assert not worth[:3].any()  # the row beneath the third is just as red
    assert worth[3] < 0
    assert reference.worth(scene.select([0, 2]), target)[1] == pytest.approx(2 / 3)  # red to green everywhere


def test_on_the_flat_of_a_linear_disc_only_colour_opacity_and_background_have_a_gradient():
    scene = Scene.circles(Canvas(3, 3), x=[1.5], y=[1.5], radius=[9], colour=[[0.2, 0.3, 0.4]], opacity=[0.25])
    by_rows, by_background = reference.gradient(scene, np.ones((3, 3, 3)))
    expected = dict.fromkeys(("red", "green", "blue"), 9 * 0.25) | {"opacity": 9 * (0.2 + 0.3 + 0.4 - 3)}
    for name in ("red", "green", "blue", "opacity", "softness", "x", "y", "radius"):
        np.testing.assert_allclose(column_of(by_rows, name), expected.get(name, 0), rtol=1e-6)
    np.testing.assert_allclose(by_background, 9 * 0.75)
