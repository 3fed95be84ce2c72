"""A fit whose loss or gradient is not finite raises `Diverged` and keeps the last good scene."""

import numpy as np
import pytest
from backends import FITS, slowly
from cliffs import loss_with_a_cliff

from artpipe import ArtpipeError, Canvas, Diverged, FitSettings, RendererOptions, Scene, load_renderer

TARGET = np.zeros((12, 16, 3), np.float32)


def jax_distance(image, target):
    import jax.numpy as jnp

    return jnp.sqrt(jnp.sum((image - target) ** 2))


def torch_distance(image, target):
    return ((image - target) ** 2).sum().sqrt()


# The slope is 0/0 at one uncovered pixel.
def jax_corner(image, target):
    import jax.numpy as jnp

    return jnp.sum((image - target) ** 2) + jnp.sqrt(0 * image[0, 0, 0])


def torch_corner(image, target):
    return ((image - target) ** 2).sum() + (0 * image[0, 0, 0]).sqrt()


CLIFFS = {name: loss_with_a_cliff(name, 0.2) for name in ("jax", "torch")}
DISTANCES = {"jax": jax_distance, "torch": torch_distance}
CORNERS = {"jax": jax_corner, "torch": torch_corner}


@pytest.fixture(params=slowly())
def backend(request):
    return request.param


def open_fit(backend, losses, grey):
    """A fit of one circle of this grey over all of a canvas of the same grey to black."""
    name, options = FITS[backend]
    scene = Scene.circles(Canvas(16, 12, (grey,) * 3), x=[8], y=[6], radius=[6], colour=[[grey] * 3], opacity=[0.9])
    fit = load_renderer(name, options).fit(TARGET, scene.canvas, FitSettings(loss=losses[name]))
    fit.put(scene)
    return fit


def test_a_loss_that_becomes_nan_stops_the_fit_at_the_last_good_scene(backend):
    fit, joined = (open_fit(backend, CLIFFS, grey=0.5) for _ in range(2))  # starts at 0.25
    start, steps = fit.scene(), 0
    with pytest.raises(Diverged, match=r"the gradient at step \d+ is not finite.*Try smaller learning rates") as error:
        for _ in range(200):
            good = fit.scene()
            fit.step()
            steps += 1
    assert steps > 1 and f"step {steps + 1} " in str(error.value)
    assert isinstance(error.value, ArtpipeError)
    assert fit.scene().same_as(good) and np.isfinite(good.rows).all()
    with pytest.raises(Diverged):
        joined.step([1.0] * 200)
    assert joined.scene().same_as(good)
    joined.put(start)
    assert np.isfinite(joined.step())


@pytest.mark.parametrize(("losses", "grey"), [(DISTANCES, 0.0), (CORNERS, 0.5)], ids=["everywhere", "at one pixel"])
def test_a_nan_gradient_of_a_finite_loss_stops_the_fit(backend, losses, grey):
    fit = open_fit(backend, losses, grey)
    start = fit.scene()
    assert np.isfinite(fit.loss())
    with pytest.raises(Diverged):
        fit.step()
    assert fit.scene().same_as(start)


@pytest.mark.parametrize("name", [pytest.param("jax", marks=pytest.mark.slow), "torch"])  # it compiles for seconds
def test_nan_parameters_of_the_optimiser_stop_the_fit(name):
    # Without an epsilon, a circle that covers no pixel moves by 0 / 0.
    scene = Scene.circles(Canvas(16, 12), x=[-6], y=[-6], radius=[1], colour=[[0.5] * 3])
    fit = load_renderer(name, RendererOptions(kernel="dense")).fit(TARGET, scene.canvas, FitSettings(epsilon=0))
    fit.put(scene)
    with pytest.raises(Diverged):
        fit.step([1.0] * 2)
    assert fit.scene().same_as(scene)


def test_in_the_kernel_a_row_without_a_gradient_does_not_move_whatever_epsilon():
    scene = Scene.circles(Canvas(16, 12), x=[-6, 8], y=[-6, 6], radius=[1, 4], colour=[[0.5] * 3] * 2, opacity=0.9)
    fit = load_renderer("jax").fit(TARGET, scene.canvas, FitSettings(epsilon=0))
    fit.put(scene)
    fit.step([1.0] * 2)
    moved = np.abs(fit.scene().rows - scene.rows).max(axis=1)
    assert moved[0] < 1e-6 and moved[1] > 0.1
