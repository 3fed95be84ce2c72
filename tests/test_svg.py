"""SVG files: their structure, and what independent rasterisers draw from them."""

import functools
import gzip
import io
import itertools
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chromium import chromium
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from shapes import MIXED, NAMES, crowd, degenerate, seeded

import artpipe
from artpipe import Canvas, Result, Scene
from artpipe.renderers.alpha import flattened, picture_of
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.stages.exporters.fidelity import RASTERISERS, draw_svg, svg_fidelity
from artpipe.stages.exporters.layers import colour_layers
from artpipe.stages.exporters.options import TITLE_MAX, ExportOptions
from artpipe.stages.exporters.svg import BATCH_SHARE, counted, svg_text
from artpipe.stages.exporters.svg_shapes import hard_outline, number, shapes

PAINTING = Path(__file__).parents[1] / "images" / "starry_night_van_gogh_1889.jpg"
SVG = "{http://www.w3.org/2000/svg}"
WIDTH, HEIGHT = 64, 48
BACKGROUND = (0.2, 0.4, 0.6)
KINDS = {
    "soft": {}, "wide": {"width": 4 * WIDTH}, "flat": {"flat": True}, "layers": {"layers": 5},
    "animated": {"animated": True}, "flat animated": {"flat": True, "animated": True},
}  # fmt: skip
ROUNDED = 1.01 / 255  # two roundings to 8 bits
# Decibels of a rasteriser that rounds each of 150 shapes to 8 bits and blurs hard outlines: 45 to 50 were measured. A
# wrong stop costs ten and more. resvg rounds the many faint pixels of pieces upwards.
CLOSE, CLOSE_IN_PIECES = 44, 39


@pytest.fixture(scope="module", params=[MIXED, "logistic"])
def scene(request):
    """150 shapes of every kind, or circles with the other falloff, from hard to very soft."""
    primitive, edge = (MIXED, "linear") if request.param == MIXED else ("circle", "logistic")
    return crowd(np.random.default_rng(2048), 150, WIDTH, HEIGHT, edge, primitive, softness=(0.15, 6.0))


@pytest.fixture(scope="module")
def written(scene, tmp_path_factory):
    """`kind -> path` of the scene in a file of that kind; written once, read only."""
    folder = tmp_path_factory.mktemp("written")
    return functools.cache(
        lambda kind: artpipe.export(Result(scene, title="Stars"), folder / f"{kind}.svg", **KINDS[kind])[0]
    )


@pytest.fixture
def svg(tmp_path):
    """`(scene or result, **options) -> path` of the file that is written."""

    def svg(source, name="painting.svg", **options):
        return artpipe.export(source, tmp_path / name, **options)[0]

    return svg


def drawn_by_resvg(path, transparent=False):
    pytest.importorskip("resvg", reason="needs resvg: pip install 'artpipe[svg]'")
    return draw_svg(path, transparent)


def one_circle(edge="linear", width=WIDTH, height=HEIGHT, **circle):
    given = {"x": 30.3, "y": 22.2, "radius": 10.0, "colour": (1.0, 0.3, 0.1), "opacity": 1.0, "softness": 0.5} | circle
    return Scene.circles(Canvas(width, height, BACKGROUND, edge), **{name: [value] for name, value in given.items()})


def on_nothing(scene):
    return replace(scene, canvas=replace(scene.canvas, transparent=True))


def decibels(got, want):
    return artpipe.psnr(float(np.mean(np.square(np.asarray(got, np.float64) - np.clip(want, 0, 1)))))


def close(scene):
    """The decibels that resvg and Chromium reach at least."""
    return CLOSE if all(primitive.is_radial for primitive in scene.primitives) else CLOSE_IN_PIECES


def mosaic(across, down):
    """A scene of discs beside each other, each as different from the background."""
    cell = WIDTH / across
    x, y = np.meshgrid((np.arange(across) + 0.5) * WIDTH / across, (np.arange(down) + 0.5) * HEIGHT / down)
    colours = np.tile([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], (across * down // 2, 1))
    return Scene.circles(
        Canvas(WIDTH, HEIGHT, (0.0, 1.0, 0.0)),
        x=x.ravel(), y=y.ravel(), radius=np.full(across * down, 0.3 * cell), colour=colours, softness=0.2 * cell,
    )  # fmt: skip


def distances(x, y):
    """(H, W) from the pixel centres."""
    return np.hypot(np.arange(WIDTH)[None, :] + 0.5 - x, np.arange(HEIGHT)[:, None] + 0.5 - y)


def parsed(path):
    return ElementTree.fromstring(path.read_bytes())


def style_of(root):
    """The rules of the style sheet, all of them for users without a preference for reduced motion; "" without any."""
    style = "".join(element.text or "" for element in root.iter(f"{SVG}style"))
    return style and re.fullmatch(r"@media \(prefers-reduced-motion:no-preference\)\{(.*)\}", style)[1]


def gradients_of(root):
    return [element for element in root.iter() if element.tag.endswith("Gradient")]


def painted(element):
    """The attributes of the elements of each shape, in painting order."""
    found = []
    for child in element:
        if child.get("shape-rendering"):
            found.append([part.attrib for part in child])
        elif child.tag in {f"{SVG}{name}" for name in ("circle", "line", "polygon", "path")}:
            found.append([child.attrib])
        elif child.tag == f"{SVG}g":
            found += painted(child)
    return found


def groups_of(root):
    """`painted`, group by group."""
    return [painted(group) for group in root.iter(f"{SVG}g") if not group.get("shape-rendering")]


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_has_a_size_a_name_literal_colours_and_nothing_that_runs(written, kind):
    options, root = KINDS[kind], parsed(written(kind))
    assert root.tag == f"{SVG}svg"
    assert [float(value) for value in re.split(r"[ ,]+", root.get("viewBox"))] == [0, 0, WIDTH, HEIGHT]
    width = options.get("width", WIDTH)
    assert (root.get("width"), root.get("height")) == (str(width), str(width * HEIGHT // WIDTH))
    assert root[0].tag == f"{SVG}title" and root[0].text == "Stars"
    assert root[1].tag == f"{SVG}desc" and re.match("150 [a-z]+s[:,] ", root[1].text)

    values = [value for element in root.iter() for value in element.attrib.values()]
    ids = [element.get("id") for element in root.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[A-Za-z][\w-]*", name) for name in ids)
    gradients = {element.get("id") for element in gradients_of(root)}
    assert set(re.findall(r"url\(#(.*?)\)", " ".join(values))) == gradients
    assert bool(gradients) != ("flat" in kind)
    assert kind != "flat" or written("flat").stat().st_size < 0.6 * written("soft").stat().st_size
    for gradient in gradients_of(root):
        for stop in gradient:
            assert re.fullmatch("#[0-9a-f]{6}", stop.get("stop-color"))
            assert set(stop.attrib) <= {"offset", "stop-color", "stop-opacity"}
        opacities = [float(stop.get("stop-opacity", 1)) for stop in gradient]
        assert opacities == sorted(opacities, reverse=True) and opacities[-1] == 0
    assert ("animated" in kind) == bool(style_of(root)) == any("class" in element.attrib for element in root.iter())

    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "defs", "style", "radialGradient", "linearGradient", "stop", "rect", "g", "circle",
        "line", "polygon", "path",
    }  # fmt: skip
    names = {name for element in root.iter() for name in element.attrib}
    assert not any(name.startswith("on") or name.endswith("href") for name in names)
    assert all("url(" not in value or value.startswith("url(#") for value in values)
    assert not re.search(r"@import|url\(", style_of(root))
    assert not re.search("currentColor|<!DOCTYPE|<!ENTITY", written(kind).read_text())


def test_files_of_different_pictures_share_no_names(make_scene):
    """In one HTML page the gradients and keyframes of the first file would be drawn for the others."""
    seen = []
    for seed in range(3):
        scene = make_scene(np.random.default_rng(seed), 30, WIDTH, HEIGHT)
        for options in ({}, {"layers": 4}, {"animated": True}):
            text = svg_text(Result(scene), ExportOptions(**options))
            gradients = set(re.findall(r'<radialGradient id="(.*?)"', text))
            keyframes = set(re.findall(r"@keyframes (\w+)", text))
            assert gradients and bool(keyframes) == ("animated" in options)
            seen.append(((seed, "layers" in options), gradients, keyframes))
    for (picture, gradients, keyframes), (other, others_gradients, others_keyframes) in itertools.combinations(seen, 2):
        assert not keyframes & others_keyframes
        assert picture == other or not gradients & others_gradients


def test_the_same_scene_gives_the_same_bytes_packed_or_not(svg, written, scene):
    again = Result(Scene(scene.rows.copy(), replace(scene.canvas), kinds=scene.kinds), title="Stars")
    for kind in ("soft", "flat", "layers", "animated"):
        assert svg(again, **KINDS[kind]).read_bytes() == written(kind).read_bytes()
    plain, packed = written("soft").read_bytes(), svg(again, "a.svgz").read_bytes()
    assert gzip.decompress(packed) == plain and len(packed) < len(plain) / 3
    assert packed[4:8] == bytes(4)  # RFC 1952: the time
    assert svg(again, "another.svgz").read_bytes() == packed  # and no name


def test_the_width_changes_nothing_but_the_size(written):
    soft, wide = ([ElementTree.tostring(element) for element in parsed(written(kind))] for kind in ("soft", "wide"))
    assert soft == wide


def named(title, **options):
    """The root of a small file with this title."""
    result = Result(one_circle(width=8, height=6))
    return ElementTree.fromstring(svg_text(result, ExportOptions(title=title, **options)).encode("utf-8"))


@example("</title><script>alert(1)</script>", {})
@example("\"quotes\" and 'quotes' & &amp; &lt; ]]><b> <!-- <?xml 絵画 🎨", {"animated": True})
@example("nul\0bell\a broken \udcff name \ud83c \x85\x9f\ufffe\uffff line\nends\r", {})
@example("", {})
@example("x" * 10000, {})
@given(st.text(st.characters()), st.sampled_from([{}, {"animated": True}]))
def test_any_title_is_shown_as_text_without_what_xml_cannot_hold(title, options):
    root = named(title, **options)
    shown = root[0].text or ""
    root[0].text = "x"
    assert ElementTree.tostring(root) == ElementTree.tostring(named("x", **options))
    printable = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff?\s]", "", title)
    assert re.sub(r"[?\s]", "", shown) == printable or TITLE_MAX == len(shown) < len(title)


# ---------------------------------------------------------------- numbers


@given(st.floats(-2e6, 2e6), st.integers(0, 5))
def test_numbers_are_as_short_as_can_be_and_within_half_of_their_last_place(value, places):
    text = number(value, places)
    assert re.fullmatch(r"0|-?[1-9]\d*(\.\d*[1-9])?|-?\.\d*[1-9]", text)  # so no -0, no exponent, no 0.5 and no .50
    assert len(text.partition(".")[2]) <= places
    assert abs(float(text) - value) <= 0.5 * 10**-places * (1 + 1e-9) + 1e-15 * abs(value)


# ---------------------------------------------------------------- drawn by other rasterisers


def drawn_by(rasteriser, path):
    pytest.importorskip(RASTERISERS[rasteriser][0], exc_type=ImportError)
    return draw_svg(path, True, rasteriser)


# Readers, and the decibels that they reach at least: ThorVG rounds each of many faint circles down.
READERS = {
    "resvg": (functools.partial(drawn_by, "resvg"), 40),
    "ThorVG": (functools.partial(drawn_by, "ThorVG"), 36),  # no CSS
}
LOOKS = {
    **{name: {"primitive": name, "softness": (0.15, 6.0)} for name in NAMES},
    "logistic": {"edge": "logistic", "softness": (0.15, 6.0)},
    "transparent": {"softness": (0.15, 6.0)},
    "sharp": {"softness": (0.01, 0.3)},
    "softness above the radius": {"radius": (0.5, 6.0), "softness": (6.0, 20.0)},
    "dark": {"background": (0.0, 0.0, 0.0)},
    "tiny": {"radius": (0.1, 1.0), "softness": (0.1, 1.0)},
    "huge": {"radius": (60.0, 500.0), "softness": (5.0, 50.0), "opacity": (0.2, 0.6)},
}
CASES = [(look, "soft") for look in LOOKS]
CASES += [(look, kind) for look in (MIXED, "logistic", "transparent") for kind in ("flat", "layers", "animated")]
DRAWN_WIDTH = 2 * WIDTH
FLAT = 24  # decibels of hard shapes in place of soft ones


@pytest.fixture(scope="module")
def looks(make_scene, tmp_path_factory):
    """`(look, kind) -> file, whether it is transparent, picture` of a painting of that look in a file of that kind."""
    folder = tmp_path_factory.mktemp("looks")

    @functools.cache
    def scene_of(look):
        scene = make_scene(np.random.default_rng(7), 12 if look == "transparent" else 80, WIDTH, HEIGHT, **LOOKS[look])
        if look == "transparent":
            scene = on_nothing(scene)
        return scene.with_columns(colour=0.1 * scene.colour) if look == "dark" else scene

    @functools.cache
    def looks(look, kind):
        scene = scene_of(look)
        path = artpipe.export(scene, folder / f"{look} {kind}.svg", width=DRAWN_WIDTH, **KINDS[kind])[0]
        if kind == "layers":
            scene = Scene.stacked([layer.scene for layer in colour_layers(scene, KINDS[kind]["layers"])])
        scaled = scene.scaled(DRAWN_WIDTH)
        return path, scaled.canvas.transparent, picture_of(scaled)

    looks.scene = scene_of
    return looks


def likeness(own, drawn, transparent):
    """Decibels of (H, W, 4) against our own picture; with alpha, over black and over white."""
    if not transparent:
        return decibels(drawn[:, :, :3], own)
    over = [np.concatenate([flattened(picture, (c, c, c)) for c in (0.0, 1.0)]) for picture in (drawn, own)]
    return decibels(*over)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("look", "kind"), CASES)
def test_every_reader_draws_every_kind_of_file_as_we_do(looks, reader, look, kind):
    path, transparent, picture = looks(look, kind)
    draw, least = READERS[reader]
    assert likeness(picture, draw(path), transparent) >= (FLAT if kind == "flat" else least)


@pytest.mark.parametrize("look", [*NAMES, "logistic", "transparent", "sharp"])
def test_resvg_draws_a_flat_file_as_the_nearest_hard_shapes(looks, look):
    path, transparent, _ = looks(look, "flat")
    scene, factor = looks.scene(look), DRAWN_WIDTH / WIDTH
    across, down = np.meshgrid((np.arange(DRAWN_WIDTH) + 0.5) / factor, (np.arange(factor * HEIGHT) + 0.5) / factor)
    light, clear = np.zeros((*across.shape, 3)), np.ones((*across.shape, 1))
    for shape in reversed(shapes(scene)):
        outset, opacity = hard_outline(shape, FALLOFFS[scene.canvas.edge])
        distance = factor * (shape.primitive.distance(np, across, down, shape.columns) - outset)
        cover = opacity * np.clip(0.5 - distance, 0, 1)[:, :, None]
        light, clear = light + clear * cover * shape.colour, clear * (1 - cover)
    picture = light + clear * scene.canvas.background
    if transparent:
        picture = np.concatenate([light / np.maximum(1 - clear, 1e-9), 1 - clear], axis=2)
    assert likeness(picture, READERS["resvg"][0](path), transparent) >= 40


@pytest.mark.parametrize("width", [None, 3 * WIDTH // 2])
def test_resvg_draws_what_was_optimised(svg, scene, width):
    drawn, want = drawn_by_resvg(svg(scene, width=width)), artpipe.render(scene.scaled(width or WIDTH))
    assert drawn.shape == want.shape
    assert decibels(drawn, want) >= close(scene)


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize(
    "circle",
    [{"softness": 1.0}, {"softness": 4.0, "opacity": 0.4}, {"radius": 3.0, "softness": 9.0},
     {"radius": 0.0, "softness": 4.0}, {"softness": 4.0, "opacity": 0.004}, {"softness": 4.0, "opacity": 0.0},
     {"x": -3.0, "y": 50.0, "radius": 9.0, "softness": 3.0}, {"x": -40.0, "radius": 10.0, "softness": 3.0},
     {"x": 1032.0, "radius": 1000.0, "softness": 30.0}, {"softness": 1e6, "opacity": 0.8}],
    ids=str,
)  # fmt: skip
def test_resvg_draws_one_circle_by_the_formula(svg, edge, circle):
    """Coverage by hand: a linear ramp of the distance, or the logistic function of r² - d²."""
    one = {"x": 30.3, "y": 22.2, "radius": 10.0, "colour": (1.0, 0.3, 0.1), "opacity": 1.0} | circle
    distance, softness = distances(one["x"], one["y"]), one["softness"]
    if edge == "logistic":  # px², and the same slope at the rim
        softness = min(softness * max(one["radius"], softness), 1e6)
        coverage = 1 / (1 + np.exp(-np.clip((one["radius"] ** 2 - distance**2) / softness, -500, 500)))
    else:
        coverage = np.clip(0.5 + (one["radius"] - distance) / (2 * softness), 0, 1)
    cover = (one["opacity"] * coverage)[:, :, None]
    want = (1 - cover) * BACKGROUND + cover * np.array(one["colour"])
    drawn = drawn_by_resvg(svg(one_circle(edge, **{**one, "softness": softness})))
    np.testing.assert_allclose(drawn, want, atol=2 / 255 + 0.04 * one["opacity"])


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_scene_is_the_background_or_transparent(svg, kind):
    path = svg(Scene.empty(Canvas(WIDTH, HEIGHT, (0.25, 0.5, 0.9))), **KINDS[kind])
    assert painted(parsed(path)) == [] and len(list(parsed(path).iter(f"{SVG}rect"))) == 1
    assert np.abs(drawn_by_resvg(path) - np.array([0.25, 0.5, 0.9])).max() < ROUNDED / 2
    path = svg(Scene.empty(Canvas(WIDTH, HEIGHT, transparent=True)), **KINDS[kind])
    assert not list(parsed(path).iter(f"{SVG}rect"))
    assert (drawn_by_resvg(path, transparent=True) == 0).all()


@pytest.mark.parametrize(("width", "height", "wanted"), [(64, 48, 37), (97, 33, 10), (200, 3, 20)])
def test_the_canvas_fills_the_file_at_any_width(svg, width, height, wanted):
    drawn = drawn_by_resvg(svg(Scene.empty(Canvas(width, height, BACKGROUND)), width=wanted))
    assert np.abs(drawn - BACKGROUND).max() < ROUNDED


@pytest.mark.parametrize("edge", FALLOFFS)
def test_the_hardest_rim_can_be_exported_from_a_large_canvas(svg, edge):
    scene = one_circle(edge, width=400, height=300, x=200.0, y=150.0, radius=100.0, softness=0.001)
    for kind in ("soft", "flat", "layers", "animated"):
        drawn = drawn_by_resvg(svg(scene, **KINDS[kind]))
        np.testing.assert_allclose(drawn[150, 200], (1.0, 0.3, 0.1), atol=0.05)


def test_circles_that_change_no_pixel_are_left_out(svg):
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT), x=[20, 20, -50], y=[20, 20, 20], radius=[9, 9, 9], opacity=[0, 1, 1], colour=np.eye(3)
    )
    assert len(painted(parsed(svg(scene)))) == 1


@pytest.mark.parametrize(
    ("kinds", "words"),
    [({}, "0 shapes"), ({"circle": 1}, "1 circle"), ({"ellipse": 3}, "3 ellipses"),
     ({"ellipse": 2, "stroke": 1}, "3 shapes: 2 ellipses, 1 stroke")],
)  # fmt: skip
def test_the_description_counts_shapes_by_kind(svg, rng, kinds, words):
    scene = Scene.empty(Canvas(WIDTH, HEIGHT))
    for name, count in kinds.items():
        part = seeded(rng, scene.canvas, name, [9.0] * count, [9.0] * count, 5.0, 1.0)
        scene = scene.append(part.rows, part.kinds)
    assert counted(scene) == words
    assert parsed(svg(scene))[1].text == f"{words}, painted one over the other. artpipe"


def one_of(primitive, softness):
    rng = np.random.default_rng(4)
    return seeded(rng, Canvas(WIDTH, HEIGHT, BACKGROUND), primitive, [30.3], [22.2], 10.0, softness, opacity=0.8)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_a_rim_of_one_pixel_is_one_element(svg, primitive):
    scene = one_of(primitive, 0.5)
    root = parsed(svg(scene))
    ((_,),) = painted(root)
    assert len(gradients_of(root)) == PRIMITIVES[primitive].is_radial
    assert decibels(drawn_by_resvg(svg(scene)), artpipe.render(scene)) >= CLOSE


@pytest.mark.parametrize("softness", [0.15, 1.0, 15.0])
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_a_soft_shape_is_drawn_exactly_at_any_size(svg, primitive, softness):
    scene = one_of(primitive, softness)
    for width in (WIDTH, 4 * WIDTH):
        drawn, want = drawn_by_resvg(svg(scene, width=width)), artpipe.render(scene.scaled(width))
        np.testing.assert_allclose(drawn, want, atol=0.05 if softness > 0.5 else 0.3)
        assert decibels(drawn, want) >= 48


@pytest.mark.parametrize("name", [name for name, primitive in PRIMITIVES.items() if not primitive.is_radial])
def test_a_primitive_without_pieces_is_drawn_by_outlines(svg, monkeypatch, name):
    monkeypatch.setattr(type(PRIMITIVES[name]), "pieces", lambda self, shape, reach: ())
    for softness in (0.3, 1.0, 4.0, 15.0):
        scene = one_of(name, softness)
        root = parsed(svg(scene))
        assert not gradients_of(root) and len(painted(root)) <= 10
        assert decibels(drawn_by_resvg(svg(scene)), artpipe.render(scene)) >= 38


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_shapes_without_an_area_are_drawn_too(svg, rng, primitive):
    scene = degenerate(rng, Canvas(WIDTH, HEIGHT, BACKGROUND), primitive, 12)
    for softness in (0.5, 3.0):
        soft = scene.with_columns(softness=softness)
        assert decibels(drawn_by_resvg(svg(soft)), artpipe.render(soft)) >= 38
        assert np.isfinite(drawn_by_resvg(svg(soft, flat=True))).all()


# ---------------------------------------------------------------- flat


@pytest.mark.parametrize(
    ("primitive", "edge"), [(name, edge) for name in PRIMITIVES for edge in PRIMITIVES[name].falloffs]
)
def test_no_other_hard_shape_is_nearer_to_a_soft_one(primitive, edge):
    rng, falloff = np.random.default_rng(5), FALLOFFS[edge]
    softness = np.array([0.5, 2.0, 6.0, 12.0, 20.0]) * (1.0 if edge == "linear" else 8.0)
    scene = seeded(rng, Canvas(WIDTH, HEIGHT), primitive, [32.0] * 5, [24.0] * 5, [8.0] * 5, softness)
    across, down = np.meshgrid(np.arange(-20, 84, 0.4), np.arange(-20, 68, 0.4))
    for shape in shapes(scene):
        distance = shape.primitive.distance(np, across, down, shape.columns)
        soft = shape.opacity * falloff.coverage(np, distance, shape.softness, shape.thickness)
        outset, opacity = hard_outline(shape, falloff)
        got = np.sum((soft - opacity * (distance <= outset)) ** 2)
        for other in np.linspace(-shape.thickness, 20, 20)[1:]:
            inside = distance <= other
            assert got <= 1.01 * np.sum((soft - soft[inside].mean() * inside) ** 2) + 0.01 * np.sum(soft**2)


# ---------------------------------------------------------------- animated


def keyframes_of(style):
    """Name of each batch to percentages: of its first and last invisible moment, its first visible one, and the end."""
    found = re.findall(r"@keyframes (\w+\d+)\{([\d.]+)%,([\d.]+)%\{opacity:0\}([\d.]+)%,to\{opacity:1\}\}", style)
    return {name: [*map(float, percentages), 100.0] for name, *percentages in found}


def test_an_animated_file_without_animation_is_the_finished_picture(written):
    for growing, still in (("animated", "soft"), ("flat animated", "flat")):  # resvg has no animation
        np.testing.assert_array_equal(drawn_by_resvg(written(growing)), drawn_by_resvg(written(still)))
    root = parsed(written("animated"))
    assert "animation" in style_of(root) and not any(
        name in element.attrib for element in root.iter(f"{SVG}g") for name in ("opacity", "style")
    )


def test_batches_are_runs_of_the_painting_order(written):
    groups = groups_of(parsed(written("animated")))
    assert 8 <= len(groups) <= 64

    def geometry(shapes):  # gradients of a split scene have other names
        return [[{**part, "fill": None} for part in parts] for parts in shapes]

    assert geometry(itertools.chain(*groups)) == geometry(painted(parsed(written("soft"))))


@pytest.mark.parametrize("count", [0, 1, 2, 67, 200])
def test_no_batch_holds_many_circles(make_scene, rng, count):
    text = svg_text(Result(make_scene(rng, count, WIDTH, HEIGHT, opacity=(1.0, 1.0))), ExportOptions(animated=True))
    sizes = [len(group) for group in groups_of(ElementTree.fromstring(text.encode()))]
    assert max(sizes, default=0) <= max(1, BATCH_SHARE * count)


@pytest.mark.parametrize(
    ("options", "seconds", "hold", "repeat"),
    [({}, 5, 2, "infinite"), ({"seconds": 2.5, "hold": 0.25, "loop": 3}, 2.5, 0.25, "3"),
     ({"seconds": 0.1, "hold": 0, "loop": 1}, 0.1, 0, "1")],
)  # fmt: skip
def test_every_batch_appears_once_one_after_the_other_in_the_time_asked_for(svg, options, seconds, hold, repeat):
    root = parsed(svg(mosaic(16, 12), animated=True, **options))
    style = style_of(root)
    (rule,) = re.findall(r"\.\w+\{animation:([\d.]+)s linear (\w+) both\}", style)
    assert (float(rule[0]), rule[1]) == (seconds + hold, repeat)
    keyframes = keyframes_of(style)
    names = [group.get("class").split()[-1] for group in root.iter(f"{SVG}g")]
    assert list(keyframes) == names and len(set(names)) == len(names) > 8
    assert all(f".{name}{{animation-name:{name}}}" in style for name in names)
    percentages = np.array(list(keyframes.values()))
    assert (np.diff(percentages, axis=1) >= 0).all() and (percentages[:, 1] < percentages[:, 2]).all()
    starts = np.linspace(0, 100 * seconds / (seconds + hold), len(names), endpoint=False)
    np.testing.assert_allclose(percentages[:, 1], starts, atol=0.0051)


# ---------------------------------------------------------------- fidelity


def test_fidelity_falls_when_a_file_is_changed(svg, make_scene, rng):
    scene = make_scene(rng, 150, WIDTH, HEIGHT)
    path = svg(scene)
    whole = svg_fidelity(path, scene)
    assert whole >= CLOSE
    circles = re.findall(r"<circle [^>]*/>", path.read_text())
    largest = max(circles, key=lambda circle: float(re.search(r' r="([\d.]+)"', circle)[1]))
    path.write_text(path.read_text().replace(largest, ""))
    assert svg_fidelity(path, scene) < whole - 3


def test_fidelity_is_measured_at_the_files_size_packed_or_not_and_with_alpha(svg, written, scene):
    plain = svg_fidelity(svg(scene, width=128), scene)
    assert plain >= close(scene) and plain != svg_fidelity(written("soft"), scene)
    assert svg_fidelity(svg(scene, "a.svgz", width=128), scene) == plain
    few = scene.select(np.arange(12))
    assert svg_fidelity(svg(on_nothing(few)), on_nothing(few)) >= close(scene)
    assert svg_fidelity(svg(few), on_nothing(few)) < 25  # a ground of any colour shows


# ---------------------------------------------------------------- drawn by Chromium


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """`(path, reduced_motion="no-preference") -> page` of the file's size that shows it."""
    contexts = []

    def opened(path, reduced_motion="no-preference"):
        root = parsed(path)
        size = {name: int(root.get(name)) for name in ("width", "height")}
        contexts.append(browser.new_context(viewport=size, reduced_motion=reduced_motion))
        page = contexts[-1].new_page()
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()


def screen_of(page):
    """(H, W, 4) on a transparent ground, 0..1."""
    data = page.screenshot(omit_background=True)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), np.float64) / 255


def at_time(page, seconds):
    """The picture at a time of the animation.

    By way of another time: Chromium paints only what changes, and may have painted a frame unknown to the script.
    """
    page.evaluate(
        """async seconds => {
            const all = document.getAnimations()
            all.forEach(one => one.pause())
            await Promise.all(all.map(one => one.ready))
            for (const time of [2000 + 1000 * seconds, 1000 * seconds]) {
                all.forEach(one => { one.currentTime = time })
                for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame)
            }
        }""",
        seconds,
    )
    return screen_of(page)[:, :, :3]


@pytest.mark.slow
@pytest.mark.parametrize(("look", "kind"), CASES)
def test_chromium_draws_every_kind_of_file_as_we_do(looks, opened, look, kind):
    path, transparent, picture = looks(look, kind)
    assert likeness(picture, screen_of(opened(path, "reduce")), transparent) >= (FLAT if kind == "flat" else 40)


@pytest.mark.slow
def test_chromium_draws_files_in_one_page_each_by_its_own_gradients(svg, browser, make_scene):
    scenes = [make_scene(np.random.default_rng(seed), 40, WIDTH, HEIGHT) for seed in range(3)]
    page = browser.new_page(viewport={"width": WIDTH, "height": 3 * HEIGHT})
    texts = [svg(scene, f"{k}.svg", title=" ").read_text() for k, scene in enumerate(scenes)]
    page.set_content('<body style="margin:0;line-height:0">' + "".join(text.partition("?>")[2] for text in texts))
    for scene, drawn in zip(scenes, np.split(screen_of(page), 3), strict=True):
        assert decibels(drawn[:, :, :3], artpipe.render(scene)) >= CLOSE
    page.close()


@pytest.mark.slow
def test_chromium_grows_the_picture_holds_it_and_repeats(svg, opened):
    scene = mosaic(8, 6)
    path = svg(scene, animated=True, seconds=4, hold=2, loop=2)
    page, finished = opened(path), artpipe.render(scene)
    growth = [decibels(at_time(page, seconds), finished) for seconds in (0, 1, 2, 3, 4.5, 5.9, 600)]
    assert growth[:5] == sorted(set(growth[:5]))
    assert min(growth[4:]) >= CLOSE
    assert decibels(at_time(page, 0), artpipe.render(Scene.empty(scene.canvas))) > 50
    np.testing.assert_array_equal(at_time(page, 7), at_time(page, 1))
    page = opened(path, "reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    assert decibels(screen_of(page)[:, :, :3], finished) >= CLOSE


@pytest.fixture(scope="module")
def painting():
    """A run of 2048 circles."""
    if not PAINTING.is_file():
        pytest.skip("the sample pictures are not beside the tests")
    return artpipe.fit(PAINTING)


@pytest.mark.slow
@pytest.mark.parametrize("width", [256, 1024])
def test_a_painting_is_drawn_as_we_do_by_every_reader_from_files_of_the_promised_size(svg, opened, painting, width):
    assert painting.scene.count == 2048
    path, want = svg(painting, width=width), artpipe.render(painting.scene.scaled(width))
    for draw in (*(draw for draw, _ in READERS.values()), lambda path: screen_of(opened(path))):
        drawn = draw(path)[:, :, :3]
        assert decibels(drawn, want) >= 45
    if width == painting.scene.canvas.width:
        assert decibels(painting.image, painting.target) - decibels(drawn, painting.target) <= 0.4
        assert path.stat().st_size <= 425_000 and svg(painting, "a.svgz").stat().st_size <= 58_000
