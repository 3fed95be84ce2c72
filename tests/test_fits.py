"""Fits of both frameworks, on the compiled kernel and on dense operations: steps and optimiser state."""

import threading

import numpy as np
import pytest
from backends import COMPILED, FITS, slowly
from shapes import MIXED, crowd, made, wild

from artpipe import (
    Canvas,
    FitSettings,
    InputError,
    Rates,
    Scene,
    load_renderer,
    mean_squared_error,
    render,
)
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.base import PAINT
from artpipe.renderers.primitives.table import BY_CODE, PRIMITIVES

SIZE = (32, 24)


def jax_absolute(image, target):
    import jax.numpy as jnp

    return jnp.mean(jnp.abs(image - target))


def torch_absolute(image, target):
    return (image - target).abs().mean()


ABSOLUTE = {"jax": jax_absolute, "torch": torch_absolute}


@pytest.fixture(params=FITS)
def backend(request):
    return request.param


@pytest.fixture
def target(make_scene):
    return reference.render(make_scene(np.random.default_rng(1), 12, *SIZE, radius=(3, 12))).astype(np.float32)


@pytest.fixture
def start(make_scene):
    return make_scene(np.random.default_rng(2), 10, *SIZE, radius=(2, 9), opacity=(0.3, 0.9))


def open_fit(backend, target, scene, **settings):
    name, options = FITS[backend]
    fit = load_renderer(name, options).fit(target, scene.canvas, FitSettings(**settings))
    fit.put(scene)
    return fit


def test_a_step_returns_the_loss_before_it_and_lowers_it(backend, target, start):
    fit = open_fit(backend, target, start)
    before = mean_squared_error(reference.render(start), target)
    assert fit.loss() == pytest.approx(before, rel=1e-5)
    assert fit.step() == pytest.approx(before, rel=1e-5)
    fit.step([1.0] * 20)
    assert fit.loss() < 0.8 * before
    assert fit.loss() == pytest.approx(mean_squared_error(reference.render(fit.scene()), target), rel=1e-5)


@pytest.mark.parametrize("backend", slowly(), indirect=True)
def test_residual_and_worth_are_those_of_the_current_or_the_given_scene(backend, target, start):
    fit = open_fit(backend, target, start)
    fit.step([1.0] * 5)
    np.testing.assert_allclose(fit.residual(), reference.render(fit.scene()) - target, rtol=0, atol=1e-5)
    part = fit.scene().select(np.arange(start.count // 2))
    for scene in (part, None, part, None):
        expected = reference.worth(scene or fit.scene(), target)
        np.testing.assert_allclose(fit.worth(scene), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        fit.step()
    assert fit.scene().ids.tolist() == start.ids.tolist()


TILED = [name for name in FITS if name != COMPILED]


@pytest.mark.parametrize("backends", [TILED, pytest.param([TILED[0], COMPILED], marks=pytest.mark.slow)])
@pytest.mark.parametrize(("primitive", "edge"), [("circle", "logistic"), (MIXED, "linear")])
def test_every_fit_ends_at_the_same_loss(make_scene, target, primitive, edge, backends):
    start = make_scene(np.random.default_rng(3), 10, *SIZE, edge, primitive, radius=(2, 9), opacity=(0.3, 0.9))
    losses = []
    for backend in backends:
        fit = open_fit(backend, target, start)
        fit.step([1.0] * 50)
        losses.append(fit.loss())
    assert losses[0] < 0.5 * mean_squared_error(reference.render(start), target)
    # Roundings grow from step to step, most where a gradient is near 0, since Adam divides by it.
    np.testing.assert_allclose(losses, losses[0], rtol=2e-3)


@pytest.mark.parametrize("backend", TILED, indirect=True)
def test_a_fit_of_any_shape_lowers_the_loss_within_the_limits(backend, target):
    start = made(lambda name: wild(np.random.default_rng(4), Canvas(*SIZE), name, 16, 1.0), MIXED)
    fit = open_fit(backend, target, start, softness_min=0.25)
    before = fit.loss()
    fit.step([1.0] * 30)
    assert fit.loss() < 0.9 * before
    assert_within_limits(fit.scene(), 0.25)
    reckless = Rates(position=40, radius=1.5, colour=0.7, opacity=5, softness=1.5)
    far = start.with_columns(softness=np.geomspace(900, 0.002, 16), opacity=np.linspace(0, 1, 16))
    fit = open_fit(backend, target, far, rates=reckless, softness_min=0.25)
    for _ in range(10):
        fit.step()
        assert_within_limits(fit.scene(), 0.25)


def assert_within_limits(scene, softness_min):
    """Fails unless every column is within the limits of a fit, up to float32 rounding of logarithms."""
    for code in np.unique(scene.kinds):
        part = scene.select(scene.kinds == code)
        for column in (*PAINT, *BY_CODE[int(code)].columns):
            low, high = column.limits(
                scene.canvas.width, scene.canvas.height, FitSettings(softness_min=softness_min).look
            )
            values = part.column(column.name).astype(float)
            assert values.min() >= low - 2e-6 * abs(low), column.name
            assert values.max() <= high + 2e-6 * abs(high), column.name
        assert part.thickness().min() > 0.49 or BY_CODE[int(code)].name == "triangle"


@pytest.mark.parametrize("backend", TILED, indirect=True)
def test_a_restored_fit_continues_bit_for_bit(backend, target):
    start = crowd(np.random.default_rng(6), 12, *SIZE, primitive=MIXED, radius=(2, 9), opacity=(0.3, 0.9))
    fit = open_fit(backend, target, start)
    fit.step([1.0] * 7)
    fit.put(fit.scene().select(np.arange(2, 12)))
    fit.step([1.0] * 3)
    state, other = fit.state(), open_fit(backend, target, Scene.empty(start.canvas))
    other.restore(state)
    assert other.scene().same_as(fit.scene()) and other.step_count == fit.step_count == 10
    assert other.step([0.5] * 9) == fit.step([0.5] * 9)
    assert other.scene().same_as(fit.scene())
    for got, want in zip(other.state().slates, fit.state().slates, strict=True):
        assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("backend", TILED, indirect=True)
def test_rows_of_other_primitives_and_another_order_change_nothing(backend, target):
    """The rows are wider meanwhile; known rows keep their optimiser state."""
    start = Scene.circles(  # two circles that share no pixel, so that their order does not matter
        Canvas(*SIZE), x=[7, 24], y=[12, 11], radius=[3, 4], colour=[[0.9, 0.2, 0.1], [0.1, 0.3, 0.8]]
    )
    plain, joined = (open_fit(backend, target, start) for _ in range(2))
    for fit in (plain, joined):
        fit.step([1.0] * 5)
    for name in PRIMITIVES:
        unseen = crowd(np.random.default_rng(8), 3, *SIZE, primitive=name, radius=(0.5, 1)).moved(-900, 0)
        joined.put(joined.scene().append(unseen.rows, unseen.kinds))
        order = np.argsort(joined.scene().ids)[1::-1]
        joined.put(joined.scene().select(order))
        assert joined.scene().ids.tolist() == [1, 0] and joined.scene().rows.shape == plain.scene().rows.shape
        assert joined.step([1.0] * 2) == pytest.approx(plain.step([1.0] * 2), rel=1e-5)
        np.testing.assert_allclose(joined.scene().rows[::-1], plain.scene().rows, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", slowly(), indirect=True)
def test_a_custom_loss_is_lowered(backend, target, start):
    fit = open_fit(backend, target, start, loss=ABSOLUTE[backend.split()[0]])
    before = np.abs(reference.render(start) - target).mean()
    assert fit.step() == pytest.approx(before, rel=1e-5)
    fit.step([1.0] * 20)
    after = np.abs(reference.render(fit.scene()) - target).mean()
    assert after < 0.8 * before
    assert fit.loss() == pytest.approx(after, rel=1e-5)


@pytest.mark.parametrize("backend", slowly(), indirect=True)
def test_weights_pull_the_fit_to_the_pixels_that_count(backend):
    # One grey circle over a black and a white half: the weights decide its colour.
    target = np.zeros((24, 32, 3), np.float32)
    target[:, 16:] = 1
    cover = Scene.circles(Canvas(*SIZE), x=[16], y=[12], radius=[16], softness=[32], colour=[[0.5] * 3], opacity=[0.9])
    ends = []
    for column in (0, 31):
        weights = np.full((24, 32), 0.01)
        weights[:, column] = 10
        fit = open_fit(backend, target, cover, weights=weights, rates=Rates(position=0, radius=0, softness=0))
        fit.step([1.0] * 10)
        ends.append(fit.scene().colour.mean())
    assert ends[0] < 0.5 < ends[1]


def test_joined_steps_and_putting_back_the_scene_change_no_bit(backend, target, start):
    fit, other = (open_fit(backend, target, start) for _ in range(2))
    loss = fit.step([1.0] * 10)
    for _ in range(10):
        last = other.step()
        other.put(other.scene())
    assert loss == last
    assert fit.scene().same_as(other.scene())


def test_a_scene_is_unchanged_until_a_step_with_a_scale_above_0(backend, target, start):
    fit = open_fit(backend, target, start)
    assert fit.scene().same_as(start)
    assert np.isnan(fit.step([]))  # no step, no loss
    assert fit.scene().same_as(start)
    fit.step([0] * 5)
    # Rows are converted to logarithms and back in float32.
    np.testing.assert_allclose(fit.scene().rows, start.rows, rtol=2e-6, atol=0)


def test_rows_keep_their_optimiser_state_when_others_are_added_and_removed(backend, target, start):
    plain, busy, forgetful = (open_fit(backend, target, start) for _ in range(3))
    mine = start.ids.tolist()
    for fit in (plain, busy, forgetful):
        fit.step([1.0] * 6)
    unseen = start.select(np.arange(5)).with_columns(x=-7, y=-7, radius=2, softness=0.5)
    busy.put(busy.scene().append(unseen.rows))
    busy.step([1.0] * 3)
    grown = busy.scene()
    busy.put(grown.select([10, 11, *range(10), 14]))  # fewer, in another order
    busy.step([1.0] * 3)
    busy.put(busy.scene().select(np.isin(busy.scene().ids, mine)))
    busy.step([1.0] * 3)
    plain.step([1.0] * 9)
    forgetful.put(Scene(forgetful.scene().rows, start.canvas, ids=start.ids + 100))  # new ids, so no state
    forgetful.step([1.0] * 9)
    moved = np.abs(plain.scene().rows - start.rows).max()
    assert busy.scene().ids.tolist() == mine
    np.testing.assert_allclose(busy.scene().rows, plain.scene().rows, rtol=1e-5, atol=1e-5)
    assert np.abs(forgetful.scene().rows - plain.scene().rows).max() > 0.05 * moved


def test_the_first_step_of_a_new_row_is_as_long_as_its_rate(backend, target, start):
    rates = Rates(position=0.25, radius=0.03, colour=0.02, opacity=0.1, softness=0.04)
    fit = open_fit(backend, target, start, rates=rates)
    fit.step([1.0] * 10)
    new_row = start.select([0]).with_columns(
        x=14, y=11, colour=[0.5, 0.4, 0.6], opacity=0.7, softness=2, radius=6
    )  # fmt: skip
    fit.put(fit.scene().append(new_row.rows))
    fit.step()
    after = fit.scene().select([fit.scene().count - 1])
    # Adam's first step is the rate times the gradient's sign, along the logarithm of lengths and the logit of opacity.
    logit = lambda share: np.log(share / (1 - share))  # noqa: E731
    for name, rate, of in (
        ("x", 0.25, float), ("y", 0.25, float), ("radius", 0.03, np.log), ("softness", 0.04, np.log),
        *((name, 0.02, float) for name in ("red", "green", "blue")), ("opacity", 0.1, logit),
    ):  # fmt: skip
        moved = of(float(after.column(name)[0])) - of(float(new_row.column(name)[0]))
        assert abs(moved) == pytest.approx(rate, rel=1e-4), name


def test_an_empty_scene_can_be_fitted_and_filled(backend, target, start):
    fit = open_fit(backend, target, Scene.empty(start.canvas))
    background = mean_squared_error(render(Scene.empty(start.canvas), "reference"), target)
    assert fit.loss() == pytest.approx(background, rel=1e-5)
    assert fit.worth().shape == (0,)
    assert fit.step() == pytest.approx(background, rel=1e-5)
    assert fit.scene().count == 0
    fit.put(fit.scene().append(start.rows))
    fit.step([1.0] * 5)
    assert fit.scene().count == start.count


def test_a_fit_takes_another_background_but_no_other_size_or_edge(backend, target, start):
    fit = open_fit(backend, target, start)
    fit.step([1.0] * 2)
    dark = fit.scene().with_background((0.0, 0.0, 0.0))
    fit.put(dark)
    expected = mean_squared_error(reference.render(dark), target)
    assert fit.loss() == pytest.approx(expected, rel=1e-5)
    assert fit.step() == pytest.approx(expected, rel=1e-5)
    for weights, shape in ((np.ones((3, 3)), (24, 32, 3)), (-np.ones((24, 32)), (24, 32, 3)), (None, (24, 31, 3))):
        with pytest.raises(InputError, match=r"weights|target"):
            open_fit(backend, np.zeros(shape), start, weights=weights)
    for canvas in (Canvas(33, 24), Canvas(32, 25), Canvas(32, 24, edge="logistic")):
        with pytest.raises(InputError, match="Open another fit"):
            fit.put(Scene.empty(canvas))


def test_fits_in_several_threads_restore_pytorchs_thread_count(target, start):
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    first_inside, second_inside, first_done = (threading.Event() for _ in range(3))
    counts = []

    def stepping(inside, until):
        def loss(image, target):
            inside.set()
            assert until.wait(timeout=30)
            counts.append(torch.get_num_threads())
            return torch_absolute(image, target)

        return threading.Thread(target=lambda: open_fit("torch numba", target, start, loss=loss).step())

    # The first to begin a step is the first to end it.
    first, second = stepping(first_inside, second_inside), stepping(second_inside, first_done)
    another = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    try:
        torch.set_num_threads(3)
        first.start()
        assert first_inside.wait(timeout=30)
        second.start()
        first.join(timeout=60)
        first_done.set()
        second.join(timeout=60)
        another.start()
        another.join()
        assert counts == [1, 1, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
