"""Placing in closed form, against plain numpy in float64 and the reference renderer."""

import numpy as np
import pytest
from shapes import place_of

from artpipe import Canvas, InputError, Scene, mean_squared_error
from artpipe.renderers.kernels import reference
from artpipe.renderers.kernels.numba.placing import PlacingBoard
from artpipe.renderers.losses.metrics import pixel_shares
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES

SIZES = ((32, 24), (37, 29), (5, 3), (1, 1), (9, 40))  # widths that are a multiple of eight, and that are none
X, Y, RADIUS, OPACITY, SOFTNESS = map(place_of, ("x", "y", "radius", "opacity", "softness"))
COLOUR = [place_of(name) for name in ("red", "green", "blue")]


class Problem:
    """A start scene, a target and weights, all random, and the board that is judged."""

    def __init__(self, edge, size=(37, 29), seed=0, start_count=6):
        self.rng = np.random.default_rng(seed)
        self.canvas = Canvas(*size, (0.2, 0.4, 0.6), edge)
        self.weights = self.rng.uniform(0, 1, (self.canvas.height, self.canvas.width))
        self.shares = pixel_shares(self.weights, self.canvas.height, self.canvas.width)
        self.start = Scene.empty(self.canvas).append(self.candidates(start_count, colours=True))
        wanted = Scene.empty(self.canvas).append(self.candidates(30, colours=True))
        self.target = reference.render(wanted).astype(np.float32)
        self.image = reference.render(self.start)
        self.board = self.board_at(self.image)

    def board_at(self, image):
        board = PlacingBoard(self.canvas, self.target, self.shares)
        board.set_image(image)
        return board

    def candidates(self, count, colours=False, opacity=(0.3, 0.99)):
        """Circles in and around the canvas that overlap, (count, 8) float32."""
        canvas = self.canvas
        rows = np.zeros((count, PRIMITIVES["circle"].width), np.float32)
        rows[:, X] = self.rng.uniform(-4, canvas.width + 4, count)
        rows[:, Y] = self.rng.uniform(-4, canvas.height + 4, count)
        rows[:, RADIUS] = self.rng.uniform(1, 10, count)
        rows[:, SOFTNESS] = self.rng.uniform(0.2, 3, count)  # pixels; see below
        rows[:, SOFTNESS] *= 1 if canvas.edge == "linear" else rows[:, RADIUS]
        rows[:, OPACITY] = self.rng.uniform(*opacity, count)
        rows[:, COLOUR] = self.rng.uniform(0, 1, (count, 3)) if colours else 0
        return rows

    def best(self, row, image):
        """The best colour of a circle on top of a picture, what it gains, and the picture with it: float64."""
        row = row.astype(np.float64)
        across = np.arange(self.canvas.width)[None, :] + 0.5
        down = np.arange(self.canvas.height)[:, None] + 0.5
        distance = np.hypot(across - row[X], down - row[Y]) - row[RADIUS]
        m = FALLOFFS[self.canvas.edge].coverage(np, distance, row[SOFTNESS], row[RADIUS])
        a = row[OPACITY] * m[:, :, None]
        w = self.shares[:, :, None]
        weight = np.sum(w * a * a)
        along = np.sum(w * a * (self.target - (1 - a) * image), axis=(0, 1))
        colour = np.clip(along / weight, 0, 1) if weight > 0 else np.zeros(3)
        painted = (1 - a) * image + a * colour
        gain = np.sum(w * ((image - self.target) ** 2 - (painted - self.target) ** 2))
        return colour, gain, painted

    def loss(self, scene):
        return mean_squared_error(reference.render(scene), self.target, self.weights)


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_lone_candidate_gets_the_colour_of_weighted_least_squares(size, edge):
    problem = Problem(edge, size)
    compared = 0
    for row in problem.candidates(40):
        colour, gain, _ = problem.best(row, problem.image)
        if gain < 1e-6:  # too little for float32 to tell from nothing
            continue
        _, chosen = problem.board_at(problem.image).choose(row[None], 1)
        assert len(chosen) == 1
        np.testing.assert_allclose(chosen[0, COLOUR], colour, atol=2e-4)
        np.testing.assert_array_equal(np.delete(chosen[0], COLOUR), np.delete(row, COLOUR))
        compared += 1
    assert compared > 3


@pytest.mark.parametrize("edge", FALLOFFS)
def test_the_gain_in_closed_form_is_what_the_reference_loss_falls_by(edge):
    problem = Problem(edge)
    for row in problem.candidates(20):
        _, gain, _ = problem.best(row, problem.image)
        _, chosen = problem.board_at(problem.image).choose(row[None], 1)
        fall = problem.loss(problem.start) - problem.loss(problem.start.append(chosen))
        if len(chosen):
            assert fall == pytest.approx(gain, rel=1e-4, abs=1e-8)
        else:
            assert gain < 1e-8


@pytest.mark.parametrize("edge", FALLOFFS)
def test_no_other_colour_would_lower_the_loss_further(edge):
    problem = Problem(edge)
    rng = np.random.default_rng(1)
    for row in problem.candidates(6):
        _, chosen = problem.board_at(problem.image).choose(row[None], 1)
        if not len(chosen):
            continue
        best = problem.loss(problem.start.append(chosen))
        for spread in (0.01, 0.1, 1.0):
            other = chosen.copy()
            other[0, COLOUR] = np.clip(other[0, COLOUR] + rng.normal(0, spread, 3), 0, 1)
            assert problem.loss(problem.start.append(other)) >= best - 1e-9


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_board_shows_the_start_with_the_chosen_painted_over_it(size, edge):
    problem = Problem(edge, size)
    np.testing.assert_allclose(problem.board.image(), problem.image, atol=1e-7)
    _, chosen = problem.board.choose(problem.candidates(30), 12)
    assert len(chosen) > 0
    np.testing.assert_allclose(problem.board.image(), reference.render(problem.start.append(chosen)), atol=2e-5)


def test_a_board_can_choose_again_and_start_again():
    problem = Problem("linear")
    candidates = problem.candidates(30)
    _, first = problem.board.choose(candidates, 4)
    _, second = problem.board.choose(problem.candidates(30), 4)
    both = problem.start.append(np.concatenate([first, second]))
    np.testing.assert_allclose(problem.board.image(), reference.render(both), atol=2e-5)
    problem.board.set_image(problem.image)
    np.testing.assert_array_equal(problem.board.choose(candidates, 4)[1], first)


def test_what_is_chosen_is_named_by_its_index_even_among_candidates_that_share_a_place():
    problem = Problem("linear")
    candidates = problem.candidates(24)
    candidates[:, X] = 18
    candidates[::3, Y] = 14
    order, rows = problem.board.choose(candidates, 24)
    assert 3 < len(order) and len(set(order.tolist())) == len(order)
    kept = [X, Y, RADIUS, SOFTNESS]
    np.testing.assert_array_equal(rows[:, kept], candidates[order][:, kept])


def test_choosing_leaves_the_candidates_as_they_were():
    problem = Problem("linear")
    candidates = problem.candidates(10)
    before = candidates.copy()
    problem.board.choose(candidates, 10)
    np.testing.assert_array_equal(candidates, before)


def test_the_colours_of_candidates_are_not_read():
    problem = Problem("linear")
    plain = problem.candidates(20)
    coloured = plain.copy()
    coloured[:, COLOUR] = problem.rng.uniform(0, 1, (20, 3))
    first, second = (problem.board_at(problem.image).choose(rows, 9)[1] for rows in (plain, coloured))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("seed", range(4))
def test_the_first_chosen_is_the_candidate_that_gains_most(seed, edge):
    problem = Problem(edge, seed=seed)
    candidates = problem.candidates(50)
    gains = [problem.best(row, problem.image)[1] for row in candidates]
    order, _ = problem.board.choose(candidates, 1)
    assert order.tolist() == [int(np.argmax(gains))]


@pytest.mark.parametrize("edge", FALLOFFS)
def test_each_chosen_circle_lowers_the_reference_loss(edge):
    problem = Problem(edge)
    _, chosen = problem.board.choose(problem.candidates(60), 60)
    assert 5 < len(chosen) < 60
    losses = [problem.loss(problem.start.append(chosen[:count])) for count in range(len(chosen) + 1)]
    assert (np.diff(losses) < 1e-8).all()


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("seed", range(4))
def test_lazy_greedy_equals_plain_greedy_where_painting_can_only_lower_other_gains(seed, edge):
    # White on black: whatever is painted leaves less to gain, never more.
    problem = Problem(edge, seed=seed)
    problem.target, problem.image = np.ones_like(problem.target), np.zeros_like(problem.image)
    candidates = problem.candidates(20)
    order, image, left = [], problem.image, list(range(20))
    while left:
        gains = [problem.best(candidates[i], image)[1] for i in left]
        order.append(left.pop(int(np.argmax(gains))))
        image = problem.best(candidates[order[-1]], image)[2]
    board = problem.board_at(problem.image)
    assert board.choose(candidates, 20)[0].tolist() == order
    np.testing.assert_allclose(board.image(), image, atol=2e-5)


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("seed", range(4))
def test_lazy_greedy_equals_the_same_loop_in_float64(seed, edge):
    """A gain is computed again when its candidate comes up; the rest keep what they had."""
    problem = Problem(edge, seed=seed)
    candidates = problem.candidates(20)
    image, order = problem.image, []
    gains = {i: problem.best(row, image)[1] for i, row in enumerate(candidates)}
    fresh = set(gains)
    while gains and max(gains.values()) > 0:
        i = max(gains, key=gains.__getitem__)
        if i in fresh:
            image = problem.best(candidates[i], image)[2]
            order.append(i)
            del gains[i]
            fresh = set()
        else:
            gains[i] = problem.best(candidates[i], image)[1]
            fresh.add(i)
    assert problem.board.choose(candidates, 20)[0].tolist() == order


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("opacity_min", [0.3, 1.0])
@pytest.mark.parametrize("case", ["beside the canvas", "invisible", "on a picture that is right already"])
def test_a_candidate_that_gains_nothing_is_not_chosen(case, opacity_min, edge):
    problem = Problem(edge)
    row = problem.candidates(1, opacity=(0.9, 0.9))
    row[0, [X, Y, RADIUS]] = (-200 if case == "beside the canvas" else 20, 15, 5)
    row[0, OPACITY] = 0 if case == "invisible" else 0.9
    # The target is no flat colour, so that a flat circle could only harm it.
    for image in (problem.target,) if case == "on a picture that is right already" else (problem.target, problem.image):
        board = problem.board_at(image)
        assert board.choose(row, 1, opacity_min)[1].shape == (0, 8)
        np.testing.assert_allclose(board.image(), image, atol=1e-7)


def test_pixels_without_weight_do_not_count():
    problem = Problem("linear")
    weights = np.zeros((29, 37))
    weights[:, :10] = 1
    problem.shares = pixel_shares(weights, 29, 37)
    rows = problem.candidates(12)
    rows[:, X] += 30  # what would be at -4 is now at 26, and reaches at most 13 to the left
    assert len(problem.board_at(problem.image).choose(rows, 12)[0]) == 0


@pytest.mark.parametrize("edge", FALLOFFS)
def test_an_opacity_that_may_be_lower_gains_at_least_as_much(edge):
    problem = Problem(edge)
    gained_more = 0
    for row in problem.candidates(30, opacity=(0.6, 0.95)):
        full, free = (problem.board_at(problem.image).choose(row[None], 1, least)[1] for least in (1.0, 0.3))
        assert len(free) >= len(full)
        if len(free):
            assert 0.3 - 1e-6 <= free[0, OPACITY] <= row[OPACITY]
            np.testing.assert_array_equal(np.delete(free[0], [2, 3, 4, 5]), np.delete(row, [2, 3, 4, 5]))
            loss_full, loss_free = (problem.loss(problem.start.append(chosen)) for chosen in (full, free))
            assert loss_free <= loss_full + 1e-8
            gained_more += loss_free < loss_full - 1e-6
    assert gained_more >= 2


@pytest.mark.parametrize("edge", FALLOFFS)
def test_a_chosen_opacity_comes_with_its_best_colour_and_nearly_its_best_value(edge):
    problem = Problem(edge)
    for row in problem.candidates(30, opacity=(0.6, 0.95)):
        _, chosen = problem.board_at(problem.image).choose(row[None], 1, 0.3)
        if not len(chosen):
            continue
        colour, gain, _ = problem.best(chosen[0], problem.image)
        if gain < 1e-5:
            continue
        np.testing.assert_allclose(chosen[0, COLOUR], colour, atol=2e-3)
        gains = []
        for opacity in np.linspace(0.3, row[OPACITY], 40):
            row_then = row.copy()
            row_then[OPACITY] = opacity
            gains.append(problem.best(row_then, problem.image)[1])
        assert 0.8 * max(gains) < gain < 1.01 * max(gains)


def test_the_least_opacity_is_never_above_a_candidate_s_own():
    problem = Problem("linear")
    rows = problem.candidates(20, opacity=(0.1, 0.2))
    for row, chosen in zip(
        rows, (problem.board_at(problem.image).choose(row[None], 1, 0.5)[1] for row in rows), strict=True
    ):
        if len(chosen):
            assert chosen[0, OPACITY] == row[OPACITY]


@pytest.mark.parametrize("edge", FALLOFFS)
def test_the_first_chosen_gains_most_with_a_free_opacity_too(edge):
    problem = Problem(edge)
    candidates = problem.candidates(25, opacity=(0.6, 0.95))
    falls = []
    for row in candidates:
        _, alone = problem.board_at(problem.image).choose(row[None], 1, 0.3)
        falls.append(problem.loss(problem.start) - problem.loss(problem.start.append(alone)))
    order, chosen = problem.board.choose(candidates, 25, 0.3)
    assert order[0] == int(np.argmax(falls))
    np.testing.assert_allclose(problem.board.image(), reference.render(problem.start.append(chosen)), atol=2e-5)
    losses = [problem.loss(problem.start.append(chosen[:count])) for count in range(len(chosen) + 1)]
    assert (np.diff(losses) < 1e-8).all()


@pytest.mark.parametrize("count", [0, 1, 7, 20, 500])
def test_never_more_are_chosen_than_asked_for_or_offered(count):
    problem = Problem("linear")
    candidates = problem.candidates(20)
    order, chosen = problem.board.choose(candidates, count)
    assert len(chosen) <= min(count, 20)
    assert len(set(order.tolist())) == len(order) == len(chosen)
    # Fewer are the beginning of more.
    _, more = problem.board_at(problem.image).choose(candidates, 20)
    np.testing.assert_array_equal(chosen, more[: len(chosen)])


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_circles_can_be_given_their_best_colours_without_being_painted(size, edge):
    problem = Problem(edge, size)
    rows = problem.candidates(30)
    coloured = problem.board.coloured(rows)
    np.testing.assert_array_equal(np.delete(coloured, COLOUR, axis=1), np.delete(rows, COLOUR, axis=1))
    np.testing.assert_allclose(problem.board.image(), problem.image, atol=1e-7)
    expected = [problem.best(row, problem.image)[0] for row in rows]
    seen = [abs(problem.best(row, problem.image)[1]) > 1e-7 for row in rows]
    np.testing.assert_allclose(coloured[seen][:, COLOUR], np.array(expected)[seen], atol=1e-3)
    assert sum(seen) > 10


def test_a_circle_where_no_pixel_counts_keeps_its_colour():
    problem = Problem("linear")
    problem.shares = np.zeros_like(problem.shares)
    rows = problem.candidates(5, colours=True)
    np.testing.assert_array_equal(problem.board_at(problem.image).coloured(rows), rows)


def test_no_candidates_are_no_circles():
    problem = Problem("linear")
    assert problem.board.choose(np.zeros((0, 8), np.float32), 5)[1].shape == (0, 8)
    assert problem.board.coloured(np.zeros((0, 8), np.float32)).shape == (0, 8)


@pytest.mark.parametrize("edge", FALLOFFS)
def test_circles_that_hang_over_every_side_are_painted_right(edge):
    problem = Problem(edge)
    rows = problem.candidates(8, opacity=(0.9, 0.9))
    rows[:, X] = [-3, 40, 18, 18, -2, 39, 0, 18]
    rows[:, Y] = [14, 14, -3, 32, -2, 31, 29, 14]
    rows[:, RADIUS] = [6, 6, 6, 6, 8, 8, 5, 100]
    rows[:, SOFTNESS] = 1 if edge == "linear" else rows[:, RADIUS]
    problem.target = np.float32(1) - problem.image.astype(np.float32)
    board = problem.board_at(problem.image)
    order, chosen = board.choose(rows, 8)
    assert len(chosen) >= 6
    np.testing.assert_allclose(board.image(), reference.render(problem.start.append(chosen)), atol=2e-5)
    image = problem.image
    for i, row in zip(order, chosen, strict=True):
        colour, _, image = problem.best(rows[i], image)
        np.testing.assert_allclose(row[COLOUR], colour, atol=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_candidates_that_are_not_finite_are_refused(value):
    board = PlacingBoard(Canvas(8, 8), np.zeros((8, 8, 3)), pixel_shares(None, 8, 8))
    candidates = Scene.circles(Canvas(8, 8), x=[4, 4], y=[4, 4], radius=[3, 3], colour=np.ones((2, 3))).rows.copy()
    candidates[1, X] = value
    for work in (lambda: board.choose(candidates, 1), lambda: board.coloured(candidates)):
        with pytest.raises(InputError, match=r"row 1 has .* in column x"):
            work()
