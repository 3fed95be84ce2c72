"""Pixel weights: masks, regions of focus and edges, from the command line to the circles."""

import json

import numpy as np
import pytest
from command_line import refusal, run_cli, succeeded
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import artpipe
from artpipe import FitSettings, InputError, load_fitting_renderer, load_scene
from artpipe.pipeline.options import RunConfig
from artpipe.renderers.kernels import reference
from artpipe.renderers.registry import FITTING_RENDERERS
from artpipe.stages.base import Run
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.pictures.regions import parse_focus
from artpipe.stages.pictures.weights import detail, load_mask, weights_for
from artpipe.stages.seed import Seed

WIDTH, HEIGHT = 36, 24
SHARE = st.floats(0, 1)
RADIUS = st.floats(0, 1, exclude_min=True)
REGIONS = st.lists(st.tuples(SHARE, SHARE, RADIUS), max_size=3).map(tuple)


def refused(function, *arguments, **options):
    """The one line that refuses arguments."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message and 10 < len(message) < 400
    return message


def noise(height=HEIGHT, width=WIDTH, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)


def disc(x, y, radius, height=HEIGHT, width=WIDTH):
    """(H, W): whether a pixel's centre is within a radius in pixels."""
    across, down = np.arange(width) + 0.5 - x, np.arange(height) + 0.5 - y
    return np.hypot(across[None, :], down[:, None]) <= radius


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A small painting as a file: a smooth ground with a fine pattern."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    image = np.stack([across, down, 0.5 + 0.4 * np.sin(40 * across) * np.sin(30 * down)], axis=2)
    path = tmp_path_factory.mktemp("pictures") / "tiny.png"
    save_png(image, path)
    return path


# --- regions of focus ---


@given(SHARE, SHARE, st.floats(0.001, 1), st.tuples(*[st.booleans()] * 3))
def test_a_region_is_read_as_shares_or_percentages(x, y, radius, percent):
    pairs = zip((x, y, radius), percent, strict=True)
    words = [f"{100 * v:.6f}%" if in_percent else f"{v:.8f}" for v, in_percent in pairs]
    assert parse_focus(",".join(words)) == pytest.approx((x, y, radius), abs=1e-7)
    assert parse_focus(" , ".join(words)) == parse_focus(",".join(words))


NO_REGIONS = """
|0.5|0.5,0.4|0.5,0.4,0.2,0.1|a,b,c|0.5;0.4;0.2|0.5,0.4,|nan,0.5,0.1|inf,0,1|1e-1,0,1|0x1,0,1|5 0%,40%,20%|50%%,40%,20%
|%,%,%|.,.,.|-0.1,0,0.1|1.01,0.5,0.1|0.5,101%,0.1|0.5,0.5,0|0.5,0.5,0%|120,80,40|0.5,0.5,1.2|٣,٠,١
"""


def test_an_invalid_region_is_refused_with_an_example():
    for text in (*NO_REGIONS.strip().split("|"), "9" * 200 + ",0.5,0.1"):
        message = refused(parse_focus, text)
        assert "0.5,0.4,0.2" in message or "0 to 1" in message


@given(st.text(max_size=20) | st.text("0123456789.,%", max_size=16))
def test_any_text_is_a_region_or_is_refused(text):
    try:
        x, y, radius = parse_focus(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert 0 <= x <= 1 and 0 <= y <= 1 and 0 < radius <= 1


def test_a_region_has_weight_1_at_its_middle_and_a_half_at_its_radius():
    weights = weights_for(noise(100, 200), focus=((0.25, 0.4, 0.1),), floor=0.0)  # 20 pixels about (50, 40)
    near, far = disc(50, 40, 10, 100, 200), ~disc(50, 40, 30, 100, 200)
    assert (weights[near] == 1).all() and (weights[far] == 0).all()
    rim = disc(50, 40, 20.5, 100, 200) & ~disc(50, 40, 19.5, 100, 200)
    np.testing.assert_allclose(weights[rim], 0.5, atol=0.05)
    assert np.abs(np.diff(weights, axis=0)).max() < 0.1 and np.abs(np.diff(weights, axis=1)).max() < 0.1
    one, other = (0.3, 0.5, 0.2), (0.6, 0.5, 0.3)
    apart = [weights_for(noise(), focus=(region,)) for region in (one, other)]
    np.testing.assert_array_equal(weights_for(noise(), focus=(one, other)), np.maximum(*apart))


# --- masks ---


def save_mask(path, values, **options):
    Image.fromarray(np.asarray(values)).save(path, **options)
    return path


def test_weights_of_a_mask_are_its_brightness_and_0_where_it_is_transparent(tmp_path):
    colours = np.full((4, 8, 4), 255, np.uint8)
    colours[:, 0, :3] = 0
    colours[:, 2:5, :3] = 255 * np.eye(3, dtype=np.uint8)
    colours[:, 5, :3] = 51
    colours[:, 6, 3], colours[:, 7, 3] = 0, 51
    mask = load_mask(save_mask(tmp_path / "m.png", colours), 8, 4)
    np.testing.assert_allclose(mask, np.tile([0, 1, 0.2126, 0.7152, 0.0722, 0.2, 0, 0.2], (4, 1)), atol=1e-5)
    np.testing.assert_allclose(weights_for(noise(4, 8), mask)[0, :2], [1 / 16, 1], rtol=1e-5)
    np.testing.assert_allclose(weights_for(noise(4, 8), mask, floor=0.5), 0.5 + 0.5 * mask, atol=1e-6)


def test_a_mask_is_resampled_like_the_picture(tmp_path):
    path = tmp_path / "m.png"
    for size in ((90, 60), (WIDTH, HEIGHT), (20, 11)):
        save_png(np.kron(noise(6, 9), np.ones((10, 10, 1))), path)
        grey = load_picture(path, size) @ [0.2126, 0.7152, 0.0722]
        np.testing.assert_allclose(load_mask(path, *size, picture=path), grey, atol=1e-5)


def test_a_mask_may_have_another_size_with_sides_rounded_either_way(tmp_path):
    for width, height, factor, up in ((900, 7, 0.3, 1), (64, 48, 2.9, 0), (33, 500, 0.11, 1), (1, 1, 3, 0)):
        own = tuple(max(1, int(side * factor) + up) for side in (width, height))
        Image.new("1", (width, height), 1).save(tmp_path / "p.png")
        Image.new("1", own, 1).save(tmp_path / "m.png")
        assert load_mask(tmp_path / "m.png", 5, 3, picture=tmp_path / "p.png").shape == (3, 5)
        assert load_mask(tmp_path / "m.png", width, height).shape == (height, width)


def test_masks_that_cannot_be_used_are_refused(picture, tmp_path):
    for size in ((72, 24), (24, 36), (360, 210)):
        path = save_mask(tmp_path / "m.png", np.zeros(size[::-1], np.uint8))
        for canvas in ((WIDTH, HEIGHT), size):
            message = refused(load_mask, path, *canvas, picture=picture)
            assert f"{size[0]} x {size[1]}" in message and f"{WIDTH} x {HEIGHT}" in message
        refused(load_mask, path, WIDTH, HEIGHT)
    (tmp_path / "words.png").write_text("no image")
    for path in (tmp_path / "none.png", tmp_path / "words.png", tmp_path):
        assert path.name in refused(load_mask, path, 8, 8)
    assert refused(load_mask, Image.new("L", (0, 0)), 8, 8).startswith("mask is 0 x 0 pixels")


def test_masks_are_rotated_by_exif(picture, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # stored on its side
    upright = np.zeros((HEIGHT, WIDTH), np.uint8)
    upright[:, : WIDTH // 2] = 255
    sideways = save_mask(tmp_path / "m.png", np.ascontiguousarray(np.rot90(upright)), exif=exif)
    for other in (picture, sideways, None):
        np.testing.assert_allclose(load_mask(sideways, WIDTH, HEIGHT, other), upright / 255, atol=1e-6)
    refused(load_mask, sideways, HEIGHT, WIDTH)


# --- edges ---


def step(height=24, width=40, low=0.3, high=0.7):
    target = np.full((height, width, 3), low, np.float32)
    target[:, width // 2 :] = high
    return target


def test_edges_have_weight_1_and_smooth_parts_less_by_the_amount():
    for amount in (0.25, 1.0):
        weights = weights_for(step(), edges=amount, floor=0.0)
        np.testing.assert_allclose(weights[:, 19:21], 1, atol=1e-6)
        np.testing.assert_allclose(weights[:, [0, 5, 34, 39]], 1 - amount, atol=1e-3)
    np.testing.assert_allclose(detail(step()), detail(step(low=0.45, high=0.55)), atol=1e-5)
    np.testing.assert_array_equal(weights_for(0.5 + 1e-4 * noise(), edges=1.0), np.ones((HEIGHT, WIDTH)))
    equal_brightness = step()
    equal_brightness[:, :20], equal_brightness[:, 20:] = (0.7152, 0, 0), (0, 0.2126, 0)
    silhouette = np.concatenate([np.zeros((24, 40, 3), np.float32), step(low=0, high=1)[:, :, :1]], axis=2)
    for target in (equal_brightness, silhouette):
        np.testing.assert_allclose(detail(target)[:, 19:21], 1, atol=1e-6)
        assert detail(target)[:, :12].max() < 0.01


# --- all together ---


@given(
    st.integers(1, 30), st.integers(1, 30), st.sampled_from([3, 4]), st.none() | st.integers(0, 9), REGIONS, SHARE,
    st.floats(1e-6, 1),
)  # fmt: skip
def test_weights_are_the_product_of_mask_focus_and_edges_above_the_floor(
    height, width, channels, seed, focus, edges, floor
):
    target = np.random.default_rng(1).uniform(0, 1, (height, width, channels)).astype(np.float32)
    mask = None if seed is None else np.random.default_rng(seed).uniform(0.1, 1, (height, width))
    weights = weights_for(target, mask, focus, edges, floor)
    if mask is None and not focus and edges == 0:
        assert weights is None
        return
    assert weights.shape == (height, width) and weights.dtype == np.float32
    given_parts = [{"mask": mask}] * (seed is not None) + [{"focus": focus}] * bool(focus) + [{"edges": edges}]
    found = [weights_for(target, floor=1e-9, **part) for part in given_parts if part != {"edges": 0}]
    np.testing.assert_allclose(weights, floor + (1 - floor) * np.prod(found, axis=0), rtol=1e-4, atol=1e-6)
    assert (weights > 0).all() and weights.max() <= 1 + 1e-6


def test_even_the_smallest_region_holds_a_pixel():
    for x, y in ((0.5, 0.5), (0.0, 1.0), (0.31, 0.02)):
        weights = weights_for(noise(7, 30), focus=((x, y, 1e-6),), floor=0.0)
        down, across = np.unravel_index(np.argmax(weights), weights.shape)
        assert weights.max() > 0 and abs(across + 0.5 - 30 * x) <= 1 and abs(down + 0.5 - 7 * y) <= 1


def test_a_black_mask_is_refused_only_without_a_floor():
    black = np.zeros((HEIGHT, WIDTH))
    assert (weights_for(noise(), black) == np.float32(1 / 16)).all()
    assert "--weight-floor" in refused(weights_for, noise(), black, floor=0.0)


# --- what the weights do ---


@pytest.mark.parametrize("renderer", FITTING_RENDERERS)
def test_focus_lowers_the_error_there_and_raises_it_elsewhere(picture, renderer):
    target, focus = load_picture(picture), ((0.3, 0.5, 0.2),)
    common = {"count": 24, "steps": 80, "growth": 8, "renderer": renderer, "size": WIDTH}
    results = artpipe.fit(picture, **common), artpipe.fit(picture, **common, focus=focus)
    where = disc(0.3 * WIDTH, 0.5 * HEIGHT, 0.2 * WIDTH)
    before, after = (np.mean((result.image - target) ** 2, axis=2) for result in results)
    assert after[where].mean() < 0.7 * before[where].mean() and after[~where].mean() > before[~where].mean()
    weights = weights_for(target, focus=focus)
    run = Run(target, load_fitting_renderer(renderer), settings=FitSettings(weights=weights))
    list(Seed(6)(run))
    assert run.fit.loss() == pytest.approx(artpipe.mean_squared_error(reference.render(run.scene), target, weights))
    np.testing.assert_allclose(run.fit.worth(), reference.worth(run.scene, target, weights), rtol=1e-3, atol=1e-7)


def test_weights_of_the_caller_are_multiplied_and_metrics_report_both_errors():
    target = noise()
    options = {"count": 6, "steps": 10, "growth": 3}
    focus, other = ((0.3, 0.5, 0.2),), np.random.default_rng(3).uniform(0.1, 1, (HEIGHT, WIDTH))
    own = weights_for(target, focus=focus)
    asked = artpipe.fit(target, **options, focus=focus)
    assert artpipe.fit(target, **options, weights=own).scene.same_as(asked.scene)
    plain = artpipe.fit(target, **options)
    assert plain.metrics.weighted_mse is None and not plain.scene.same_as(asked.scene)
    both = artpipe.fit(target, **options, focus=focus, weights=other)
    for result, weights in ((asked, own), (both, own * other)):
        squared = np.mean((result.image - target) ** 2, axis=2)
        assert result.metrics.mse == pytest.approx(squared.mean(), rel=1e-4)
        assert result.metrics.weighted_mse == pytest.approx(np.average(squared, weights=weights), rel=1e-3)
    for focus in ((), ((0.3, 0.5, 0.2),)):
        assert f"({HEIGHT}, {WIDTH})" in refused(artpipe.fit, target, **options, focus=focus, weights=other[1:])
        refused(artpipe.fit, target, **options, focus=focus, weights=-other)


# --- configuration and command line ---


INVALID = {
    "mask": ("", 5, ["m.png"]),
    "focus": (
        None, "0.5,0.4,0.2", 0.5, [0.5, 0.4, 0.2], [[0.5, 0.4]], [["0.5", 0.4, 0.2]], [None], [[0.5, 0.4, True]],
        [[0.5, 0.4, np.nan]], [[2, 0.4, 0.1]], [[0, 0, 0]], [np.eye(3)],
    ),
    "edges": (-0.1, 1.1, "1", None, True, np.nan),
    "weight_floor": (-1, 1.5, None),
}  # fmt: skip


def test_invalid_values_are_refused():
    for name, values in INVALID.items():
        for value in values:
            assert name.replace("weight_floor", "weight") in refused(RunConfig.from_json, {name: value})


SHORT = ["--max", 8, "--growth", 4, "--steps", 12, "-q"]


def test_a_run_saves_its_options_and_weights_and_can_be_repeated(picture, tmp_path):
    mask = save_mask(tmp_path / "m.png", np.tile(np.linspace(0, 255, 2 * WIDTH).astype(np.uint8), (2 * HEIGHT, 1)))
    words = ["--mask", mask, "--focus", "0.5,0.4,0.2", "--focus", "90%,50%,30%", "--weight-floor", 0.1]
    succeeded("run", picture, "-o", tmp_path / "a", "--no-export", *SHORT, *words, "--edges")
    options = json.loads((tmp_path / "a" / "run.json").read_text())["options"]
    assert (options["mask"], options["edges"], options["weight_floor"]) == (str(mask), 0.75, 0.1)
    np.testing.assert_allclose(options["focus"], [[0.5, 0.4, 0.2], [0.9, 0.5, 0.3]])
    regions = ((0.5, 0.4, 0.2), (0.9, 0.5, 0.3))
    weights = weights_for(load_picture(picture), load_mask(mask, WIDTH, HEIGHT), regions, 0.75, 0.1)
    shown = load_picture(tmp_path / "a" / "mask.png")
    np.testing.assert_allclose(shown, np.repeat((weights / weights.max())[:, :, None], 3, axis=2), atol=1 / 255)
    scene = load_scene(tmp_path / "a" / "scene.json")
    succeeded("run", picture, "-o", tmp_path / "b", "--no-export", "--config", tmp_path / "a" / "run.json", "-q")
    assert load_scene(tmp_path / "b" / "scene.json").same_as(scene)
    python = {"mask": mask, "focus": options["focus"], "edges": 0.75, "weight_floor": 0.1, "size": WIDTH}
    assert artpipe.fit(picture, count=8, growth=4, steps=12, **python).scene.same_as(scene)
    succeeded("run", picture, "-o", tmp_path / "plain", *SHORT, "--no-export", "--weight-floor", 0.5)
    assert not (tmp_path / "plain" / "mask.png").exists()


def test_stages_by_hand_follow_the_weights_of_load(picture, tmp_path):
    for name, words in (("plain", ()), ("focused", ("--focus", "0.1,0.5,0.1", "--edges"))):
        succeeded("load", picture, "-q", *words, "seed", "--count", 6, "export", tmp_path / f"{name}.json")
    plain, focused = (load_scene(tmp_path / f"{name}.json") for name in ("plain", "focused"))
    assert focused.column("x").mean() < plain.column("x").mean()


def test_invalid_options_are_refused_in_one_line(picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_mask(tmp_path / "tall.png", np.zeros((20, 10), np.uint8))
    for words in ("--focus 0.5", "--focus 300,200,50", "--mask nowhere.png", "--mask tall.png", "--mask "):
        option, value = words.split(" ")
        for command in (["run", picture, "-o", "out", *SHORT], ["load", picture, "seed", "export", "a.png"]):
            line = refusal(*command[:2], option, value, *command[2:])
            assert option.strip("-") in line or value in line
    assert not (tmp_path / "a.png").exists()
    result = run_cli("run", "--edges", picture)
    assert result.exit_code == 2 and str(picture) in result.stderr and "put the option last" in result.stderr
