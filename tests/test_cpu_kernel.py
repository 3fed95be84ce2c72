"""The tiled kernel: any scene against the reference; the same bits for any threads, bands and earlier calls."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapes import KIND_IDS, KINDS, MIXED, NAMES, crowd, scene_of, softness_of

from artpipe import Canvas, InputError, Scene, load_renderer
from artpipe.renderers.kernels import reference
from artpipe.renderers.kernels.numba import kernel as cpu_kernel
from artpipe.renderers.kernels.numba.kernel import CpuKernel, shared_kernel
from artpipe.renderers.kernels.numba.shapes.layout import TILE_HEIGHT, TILE_WIDTH
from artpipe.renderers.kernels.numba.tiles import TRANSMITTANCE_FLOOR
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.primitives.table import PRIMITIVES

UNITS = st.floats(0, 1, width=32)
OPACITIES = st.one_of(UNITS, st.sampled_from([0.0, 1.0]))
# Positions in and around the canvas, on pixel centres and on tile borders.
POSITIONS = st.one_of(
    st.floats(-20, 60, width=32), st.integers(-1, 50).map(lambda i: i + 0.5), st.sampled_from([0.0, 16.0, 32.0])
)  # fmt: skip
AWAY = st.one_of(st.just(0.0), st.floats(-(2**19), 2**19, width=32))
RADII = st.one_of(st.floats(0.0625, 30, width=32), st.sampled_from([0.5, 8.0, 16.0]), st.floats(30, 400, width=32))
RIMS = st.one_of(st.floats(0.125, 8, width=32), st.sampled_from([0.5, 16.0]))
VALUES = {"x": POSITIONS, "y": POSITIONS, "length": RADII, "log length": RADII.map(np.log), "share": st.floats(-1, 1)}


@st.composite
def scenes(draw):
    name, edge = draw(st.sampled_from(KINDS))
    canvas = Canvas(draw(st.integers(1, 40)), draw(st.integers(1, 40)), draw(st.tuples(UNITS, UNITS, UNITS)), edge)
    scene, place = Scene.empty(canvas), {}
    for _ in range(draw(st.integers(0, 12))):
        primitive = PRIMITIVES[draw(st.sampled_from(list(PRIMITIVES))) if name == MIXED else name]
        shape = {column.name: draw(VALUES[column.unit]) for column in primitive.columns}
        # Often many rows in one place, and coinciding points of a shape.
        shape |= {key: place[key] for key in set(shape) & set(place) if draw(st.booleans())}
        place |= {key: value for key, value in shape.items() if key[0] in "xy"}
        paint = {"colour": [draw(st.tuples(UNITS, UNITS, UNITS))], "opacity": [draw(OPACITIES)], "softness": [1.0]}
        one = scene_of(canvas, primitive.name, paint | shape)
        one = one.with_columns(softness=softness_of(canvas, one.thickness(), draw(RIMS))).moved(draw(AWAY), 0.0)
        scene = scene.append(one.rows, one.kinds)
    return scene


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(plain=scenes(), seed=st.integers(0, 2**32 - 1), weighted=st.booleans())
def test_any_scene_has_the_picture_gradient_and_worth_of_the_reference(
    off_kinks, picture_tolerance, gradient_units, assert_gradients_agree, plain, seed, weighted
):
    scene = off_kinks(plain)
    rng, shape = np.random.default_rng(seed), (scene.canvas.height, scene.canvas.width)
    target = rng.uniform(0, 1, (*shape, 3)).astype(np.float32)
    weights = rng.uniform(0.01, 1, shape) if weighted else None
    kernel, cpu = 4 * picture_tolerance(scene), load_renderer("cpu")

    picture = reference.render(scene)
    np.testing.assert_allclose(cpu.render(scene), picture, rtol=0, atol=picture_tolerance(scene) + TRANSMITTANCE_FLOOR)

    image_gradient = 2 * pixel_shares(weights, *shape)[:, :, None] * (picture - target)
    loss, by_rows, by_background = cpu.loss_and_gradient(scene, target, weights)
    expected_loss, expected_by_rows, expected_by_background = reference.loss_and_gradient(scene, target, weights)
    assert loss == pytest.approx(expected_loss, rel=kernel + TRANSMITTANCE_FLOOR, abs=1e-9)
    units = gradient_units(scene, image_gradient)
    assert_gradients_agree(by_rows, expected_by_rows, units, kernel, TRANSMITTANCE_FLOOR)
    whole = np.abs(image_gradient).sum()
    assert_gradients_agree(by_background, expected_by_background, whole, kernel, TRANSMITTANCE_FLOOR)

    worth, expected_worth = cpu.worth(scene, target, weights), reference.worth(scene, target, weights)
    largest = np.abs(expected_worth).max(initial=0)
    np.testing.assert_allclose(worth, expected_worth, rtol=0, atol=(kernel + TRANSMITTANCE_FLOOR) * largest + 1e-7)


@pytest.fixture(params=KINDS, ids=KIND_IDS)
def problem(request, rng):
    """200 shapes on 7 x 5 tiles, a target in planes, shares, and a gradient on the picture."""
    name, edge = request.param
    scene = crowd(rng, 200, 100, 70, edge, name, radius=(0.5, 12))
    target = rng.uniform(0, 1, (3, 70, 100)).astype(np.float32)
    return scene, target, pixel_shares(None, 70, 100).astype(np.float32), rng.normal(size=(70, 100, 3))


def everything(kernel, problem):
    """All results of a kernel for a problem, as one list of arrays."""
    scene, target, shares, image_gradient = problem
    answers = [kernel.render(scene.rows, scene.kinds, scene.canvas)]
    for answer in (
        kernel.loss_and_gradient(scene.rows, scene.kinds, scene.canvas, target, shares),
        kernel.vjp(scene.rows, scene.kinds, scene.canvas, image_gradient),
        kernel.worth(scene.rows, scene.kinds, scene.canvas, target, shares),
    ):
        answers += answer
    return [np.asarray(answer) for answer in answers]


def assert_same_bits(got, want):
    for left, right in zip(got, want, strict=True):
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes()


def test_the_bits_do_not_depend_on_threads_or_earlier_calls(problem, rng):
    want = everything(CpuKernel(threads=1), problem)
    for threads in (2, 3):
        kernel = CpuKernel(threads=threads)
        for _ in range(4):  # tiles are claimed in another order each time
            assert_same_bits(everything(kernel, problem), want)
    for count, width, height in ((500, 130, 90), (0, 3, 2), (7, 20, 150)):
        scene = crowd(rng, count, width, height, primitive=MIXED if count else "circle")
        target, shares = np.ones((3, height, width), np.float32), np.ones((height, width), np.float32)
        everything(kernel, (scene, target, shares, np.ones((height, width, 3))))
    assert_same_bits(everything(kernel, problem), want)


def test_several_threads_may_call_one_kernel_at_once(rng):
    scenes = [crowd(rng, 30, 40 + 9 * k, 60 - 7 * k, primitive=MIXED) for k in range(6)]
    kernel = CpuKernel(threads=2)
    alone = [kernel.render(scene.rows, scene.kinds, scene.canvas) for scene in scenes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda scene: kernel.render(scene.rows, scene.kinds, scene.canvas), scenes * 20))
    for k, picture in enumerate(together):
        assert_same_bits([picture], [alone[k % len(scenes)]])


def test_a_scene_drawn_in_bands_is_the_same_as_in_one_piece(problem, monkeypatch):
    whole = everything(CpuKernel(threads=2), problem)
    for held in (1, 150):
        monkeypatch.setattr(cpu_kernel, "ENTRIES_HELD", held)
        banded = CpuKernel(threads=2)
        pieces = everything(banded, problem)
        assert banded.entry_count > 3 * held  # there were several bands
        assert_same_bits(pieces[:1], whole[:1])
        # Sums over tiles are added band by band, in float64: only their last bits may differ.
        for left, right in zip(pieces[1:], whole[1:], strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-12)


def test_entry_count_counts_the_tiles_that_circles_touch():
    w, h = TILE_WIDTH, TILE_HEIGHT
    x, y = [0.5 * w, w, 1.5 * w, 9 * w], [0.5 * h, h, h, 9 * h]
    scene = Scene.circles(Canvas(3 * w, 2 * h), x=x, y=y, radius=[w / 4, w / 4, 99, w / 4], colour=np.ones((4, 3)))
    kernel = CpuKernel(threads=1)
    kernel.render(scene.rows, scene.kinds, scene.canvas)
    assert kernel.entry_count == 1 + 4 + 6 + 0


def test_a_numpy_view_is_drawn_like_its_copy(problem):
    scene, _, _, image_gradient = problem
    kernel, kinds, canvas = shared_kernel(), scene.kinds, scene.canvas
    flipped = np.asfortranarray(scene.rows[::-1])[::-1]
    assert_same_bits([kernel.render(flipped, kinds, canvas)], [kernel.render(scene.rows, kinds, canvas)])
    folded = np.moveaxis(np.ascontiguousarray(np.moveaxis(image_gradient, 2, 0)), 0, 2)
    answers = (kernel.vjp(scene.rows, kinds, canvas, gradient) for gradient in (folded, image_gradient))
    assert_same_bits(*answers)


INFINITE = st.sampled_from([np.nan, np.inf, -np.inf])
CALLS = {
    "render": lambda kernel, rows, kinds, canvas, case: kernel.render(rows, kinds, canvas),
    "loss_and_gradient": lambda kernel, rows, kinds, canvas, case: kernel.loss_and_gradient(rows, kinds, canvas, *case),
    "vjp": lambda kernel, rows, kinds, canvas, case: kernel.vjp(rows, kinds, canvas, np.ones((9, 11, 3), np.float32)),
    "worth": lambda kernel, rows, kinds, canvas, case: kernel.worth(rows, kinds, canvas, *case),
}


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=30)
@given(primitive=st.sampled_from(NAMES), count=st.integers(1, 9), at=st.integers(0), value=INFINITE)
def test_rows_that_are_not_finite_are_refused_before_they_are_drawn(call, primitive, count, at, value):
    """The inner loops are compiled for finite numbers: NaN and infinity would give arbitrary results."""
    canvas, case = Canvas(11, 9), (np.zeros((3, 9, 11), np.float32), np.ones((9, 11), np.float32))
    scene = crowd(np.random.default_rng(1), count, 11, 9, primitive=primitive)
    row = at % count
    bad = scene.rows.copy()
    bad[row, at % scene.select([row]).primitives[0].width] = value
    with pytest.raises(InputError, match=f"row {row} has {value} in its .*; needs a finite number"):
        CALLS[call](shared_kernel(), bad, scene.kinds, canvas, case)
    CALLS[call](shared_kernel(), scene.rows, scene.kinds, canvas, case)


@settings(max_examples=20)
@given(at=st.integers(0, 9 * 11 * 3 - 1), value=INFINITE)
def test_a_gradient_on_the_picture_that_is_not_finite_is_refused(at, value):
    scene = Scene.circles(Canvas(11, 9), x=[4], y=[4], radius=[3], colour=[[0.5] * 3])
    image_gradient = np.ones((9, 11, 3), np.float32)
    image_gradient.reshape(-1)[at] = value
    with pytest.raises(InputError, match="gradient on the picture is not finite"):
        shared_kernel().vjp(scene.rows, scene.kinds, scene.canvas, image_gradient)


@pytest.mark.parametrize("softness", [0.45, 1.7])
def test_a_triangle_whose_edges_pass_through_pixel_centres_has_the_gradient_of_the_reference(softness, rng):
    corners = np.array(
        [[4.2, 4.5, 20.3, 4.5, 12.25, 20.6], [6.5, 3.2, 6.5, 20.1, 23.4, 11.3], [3.1, 3.1, 19.4, 19.4, 3, 22]]
    )
    names = [column.name for column in PRIMITIVES["triangle"].columns]
    columns = dict(zip(names, corners.T, strict=True))
    canvas, colour = Canvas(26, 26), rng.uniform(0, 1, (3, 3))
    scene = scene_of(
        canvas, "triangle", {**columns, "colour": colour, "opacity": [0.7] * 3, "softness": [softness] * 3}
    )
    target = rng.uniform(0, 1, (26, 26, 3))
    own, exact = (load_renderer(name).loss_and_gradient(scene, target)[1] for name in ("cpu", "reference"))
    np.testing.assert_allclose(own, exact, rtol=1e-3, atol=3e-4 * np.abs(exact).max())
