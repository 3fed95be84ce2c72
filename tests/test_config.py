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
from artpipe.stages.placing.seeders import SEEDERS


def refusal(function, *arguments, **options):
    """The one-line error message."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) > 10
    return message


def test_a_number_out_of_range_is_refused_with_its_name_and_range():
    for name, values in {
        "growth": (0, -1), "count": (0, 10**9), "steps": (-1, 10**12), "seed": (-1, 2**64), "pool": (0.99, 5, np.nan),
        "radius_scale": (0, np.nan, np.inf), "softness_min": (0, -1, np.inf), "relocate_every": (0,),
        "relocate_fraction": (-0.1, 1.1, np.nan),
    }.items():  # fmt: skip
        for value in values:
            message = refusal(RunConfig, **{name: value})
            assert name in message and str(value) in message and " to " in message
    for name, rate in (("position", -0.1), ("radius", np.nan), ("colour", np.inf)):
        assert name in refusal(RunConfig.from_json, {"rates": {name: rate}})


def test_backgrounds_are_colours_or_auto():
    assert parse_background("auto") is None
    for text, colour in {
        "white": (1, 1, 1),
        "#ff0000": (1, 0, 0),
        "#3366FF": (0.2, 0.4, 1),
        "#f06": (1, 0, 0.4),
        "Navy": (0, 0, 128 / 255),
    }.items():
        assert parse_background(text) == pytest.approx(colour)
    for text in ("", "#ffff", "#ff00000", "ff0000", "#gg0000", "WHITE ", "#ff0000\n", "0.5"):
        assert "auto, a CSS colour name such as white, #rgb or #rrggbb" in refusal(parse_background, text)
        refusal(RunConfig, background=text)
    assert "did you mean indigo?" in refusal(parse_background, "indygo")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_only_unset_values(preset):
    filled, expected = RunConfig(preset=preset).filled, PRESETS[preset]
    names = ("steps", "relocate_every", "relocate_fraction")
    assert all(getattr(filled, name) == getattr(expected, name) for name in names)
    given = RunConfig(preset=preset, steps=0, relocate_every=7, relocate_fraction=0.0)
    assert given.filled == given
    assert replace(filled, **dict.fromkeys(names)) == RunConfig(preset=preset)


def test_a_configuration_survives_json():
    for config in (
        RunConfig(), RunConfig(mask="m.png", focus=((0.5, 0.4, 0.2),), edges=0.5, weight_floor=0.1),
        RunConfig(size="40x30", steps=0, relocate_every=1, relocate_fraction=0.0, seed=2**63 - 1),
        RunConfig(7, 99, "ellipse,stroke", "best", 10**7, renderer="torch", device="cuda", background="#12Ef00",
                  seeder="grid", pool=4.0, radius_scale=0.05, softness_min=1e-3, rates=Rates(0.1, 1e3, 0.0, 1.0, 0.3)),
    ):  # fmt: skip
        text = json.dumps(config.to_json())
        assert RunConfig.from_json(json.loads(text)) == config
        assert set(json.loads(text)) == {field.name for field in fields(RunConfig)}


def test_missing_options_have_defaults_and_unknown_ones_are_refused():
    assert RunConfig.from_json({"count": 5, "rates": {"radius": 1.0}}) == RunConfig(count=5, rates=Rates(radius=1.0))
    for key in ("max", "circles", "Growth", "", "rates.radius"):
        message = refusal(RunConfig.from_json, {key: 1})
        assert repr(key) in message and "growth" in message
    assert "hue" in refusal(RunConfig.from_json, {"rates": {"hue": 1}})
    for values in (None, [], "growth", 3):
        assert "object" in refusal(RunConfig.from_json, values)


def test_a_value_of_another_type_is_refused():
    for name, values in {
        "growth": ("8", 2.5, [8]), "count": (2.5, None), "steps": ("many", 2.5), "seed": (0.5, None),
        "preset": (None, ["draft"], "nope"), "background": (5, None, np.array([0.1, 0.2, 0.3])), "pool": ("1.5", None),
        "relocate_every": (2.5,), "rates": (None, [1], {"radius": "1"}, {"radius": None}), "size": ([64],),
        "renderer": (5, "cpu"), "seeder": (None, "nope"),
    }.items():  # fmt: skip
        for value in values:
            refusal(RunConfig.from_json, {name: value})
            if (name, value) != ("count", None):  # the style's, or the default
                refusal(artpipe.fit, np.zeros((4, 4, 3)), **{name: value})


# --- the plan ---


def result_of(config, side=8):
    target = np.random.default_rng(0).uniform(0, 1, (side, side, 3)).astype(np.float32)
    run = open_run(target, config)
    return carry_out(run, plan_of(config), config, [], time.perf_counter())


@settings(max_examples=12)
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
def test_a_plan_ends_with_exactly_the_requested_circles_and_steps(**options):
    config = RunConfig(**options)
    result = result_of(config)
    assert result.reason == "finished"
    assert result.scene.count == result.metrics.shapes == config.count
    assert result.metrics.steps == config.steps
    assert result.initial.count == min(config.growth, config.count)


@given(
    counts=st.tuples(st.integers(1, 5000), st.integers(1, 5000)).map(sorted),
    steps=st.none() | st.integers(0, 50_000),
    preset=st.sampled_from(list(PRESETS)),
    relocate_fraction=st.none() | st.floats(0, 1),
)
def test_fewer_shapes_take_no_more_steps_unless_steps_are_given(counts, steps, preset, relocate_fraction):
    configs = [RunConfig(count=n, steps=steps, preset=preset, relocate_fraction=relocate_fraction) for n in counts]
    planned = [sum(stage.steps for stage in config.plan()) for config in configs]
    assert planned == [config.filled.steps for config in configs] == [config.extent[0] for config in configs]
    if steps is None:
        assert PRESETS[preset].steps / 9 < planned[0] <= planned[1] <= PRESETS[preset].steps
        assert planned[1] == PRESETS[preset].steps or counts[1] < 512
    else:
        assert planned == [steps, steps]


def test_positions_move_in_proportion_to_the_size_of_shapes():
    def position(side, count, rate=0.75):
        settings = RunConfig(count=count, rates=Rates(position=rate, radius=0.02)).fit_settings(side, side)
        assert settings.rates.radius == 0.02
        return settings.rates.position

    assert position(256, 2048) == position(256, 4000) == position(32, 64) == 0.75
    assert position(256, 512) == position(512, 2048) == 1.5
    assert position(512, 512, rate=0.5) == 2.0
    assert 1.5 < position(256, 64) == position(256, 1) < 8  # a step of Adam stays small relative to the canvas
    assert position(10_000, 1, rate=1000.0) == 1000.0  # the largest rate


def test_fit_returns_scene_picture_and_metrics():
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
def test_metrics_name_renderer_device_and_kernel(renderer, device):
    metrics = result_of(RunConfig(growth=4, count=4, steps=2, renderer=renderer, device=device)).metrics
    assert (metrics.renderer, metrics.device, metrics.kernel) == (renderer, "cpu", "numba")
