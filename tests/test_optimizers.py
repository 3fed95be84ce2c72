"""Adam by rows: with rows of one age it is the frameworks' own Adam; and how often JAX compiles a growing fit."""

import logging
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from artpipe import FitSettings, RendererOptions, load_renderer
from artpipe.renderers.fits.row_adam_jax import RowAdamState, scale_by_row_adam

torch = pytest.importorskip("torch")
from artpipe.renderers.fits.row_adam_torch import RowAdam  # noqa: E402

BETAS, EPSILON = (0.9, 0.97), 1e-12
STEPS = 12


@pytest.fixture
def gradients(rng):
    """(STEPS, P, N) float32 of the size that a mean over pixels gives, where the usual epsilon would stall."""
    return (1e-7 * rng.normal(size=(STEPS, 8, 5))).astype(np.float32)


def updates_of_jax(optimiser, gradients, renew=lambda k, state: state):
    """The updates of an optimiser, (STEPS, P, N)."""
    state, update = optimiser.init(jnp.zeros((8, 5))), jax.jit(optimiser.update)
    updates = []
    for k, gradient in enumerate(gradients):
        moved, state = update(jnp.asarray(gradient), renew(k, state))
        updates.append(np.asarray(moved))
    return np.stack(updates)


def moves_of_torch(make, gradients, renew=lambda k, optimiser: None):
    """By how much an optimiser moves its parameter in each step, (STEPS, P, N)."""
    parameter, moves = torch.nn.Parameter(torch.zeros(8, 5)), []
    optimiser = make(parameter)
    for k, gradient in enumerate(gradients):
        renew(k, optimiser)
        before = parameter.detach().clone()
        parameter.grad = torch.tensor(gradient)
        optimiser.step()
        moves.append((parameter.detach() - before).numpy())
    return np.stack(moves)


def test_with_rows_of_one_age_each_optimiser_is_its_frameworks_adam(gradients):
    # Running means of float32: a rounding a step.
    optimisers = scale_by_row_adam(*BETAS, EPSILON), optax.scale_by_adam(*BETAS, eps=EPSILON)
    ours, theirs = (updates_of_jax(optimiser, gradients) for optimiser in optimisers)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    ours = moves_of_torch(lambda parameter: RowAdam([parameter], torch.tensor(0.1), *BETAS, EPSILON), gradients)
    theirs = moves_of_torch(lambda p: torch.optim.Adam([p], lr=0.1, betas=BETAS, eps=EPSILON), gradients)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)


def test_both_optimisers_take_the_same_steps_for_rows_of_different_age(gradients):
    def renew_jax(k, state):  # the last two rows are replaced by newcomers
        return RowAdamState(*(part.at[:, 3:].set(0) for part in state)) if k == 6 else state

    def renew_torch(k, optimiser):
        for part in optimiser.state[optimiser.param_groups[0]["params"][0]].values() if k == 6 else ():
            part[:, 3:] = 0

    by_jax = updates_of_jax(scale_by_row_adam(*BETAS, EPSILON), gradients, renew_jax)
    make = lambda parameter: RowAdam([parameter], torch.tensor(1.0), *BETAS, EPSILON)  # noqa: E731
    np.testing.assert_allclose(-moves_of_torch(make, gradients, renew_torch), by_jax, rtol=2e-5, atol=5e-6)
    first = gradients[6, :, 3:] / (np.abs(gradients[6, :, 3:]) + EPSILON)
    np.testing.assert_allclose(by_jax[6, :, 3:], first, rtol=1e-4)


def test_the_torch_optimiser_returns_what_its_closure_does():
    parameter = torch.nn.Parameter(torch.ones(8, 2))
    adam = RowAdam([parameter], torch.tensor(0.1))

    def closure():
        adam.zero_grad()
        loss = (parameter**2).sum()
        loss.backward()
        return loss

    assert adam.step(closure).item() == 16
    np.testing.assert_allclose(parameter.detach().numpy(), 0.9, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("capacity", "most"), [(0, 4), (256, 1)])
def test_jax_compiles_seldom_while_a_dense_fit_grows(rng, make_scene, caplog, capacity, most):
    scene = make_scene(rng, 0, 24, 16)
    batch = make_scene(rng, 32, 24, 16, radius=(0.5, 2)).rows
    target = rng.uniform(0, 1, (16, 24, 3))
    # A beta of its own: what other tests compiled is not found again.
    settings = FitSettings(capacity=capacity, beta1=0.9 + 1e-4 * (capacity + 1) / 256)
    with jax.log_compiles(), caplog.at_level(logging.DEBUG, logger="jax"):
        fit = load_renderer("jax", RendererOptions(kernel="dense", memory_mb=8)).fit(target, scene.canvas, settings)
        fit.put(scene)
        fit.step()
        while fit.scene().count < 256:
            fit.put(fit.scene().append(batch))
            fit.step([1.0] * 2)
            fit.step([0.5])
    compiled = sum(bool(re.search(r"Finished XLA compilation of jit\(_update", text)) for text in caplog.messages)
    assert 1 <= compiled <= most
