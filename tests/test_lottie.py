"""Lottie files: what ThorVG plays, and what another library reads from them."""

import json

import numpy as np
import pytest
from shapes import MIXED, crowd

import artpipe
from artpipe import Canvas, Scene
from artpipe.renderers.alpha import flattened
from artpipe.stages.exporters.growth import even_batches
from artpipe.stages.exporters.svg import BATCH_SHARE, BATCHES
from artpipe.stages.exporters.svg_shapes import shown_rows

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def lottie(tmp_path):
    """`(scene, **options) -> path` of the file that is written."""
    return lambda scene, **options: artpipe.export(scene, tmp_path / "a.lottie.json", **options)[0]


def frame(path, share, width, height):
    """(H, W, 3), 0..1, over white: what ThorVG shows after this share of the time."""
    thorvg = pytest.importorskip("thorvg_python", exc_type=ImportError)
    engine = thorvg.Engine()
    animation = thorvg.Animation(engine)
    picture = animation.get_picture()
    assert picture.load_data(path.read_bytes(), "lottie", None, True) == thorvg.Result.SUCCESS
    picture.set_size(width, height)
    count = animation.get_total_frame()[1]
    animation.set_frame(min(share * count, count - 1))
    canvas = thorvg.SwCanvas(engine)
    canvas.set_target(width, height, cs=thorvg.Colorspace.ABGR8888S)
    canvas.add(picture)
    canvas.draw(True)
    canvas.sync()
    pixels = np.frombuffer(bytes(canvas.buffer_arr), np.uint8).reshape(height, width, 4) / 255
    return flattened(pixels, (1.0, 1.0, 1.0))


def decibels(got, want):
    return artpipe.psnr(float(np.mean(np.square(got - np.clip(want, 0, 1), dtype=np.float64))))


# ThorVG rounds each shape down to 8 bits; soft strokes and triangles are nested outlines.
@pytest.mark.parametrize(
    ("look", "least"),
    [("circle", 42), ("ellipse", 42), ("stroke", 37), ("triangle", 37), (MIXED, 37), ("logistic", 40)],
)
@pytest.mark.parametrize("factor", [1, 4])
def test_thorvg_shows_the_picture_at_the_end(lottie, look, least, factor):
    kind = {"edge": "logistic"} if look == "logistic" else {"primitive": look}
    scene = crowd(np.random.default_rng(7), 40, WIDTH, HEIGHT, softness=(0.3, 4.0), **kind)
    path = lottie(scene, width=factor * WIDTH)
    drawn = frame(path, 1, factor * WIDTH, factor * HEIGHT)
    assert decibels(drawn, artpipe.render(scene.scaled(factor * WIDTH))) >= least


def test_thorvg_shows_the_growth_in_painting_order(lottie, rng):
    scene = crowd(rng, 100, WIDTH, HEIGHT)
    ends = even_batches(scene, BATCHES, BATCH_SHARE)
    path = lottie(scene, seconds=len(ends), hold=1, fps=20)  # a batch each second; it fades in for 0.4 seconds
    assert np.abs(frame(path, 0, WIDTH, HEIGHT) - scene.canvas.background).max() < 0.01
    for k in (0, 20, len(ends) - 2):
        drawn = frame(path, (k + 0.6) / (len(ends) + 1), WIDTH, HEIGHT)
        assert decibels(drawn, artpipe.render(scene.select(np.arange(ends[k])))) > 40
        assert decibels(drawn, artpipe.render(scene.select(np.arange(ends[k + 1])))) < 40


def test_another_library_reads_what_was_written(lottie, rng):
    objects = pytest.importorskip("lottie", reason="needs lottie: pip install lottie").objects
    scene = crowd(rng, 100, WIDTH, HEIGHT, primitive=MIXED, softness=(0.5, 0.5))
    path = lottie(scene, seconds=3, hold=1, fps=20, title="Noche 絵 🎨", width=2 * WIDTH)
    read = objects.Animation.load(json.loads(path.read_text(encoding="utf-8")))
    assert (read.width, read.height, read.frame_rate, read.out_point, read.name) == (128, 96, 20, 80, "Noche 絵 🎨")
    *batches, background = read.layers
    assert background.name == "background" and background.color.components[:3] == [0.2, 0.4, 0.6]
    assert sum(len(layer.shapes) for layer in batches) == shown_rows(scene).count  # one group for each
    assert max(len(layer.shapes) for layer in batches) <= BATCH_SHARE * 100
    starts = [layer.in_point for layer in batches]
    assert starts == sorted(starts, reverse=True) and starts[-1] == 0 and starts[0] < 60
    kinds = {type(item).__name__ for layer in batches for group in layer.shapes for item in group.shapes}
    assert kinds == {"Ellipse", "GradientFill", "Path", "Stroke", "Fill", "TransformShape"}
    for layer in batches:
        for group in layer.shapes:
            for fill in (item for item in group.shapes if isinstance(item, objects.GradientFill)):
                values = fill.colors.colors.value
                assert len(values) == 6 * fill.colors.count
                assert values[0 : 4 * fill.colors.count : 4] == values[4 * fill.colors.count :: 2]


def test_a_transparent_scene_has_no_background_and_an_empty_one_no_shapes(lottie):
    spot = Scene.circles(Canvas(16, 16, transparent=True), x=[8], y=[8], radius=[5], colour=[[1, 0, 0]])
    drawn = frame(lottie(spot), 1, 64, 64)
    assert (drawn[0, 0] == 1).all() and np.abs(drawn[32, 32] - (1, 0, 0)).max() < 0.01
    for transparent, count in ((True, 0), (False, 1)):
        path = lottie(Scene.empty(Canvas(16, 16, (0.0, 0.0, 0.0), transparent=transparent)))
        assert len(json.loads(path.read_text())["layers"]) == count


def test_a_scene_file_keeps_its_ending(lottie, tmp_path, rng):
    scene = crowd(rng, 5, WIDTH, HEIGHT)
    artpipe.export(scene, tmp_path / "lottie.json")
    assert artpipe.load_scene(tmp_path / "lottie.json").same_as(scene)
    assert lottie(scene).read_bytes() == lottie(scene).read_bytes()
