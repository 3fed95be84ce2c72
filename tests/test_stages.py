"""Stages: their common properties with both renderers, and the seeders."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artpipe import Canvas, FitSettings, InputError, Scene, load_fitting_renderer, load_scene
from artpipe.renderers.kernels import reference
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.base import Run, keep_worthiest
from artpipe.stages.descend import STEPS_PER_EVENT, Descend
from artpipe.stages.events import Event, Exported, Grew, Progress, Relocated, Snapshot
from artpipe.stages.export import Export
from artpipe.stages.exporters.table import EXPORTERS
from artpipe.stages.grow import Grow
from artpipe.stages.placing.place import Newcomers
from artpipe.stages.placing.seeders import SEEDERS
from artpipe.stages.refine import Refine, Settle
from artpipe.stages.relocate import Relocate, Search
from artpipe.stages.seed import Seed

WIDTH, HEIGHT = 40, 28
BEFORE = 12  # circles before each stage of the table


# Name to stage, count of circles after it (BEFORE circles before it), and its steps.
STAGES = {
    "seed": (Seed(7), BEFORE + 7, 0),
    "seed one at random": (Seed(1, Newcomers("random")), BEFORE + 1, 0),
    "grow": (Grow(20, 4, 8), 20, 8),
    "grow by no divisor": (Grow(23, 5, 7), 23, 7),
    "grow by more than the end": (Grow(15, 100, 4), 15, 4),
    "grow with fewer steps than batches": (Grow(20, 2, 1), 20, 1),
    "grow without steps": (Grow(20, 5, 0), 20, 0),
    "grow from enough": (Grow(BEFORE, 4, 6), BEFORE, 6),
    "grow from more than enough": (Grow(5, 2, 6), BEFORE, 6),
    "refine over several events": (Refine(2 * STEPS_PER_EVENT + 1), BEFORE, 2 * STEPS_PER_EVENT + 1),
    "refine without steps": (Refine(0), BEFORE, 0),
    "settle": (Settle(9), BEFORE, 9),
    "relocate": (Relocate(0.4), BEFORE, 0),
    "relocate none": (Relocate(0.0), BEFORE, 0),
    "relocate all": (Relocate(1.0), BEFORE, 0),
    "relocate to fewer": (Relocate(0.2, 5), 5, 0),
    "relocate to more": (Relocate(0.2, 17), 17, 0),
    "search": (Search(12, every=4), BEFORE, 12),
    "search to fewer": (Search(14, 7, every=4), 7, 14),
    "search to more": (Search(14, 17, every=4), 17, 14),
    "search within a round": (Search(5, 7, every=30), 7, 5),
    "search without steps": (Search(0, 7), 7, 0),
    "export": (Export(()), BEFORE, 0),
}
RANDOM = ("seed", "grow", "relocate", "search")
LOWERING = {"grow": Grow(24, 6, 24), "refine": Refine(24), "search": Search(32, every=8), "settle": Settle(24)}


def painting(width=WIDTH, height=HEIGHT):
    """A smooth ground with two hard shapes, (H, W, 3)."""
    across, down = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    image = np.stack([across, down, 0.5 + 0.4 * np.sin(9 * across * down)], axis=2)
    image[(across - 0.3) ** 2 + (down - 0.6) ** 2 < 0.03] = (0.9, 0.2, 0.1)
    image[(np.abs(across - 0.75) < 0.1) & (down < 0.5)] = (0.05, 0.1, 0.3)
    return image.astype(np.float32)


def circles(canvas, count, rng):
    """A scene of random circles."""
    return Scene.circles(
        canvas, x=rng.uniform(0, canvas.width, count), y=rng.uniform(0, canvas.height, count),
        radius=rng.uniform(2, 9, count), colour=rng.uniform(0, 1, (count, 3)),
        opacity=rng.uniform(0.5, 0.95, count), softness=rng.uniform(0.5, 2, count),
    )  # fmt: skip


def run_of(renderer="jax", target=None, count=BEFORE, **options):
    """A run on a fixed scene of random circles."""
    run = Run(painting() if target is None else target, load_fitting_renderer(renderer), **options)
    run.fit.put(circles(run.canvas, count, np.random.default_rng(1)))
    return run


def assert_valid(scene, run):
    """A scene that the fit can continue from: within limits, unique ids, drawable."""
    assert (scene.canvas.width, scene.canvas.height) == (run.canvas.width, run.canvas.height)
    assert len(np.unique(scene.ids)) == scene.count
    assert scene.count == 0 or scene.ids.max() < scene.next_id
    assert np.isfinite(scene.rows).all()
    for shares in (scene.colour, scene.opacity):
        assert (shares >= 0).all() and (shares <= 1).all()
    assert (scene.softness >= 0.99 * run.settings.softness_min).all() and (scene.thickness() > 0).all()
    image = reference.render(scene)
    assert image.shape == run.target.shape and image.min() >= 0 and image.max() <= 1


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_leaves_a_valid_scene_of_the_promised_count_and_reports_its_work(name, renderer):
    (stage, count, steps), run, last = STAGES[name], run_of(renderer), 0
    for event in stage(run):
        assert isinstance(event, Event) and event.step == run.step >= last
        if isinstance(event, Progress):
            assert event.shapes == run.scene.count
            assert event.step - last <= STEPS_PER_EVENT
            assert 0 < event.mse < 1
        elif isinstance(event, Relocated):
            assert event.kept + event.added == run.scene.count
        elif isinstance(event, Snapshot):
            assert event.scene.same_as(run.scene)
        last = event.step
        assert_valid(run.scene, run)
    assert_valid(run.scene, run)
    assert (run.scene.count, run.step) == (count, steps)
    assert stage.leaves(BEFORE) == count


@pytest.mark.parametrize(
    ("stage", "count"),
    [
        (Grow(9, 2, 8), 9), (Grow(1, 256, 3), 1), (Seed(4), 4), (Relocate(0.3, 5), 5), (Search(9, 5, every=3), 5),
        (Refine(3), 0), (Settle(3), 0), (Relocate(0.3), 0), (Search(6, every=3), 0),
    ],
    ids=repr,
)  # fmt: skip
def test_a_stage_can_start_from_an_empty_scene(stage, count):
    run = run_of(count=0)
    list(stage(run))
    assert run.scene.count == count
    assert_valid(run.scene, run)


def test_growing_divides_its_steps_evenly_among_batches():
    run = run_of(count=0)
    events = list(Grow(23, 5, 12)(run))
    assert [event.added for event in events if isinstance(event, Grew)] == [5, 5, 5, 5, 3]
    between = np.diff([*[event.step for event in events if isinstance(event, Grew)], run.step])
    assert between.sum() == 12 and between.max() - between.min() <= 1


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize("name", RANDOM)
def test_the_random_seed_determines_the_scene(name, renderer):
    scenes = []
    for seed in (5, 5, 6):
        run = run_of(renderer, seed=seed)
        list(STAGES[name][0](run))
        scenes.append(run.scene)
    assert scenes[0].same_as(scenes[1])
    assert not np.array_equal(scenes[0].rows, scenes[2].rows)


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize("name", LOWERING)
def test_grow_refine_search_and_settle_lower_the_loss(name, renderer):
    run = run_of(renderer)
    before = run.mean_squared_error(run.scene)
    list(LOWERING[name](run))
    after = run.mean_squared_error(run.scene)
    assert after < 0.8 * before
    assert after == pytest.approx(np.mean((reference.render(run.scene) - run.target) ** 2), rel=1e-4)


def test_refinement_reports_the_loss_before_its_last_step_and_settling_ends_calmly():
    moves = []
    for stage in (Refine, Settle):
        run = run_of()
        first = run.mean_squared_error(run.scene)
        assert next(stage(1)(run)).mse == pytest.approx(first, rel=1e-4)
        before, after = [run.scene.centres() for _ in stage(STEPS_PER_EVENT + 1)(run)]
        moves.append(np.abs(after - before).mean())
    assert moves[1] < 0.3 * moves[0]


def test_new_shapes_have_the_requested_look():
    run = run_of(count=0)
    look = Newcomers("grid", radius_scale=0.7, softness_share=0.5, opacity=0.6, opacity_min=0.6, opacity_plain=0.6)
    list(Seed(6, look)(run))
    radius = run.scene.column("radius")
    np.testing.assert_allclose(radius, 0.7 * math.sqrt(WIDTH * HEIGHT / (math.pi * 6)), rtol=1e-5)
    np.testing.assert_allclose(run.scene.softness, 0.5 * radius, rtol=1e-5)
    np.testing.assert_allclose(run.scene.opacity, 0.6, rtol=1e-5)
    list(Seed(30, Newcomers("random", opacity=0.8, opacity_min=0.4, opacity_plain=0.5))(run))
    opacity = run.scene.opacity[6:]
    assert (opacity >= 0.4 - 1e-6).all() and (opacity <= 0.8 + 1e-6).all()


@pytest.mark.parametrize("hidden", [True, False], ids=["hidden", "twins"])
def test_relocation_removes_hidden_circles_and_one_of_two_twins(hidden):
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT, (0.5, 0.5, 0.5)), x=[20, 20, 6, 34], y=[14, 14, 6, 20],
        radius=[4, 9, 3, 2] if hidden else [6, 6, 3, 2],
        colour=[[1, 0, 0], [0, 0.6, 0.2] if hidden else [1, 0, 0], [0.9, 0.9, 0.1], [0.2, 0.5, 0.8]],
    )  # fmt: skip
    target = reference.render(scene)
    worth = reference.worth(scene, target)
    run = Run(target, load_fitting_renderer("jax"))
    run.fit.put(scene)
    if hidden:  # the first circle, under an opaque one
        assert worth[0] == 0
        list(Relocate(0.25)(run))
        np.testing.assert_array_equal(run.scene.ids, [1, 2, 3, scene.next_id])
        np.testing.assert_array_equal(run.scene.rows[:3], scene.rows[1:])
    else:  # each alone is worth nearly nothing, both together much
        assert max(worth[:2]) < min(worth[2:])
        list(Relocate(0.5)(run))
        assert len({0, 1} & set(run.scene.ids.tolist())) == 1
        assert 3 not in run.scene.ids


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_relocation_keeps_the_worthiest_rows_and_paints_new_ones_on_top(renderer, weighted):
    weights = np.random.default_rng(2).uniform(0, 1, (HEIGHT, WIDTH)) if weighted else None
    run = run_of(renderer, settings=FitSettings(weights=weights))
    before = run.scene
    list(Relocate(0.4)(run))
    removed = round(0.4 * BEFORE)
    kept = before
    for left in (BEFORE - removed // 2, BEFORE - removed):  # half are removed, then the rest are weighed again
        kept = keep_worthiest(kept, reference.worth(kept, run.target, weights), left)
    np.testing.assert_array_equal(run.scene.ids[: BEFORE - removed], kept.ids)
    np.testing.assert_array_equal(run.scene.rows[: BEFORE - removed], kept.rows)
    assert (run.scene.ids[BEFORE - removed :] >= before.next_id).all()
    assert keep_worthiest(before, np.zeros(BEFORE), 4).count == 4  # ties


def test_the_search_warms_its_rates_up_after_each_relocation():
    def moved(steps, every):
        run = run_of()
        before = run.scene
        list(Search(steps, every=every, fraction=0.0, warming=(0.0, 1.0))(run))
        return not np.allclose(run.scene.rows, before.rows, atol=1e-4)  # more than the rounding of logarithms

    assert not moved(1, 1)  # the first step after a relocation does not move anything at a factor of 0
    assert not moved(4, 1)
    assert moved(2, 2)


def test_ids_never_repeat_over_a_run():
    run = run_of(count=0)
    gone, seen, next_id = set(), set(), 0
    for stage in (Grow(16, 5, 6), Search(12, 10, every=3), Relocate(0.5), Seed(4), Relocate(0.3, 6), Settle(3)):
        for _ in stage(run):
            ids = set(run.scene.ids.tolist())
            gone |= seen - ids
            assert not ids & gone
            assert run.scene.next_id >= next_id
            seen, next_id = seen | ids, run.scene.next_id
    assert len(gone) > 10  # the search removed circles


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_a_stage_may_be_stopped_after_any_event(renderer):
    for stop_after in (1, 2, 4, 7, 9, 12):
        run = run_of(renderer, count=0, most=8)
        for seen, _ in enumerate(event for stage in (Grow(11, 4, 6), Search(9, 8, every=3)) for event in stage(run)):
            if seen + 1 == stop_after:
                break
        assert 0 < run.showable().count <= 8
        list(Refine(2)(run))
        assert_valid(run.scene, run)


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_shown_scenes_hold_the_worthiest_circles_of_the_pool(renderer):
    most = 10
    run = run_of(renderer, count=0, most=most)
    pool_was_larger = False
    for stage in (Grow(14, 4, 6), Search(12, most, every=3), Settle(3)):
        for event in stage(run):
            pool_was_larger |= run.scene.count > most
            shown, worth = run.showable(), reference.worth(run.scene, run.target)
            np.testing.assert_array_equal(shown.ids, np.sort(run.scene.ids[np.argsort(worth)[-most:]]))
            if isinstance(event, (Grew, Snapshot)):
                assert event.scene.same_as(shown)
    assert pool_was_larger and run.scene.count == most


def test_export_writes_the_shown_scene_in_every_format(tmp_path):
    run = run_of(most=5)
    paths = tuple(tmp_path / f"painting{ending}" for ending in EXPORTERS)
    events = list(Export(paths)(run))
    assert [event.path for event in events if isinstance(event, Exported)] == list(paths)
    assert all(path.stat().st_size > 0 for path in paths)
    assert load_scene(tmp_path / "painting.json").same_as(run.showable())


# --- runs on difficult targets ---


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize(
    ("size", "colour"), [((1, 1), 0.3), ((3, 200), 0.0), ((200, 3), 1.0), ((8, 9), None), ((8, 9), 1.0)], ids=str
)
def test_small_narrow_and_plain_targets_are_painted(size, colour, renderer):
    width, height = size
    rng = np.random.default_rng(4)
    target = rng.uniform(0, 1, (height, width, 3)) if colour is None else np.full((height, width, 3), colour)
    run = Run(target, load_fitting_renderer(renderer), most=6)
    before = run.mean_squared_error(run.scene)
    for stage in (Grow(8, 3, 6), Relocate(0.5), Search(8, 6, every=3), Settle(3)):
        list(stage(run))
        assert_valid(run.scene, run)
    assert run.scene.count == 6
    assert run.mean_squared_error(run.scene) <= max(before, 1e-4)  # circles may cost a plain target a little


def test_an_invalid_target_is_refused_in_one_line():
    targets = [np.zeros(shape) for shape in ((4, 5), (4, 5, 5), (0, 5, 3), (4, 0, 3))]
    for target in (*targets, np.full((4, 5, 3), np.nan)):
        with pytest.raises(InputError) as caught:
            Run(target, load_fitting_renderer("jax"))
        assert "\n" not in str(caught.value)


def test_the_background_is_the_mean_colour_unless_told_otherwise():
    target = painting()
    np.testing.assert_allclose(run_of(target=target).canvas.background, target.mean((0, 1)), rtol=1e-5)
    assert run_of(target=target, background=(1, 0, 0)).canvas.background == (1, 0, 0)
    left = np.zeros((HEIGHT, WIDTH))
    left[:, : WIDTH // 2] = 1
    run = run_of(target=target, settings=FitSettings(weights=left))
    np.testing.assert_allclose(run.canvas.background, target[:, : WIDTH // 2].mean((0, 1)), rtol=1e-5)


# --- seeders ---

SIZES = ((1, 1), (3, 200), (200, 3), (40, 28), (17, 33))


@pytest.mark.parametrize("seeder", SEEDERS)
@given(
    size=st.sampled_from([(1, 1), (3, 200), (200, 3), (40, 28), (17, 33)]), count=st.integers(1, 70),
    radius=st.floats(0.5, 60), seed=st.integers(0, 2**32), empty=st.booleans(),
)  # fmt: skip
def test_a_seeder_proposes_enough_circles_inside_the_canvas_and_is_repeatable(seeder, size, count, radius, seed, empty):
    width, height = size
    energy = np.random.default_rng(seed).exponential(1, (height, width)).astype(np.float32) * (not empty)
    found, again = (SEEDERS[seeder](energy, count, radius, np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(np.stack(found), np.stack(again))
    x, y, radii = found
    assert len(x) == len(y) == len(radii) >= count
    assert (0 <= x).all() and (x <= width).all() and (0 <= y).all() and (y <= height).all()
    assert np.isfinite(radii).all() and (radii > 0).all()
    assert count < 40 or 0.85 * radius < np.median(radii) < 1.15 * radius


# Targets of (H, W, 3) by size.
GROUNDS = {
    "a painting": painting,
    "noise": lambda width, height: np.random.default_rng(3).uniform(0, 1, (height, width, 3)),
    "a flat picture that no circle improves": lambda width, height: np.full((height, width, 3), 0.4),
    "half without weight": painting,
}


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("seeder", SEEDERS)
def test_a_batch_adds_exactly_the_requested_count(seeder, ground):
    for width, height in ((1, 1), (1, 64), (33, 17)):
        weights = np.arange(width) <= width // 2 if "weight" in ground else np.ones(width)
        settings = FitSettings(weights=np.tile(weights.astype(float), (height, 1)))
        run = Run(GROUNDS[ground](width, height), load_fitting_renderer("jax"), seed=8, settings=settings)
        for count in (1, 64, 5, 64):
            before = run.scene
            (grew,) = Seed(count, Newcomers(seeder))(run)
            assert grew.added == count and run.scene.count == before.count + count
            np.testing.assert_array_equal(run.scene.rows[: before.count], before.rows)
        (relocated,) = Relocate(0.5, 140, Newcomers(seeder))(run)
        assert run.scene.count == relocated.kept + relocated.added == 140
        assert (run.scene.centres() >= 0).all() and (run.scene.centres() <= (width, height)).all()


@pytest.mark.parametrize("seeder", ["error", "gain"])
def test_seeders_by_error_propose_where_the_error_is(seeder):
    energy = np.zeros((60, 80), np.float32)
    energy[:6, -6:] = 1
    x, y, _ = SEEDERS[seeder](energy, 50, 4.0, np.random.default_rng(9))
    reach = 4.0 / 2 * 4  # four widths of the blur
    assert (x > 80 - 6 - reach).all() and (y < 6 + reach).all()
    energy[:] = 0
    energy[:, :8], energy[:, -8:] = 1, 3  # the square of the error counts
    x, _, _ = SEEDERS[seeder](energy, 400, 2.0, np.random.default_rng(9))
    assert 0.05 < np.mean(x < 40) < 0.2


@given(steps=st.integers(1, 200), every=st.integers(1, 40))
def test_new_shapes_get_half_of_a_round_at_least(steps, every):
    rounds = []
    for part in Search(steps, 7, every).parts(9):
        if isinstance(part, Relocate):
            rounds.append(0)
            last = part
        elif isinstance(part, Descend):
            rounds[-1] += len(part.scales)
    assert sum(rounds) == steps and set(rounds[:-1]) <= {every}
    assert min(steps, every / 2) <= rounds[-1] < 1.5 * every or rounds[-1] == every
    assert last.count == 7


def test_large_shapes_have_more_candidates_of_more_sizes():
    energy = np.ones((256, 256), np.float32)
    found = [
        SEEDERS["error"](energy, 400, radius, np.random.default_rng(2))[2] for radius in (5.0, 12.0, 20.0, 60.0, 999)
    ]
    counts = [len(radii) / 400 for radii in found]
    assert counts[0] == 3 < counts[1] < counts[2] < counts[3] == counts[4] < 50
    spreads = [np.std(np.log(radii)) for radii in found]
    assert spreads[0] < 0.3 and all(0.4 < spread < 0.6 for spread in spreads[1:])


def test_the_grid_covers_the_canvas_evenly_and_rotates_with_it():
    x, y, radii = SEEDERS["grid"](np.zeros((30, 30)), 9, 4.0, np.random.default_rng(0))
    assert sorted(zip(x, y, strict=True)) == [(a, b) for a in (5, 15, 25) for b in (5, 15, 25)]
    assert (radii == 4).all()
    for width, height, count in ((80, 3, 17), (7, 5, 90), (1, 60, 9)):
        x, y, _ = SEEDERS["grid"](np.zeros((height, width)), count, 4.0, np.random.default_rng(1))
        across, down, _ = SEEDERS["grid"](np.zeros((width, height)), count, 4.0, np.random.default_rng(1))
        assert len({*zip(x, y, strict=True)}) == count
        np.testing.assert_array_equal(np.stack([x, y]), np.stack([down, across]))


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_weights_decide_where_circles_are_seeded(renderer):
    target = np.random.default_rng(10).uniform(0, 1, (HEIGHT, WIDTH, 3))
    weights = np.zeros((HEIGHT, WIDTH))
    weights[:, :10] = 1
    look = Newcomers(radius_scale=0.3)
    run = Run(target, load_fitting_renderer(renderer), settings=FitSettings(weights=weights))
    list(Seed(12, look)(run))
    assert (run.scene.column("x") < 10 + 8).all()
    plain = Run(target, load_fitting_renderer(renderer))
    list(Seed(12, look)(plain))
    assert (plain.scene.column("x") > 20).any()
