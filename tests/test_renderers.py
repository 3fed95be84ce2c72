"""One scene, one picture, one gradient: every renderer and path against the reference."""

import functools
import itertools

import numpy as np
import pytest

from artpipe import Canvas, InputError, RendererOptions, Scene, load_renderer, mean_squared_error
from artpipe.renderers.kernels import reference
from artpipe.renderers.kernels.numba.tiles import TRANSMITTANCE_FLOOR
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.primitives.base import OPACITY

EDGES = ("linear", "logistic")
BACKENDS = {
    "cpu": ("cpu", None),
    "jax kernel": ("jax", RendererOptions(path="kernel")),
    "jax pure": ("jax", RendererOptions(path="pure")),
    # 0.2 MB hold some 200 to 300 pixels of 24 rows: a canvas of 50 x 37 is drawn in 7 to 9 pieces.
    "jax pure in pieces": ("jax", RendererOptions(path="pure", memory_mb=0.2)),
    "torch kernel": ("torch", RendererOptions(path="kernel")),
    "torch pure": ("torch", RendererOptions(path="pure")),
    "torch pure in pieces": ("torch", RendererOptions(path="pure", memory_mb=0.2)),
}
COUNT, WIDTH, HEIGHT = 24, 50, 37
SIZES = ((1, 1), (1, 40), (16, 16), (17, 33), (64, 48))
GREY_BLUE = (0.2, 0.4, 0.6)


def circles(edge, x, y, radius, softness, opacity=None, size=(WIDTH, HEIGHT)):
    """A scene of random colours; `softness` in pixels for either edge."""
    rng = np.random.default_rng(7)
    count = len(x)
    radius, softness = np.broadcast_to(radius, count), np.broadcast_to(softness, count)
    return Scene.circles(
        Canvas(*size, GREY_BLUE, edge),
        x=x, y=y, radius=radius,
        colour=rng.uniform(0, 1, (count, 3)),
        opacity=rng.uniform(0.2, 1, count) if opacity is None else opacity,
        softness=softness if edge == "linear" else np.maximum(radius, 0.5) * softness,
    )  # fmt: skip


def off_canvas(edge, rng):
    beside = rng.uniform(-40, -8, COUNT), rng.uniform(0, HEIGHT, COUNT)
    x, y = np.where(np.arange(COUNT) % 2, beside[0], WIDTH - beside[0]), beside[1]
    radius = rng.uniform(0.5, 3.0, COUNT)
    radius[:4] = 30  # these reach in
    return circles(edge, x, y, radius, 0.5)


def tiny(edge, rng):
    return circles(edge, rng.uniform(0, WIDTH, COUNT), rng.uniform(0, HEIGHT, COUNT), rng.uniform(0.5, 1, COUNT), 0.5)


def huge(edge, rng):
    radius = rng.uniform(60, 500, COUNT)
    angle = rng.uniform(0, 2 * np.pi, COUNT)  # every rim crosses the canvas
    x, y = 25 + radius * np.cos(angle), 18 + radius * np.sin(angle)
    return circles(edge, x, y, radius, rng.uniform(0.5, 9, COUNT))


def invisible_and_opaque(edge, rng):
    place = rng.uniform(0, WIDTH, COUNT), rng.uniform(0, HEIGHT, COUNT)
    return circles(edge, *place, rng.uniform(2, 9, COUNT), 1.0, opacity=np.arange(COUNT) % 2)


def on_pixel_centres(edge, rng):
    place = rng.integers(0, WIDTH, COUNT) + 0.5, rng.integers(0, HEIGHT, COUNT) + 0.5
    # Half of them are blobs, whose ramp goes through the centre, where the direction is undefined.
    return circles(edge, *place, rng.uniform(1, 2, COUNT), np.where(np.arange(COUNT) % 2, 4.0, 0.6))


def touching_tile_borders(edge, rng):
    radius, softness = rng.uniform(2, 7, COUNT), 0.5
    reach = radius + softness
    side = np.array([-1, 1] * (COUNT // 2))  # ends at column 16 from the left, or begins there
    return circles(edge, 16 + side * reach, 16 * rng.integers(0, 3, COUNT) + reach, radius, softness)


def sharp(edge, rng):
    return circles(edge, rng.uniform(0, WIDTH, COUNT), rng.uniform(0, HEIGHT, COUNT), rng.uniform(1, 9, COUNT), 0.02)


def deep_stack(edge, rng):
    wobble = rng.uniform(-1, 1, (2, 60))
    return circles(edge, 25 + wobble[0], 18 + wobble[1], rng.uniform(9, 12, 60), 1.5, opacity=np.ones(60))


SPECIAL = (off_canvas, tiny, huge, invisible_and_opaque, on_pixel_centres, touching_tile_borders, sharp, deep_stack)
SCENES = {build.__name__.replace("_", " "): build for build in SPECIAL}
NAMES = ["any", *(f"{w}x{h}" for w, h in SIZES), "empty", *SCENES]


@pytest.fixture(scope="module")
def judged(make_scene, off_kinks):
    """`(name, edge) -> scene, target, weights`, and what the reference says of them, kept from test to test."""

    @functools.cache
    def judge(name, edge):
        rng = np.random.default_rng(99)
        if name in SCENES:
            scene = off_kinks(SCENES[name](edge, rng))
        elif name == "empty":
            scene = Scene.empty(Canvas(WIDTH, HEIGHT, GREY_BLUE, edge))
        else:
            width, height = (WIDTH, HEIGHT) if name == "any" else map(int, name.split("x"))
            scene = make_scene(rng, COUNT, width, height, edge)
        shape = (scene.canvas.height, scene.canvas.width)
        target = rng.uniform(0, 1, (*shape, 3)).astype(np.float32)
        weights = rng.uniform(-0.5, 1, shape).clip(0)  # a third of the pixels do not count
        weights[0, 0] = 1
        return Case(scene, target, weights)

    return judge


class Case:
    def __init__(self, scene, target, weights):
        self.scene, self.target, self.weights = scene, target, weights
        self.picture = reference.render(scene)
        black = scene.rows.copy()
        black[:, 2:5] = 0
        light = reference.render(scene.with_rows(black).with_background((1, 1, 1)))  # what comes through all rows
        self.is_deep = bool(light.min() < TRANSMITTANCE_FLOOR)

    @functools.cached_property
    def image_gradient(self):
        shares = pixel_shares(None, *self.target.shape[:2])
        return 2 * shares[:, :, None] * (self.picture - self.target)

    @functools.cached_property
    def judgement(self):
        return reference.loss_and_gradient(self.scene, self.target)

    @functools.cached_property
    def worth(self):
        return reference.worth(self.scene, self.target)

    @functools.cached_property
    def weighted_worth(self):
        return reference.worth(self.scene, self.target, self.weights)

    def floor(self, backend):
        """What the tiled kernel may leave out: it stops where less than this share of light comes through."""
        return TRANSMITTANCE_FLOOR if self.is_deep and "pure" not in backend else 0.0


def every(names):
    """The table of backends x edges x scenes.

    JAX compiles its pure path for each size of canvas and count of rows, 2 s for a gradient: in the fast set it
    draws the scenes of one size, in pieces (the fits of the fast set use it in one).
    """
    cases = []
    for backend, edge, name in itertools.product(BACKENDS, EDGES, names):
        same_size = name in ("any", *SCENES) and name != "deep stack"
        if backend == "jax pure" and not same_size:
            continue
        slow = backend == "jax pure" or ("pieces" in backend and name == "deep stack")
        slow |= backend == "jax pure in pieces" and not same_size
        marks = [pytest.mark.slow] if slow else []
        cases.append(pytest.param(backend, edge, name, marks=marks, id=f"{backend}-{edge}-{name}"))
    return cases


@pytest.mark.parametrize(("backend", "edge", "name"), every(NAMES))
def test_every_renderer_draws_the_picture_of_the_reference(judged, picture_tolerance, backend, edge, name):
    case = judged(name, edge)
    picture = load_renderer(*BACKENDS[backend]).render(case.scene)
    assert picture.dtype == np.float32
    tolerance = picture_tolerance(case.scene) + case.floor(backend)
    np.testing.assert_allclose(picture, case.picture, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("backend", "edge", "name"), every(NAMES))
def test_every_renderer_has_the_loss_and_gradient_of_the_reference(
    judged, picture_tolerance, gradient_units, assert_gradients_agree, backend, edge, name
):
    case = judged(name, edge)
    loss, by_rows, by_background = load_renderer(*BACKENDS[backend]).loss_and_gradient(case.scene, case.target)
    expected_loss, expected_by_rows, expected_by_background = case.judgement
    # The slope of a rim is off by as much as its coverage, and the dL/dC that it is multiplied with by as much as the
    # picture; sums over hundreds of pixels add some roundings more.
    tolerance, floor = 4 * picture_tolerance(case.scene), case.floor(backend)
    assert loss == pytest.approx(expected_loss, rel=tolerance + floor)
    units = gradient_units(case.scene, case.image_gradient)
    assert_gradients_agree(by_rows, expected_by_rows, units, tolerance, floor)
    whole = np.abs(case.image_gradient).sum()
    assert_gradients_agree(by_background, expected_by_background, whole, tolerance, floor)


@pytest.mark.parametrize(("backend", "edge", "name"), every(["any", "off canvas", "on pixel centres"]))
def test_every_renderer_weighs_pixels_as_the_reference_does(
    judged, picture_tolerance, gradient_units, assert_gradients_agree, backend, edge, name
):
    case = judged(name, edge)
    scene, target, weights = case.scene, case.target, case.weights
    loss, by_rows, by_background = load_renderer(*BACKENDS[backend]).loss_and_gradient(scene, target, weights)
    expected_loss, expected_by_rows, expected_by_background = reference.loss_and_gradient(scene, target, weights)
    tolerance = 4 * picture_tolerance(scene)
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert loss == pytest.approx(mean_squared_error(case.picture, target, weights), rel=tolerance)
    units = gradient_units(scene, case.image_gradient)
    assert_gradients_agree(by_rows, expected_by_rows, units, tolerance)
    assert_gradients_agree(by_background, expected_by_background, units.max(), tolerance)


@pytest.mark.parametrize("backend", ["cpu", "jax pure", "torch pure"])  # their kernel paths are the same call
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("edge", "name"), [(edge, name) for edge in EDGES for name in NAMES])
def test_every_renderer_finds_the_worth_of_the_reference(judged, picture_tolerance, backend, edge, name, weighted):
    case = judged(name, edge)
    weights, expected = (case.weights, case.weighted_worth) if weighted else (None, case.worth)
    worth = load_renderer(*BACKENDS[backend]).worth(case.scene, case.target, weights)
    assert worth.shape == (case.scene.count,)
    # The rise is -2 e d + d² with |d| <= 1, each term as exact as the picture; tiny ones are the rest of large.
    largest = np.abs(expected).max(initial=0)
    tolerance = picture_tolerance(case.scene) + case.floor("cpu")
    np.testing.assert_allclose(worth, expected, rtol=0, atol=4 * tolerance * largest + 1e-8)


@pytest.fixture(params=EDGES)
def veiled(request):
    """Seven thin veils over an opaque disc over another, on one tile, and the rows of either disc.

    The eighth row from the front takes the last light, but to fade it or to take it out shows the ninth.
    """
    count = 9
    return Scene.circles(
        Canvas(16, 16, (0.0, 0.0, 0.2), request.param),
        x=[8] * count, y=[8] * count, radius=[100] * count,
        colour=[[1, 0, 0], [0, 0.6, 0], *[[0.5, 0.5, 0.5]] * 7],
        opacity=[1, 1, *[0.1] * 7],
        softness=1,
    )  # fmt: skip


@pytest.mark.parametrize("backend", ["cpu", "jax kernel", "torch kernel", "torch pure"])
def test_what_an_opaque_row_hides_counts_in_the_gradient_of_its_opacity(veiled, backend):
    target = np.zeros((16, 16, 3), np.float32)
    got = load_renderer(*BACKENDS[backend]).loss_and_gradient(veiled, target)[1][:, OPACITY]
    want = reference.loss_and_gradient(veiled, target)[1][:, OPACITY]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=TRANSMITTANCE_FLOOR * np.abs(want).max())


def test_what_an_opaque_row_hides_counts_in_its_worth(veiled):
    target = np.zeros((16, 16, 3), np.float32)
    got, want = load_renderer("cpu").worth(veiled, target), reference.worth(veiled, target)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=TRANSMITTANCE_FLOOR * np.abs(want).max())


@pytest.mark.parametrize("backend", ["cpu", pytest.param("jax pure", marks=pytest.mark.slow), "torch pure"])
def test_columns_that_circles_do_not_use_change_nothing_and_have_no_gradient(judged, backend):
    scene = judged("any", "linear").scene
    wide = Scene(np.pad(scene.rows, ((0, 0), (0, 3))), scene.canvas)
    target = judged("any", "linear").target
    renderer = load_renderer(*BACKENDS[backend])
    renderer.loss_and_gradient(scene, target)  # buffers are reused: leaves numbers behind
    np.testing.assert_array_equal(renderer.render(wide), renderer.render(scene))
    by_rows = renderer.loss_and_gradient(wide, target)[1]
    np.testing.assert_allclose(by_rows[:, :8], renderer.loss_and_gradient(scene, target)[1], rtol=1e-6)
    assert not by_rows[:, 8:].any()


@pytest.mark.parametrize("backend", ["cpu", "jax pure", "torch pure"])
@pytest.mark.parametrize(
    ("target", "weights", "message"),
    [
        (np.zeros((3, 4, 3)), None, r"target has shape \(3, 4, 3\); the canvas needs \(4, 4, 3\)"),
        (np.full((4, 4, 3), np.nan), None, "target has values that are not finite"),
        (np.zeros((4, 4, 3)), np.ones((4, 5)), r"weights have shape \(4, 5\); needs \(4, 4\)"),
        (np.zeros((4, 4, 3)), np.zeros((4, 4)), "weights need to be .* somewhere above 0"),
        (np.zeros((4, 4, 3)), np.full((4, 4), -1), "weights need to be .*not negative"),
        (np.zeros((4, 4, 3)), np.full((4, 4), np.inf), "weights need to be finite"),
    ],
)
def test_every_renderer_refuses_targets_and_weights_that_do_not_fit(backend, target, weights, message):
    scene = Scene.circles(Canvas(4, 4), x=[2], y=[2], radius=[1], colour=[[1, 0, 0]])
    renderer = load_renderer(*BACKENDS[backend])
    for ask in (renderer.loss_and_gradient, renderer.worth):
        with pytest.raises(InputError, match=message):
            ask(scene, target, weights)
