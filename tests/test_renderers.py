"""One scene, one picture, one gradient: every kernel and every primitive against the reference."""

import functools

import numpy as np
import pytest
from shapes import KINDS, MIXED, degenerate, made, seeded, wild

from artpipe import Canvas, InputError, RendererOptions, Scene, load_renderer, mean_squared_error
from artpipe.renderers.kernels import reference
from artpipe.renderers.kernels.numba.tiles import TRANSMITTANCE_FLOOR
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.primitives.base import PAINT, SHAPE
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES

KERNELS = {
    "numba": ("cpu", None),
    "jax": ("jax", RendererOptions(kernel="dense")),
    # 0.2 MB hold some 500 pixels of 12 rows: a canvas of 40 x 36 is drawn in several pieces.
    "jax in pieces": ("jax", RendererOptions(kernel="dense", memory_mb=0.2)),
    "torch": ("torch", RendererOptions(kernel="dense")),
    "torch in pieces": ("torch", RendererOptions(kernel="dense", memory_mb=0.2)),
}
COUNT, WIDTH, HEIGHT = 12, 40, 36
SIZES = ("1x1", "1x40", "16x16", "17x33")


def canvas_of(edge, size=(WIDTH, HEIGHT)):
    return Canvas(*size, (0.2, 0.4, 0.6), edge)


def inside(rng, count=COUNT):
    return rng.uniform(0, WIDTH, count), rng.uniform(0, HEIGHT, count)


def off_canvas(canvas, primitive, rng):
    x, y = (
        np.where(np.arange(COUNT) % 2, rng.uniform(-40, -8, COUNT), WIDTH + rng.uniform(8, 40, COUNT)),
        inside(rng)[1],
    )
    radius = rng.uniform(0.5, 3.0, COUNT)
    radius[: COUNT // 3] = 30  # these reach the canvas
    return seeded(rng, canvas, primitive, x, y, radius, 0.5)


def tiny(canvas, primitive, rng):
    return seeded(rng, canvas, primitive, *inside(rng), rng.uniform(0.5, 1, COUNT), 0.5)


def huge(canvas, primitive, rng):
    radius = rng.uniform(60, 500, COUNT)
    angle = rng.uniform(0, 2 * np.pi, COUNT)  # every rim of a circle crosses the canvas
    x, y = 20 + radius * np.cos(angle), 18 + radius * np.sin(angle)
    return seeded(rng, canvas, primitive, x, y, radius, rng.uniform(0.5, 9, COUNT))


def any_shape(canvas, primitive, rng):
    return wild(rng, canvas, primitive, COUNT, rng.uniform(0.5, 4, COUNT))


def without_area(canvas, primitive, rng):
    return degenerate(rng, canvas, primitive, COUNT)


def invisible_and_opaque(canvas, primitive, rng):
    return seeded(rng, canvas, primitive, *inside(rng), rng.uniform(2, 9, COUNT), 1.0, opacity=np.arange(COUNT) % 2)


def on_pixel_centres(canvas, primitive, rng):
    x, y = rng.integers(0, WIDTH, COUNT) + 0.5, rng.integers(0, HEIGHT, COUNT) + 0.5
    # Half of them are blobs, whose ramp goes through the centre, where the direction is undefined.
    return seeded(rng, canvas, primitive, x, y, rng.uniform(1, 2, COUNT), np.where(np.arange(COUNT) % 2, 4.0, 0.6))


def touching_tile_borders(canvas, primitive, rng):
    plain = seeded(rng, canvas, primitive, *inside(rng), rng.uniform(2, 7, COUNT), 0.5)
    box, border = plain.bounds(), rng.integers(1, 3, (COUNT, 2)) * 16  # ends or begins at a tile's border
    steps = border - np.where(np.arange(COUNT)[:, None] % 2, box[:, :2], box[:, 2:])
    return Scene.stacked([plain.select([i]).moved(dx, dy) for i, (dx, dy) in enumerate(steps)])


def sharp(canvas, primitive, rng):
    return seeded(rng, canvas, primitive, *inside(rng), rng.uniform(1, 9, COUNT), 0.02)


def deep_stack(canvas, primitive, rng):
    x, y = 20 + rng.uniform(-1, 1, COUNT), 18 + rng.uniform(-1, 1, COUNT)
    return seeded(rng, canvas, primitive, x, y, rng.uniform(9, 12, COUNT), 1.5, opacity=1.0)


SPECIAL = (
    off_canvas, tiny, huge, any_shape, without_area, invisible_and_opaque, on_pixel_centres, touching_tile_borders,
    sharp, deep_stack,
)  # fmt: skip
SCENES = {build.__name__.replace("_", " "): build for build in SPECIAL}
PLAIN, WITHOUT_AREA = "plain", "without area"


@pytest.fixture(scope="module")
def judged(make_scene, off_kinks):
    """`(case, primitive, edge) -> Case`: a scene and the results of the reference, cached."""

    @functools.cache
    def judge(name, primitive, edge):
        rng = np.random.default_rng(99)
        if name in SCENES:
            scene = made(lambda kind: SCENES[name](canvas_of(edge), kind, rng), primitive)
            scene = scene if name == WITHOUT_AREA else off_kinks(scene)
        elif name == "empty":
            scene = Scene.empty(canvas_of(edge))
        else:
            width, height = (WIDTH, HEIGHT) if name == PLAIN else map(int, name.split("x"))
            scene = make_scene(rng, COUNT, width, height, edge, primitive)
        shape = (scene.canvas.height, scene.canvas.width)
        target = rng.uniform(0, 1, (*shape, 3)).astype(np.float32)
        weights = rng.uniform(-0.5, 1, shape).clip(0) if name in SCENES else None  # a third is 0
        return Case(scene, target, weights)

    return judge


class Case:
    def __init__(self, scene, target, weights):
        self.scene, self.target, self.weights = scene, target, weights
        self.picture = reference.render(scene)
        black = scene.with_columns(colour=np.zeros(3)) if scene.count else scene
        light = reference.render(black.with_background((1, 1, 1)))  # transmittance of all rows
        self.is_deep = bool(light.min() < TRANSMITTANCE_FLOOR)

    @functools.cached_property
    def image_gradient(self):
        shares = pixel_shares(self.weights, *self.target.shape[:2])
        return 2 * shares[:, :, None] * (self.picture - self.target)

    @functools.cached_property
    def judgement(self):
        return reference.loss_and_gradient(self.scene, self.target, self.weights)

    def floor(self, kernel):
        """The tiled kernel stops where the transmittance is below this share."""
        return TRANSMITTANCE_FLOOR if self.is_deep and kernel == "numba" else 0.0


def table():
    """(kernel, primitive, edge, case) to compare.

    The compiled kernel has code of its own for each primitive; the dense ones share the reference's formulas. JAX
    compiles for each canvas size, count of rows and set of primitives.
    """
    mix = (MIXED, "linear")
    for kind in KINDS:
        some = ("huge", "any shape", WITHOUT_AREA, "on pixel centres", "sharp", "touching tile borders")
        names = (*SCENES, *SIZES, "empty") if kind == mix else some
        yield from (("numba", *kind, name) for name in (PLAIN, *names))
        yield from (("torch", *kind, name) for name in (PLAIN, "any shape", WITHOUT_AREA, "sharp"))
    yield from (("torch in pieces", *mix, name) for name in (PLAIN, "deep stack", "17x33", "1x1", "empty"))
    yield from (("jax in pieces", "circle", "linear", name) for name in (PLAIN, "deep stack", "invisible and opaque"))
    slow = [("jax", *mix, PLAIN), *(("jax in pieces", *mix, name) for name in (PLAIN, *SCENES, "17x33", "empty"))]
    yield from (pytest.param(*case, marks=pytest.mark.slow) for case in slow)


@pytest.mark.parametrize(("kernel", "primitive", "edge", "name"), [*table()])
def test_every_kernel_agrees_with_the_reference(
    judged, picture_tolerance, gradient_units, assert_gradients_agree, kernel, primitive, edge, name
):
    case = judged(name, primitive, edge)
    renderer = load_renderer(*KERNELS[kernel])
    tolerance, floor = picture_tolerance(case.scene), case.floor(kernel)
    picture = renderer.render(case.scene)
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, case.picture, rtol=0, atol=tolerance + floor)

    loss, by_rows, by_background = renderer.loss_and_gradient(case.scene, case.target, case.weights)
    expected_loss, expected_by_rows, expected_by_background = case.judgement
    # The errors of a rim's slope and of dL/dC are those of the picture; sums over hundreds of pixels add roundings.
    tolerance *= 4
    assert loss == pytest.approx(expected_loss, rel=tolerance + floor)
    assert loss == pytest.approx(mean_squared_error(case.picture, case.target, case.weights), rel=tolerance + floor)
    units, whole = gradient_units(case.scene, case.image_gradient), np.abs(case.image_gradient).sum()
    assert_gradients_agree(by_background, expected_by_background, whole, tolerance, floor)
    if name == WITHOUT_AREA:
        # The nearest of coinciding points is arbitrary; the gradient of moving the whole shape is not.
        assert np.isfinite(by_rows).all()
        by_rows, expected_by_rows, units = (
            paint_and_moves(case.scene, found) for found in (by_rows, expected_by_rows, units)
        )
    assert_gradients_agree(by_rows, expected_by_rows, units, tolerance, floor)

    if kernel == "numba":
        expected = reference.worth(case.scene, case.target, case.weights)
        # The rise is -2 e d + d² with |d| <= 1, each term as exact as the picture.
        error = tolerance + 4 * floor
        atol = error * np.abs(expected).max(initial=0) + 1e-8
        np.testing.assert_allclose(renderer.worth(case.scene, case.target, case.weights), expected, rtol=0, atol=atol)


def paint_and_moves(scene, values):
    """(N, 7): of values by rows, those of the paint and those of moving each shape across and down.

    The moves of a shape that is one point are set to 1: the reference moves its corners one at a time.
    """
    moves = np.ones((scene.count, 2))
    for primitive, index, shape in scene.parts():
        places = [[k for k, column in enumerate(primitive.columns) if column.unit == unit] for unit in ("x", "y")]
        spread = np.ptp([[shape[k] for k in columns] for columns in places], axis=1).max(axis=0)
        seen = index[(spread > 0) | (len(places[0]) == 1)]
        for side, columns in enumerate(places):
            moves[seen, side] = values[seen][:, [SHAPE + k for k in columns]].sum(axis=1)
    return np.concatenate([values[:, :SHAPE], moves], axis=1)


@pytest.mark.parametrize("framework", ["jax", "torch"])
def test_frameworks_draw_with_the_same_tiled_kernel(judged, framework):
    case = judged(PLAIN, MIXED, "linear")
    cpu, other = load_renderer("cpu"), load_renderer(framework, RendererOptions(kernel="numba"))
    assert other.render(case.scene).tobytes() == cpu.render(case.scene).tobytes()
    found, expected = (r.loss_and_gradient(case.scene, case.target, case.weights) for r in (other, cpu))
    for got, want in zip(found, expected, strict=True):
        assert np.asarray(got).tobytes() == np.asarray(want).tobytes()
    assert other.worth(case.scene, case.target).tobytes() == cpu.worth(case.scene, case.target).tobytes()


@pytest.fixture(params=FALLOFFS)
def veiled(request):
    """Seven thin veils over two opaque discs on one tile: without the upper disc, the lower one is visible."""
    count = 9
    return Scene.circles(
        Canvas(16, 16, (0.0, 0.0, 0.2), request.param),
        x=[8] * count, y=[8] * count, radius=[100] * count,
        colour=[[1, 0, 0], [0, 0.6, 0], *[[0.5, 0.5, 0.5]] * 7],
        opacity=[1, 1, *[0.1] * 7],
        softness=1,
    )  # fmt: skip


@pytest.mark.parametrize("kernel", ["numba", "torch"])
def test_hidden_rows_count_in_the_gradient_and_the_worth_of_an_opaque_row(veiled, kernel):
    target, renderer = np.zeros((16, 16, 3), np.float32), load_renderer(*KERNELS[kernel])
    opacity = [column.name for column in PAINT].index("opacity")
    got = renderer.loss_and_gradient(veiled, target)[1][:, opacity], renderer.worth(veiled, target)
    want = reference.loss_and_gradient(veiled, target)[1][:, opacity], reference.worth(veiled, target)
    for one, other in zip(got, want, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=TRANSMITTANCE_FLOOR * np.abs(other).max())


@pytest.mark.parametrize("kernel", ["numba", "torch"])
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_rows_among_wider_ones_are_drawn_as_they_are_alone(make_scene, rng, kernel, primitive):
    """Columns that a primitive does not use change nothing, and have no gradient."""
    scene = make_scene(rng, COUNT, WIDTH, HEIGHT, primitive=primitive)
    target = rng.uniform(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32)
    renderer = load_renderer(*KERNELS[kernel])
    picture, (loss, by_rows, by_background) = renderer.render(scene), renderer.loss_and_gradient(scene, target)
    own = PRIMITIVES[primitive].width
    for other in PRIMITIVES:
        unseen = make_scene(rng, 5, WIDTH, HEIGHT, primitive=other).moved(0, -900)
        mixed = scene.append(unseen.rows, unseen.kinds)
        np.testing.assert_allclose(renderer.render(mixed), picture, rtol=0, atol=1e-6)
        found, by_mixed, by_mixed_background = renderer.loss_and_gradient(mixed, target)
        assert found == pytest.approx(loss, rel=1e-6)
        np.testing.assert_allclose(by_mixed[:COUNT, :own], by_rows, rtol=1e-4, atol=1e-5 * np.abs(by_rows).max())
        np.testing.assert_allclose(by_mixed_background, by_background, rtol=1e-5)
        assert not by_mixed[:COUNT, own:].any() and not by_mixed[COUNT:].any()


@pytest.mark.parametrize("kernel", ["numba", "jax", "torch"])
def test_every_renderer_refuses_invalid_targets_and_weights(kernel):
    scene = Scene.circles(Canvas(4, 4), x=[2], y=[2], radius=[1], colour=[[1, 0, 0]])
    renderer, plain = load_renderer(*KERNELS[kernel]), np.zeros((4, 4, 3))
    for target, weights, message in (
        (np.zeros((3, 4, 3)), None, r"target has shape \(3, 4, 3\); the canvas needs \(4, 4, 3\)"),
        (np.full((4, 4, 3), np.nan), None, "target has values that are not finite"),
        (plain, np.ones((4, 5)), r"weights have shape \(4, 5\); needs \(4, 4\)"),
        (plain, np.zeros((4, 4)), "weights must be .* at least one above 0"),
        (plain, np.full((4, 4), -1), "weights must be .*not negative"),
        (plain, np.full((4, 4), np.inf), "weights must be finite"),
    ):
        with pytest.raises(InputError, match=message):
            renderer.loss_and_gradient(scene, target, weights)
