"""Layers of an SVG: circles by palette colour, for those who plot, cut or print."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
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
    """60 circles, from hard to very soft; all can be seen."""
    rng = np.random.default_rng(7)
    return make_scene(rng, 60, WIDTH, HEIGHT, request.param, radius=(6.0, 20.0), softness=(0.15, 6.0))


def painted(layers, canvas):
    """The picture of the layers, one over the other."""
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


@pytest.mark.parametrize("count", [1, 6, LAYERS_MAX])
def test_layers_are_the_scenes_circles_in_one_colour_each(scene, count):
    layers = colour_layers(scene, count)
    assert layers
    assert_layers_of(scene, layers, count)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6), circles=st.integers(0, 12), count=st.integers(1, 6), faint=st.sampled_from([0.003, 1.0])
)
def test_any_scene_can_be_put_in_layers(make_scene, seed, circles, count, faint):
    rng = np.random.default_rng(seed)
    scene = make_scene(rng, circles, 16, 12, opacity=(0.0, faint))
    assert_layers_of(scene, colour_layers(scene, count), count)


@pytest.mark.parametrize("opacity", [0.0, 0.002, 0.01])
def test_a_circle_that_can_hardly_be_seen_can_be_put_in_layers(opacity):
    """A palette of 8 bits may be on the other side of the background than the circle is."""
    scene = Scene.circles(
        Canvas(32, 24, (0.5, 0.5, 0.5)), x=[16], y=[12], radius=[6], colour=[[0, 0, 0]], opacity=opacity
    )
    layers = colour_layers(scene, 1)
    assert_layers_of(scene, layers, 1)
    away = np.abs(painted(layers, scene.canvas) - artpipe.render(scene)).max()
    assert away <= np.abs(artpipe.render(Scene.empty(scene.canvas)) - artpipe.render(scene)).max() + 1e-6


def test_the_order_of_the_layers_is_as_good_as_any_at_random(rng, scene):
    layers = colour_layers(scene, 6)
    assert len(layers) > 3
    want = artpipe.render(scene)
    own = artpipe.mean_squared_error(painted(layers, scene.canvas), want)
    for _ in range(12):
        shuffled = [layers[k] for k in rng.permutation(len(layers))]
        assert own <= artpipe.mean_squared_error(painted(shuffled, scene.canvas), want)


def test_a_colour_that_lies_under_another_is_painted_first():
    """Though most of its circles come later: one large red disc, blue ones upon it, and red ones beside them."""
    red, blue = [0.9, 0.1, 0.1], [0.1, 0.2, 0.9]
    beside = np.arange(4.0, HEIGHT, 8)
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT),
        x=[24, 18, 30, *np.full(len(beside), 54)], y=[24, 24, 24, *beside],
        radius=[20, 4, 4, *np.full(len(beside), 3)], colour=[red, blue, blue, *[red] * len(beside)],
    )  # fmt: skip
    layers = colour_layers(scene, 6)
    np.testing.assert_allclose(painted(layers, scene.canvas), artpipe.render(scene), atol=0.02)


def test_leaving_out_any_circle_more_brings_no_gain(scene):
    layers = colour_layers(scene, 6)
    rows = np.concatenate([layer.scene.rows for layer in layers])
    assert len(rows) < scene.count  # some did harm
    want = artpipe.render(scene)
    own = artpipe.mean_squared_error(painted(layers, scene.canvas), want)
    for k in range(len(rows)):
        without = artpipe.render(Scene(np.delete(rows, k, axis=0), scene.canvas))
        assert artpipe.mean_squared_error(without, want) >= own - 1e-7


def test_more_layers_are_nearer_to_the_picture(scene):
    want = artpipe.render(scene)
    blank = artpipe.render(Scene.empty(scene.canvas))
    counts = (1, 3, 10)
    errors = [artpipe.mean_squared_error(painted(colour_layers(scene, count), scene.canvas), want) for count in counts]
    assert artpipe.mean_squared_error(blank, want) > errors[0] > errors[1] > errors[2]


def test_a_palette_with_room_for_all_colours_leaves_the_picture_as_it_is():
    colours = np.array([[0.8, 0.2, 0.2], [0.2, 0.4, 0.8], [0.2, 0.8, 0.4]])
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT), x=[12, 32, 52] * 2, y=[12] * 3 + [36] * 3, radius=[8] * 6, colour=[*colours, *colours]
    )
    layers = colour_layers(scene, 12)
    assert sorted(layer.scene.count for layer in layers) == [2, 2, 2]
    np.testing.assert_allclose(painted(layers, scene.canvas), artpipe.render(scene), atol=0.02)


def test_layers_of_a_transparent_picture_have_the_colours_of_what_is_painted():
    # Blue on black, far from the bare white around it; were white in the palette, one of two colours would be left.
    canvas = Canvas(WIDTH, HEIGHT, (1.0, 1.0, 1.0), transparent=True)
    colours = [[0, 0, 0], [0, 0, 1]]
    scene = Scene.circles(canvas, x=[30, 30], y=[24, 24], radius=[14, 7], colour=colours, softness=0.2)
    layers = colour_layers(scene, 2)
    assert [layer.scene.count for layer in layers] == [1, 1]
    np.testing.assert_allclose([layer.colour for layer in layers], colours, atol=0.03)


def test_a_white_circle_on_a_transparent_canvas_is_kept():
    for white in ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)):
        canvas = Canvas(WIDTH, HEIGHT, white, transparent=True)
        one = Scene.circles(canvas, x=[30], y=[20], radius=[12], colour=[white])
        assert [layer.scene.count for layer in colour_layers(one, 3)] == [1]


def test_a_file_of_layers_is_what_inkscape_takes_for_layers(scene):
    groups = groups_of(scene, 5)
    assert 1 < len(groups) <= 5
    assert all(group.get(f"{INKSCAPE}groupmode") == "layer" for group, _, _ in groups)
    labels = [group.get(f"{INKSCAPE}label") for group, _, _ in groups]
    ids = [group.get("id") for group, _, _ in groups]
    assert all(labels) and len(set(labels)) == len(labels) and len(set(ids)) == len(ids)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("count", [1, 5])
def test_each_group_of_the_file_has_one_colour_which_its_label_tells(scene, count, flat):
    groups = groups_of(scene, count, flat=flat)
    assert 1 <= len(groups) <= count
    for group, colours, circles in groups:
        (colour,) = colours
        assert re.fullmatch("#[0-9a-f]{6}", colour) and colour in group.get(f"{INKSCAPE}label")
        assert circles


def test_a_label_counts_the_circles_that_are_in_the_file():
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT), x=[10, 40, -90], y=[20, 20, 20], radius=[9, 9, 9], colour=[[1, 0, 0]] * 3
    )
    groups = groups_of(scene, 1)
    assert [re.search(r"(\d+) circles?", group.get(f"{INKSCAPE}label"))[1] for group, _, _ in groups] == ["2"]


def test_groups_of_the_file_are_the_layers_in_their_order(scene):
    layers = colour_layers(scene, 5)
    places = [
        [(float(circle["cx"]), float(circle["cy"])) for circle in circles] for _, _, circles in groups_of(scene, 5)
    ]
    assert [len(group) for group in places] == [layer.scene.count for layer in layers]
    for group, layer in zip(places, layers, strict=True):
        np.testing.assert_allclose(group, layer.scene.centres(), atol=0.501)


def test_an_empty_scene_has_no_layers_and_one_circle_one():
    canvas = Canvas(WIDTH, HEIGHT, (0.2, 0.4, 0.6))
    assert colour_layers(Scene.empty(canvas), 4) == [] and groups_of(Scene.empty(canvas), 4) == []
    one = Scene.circles(canvas, x=[30], y=[20], radius=[12], colour=[[1, 0.5, 0]])
    ((_, colours, circles),) = groups_of(one, 4)
    assert len(circles) == 1
    shade = np.array([int(next(iter(colours))[k : k + 2], 16) / 255 for k in (1, 3, 5)])
    np.testing.assert_allclose(shade, [1, 0.5, 0], atol=0.05)
