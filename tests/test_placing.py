"""Placing in closed form, by every kernel and of every primitive, against float64 and the reference renderer."""

import numpy as np
import pytest
from shapes import KIND_IDS, KINDS, MIXED, crowd

from artpipe import Canvas, InputError, RendererOptions, Scene, load_renderer, mean_squared_error
from artpipe.renderers.kernels import reference
from artpipe.renderers.losses.metrics import pixel_shares

# Canvas sizes with and without partial tiles.
PROBLEMS = [
    *[((37, 29), kind) for kind in KINDS],
    *[(s, (MIXED, "linear")) for s in ((32, 24), (5, 3), (1, 1), (9, 40))],
]
PLACING = {
    "numba": ("cpu", None),
    "torch": ("torch", RendererOptions(kernel="dense")),
    "jax": ("jax", RendererOptions(kernel="dense")),
}


@pytest.fixture(params=["numba", "torch"])
def kernel(request):
    return load_renderer(*PLACING[request.param]).kernel


# The dense kernels differ only in their sums, which JAX compiles for each size, count and set of primitives.
@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name == "jax")) for name in PLACING])
def any_kernel(request):
    return load_renderer(*PLACING[request.param]).kernel


@pytest.fixture
def tiled():
    return load_renderer("cpu").kernel


class Problem:
    """A start scene, a target and weights, all random, and candidates in and around the canvas that overlap."""

    def __init__(self, kind=(MIXED, "linear"), size=(37, 29), seed=0):
        self.rng, (self.primitive, edge) = np.random.default_rng(seed), kind
        self.canvas = Canvas(*size, (0.2, 0.4, 0.6), edge)
        self.weights = self.rng.uniform(0, 1, (self.canvas.height, self.canvas.width))
        self.shares = pixel_shares(self.weights, self.canvas.height, self.canvas.width)
        self.start = self.candidates(6)
        self.target = reference.render(self.candidates(30)).astype(np.float32)
        self.image = reference.render(self.start)

    def candidates(self, count, opacity=(0.3, 0.99), moved=0.0):
        """A scene of candidates."""
        scene = crowd(
            self.rng, count, self.canvas.width, self.canvas.height, self.canvas.edge, self.primitive,
            radius=(1, 10), softness=(0.2, 3), opacity=opacity,
        )  # fmt: skip
        return scene.moved(moved, 0.0)

    def arrays(self, image):
        """The first arguments of kernels."""
        planes = np.ascontiguousarray(np.moveaxis(self.target, 2, 0), np.float32)
        return np.float32(self.image if image is None else image), self.canvas, planes, np.float32(self.shares)

    def place(self, kernel, candidates, count, opacity_min=1.0, costs=None, image=None):
        """The indices of the chosen candidates, and a scene of them."""
        costs = np.ones(candidates.count, np.float32) if costs is None else np.float32(costs)
        order, rows = kernel.place(*self.arrays(image), candidates.rows, candidates.kinds, costs, count, opacity_min)
        return order.tolist(), Scene(rows, self.canvas, kinds=candidates.kinds[order])

    def coloured(self, kernel, candidates):
        return candidates.with_rows(kernel.coloured(*self.arrays(None), candidates.rows, candidates.kinds))

    def best(self, one, image):
        """The best colour of a scene of one row on a picture, its gain, and the picture with it; float64."""
        light = reference.render(one.with_columns(colour=np.zeros(3)).with_background((1, 1, 1)))
        a = 1 - light[:, :, :1]
        w = self.shares[:, :, None]
        weight = np.sum(w * a * a)
        along = np.sum(w * a * (self.target - (1 - a) * image), axis=(0, 1))
        colour = np.clip(along / weight, 0, 1) if weight > 0 else np.zeros(3)
        painted = (1 - a) * image + a * colour
        gain = np.sum(w * ((image - self.target) ** 2 - (painted - self.target) ** 2))
        return colour, gain, painted

    def loss(self, scene):
        return mean_squared_error(reference.render(scene), self.target, self.weights)

    def losses(self, chosen):
        """The losses with none of them on top of the start, the first, the first two, …"""
        parts = [chosen.select(np.arange(count)) for count in range(chosen.count + 1)]
        return [self.loss(self.start.append(part.rows, part.kinds)) for part in parts]


def singles(scene):
    return [scene.select([i]) for i in range(scene.count)]


def shape_and_softness(scene):
    """The scene with equal paint."""
    return scene.with_columns(colour=np.zeros(3), opacity=1.0)


@pytest.mark.parametrize(("size", "kind"), PROBLEMS, ids=str)
def test_a_lone_candidate_gets_the_colour_of_weighted_least_squares(any_kernel, size, kind):
    problem = Problem(kind, size)
    candidates, compared = problem.candidates(10), 0
    coloured = problem.coloured(any_kernel, candidates)
    np.testing.assert_array_equal(
        coloured.with_columns(colour=np.zeros(3)).rows, candidates.with_columns(colour=np.zeros(3)).rows
    )
    for k, one in enumerate(singles(candidates)):
        colour, gain, _ = problem.best(one, problem.image)
        if abs(gain) > 1e-6:
            np.testing.assert_allclose(coloured.colour[k], colour, atol=1e-3)
        if gain < 1e-6 or compared == 4:  # float32 cannot tell less from 0
            continue
        order, chosen = problem.place(any_kernel, one, 1)
        assert order == [0]
        np.testing.assert_allclose(chosen.colour[0], colour, atol=2e-4)
        np.testing.assert_array_equal(chosen.opacity, one.opacity)
        np.testing.assert_array_equal(shape_and_softness(chosen).rows, shape_and_softness(one).rows)
        before, after = problem.losses(chosen)
        assert before - after == pytest.approx(gain, rel=1e-3, abs=1e-8)
        compared += 1
    assert compared > 0


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_each_chosen_row_lowers_the_reference_loss(kernel, kind):
    problem = Problem(kind)
    candidates = problem.candidates(24)
    before = candidates.rows.copy()
    order, chosen = problem.place(kernel, candidates, 24)
    assert 4 < len(order) < 24 and len(set(order)) == len(order)
    assert (np.diff(problem.losses(chosen)) < 1e-8).all()
    np.testing.assert_array_equal(shape_and_softness(chosen).rows, shape_and_softness(candidates.select(order)).rows)
    np.testing.assert_array_equal(candidates.rows, before)
    free_opacities = problem.place(kernel, problem.candidates(16, opacity=(0.2, 0.95)), 16, 0.3)[1]
    assert free_opacities.count and (np.diff(problem.losses(free_opacities)) < 1e-8).all()
    other_colours = candidates.with_columns(colour=problem.rng.uniform(0, 1, (24, 3)))
    assert problem.place(kernel, other_colours, 24)[1].same_as(chosen)


def test_the_first_chosen_is_the_candidate_with_the_largest_gain(kernel):
    problem = Problem()
    candidates = problem.candidates(30)
    gains = [problem.best(one, problem.image)[1] for one in singles(candidates)]
    assert problem.place(kernel, candidates, 1)[0] == [int(np.argmax(gains))]
    costs = problem.rng.uniform(0.2, 5, 30)
    assert problem.place(kernel, candidates, 1, costs=costs)[0] == [int(np.argmax(gains / costs))]
    assert problem.place(kernel, candidates, 9)[0][0] == int(np.argmax(gains))


def test_lazy_greedy_equals_plain_greedy_where_painting_can_only_lower_other_gains(kernel):
    # White on black: whatever is painted leaves less to gain.
    problem = Problem()
    problem.target, problem.image = np.ones_like(problem.target), np.zeros_like(problem.image)
    candidates = problem.candidates(16)
    ones, image, left, steps = singles(candidates), problem.image, list(range(16)), []
    while left:
        gains = [problem.best(ones[i], image)[1] for i in left]
        if max(gains) <= 0:  # the rest are outside the canvas
            break
        steps.append(left.pop(int(np.argmax(gains))))
        image = problem.best(ones[steps[-1]], image)[2]
    order, chosen = problem.place(kernel, candidates, 16)
    assert sorted(order) == sorted(steps)
    if kernel.name == "numba":  # the dense kernel paints disjoint candidates at once
        assert order == steps
    black = chosen.with_background((0, 0, 0))
    np.testing.assert_allclose(reference.render(black), image, atol=2e-5)


@pytest.mark.parametrize("seed", range(2))
def test_lazy_greedy_equals_the_same_loop_in_float64(tiled, seed):
    """A gain is recomputed when its candidate is the best; the others keep their old gains."""
    problem = Problem(seed=seed)
    candidates = problem.candidates(16)
    ones, image, order = singles(candidates), problem.image, []
    gains = {i: problem.best(one, image)[1] for i, one in enumerate(ones)}
    fresh = set(gains)
    while gains and max(gains.values()) > 0:
        i = max(gains, key=gains.__getitem__)
        if i in fresh:
            image = problem.best(ones[i], image)[2]
            order.append(i)
            del gains[i]
            fresh = set()
        else:
            gains[i] = problem.best(ones[i], image)[1]
            fresh.add(i)
    assert problem.place(tiled, candidates, 16)[0] == order


@pytest.mark.parametrize("opacity_min", [0.3, 1.0])
def test_candidates_without_gain_are_not_chosen(kernel, opacity_min):
    problem = Problem()
    candidates = problem.candidates(16, opacity=(0.9, 0.9))
    outside, invisible = candidates.moved(-200, 0), candidates.with_columns(opacity=0)
    # The last: on the target itself, which is not flat, every flat shape does harm.
    for rows, image in ((outside, problem.image), (invisible, problem.image), (candidates, problem.target)):
        order, chosen = problem.place(kernel, rows, 16, opacity_min, image=image)
        assert order == [] and chosen.count == 0


def test_pixels_without_weight_do_not_count(kernel):
    problem = Problem(("circle", "linear"))
    weights = np.zeros((29, 37))
    weights[:, :10] = 1
    problem.shares = pixel_shares(weights, 29, 37)
    # The leftmost centre, -5, is moved to 26, and reaches at most 13 to the left.
    assert problem.place(kernel, problem.candidates(12, moved=31), 12)[0] == []
    problem.shares = np.zeros_like(problem.shares)
    rows = problem.candidates(5)
    assert problem.coloured(kernel, rows).same_as(rows)


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_a_free_opacity_has_nearly_the_largest_gain(kernel, kind):
    problem = Problem(kind)
    for one in singles(problem.candidates(6, opacity=(0.6, 0.95))):
        full, free = (problem.place(kernel, one, 1, least)[1] for least in (1.0, 0.3))
        assert free.count >= full.count
        if not free.count:
            continue
        assert 0.3 - 1e-6 <= free.opacity[0] <= one.opacity[0]
        if full.count:
            losses = [problem.losses(chosen)[1] for chosen in (full, free)]
            assert losses[1] <= losses[0] + 1e-8
        colour, gain, _ = problem.best(free, problem.image)
        if gain > 1e-5:
            np.testing.assert_allclose(free.colour[0], colour, atol=2e-3)
            others = [one.with_columns(opacity=opacity) for opacity in np.linspace(0.3, one.opacity[0], 12)]
            most = max(problem.best(other, problem.image)[1] for other in others)
            assert 0.8 * most < gain < 1.01 * most


def test_a_lower_opacity_is_found_where_it_fits(kernel):
    problem = Problem()
    problem.image = problem.rng.uniform(0, 1, problem.target.shape)
    for one in singles(problem.candidates(8, opacity=(0.9, 0.9))):
        veil = one.with_columns(opacity=0.6, colour=np.array([1.0, 0.0, 1.0]))  # at its limits, where it is clipped
        light = 1 - reference.render(veil.with_columns(colour=np.zeros(3)).with_background((1, 1, 1)))
        problem.target = np.float32(problem.image + light * (veil.colour[0] - problem.image))
        if problem.best(veil, problem.image)[1] < 1e-5:
            continue
        chosen = [problem.place(kernel, one, 1, least)[1] for least in (0.9, 0.3)]
        gains = [problem.best(part, problem.image)[1] for part in chosen if part.count]
        assert 0.55 < chosen[1].opacity[0] < 0.85  # after two iterations from 0.9
        assert gains[-1] > gains[0] or len(gains) == 1


def test_at_most_the_requested_or_offered_count_is_chosen(kernel):
    problem = Problem()
    candidates = problem.candidates(20)
    _, most = problem.place(kernel, candidates, 20)
    for count in (0, 1, 7, 500):
        order, chosen = problem.place(kernel, candidates, count)
        assert len(order) == chosen.count <= min(count, 20)
        expected = most.select(np.arange(len(order)))  # fewer are the beginning of more
        np.testing.assert_array_equal(chosen.rows, expected.rows)
    nothing = candidates.select([])
    assert problem.place(kernel, nothing, 5)[0] == []
    assert problem.coloured(kernel, nothing).count == 0


@pytest.mark.parametrize("kind", KINDS, ids=KIND_IDS)
def test_rows_across_every_side_of_the_canvas_are_painted(kernel, kind):
    problem = Problem(kind)
    problem.target = np.float32(1) - problem.image.astype(np.float32)
    plain, places = problem.candidates(8, opacity=(0.9, 0.9)), [-3, 40, 18, 18, -2, 39, 0, 18]
    steps = np.stack([places, [14, 14, -3, 32, -2, 31, 29, 14]], axis=1) - plain.centres()
    rows = Scene.stacked([one.moved(dx, dy) for one, (dx, dy) in zip(singles(plain), steps, strict=True)])
    order, chosen = problem.place(kernel, rows, 8)
    assert len(order) >= 6
    image = problem.image
    for i, colour in zip(order, chosen.colour, strict=True):
        expected, _, image = problem.best(rows.select([i]), image)
        np.testing.assert_allclose(colour, expected, atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_candidates_that_are_not_finite_are_refused(kernel, value):
    problem = Problem()
    candidates = problem.candidates(4)
    for k in range(4):
        rows = candidates.rows.copy()
        rows[k, candidates.select([k]).primitives[0].width - 1] = value
        arrays, costs = problem.arrays(None), np.ones(4, np.float32)
        with pytest.raises(InputError, match=rf"row {k} has {value} in its"):
            kernel.place(*arrays, rows, candidates.kinds, costs, 1, 1.0)
        with pytest.raises(InputError, match=rf"row {k} has {value} in its"):
            kernel.coloured(*arrays, rows, candidates.kinds)
