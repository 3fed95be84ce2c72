"""The Gaussian filter against SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from artpipe.renderers.gaussian import gaussian_filter


@pytest.mark.parametrize("border", ["nearest", "reflect"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [0.1, 0.8, 1.5, 4.8])
@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3, 7), (4100, 9)]
)  # the window is wider than two; one is filtered in parts
def test_it_filters_the_last_two_axes_as_scipy_does(shape, sigma, dtype, border):
    planes = np.random.default_rng(0).uniform(0, 1, shape).astype(dtype)
    radius = round(3 * sigma)
    filtered = gaussian_filter(planes, sigma, radius, border)
    wanted = ndimage.gaussian_filter(planes, sigma, radius=radius, mode=border, axes=(-2, -1))
    assert filtered.dtype == dtype
    np.testing.assert_allclose(filtered, wanted, rtol=4 * np.finfo(dtype).eps)
