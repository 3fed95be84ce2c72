"""Losses: the table, sums, functions of the caller's own, and growth and settling under each."""

import gc
import time
import weakref
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from backends import FITS, slowly

import artpipe
from artpipe import Canvas, FitSettings, InputError, Scene, load_fitting_renderer
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.plan import Plan
from artpipe.pipeline.running.runner import carry_out
from artpipe.pipeline.running.stopping import Stopping
from artpipe.renderers.losses.objective import objective_of
from artpipe.renderers.losses.oklab import oklab
from artpipe.renderers.losses.ssim import structural_similarity
from artpipe.renderers.losses.table import LOSSES
from artpipe.stages.base import Run
from artpipe.stages.events import Progress, Snapshot
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.seed import Seed

torch = pytest.importorskip("torch")

WIDTH, HEIGHT = 16, 12
TARGET = np.random.default_rng(3).random((HEIGHT, WIDTH, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(4).random((HEIGHT, WIDTH))
START = Scene.circles(
    Canvas(WIDTH, HEIGHT), x=[4, 11], y=[5, 7], radius=[4, 3], colour=[[0.9, 0.2, 0.1], [0.2, 0.3, 0.8]], opacity=0.7
)
ARRAYS = {"jax": jax.Array, "torch": torch.Tensor}
# Those that need nothing but numpy, JAX or PyTorch; the others have tests of their own.
OWN = [name for name, loss in LOSSES.items() if not loss.settles]
SUM = "mse+0.3*ssim"


def value_and_gradient(framework, objective, image, target, weights):
    if framework == "jax":
        arrays = [None if array is None else jnp.asarray(array, jnp.float32) for array in (image, target, weights)]
        prepared = objective.prepare(jnp, arrays[1])
        compiled = jax.jit(jax.value_and_grad(lambda own: objective.value(jnp, own, prepared, arrays[2])))
        value, gradient = compiled(arrays[0])
        return float(value), np.asarray(gradient)
    image, target, weights = (None if array is None else torch.tensor(array) for array in (image, target, weights))
    image.requires_grad_()
    value = objective.value(torch, image, objective.prepare(torch, target), weights)
    return value.item(), torch.autograd.grad(value, image)[0].numpy()


@pytest.mark.parametrize("framework", ARRAYS)
@pytest.mark.parametrize(("loss", "weighted"), [*((loss, False) for loss in OWN), (SUM, True)])
def test_values_and_gradients_agree_with_float64_and_with_finite_differences(loss, framework, weighted, rng):
    objective = objective_of(loss)
    image, target = rng.uniform(0.05, 0.95, (2, 20, 23, 3))
    weights = rng.uniform(0, 2, (20, 23)) if weighted else None
    value, gradient = value_and_gradient(framework, objective, image, target, weights)

    def exact(moved):
        return float(objective.value(np, moved, objective.prepare(np, target), weights))

    assert value == pytest.approx(exact(image), rel=1e-4)
    for _ in range(4):
        direction = rng.standard_normal(image.shape)
        slope = (exact(image + 1e-6 * direction) - exact(image - 1e-6 * direction)) / 2e-6
        assert np.sum(gradient * direction) == pytest.approx(slope, rel=2e-3, abs=1e-4 * float(np.abs(gradient).sum()))


@pytest.mark.parametrize("loss", OWN)
def test_a_loss_is_least_at_the_target_and_weights_say_where_it_counts(loss, rng):
    objective = objective_of(loss)
    target = rng.uniform(0.2, 0.8, (24, 40, 3))
    left = np.repeat([[2.0] * 20 + [0.0] * 20], 24, axis=0)
    prepared = objective.prepare(np, target)
    assert objective.value(np, target, prepared, None) == pytest.approx(0, abs=1e-12)
    assert objective.value(np, target, prepared, left) == pytest.approx(0, abs=1e-12)
    for half, counts in ((slice(0, 14), True), (slice(26, 40), False)):  # SSIM looks 5 pixels around
        image = target.copy()
        image[:, half] += 0.1
        assert objective.value(np, image, prepared, None) > 1e-4
        assert (objective.value(np, image, prepared, left) > 1e-4) == counts


def test_structural_similarity_of_flat_pictures_follows_the_formula():
    first, second = np.full((7, 3, 3), 0.5), np.full((7, 3, 3), 0.25)
    assert structural_similarity(first, second) == pytest.approx((2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4))
    assert structural_similarity(first, first) == pytest.approx(1)


def test_structural_similarity_is_symmetric_and_falls_with_noise(rng):
    target, values = rng.uniform(0, 1, (20, 30, 3)), [1.0]
    for size in (0.02, 0.1, 0.4):
        noisy = np.clip(target + rng.normal(0, size, target.shape), 0, 1)
        values.append(structural_similarity(noisy, target))
        assert structural_similarity(target, noisy) == pytest.approx(values[-1])
    assert values == sorted(values, reverse=True) and values[-1] > 0


def test_oklab_of_known_colours():
    black, white, red = oklab(np, np.array([[[0.0, 0, 0], [1, 1, 1], [1, 0, 0]]]))[0]
    np.testing.assert_allclose(black, 0, atol=1e-6)
    # The floor under the cone responses shifts lightness by half a percent.
    np.testing.assert_allclose(white, [1, 0, 0], atol=0.06)
    np.testing.assert_allclose(red[1:], [0.2249, 0.1258], rtol=0.02)


@pytest.mark.parametrize("backend", ["jax numba", "torch numba"])
@pytest.mark.parametrize("loss", [*OWN, SUM])
def test_the_local_model_predicts_small_changes_of_the_loss(loss, backend):
    fit = open_fit(backend, loss=loss, weights=WEIGHTS)
    model = fit.model(START)
    assert (model.energy >= 0).all()
    moved = START.with_columns(red=START.column("red") + np.float32([2e-3, -1e-3]), x=START.column("x") + 3e-3)
    change = fit.loss(moved) - fit.loss(START)
    here, there = (fit.model(scene).image.astype(np.float64) for scene in (START, moved))
    squares = [(np.square(image - model.target).sum(2) * model.shares).sum() for image in (here, there)]
    assert squares[1] - squares[0] == pytest.approx(change, rel=0.1)


@pytest.mark.parametrize("loss", OWN)
def test_nothing_is_to_gain_where_a_transparent_target_has_no_paint(loss):
    alpha = (np.arange(WIDTH) > 8).astype(np.float32) * np.ones((HEIGHT, 1), np.float32)
    fit = open_fit("torch numba", np.dstack([TARGET, alpha]), loss=loss)
    energy = fit.model(START).energy
    assert (energy[alpha == 0] == 0).all() and energy[alpha > 0].mean() > 0
    assert fit.worth().shape == (2,)


@pytest.mark.parametrize("loss", [name for name in OWN if name != "mse"])
def test_a_fit_ends_with_less_of_its_loss_than_one_under_another(loss):
    y, x = np.mgrid[:36, :40] / 40
    picture = np.stack([x * y, np.sin(9 * x) ** 2 * y, np.where(x > y, 0.8, 0.1)], 2).astype(np.float32)

    objective = objective_of(loss)
    prepared = objective.prepare(np, picture.astype(np.float64))

    def painted(**options):
        return [artpipe.fit(picture, count=48, steps=400, threads=1, seed=seed, **options) for seed in range(3)]

    def ends(results):
        return [float(objective.value(np, result.image.astype(np.float64), prepared, None)) for result in results]

    (own, *_), (plain, *_) = owns, plains = painted(loss=loss), painted()
    assert sum(ends(owns)) < sum(ends(plains))
    assert own.metrics.loss == pytest.approx(ends(owns)[0], rel=5e-3) and plain.metrics.loss is None
    assert own.metrics.ssim == pytest.approx(structural_similarity(own.image, picture), abs=1e-4)


@pytest.mark.parametrize("framework", ARRAYS)
def test_the_api_takes_a_function_of_the_framework(framework):
    def absolute(image, target):
        return abs(image - target).mean()

    own, named = (
        artpipe.fit(TARGET, count=6, steps=60, renderer=framework, loss=loss, threads=1) for loss in (absolute, "l1")
    )
    assert own.metrics.loss == pytest.approx(named.metrics.loss, rel=0.1)
    with pytest.raises(InputError, match=r"loss takes .*; needs a function \(image, target, weights\)"):
        artpipe.fit(TARGET, count=6, steps=60, renderer=framework, loss=absolute, edges=0.5)


@pytest.mark.parametrize("framework", ARRAYS)
def test_oklab_has_its_gradient_at_the_limits_of_colour(framework):
    image = np.broadcast_to(np.array([0, 1e-6, 1, 1 - 1e-6])[:, None, None], (4, 1, 3))
    gradient = value_and_gradient(framework, objective_of("oklab"), image, np.full(image.shape, 0.5), None)[1]
    np.testing.assert_allclose(gradient[[0, 2]], gradient[[1, 3]], rtol=0.02)


def test_structural_similarity_of_a_tall_picture_is_that_of_the_whole(rng):
    image, target = rng.uniform(0, 1, (2, 530, 7, 3))
    weights = rng.uniform(0, 2, (530, 7))
    whole = 1 - value_and_gradient("torch", objective_of("ssim"), image, target, weights)[0]
    assert structural_similarity(image, target, weights) == pytest.approx(whole, rel=1e-9)


def test_sums_are_read_with_factors_of_any_form_and_a_single_loss_needs_none():
    assert objective_of("1e+3*ssim + mse").terms == ((1000.0, "ssim"), (1.0, "mse"))
    assert objective_of("0.5*mse").is_mse and objective_of("0.5*mse+0.5*lpips").searching.is_mse
    assert RunConfig(loss="mse + 0.50*ssim").loss == "mse+0.5*ssim"


class Later:
    """An interruption from a step on."""

    def __init__(self, run, step):
        self.run, self.step = run, step

    @property
    def signal(self):
        return 2 if self.run.step >= self.step else None


def test_an_interrupted_settling_keeps_what_it_has_settled():
    run = Run(TARGET, load_fitting_renderer("torch"), most=6)
    plan = Plan([Seed(6), Refine(60), Settle(40, loss="ssim")])
    before = SimpleNamespace(see=lambda event, seconds: run.history.see(Snapshot(60, run.scene), 0.0), close=list)
    result = carry_out(run, plan, RunConfig(count=6), [before], time.perf_counter(), Later(run, 90))
    assert result.reason == "interrupted" and result.scene.same_as(run.scene)
    assert result.metrics.loss == pytest.approx(run.fit.loss(objective=objective_of("ssim")))


def test_patience_counts_anew_when_another_loss_is_minimised():
    stopping = Stopping(patience=10)
    stopping.see(Progress("search", 20, 5, 0.01, 0.01))
    assert stopping.steps_left(25) == 5
    stopping.restart(25)
    stopping.see(Progress("settle", 27, 5, 0.01, 3.0))
    assert stopping.best == 3.0 and stopping.steps_left(27) == 10


@pytest.mark.parametrize("framework", ARRAYS)
def test_a_function_that_is_not_finite_is_named_as_the_cause(framework):
    with pytest.raises(artpipe.Diverged, match=r"at step 1 is not finite.*or a loss function that is finite"):
        artpipe.fit(TARGET, count=6, steps=20, renderer=framework, loss=lambda image, target: (image * np.nan).sum())
    flat = np.full((12, 12, 3), 0.5, np.float32)
    with pytest.raises(artpipe.Diverged, match="gradient"):  # of a root at 0
        artpipe.fit(
            flat, count=6, steps=20, renderer=framework, loss=lambda image, target: squared(image, target) ** 0.5
        )


@pytest.mark.parametrize("framework", ARRAYS)
def test_a_function_is_released_with_its_fit(framework):
    def loss(image, target):
        return squared(image, target)

    artpipe.fit(TARGET, count=4, steps=5, renderer=framework, loss=loss)
    alive = weakref.ref(loss)
    del loss
    gc.collect()
    assert alive() is None


def test_a_function_and_a_guide_are_refused_together():
    with pytest.raises(InputError, match="guide adds to a loss that has a name"):
        artpipe.fit(TARGET, loss=squared, guide="macaw")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("msee", "'msee' is unknown"), ("mse+mse", "at most once"), ("mse+0*ssim", "factors above 0"),
        ("mse+x*ssim", "factors above 0"), ("", "'' is unknown"), (3, "loss is 3"), (None, "loss is None"),
    ],
)  # fmt: skip
def test_what_is_no_loss_is_refused(loss, message):
    for ask in (lambda: FitSettings(loss=loss), lambda: RunConfig(loss=loss), lambda: artpipe.fit(TARGET, loss=loss)):
        with pytest.raises(InputError, match=message):
            ask()


def test_settling_may_minimise_another_loss_and_continues_bit_for_bit():
    def opened():
        run = Run(TARGET, load_fitting_renderer("jax"))
        for part in Seed(6).parts(0):
            list(part.work(run))
        return run

    def settled(run, parts):
        for part in parts:
            list(part.work(run))
        return run

    objective = objective_of(SUM)
    parts = list(Settle(20, loss=SUM).parts(6))
    run, plain = settled(opened(), parts), settled(opened(), Settle(20).parts(6))
    assert run.fit.loss(objective=objective) < plain.fit.loss(objective=objective)
    half, other = settled(opened(), parts[:9]), opened()
    other.restore(half.state())
    assert settled(other, parts[9:]).scene.same_as(run.scene)


def squared(image, target):
    return ((image - target) ** 2).mean()


def weighted(image, target, weights):
    return ((image - target) ** 2 * weights[:, :, None]).mean()


def open_fit(backend, target=TARGET, **settings):
    name, options = FITS[backend]
    fit = load_fitting_renderer(name, options).fit(target, START.canvas, FitSettings(**settings))
    fit.put(START)
    return fit


@pytest.mark.parametrize("backend", slowly())
@pytest.mark.parametrize("transparent", [False, True])
def test_a_loss_gets_the_arrays_of_its_framework_everywhere(backend, transparent):
    kinds = set()

    def loss(image, target, weights):
        kinds.update(isinstance(array, ARRAYS[backend.split()[0]]) for array in (image, target, weights))
        assert image.shape == target.shape == (HEIGHT, WIDTH, 3) and weights.shape == (HEIGHT, WIDTH)
        return weighted(image, target, weights)

    target = np.dstack([TARGET, np.ones((HEIGHT, WIDTH, 1), np.float32)]) if transparent else TARGET
    fit = open_fit(backend, target, loss=loss, weights=WEIGHTS)
    fit.loss()
    fit.step()
    assert kinds == {True}


@pytest.mark.parametrize("backend", slowly())
def test_weights_act_in_the_gradient_of_a_loss_as_in_the_mean_squared_error(backend):
    own, plain = open_fit(backend, loss=weighted, weights=WEIGHTS), open_fit(backend, weights=WEIGHTS)
    assert own.loss() == pytest.approx(plain.loss(), rel=1e-5)
    for fit in (own, plain):
        assert fit.step([1.0] * 15) > 0
    np.testing.assert_allclose(own.scene().rows, plain.scene().rows, rtol=1e-3, atol=1e-3)


def test_weights_that_a_loss_does_not_take_are_refused():
    with pytest.raises(InputError, match=r"loss takes \(image, target\); needs .*\(image, target, weights\)"):
        FitSettings(loss=squared, weights=WEIGHTS)
    FitSettings(loss=lambda image, target, weights=None: 0.0, weights=WEIGHTS)
    FitSettings(loss=lambda *arrays: 0.0, weights=WEIGHTS)


@pytest.mark.parametrize("backend", slowly())
def test_a_loss_that_returns_no_scalar_is_refused(backend):
    for loss in (lambda image, target: image - target, lambda image, target: 1, lambda image, target: image.sum() > 0):
        fit = open_fit(backend, loss=loss)
        for ask in (fit.step, fit.loss):
            with pytest.raises(InputError, match=r"the loss returned .*; needs a floating-point scalar"):
                ask()


def test_a_loss_that_leaves_the_graph_of_pytorch_is_refused():
    fit = open_fit("torch numba", loss=lambda image, target: squared(image.detach(), target))
    with pytest.raises(InputError, match="does not depend on the image"):
        fit.step()


def run_of(loss, stopping, weights=None, name="torch"):
    """A run of 8 circles and at most 100 steps under a loss, and the progress that was told."""
    run = Run(TARGET, load_fitting_renderer(name), settings=FitSettings(loss=loss, weights=weights), most=8)
    told = []

    class Ear:
        def see(self, event, seconds):
            if isinstance(event, Progress):
                told.append((event, run.mean_squared_error(run.scene, weighted=False)))

        def close(self):
            pass

    plan = Plan([Seed(8), Refine(100)], stopping)
    result = carry_out(run, plan, RunConfig(count=8, renderer=name), [Ear()], time.perf_counter())
    return result, told


def faint(image, target):
    return 1e-6 * abs(image - target).mean()


@pytest.mark.parametrize("name", ARRAYS)
def test_progress_tells_the_loss_and_the_mean_squared_error_apart(name):
    result, told = run_of(faint, Stopping(), name=name)
    assert len(told) == 4
    for event, mse in told:
        assert event.mse == pytest.approx(mse, rel=1e-5)
        assert event.loss < 1e-6
    assert [point.mse for point in result.history.curve] == [event.mse for event, _ in told]
    assert result.metrics.mse == pytest.approx(told[-1][1]) and result.metrics.loss < 1e-6


def test_progress_of_a_weighted_run_tells_the_mean_squared_error_of_all_pixels():
    focus = np.full((HEIGHT, WIDTH), 0.01)
    focus[:4, :4] = 1
    _, told = run_of("mse", Stopping(), focus)
    for event, mse in told:
        assert event.mse == pytest.approx(mse, rel=1e-5) and event.loss != event.mse


def test_the_target_psnr_is_of_the_mean_squared_error_whatever_is_optimised():
    result, _ = run_of(faint, Stopping(target_psnr=40.0))
    assert result.reason == "finished" and result.metrics.psnr < 40

    def loud(image, target):
        return 1e9 * faint(image, target)

    reached = artpipe.psnr(run_of(loud, Stopping())[1][1][1])  # after 50 steps
    result, _ = run_of(loud, Stopping(target_psnr=reached - 1e-3))
    assert result.reason == "target-psnr" and result.metrics.steps <= 50


def test_patience_counts_steps_without_a_better_loss_even_below_zero():
    def negative(image, target):
        return squared(image, target) - 5

    result, _ = run_of(negative, Stopping(patience=60))
    assert result.reason == "patience"
    result, told = run_of(lambda image, target: 100 * squared(image, target) - 5, Stopping(patience=60))
    assert result.reason == "finished" and told[-1][0].loss < told[0][0].loss
