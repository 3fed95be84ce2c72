"""Limits of size, softness and opacity: every row of a result keeps them."""

import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded

import artpipe
from artpipe import InputError, load_scene
from artpipe.pipeline.folders import checkpoints
from artpipe.pipeline.options import RunConfig
from artpipe.pipeline.ranges import parse_range
from artpipe.renderers.primitives.table import BY_CODE, PRIMITIVES
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.pictures.picture import save_png

MIX = ",".join(PRIMITIVES)
TARGET = np.random.default_rng(0).uniform(0, 1, (12, 16, 3)).repeat(4, 0).repeat(4, 1).astype(np.float32)
SMALL = {"count": 20, "steps": 90, "growth": 8, "relocate_every": 10}


def extremes(scene):
    """The least and the most size, softness and opacity of a scene."""
    least, most = [], []
    for code in np.unique(scene.kinds):
        primitive, rows = BY_CODE[int(code)], scene.rows[scene.kinds == code].astype(float)
        low, high = primitive.radii(list(rows[:, 5 : primitive.width].T))
        least.append(low.min())
        most.append(high.max())
    pairs = [(column.min(), column.max()) for column in (scene.softness, scene.opacity)]
    return [(min(least), max(most)), *[(float(low), float(high)) for low, high in pairs]]


def assert_within(scene, radius=(0.5, np.inf), softness=(0, np.inf), opacity=(0, 1)):
    for (low, high), (least, most) in zip(extremes(scene), (radius, softness, opacity), strict=True):
        slack = 4e-6 if least == most else 0  # float32 rounding of an exact value
        assert least * (1 - slack) <= low and high <= most * (1 + slack)


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
@pytest.mark.parametrize("shape", [*PRIMITIVES, pytest.param(MIX, marks=pytest.mark.slow)])  # compiles for seconds
def test_every_row_of_a_result_is_within_the_limits(shape, renderer):
    options = {**SMALL, "shape": shape, "renderer": renderer}
    found = artpipe.fit(TARGET, radius="3..9", softness="0.5..3", opacity="0.6..0.8", **options).scene
    assert found.count == 20
    assert_within(found, (3, 9), (0.5, 3), (0.6, 0.8))
    exact = artpipe.fit(TARGET, radius=4, softness=1.5, opacity=1, **options).scene
    assert_within(exact, (4, 4), (1.5, 1.5), (1, 1))
    assert exact.opacity.min() == 1


@pytest.mark.parametrize(
    ("options", "within"),
    [
        ({"radius": "10%..20%"}, {"radius": (6.4, 12.8)}), ({"radius": "4.."}, {"radius": (4, np.inf)}),
        ({"radius": (None, 5)}, {"radius": (0.5, 5)}), ({"radius": "400.."}, {"radius": (400, np.inf)}),
        ({"softness": "..1"}, {"softness": (0.05, 1)}), ({"softness": "hard"}, {"softness": (0.5, 0.5)}),
        ({"opacity": "..0.4"}, {"opacity": (0, 0.4)}), ({"opacity": (0.9, None)}, {"opacity": (0.9, 1)}),
        ({"radius": "3..5", "seconds": 0.3, "steps": None}, {"radius": (3, 5)}),
    ],
)  # fmt: skip
def test_open_ends_shares_and_stop_rules_keep_the_limits(options, within):
    for shape in ("ellipse", "triangle"):
        assert_within(artpipe.fit(TARGET, shape=shape, **{**SMALL, **options}).scene, **within)


def test_limits_are_reached_and_cost_little_where_they_are_wide():
    free = artpipe.fit(TARGET, **SMALL)
    (least, most), *_ = extremes(free.scene)
    bound = artpipe.fit(TARGET, radius=(least * 1.3, most / 2), **SMALL)
    assert extremes(bound.scene)[0][1] == pytest.approx(most / 2, rel=1e-4)
    wide = artpipe.fit(TARGET, radius=(least / 2, most * 2), **SMALL)
    assert wide.metrics.mse < 1.05 * free.metrics.mse


def test_hard_is_the_short_form_of_softness_hard():
    assert RunConfig(hard=True).fit_settings(64, 48) == RunConfig(softness="hard").fit_settings(64, 48)
    with pytest.raises(InputError, match="--hard"):
        RunConfig(hard=True, softness="1..2")


def test_a_resumed_run_keeps_the_limits_and_repeats(tmp_path, monkeypatch):
    picture, words = tmp_path / "p.png", ("--max", 12, "--steps", 60, "--radius", "3..6", "--opacity", "0.5..0.9")
    save_png(TARGET, picture)
    words += ("--shape", "triangle,ellipse", "--relocate-every", 10, "--no-export", "-q", "--checkpoint-every", 0)
    succeeded("run", picture, "-o", tmp_path / "whole", *words)
    whole = load_scene(tmp_path / "whole" / "scene.json")
    kept = checkpoints.Keeper.save

    def stop_at_40(self, run, plan):
        kept(self, run, plan)
        if run.step >= 40:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Keeper, "save", stop_at_40)
    run_cli("run", picture, "-o", tmp_path / "cut", *words)
    monkeypatch.undo()
    succeeded("resume", tmp_path / "cut", "-q", "--no-export")
    resumed = load_scene(tmp_path / "cut" / "scene.json")
    assert resumed.same_as(whole)
    assert_within(resumed, (3, 6), opacity=(0.5, 0.9))


def test_a_range_is_read_from_text_numbers_and_pairs():
    for value, text, ends in (
        ("4..40", "4..40", (4, 40)), ("4..", "4..", (4, 99)), ("..40", "..40", (0, 40)), (6, "6", (6, 6)),
        (" 6 ", "6", (6, 6)),
        ((4, 40.5), "4..40.5", (4, 40.5)), ((None, 8), "..8", (0, 8)), ([2, None], "2..", (2, 99)),
        ("1%..10%", "1%..10%", (2, 20)), ("5..10%", "5..10%", (5, 20)),
    ):  # fmt: skip
        found, written = parse_range("radius", value, 0.5, 1000, share=True)
        assert written == text and found.on(200, 0, 99) == pytest.approx(ends, rel=1e-5)


def test_an_invalid_range_is_refused_in_one_line(tmp_path):
    for name, values in {
        "radius": ("", "..", "4...5", "9..4", "a..b", "-1..4", "0..4", "1..2..3", "4;5", True, (1, 2, 3), "200%"),
        "softness": ("soft", "300%", 0, (None, None)), "opacity": ("0.6..1.2", "60%", (0.9, 0.6), "nan", float("nan")),
    }.items():  # fmt: skip
        for value in values:
            with pytest.raises(InputError, match=f"^{name} is .*needs LOW..HIGH") as caught:
                RunConfig(**{name: value})
            assert "\n" not in str(caught.value)
    picture = tmp_path / "p.png"
    save_png(TARGET, picture)
    assert "opacity is '2'" in refusal("run", picture, "-o", tmp_path / "out", "--opacity", "2")
    assert not (tmp_path / "out").exists()
