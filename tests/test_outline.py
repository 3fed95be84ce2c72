"""Outlines for plotters: where resvg draws them, their size on paper, and the way of the pen."""

import itertools
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from command_line import refusal, succeeded
from shapes import MIXED, NAMES, crowd

import artpipe
from artpipe import Canvas, InputError, Scene, save_scene
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.stages.exporters.fidelity import draw_svg
from artpipe.stages.exporters.svg_shapes import hard_outline, shapes, shown_rows

SVG = "{http://www.w3.org/2000/svg}"
WIDTH, HEIGHT = 60, 45
NUMBER = r"-?(?:\d+\.?\d*|\.\d+)"


@pytest.fixture
def outlined(tmp_path):
    """`(scene, **options) -> path` of the outlines."""
    return lambda scene, **options: artpipe.export(scene, tmp_path / "a.svg", outline=True, **options)[0]


def parsed(path):
    return ElementTree.fromstring(path.read_bytes())


def paths(root):
    return [element.get("d") for element in root.iter(f"{SVG}path")]


def ends_of(data):
    """Start and end of a path, and all its points."""
    numbers = re.sub(rf"A(?:{NUMBER} ){{3}}[01] [01] ", "L", data)  # without the radii
    points = np.array([float(value) for value in re.findall(NUMBER, numbers)]).reshape(-1, 2)
    return points[0], points[0] if data.endswith("z") else points[-1], points


@pytest.mark.parametrize("kind", [*NAMES, "logistic"])
def test_resvg_draws_a_line_along_every_rim_and_nowhere_else(outlined, kind):
    pytest.importorskip("resvg", reason="needs resvg: pip install 'artpipe[svg]'")
    primitive, edge = ("circle", "logistic") if kind == "logistic" else (kind, "linear")
    scene = crowd(np.random.default_rng(3), 12, WIDTH, HEIGHT, edge, primitive, radius=(3.0, 20.0))
    factor = 8
    ink = draw_svg(outlined(scene, width=factor * WIDTH), transparent=True)[:, :, 3]
    across, down = np.meshgrid(*((np.arange(factor * side) + 0.5) / factor for side in (WIDTH, HEIGHT)))
    near, slack = np.full(ink.shape, np.inf), 0.4
    for shape in shapes(shown_rows(scene)):
        outset, _ = hard_outline(shape, FALLOFFS[edge])
        distance = shape.primitive.distance(np, across, down, shape.columns) - outset
        if shape.primitive.name == "triangle" and outset < 0:
            slack = 4.0  # inner outlines are similar triangles: their corners lie deeper inside
        near = np.minimum(near, np.abs(distance))
        # On both sides of a rim in the canvas there is a line.
        rim = (np.abs(distance) < 0.1)[4:-4, 4:-4]
        drawn = np.max([np.roll(ink, (i, j), (0, 1)) for i in range(-3, 4) for j in range(-3, 4)], axis=0)[4:-4, 4:-4]
        assert (drawn[rim] > 0.02).mean() > (0.99 if slack < 1 else 0.8)
    assert ink.max() > 0.1 and near[ink > 0.02].max() < slack


@pytest.mark.parametrize(
    ("options", "size", "unit"),
    [({}, (60, 45), "px"), ({"width": 300}, (300, 225), "px"), ({"units": "mm", "dpi": 25.4}, (60, 45), "mm"),
     ({"units": "in", "width": 600, "dpi": 100}, (6, 4.5), "in"), ({"units": "mm", "paper": "a4"}, (297, 210), "mm"),
     ({"units": "in", "paper": "letter"}, (11, 8.5), "in")],
    ids=str,
)  # fmt: skip
def test_the_drawing_has_its_size_in_its_unit_and_nothing_leaves_the_picture(outlined, options, size, unit):
    scene = crowd(np.random.default_rng(3), 40, WIDTH, HEIGHT, primitive=MIXED, radius=(3.0, 30.0))
    root = parsed(outlined(scene, **options))
    assert [root.get(name) for name in ("width", "height")] == [f"{length:g}{unit}" for length in size]
    assert [float(value) for value in root.get("viewBox").split(",")] == [0, 0, *size]
    scale = min(size[0] / WIDTH, size[1] / HEIGHT)
    low = np.array([size[0] - scale * WIDTH, size[1] - scale * HEIGHT]) / 2
    points = np.concatenate([ends_of(data)[2] for data in paths(root)])
    assert (points >= low - 0.006).all() and (points <= np.array(size) - low + 0.006).all()
    group = next(root.iter(f"{SVG}g"))
    assert group.get("fill") == "none" and group.get("stroke") == "#000000"
    width = float(group.get("stroke-width")) * {"px": 1, "mm": 1, "in": 25.4}[unit]
    assert width == pytest.approx(0.25 if unit == "px" else 0.1, abs=0.01)


def test_the_pen_travels_little_between_the_outlines(outlined, rng):
    scene = crowd(rng, 200, WIDTH, HEIGHT, radius=(1.0, 3.0))
    ways = [ends_of(data)[:2] for data in paths(parsed(outlined(scene)))]

    def travel(ways):
        return sum(np.linalg.norm(start - end) for (_, end), (start, _) in itertools.pairwise(ways))

    assert len(ways) > 150
    assert travel(ways) < 0.3 * travel([ways[k] for k in rng.permutation(len(ways))])


def test_layers_are_pens(outlined, rng):
    scene = crowd(rng, 60, WIDTH, HEIGHT, primitive=MIXED)
    groups = list(parsed(outlined(scene, layers=3)).iter(f"{SVG}g"))
    colours = {group.get("stroke") for group in groups}
    assert 1 < len(groups) <= 3 and len(colours) == len(groups)
    assert all(
        group.get("stroke") in group.get("{http://www.inkscape.org/namespaces/inkscape}label") for group in groups
    )


def test_an_outline_may_cross_the_frame_anywhere_and_an_empty_scene_is_empty(outlined):
    canvas = Canvas(20, 20)
    for x, y, radius, count in ((10, 10, 5, 1), (0, 0, 5, 1), (10, 0, 5, 1), (10, 10, 12, 4), (10, 10, 30, 0)):
        scene = Scene.circles(canvas, x=[x], y=[y], radius=[radius], colour=[[0, 0, 0]], softness=0.01)
        data = paths(parsed(outlined(scene)))
        assert len(data) == count
        assert all(each.endswith("z") == (radius == 5 and x == y == 10) for each in data)
    assert paths(parsed(outlined(Scene.empty(canvas)))) == []


def test_options_that_do_not_fit_are_refused_in_one_line(outlined, tmp_path):
    scene = Scene.empty(Canvas(20, 20))
    for options, part in (
        ({"flat": True}, "outline and flat"), ({"animated": True}, "outline and animated"),
        ({"paper": "a4"}, "--units mm"), ({"units": "cm"}, "px, mm, in"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=part):
            outlined(scene, **options)
    save_scene(scene, tmp_path / "a.json")
    assert "with outline .svg" in refusal("export", tmp_path / "a.json", tmp_path / "a.svg", "--units", "mm")
    assert not (tmp_path / "a.svg").exists()
    succeeded("export", tmp_path / "a.json", tmp_path / "a.svg", "--outline", "--units", "mm", "--paper", "a4")
