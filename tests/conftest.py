"""Builders and judges that several test files share."""

import os
import signal
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `command_line`, wherever the tests run from

# A shell that starts a program in the background lets it ignore Ctrl-C; some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when JAX and PyTorch are imported, which the first test that needs them does. PyTorch's threads gain nothing on
# pictures this small, and spin on the cores that the kernel's threads want.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
hypothesis.settings.load_profile("repeatable")

# Tests that run side by side (pytest -n 2) get a core each: the kernel's threads would wait for cores that others hold.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

FLOAT32_EPS = float(np.finfo(np.float32).eps)


@pytest.fixture
def rng():
    return np.random.default_rng(2048)


@pytest.fixture(scope="session")
def make_scene():
    """`(rng, count, width, height, edge=..., radius=(low, high), …) -> Scene` of random circles, off all kinks."""
    return _make_scene


@pytest.fixture(scope="session")
def off_kinks():
    """`scene -> scene` with radii nudged until no pixel centre lies where the linear ramp begins or ends."""
    return _off_kinks


@pytest.fixture(scope="session")
def picture_tolerance():
    """`scene -> largest difference` that float32 allows between a picture and the reference's."""
    return _picture_tolerance


@pytest.fixture(scope="session")
def assert_gradients_agree():
    """`(got, want, unit, tolerance, floor=0)`: fails unless they agree elementwise, as vectors, and without bias."""
    return _assert_gradients_agree


@pytest.fixture(scope="session")
def gradient_units():
    """`(scene, image_gradient) -> (N, P)`: the largest gradient that each value of a row could get."""
    return _gradient_units


def _make_scene(
    rng,
    count,
    width,
    height,
    edge="linear",
    *,
    radius=(0.5, 20.0),
    softness=(0.5, 4.0),
    opacity=(0.1, 1.0),
    background=(0.2, 0.4, 0.6),
):
    from artpipe import Canvas, Scene

    radii = rng.uniform(*radius, count)
    rims = rng.uniform(*softness, count)  # pixels
    scene = Scene.circles(
        Canvas(width, height, background, edge),
        x=rng.uniform(-5, width + 5, count),
        y=rng.uniform(-5, height + 5, count),
        radius=radii,
        colour=rng.uniform(0, 1, (count, 3)),
        opacity=rng.uniform(*opacity, count),
        # r² - d² is about 2 r (r - d), so that r times the pixels gives both edges the same slope at the rim.
        softness=rims if edge == "linear" else radii * rims,
    )
    return _off_kinks(scene)


def _off_kinks(scene, margin=0.0):
    """Moves radii by 3/64 px at a time, which keeps them on a binary grid.

    At a kink the gradient jumps, and which side a pixel is on hangs on the last bit. `margin` is in pixels, and
    added to what float32 may misplace a rim by: some roundings of numbers as large as the radius.
    """
    from artpipe.renderers.primitives.base import RADIUS, SOFTNESS, X, Y

    if scene.canvas.edge != "linear":
        return scene
    rows = scene.rows.copy()
    across = np.arange(scene.canvas.width)[None, :] + 0.5
    down = np.arange(scene.canvas.height)[:, None] + 0.5
    for row in rows:
        distance = np.hypot(across - row[X].astype(np.float64), down - row[Y].astype(np.float64))
        for _ in range(500):
            from_rim = np.abs(np.abs(distance - row[RADIUS]) - row[SOFTNESS])
            if from_rim.min() > margin + 1e-5 + 32 * FLOAT32_EPS * (row[RADIUS] + row[SOFTNESS]):
                break
            row[RADIUS] += 3 / 64
        else:
            raise AssertionError(f"no radius near {row[RADIUS]} keeps off the kinks")
    return scene.with_rows(rows)


def _picture_tolerance(scene):
    """A few roundings of colours, and of the largest rim.

    Distance and radius are each rounded to eps of themselves before they are subtracted and divided by the
    softness: r / s (logistic: r² / s) roundings in units of coverage. Of several rims over one pixel the widest
    dominates, since roundings do not line up.
    """
    from artpipe.renderers.primitives.base import RADIUS, SOFTNESS

    if scene.count == 0:
        return 2e-6
    radius, softness = scene.rows[:, RADIUS].astype(np.float64), scene.rows[:, SOFTNESS].astype(np.float64)
    roundings = radius / softness if scene.canvas.edge == "linear" else radius**2 / softness
    return 2e-6 + 2 * FLOAT32_EPS * float(roundings.max())


def _gradient_units(scene, image_gradient):
    """All of |dL/dC|, times the steepest slope of the coverage by that column (1 for colours and opacity)."""
    from artpipe.renderers.primitives.base import RADIUS, SOFTNESS, X, Y

    softness = scene.rows[:, SOFTNESS].astype(np.float64)
    steepest = 1 / (2 * softness)
    units = np.ones(scene.rows.shape)
    units[:, SOFTNESS] = steepest
    if scene.canvas.edge == "logistic":  # m (1 - m) <= 1/4, and dm/dd = 2 d m (1 - m) / s
        steepest = np.maximum(scene.rows[:, RADIUS].astype(np.float64), np.sqrt(softness)) / (2 * softness)
    units[:, [X, Y, RADIUS]] = steepest[:, None]
    return units * max(float(np.abs(image_gradient).sum()), 1e-30)


def _assert_gradients_agree(got, want, unit, tolerance, floor=0.0):
    """Outliers can hide a bias, and a small mean an outlier: so elementwise, relative L2, cosine, signed bias.

    Below 1e-7 of its unit an element is float32 noise of a sum whose terms cancel; `floor` is what may be missing
    of a unit besides.
    """
    assert got.shape == want.shape
    if want.size == 0:
        return
    got, want = got / unit, want / unit
    error = got - want
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max() + 1e-7 + floor)
    size = np.linalg.norm(want)
    if size < 1e-4 + 100 * floor:  # nothing that counts is seen
        return
    tolerance += floor
    assert np.linalg.norm(error) / size < tolerance
    assert np.sum(got * want) / (np.linalg.norm(got) * size) > 1 - tolerance**2
    assert abs(np.sum(error * np.sign(want))) / np.abs(want).sum() < tolerance / 2
