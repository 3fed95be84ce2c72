"""PNG at any size, drawn and compressed band by band."""

import struct
import subprocess
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import artpipe
from artpipe import Canvas, InputError, Scene
from artpipe.renderers.alpha import flattened, picture_of
from artpipe.renderers.bands import bands
from artpipe.renderers.kernels.numba.shapes.layout import TILE_HEIGHT
from artpipe.stages.exporters import png as exporter
from artpipe.stages.pictures.picture import as_bytes

EDGES = ["linear", "logistic"]


def painting(width, height, edge="linear", count=40, seed=0):
    """Circles over all of a canvas and some way beyond it."""
    rng = np.random.default_rng(seed)
    radius = rng.uniform(0.02, 0.4, count) * max(width, height)
    softness = rng.uniform(0.2, 0.05 * max(width, height) + 0.3, count)
    return Scene.circles(
        Canvas(width, height, (0.2, 0.4, 0.6), edge),
        x=rng.uniform(-0.1, 1.1, count) * width,
        y=rng.uniform(-0.1, 1.1, count) * height,
        radius=radius,
        colour=rng.uniform(0, 1, (count, 3)),
        opacity=rng.uniform(0.1, 1, count),
        softness=softness if edge == "linear" else softness * radius,  # the same slope at the rim
    )


def check_sound(path, width, height, channels=3):
    """The file is a valid PNG: the chunks, their order and sums, the size of what they hold."""
    data, at, parts = path.read_bytes(), 8, []
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    while at < len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        parts.append((kind, content := data[at + 8 : at + 8 + length]))
        assert int.from_bytes(data[at + 8 + length : at + 12 + length]) == zlib.crc32(kind + content)
        at += 12 + length
    kinds = [kind for kind, _ in parts]
    assert kinds[:2] == [b"IHDR", b"sRGB"] and kinds[-1] == b"IEND" and set(kinds[2:-1]) == {b"IDAT"}
    # 8 bits, RGB or RGBA, deflate, filters by line, not interlaced
    assert parts[0][1] == struct.pack(">II5B", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    stream = zlib.decompressobj()
    lines = stream.decompress(b"".join(content for _, content in parts[2:-1]))
    assert stream.eof and not stream.unused_data  # so the Adler sum was there, and right
    assert len(lines) == height * (1 + channels * width)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def assert_same_picture(got, true):
    """But for a level here and there: a place less the top of its band has other roundings than the place itself."""
    assert got.shape == true.shape
    difference = np.abs(got.astype(np.int16) - true)
    assert difference.max(initial=0) <= 1
    assert np.count_nonzero(difference) <= 1e-4 * difference.size


# --- bands ---


@settings(max_examples=25)
@given(
    width=st.integers(1, 90), height=st.integers(1, 90), rows_each=st.integers(1, 100),
    edge=st.sampled_from(EDGES), seed=st.integers(0, 10_000),
)  # fmt: skip
def test_bands_one_below_the_other_are_the_whole_picture(width, height, rows_each, edge, seed):
    scene = painting(width, height, edge, seed=seed)
    parts = list(bands(scene, rows_each))
    assert [len(part) for part in parts[:-1]] == [rows_each] * (len(parts) - 1)
    assert 1 <= len(parts[-1]) <= rows_each
    whole = artpipe.render(scene)
    # In places of some hundred pixels float32 has 1e-5 px; a rim of 0.2 px takes that to 1e-4 of its colours.
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=3e-4)


@pytest.mark.parametrize("edge", EDGES)
def test_circles_that_touch_a_band_with_their_outermost_rim_are_drawn_there(edge):
    """Soft blobs, far wider than they seem: no seam may show where one band forgets a circle."""
    canvas = Canvas(40, 96, (0, 0, 0), edge)
    softness = 30.0 if edge == "linear" else 60.0
    scene = Scene.circles(canvas, x=[20], y=[47], radius=[3], colour=[(1, 1, 1)], softness=softness)
    whole = artpipe.render(scene)
    for rows_each in (1, 8, TILE_HEIGHT, 48):
        np.testing.assert_allclose(np.concatenate(list(bands(scene, rows_each))), whole, atol=1e-6)
    assert whole[40, 20].min() > 0.1 and whole[0].max() < 0.01
    bare = list(bands(Scene.empty(canvas), 40))
    assert [part.shape for part in bare] == [(40, 40, 3), (40, 40, 3), (16, 40, 3)] and not np.concatenate(bare).any()


# --- files ---


@pytest.mark.parametrize("edge", EDGES)
def test_a_png_holds_the_picture_to_the_last_bit(tmp_path, edge):
    for size, width in (((1, 1), 1), ((1, 50), 1), ((50, 1), 50), ((17, 33), 17), ((15, 31), 100), ((60, 7), 3)):
        scene = painting(*size, edge)
        artpipe.export(scene, tmp_path / "a.png", width=width)
        check_sound(tmp_path / "a.png", width, max(1, round(size[1] * width / size[0])))
        np.testing.assert_array_equal(pixels(tmp_path / "a.png"), as_bytes(artpipe.render(scene.scaled(width))))


@pytest.mark.parametrize("size", [(17, 33), (150, 140)])
def test_a_png_of_a_transparent_canvas_holds_colours_and_alpha(tmp_path, monkeypatch, size):
    monkeypatch.setattr(exporter, "BAND_PIXELS", 5000)
    scene = painting(*size, count=5)
    scene = replace(scene, canvas=replace(scene.canvas, transparent=True))
    artpipe.export(scene, tmp_path / "a.png")
    check_sound(tmp_path / "a.png", *size, channels=4)
    assert_same_picture(pixels(tmp_path / "a.png")[:, :, 3], as_bytes(picture_of(scene))[:, :, 3])
    seen = as_bytes(flattened(pixels(tmp_path / "a.png") / np.float32(255), (1.0, 0.0, 1.0)))
    true = as_bytes(artpipe.render(scene.with_background((1.0, 0.0, 1.0))))
    assert np.abs(seen.astype(np.int16) - true).max() <= 2  # alpha and colours were rounded
    artpipe.export(Scene.empty(scene.canvas), tmp_path / "a.png")
    assert (pixels(tmp_path / "a.png") == 0).all()


@pytest.mark.parametrize(("size", "edge"), [((300, 200), "logistic"), ((65536, 33), "linear")])
def test_a_png_of_several_bands_holds_the_picture(tmp_path, monkeypatch, size, edge):
    monkeypatch.setattr(exporter, "BAND_PIXELS", 5000)  # three bands or more
    width, height = size
    scene = painting(width, height, edge)
    for name in ("a.png", "b.png"):
        artpipe.export(scene, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    check_sound(tmp_path / "a.png", width, height)
    assert_same_picture(pixels(tmp_path / "a.png"), as_bytes(artpipe.render(scene)))


@pytest.mark.parametrize("size", [(1, 2), (20, 65536)])
def test_a_height_beyond_what_can_be_drawn_is_refused_in_one_line(tmp_path, size):
    with pytest.raises(InputError, match="height") as refusal:
        artpipe.export(Scene.empty(Canvas(*size)), tmp_path / "a.png", width=65536)
    assert "\n" not in str(refusal.value) and list(tmp_path.iterdir()) == []


MEASURED = """
import resource, sys
import numpy as np
import artpipe
from artpipe import Canvas, Scene

rng = np.random.default_rng(0)
scene = Scene.circles(
    Canvas(256, 256, transparent=sys.argv[1] == "4"),
    x=rng.uniform(0, 256, 300), y=rng.uniform(0, 256, 300), radius=rng.uniform(2, 20, 300),
    colour=rng.uniform(0, 1, (300, 3)), opacity=0.7, softness=1.0,
)
artpipe.export(scene, "small.png")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
artpipe.export(scene, "large.png", width=8192)
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes on Linux alone")
@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_8192_pixels_wide_takes_little_memory(tmp_path, channels):
    """As a whole it has 805 MB of float32, and 201 MB of bytes; with alpha, a third more."""
    command = [sys.executable, "-c", MEASURED, str(channels)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = (int(word) for word in done.stdout.split())
    assert after - before < 350_000
    with Image.open(tmp_path / "large.png") as image:
        assert image.size == (8192, 8192)
    check_sound(tmp_path / "large.png", 8192, 8192, channels)
