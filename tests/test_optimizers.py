"""Adam by rows: with rows of one age it is the frameworks' own Adam; and how often JAX compiles a growing fit."""

import logging
import re

import numpy as np
import pytest

from artpipe import FitSettings, RendererOptions, load_renderer

BETAS, EPSILON = (0.9, 0.97), 1e-12
STEPS = 25


@pytest.fixture
def gradients(rng):
    """(STEPS, P, N) float32 of the size that a mean over pixels gives, where the usual epsilon would stall."""
    return (1e-7 * rng.normal(size=(STEPS, 8, 5))).astype(np.float32)


def test_with_rows_of_one_age_the_jax_optimiser_is_optax_adam(gradients):
    import jax.numpy as jnp
    import optax

    from artpipe.renderers.fits.row_adam_jax import scale_by_row_adam

    ours, theirs = scale_by_row_adam(*BETAS, EPSILON), optax.scale_by_adam(*BETAS, eps=EPSILON)
    parameters = jnp.zeros((8, 5))
    our_state, their_state = ours.init(parameters), theirs.init(parameters)
    for gradient in gradients:
        our_update, our_state = ours.update(jnp.asarray(gradient), our_state)
        their_update, their_state = theirs.update(jnp.asarray(gradient), their_state)
        # Running means of float32: a rounding a step.
        np.testing.assert_allclose(our_update, their_update, rtol=2e-5, atol=2e-6)


def test_with_rows_of_one_age_the_torch_optimiser_is_torch_adam(gradients):
    torch = pytest.importorskip("torch")
    from artpipe.renderers.fits.row_adam_torch import RowAdam

    ours, theirs = (torch.nn.Parameter(torch.zeros(8, 5)) for _ in range(2))
    our_adam = RowAdam([ours], torch.tensor(0.1), *BETAS, EPSILON)
    their_adam = torch.optim.Adam([theirs], lr=0.1, betas=BETAS, eps=EPSILON)
    for gradient in gradients:
        ours.grad, theirs.grad = torch.tensor(gradient), torch.tensor(gradient)
        before = ours.detach().clone(), theirs.detach().clone()
        our_adam.step()
        their_adam.step()
        moved = (ours.detach() - before[0]).numpy(), (theirs.detach() - before[1]).numpy()
        np.testing.assert_allclose(*moved, rtol=2e-5, atol=2e-6)


def test_both_optimisers_take_the_same_steps_for_rows_of_different_age(gradients):
    torch = pytest.importorskip("torch")
    import jax.numpy as jnp

    from artpipe.renderers.fits.row_adam_jax import RowAdamState, scale_by_row_adam
    from artpipe.renderers.fits.row_adam_torch import RowAdam

    parameter = torch.nn.Parameter(torch.zeros(8, 5))
    torch_adam, jax_adam = RowAdam([parameter], torch.tensor(1.0), *BETAS, EPSILON), scale_by_row_adam(*BETAS, EPSILON)
    state = jax_adam.init(jnp.zeros((8, 5)))
    for k, gradient in enumerate(gradients):
        if k == 10:  # the last two rows are replaced by newcomers
            state = RowAdamState(*(part.at[:, 3:].set(0) for part in state))
            for part in torch_adam.state[parameter].values():
                part[:, 3:] = 0
        update, state = jax_adam.update(jnp.asarray(gradient), state)
        before = parameter.detach().clone()
        parameter.grad = torch.tensor(gradient)
        torch_adam.step()
        np.testing.assert_allclose((before - parameter.detach()).numpy(), update, rtol=2e-5, atol=5e-6)
        if k == 10:
            first = gradient[:, 3:] / (np.abs(gradient[:, 3:]) + EPSILON)
            np.testing.assert_allclose(update[:, 3:], first, rtol=1e-4)


def test_the_torch_optimiser_gives_back_what_its_closure_does():
    torch = pytest.importorskip("torch")
    from artpipe.renderers.fits.row_adam_torch import RowAdam

    parameter = torch.nn.Parameter(torch.ones(8, 2))
    adam = RowAdam([parameter], torch.tensor(0.1))

    def closure():
        adam.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    assert adam.step(closure).item() == 16
    np.testing.assert_allclose(parameter.detach().numpy(), 0.9, rtol=1e-6)


@pytest.fixture
def updates_compiled(caplog):
    """How many times JAX has compiled a fit's update in this test."""
    import jax

    with jax.log_compiles(), caplog.at_level(logging.DEBUG, logger="jax"):
        compiled = re.compile(r"Finished XLA compilation of jit\(_update")
        yield lambda: sum(bool(compiled.search(text)) for text in caplog.messages)


@pytest.mark.parametrize(
    ("kernel", "capacity", "most"),
    [("numba", 0, 6), ("numba", 2048, 1), pytest.param("dense", 2048, 1, marks=pytest.mark.slow)],
)
def test_jax_compiles_seldom_while_a_fit_grows(rng, make_scene, updates_compiled, kernel, capacity, most):
    scene = make_scene(rng, 0, 24, 16)
    batch = make_scene(rng, 256, 24, 16, radius=(0.5, 2)).rows
    target = rng.uniform(0, 1, (16, 24, 3))
    # A beta of its own: what other tests compiled is not found again.
    settings = FitSettings(capacity=capacity, beta1=0.9 + 1e-4 * (capacity + 1) / 2048)
    fit = load_renderer("jax", RendererOptions(kernel=kernel, memory_mb=8)).fit(target, scene.canvas, settings)
    fit.put(scene)
    fit.step()
    while fit.scene().count < 2048:
        fit.put(fit.scene().append(batch))
        fit.step([1.0] * 2)
        fit.step([0.5])
    assert 1 <= updates_compiled() <= most
