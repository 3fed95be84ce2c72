"""Properties of every primitive and every falloff in their tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import degenerate, scene_of, seeded, wild

from artpipe import Canvas, Scene
from artpipe.renderers.kernels import reference
from artpipe.renderers.primitives.base import Look
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import BY_CODE, PRIMITIVES

torch = pytest.importorskip("torch")

WIDTH, HEIGHT = 40, 30
CANVAS = Canvas(WIDTH, HEIGHT)
COUNT = 30
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(params=PRIMITIVES.values(), ids=PRIMITIVES)
def primitive(request):
    return request.param


def any_scene(primitive, seed, count=COUNT):
    """Shapes of all sorts, and some without an area."""
    rng = np.random.default_rng(seed)
    whole = wild(rng, CANVAS, primitive.name, count, rng.uniform(0.2, 6, count))
    return Scene.stacked(
        [whole.select(np.arange(9, count)), degenerate(rng, CANVAS, primitive.name, count).select(range(9))]
    )


def shapes_of(scene):
    ((_, _, shape),) = scene.parts()
    return shape


def at(points, scene):
    """Signed distances, (N, K), of points, (2, K), to the shapes of a scene of one primitive."""
    (primitive,) = scene.primitives
    return primitive.distance(np, points[0][None, :], points[1][None, :], [c[:, None] for c in shapes_of(scene)])


def around(low=-60.0, high=100.0, step=0.5):
    across, down = np.meshgrid(np.arange(low, high, step), np.arange(low, high, step))
    return np.stack([across.ravel(), down.ravel()])


# --- the tables ---


def test_names_and_codes_are_those_of_the_tables():
    assert {primitive.code: primitive for primitive in PRIMITIVES.values()} == BY_CODE
    for table in (PRIMITIVES, FALLOFFS):
        assert all(name == row.name for name, row in table.items())
        assert len({row.code for row in table.values()}) == len(table)
    assert next(iter(PRIMITIVES)) == "circle"


def test_columns_have_names_of_their_own_and_limits_within_those_of_a_scene(primitive):
    names = [column.name for column in primitive.columns]
    assert len(set(names)) == len(names)
    assert set(primitive.falloffs) <= set(FALLOFFS) and len(primitive.example) == len(names)
    for width, height in ((1, 1), (16, 4000), (65536, 65536)):
        for column in primitive.columns:
            low, high = column.limits(width, height, Look())
            assert column.low <= low < high <= column.high, column.name


def test_limits_of_a_picture_on_its_side_are_those_of_the_picture(primitive):
    sides = {"x": "y", "y": "x"}
    for width, height, least in ((1, 4096, 0.001), (300, 200, 0.15), (7, 5, 1000.0)):
        look = Look(softness=(least, 1e5))
        turned = [(sides.get(c.unit, c.unit), c.limits(height, width, look)) for c in primitive.columns]
        upright = [(c.unit, c.limits(width, height, look)) for c in primitive.columns]
        assert sorted(turned) == sorted(upright)


# --- falloffs ---


def test_falloffs_have_the_coverage_of_their_formula():
    for edge, distance, size, softness, coverage in (
        ("linear", 0.0, 3.0, 1.0, 0.5), ("linear", -1.0, 3.0, 1.0, 1.0), ("linear", 1.0, 3.0, 1.0, 0.0),
        ("linear", 0.5, 3.0, 1.0, 0.25), ("linear", -0.5, 3.0, 1.0, 0.75), ("linear", -1.0, 1.0, 4.0, 0.625),
        ("linear", 96.0, 3.0, 1.0, 0.0), ("logistic", 0.0, 3.0, 1.0, 0.5), ("logistic", -1.0, 2.0, 3 / np.log(3), 0.75),
        ("logistic", 1.0, 1.0, 3 / np.log(3), 0.25), ("logistic", 1e6, 1.0, 1e-3, 0.0),
        ("logistic", -1e6, 1e6, 1e-3, 1.0),
    ):  # fmt: skip
        assert FALLOFFS[edge].coverage(np, np.array(distance), softness, size) == pytest.approx(coverage, abs=1e-15)


@pytest.mark.parametrize("falloff", FALLOFFS.values(), ids=FALLOFFS)
def test_coverage_falls_from_one_inside_to_none_beyond_the_margin(falloff):
    size, softness = np.array([0.5, 3.0, 500.0]), np.array([0.25, 20.0, 4.0])
    margin = falloff.margin(softness, size)
    coverage = falloff.coverage(np, np.linspace(-size, margin, 400), softness, size)
    assert (np.diff(coverage, axis=0) <= 0).all() and (coverage >= 0).all() and (coverage <= 1).all()
    assert (falloff.coverage(np, margin * (1 + 1e-12), softness, size) < 2.0**-24).all()  # float32 resolves no less


@pytest.mark.parametrize("falloff", FALLOFFS.values(), ids=FALLOFFS)
def test_slopes_of_a_falloff_are_those_by_finite_differences(falloff):
    rng, step = np.random.default_rng(4), 1e-6
    size, softness = rng.uniform(0.5, 9, 400), rng.uniform(0.3, 6, 400)
    distance = rng.uniform(-1.5, 1.5, 400) * falloff.margin(softness, size)
    # Not across a kink, where there is no slope.
    distance = np.where(np.abs(np.abs(distance) - softness) < 1e-4, 0.0, distance)
    given = [distance, softness, size]
    for k, slope in enumerate(falloff.slopes(*given)):
        ahead, behind = ([v + sign * step * (i == k) for i, v in enumerate(given)] for sign in (1, -1))
        change = falloff.coverage(np, *ahead) - falloff.coverage(np, *behind)
        np.testing.assert_allclose(slope, change / (2 * step), rtol=1e-6, atol=1e-8)


# --- distance ---


@settings(max_examples=8)
@given(seed=SEEDS)
def test_a_distance_grows_by_at_most_the_way_and_is_negative_inside_only(seed):
    points = around(step=4.0)
    for primitive in PRIMITIVES.values():
        scene = any_scene(primitive, seed, 12)
        here = at(points, scene)
        assert np.isfinite(here).all()
        assert (here >= -scene.thickness()[:, None] - 1e-9).all()
        for dx, dy in ((0.25, 0), (0, 0.25)):
            there = at(points + np.array([[dx], [dy]]), scene)
            assert (np.abs(there - here) <= 0.25 + 1e-9).all()


def test_frameworks_compute_the_distance_of_numpy(primitive):
    scene, points = any_scene(primitive, 5), around(step=3.7)
    want = at(np.float32(points).astype(float), scene)
    for xp, array, compiled in ((jnp, jnp.asarray, jax.jit), (torch, torch.tensor, lambda function: function)):
        px, py = (array(np.float32(points[side]))[None, :] for side in (0, 1))
        shape = [array(np.float32(column))[:, None] for column in shapes_of(scene)]
        got = compiled(lambda px, py, shape, xp=xp: primitive.distance(xp, px, py, shape))(px, py, shape)
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-4, atol=1e-3)


def seeded_ones(rng, canvas, primitive, count):
    return seeded(rng, canvas, primitive, [20.0] * count, [15.0] * count, np.linspace(3, 9, count), 0.5)


def test_thickness_bounds_and_area_are_those_of_the_points_inside(primitive):
    scene, points = seeded_ones(np.random.default_rng(6), CANVAS, primitive.name, 6), around(-10, 50, 0.2)
    distances = at(points, scene)
    np.testing.assert_allclose(scene.thickness(), -distances.min(axis=1), atol=0.15)
    for outset in (-0.8, 0.0, 2.0):
        inside = distances <= outset
        area = primitive.area(shapes_of(scene), np.full(6, outset))
        np.testing.assert_allclose(area, inside.sum(axis=1) * 0.2**2, rtol=0.02, atol=0.5)
        found = np.stack(primitive.bounds(shapes_of(scene), np.full(scene.count, outset)), axis=1)
        for box, mine in zip(found, inside, strict=True) if outset >= 0 else ():
            held = points[:, mine]
            np.testing.assert_allclose(box, [*held.min(axis=1), *held.max(axis=1)], atol=0.4)


def test_bounds_of_a_scene_hold_all_that_it_paints(primitive, rng):
    for edge in primitive.falloffs:
        scene = seeded(
            rng,
            Canvas(WIDTH, HEIGHT, edge=edge),
            primitive.name,
            *rng.uniform(5, 25, (2, 9)),
            rng.uniform(1, 6, 9),
            1.0,
        )
        for i, (left, top, right, bottom) in enumerate(scene.bounds()):
            rows, columns = np.nonzero((np.abs(reference.render(scene.select([i])) - 1) > 1e-6).any(axis=2))
            assert columns.min() + 0.5 >= left and columns.max() + 0.5 <= right
            assert rows.min() + 0.5 >= top and rows.max() + 0.5 <= bottom


def rim_of(outline):
    """(2, K) points on the rim of an outline."""
    share, lengths = np.linspace(0, 1, 9), outline.lengths
    if outline.tag == "circle":
        a, b, c, d, e, f = outline.matrix or (1, 0, 0, 1, lengths["cx"], lengths["cy"])
        x, y = lengths["r"] * np.cos(2 * np.pi * share), lengths["r"] * np.sin(2 * np.pi * share)
        return np.stack([a * x + c * y + e, b * x + d * y + f])
    if outline.tag == "line":
        start, end = (complex(lengths[f"x{k}"], lengths[f"y{k}"]) for k in (1, 2))
        along = (end - start) / abs(end - start)
        points = np.append(
            start + share * (end - start) + 1j * along * outline.stroke / 2, end + along * outline.stroke / 2
        )
        return np.stack([points.real, points.imag])
    corners, points = [complex(*point) for point in outline.points], []
    centre = np.mean(corners)
    for k, (start, end) in enumerate(zip(corners, np.roll(corners, -1), strict=True)):
        points += (start + share * (end - start)).tolist() if outline.tag == "polygon" or k % 2 else []
        if outline.tag == "path" and k % 2 == 0:  # an arc around the corner
            outward = 1j * (end - start) / abs(end - start)
            outward *= np.sign((((start + end) / 2 - centre).conjugate() * outward).real)
            points.append(
                (start + end) / 2 + outward * (outline.arc - np.sqrt(outline.arc**2 - abs(end - start) ** 2 / 4))
            )
    return np.stack([np.real(points), np.imag(points)])


@pytest.mark.parametrize("outset", [-0.8, 0.0, 0.7, 2.0])
def test_the_rim_of_an_outline_is_at_its_distance(primitive, outset):
    scene = seeded_ones(np.random.default_rng(9), CANVAS, primitive.name, 6)
    for i, shape in enumerate(zip(*shapes_of(scene), strict=True)):
        rim = rim_of(primitive.outline(tuple(map(float, shape)), outset))
        np.testing.assert_allclose(at(rim, scene.select([i])), outset, atol=1e-3)


def test_an_ellipse_with_equal_axes_draws_as_a_circle(rng):
    circles = seeded(rng, CANVAS, "circle", *rng.uniform(0, 40, (2, 9)), rng.uniform(1, 9, 9), rng.uniform(0.3, 4, 9))
    names = ("x", "y", "colour", "opacity", "softness")
    columns = {name: circles.colour if name == "colour" else circles.column(name) for name in names}
    columns |= {"size": np.log(circles.column("radius").astype(float)), "stretch": 0.0, "shear": 0.0}
    ellipses = scene_of(CANVAS, "ellipse", columns)
    np.testing.assert_allclose(reference.render(ellipses), reference.render(circles), rtol=0, atol=1e-5)
    made = Scene.ellipses(
        CANVAS, **{name: columns[name] for name in names}, radius_x=circles.column("radius"),
        radius_y=circles.column("radius"), angle=rng.uniform(0, 360, 9),
    )  # fmt: skip
    np.testing.assert_allclose(made.rows, ellipses.rows, rtol=0, atol=1e-5)


# --- bounds ---


@settings(max_examples=8)
@given(seed=SEEDS, margin=st.sampled_from([0.0, 0.5, 3.0]))
def test_bounds_hold_all_that_lies_within_the_margin(seed, margin):
    points = around(step=2.3)
    for primitive in PRIMITIVES.values():
        scene = any_scene(primitive, seed, 12)
        left, top, right, bottom = primitive.bounds(shapes_of(scene), np.full(scene.count, margin))
        row, point = np.nonzero(at(points, scene) < margin)
        x, y = points[:, point]
        slack = 1e-6
        assert (x >= left[row] - slack).all() and (x <= right[row] + slack).all()
        assert (y >= top[row] - slack).all() and (y <= bottom[row] + slack).all()


# --- what scenes do with shapes ---


def test_a_scaled_scene_has_the_same_picture_and_a_moved_one_has_it_moved(primitive, rng):
    for edge in primitive.falloffs:
        canvas = Canvas(WIDTH, HEIGHT, (0.1, 0.5, 0.9), edge)
        scene = seeded(rng, canvas, primitive.name, *rng.uniform(0, 40, (2, 12)), rng.uniform(1, 9, 12), 0.7)
        large = scene.scaled(3 * WIDTH)
        # Every third pixel of the large picture has its centre where one of the small one has.
        np.testing.assert_allclose(reference.render(large)[1::3, 1::3], reference.render(scene), rtol=0, atol=2e-4)
        np.testing.assert_allclose(large.scaled(WIDTH).rows, scene.rows, rtol=1e-5, atol=1e-5)
    scene = seeded(rng, CANVAS, primitive.name, *rng.uniform(0, 30, (2, 12)), rng.uniform(1, 9, 12), 0.7)
    moved = scene.moved(7, -5)
    np.testing.assert_allclose(
        reference.render(moved)[:-5, 7:], reference.render(scene)[5:, :-7], rtol=0, atol=2e-4
    )  # fmt: skip
    np.testing.assert_allclose(moved.centres() - scene.centres(), np.tile([7.0, -5.0], (12, 1)), atol=1e-4)
    np.testing.assert_allclose(moved.thickness(), scene.thickness(), rtol=1e-4)
    far = wild(rng, CANVAS, primitive.name, 12)
    for width in (1, 65536):  # what leaves the limits stays at them
        assert np.isfinite(far.scaled(width).scaled(WIDTH).rows).all()


# --- newcomers ---


def test_newcomers_are_as_large_as_circles_and_around_their_places(primitive):
    rng, points = np.random.default_rng(3), around(0, 100, 0.37)
    x, y, radius = np.full(9, 50.0), np.full(9, 45.0), np.linspace(4, 12, 9)
    scene = seeded(rng, Canvas(100, 100), primitive.name, x, y, radius, 0.5)
    area = (at(points, scene) < 0).sum(axis=1) * 0.37**2
    np.testing.assert_allclose(area, np.pi * radius**2, rtol=0.02)
    np.testing.assert_allclose(scene.centres(), np.stack([x, y], axis=1), atol=1e-4)


@settings(max_examples=8)
@given(seed=SEEDS)
def test_newcomers_are_within_the_limits_of_a_fit_and_equal_for_an_equal_seed(seed):
    rng = np.random.default_rng(seed)
    x, y, radius = rng.uniform(0, WIDTH, 9), rng.uniform(0, HEIGHT, 9), rng.uniform(0.5, 6, 9)
    coherence, angle = rng.uniform(0, 1, 9), rng.uniform(-np.pi, np.pi, 9)
    for primitive in PRIMITIVES.values():
        first, second = (primitive.seed(x, y, radius, coherence, angle, np.random.default_rng(seed)) for _ in range(2))
        for column, values, again in zip(primitive.columns, first, second, strict=True):
            low, high = column.limits(WIDTH, HEIGHT, Look())
            np.testing.assert_array_equal(values, again)
            if column.unit not in ("x", "y"):  # which a seeder keeps on the canvas, for the middle
                assert (values >= low - 1e-6).all() and (values <= high + 1e-6).all(), column.name


def test_newcomers_lie_along_the_direction_of_the_picture(primitive):
    if primitive.name == "circle":
        pytest.skip("a circle has no direction")
    rng, count, angle = np.random.default_rng(8), 100, 0.6
    full, none = np.ones(count), np.zeros(count)
    shape = primitive.seed(none + 50, none + 50, none + 8, full, none + angle, rng)
    scene = scene_of(Canvas(100, 100), primitive.name, {
        "colour": np.zeros((count, 3)), "opacity": full, "softness": full,
        **dict(zip([column.name for column in primitive.columns], shape, strict=True)),
    })  # fmt: skip
    points = around(0, 100, 2.0)
    inside = (at(points, scene) < 0).sum(axis=0)  # how many shapes cover each point
    spread = np.cov(points - 50, fweights=inside)
    values, vectors = np.linalg.eigh(spread)
    long = vectors[:, 1] * np.sign(vectors[0, 1])
    assert values[1] > 1.5 * values[0]
    assert np.arctan2(long[1], long[0]) == pytest.approx(angle, abs=0.1)


# --- limits ---


@settings(max_examples=8)
@given(seed=SEEDS)
def test_limited_shapes_are_as_thick_as_the_thinnest_and_stay_as_they_are(seed):
    rng = np.random.default_rng(seed)
    for primitive in PRIMITIVES.values():
        limits = [(column.limits(WIDTH, HEIGHT, Look()), column.transform == "log") for column in primitive.columns]
        limits = [np.log(pair) if is_log else pair for pair, is_log in limits]
        once = primitive.limited(np, [rng.uniform(low, high, 50) for low, high in limits])
        again = primitive.limited(np, once)
        for (low, high), first, second in zip(limits, once, again, strict=True):
            assert (first >= low - 1e-9).all() and (first <= high + 1e-9).all()
            np.testing.assert_allclose(second, first, rtol=1e-9, atol=1e-12)
        if primitive.name == "ellipse":
            assert primitive.thickness(once).min() >= 0.5 * (1 - 1e-9)


# --- pieces ---


def to_segment(px, py, start, end):
    along = end - start
    square = max(float(along @ along), 1e-30)
    t = np.clip(((px - start[0]) * along[0] + (py - start[1]) * along[1]) / square, 0, 1)
    return np.hypot(px - start[0] - t * along[0], py - start[1] - t * along[1])


def inside(corners, px, py):
    """Whether points are in a convex polygon."""
    corners = np.array(corners)
    sides = [
        ex * (py - y) - ey * (px - x)
        for (x, y), (ex, ey) in zip(corners, np.roll(corners, -1, 0) - corners, strict=True)
    ]
    return np.all(np.array(sides) >= 0, axis=0) | np.all(np.array(sides) <= 0, axis=0)


def near_a_side(corners, px, py):
    corners = np.array(corners)
    sides = zip(corners, np.roll(corners, -1, 0), strict=True)
    return np.min([to_segment(px, py, start, end) for start, end in sides], axis=0) < 1e-6


@pytest.mark.parametrize("make", [seeded_ones, degenerate], ids=["seeded", "degenerate"])
def test_pieces_divide_what_lies_within_reach_and_give_its_distance(primitive, make):
    reach = 4.0
    points = around(-10, 50, 0.61)
    scene = make(np.random.default_rng(9), CANVAS, primitive.name, 6)
    distances = at(points, scene)
    for i, shape in enumerate(zip(*shapes_of(scene), strict=True)):
        pieces = primitive.pieces(tuple(map(float, shape)), reach)
        held = [inside(piece.corners, *points) for piece in pieces]
        clear = ~np.any([near_a_side(piece.corners, *points) for piece in pieces], axis=0)
        if pieces:
            assert (np.sum(held, axis=0) == 1)[clear & (distances[i] < reach)].all()
        for piece, own in zip(pieces, held, strict=True):
            dx, dy = points[0] - piece.x, points[1] - piece.y
            if piece.turn is None:
                away = np.hypot(dx, dy)
            else:
                away = dx * np.cos(np.radians(piece.turn)) + dy * np.sin(np.radians(piece.turn))
                away = np.abs(away) if piece.mirrored else away
            here = own & clear & (distances[i] < reach)
            np.testing.assert_allclose(piece.distance + away[here], distances[i][here], atol=1e-4)
