"""Builders and judges that several test files share."""

import os
import signal
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `command_line`, wherever the tests run from

# Programs that a shell starts in the background ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Read when JAX and PyTorch are imported. PyTorch's threads gain nothing on small pictures, and spin on the cores of the
# kernel's threads.
os.environ.setdefault("JAX_NUMPY_RANK_PROMOTION", "raise")
os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=40)
hypothesis.settings.load_profile("repeatable")

# Parallel tests (pytest -n 2) get a core each: the kernel's threads would wait for busy cores.
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and hasattr(os, "sched_setaffinity"):
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})

FLOAT32_EPS = float(np.finfo(np.float32).eps)


@pytest.fixture
def rng():
    return np.random.default_rng(2048)


@pytest.fixture(scope="module")
def steps_alone():
    """Runs take single optimiser steps, so that tests can count parts and replace the clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("artpipe.pipeline.running.plan.TOGETHER_SECONDS", 0.0)
        yield


@pytest.fixture(scope="session")
def make_scene():
    """`shapes.crowd`, off all kinks."""
    return _make_scene


@pytest.fixture(scope="session")
def off_kinks():
    """`scene -> scene`, nudged until no pixel centre is where a slope jumps."""
    return _off_kinks


@pytest.fixture(scope="session")
def picture_tolerance():
    """`scene -> largest difference` of a float32 picture from the reference's."""
    return _picture_tolerance


@pytest.fixture(scope="session")
def assert_gradients_agree():
    """`(got, want, unit, tolerance, floor=0)`: fails unless they agree elementwise, as vectors, and without bias."""
    return _assert_gradients_agree


@pytest.fixture(scope="session")
def gradient_units():
    """`(scene, image_gradient) -> (N, P)`: the largest possible gradient of each value of a row."""
    return _gradient_units


def _make_scene(*arguments, **options):
    from shapes import crowd

    return _off_kinks(crowd(*arguments, **options))


def _off_kinks(scene, margin=0.0):
    """Moves rims by a sixteenth of their softness, then shapes by 1/64 px, which keeps them on a binary grid.

    At a kink the gradient jumps, and the last bit decides on which side a pixel is. `margin` (pixels) is added to the
    float32 error of a rim's position: some roundings of numbers as large as the shape.
    """
    from shapes import extents

    if scene.canvas.edge != "linear":
        return scene
    rows = scene.rows.copy()
    steps = margin + 1e-5 + 32 * FLOAT32_EPS * (extents(scene) + scene.softness)
    for i, (row, kind) in enumerate(zip(rows, scene.kinds, strict=True)):
        for attempt in range(500):
            if not _has_kinks(scene.canvas, row, kind, steps[i]):
                break
            _nudge(row, kind, attempt)
        else:
            raise AssertionError(f"no shape near {row} is off the kinks")
    return scene.with_rows(rows)


def _nudge(row, kind, attempt):
    from artpipe.renderers.primitives.base import SHAPE, SOFTNESS
    from artpipe.renderers.primitives.table import BY_CODE

    row[SOFTNESS] += 2.0 ** (np.floor(np.log2(row[SOFTNESS])) - 4)
    if attempt % 8 == 7:  # there are kinks inside, too
        for k, column in enumerate(BY_CODE[int(kind)].columns, SHAPE):
            if column.unit in ("x", "y"):
                row[k] += (k - SHAPE + 1) / 64


def _has_kinks(canvas, row, kind, step):
    """Whether the slope of the coverage at a pixel centre changes within a step of any length."""
    from artpipe.renderers.primitives.base import SHAPE, SOFTNESS
    from artpipe.renderers.primitives.falloff import LINEAR
    from artpipe.renderers.primitives.table import BY_CODE

    primitive = BY_CODE[int(kind)]
    across, down = np.arange(canvas.width)[None, :] + 0.5, np.arange(canvas.height)[:, None] + 0.5

    def coverage(row):
        shape = row[SHAPE : primitive.width]
        return LINEAR.coverage(np, primitive.distance(np, across, down, shape), row[SOFTNESS], None)

    row = row.astype(np.float64)
    here = coverage(row)
    lengths = [k for k, column in enumerate(primitive.columns, SHAPE) if column.unit in ("x", "y", "length")]
    for k in (SOFTNESS, *lengths):
        ahead, behind = row.copy(), row.copy()
        ahead[k] += step
        behind[k] -= step
        jump = np.abs(coverage(ahead) - 2 * here + coverage(behind)).max()
        if jump > 0.04 * step / row[SOFTNESS]:
            return True
    return False


def _picture_tolerance(scene):
    """A few roundings of colours, and of the largest rim.

    Distances are differences of numbers as large as the shape, each rounded to its eps, and divided by the softness:
    r / s (logistic: r² / s) roundings in units of coverage. Of several rims over a pixel, the widest dominates.
    """
    from shapes import extents

    if scene.count == 0:
        return 2e-6
    size = extents(scene) / np.sqrt(2)  # the radius of a circle
    roundings = (size if scene.canvas.edge == "linear" else size**2) / scene.softness
    return 2e-6 + 2 * FLOAT32_EPS * float(roundings.max())


def _gradient_units(scene, image_gradient):
    """The sum of |dL/dC| times the steepest slope of the coverage by that column (1 for colours and opacity).

    A change of 1 in a logarithm or a share moves the rim by the shape's extent.
    """
    from shapes import extents

    from artpipe.renderers.primitives.base import SHAPE, SOFTNESS

    softness = scene.softness.astype(np.float64)
    steepest = 1 / (2 * softness)
    units = np.ones(scene.rows.shape)
    units[:, SOFTNESS] = steepest
    if scene.canvas.edge == "logistic":  # m (1 - m) <= 1/4, and dm/dd = 2 d m (1 - m) / s
        steepest = np.maximum(scene.thickness(), np.sqrt(softness)) / (2 * softness)
    reach = extents(scene) + softness
    for primitive, index, _ in scene.parts():
        for k, column in enumerate(primitive.columns, SHAPE):
            units[index, k] = steepest[index] * (1 if column.unit in ("x", "y", "length") else reach[index])
    return units * max(float(np.abs(image_gradient).sum()), 1e-30)


def _assert_gradients_agree(got, want, unit, tolerance, floor=0.0):
    """Compares elementwise, by relative L2, cosine and signed bias: outliers can hide a bias, and a mean an outlier.

    Below 1e-7 of its unit, an element is float32 noise of terms that cancel; `floor` is added to this tolerance.
    """
    assert got.shape == want.shape
    if want.size == 0:
        return
    got, want = got / unit, want / unit
    error = got - want
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * np.abs(want).max() + 1e-7 + floor)
    size = np.linalg.norm(want)
    if size < 1e-4 + 100 * floor:  # only noise
        return
    tolerance += floor
    assert np.linalg.norm(error) / size < tolerance
    assert np.sum(got * want) / (np.linalg.norm(got) * size) > 1 - tolerance**2
    assert abs(np.sum(error * np.sign(want))) / np.abs(want).sum() < tolerance / 2
