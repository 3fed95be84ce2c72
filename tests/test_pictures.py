"""Pictures in and out, and files that are never half written."""

import io
import os
import stat
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_files import GREY, RGB, chunk, png, png_of, rgb_profile
from PIL import Image, ImageDraw, features

from artpipe import InputError
from artpipe.stages.formats.files import whole_file, write_text
from artpipe.stages.pictures.picture import load_picture, picture_size, save_png
from artpipe.stages.pictures.sizes import DEFAULT_SIZE, SIZE_MAX, parse_size

WIDTH, HEIGHT = 12, 8


def smooth():
    """(H, W, 3) uint8 without sharp edges, so that JPEG keeps it."""
    across, down = np.meshgrid(np.linspace(0, 1, WIDTH), np.linspace(0, 1, HEIGHT))
    return np.round(255 * np.stack([across, down, 0.5 + 0.3 * across * down], axis=2)).astype(np.uint8)


def assert_one_line(error, *parts):
    """A message of one line that names the parts."""
    message = str(error.value)
    assert "\n" not in message and 10 < len(message) < 400
    for part in parts:
        assert str(part) in message


@pytest.mark.parametrize(
    ("ending", "tolerance", "options"),
    [
        ("png", 0, {}),
        ("tiff", 0, {}),
        ("bmp", 0, {}),
        ("webp", 0, {"lossless": True}),
        ("ppm", 0, {}),
        ("jpg", 8 / 255, {"quality": 95, "subsampling": 0}),
        ("webp", 32 / 255, {"quality": 95}),  # always with colour at half the resolution
    ],
)
def test_common_formats_load_as_the_values_they_hold(tmp_path, ending, tolerance, options):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(smooth()).save(path, **options)
    for given_path in (path, str(path)):
        target = load_picture(given_path)
        assert target.dtype == np.float32 and target.shape == (HEIGHT, WIDTH, 3)
        np.testing.assert_allclose(target, smooth() / 255, atol=tolerance + 1e-7)


def test_the_content_decides_the_format_and_not_the_ending(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "a.jpg", format="PNG")
    np.testing.assert_allclose(load_picture(tmp_path / "a.jpg"), smooth() / 255, atol=1e-7)


def test_a_gif_loads_its_first_frame(tmp_path):
    frames = [Image.new("P", (WIDTH, HEIGHT), 0) for _ in range(2)]
    for frame, colour in zip(frames, ((255, 0, 51), (0, 255, 0)), strict=True):
        frame.putpalette([*colour, *(0,) * 765])
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(load_picture(tmp_path / "a.gif"), np.full((HEIGHT, WIDTH, 3), (1, 0, 0.2)), atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_of_colour_becomes_red_green_and_blue(tmp_path, mode):
    grey = np.where(np.arange(WIDTH) < 5, 0, 255).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)
    picture = Image.fromarray(grey).convert("RGB").convert(mode)
    picture.save(tmp_path / "a.tif")
    np.testing.assert_allclose(load_picture(tmp_path / "a.tif"), grey[:, :, None] / 255 * np.ones(3), atol=0.02)


def test_grey_of_sixteen_bits_keeps_its_shades(tmp_path):
    shades = np.linspace(0, 65535, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
    Image.fromarray(shades.round().astype(np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_allclose(load_picture(tmp_path / "a.png")[:, :, 1], shades / 65535, atol=0.6 / 65535)


@pytest.mark.parametrize("background", [(1.0, 1.0, 1.0), (0.2, 0.4, 0.6)])
def test_transparent_parts_show_the_background(tmp_path, background):
    colours = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    colours[:, :, 0] = 255
    colours[:, :, 3] = np.linspace(0, 255, WIDTH).round()
    Image.fromarray(colours).save(tmp_path / "a.png")
    alpha = colours[:, :, 3:] / 255
    expected = alpha * np.array([1, 0, 0]) + (1 - alpha) * np.array(background)
    np.testing.assert_allclose(load_picture(tmp_path / "a.png", background=background), expected, atol=1e-6)


def test_transparent_grey_and_palettes_show_the_background_too(tmp_path):
    Image.new("LA", (4, 4), (0, 0)).save(tmp_path / "grey.png")
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 0, 0, 255])
    palette.save(tmp_path / "palette.png", transparency=1)
    palette.save(tmp_path / "palette.gif", transparency=1)
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "keyed.png", transparency=(9, 9, 9))
    for path in tmp_path.iterdir():
        np.testing.assert_allclose(load_picture(path, background=(1, 0, 0)), np.full((4, 4, 3), (1, 0, 0)), atol=1e-7)


# Value of the EXIF tag to what has to be done to the stored pixels (Exif 2.3, tag 0x0112).
ORIENTATIONS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_camera_s_orientation_is_respected(tmp_path, ending, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{ending}"
    Image.fromarray(smooth()).save(path, exif=exif, quality=95)
    expected = ORIENTATIONS[orientation](smooth()) / 255
    target = load_picture(path)
    assert target.shape == expected.shape
    np.testing.assert_allclose(target, expected, atol=1e-7 if ending == "png" else 0.1)


# --- what stands beside the pixels ---

LONG = bytes(np.random.default_rng(0).integers(32, 127, 1_600_000).astype(np.uint8))
BOMB = zlib.compress(bytes(300_000_000), 9)
BESIDE = {
    "a long text": chunk(b"tEXt", b"key\0" + LONG),
    "a long compressed text": chunk(b"zTXt", b"key\0\0" + zlib.compress(LONG)),
    "a long international text": chunk(b"iTXt", b"key\0\0\0\0\0" + LONG),
    "a long compressed international text": chunk(b"iTXt", b"key\0\1\0\0\0" + zlib.compress(LONG)),
    "a text that unpacks without end": chunk(b"zTXt", b"key\0\0" + BOMB),
    "Exif as text that unpacks without end": chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB),
    "a profile that unpacks without end": chunk(b"iCCP", b"name\0\0" + BOMB),
    "long metadata": chunk(b"eXIf", LONG),
    "something long of its own": chunk(b"prVt", LONG),
    "chunks with wrong sums": chunk(b"tEXt", b"key\0value")[:-4] + b"nope" + chunk(b"gAMA", bytes(4))[:-4] + b"nope",
    "many texts that unpack without end": chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB[:50_000]) * 200,
    "empty chunks": b"".join(
        chunk(kind, b"") for kind in (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs", b"tIME")
    ),
    "empty chunks of colour": b"".join(chunk(kind, b"") for kind in (b"gAMA", b"cHRM", b"sRGB", b"cICP")),
    "an animation of no frames": chunk(b"acTL", bytes(8)),
}


@pytest.mark.parametrize("name", BESIDE)
@pytest.mark.parametrize("behind", [False, True])
def test_a_png_loads_whatever_stands_beside_its_pixels(name, behind):
    content = png_of(smooth(), 8, RGB)
    place = content.index(b"IEND") - 4 if behind else content.index(b"IDAT") - 4
    content = content[:place] + BESIDE[name] + content[place:]
    np.testing.assert_array_equal(load_picture(content, WIDTH), smooth() / np.float32(255))
    assert picture_size(content) == (WIDTH, HEIGHT)


def long_profile():
    """One of linear light, three megabytes."""
    profile = bytearray(rgb_profile(1.0) + bytes(3_000_000))
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
def test_long_profiles_and_long_metadata_are_respected(ending):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    exif = Image.Exif()
    exif[0x0112], exif[0x927C] = 6, b"x" * (60_000 if ending == "jpg" else 3_000_000)
    file = io.BytesIO()
    format = {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())
    Image.new("RGB", (16, 8), (55, 128, 200)).save(file, format, icc_profile=long_profile(), exif=exif, quality=100)
    loaded = load_picture(file, 16)
    assert loaded.shape == (16, 8, 3)
    np.testing.assert_allclose(loaded[4, 4], np.array([128, 188, 229]) / 255, atol=4 / 255)


def test_a_png_is_turned_by_whatever_says_so():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = exif.tobytes()
    packed = zlib.compress(b"\nexif\n%8d\n" % len(data) + data.hex().encode())
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for turned in (
        chunk(b"eXIf", data[6:]),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + packed),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    ):
        content = png_of(smooth(), 8, RGB)
        for place in (content.index(b"IDAT") - 4, content.index(b"IEND") - 4):
            with_it = content[:place] + turned + content[place:]
            np.testing.assert_allclose(load_picture(with_it, WIDTH), np.rot90(smooth(), -1) / 255, atol=1e-6)
            assert picture_size(with_it) == (HEIGHT, WIDTH)


# --- sizes ---


def save_grey(path, width, height):
    Image.new("RGB", (width, height), (128, 128, 128)).save(path)
    return path


@pytest.mark.parametrize(
    ("original", "size", "expected"),
    [
        ((512, 300), None, (256, 150)),
        ((300, 512), None, (150, 256)),
        ((257, 257), None, (256, 256)),
        ((100, 50), None, (100, 50)),  # never enlarged unasked
        ((1000, 1), None, (256, 1)),  # never without a pixel
        ((1, 1), None, (1, 1)),
        ((100, 50), 384, (384, 192)),
        ((100, 50), 20, (20, 10)),
        ((50, 100), 1, (1, 1)),
        ((100, 50), (40, 30), (40, 30)),
        ((100, 50), (1, 1), (1, 1)),
        ((3, 3), (300, 2), (300, 2)),
    ],
)
def test_a_target_is_as_large_as_asked(tmp_path, original, size, expected):
    target = load_picture(save_grey(tmp_path / "a.png", *original), size)
    assert target.shape == (expected[1], expected[0], 3)
    np.testing.assert_allclose(target, 128 / 255, atol=1e-6)


def test_the_default_size_is_the_documented_one():
    assert DEFAULT_SIZE == 256


def sprite(width, height, colours, seed=0):
    """(H, W, 4) uint8 of a few colours, one of them transparent."""
    rng = np.random.default_rng(seed)
    palette = np.array([[0, 0, 0, 0], [216, 40, 0, 255], [0, 88, 248, 255], [252, 152, 56, 255], [60, 30, 0, 255]])
    return palette[rng.integers(0, colours, (height, width))].astype(np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "factor"), [(16, 16, 16), (16, 24, 11), (1, 1, 256), (100, 3, 3), (128, 128, 2), (200, 255, 2)]
)
def test_pixel_art_is_enlarged_by_whole_pixels(width, height, factor):
    values = sprite(width, height, 5)
    for given_picture in (Image.fromarray(values), saved_png(values)):
        loaded = load_picture(given_picture, background=(1, 1, 1), enlarge=True)
        over = values[:, :, :3] / 255 * (values[:, :, 3:] / 255) + (1 - values[:, :, 3:] / 255)
        np.testing.assert_allclose(loaded, over.repeat(factor, axis=0).repeat(factor, axis=1), atol=1e-6)


def test_other_small_pictures_are_enlarged_smoothly():
    across, down = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 40))
    waves = 0.5 + 0.4 * np.stack([np.sin(5 * across), np.cos(4 * down), np.sin(3 * across + 3 * down)], axis=2)
    noise = np.random.default_rng(0).normal(0, 0.01, waves.shape)
    for picture, tolerance in ((waves, 0.02), (waves + noise, 0.06)):
        values = (picture * 255).round().astype(np.uint8)
        loaded = load_picture(Image.fromarray(values), enlarge=True)
        assert loaded.shape == (171, 256, 3)
        across, down = (np.linspace(0, 1, 256) * 256 / 60 * 60 / 256, np.linspace(0, 1, 171))
        assert np.abs(np.diff(loaded, axis=1)).max() < 0.05  # nothing steps from one pixel of the file to the next
        assert np.abs(loaded.mean(axis=(0, 1)) - values.mean(axis=(0, 1)) / 255).max() < tolerance


@pytest.mark.parametrize("side", [4, 8, 16, 32, 60])
def test_small_photographs_and_antialiased_drawings_are_not_taken_for_pixel_art(side):
    drawing = Image.new("RGBA", (8 * side, 8 * side))
    ImageDraw.Draw(drawing).ellipse((side, side, 7 * side, 7 * side), fill=(200, 30, 40, 255))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3)).astype(np.uint8))
    for picture in (drawing.resize((side, side), Image.Resampling.LANCZOS), noise) if side >= 32 else (noise,):
        loaded, factor = load_picture(picture, enlarge=True), -(-256 // side)
        assert loaded.shape[:2] == (256, 256)
        blocks = load_picture(picture).repeat(factor, axis=0).repeat(factor, axis=1)[:256, :256]
        assert not np.allclose(loaded, blocks, atol=0.05)


def saved_png(values):
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 5), st.integers(0, 99))
def test_a_small_file_may_be_brought_to_the_default_size(width, height, colours, seed):
    values = sprite(width, height, colours, seed)
    loaded = load_picture(saved_png(values), enlarge=True)
    longest = max(loaded.shape[:2])
    assert longest == 256 if max(width, height) >= 256 else 256 <= longest < 512
    assert load_picture(saved_png(values), max(width, height), enlarge=True).shape[:2] == (height, width)
    assert load_picture(values, enlarge=True).shape[:2] == (height, width)


def test_orientation_comes_before_size(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth()).save(tmp_path / "a.png", exif=exif)
    assert load_picture(tmp_path / "a.png", 6).shape == (6, 4, 3)


@pytest.mark.parametrize(
    ("text", "size"),
    [("384", 384), ("1", 1), (" 64 ", 64), ("40x30", (40, 30)), ("40X30", (40, 30)), (str(SIZE_MAX), SIZE_MAX)],
)
def test_sizes_are_read_as_longest_side_or_width_and_height(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "0x5", "5x0", "x", "5x", "x5", "5x5x5", "-5", "+5", "2.5", "1e3", "5 x 5", "big", "5,5", "5\n6",
        str(SIZE_MAX + 1), f"5x{SIZE_MAX + 1}", "9" * 400,
    ],
)  # fmt: skip
def test_sizes_that_are_none_are_refused_in_one_line(text):
    with pytest.raises(InputError, match=r"size is .*needs pixels like 384 or 256x256") as caught:
        parse_size(text)
    assert "\n" not in str(caught.value)


@given(st.integers(1, SIZE_MAX), st.integers(1, SIZE_MAX))
def test_every_size_in_range_is_read_back(width, height):
    assert parse_size(f"{width}x{height}") == (width, height)
    assert parse_size(f"{width}") == width


# --- what cannot be read ---


def test_a_missing_picture_is_named(tmp_path):
    with pytest.raises(InputError) as caught:
        load_picture(tmp_path / "none.png")
    assert_one_line(caught, tmp_path / "none.png", "no file")


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError) as caught:
        load_picture(tmp_path)
    assert_one_line(caught, tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"])
@pytest.mark.parametrize("ending", ["png", "jpg", "txt"])
def test_a_file_that_holds_no_picture_is_refused_in_one_line(tmp_path, content, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_picture(path)
    assert_one_line(caught, path)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "tif", "bmp", "webp"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_picture_that_was_cut_off_is_refused_in_one_line(tmp_path, ending, kept):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError) as caught:
        load_picture(path)
    assert_one_line(caught, path)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_an_avif_whose_data_are_broken_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.avif"
    Image.fromarray(smooth()).save(path)
    content = bytearray(path.read_bytes())
    data = content.index(b"mdat") + 4
    content[data : data + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_picture(path)
    assert_one_line(caught, path)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # nobody will ever write to it
    (tmp_path / "empty").touch()
    for path, part in (
        (tmp_path / "pipe", "pipe or a device"),
        ("/dev/zero", "pipe or a device"),
        (tmp_path, "folder"),
        (tmp_path / "empty", "empty"),
        (tmp_path / "empty" / "a.png", "Not a directory"),
        (tmp_path / ("a" * 257), "too long"),
        ("nul\0.png", "null"),
    ):
        for read in (load_picture, picture_size):
            with pytest.raises(InputError, match=part) as caught:
                read(path)
            assert_one_line(caught)


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root may read every file")
def test_a_picture_that_may_not_be_read_says_so(tmp_path):
    path = save_grey(tmp_path / "a.png", 2, 2)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied") as caught:
        load_picture(path)
    assert_one_line(caught, path)


def test_a_name_with_line_breaks_is_told_in_one_line(tmp_path):
    with pytest.raises(InputError) as caught:
        load_picture(tmp_path / "two\nlines\x1b[31m.png")
    assert_one_line(caught, "two\\nlines\\x1b[31m.png")


@pytest.mark.parametrize(
    "start", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"SIMPLE  =  T", b"<svg/>", b"8BPS"]
)
def test_formats_that_are_not_listed_are_refused_with_those_that_are(tmp_path, start):
    (tmp_path / "a.eps").write_bytes(start + bytes(1000))
    with pytest.raises(InputError, match="needs JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF") as caught:
        load_picture(tmp_path / "a.eps")
    assert_one_line(caught)


def bitmap_head(width, height):
    """A BMP without its pixels."""
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.bmp"
    path.write_bytes(bitmap_head(30000, 30000))
    assert picture_size(path) == (30000, 30000)
    with pytest.raises(InputError, match=r"30000 x 30000 pixels, takes .* GB") as caught:
        load_picture(path)
    assert_one_line(caught, path, "scale it down")
    path.write_bytes(bitmap_head(60000, 60000))
    for read in (load_picture, picture_size):
        with pytest.raises(InputError, match=r"more than 1\.5 billion pixels") as caught:
            read(path)
        assert_one_line(caught, path)


def test_without_libvips_a_large_scan_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvips", None)  # as Python notes that it is not there
    (tmp_path / "a.png").write_bytes(png(30000, 30000, 8, RGB, bytes(3_000_000)))
    with pytest.raises(InputError, match="30000 x 30000") as caught:
        load_picture(tmp_path / "a.png")
    assert_one_line(caught, "pip install 'artpipe[scans]'")


def test_a_bomb_too_short_for_its_size_is_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(30000, 30000, 8, GREY, zlib.compress(bytes(1000))))
    with pytest.raises(InputError, match="too short for 30000 x 30000 pixels") as caught:
        load_picture(path)
    assert_one_line(caught, path)


def test_a_large_picture_of_which_rows_cannot_be_read_one_by_one_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(png(30000, 30000, 8, RGB, bytes(3_000_000), interlace=1))
    with pytest.raises(InputError, match="30000 x 30000") as caught:
        load_picture(tmp_path / "a.png")
    assert_one_line(caught, "scale it down")


def test_loading_is_silent_and_leaves_pillow_as_it_was(tmp_path, capfd, recwarn):
    large = tmp_path / "large.png"  # Pillow warns of a decompression bomb from 89 million pixels
    large.write_bytes(png(9500, 9500, 1, GREY, zlib.compress(bytes(9500 * (1 + 1188)), 1)))
    exif = Image.Exif()
    exif[0x0112] = 1
    broken = tmp_path / "broken.jpg"
    Image.fromarray(smooth()).save(broken, exif=exif.tobytes()[:-8] + b"\xff" * 8)
    limit = Image.MAX_IMAGE_PIXELS
    assert load_picture(large, 8).max() == 0
    assert load_picture(broken, 8).shape == (5, 8, 3)
    assert Image.MAX_IMAGE_PIXELS == limit
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


# --- out ---


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_a_saved_picture_loads_back_to_the_nearest_of_256_levels(tmp_path_factory, seed, width, height):
    path = tmp_path_factory.mktemp("saved") / "a.png"
    image = np.random.default_rng(seed).uniform(0, 1, (height, width, 3)).astype(np.float32)
    save_png(image, path)
    loaded = load_picture(path)
    assert np.abs(loaded - image).max() <= 0.5 / 255 + 1e-6
    save_png(loaded, path)
    np.testing.assert_array_equal(load_picture(path), loaded)


def test_a_picture_with_alpha_is_saved_with_it(tmp_path):
    levels = np.random.default_rng(0).integers(1, 256, (5, 6, 4)).astype(np.uint8)
    save_png(levels / np.float32(255), tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), levels)


def test_values_past_black_and_white_are_saved_as_black_and_white(tmp_path):
    save_png(np.array([[[-3.0, 0.5, 1.0001]]]), tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png")).tolist() == [[[0, 128, 255]]]


class Failure(Exception):
    pass


@pytest.mark.parametrize("error", [Failure("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_file_that_fails_half_way_leaves_the_old_one_whole(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    expected = InputError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught, whole_file(path) as file:
        file.write(b"half of the n")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    if expected is InputError:
        assert_one_line(caught, path, "No space left")


def test_a_file_that_fails_half_way_and_was_not_there_is_not_there(tmp_path):
    with pytest.raises(Failure), whole_file(tmp_path / "a.txt") as file:
        file.write(b"half of the n")
        raise Failure
    assert list(tmp_path.iterdir()) == []


def test_the_new_file_is_not_seen_before_it_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_written_file_is_as_public_as_any_other(tmp_path):
    write_text(tmp_path / "ours.txt", "x")
    (tmp_path / "plain.txt").write_text("x")
    ours, plain = (stat.S_IMODE((tmp_path / f"{name}.txt").stat().st_mode) for name in ("ours", "plain"))
    assert ours == plain


def test_files_that_cannot_be_written_say_so_in_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "none" / "a.txt", tmp_path / "folder", tmp_path / "file" / "a.txt", tmp_path / ("a" * 300)):
        with pytest.raises(InputError) as caught:
            write_text(path, "text")
        message = str(caught.value)
        assert "\n" not in message and message.startswith(f"cannot write {path}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_text_is_written_as_utf8(tmp_path):
    write_text(tmp_path / "a.txt", "Grün ≥ 1\n")
    assert (tmp_path / "a.txt").read_bytes() == "Grün ≥ 1\n".encode()
