"""SVG files: what stands in them, and what rasterisers that are not ours draw from them."""

import base64
import functools
import gzip
import io
import itertools
import math
import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from shapes import KIND_IDS, NAMES, crowd, degenerate, seeded, softness_of
from shapes import KINDS as SHAPES

import artpipe
from artpipe import Canvas, InputError, Result, Scene
from artpipe.pipeline.cli.commands import main
from artpipe.renderers.alpha import flattened
from artpipe.renderers.alpha import picture_of as alpha_picture
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.renderers.primitives.table import PRIMITIVES
from artpipe.stages.exporters.fidelity import RASTERISERS, draw_svg, svg_fidelity
from artpipe.stages.exporters.layers import colour_layers
from artpipe.stages.exporters.options import TITLE_MAX, ExportOptions
from artpipe.stages.exporters.svg import BATCH_SHARE, counted, svg_text
from artpipe.stages.exporters.svg_shapes import ROUNDING, decimals, hard_outline, number, shapes

PAINTING = Path(__file__).parents[1] / "images" / "starry_night_van_gogh_1889.jpg"
SVG = "{http://www.w3.org/2000/svg}"
WIDTH, HEIGHT = 64, 48
BACKGROUND = (0.2, 0.4, 0.6)
KINDS = {
    "soft": {},
    "wide": {"width": 4 * WIDTH},
    "flat": {"flat": True},
    "layers": {"layers": 5},
    "flat layers": {"flat": True, "layers": 5},
    "animated": {"animated": True},
    "flat animated": {"flat": True, "animated": True},
}
ROUNDED = 1.01 / 255  # two roundings to 8 bits
# Decibels of a rasteriser that rounds each of 150 shapes to 8 bits, and blurs the outlines of those with a hard rim:
# 45 to 50 were measured. A stop in a wrong place costs ten and more. resvg rounds the many faint pixels of pieces
# upwards.
CLOSE, CLOSE_IN_PIECES = 44, 39


@pytest.fixture(scope="module", params=SHAPES, ids=KIND_IDS)
def scene(request):
    """150 shapes, from hard to very soft."""
    primitive, edge = request.param
    return crowd(np.random.default_rng(2048), 150, WIDTH, HEIGHT, edge, primitive, softness=(0.15, 6.0))


@pytest.fixture(scope="module")
def example(scene, tmp_path_factory):
    """`kind -> path` of the scene in a file of that kind; written once, to be read only."""
    folder = tmp_path_factory.mktemp("examples")

    @functools.cache
    def example(kind):
        return artpipe.export(Result(scene, title="Stars"), folder / f"{kind}.svg", **KINDS[kind])[0]

    return example


@pytest.fixture
def svg(tmp_path):
    """`(scene or result, **options) -> path` of the file that is written."""

    def svg(source, name="painting.svg", **options):
        return artpipe.export(source, tmp_path / name, **options)[0]

    return svg


def drawn_by_resvg(path):
    pytest.importorskip("resvg", reason="needs resvg: pip install 'artpipe[svg]'")
    return draw_svg(path)


def one_circle(edge="linear", width=WIDTH, height=HEIGHT, **circle):
    """A scene of one circle."""
    given = {"x": 30.3, "y": 22.2, "radius": 10.0, "colour": (1.0, 0.3, 0.1), "opacity": 1.0, "softness": 0.5} | circle
    return Scene.circles(Canvas(width, height, BACKGROUND, edge), **{name: [value] for name, value in given.items()})


def decibels(got, want):
    return artpipe.psnr(float(np.mean(np.square(np.asarray(got, np.float64) - np.clip(want, 0, 1)))))


def mosaic(across, down):
    """A scene of as many discs beside each other, each as different from the background."""
    cell = WIDTH / across
    x, y = np.meshgrid((np.arange(across) + 0.5) * WIDTH / across, (np.arange(down) + 0.5) * HEIGHT / down)
    colours = np.tile([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], (across * down // 2, 1))
    return Scene.circles(
        Canvas(WIDTH, HEIGHT, (0.0, 1.0, 0.0)),
        x=x.ravel(), y=y.ravel(), radius=np.full(across * down, 0.3 * cell), colour=colours, softness=0.2 * cell,
    )  # fmt: skip


def distances(x, y, width=WIDTH, height=HEIGHT):
    """(H, W) from the pixels' centres."""
    return np.hypot(np.arange(width)[None, :] + 0.5 - x, np.arange(height)[:, None] + 0.5 - y)


def parsed(path):
    data = path.read_bytes()
    return ElementTree.fromstring(gzip.decompress(data) if path.suffix == ".svgz" else data)


def style_of(root):
    return "".join(element.text or "" for element in root.iter(f"{SVG}style"))


def gradients_of(root):
    return [element for element in root.iter() if element.tag.endswith("Gradient")]


def painted(element):
    """What draws each shape, in painting order: the attributes of its elements."""
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
    """What draws each shape, group by group."""
    return [painted(group) for group in root.iter(f"{SVG}g") if not group.get("shape-rendering")]


# ---------------------------------------------------------------- the file


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_xml_of_the_right_size_with_a_name(example, kind):
    options = KINDS[kind]
    root = parsed(example(kind))
    assert root.tag == f"{SVG}svg"
    assert [float(value) for value in re.split(r"[ ,]+", root.get("viewBox"))] == [0, 0, WIDTH, HEIGHT]
    width = options.get("width", WIDTH)
    assert (root.get("width"), root.get("height")) == (str(width), str(width * HEIGHT // WIDTH))
    assert root[0].tag == f"{SVG}title" and root[0].text == "Stars"
    assert root[1].tag == f"{SVG}desc" and re.match("150 [a-z]+s[:,] ", root[1].text)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_unique_and_gradients_are_there_and_used(example, kind):
    root = parsed(example(kind))
    ids = [element.get("id") for element in root.iter() if "id" in element.attrib]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z][\w-]*", name) for name in ids)
    values = [value for element in root.iter() for value in element.attrib.values()]
    references = set(re.findall(r"url\(#(.*?)\)", " ".join(values)))
    gradients = {element.get("id") for element in gradients_of(root)}
    assert references == gradients
    assert gradients if not KINDS[kind].get("flat") else not gradients


@pytest.mark.parametrize("kind", KINDS)
def test_colours_and_opacities_are_literal_attributes(example, kind):
    root = parsed(example(kind))
    for stop in root.iter(f"{SVG}stop"):
        assert re.fullmatch("#[0-9a-f]{6}", stop.get("stop-color"))
        assert set(stop.attrib) <= {"offset", "stop-color", "stop-opacity"}
    for gradient in gradients_of(root):
        opacities = [float(stop.get("stop-opacity", 1)) for stop in gradient]
        assert opacities == sorted(opacities, reverse=True) and opacities[-1] == 0
    assert "currentColor" not in example(kind).read_text()
    assert ("animated" in kind) == bool(style_of(root))
    assert "animated" in kind or not any("class" in element.attrib for element in root.iter())


def test_files_of_different_pictures_share_no_names(make_scene):
    """In one HTML page the gradients and keyframes of the first file would be drawn for the others."""
    seen = []
    for seed in range(3):
        scene = make_scene(np.random.default_rng(seed), 80, WIDTH, HEIGHT)
        for options in ({}, {"layers": 4}, {"animated": True}):
            text = svg_text(Result(scene), ExportOptions(**options))
            gradients = set(re.findall(r'<radialGradient id="(.*?)"', text))
            keyframes = set(re.findall(r"@keyframes (\w+)", text))
            assert gradients and bool(keyframes) == ("animated" in options)
            seen.append((seed, "layers" in options, gradients, keyframes))
    for (seed, layered, gradients, keyframes), (*other, others_gradients, others_keyframes) in itertools.combinations(
        seen, 2
    ):
        assert not keyframes & others_keyframes
        assert [seed, layered] == other or not gradients & others_gradients


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_and_nothing_is_fetched(example, kind):
    path = example(kind)
    root = parsed(path)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg", "title", "desc", "defs", "style", "radialGradient", "linearGradient", "stop", "rect", "g", "circle",
        "line", "polygon", "path",
    }  # fmt: skip
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on") and not name.endswith("href")
            assert "url(" not in value or value.startswith("url(#")
    assert "@import" not in style_of(root) and "url(" not in style_of(root)
    assert "<!DOCTYPE" not in path.read_text() and "<!ENTITY" not in path.read_text()


@pytest.mark.parametrize("kind", ["soft", "flat", "layers", "animated"])
def test_the_same_scene_gives_the_same_bytes(svg, example, scene, kind):
    canvas = Canvas(WIDTH, HEIGHT, scene.canvas.background, scene.canvas.edge)
    again = Scene(scene.rows.copy(), canvas, kinds=scene.kinds)
    again = svg(Result(again, title="Stars"), **KINDS[kind])
    assert again.read_bytes() == example(kind).read_bytes()


def test_a_packed_file_holds_the_same_and_tells_neither_time_nor_name(svg, scene):
    plain, packed = svg(scene).read_bytes(), svg(scene, "a.svgz").read_bytes()
    assert gzip.decompress(packed) == plain
    assert len(packed) < len(plain) / 3
    assert packed[4:8] == bytes(4)  # RFC 1952: the time
    assert svg(scene, "another.svgz").read_bytes() == packed


def test_the_width_changes_nothing_but_the_size(svg, scene):
    roots = [parsed(svg(scene)), parsed(svg(scene, width=1000))]
    assert [root.get("width") for root in roots] == [str(WIDTH), "1000"]
    assert len({b"".join(ElementTree.tostring(element) for element in root) for root in roots}) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"width": 0},
        {"width": 10**6},
        {"layers": 0},
        {"layers": 1000},
        {"animated": True, "seconds": 0},
        {"animated": True, "seconds": math.nan},
        {"animated": True, "hold": -1},
        {"animated": True, "hold": math.inf},
        {"animated": True, "loop": -1},
        {"animated": True, "layers": 3},
        {"widht": 200},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_and_leaves_no_file(svg, tmp_path, options):
    with pytest.raises(InputError):
        svg(one_circle(), **options)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- titles


def named(title, **options):
    """The root of a small file of this title, after what an XML file has to go through."""
    result = Result(one_circle(width=8, height=6))
    return ElementTree.fromstring(svg_text(result, ExportOptions(title=title, **options)).encode("utf-8"))


@pytest.mark.parametrize(
    "title",
    [
        "</title><script>alert(1)</script>",
        "\"quotes\" and 'quotes'",
        "a & b &amp; &lt;",
        "]]><b>",
        "<!-- <?xml",
        "絵画 🎨",
    ],
)
def test_a_title_is_text_as_it_was_given(title):
    assert named(title)[0].text == title
    assert [element.tag for element in named(title).iter()] == [element.tag for element in named("x").iter()]


@given(st.text(st.characters()), st.sampled_from([{}, {"layers": 2}, {"animated": True}]))
def test_no_title_breaks_a_file(title, options):
    root = named(title, **options)
    shown = root[0].text or ""
    root[0].text = "x"
    assert ElementTree.tostring(root) == ElementTree.tostring(named("x", **options))
    printable = re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff?\s]", "", title)
    assert re.sub(r"[?\s]", "", shown) == printable


@pytest.mark.parametrize(
    "title", ["nul\0bell\a", "broken \udcff name", "\ud83c", "\x85\x9f\ufffe\uffff", "line\nends\r"]
)
def test_what_xml_cannot_hold_is_left_out_of_titles(title):
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", named(title)[0].text or "")


def test_a_long_title_is_cut_and_an_empty_one_is_empty():
    long = "stars and " * 10000
    shown = named(long)[0].text
    assert 0 < len(shown) <= TITLE_MAX and long.startswith(shown)
    assert not named("")[0].text


def test_a_title_that_is_given_counts_more_than_the_results(svg):
    result = Result(one_circle(), title="<i>Name</i>")
    assert parsed(svg(result))[0].text == "<i>Name</i>"
    assert parsed(svg(result, title="Other"))[0].text == "Other"


# ---------------------------------------------------------------- numbers


@given(st.floats(-2e6, 2e6), st.integers(0, 5))
def test_numbers_come_back_within_half_of_their_last_place(value, places):
    text = number(value, places)
    assert re.fullmatch(r"0|-?[1-9]\d*(\.\d*[1-9])?|-?\.\d*[1-9]", text)  # so no -0, no exponent, no 0.5 and no .50
    assert len(text.partition(".")[2]) <= places
    assert abs(float(text) - value) <= 0.5 * 10**-places * (1 + 1e-9) + 1e-15 * abs(value)


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(0.5, 2, ".5"), (-0.25, 2, "-.25"), (-0.04, 1, "0"), (100.0, 0, "100"), (100.0, 2, "100"), (-10.5, 3, "-10.5"),
     (-0.0, 3, "0"), (1e6, 2, "1000000"), (1e-9, 5, "0"), (0.999, 2, "1")],
)  # fmt: skip
def test_numbers_are_as_short_as_can_be(value, places, text):
    assert number(value, places) == text


@given(st.floats(0, 1e6))
def test_decimals_are_as_few_as_keep_a_pixel(change):
    places = decimals(change)
    assert 0.5 * 10**-places * change <= ROUNDING or places == 5
    assert places == 0 or 0.5 * 10 ** (1 - places) * change > ROUNDING


# ---------------------------------------------------------------- drawn by other rasterisers


def imported(package):
    """The package; without it, or without a library of the system that it needs, the test is skipped."""
    return pytest.importorskip(package, reason=f"needs {package}", exc_type=ImportError)


def drawn_by_skia(path):
    skia = imported("skia")
    root = parsed(path)
    pixels = np.zeros((int(root.get("height")), int(root.get("width")), 4), np.uint8)
    surface = skia.Surface(pixels)
    image = skia.SVGDOM.MakeFromStream(skia.MemoryStream(path.read_bytes(), True))
    image.setContainerSize(skia.Size(pixels.shape[1], pixels.shape[0]))
    image.render(surface.getCanvas())
    return surface.makeImageSnapshot().toarray(colorType=skia.kRGBA_8888_ColorType).astype(np.float32) / 255


def drawn_by_qt(path):
    gui, svg = imported("PySide6.QtGui"), imported("PySide6.QtSvg")
    root = parsed(path)
    image = gui.QImage(int(root.get("width")), int(root.get("height")), gui.QImage.Format.Format_RGBA8888_Premultiplied)
    image.fill(0)
    painter = gui.QPainter(image)
    svg.QSvgRenderer(str(path)).render(painter)
    painter.end()
    image = image.convertToFormat(gui.QImage.Format.Format_RGBA8888)
    pixels = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.width(), 4)
    return pixels.astype(np.float32) / 255


def drawn_by(rasteriser, path):
    imported(RASTERISERS[rasteriser][0])
    return draw_svg(path, True, rasteriser)


# What draws, and the decibels that it comes to at least: ThorVG rounds each of many faint circles down.
READERS = {
    "resvg": (functools.partial(drawn_by, "resvg"), 40),
    "ThorVG": (functools.partial(drawn_by, "ThorVG"), 36),  # knows no CSS
    "Skia": (drawn_by_skia, 40),  # knows no CSS
    "QtSvg": (drawn_by_qt, 40),  # knows little CSS
}
LOOKS = {
    "hard to very soft": {"softness": (0.15, 6.0)},
    "logistic": {"edge": "logistic", "softness": (0.15, 6.0)},
    "sharp": {"softness": (0.01, 0.3)},
    "softness above the radius": {"radius": (0.5, 6.0), "softness": (6.0, 20.0)},
    "dark": {"background": (0.0, 0.0, 0.0)},
    "tiny": {"radius": (0.1, 1.0), "softness": (0.1, 1.0)},
    "transparent": {"softness": (0.15, 6.0)},
    **{name: {"primitive": name, "softness": (0.15, 6.0)} for name in NAMES},
}
DRAWN_WIDTH = 4 * WIDTH


@pytest.fixture(scope="module")
def looks(make_scene, tmp_path_factory):
    """`(look, kind) -> file, whether it is transparent, picture` of a painting of that look in a file of that kind."""
    folder = tmp_path_factory.mktemp("looks")

    @functools.cache
    def looks(look, kind):
        scene = make_scene(np.random.default_rng(7), 12 if look == "transparent" else 100, WIDTH, HEIGHT, **LOOKS[look])
        if look == "transparent":
            scene = on_nothing(scene)
        if look == "dark":
            scene = scene.with_columns(colour=0.1 * scene.colour)
        path = artpipe.export(scene, folder / f"{look} {kind}.svg", width=DRAWN_WIDTH, **KINDS[kind])[0]
        if kind == "layers":
            scene = Scene.stacked([layer.scene for layer in colour_layers(scene, KINDS[kind]["layers"])])
        scaled = scene.scaled(DRAWN_WIDTH)
        return path, scaled.canvas.transparent, hard_picture(scene) if kind == "flat" else alpha_picture(scaled)

    return looks


def hard_picture(scene):
    """The picture of the flat shapes, anti-aliased as a file of `DRAWN_WIDTH` is; (H, W, 4) on a transparent canvas."""
    factor, falloff = DRAWN_WIDTH / WIDTH, FALLOFFS[scene.canvas.edge]
    across, down = np.meshgrid((np.arange(DRAWN_WIDTH) + 0.5) / factor, (np.arange(factor * HEIGHT) + 0.5) / factor)
    light, transparent = np.zeros((*across.shape, 3)), np.ones((*across.shape, 1))
    for shape in reversed(shapes(scene)):
        outset, opacity = hard_outline(shape, falloff)
        distance = factor * (shape.primitive.distance(np, across, down, shape.columns) - outset)
        cover = opacity * np.clip(0.5 - distance, 0, 1)[:, :, None]
        light += transparent * cover * shape.colour
        transparent *= 1 - cover
    if not scene.canvas.transparent:
        return light + transparent * scene.canvas.background
    alpha = 1 - transparent
    return np.concatenate([light / np.maximum(alpha, 1e-9), alpha], axis=2)


def close(scene):
    """The decibels that resvg and Chromium come to at least."""
    return CLOSE if all(primitive.is_radial for primitive in scene.primitives) else CLOSE_IN_PIECES


def likeness(own, drawn, transparent):
    """Decibels of (H, W, 4) against our own picture; with alpha, over black and over white."""
    if not transparent:
        return decibels(drawn[:, :, :3], own)
    over = [np.concatenate([flattened(picture, (c, c, c)) for c in (0.0, 1.0)]) for picture in (drawn, own)]
    return decibels(*over)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    ("reader", "kind"),
    [*((reader, "soft") for reader in READERS), *(("resvg", kind) for kind in ("flat", "layers", "animated"))],
)
def test_every_reader_draws_every_kind_of_file_as_we_do(looks, reader, kind, look):
    path, transparent, picture = looks(look, kind)
    draw, least = READERS[reader]
    assert likeness(picture, draw(path), transparent) >= least


@pytest.mark.parametrize("width", [None, 4 * WIDTH, 3 * WIDTH // 2])
def test_resvg_draws_what_was_optimised(svg, scene, width):
    drawn = drawn_by_resvg(svg(scene, width=width))
    want = artpipe.render(scene.scaled(width or WIDTH))
    assert drawn.shape == want.shape
    assert decibels(drawn, want) >= close(scene)


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize(
    "circle",
    [
        {"softness": 1.0},
        {"softness": 4.0},
        {"radius": 3.0, "softness": 9.0},
        {"radius": 0.0, "softness": 4.0},
        {"softness": 4.0, "opacity": 0.4},
        {"softness": 4.0, "opacity": 0.03},
        {"softness": 4.0, "opacity": 0.004},
        {"softness": 4.0, "opacity": 0.0001},
        {"softness": 4.0, "opacity": 0.0},
        {"x": -3.0, "y": 50.0, "radius": 9.0, "softness": 3.0},
        {"x": -40.0, "radius": 10.0, "softness": 3.0},
        {"x": 32.0, "radius": 500.0, "softness": 100.0},
        {"x": 1032.0, "radius": 1000.0, "softness": 30.0},
        {"softness": 1e6, "opacity": 0.8},
    ],
    ids=str,
)
def test_resvg_draws_one_circle_by_the_formula(svg, edge, circle):
    """Coverage by hand: a straight ramp of the distance, or the logistic function of r² - d²."""
    one = {"x": 30.3, "y": 22.2, "radius": 10.0, "colour": (1.0, 0.3, 0.1), "opacity": 1.0} | circle
    distance, softness = distances(one["x"], one["y"]), one["softness"]
    if edge == "logistic":  # px², and the same slope at the rim
        softness *= max(one["radius"], softness)
        softness = min(softness, 1e6)
        coverage = 1 / (1 + np.exp(-np.clip((one["radius"] ** 2 - distance**2) / softness, -500, 500)))
    else:
        coverage = np.clip(0.5 + (one["radius"] - distance) / (2 * softness), 0, 1)
    cover = (one["opacity"] * coverage)[:, :, None]
    want = (1 - cover) * BACKGROUND + cover * np.array(one["colour"])
    drawn = drawn_by_resvg(svg(one_circle(edge, **{**one, "softness": softness})))
    np.testing.assert_allclose(drawn, want, atol=2 / 255 + 0.04 * one["opacity"])


@pytest.mark.parametrize("softness", [0.5, 0.15, 0.001])
def test_an_opaque_disc_is_plain_inside_and_leaves_the_rest(svg, softness):
    drawn = drawn_by_resvg(svg(one_circle(x=32.0, y=24.0, radius=15.0, colour=(1, 0, 0), softness=softness)))
    distance = distances(32.0, 24.0)
    assert (drawn[distance < 15 - softness - 0.1] == [1, 0, 0]).all()
    assert np.abs(drawn[distance > 15 + softness + 0.8] - BACKGROUND).max() < ROUNDED
    assert np.isclose((drawn[:, :, 0] - 0.2).sum() / 0.8, math.pi * 15**2, rtol=0.02)


@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize("rim", [0.15, 0.01], ids=lambda rim: f"rim of {rim} pixels")
def test_a_sharp_rim_is_as_sharp_as_ours(svg, edge, rim):
    scene = one_circle(edge, softness=rim if edge == "linear" else 2 * 10 * rim)
    assert decibels(drawn_by_resvg(svg(scene)), artpipe.render(scene)) > 48
    assert decibels(drawn_by_resvg(svg(scene, width=4 * WIDTH)), artpipe.render(scene.scaled(4 * WIDTH))) > 48


@pytest.mark.parametrize("options", [{}, {"flat": True}, {"animated": True}], ids=str)
def test_a_later_row_is_on_top(svg, options):
    scene = Scene.circles(
        Canvas(WIDTH, HEIGHT), x=[32, 32], y=[24, 24], radius=[15, 15], colour=[[1, 0, 0], [0, 0, 1]], softness=0.5
    )
    drawn = drawn_by_resvg(svg(scene, **options))
    np.testing.assert_allclose(drawn[24, 32], [0, 0, 1], atol=0.15)
    drawn = drawn_by_resvg(svg(scene.select(np.array([1, 0])), **options))
    np.testing.assert_allclose(drawn[24, 32], [1, 0, 0], atol=0.15)


def on_nothing(scene):
    return replace(scene, canvas=replace(scene.canvas, transparent=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_transparent_canvas_has_no_ground(svg, scene, kind):
    few = scene.select(np.arange(6))
    path = svg(on_nothing(few), **KINDS[kind])
    assert not list(parsed(path).iter(f"{SVG}rect"))
    with_ground = parsed(svg(few, "opaque.svg", **KINDS[kind]))
    assert len(list(with_ground.iter(f"{SVG}rect"))) == 1
    empty = svg(Scene.empty(Canvas(WIDTH, HEIGHT, transparent=True)), "empty.svg", **KINDS[kind])
    pytest.importorskip("resvg", reason="needs resvg: pip install 'artpipe[svg]'")
    assert (draw_svg(empty, transparent=True) == 0).all()


def test_resvg_draws_a_transparent_scene_as_we_do(svg, scene):
    pytest.importorskip("resvg", reason="needs resvg: pip install 'artpipe[svg]'")
    bare = on_nothing(scene.select(np.arange(12)))
    path = svg(bare, width=4 * WIDTH)
    assert svg_fidelity(path, bare) >= close(scene)
    drawn, own = draw_svg(path, transparent=True), alpha_picture(bare.scaled(4 * WIDTH))
    assert 0.02 < (own[:, :, 3] < 0.01).mean() < 0.98
    assert decibels(drawn[:, :, 3], own[:, :, 3]) >= close(scene)
    # A ground of any colour is seen.
    assert svg_fidelity(svg(scene.select(np.arange(12)), width=4 * WIDTH), bare) < 25


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_scene_is_the_background(svg, kind):
    path = svg(Scene.empty(Canvas(WIDTH, HEIGHT, (0.25, 0.5, 0.9))), **KINDS[kind])
    assert painted(parsed(path)) == []
    assert np.abs(drawn_by_resvg(path) - np.array([0.25, 0.5, 0.9])).max() < ROUNDED / 2


@pytest.mark.parametrize(("width", "height", "wanted"), [(64, 48, 63), (64, 48, 37), (97, 33, 10), (200, 3, 20)])
def test_the_canvas_fills_the_file_at_any_width(svg, width, height, wanted):
    drawn = drawn_by_resvg(svg(Scene.empty(Canvas(width, height, BACKGROUND)), width=wanted))
    assert np.abs(drawn - BACKGROUND).max() < ROUNDED


@pytest.mark.parametrize("kind", ["soft", "flat", "layers", "animated"])
@pytest.mark.parametrize("edge", FALLOFFS)
def test_the_hardest_rim_can_be_exported_from_a_large_canvas(svg, edge, kind):
    scene = one_circle(edge, width=400, height=300, x=200.0, y=150.0, radius=100.0, softness=0.001)
    drawn = drawn_by_resvg(svg(scene, **KINDS[kind]))
    np.testing.assert_allclose(drawn[drawn.shape[0] // 2, drawn.shape[1] // 2], (1.0, 0.3, 0.1), atol=0.05)


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
def test_a_file_tells_how_many_shapes_of_which_kinds_it_holds(svg, rng, kinds, words):
    canvas = Canvas(WIDTH, HEIGHT)
    parts = [seeded(rng, canvas, name, [9.0] * count, [9.0] * count, 5.0, 1.0) for name, count in kinds.items()]
    rows, codes = [part.rows for part in parts], [part.kinds for part in parts]
    scene = Scene.empty(canvas)
    for own, code in zip(rows, codes, strict=True):
        scene = scene.append(own, code)
    assert counted(scene) == words
    assert parsed(svg(scene))[1].text == f"{words}, painted one over the other. artpipe"


def one_of(primitive, softness, radius=10.0):
    rng = np.random.default_rng(4)
    return seeded(rng, Canvas(WIDTH, HEIGHT, BACKGROUND), primitive, [30.3], [22.2], radius, softness, opacity=0.8)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_an_edge_of_one_pixel_is_one_element(svg, primitive):
    scene = one_of(primitive, 0.5)
    root = parsed(svg(scene))
    ((_,),) = painted(root)
    assert len(gradients_of(root)) == PRIMITIVES[primitive].is_radial
    assert decibels(drawn_by_resvg(svg(scene)), artpipe.render(scene)) >= CLOSE


@pytest.mark.parametrize("width", [WIDTH, 4 * WIDTH])
@pytest.mark.parametrize("softness", [0.15, 1.0, 4.0, 15.0])
@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_a_soft_shape_is_drawn_exactly_at_any_size(svg, primitive, softness, width):
    scene = one_of(primitive, softness)
    drawn = drawn_by_resvg(svg(scene, width=width))
    np.testing.assert_allclose(drawn, artpipe.render(scene.scaled(width)), atol=0.05 if softness > 0.5 else 0.3)
    assert decibels(drawn, artpipe.render(scene.scaled(width))) >= 48


@pytest.mark.parametrize("name", [name for name, primitive in PRIMITIVES.items() if not primitive.is_radial])
@pytest.mark.parametrize("softness", [0.3, 1.0, 4.0, 15.0])
def test_a_primitive_without_pieces_is_drawn_by_outlines(svg, monkeypatch, name, softness):
    monkeypatch.setattr(type(PRIMITIVES[name]), "pieces", lambda self, shape, reach: ())
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


def test_a_flat_file_holds_discs_alone_and_is_smaller(svg, scene):
    path = svg(scene, flat=True)
    root = parsed(path)
    for (element,) in painted(root):
        assert re.fullmatch("#[0-9a-f]{6}", element.get("fill", element.get("stroke")))
    assert not list(root.iter(f"{SVG}stop")) and "stop" not in style_of(root)
    assert path.stat().st_size < 0.6 * svg(scene, "soft.svg").stat().st_size


@given(
    edge=st.sampled_from(sorted(FALLOFFS)),
    radius=st.floats(0, 40),
    softness=st.floats(0.1, 40),
    opacity=st.floats(0.3, 1),
)
def test_a_flat_disc_is_the_one_nearest_to_the_soft_circle(edge, radius, softness, opacity):
    softness = softness if edge == "linear" else softness * 10
    scene = one_circle(edge, x=32.0, y=24.0, radius=radius, softness=softness, opacity=opacity)
    text = svg_text(Result(scene), ExportOptions(flat=True))
    ((disc,),) = painted(ElementTree.fromstring(text.encode()))
    falloff = FALLOFFS[edge]
    rims = np.linspace(0, 1.2 * (radius + float(falloff.margin(np.array(softness), np.array(radius)))), 4001)
    distance = (rims[:-1] + rims[1:]) / 2
    area = np.pi * np.diff(rims**2)
    soft = opacity * falloff.coverage(np, distance - radius, softness, radius)

    def difference(rim, strength):
        """∫ (soft - disc)², for arrays of discs."""
        inside = np.interp(rim, rims, np.concatenate([[0], np.cumsum(soft * area)]))
        return float((soft**2) @ area) - 2 * strength * inside + strength**2 * np.pi * rim**2

    got = difference(float(disc["r"]), float(disc.get("opacity", 1)))
    others = difference(np.linspace(0, rims[-1], 300)[:, None], np.linspace(0, 1, 101)[None, :])
    assert got <= others.min() + 0.004 * float((soft**2) @ area) + 0.01


def test_flat_shapes_are_nearer_to_the_picture_than_the_rims_alone(svg, scene):
    want = artpipe.render(scene)
    hard = scene.with_columns(softness=softness_of(scene.canvas, scene.thickness(), 0.5))
    assert decibels(drawn_by_resvg(svg(scene, flat=True)), want) > decibels(artpipe.render(hard), want)


@pytest.mark.parametrize("primitive", PRIMITIVES)
def test_no_other_hard_shape_is_nearer_to_a_soft_one(primitive):
    rng, falloff = np.random.default_rng(5), FALLOFFS["linear"]
    canvas = Canvas(WIDTH, HEIGHT)
    softness = np.array([0.5, 2.0, 6.0, 12.0, 20.0])
    scene = seeded(rng, canvas, primitive, [32.0] * 5, [24.0] * 5, [8.0] * 5, softness)
    across, down = np.meshgrid(np.arange(-20, 84, 0.2), np.arange(-20, 68, 0.2))
    for shape in shapes(scene):
        distance = shape.primitive.distance(np, across, down, shape.columns)
        soft = shape.opacity * falloff.coverage(np, distance, shape.softness, shape.thickness)
        outset, opacity = hard_outline(shape, falloff)
        got = np.sum((soft - opacity * (distance <= outset)) ** 2)
        for other in np.linspace(-shape.thickness, shape.softness, 20)[1:]:
            inside = distance <= other
            assert got <= 1.01 * np.sum((soft - soft[inside].mean() * inside) ** 2) + 0.01 * np.sum(soft**2)


# ---------------------------------------------------------------- animated


def media_of(style):
    """What stands in the rule for those who want motion, and what stands elsewhere."""
    start = style.index("@media (prefers-reduced-motion:no-preference){")
    opened, depth = style.index("{", start), 0
    for at in range(opened, len(style)):
        depth += {"{": 1, "}": -1}.get(style[at], 0)
        if depth == 0:
            return style[opened + 1 : at], style[:start] + style[at + 1 :]
    raise AssertionError("the rule does not end")


def keyframes_of(style):
    """(K, 4): for each batch, percentages: of its first and last unseen moment, of when it is there, and of the end."""
    found = re.findall(r"@keyframes (\w+\d+)\{([\d.]+)%,([\d.]+)%\{opacity:0\}([\d.]+)%,to\{opacity:1\}\}", style)
    return {name: [*map(float, percentages), 100.0] for name, *percentages in found}


@pytest.mark.parametrize("kind", ["soft", "flat"])
def test_an_animated_file_without_animation_is_the_finished_picture(example, kind):
    growing = "animated" if kind == "soft" else "flat animated"
    np.testing.assert_array_equal(  # resvg knows no animation
        drawn_by_resvg(example(growing)), drawn_by_resvg(example(kind))
    )


def test_batches_are_runs_of_the_painting_order(example):
    still, growing = parsed(example("soft")), parsed(example("animated"))
    groups = groups_of(growing)
    assert 8 <= len(groups) <= 64

    def geometry(shapes):  # a mix split up has other names
        return [[{**part, "fill": None} for part in parts] for parts in shapes]

    assert geometry(itertools.chain(*groups)) == geometry(painted(still))


@pytest.mark.parametrize("count", [1, 40, 66, 67, 200, 1000])
def test_no_batch_holds_many_circles(make_scene, rng, count):
    text = svg_text(Result(make_scene(rng, count, WIDTH, HEIGHT, opacity=(1.0, 1.0))), ExportOptions(animated=True))
    sizes = [len(group) for group in groups_of(ElementTree.fromstring(text.encode()))]
    assert max(sizes) <= max(1, BATCH_SHARE * count)


def test_all_motion_is_for_those_who_want_it(example):
    root = parsed(example("animated"))
    inside, outside = media_of(style_of(root))
    assert "animation" in inside and "@keyframes" in inside
    assert "animation" not in outside and "@keyframes" not in outside
    assert not any(name in element.attrib for element in root.iter(f"{SVG}g") for name in ("opacity", "style"))
    assert {element.tag for element in root.iter()}.isdisjoint({f"{SVG}animate", f"{SVG}set"})


def test_every_batch_appears_once_one_after_the_other(svg):
    root = parsed(svg(mosaic(16, 12), animated=True, seconds=3, hold=1))
    style = media_of(style_of(root))[0]
    keyframes = keyframes_of(style)
    names = [group.get("class").split()[-1] for group in root.iter(f"{SVG}g")]
    assert list(keyframes) == names and len(set(names)) == len(names)
    assert all(f".{name}{{animation-name:{name}}}" in style for name in names)
    percentages = np.array(list(keyframes.values()))
    assert (np.diff(percentages, axis=1) >= 0).all()
    assert (percentages[:, 1] < percentages[:, 2]).all() and (percentages[:, 2] <= 100).all()
    assert (np.diff(percentages[:, 1]) > 0).all() and percentages[0, 1] == 0
    starts = np.linspace(0, 75, len(names), endpoint=False)  # of 3 + 1 seconds
    np.testing.assert_allclose(percentages[:, 1], starts, atol=0.0051)


@pytest.mark.parametrize(
    ("options", "seconds", "often"),
    [
        ({}, 7.0, "infinite"),
        ({"seconds": 2.5, "hold": 0.25, "loop": 3}, 2.75, "3"),
        ({"seconds": 0.1, "hold": 0, "loop": 1}, 0.1, "1"),
        ({"seconds": 300, "hold": 300}, 600.0, "infinite"),
    ],
)
def test_it_lasts_and_repeats_as_asked(svg, options, seconds, often):
    style = media_of(style_of(parsed(svg(mosaic(8, 6), animated=True, **options))))[0]
    (rule,) = re.findall(r"\.\w+\{animation:([\d.]+)s linear (\w+) both\}", style)
    assert (float(rule[0]), rule[1]) == (seconds, often)
    keyframes = keyframes_of(style)
    assert len(keyframes) > 8
    for percentages in keyframes.values():
        assert percentages == sorted(percentages)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_circles_grow_too(svg, rng, make_scene, count):
    scene = make_scene(rng, count, WIDTH, HEIGHT)
    root = parsed(svg(scene, animated=True))
    assert len(groups_of(root)) <= max(count, 1)
    assert len(painted(root)) == count


# ---------------------------------------------------------------- how true a file is


def test_fidelity_falls_when_a_file_is_changed(svg, make_scene, rng):
    scene = make_scene(rng, 150, WIDTH, HEIGHT)
    path = svg(scene)
    whole = svg_fidelity(path, scene)
    assert whole >= CLOSE
    text = path.read_text()
    circles = re.findall(r"<circle [^>]*/>", text)
    largest = max(circles, key=lambda circle: float(re.search(r' r="([\d.]+)"', circle)[1]))
    path.write_text(text.replace(largest, ""))
    without = svg_fidelity(path, scene)
    assert without < whole - 3
    path.write_text(re.sub(r"<circle [^>]*/>", "", text))
    assert svg_fidelity(path, scene) < without


def test_fidelity_is_measured_at_the_files_size_and_packed_or_not(svg, scene):
    plain = svg_fidelity(svg(scene, width=128), scene)
    assert plain >= close(scene)
    assert svg_fidelity(svg(scene, "a.svgz", width=128), scene) == plain
    assert plain != svg_fidelity(svg(scene), scene)


def test_check_tells_size_and_decibels(svg, tmp_path, scene):
    artpipe.save_scene(scene, tmp_path / "scene.json")
    files = [tmp_path / name for name in ("a.svg", "b.svgz", "c.png")]
    result = CliRunner().invoke(main, ["export", str(tmp_path / "scene.json"), *map(str, files), "--check", "--flat"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for line, path in zip(lines, files, strict=True):
        assert line.startswith(str(path))
        size = re.search(r"(\d+) kB", line.removeprefix(str(path)))
        assert abs(int(size[1]) - path.stat().st_size / 1000) <= 0.51
        found = re.search(r"([\d.]+) dB", line)
        if path.suffix == ".png":
            assert found is None
        else:
            assert abs(float(found[1]) - svg_fidelity(path, scene)) <= 0.051


# ---------------------------------------------------------------- drawn by Chromium


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on the path")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


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


def picture_of(page):
    """(H, W, 3), 0..1."""
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"), np.float64) / 255


def at_time(page, seconds):
    """The picture when so much of the animation has passed.

    By way of another time: Chromium paints only what changes, and may have painted a frame of which the script knows
    nothing.
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
    return picture_of(page)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_chromium_and_resvg_agree(example, opened, scene, kind):
    path = example(kind)
    drawn = picture_of(opened(path, "reduce"))
    assert decibels(drawn, drawn_by_resvg(path)) > 40
    if kind in ("soft", "wide", "animated"):
        assert decibels(drawn, artpipe.render(scene.scaled(drawn.shape[1]))) >= close(scene)


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("kind", ["soft", "flat", "layers", "animated"])
def test_chromium_draws_every_kind_of_file_as_we_do(looks, opened, kind, look):
    path, transparent, picture = looks(look, kind)
    data = opened(path, "reduce").screenshot(omit_background=True)
    drawn = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"), np.float32) / 255
    assert likeness(picture, drawn, transparent) >= 40


@pytest.mark.slow
def test_chromium_draws_files_in_one_page_each_by_its_own_gradients(svg, browser, make_scene):
    scenes = [make_scene(np.random.default_rng(seed), 40, WIDTH, HEIGHT) for seed in range(3)]
    page = browser.new_page(viewport={"width": WIDTH, "height": 3 * HEIGHT})
    texts = [svg(scene, f"{k}.svg", title=" ").read_text() for k, scene in enumerate(scenes)]
    page.set_content('<body style="margin:0;line-height:0">' + "".join(text.partition("?>")[2] for text in texts))
    for scene, drawn in zip(scenes, np.split(picture_of(page), 3), strict=True):
        assert decibels(drawn, artpipe.render(scene)) >= CLOSE
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("edge", FALLOFFS)
@pytest.mark.parametrize(
    "circle",
    [{"softness": 0.15}, {"softness": 0.5}, {"radius": 0.0, "softness": 4.0}, {"radius": 3.0, "softness": 9.0},
     {"softness": 4.0, "opacity": 0.02}, {"x": 0.0, "y": 0.0, "softness": 3.0},
     {"x": 1032.0, "radius": 1000.0, "softness": 30.0}],
    ids=str,
)  # fmt: skip
def test_chromium_draws_one_circle_as_we_do(svg, opened, edge, circle):
    if edge == "logistic":
        circle = circle | {"softness": circle["softness"] * max(circle.get("radius", 10.0), 1.0)}
    scene = one_circle(edge, **circle)
    assert decibels(picture_of(opened(svg(scene))), artpipe.render(scene)) >= CLOSE


@pytest.mark.slow
def test_chromium_shows_the_file_in_a_page_of_its_own_too(svg, opened, browser, scene):
    path = svg(scene)
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    source = "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
    page.set_content(f'<body style="margin:0"><img style="display:block" src="{source}">')
    page.wait_for_function("document.images[0].complete && document.images[0].naturalWidth > 0")
    assert decibels(picture_of(page), picture_of(opened(path))) > 50
    page.close()


@pytest.mark.slow
def test_chromium_grows_the_picture_and_it_stands_at_the_end(svg, opened):
    scene = mosaic(8, 6)
    page = opened(svg(scene, animated=True, seconds=4, hold=2, loop=1))
    finished, blank = artpipe.render(scene), artpipe.render(Scene.empty(scene.canvas))
    growth = [decibels(at_time(page, seconds), finished) for seconds in (0, 1, 2, 3, 4.5, 6, 600)]
    assert growth[:5] == sorted(set(growth[:5]))
    assert min(growth[4:]) >= CLOSE
    assert decibels(at_time(page, 0), blank) > 50


@pytest.mark.slow
def test_chromium_starts_again_after_the_hold(svg, opened):
    scene = mosaic(8, 6)
    page = opened(svg(scene, animated=True, seconds=4, hold=2, loop=2))
    np.testing.assert_array_equal(at_time(page, 7), at_time(page, 1))
    assert decibels(at_time(page, 600), artpipe.render(scene)) >= CLOSE


@pytest.mark.slow
def test_chromium_shows_the_finished_picture_where_less_motion_is_wanted(svg, opened):
    scene = mosaic(8, 6)
    page = opened(svg(scene, animated=True), "reduce")
    assert page.evaluate("document.getAnimations().length") == 0
    assert decibels(picture_of(page), artpipe.render(scene)) >= CLOSE


@pytest.fixture(scope="module")
def painting():
    """A run of 2048 circles."""
    if not PAINTING.is_file():
        pytest.skip("the sample pictures are not beside the tests")
    return artpipe.fit(PAINTING)


@pytest.mark.slow
def test_a_painting_fits_in_the_file_sizes_promised(svg, painting):
    assert painting.scene.count == 2048
    assert svg(painting).stat().st_size <= 425_000
    assert svg(painting, "a.svgz").stat().st_size <= 58_000


@pytest.mark.slow
@pytest.mark.parametrize("width", [256, 1024])
def test_chromium_draws_a_painting_as_we_do(svg, opened, painting, width):
    drawn = picture_of(opened(svg(painting, width=width)))
    assert decibels(drawn, artpipe.render(painting.scene.scaled(width))) >= 45
    if width == painting.scene.canvas.width:
        loss = decibels(painting.image, painting.target) - decibels(drawn, painting.target)
        assert loss <= 0.4


@pytest.mark.slow
@pytest.mark.parametrize("width", [256, 1024])
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_draws_a_painting_as_we_do(svg, painting, reader, width):
    drawn = READERS[reader][0](svg(painting, width=width))
    assert likeness(artpipe.render(painting.scene.scaled(width)), drawn, False) >= 45


@pytest.mark.slow
def test_a_painting_grows_in_chromium(svg, opened, painting):
    path = svg(painting, animated=True)
    finished = artpipe.render(painting.scene)
    assert decibels(picture_of(opened(path, "reduce")), finished) >= 45
    page = opened(path)
    start = at_time(page, 0)
    assert np.abs(start - painting.scene.canvas.background).max() < 0.02
    pictures = [start, *(at_time(page, seconds) for seconds in np.arange(0.5, 5.1, 0.5))]
    steps = np.array([math.sqrt(np.mean((after - before) ** 2)) for before, after in itertools.pairwise(pictures)])
    assert steps.max() < 2 * steps.mean() and steps.min() > 0.25 * steps.mean()
    assert decibels(at_time(page, 6), finished) >= 45
