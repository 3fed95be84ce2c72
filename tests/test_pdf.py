"""PDF files: what PDFium draws from them, the boxes of the page, and what the file holds."""

import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
from command_line import refusal, succeeded
from shapes import MIXED, NAMES, crowd

import artpipe
from artpipe import Canvas, InputError, Scene, save_scene
from artpipe.renderers.primitives.falloff import FALLOFFS
from artpipe.stages.exporters.svg_shapes import hard_outline, shapes

pdfium = pytest.importorskip("pypdfium2", reason="needs pypdfium2: pip install pypdfium2")

WIDTH, HEIGHT = 60, 45
# Pixels drawn for each one of the canvas. PDFium measures gradients at the corner of a pixel instead of its middle,
# which costs less the larger the picture is.
FACTOR = 10
MM = 72 / 25.4
LOOKS = {
    **{name: {"primitive": name, "softness": (0.6, 6.0)} for name in NAMES},
    "logistic": {"edge": "logistic", "softness": (0.6, 6.0)},
    "steep": {"softness": (0.01, 0.3)},
    "softness above the radius": {"radius": (0.5, 6.0), "softness": (6.0, 20.0)},
    "huge": {"radius": (60.0, 500.0), "softness": (5.0, 50.0), "opacity": (0.2, 0.6)},
}
# Rims narrower than a drawn pixel, and many faint shapes: PDFium rounds each down to 8 bits.
HARDER = ("steep", "softness above the radius")


@pytest.fixture
def pdf(tmp_path):
    """`(scene, **options) -> path` of the file that is written."""
    return lambda scene, name="a.pdf", **options: artpipe.export(scene, tmp_path / name, **options)[0]


def drawn(path, dpi):
    """(H, W, 3), 0..1: the page over white."""
    document = pdfium.PdfDocument(path)
    assert len(document) == 1
    scale = dpi / 72 * (1 - 1e-6)  # the number of pixels is rounded up
    return np.asarray(document[0].render(scale=scale).to_pil().convert("RGB"), np.float32) / 255


def decibels(got, want):
    return artpipe.psnr(float(np.mean(np.square(got - np.clip(want, 0, 1), dtype=np.float64))))


def operators(path):
    """The largest stream: the operators of the page."""
    data, found = path.read_bytes(), b""
    for match in re.finditer(rb"/FlateDecode/Length (\d+)>>stream\n", data):
        found = max(found, zlib.decompress(data[match.end() : match.end() + int(match[1])]), key=len)
    return found.decode()


@pytest.mark.parametrize("look", LOOKS)
def test_pdfium_draws_at_300_dpi_what_we_draw(pdf, look):
    """On an A3 sheet at 300 dpi a canvas of 256 pixels is drawn 19 times as large."""
    scene = crowd(np.random.default_rng(7), 40, WIDTH, HEIGHT, **LOOKS[look])
    path = pdf(scene, width=FACTOR * WIDTH)
    assert decibels(drawn(path, 300), artpipe.render(scene.scaled(FACTOR * WIDTH))) >= (37 if look in HARDER else 40)


@pytest.mark.parametrize("look", NAMES)
def test_hard_shapes_are_paths(pdf, look):
    """A soft shape becomes the nearest hard one; a rim of a pixel stays one outline, as sharp as the printer."""
    scene = crowd(np.random.default_rng(5), 30, WIDTH, HEIGHT, primitive=look)
    path = pdf(scene, flat=True, width=FACTOR * WIDTH)
    assert "SMask" not in path.read_text("latin-1")
    across, down = np.meshgrid(*((np.arange(FACTOR * side) + 0.5) / FACTOR for side in (WIDTH, HEIGHT)))
    want = np.empty((*across.shape, 3))
    want[:] = scene.canvas.background
    for shape in shapes(scene):
        outset, opacity = hard_outline(shape, FALLOFFS["linear"])
        distance = shape.primitive.distance(np, across, down, shape.columns) - outset
        cover = opacity * np.clip(0.5 - FACTOR * distance, 0, 1)[:, :, None]
        want = (1 - cover) * want + cover * shape.colour
    # SVG's inner outlines of triangles are similar triangles, so that the corners differ a little.
    assert decibels(drawn(path, 300), want) >= 30


def test_a_rim_of_one_pixel_is_a_path_unless_a_gradient_is_exact(pdf):
    scene = crowd(np.random.default_rng(5), 30, WIDTH, HEIGHT, primitive=MIXED, softness=(0.5, 0.5))
    text = operators(pdf(scene))
    kinds = [shape.primitive for shape in shapes(scene)]
    assert len(re.findall(r"/M\d+ gs", text)) == sum(kind.is_radial for kind in kinds) < len(kinds)


def test_shapes_of_the_same_relative_softness_share_a_mask(pdf):
    canvas = Canvas(WIDTH, HEIGHT)
    scene = Scene.circles(
        canvas, x=np.arange(50.0), y=20.0, radius=np.arange(2, 52.0), colour=np.full((50, 3), 0.5),
        softness=0.5 * np.arange(2, 52.0), opacity=0.3,
    )  # fmt: skip
    assert pdf(scene).read_bytes().count(b"/Subtype/Form") == 1


# ---------------------------------------------------------------- the page


def boxes(path):
    """Media, bleed and trim box, mm."""
    page = pdfium.PdfDocument(path)[0]
    return [np.array(box) / MM for box in (page.get_mediabox(), page.get_bleedbox(), page.get_trimbox())]


def spot(width, height):
    """White canvas, and a black disc that touches its upper left."""
    side = min(width, height)
    return Scene.circles(
        Canvas(width, height, (1.0, 1.0, 1.0)), x=[side / 4], y=[side / 4], radius=[side / 4], colour=[[0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("paper", "canvas", "sheet"),
    [("a3", (60, 45), (420, 297)), ("A4", (45, 60), (210, 297)), ("letter", (50, 50), (215.9, 279.4)),
     ("300x200mm", (45, 60), (300, 200)), ("10 x 8in", (60, 45), (254, 203.2)), ("30x40.5cm", (60, 45), (300, 405))],
)  # fmt: skip
def test_the_picture_is_fitted_to_the_middle_of_the_paper(pdf, paper, canvas, sheet):
    path = pdf(spot(*canvas), paper=paper)
    for box in boxes(path):
        np.testing.assert_allclose(box, [0, 0, *sheet], atol=0.01)
    scale = min(sheet[0] / canvas[0], sheet[1] / canvas[1])
    left, top = (sheet[k] - scale * canvas[k] for k in (0, 1))
    image = drawn(path, 50)
    down, across = (values * 25.4 / 50 for values in np.nonzero(image[:, :, 0] < 0.5))
    size = min(canvas) * scale / 2
    np.testing.assert_allclose([across.min(), across.max()], [left / 2, left / 2 + size], atol=1)
    np.testing.assert_allclose([down.min(), down.max()], [top / 2, top / 2 + size], atol=1)


def test_a_bleed_is_covered_by_the_picture_and_trimmed_off(pdf):
    scene = Scene.circles(
        Canvas(40, 40, (0.0, 0.0, 0.0)), x=[20], y=[20], radius=[10], colour=[[1, 0, 0]], softness=0.01
    )
    path = pdf(scene, paper="200x100mm", bleed="5mm")
    media, bleed, trim = boxes(path)
    np.testing.assert_allclose(media, [0, 0, 210, 110], atol=0.01)
    np.testing.assert_allclose(bleed, media, atol=0.01)
    np.testing.assert_allclose(trim, [5, 5, 205, 105], atol=0.01)
    image = drawn(path, 25.4)  # a pixel is a millimetre
    red = image[:, :, 0] > 0.5
    assert (image[:, :, 1:] < 0.02).all()  # no white is left
    assert abs(red[55].sum() - 210 / 2) <= 2 and red[55, 105]  # covers 210 mm, and its middle is the page's
    for text, length in (("0.2in", 5.08), (".5cm", 5)):
        np.testing.assert_allclose(boxes(pdf(scene, paper="a6", bleed=text))[0][2:], np.array([105, 148]) + 2 * length,
                                   atol=0.01)  # fmt: skip


def test_without_a_paper_the_page_has_the_pictures_size(pdf):
    scene = Scene.empty(Canvas(60, 45))
    np.testing.assert_allclose(boxes(pdf(scene, dpi=60))[0], [0, 0, 25.4, 25.4 * 0.75], atol=0.01)
    np.testing.assert_allclose(boxes(pdf(scene, width=3000))[0], [0, 0, 254, 254 * 0.75], atol=0.01)


def test_a_transparent_canvas_shows_the_paper(pdf):
    scene = replace(spot(60, 45), canvas=Canvas(60, 45, transparent=True))
    image = drawn(pdf(scene, dpi=60), 60)
    assert (image[-5:, -5:] == 1).all() and image[11, 11].max() < 0.05
    assert (drawn(pdf(Scene.empty(scene.canvas), width=600), 60) == 1).all()


def test_the_title_is_any_text_and_equal_scenes_give_equal_bytes(pdf):
    scene = crowd(np.random.default_rng(7), 20, WIDTH, HEIGHT, primitive=MIXED)
    path = pdf(scene, title="Noche (estrellada) \\ 絵画 🎨")
    document = pdfium.PdfDocument(path)
    assert document.get_metadata_value("Title") == "Noche (estrellada) \\ 絵画 🎨"
    assert document.get_metadata_value("Producer") == "artpipe"
    again = Scene(scene.rows.copy(), scene.canvas, kinds=scene.kinds)
    assert pdf(again, "b.pdf").read_bytes() == pdf(scene, "c.pdf").read_bytes()


@pytest.mark.parametrize(
    ("options", "part"),
    [({"paper": "a7x"}, "a3"), ({"paper": "300x200"}, "300x200mm"), ({"paper": "1x1mm"}, "mm a side"),
     ({"paper": "9999x10mm"}, "5080"), ({"paper": 7}, "paper is 7"), ({"bleed": "3"}, "3mm"), ({"bleed": "60mm"}, "50"),
     ({"bleed": "-1mm"}, "bleed"), ({"dpi": 5}, "dpi"), ({"width": 6000, "dpi": 20}, "--paper")],
    ids=str,
)  # fmt: skip
def test_a_wrong_size_is_refused_in_one_line(pdf, tmp_path, options, part):
    with pytest.raises(InputError, match=re.escape(part)) as error:
        pdf(Scene.empty(Canvas(60, 45)), **options)
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


def test_the_command_line_takes_paper_and_bleed(tmp_path):
    save_scene(spot(60, 45), tmp_path / "a.json")
    succeeded("export", tmp_path / "a.json", tmp_path / "a.pdf", "--paper", "a5", "--bleed", "3mm", "--dpi", 300)
    np.testing.assert_allclose(boxes(tmp_path / "a.pdf")[0], [0, 0, 216, 154], atol=0.01)
    assert "paper" in refusal("export", tmp_path / "a.json", tmp_path / "b.pdf", "--paper", "huge")
    assert "bleed" in refusal("export", tmp_path / "a.json", tmp_path / "b.png", "--bleed", "3mm")
