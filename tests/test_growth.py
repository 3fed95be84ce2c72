"""The growth of a painting as scenes: what a history keeps, and the pace at which films show it."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from shapes import limits_of, place_of

import artpipe
from artpipe import Canvas, InputError, Result, Scene
from artpipe.stages.events import Exported, Grew, Progress, Relocated, Snapshot
from artpipe.stages.exporters.growth import between, even_batches, even_keys, even_scenes, keys
from artpipe.stages.history import SNAPSHOTS_KEPT, History, LossPoint

CANVAS = Canvas(12, 10, (0.2, 0.4, 0.6))
# The limits of each column in a scene, and limits within which shapes are clearly visible.
LIMITS = limits_of()
VISIBLE = limits_of(x=(0, 12), y=(0, 10), opacity=(0.3, 1), softness=(1, 3), radius=(2, 6))
OPACITY = place_of("opacity")


def rows_within(limits, count, seed):
    """Rows between the limits, and often on them."""
    rng = np.random.default_rng(seed)
    low, high = limits
    rows = low + (high - low) * rng.uniform(0, 1, (count, len(low))).astype(np.float32)
    on_limit = rng.uniform(0, 1, rows.shape)
    return np.where(on_limit < 0.15, low, np.where(on_limit > 0.85, high, rows)).astype(np.float32)


@st.composite
def scenes(draw, limits=LIMITS, ids=None):
    ids = draw(st.lists(st.integers(0, 9), unique=True)) if ids is None else ids
    rows = rows_within(limits, len(ids), draw(st.integers(0, 2**32 - 1)))
    return Scene(rows, CANVAS, ids=np.array(ids, np.int64))


@st.composite
def two_in_one_order(draw, limits=LIMITS):
    """Two scenes whose common rows have the same order, as in a run."""
    before = draw(st.lists(st.integers(0, 9), unique=True))
    stayers = [row for row in before if draw(st.booleans())]
    added = draw(st.lists(st.integers(20, 25), unique=True))
    # Where each new row is inserted among the rows so far.
    for row in added:
        stayers.insert(draw(st.integers(0, len(stayers))), row)
    return draw(scenes(limits, before)), draw(scenes(limits, stayers))


SHARES = st.floats(0, 1)


def row_of(scene, row_id):
    """The row of an id, or None."""
    (index,) = np.nonzero(scene.ids == row_id)
    return scene.rows[index[0]] if len(index) else None


def opacity_of(scene, row_id):
    row = row_of(scene, row_id)
    return 0.0 if row is None else float(row[OPACITY])


def only(ids, wanted):
    return [row for row in ids.tolist() if row in set(wanted.tolist())]


# --- between ---


@given(before=scenes(), after=scenes(), shares=st.lists(SHARES, min_size=2, max_size=6))
def test_rows_move_in_straight_lines_and_fade_in_and_out(before, after, shares):
    shares = (0, *sorted(shares), 1)
    film = [between(before, after, share) for share in shares]
    assert film[0].same_as(before) and film[-1].same_as(after)
    for share, scene in zip(shares, film, strict=True):
        assert set(scene.ids.tolist()) <= {*before.ids.tolist(), *after.ids.tolist()}
        for row_id in np.intersect1d(before.ids, after.ids):
            start, end = (row_of(each, row_id).astype(np.float64) for each in (before, after))
            straight, got = start + share * (end - start), row_of(scene, row_id)
            np.testing.assert_allclose(got, straight, rtol=1e-6, atol=0.5)
            small = np.abs(start) + np.abs(end) < 10  # where 0.5 would hide everything
            np.testing.assert_allclose(got[small], straight[small], atol=1e-5)
    for home, other, sign in ((after, before, 1), (before, after, -1)):
        for row_id in np.setdiff1d(home.ids, other.ids):
            opacities = [opacity_of(scene, row_id) for scene in film]
            assert (sign * np.diff(opacities) >= 0).all()
            assert sorted((opacities[0], opacities[-1])) == [0, opacity_of(home, row_id)]
            for row in (row_of(scene, row_id) for scene in film):
                if row is not None:
                    np.testing.assert_array_equal(np.delete(row, OPACITY), np.delete(row_of(home, row_id), OPACITY))


@given(pair=two_in_one_order(), share=st.floats(0, 1, exclude_max=True))
def test_the_painting_order_of_both_scenes_is_kept(pair, share):
    scene = between(*pair, share)
    here = set(scene.ids.tolist())
    for each in pair:
        assert only(scene.ids, each.ids) == [row for row in each.ids.tolist() if row in here]


@given(after=scenes(VISIBLE), share=SHARES)
def test_new_shapes_appear_one_after_the_other_in_painting_order(after, share):
    scene = between(Scene.empty(CANVAS), after, share)
    shown = [opacity_of(scene, row_id) / opacity_of(after, row_id) for row_id in after.ids]
    assert (np.diff(shown) <= 1e-6).all()


@given(parts=st.tuples(scenes(), scenes(), scenes()), shares=st.tuples(SHARES, SHARES, SHARES))
@example(  # 1e6 blended with itself must not become more
    parts=(Scene([LIMITS[1]], CANVAS),) * 3, shares=(0.3, 0.1, 0.9)
)
def test_scenes_between_blended_scenes_are_valid(parts, shares):
    first, second, third = parts
    early, late = between(first, second, shares[0]), between(second, third, shares[1])
    scene = between(early, late, shares[2])
    assert scene.canvas == CANVAS and len(set(scene.ids.tolist())) == scene.count


@given(pair=two_in_one_order(VISIBLE), share=st.floats(0, 0.9999))
@example(pair=(Scene.empty(CANVAS), Scene(rows_within(VISIBLE, 5, 1), CANVAS)), share=0.0)
@example(pair=(Scene(rows_within(VISIBLE, 5, 1), CANVAS), Scene.empty(CANVAS)), share=0.9999)
def test_a_small_step_changes_the_picture_little(pair, share):
    step = 1e-4
    here, there = (artpipe.render(between(*pair, each)) for each in (share, share + step))
    # A row appears or vanishes within a quarter of the way, 4 in opacity; one that stays may cross the canvas, 16 px at
    # a slope of at most 1/2, and change radius, softness, opacity and colour. There are at most 16 rows.
    assert np.abs(there - here).max() <= step * 16 * (4 + 16 / 2 + 4 / 2 + 2 + 2)


# --- even scenes ---


@pytest.fixture(scope="module")
def real():
    """The result of a small run with growth and search."""
    across, down = np.meshgrid(np.linspace(0, 1, 36, dtype=np.float32), np.linspace(0, 1, 24, dtype=np.float32))
    image = np.stack([across, down, 0.5 + 0.4 * np.sin(9 * across * down)], axis=2)
    image[(across - 0.3) ** 2 + (down - 0.6) ** 2 < 0.03] = (0.9, 0.2, 0.1)
    return artpipe.fit(image, count=14, growth=5, steps=40, pool=1.5, relocate_every=6, seed=3)


def disc(colour=(1, 0, 0), radius=4.0, row_id=0, **values):
    columns = {"x": [6], "y": [5], "radius": [radius], "colour": [colour], **values}
    scene = Scene.circles(CANVAS, **columns)
    return Scene(scene.rows, CANVAS, ids=[row_id])


def lasting(count, again=1):
    """A result of a disc that grows, and then stays the same for `again` more snapshots."""
    grown = [Snapshot(k, disc(radius=0.5 + 4 * k / count)) for k in range(count)]
    constant = [Snapshot(count + k, disc(radius=4.5)) for k in range(again)]
    return Result(disc(radius=4.5), known(*grown, *constant))


def known(*snapshots):
    return History(snapshots=list(snapshots))


RESULTS = {
    "empty": Result(Scene.empty(CANVAS)),
    "one circle": Result(disc()),
    "invisible": Result(disc(opacity=0.0)),
    "one off the canvas": Result(disc(x=[900])),
    "one pixel": Result(Scene.circles(Canvas(1, 1), x=[0.5], y=[0.5], radius=[1], colour=[(0, 0.5, 0.2)])),
    "without snapshots": Result(Scene(rows_within(VISIBLE, 30, 4), CANVAS)),
    # The first snapshot is less like the result than the empty canvas.
    "a bad start": Result(
        disc(), known(Snapshot(0, disc((0, 1, 1), row_id=7)), Snapshot(9, disc((0, 1, 1), row_id=8)))
    ),
    "ends empty": Result(Scene.empty(CANVAS), known(Snapshot(3, disc()), Snapshot(5, disc((0, 1, 0))))),
    "another background": Result(disc(), known(Snapshot(1, disc().with_background((1, 0, 0))))),
    "constant": Result(disc(), known(*(Snapshot(k, disc()) for k in range(9)))),
    "constant at the end": lasting(10, 3),
    "long": lasting(50),
}


@pytest.mark.parametrize("name", [*RESULTS, "real"])
def test_even_scenes_and_keys_go_from_the_empty_canvas_to_the_result(name, real):
    result = real if name == "real" else RESULTS[name]
    for count in (2, 3, 25):
        film = even_scenes(result, count)
        assert len(film) == count and film[0].canvas == result.scene.canvas
        chosen = even_keys(result, count)
        assert 2 <= len(chosen) <= count
        for scenes_shown in (film, [key.scene for key in chosen]):
            assert scenes_shown[0].count == 0 and scenes_shown[-1].same_as(result.scene)
        rest = iter(keys(result))  # the chosen are a subsequence, and so in order of time
        assert all(any(key.step == one.step and key.scene.same_as(one.scene) for key in rest) for one in chosen)


def distances(film):
    """Root mean squared difference of each scene to the last."""
    images = [artpipe.render(scene).astype(np.float64) for scene in film]
    return np.array([np.sqrt(np.mean((image - images[-1]) ** 2)) for image in images])


@pytest.mark.parametrize("with_snapshots", [True, False])
def test_even_scenes_approach_the_result_in_about_equal_steps(real, with_snapshots):
    result = real if with_snapshots else Result(real.scene)
    for count in (10, 30):
        steps = -np.diff(distances(even_scenes(result, count)))
        mean = steps.mean()
        assert mean > 0
        assert steps.max() < 4 * mean
        assert steps.min() > -1.5 * mean  # where many circles move at once, a step back is not visible


def test_even_scenes_show_circles_that_the_search_removed(real):
    seen = {row for snapshot in real.history.snapshots for row in snapshot.scene.ids.tolist()}
    removed = seen - set(real.scene.ids.tolist())
    assert removed and removed & {row for scene in even_scenes(real, 60) for row in scene.ids.tolist()}


# --- even keys ---


def test_the_keys_of_a_result_are_the_empty_canvas_its_snapshots_and_the_result(real):
    found = keys(real)
    assert found[0].step == 0 and found[0].scene.count == 0
    assert list(found[1:-1]) == real.history.snapshots
    assert found[-1].scene.same_as(real.scene) and found[-1].step == real.history.curve[-1].step
    assert (np.diff([snapshot.step for snapshot in found]) >= 0).all()
    assert [one.step for one in even_keys(real, 200)] == [one.step for one in found]


def test_even_keys_are_about_equally_different():
    chosen = even_keys(lasting(60), 10)
    steps = -np.diff(distances([snapshot.scene for snapshot in chosen]))
    assert len(chosen) >= 8 and steps.max() < 2.5 * steps.mean()


# --- even batches ---


@given(scene=scenes(), count=st.integers(1, 12), share=st.sampled_from([0.03, 0.3, 1.0]))
@example(scene=Scene(np.tile(disc(opacity=0.0).rows, (9, 1)), CANVAS), count=4, share=1.0)
def test_batches_divide_all_rows_into_small_parts(scene, count, share):
    ends = even_batches(scene, count, share)
    sizes = np.diff([0, *ends])
    assert (sizes > 0).all() and (sizes <= max(1, share * scene.count)).all()
    assert ends[-1:] == ([scene.count] if scene.count else [])
    assert share < 1 or len(ends) <= count


@pytest.fixture(scope="module")
def ever_smaller():
    """300 circles, each smaller than the one before, as in a painting that was grown."""
    rng = np.random.default_rng(8)
    rows = rows_within(limits_of(opacity=(1, 1), softness=(1, 1)), 300, 8)
    x, y = rng.uniform(0, 1, (300, 2)).T
    return Scene(rows, Canvas(40, 30)).with_columns(x=40 * x, y=30 * y, radius=14 * 0.985 ** np.arange(300))


def changes(scene, ends):
    """The root mean squared change of the picture by each batch."""
    pictures = [artpipe.render(scene.select(np.arange(end))).astype(np.float64) for end in (0, *ends)]
    return np.array([np.sqrt(np.mean((after - before) ** 2)) for before, after in itertools.pairwise(pictures)])


def test_batches_change_the_picture_about_equally(ever_smaller):
    ends = even_batches(ever_smaller, 20, 1.0)
    even = changes(ever_smaller, ends)
    assert 15 <= len(ends) <= 20 and even.max() < 2 * even.mean()
    assert even.max() < 0.75 * changes(ever_smaller, np.linspace(0, 300, len(ends) + 1)[1:].astype(int)).max()
    # With a bound on the share of rows, batches of one row may change more; the others are even.
    ends = even_batches(ever_smaller, 48, 0.03)
    change, sizes = changes(ever_smaller, ends), np.diff([0, *ends])
    assert sizes.max() == 9 and len(ends) <= 48
    assert change[sizes > 1].max() < 2 * change.mean()


# --- history ---


def events(count):
    """Events of every kind in turn."""
    scene = disc()
    for step in range(count):
        yield Progress("search", step, 1, 1 / (1 + step))
        yield Grew(step, scene, 1)
        yield Snapshot(step, scene)
        yield Relocated(step, 1, 1)


@pytest.mark.parametrize("count", [0, 1, 60, 130, 1000])
def test_a_history_keeps_a_bounded_number_of_snapshots_from_first_to_last_in_order(count):
    history = History()
    for event in events(count):
        history.see(event, 0.1)
    steps = [snapshot.step for snapshot in history.snapshots]
    assert len(steps) <= 4 * SNAPSHOTS_KEPT
    assert steps == sorted(steps)
    if count <= SNAPSHOTS_KEPT:
        assert steps == sorted([*range(count)] * 2)
    else:
        assert steps[0] == 0 and len(steps) >= SNAPSHOTS_KEPT
        assert np.diff([*steps, count]).max() <= 2 * count / SNAPSHOTS_KEPT


def test_a_history_keeps_growths_among_many_snapshots_in_order():
    history = History()
    for k in range(2, 6):  # of one step
        history.see(Grew(0, disc(row_id=k), 1) if k % 2 else Snapshot(0, disc(row_id=k)), 0.0)
    assert [snapshot.scene.ids.tolist() for snapshot in history.snapshots] == [[k] for k in range(2, 6)]
    for step in range(2000):
        history.see(Snapshot(step, disc()), 0.0)
    history.see(Grew(2000, disc(row_id=78), 1), 0.0)
    growths = [one.scene.ids.tolist() for one in history.snapshots if isinstance(one, Grew)]
    assert growths == [[3], [5], [78]]


def test_the_loss_curve_holds_a_point_for_each_progress(tmp_path):
    history = History()
    for event, seconds in (
        (Exported(0, tmp_path / "a.png"), 0.0), (Progress("grow", 10, 256, 0.25), 1.5), (Relocated(12, 200, 56), 1.6),
        (Progress("search", 20, 512, 0.125), 2.25),
    ):  # fmt: skip
        history.see(event, seconds)
    assert history.curve == [LossPoint(10, 256, 1.5, 0.25), LossPoint(20, 512, 2.25, 0.125)]
    assert history.snapshots == []


def test_a_result_refuses_snapshots_and_targets_of_another_size():
    other = Scene.empty(Canvas(CANVAS.height, CANVAS.width))
    with pytest.raises(InputError, match="step 3 is 10 x 12 pixels; needs 12 x 10"):
        Result(disc(), known(Snapshot(1, disc()), Snapshot(3, other)))
    for shape in ((12, 10, 3), (10, 12), (10, 12, 5), (20, 24, 3)):
        with pytest.raises(InputError, match=r"target has shape .*needs \(10, 12, 3 or 4\)"):
            Result(disc(), target=np.zeros(shape, np.float32))
    result = Result(disc(), known(Snapshot(1, disc())), target=np.zeros((10, 12, 3), np.float32))
    assert result.history.snapshots[0].step == 1
