"""Placeholders: their length, and what resvg and Chromium draw from the address of the image."""

import gzip
import html.parser
import io
import re
import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote

import numpy as np
import pytest
from chromium import chromium
from command_line import refusal
from PIL import Image
from shapes import crowd

import artpipe
from artpipe import Canvas, InputError, Scene, save_scene
from artpipe.stages.exporters.fidelity import draw_svg
from artpipe.stages.exporters.lqip import RIMS, SHAPES_MAX, quantised

WIDTH, HEIGHT = 64, 48


@pytest.fixture
def lqip(tmp_path):
    """`(scene, **options) -> path` of the placeholder."""
    return lambda scene, **options: artpipe.export(scene, tmp_path / "a.lqip.html", **options)[0]


def image_of(path):
    """The attributes of the only tag."""
    found = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append((tag, dict(attributes)))
    parser.feed(path.read_text(encoding="utf-8"))
    ((tag, attributes),) = found
    assert tag == "img"
    return attributes


def drawing_of(path):
    """The SVG in the address."""
    kind, _, data = image_of(path)["src"].partition(",")
    assert kind == "data:image/svg+xml" and not re.search('[<>#"]', data)
    return unquote(data)


def decibels(got, want):
    return artpipe.psnr(float(np.mean(np.square(got - np.clip(want, 0, 1), dtype=np.float64))))


def soft(kind="ellipse", count=32, **options):
    return crowd(np.random.default_rng(4), count, WIDTH, HEIGHT, primitive=kind, radius=(3.0, 20.0), **options)


@pytest.mark.parametrize("kind", ["circle", "ellipse"])
@pytest.mark.parametrize("softness", [(0.3, 1.0), (1.0, 6.0), (6.0, 30.0)])
def test_resvg_draws_the_rounded_scene(lqip, tmp_path, kind, softness):
    pytest.importorskip("resvg", reason="needs resvg: pip install 'artpipe[svg]'")
    scene = soft(kind, softness=softness)
    (tmp_path / "a.svg").write_text(drawing_of(lqip(scene)))
    rounded = quantised(scene)
    assert decibels(draw_svg(tmp_path / "a.svg"), artpipe.render(rounded)) >= 40
    assert decibels(artpipe.render(rounded.scaled(WIDTH, HEIGHT)), artpipe.render(scene)) >= 30


@pytest.mark.slow
def test_chromium_draws_the_image(lqip):
    scene = soft()
    path = lqip(scene, width=320)
    want = artpipe.render(quantised(scene).scaled(320))
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 400, "height": 300})
        page.goto(path.as_uri())
        drawn = np.asarray(Image.open(io.BytesIO(page.locator("img").screenshot())).convert("RGB"), np.float64) / 255
    assert drawn.shape == want.shape and decibels(drawn, want) >= 38


def test_32_ellipses_take_little_more_than_a_kilobyte_and_the_file_says_so(lqip):
    path = lqip(soft(), title='A "soft" <painting> & 絵')
    first, _, tag = path.read_text(encoding="utf-8").partition("\n")
    length, packed = len(tag.encode()), len(gzip.compress(tag.encode(), 9))
    assert packed <= 1200
    assert first == f"<!-- placeholder by artpipe: {length} bytes, {packed} after gzip -->"
    image = image_of(path)
    assert (image["width"], image["height"], image["alt"]) == (str(WIDTH), str(HEIGHT), 'A "soft" <painting> & 絵')


def test_numbers_are_whole_and_each_rim_is_written_once(lqip):
    root = ElementTree.fromstring(drawing_of(lqip(soft())))
    matrices = [element.get("transform") for element in root if element.tag.endswith("}use")]
    assert len(matrices) == 32 and all(re.fullmatch(r"matrix\((-?\d+ ){5}-?\d+\)", each) for each in matrices)
    offsets = [float(stop.get("offset")) for stop in root.iter() if stop.tag.endswith("}stop")]
    assert sorted(offsets[::2]) == sorted(set(offsets[::2])) and set(offsets[::2]) <= set(RIMS)


@pytest.mark.parametrize("angle", [0, 30, 90, 135])
def test_the_rounded_scene_keeps_an_ellipse(angle):
    canvas = Canvas(512, 384)
    scene = Scene.ellipses(
        canvas, x=[200], y=[150], radius_x=[120], radius_y=[40], angle=angle, colour=[[0.2, 0.4, 0.6]], opacity=0.6,
        softness=10.0,
    )  # fmt: skip
    rounded = quantised(scene)
    assert decibels(artpipe.render(rounded), artpipe.render(scene)) > 45


def test_transparent_empty_and_tiny_scenes(lqip):
    spot = Scene.circles(Canvas(16, 16, transparent=True), x=[8], y=[8], radius=[5], colour=[[1, 0, 0]])
    assert "path" not in drawing_of(lqip(spot))
    assert quantised(Scene.empty(Canvas(16, 16))).count == 0
    thin = Scene.circles(Canvas(1024, 16), x=[8], y=[8], radius=[0.5], colour=[[1, 0, 0]], softness=0.01)
    assert "use" not in drawing_of(lqip(thin))


def test_what_a_placeholder_cannot_hold_is_refused_in_one_line(lqip, tmp_path):
    for scene, part in (
        (soft(count=SHAPES_MAX + 1), "--max 32"), (soft("stroke"), "--shape ellipse"),
        (soft("circle", edge="logistic"), "linear falloff"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=part):
            lqip(scene)
    save_scene(soft("triangle"), tmp_path / "a.json")
    assert "--shape ellipse" in refusal("export", tmp_path / "a.json", tmp_path / "a.lqip.html")
    assert not (tmp_path / "a.lqip.html").exists()
