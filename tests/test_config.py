"""The options of a run: their ranges, presets, their JSON, and the plan that they make."""

import json
import time
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import artpipe
from artpipe import InputError, Rates
from artpipe.pipeline.options import RunConfig, parse_background
from artpipe.pipeline.presets import PRESETS
from artpipe.pipeline.running.plan import plan_of
from artpipe.pipeline.running.runner import carry_out, open_run
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.pictures.picture import save_png
from artpipe.stages.placing.seeders import SEEDERS

RATE = st.floats(0, 1e3)
CONFIGS = st.builds(
    RunConfig,
    growth=st.integers(1, 250_000),
    count=st.integers(1, 250_000),
    preset=st.sampled_from(list(PRESETS)),
    steps=st.none() | st.integers(0, 10**7),
    renderer=st.sampled_from(FITTING_RENDERERS),
    device=st.sampled_from(["auto", "cpu", "cuda"]),
    seed=st.integers(0, 2**63 - 1),
    size=st.none() | st.integers(1, 8192).map(str) | st.just("40x30"),
    background=st.sampled_from(["auto", "white", "black", "#12Ef00"]),
    seeder=st.sampled_from(list(SEEDERS)),
    pool=st.floats(1, 4),
    radius_scale=st.floats(0.05, 20),
    softness_min=st.floats(0.001, 1000),
    relocate_every=st.none() | st.integers(1, 10**6),
    relocate_fraction=st.none() | st.floats(0, 1),
    rates=st.builds(Rates, RATE, RATE, RATE, RATE, RATE),
)


def refusal(function, *arguments, **options):
    """The one line that refuses options."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) > 10
    return message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("growth", 0), ("growth", -1), ("count", 0), ("count", 10**9), ("steps", -1), ("steps", 10**12), ("seed", -1),
        ("seed", 2**64), ("pool", 0.99), ("pool", 5), ("pool", np.nan), ("radius_scale", 0), ("radius_scale", np.nan),
        ("radius_scale", np.inf), ("softness_min", 0), ("softness_min", -1), ("softness_min", np.inf),
        ("relocate_every", 0), ("relocate_fraction", -0.1), ("relocate_fraction", 1.1), ("relocate_fraction", np.nan),
    ],
)  # fmt: skip
def test_a_number_out_of_range_is_refused_with_its_name_and_range(name, value):
    message = refusal(RunConfig, **{name: value})
    assert name in message and str(value) in message and " to " in message


@pytest.mark.parametrize(
    ("name", "choices"),
    [("preset", PRESETS), ("seeder", SEEDERS), ("renderer", FITTING_RENDERERS), ("device", ("auto", "cpu", "cuda"))],
)
def test_a_name_that_is_no_choice_is_refused_with_the_choices(name, choices):
    message = refusal(artpipe.fit, np.zeros((4, 4, 3)), count=2, **{"steps": 1, name: "nope"})
    assert "nope" in message
    for choice in choices:
        assert choice in message


@pytest.mark.parametrize(("name", "rate"), [("position", -0.1), ("radius", np.nan), ("colour", np.inf)])
def test_a_learning_rate_that_is_none_is_refused(name, rate):
    assert name in refusal(RunConfig.from_json, {"rates": {name: rate}})


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("auto", None),
        ("white", (1, 1, 1)),
        ("black", (0, 0, 0)),
        ("#ff0000", (1, 0, 0)),
        ("#3366FF", (0.2, 0.4, 1)),
    ],
)
def test_backgrounds_are_read(text, colour):
    assert parse_background(text) == (None if colour is None else pytest.approx(colour))


@pytest.mark.parametrize("text", ["", "red", "#fff", "#ff00000", "ff0000", "#gg0000", "WHITE ", "#ff0000\n", "0.5"])
def test_backgrounds_that_are_none_are_refused(text):
    assert "auto, white, black or #rrggbb" in refusal(parse_background, text)
    refusal(RunConfig, background=text)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_fills_what_was_not_given_and_nothing_else(preset):
    filled = RunConfig(preset=preset).filled
    expected = PRESETS[preset]
    assert (filled.steps, filled.relocate_every, filled.relocate_fraction) == (
        expected.steps, expected.relocate_every, expected.relocate_fraction,
    )  # fmt: skip
    given = RunConfig(preset=preset, steps=0, relocate_every=7, relocate_fraction=0.0)
    assert given.filled == given
    assert replace(filled, steps=None, relocate_every=None, relocate_fraction=None) == RunConfig(preset=preset)


def test_presets_take_ever_longer():
    assert PRESETS["draft"].steps < PRESETS["balanced"].steps < PRESETS["best"].steps


@given(CONFIGS)
def test_a_configuration_comes_back_from_its_json(config):
    text = json.dumps(config.to_json())
    assert RunConfig.from_json(json.loads(text)) == config
    assert set(json.loads(text)) == {field.name for field in fields(RunConfig)}


def test_what_json_leaves_out_has_its_default():
    assert RunConfig.from_json({}) == RunConfig()
    assert RunConfig.from_json({"count": 5, "rates": {"radius": 1.0}}) == RunConfig(count=5, rates=Rates(radius=1.0))


@pytest.mark.parametrize("key", ["max", "circles", "Growth", "", "rates.radius"])
def test_an_unknown_option_is_refused_and_the_known_are_named(key):
    message = refusal(RunConfig.from_json, {key: 1})
    assert repr(key) in message and "growth" in message


def test_an_unknown_rate_is_refused():
    assert "hue" in refusal(RunConfig.from_json, {"rates": {"hue": 1}})


@pytest.mark.parametrize("values", [None, [], "growth", 3])
def test_options_that_are_no_object_are_refused(values):
    assert "object" in refusal(RunConfig.from_json, values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("growth", "8"), ("growth", 2.5), ("growth", None), ("growth", [8]), ("count", 2.5), ("count", None),
        ("steps", "many"), ("steps", 2.5), ("seed", 0.5), ("seed", None), ("preset", None), ("preset", ["draft"]),
        ("background", 5), ("background", None), ("background", np.array([0.1, 0.2, 0.3])),
        ("pool", "1.5"), ("pool", None), ("relocate_every", 2.5), ("rates", None), ("rates", [1]),
        ("rates", {"radius": "1"}), ("rates", {"radius": None}), ("size", [64]),
        ("renderer", 5), ("seeder", None),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(name, value):
    refusal(RunConfig.from_json, {name: value})


def test_the_python_entry_refuses_what_the_configuration_refuses():
    target = np.zeros((4, 4, 3))
    for options in ({"count": 0}, {"steps": -1}, {"colour": "red"}, {"pool": 9}, {"renderer": "cpu"}):
        refusal(artpipe.fit, target, **options)


def test_a_size_given_as_a_number_is_understood_or_refused(tmp_path):
    save_png(np.zeros((8, 8, 3)), tmp_path / "a.png")
    try:
        assert artpipe.fit(tmp_path / "a.png", count=1, steps=0, size=4).image.shape == (4, 4, 3)
    except InputError as error:
        assert "size" in str(error)


# --- the plan ---


def result_of(config, side=8):
    target = np.random.default_rng(0).uniform(0, 1, (side, side, 3)).astype(np.float32)
    run = open_run(target, config)
    return carry_out(run, plan_of(config), config, [], time.perf_counter())


@settings(max_examples=25)
@given(
    growth=st.integers(1, 40),
    count=st.integers(1, 30),
    steps=st.integers(0, 40),
    pool=st.floats(1, 2),
    relocate_every=st.none() | st.integers(1, 12),
    relocate_fraction=st.none() | st.floats(0, 1),
    preset=st.sampled_from(list(PRESETS)),
    seeder=st.sampled_from(list(SEEDERS)),
    renderer=st.sampled_from(FITTING_RENDERERS),
)
def test_a_plan_ends_with_exactly_the_circles_and_steps_that_were_asked_for(**options):
    config = RunConfig(**options)
    result = result_of(config)
    assert result.reason == "finished"
    assert result.scene.count == result.metrics.shapes == config.count
    assert result.metrics.steps == config.steps
    assert 0 < result.initial.count <= config.count


def test_a_plan_without_relocation_never_holds_more_than_it_ends_with():
    config = RunConfig(growth=4, count=10, steps=12, relocate_fraction=0.0, pool=4)
    run = open_run(np.full((8, 8, 3), 0.5, np.float32), config)
    counts = [run.scene.count for stage in config.plan() for _ in stage(run)]
    assert max(counts) == counts[-1] == 10


def test_the_first_batch_is_as_large_as_a_batch():
    assert result_of(RunConfig(growth=4, count=10, steps=8)).initial.count == 4


def test_the_python_entry_gives_back_scene_picture_and_metrics():
    target = np.random.default_rng(0).uniform(0, 1, (9, 12, 3)).astype(np.float32)
    seen = []
    result = artpipe.fit(target, count=7, steps=10, growth=3, on_event=seen.append)
    assert result.scene.count == 7 and result.image.shape == target.shape and len(seen) > 3
    assert result.metrics.steps == 10
    assert result.metrics.mse == pytest.approx(np.mean((result.image - target) ** 2), rel=1e-4)
    np.testing.assert_array_equal(artpipe.render(result.scene), result.image)
    again = artpipe.fit(target, count=7, steps=10, growth=3)
    assert again.scene.same_as(result.scene)


@pytest.mark.parametrize("device", ["cpu", "auto"])
@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_metrics_name_what_did_the_work(renderer, device):
    metrics = result_of(RunConfig(growth=4, count=4, steps=2, renderer=renderer, device=device)).metrics
    assert (metrics.renderer, metrics.device, metrics.kernel) == (renderer, "cpu", "numba")
