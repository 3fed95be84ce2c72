"""Layers of an SVG: circles by palette colour, for plotting, cutting or printing."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import artpipe
from artpipe import Canvas, Result, Scene
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.stages.exporters.layers import colour_layers
from artpipe.stages.exporters.options import LAYERS_MAX, ExportOptions
from artpipe.stages.exporters.svg import svg_text

SVG = "{http://www.w3.org/2000/svg}"
INKSCAPE = "{http://www.inkscape.org/namespaces/inkscape}"
WIDTH, HEIGHT = 64, 48


@pytest.fixture(scope="module", params=FALLOFFS)
def scene(request, make_scene):
    """60 visible circles, from hard to very soft."""
    rng = np.random.default_rng(7)
    return make_scene(rng, 60, WIDTH, HEIGHT, request.param, radius=(6.0, 20.0), softness=(0.15, 6.0))


def painted(layers, canvas):
    return artpipe.render(Scene.stacked([layer.scene for layer in layers]) if layers else Scene.empty(canvas))


def groups_of(scene, count, **options):
    """Each group of the file, and the colours and the circles in it."""
    root = ElementTree.fromstring(svg_text(Result(scene), ExportOptions(layers=count, **options)).encode())
    gradients = {f"url(#{one.get('id')})": one[0].get("stop-color") for one in root.iter(f"{SVG}radialGradient")}
    groups = []
    for group in root.iter(f"{SVG}g"):
        circles = [circle.attrib for circle in group.iter(f"{SVG}circle")]
        groups.append((group, {gradients.get(circle["fill"], circle["fill"]) for circle in circles}, circles))
    assert sum(len(circles) for _, _, circles in groups) == len(list(root.iter(f"{SVG}circle")))
    return groups


def assert_layers_of(scene, layers, count):
    """Fails unless each layer holds circles of the scene, in their painting order, all in one colour of its own."""
    assert len(layers) <= count
    assert len({layer.colour for layer in layers}) == len(layers)
    places = [np.flatnonzero(np.isin(scene.ids, layer.scene.ids)) for layer in layers]
    assert len(np.unique(np.concatenate([[], *places]))) == sum(map(len, places))  # none is in two layers
    for layer, place in zip(layers, places, strict=True):
        assert layer.scene.count > 0
        np.testing.assert_array_equal(layer.scene.ids, scene.ids[place])
        np.testing.assert_array_equal(layer.scene.rows, scene.select(place).with_columns(colour=layer.colour).rows)


@settings(max_examples=20)
@example(seed=0, circles=40, count=LAYERS_MAX, faint=1.0)
@given(
    seed=st.integers(0, 10**6), circles=st.integers(0, 12), count=st.integers(1, 6), faint=st.sampled_from([0.003, 1.0])
)
def test_any_scene_can_be_put_in_layers_of_one_colour_each(make_scene, seed, circles, count, faint):
    scene = make_scene(np.random.default_rng(seed), circles, 16, 12, opacity=(0.0, faint))
    assert_layers_of(scene, colour_layers(scene, count), count)


@pytest.mark.parametrize("opacity", [0.0, 0.002, 0.01])
def test_a_nearly_invisible_circle_can_be_put_in_layers(opacity):
    """A palette of 8 bits may be on the other side of the background than the circle is."""
    scene = Scene.circles(
        Canvas(32, 24, (0.5, 0.5, 0.5)), x=[16], y=[12], radius=[6], colour=[[0, 0, 0]], opacity=opacity
    )
    layers = colour_layers(scene, 1)
    assert_layers_of(scene, layers, 1)
    away = np.abs(painted(layers, scene.canvas) - artpipe.render(scene)).max()
    assert away <= np.abs(artpipe.render(Scene.empty(scene.canvas)) - artpipe.render(scene)).max() + 1e-6


def test_layers_come_in_a_good_order_without_harmful_circles(rng, scene):
    layers, want = colour_layers(scene, 6), artpipe.render(scene)
    assert_layers_of(scene, layers, 6)
    own = artpipe.mean_squared_error(painted(layers, scene.canvas), want)
    assert len(layers) > 3
    for _ in range(12):
        shuffled = [layers[k] for k in rng.permutation(len(layers))]
        assert own <= artpipe.mean_squared_error(painted(shuffled, scene.canvas), want)
    rows = np.concatenate([layer.scene.rows for layer in layers])
    assert len(rows) < scene.count
    for k in range(len(rows)):
        without = artpipe.render(Scene(np.delete(rows, k, axis=0), scene.canvas))
        assert artpipe.mean_squared_error(without, want) >= own - 1e-7
    blank, one = (painted(layers, scene.canvas) for layers in ([], colour_layers(scene, 1)))
    assert artpipe.mean_squared_error(blank, want) > artpipe.mean_squared_error(one, want) > own


def test_a_colour_that_lies_under_another_is_painted_first():
    """Though most of its circles are later: one large red disc, blue ones upon it, and red ones beside them."""
    red, blue = [0.9, 0.1, 0.1], [0.1, 0.2, 0.9]
    beside = np.arange(4.0, HEIGHT, 8)
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT),
        x=[24, 18, 30, *np.full(len(beside), 54)], y=[24, 24, 24, *beside],
        radius=[20, 4, 4, *np.full(len(beside), 3)], colour=[red, blue, blue, *[red] * len(beside)],
    )  # fmt: skip
    layers = colour_layers(scene, 6)
    np.testing.assert_allclose(painted(layers, scene.canvas), artpipe.render(scene), atol=0.02)


def test_layers_of_a_transparent_picture_have_the_colours_of_what_is_painted():
    # Blue on black, far from the bare white around it; were white in the palette, one of two colours would be left.
    canvas = Canvas(WIDTH, HEIGHT, (1.0, 1.0, 1.0), transparent=True)
    colours = [[0, 0, 0], [0, 0, 1]]
    scene = Scene.circles(canvas, x=[30, 30], y=[24, 24], radius=[14, 7], colour=colours, softness=0.2)
    layers = colour_layers(scene, 2)
    assert [layer.scene.count for layer in layers] == [1, 1]
    np.testing.assert_allclose([layer.colour for layer in layers], colours, atol=0.03)
    white = Scene.circles(canvas, x=[30], y=[20], radius=[12], colour=[(1.0, 1.0, 1.0)])
    assert [layer.scene.count for layer in colour_layers(white, 3)] == [1]


@pytest.mark.parametrize("flat", [False, True])
def test_groups_of_the_file_are_the_layers_as_inkscape_reads_them(scene, flat):
    layers, groups = colour_layers(scene, 5), groups_of(scene, 5, flat=flat)
    assert 1 < len(groups) == len(layers) <= 5
    assert len({group.get("id") for group, _, _ in groups}) == len(groups)
    for (group, colours, circles), layer in zip(groups, layers, strict=True):
        label = group.get(f"{INKSCAPE}label")
        assert group.get(f"{INKSCAPE}groupmode") == "layer"
        (colour,) = colours
        assert re.fullmatch("#[0-9a-f]{6}", colour) and colour in label
        assert re.search(r"(\d+) circles?", label)[1] == str(len(circles))
        centres = [(float(circle["cx"]), float(circle["cy"])) for circle in circles]
        np.testing.assert_allclose(centres, layer.scene.centres(), atol=0.501)


def test_invisible_circles_have_no_layers():
    canvas = Canvas(WIDTH, HEIGHT, (0.2, 0.4, 0.6))
    assert colour_layers(Scene.empty(canvas), 4) == [] and groups_of(Scene.empty(canvas), 4) == []
    scene = Scene.circles(canvas, x=[30, -90], y=[20, 20], radius=[12, 9], colour=[[1, 0.5, 0]] * 2)
    ((group, colours, circles),) = groups_of(scene, 4)
    assert len(circles) == 1 and "(1 circle)" in group.get(f"{INKSCAPE}label")
    shade = np.array([int(next(iter(colours))[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    np.testing.assert_allclose(shade, [1, 0.5, 0], atol=0.05)
