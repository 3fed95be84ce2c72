"""Losses of the caller's own: what they are given, what is told of them, and what stays the mean squared error."""

import time

import jax
import numpy as np
import pytest
from backends import FITS, slowly

import artpipe
from artpipe import Canvas, FitSettings, InputError, Scene, load_fitting_renderer
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.running.plan import Plan
from artpipe.pipeline.running.runner import carry_out
from artpipe.pipeline.running.stopping import Stopping
from artpipe.stages.base import Run
from artpipe.stages.events import Progress
from artpipe.stages.refine import Refine
from artpipe.stages.seed import Seed

torch = pytest.importorskip("torch")

WIDTH, HEIGHT = 16, 12
TARGET = np.random.default_rng(3).random((HEIGHT, WIDTH, 3)).astype(np.float32)
WEIGHTS = np.random.default_rng(4).random((HEIGHT, WIDTH))
START = Scene.circles(
    Canvas(WIDTH, HEIGHT), x=[4, 11], y=[5, 7], radius=[4, 3], colour=[[0.9, 0.2, 0.1], [0.2, 0.3, 0.8]], opacity=0.7
)
ARRAYS = {"jax": jax.Array, "torch": torch.Tensor}


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
    _, told = run_of(None, Stopping(), focus)
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
