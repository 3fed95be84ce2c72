"""Reading and writing of pictures, and atomic writing of files."""

import io
import os
import stat
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import GREY, RGB, chunk, png, png_of, refusal, rgb_profile
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


def test_common_formats_load_as_the_values_they_hold(tmp_path):
    for ending, tolerance, options in (
        ("png", 0, {}),
        ("tiff", 0, {}),
        ("bmp", 0, {}),
        ("ppm", 0, {}),
        ("webp", 0, {"lossless": True}),
        ("jpg", 8 / 255, {"quality": 95, "subsampling": 0}),
        ("webp", 32 / 255, {"quality": 95}),  # always with colour at half the resolution
        ("jpg", 0, {"format": "PNG"}),  # the content decides
    ):
        Image.fromarray(smooth()).save(tmp_path / f"a.{ending}", **options)
        target = load_picture(tmp_path / f"a.{ending}")
        assert target.dtype == np.float32 and target.shape == (HEIGHT, WIDTH, 3)
        np.testing.assert_allclose(target, smooth() / 255, atol=tolerance + 1e-7, err_msg=ending)


def test_a_gif_loads_its_first_frame(tmp_path):
    frames = [Image.new("P", (WIDTH, HEIGHT), 0) for _ in range(2)]
    for frame, colour in zip(frames, ((255, 0, 51), (0, 255, 0)), strict=True):
        frame.putpalette([*colour, *(0,) * 765])
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(load_picture(tmp_path / "a.gif"), np.full((HEIGHT, WIDTH, 3), (1, 0, 0.2)), atol=1e-6)


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
def test_a_camera_s_orientation_is_respected_before_size(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = ORIENTATIONS[orientation](smooth()) / 255
    for ending, tolerance in (("png", 1e-7), ("jpg", 0.1)):
        Image.fromarray(smooth()).save(tmp_path / f"a.{ending}", exif=exif, quality=95)
        np.testing.assert_allclose(load_picture(tmp_path / f"a.{ending}"), expected, atol=tolerance)
    assert load_picture(tmp_path / "a.png", 6).shape == ((4, 6, 3) if orientation < 5 else (6, 4, 3))


# --- metadata ---

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
    "long metadata and a long private chunk": chunk(b"eXIf", LONG) + chunk(b"prVt", LONG),
    "chunks with wrong sums": chunk(b"tEXt", b"key\0value")[:-4] + b"nope" + chunk(b"gAMA", bytes(4))[:-4] + b"nope",
    "many texts that unpack without end": chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB[:50_000]) * 200,
    "empty chunks": b"".join(
        chunk(kind.encode(), b"") for kind in "tEXt zTXt iTXt iCCP eXIf pHYs tIME gAMA cHRM sRGB cICP".split()
    ),
    "an animation of no frames": chunk(b"acTL", bytes(8)),
}


@pytest.mark.parametrize("name", BESIDE)
def test_a_png_loads_whatever_chunks_are_beside_its_pixels(name):
    plain = png_of(smooth(), 8, RGB)
    for place in (plain.index(b"IDAT") - 4, plain.index(b"IEND") - 4):
        content = plain[:place] + BESIDE[name] + plain[place:]
        np.testing.assert_array_equal(load_picture(content, WIDTH), smooth() / np.float32(255))
        assert picture_size(content) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
def test_long_profiles_and_long_metadata_are_respected(ending):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    profile = bytearray(rgb_profile(1.0) + bytes(1_200_000))  # of linear light
    profile[:4] = struct.pack(">I", len(profile))
    exif = Image.Exif()
    exif[0x0112], exif[0x927C] = 6, b"x" * (60_000 if ending == "jpg" else 1_200_000)
    file = io.BytesIO()
    format = {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending.upper())
    Image.new("RGB", (16, 8), (55, 128, 200)).save(file, format, icc_profile=bytes(profile), exif=exif, quality=100)
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


def test_a_target_is_as_large_as_asked():
    for original, size, expected in (
        ((512, 300), None, (256, 150)),
        ((300, 512), None, (150, 256)),
        ((257, 257), None, (256, 256)),
        ((100, 50), None, (100, 50)),  # never enlarged unasked
        ((1000, 1), None, (256, 1)),  # never without a pixel
        ((100, 50), 384, (384, 192)),
        ((50, 100), 1, (1, 1)),
        ((100, 50), (40, 30), (40, 30)),
        ((3, 3), (300, 2), (300, 2)),
    ):
        target = load_picture(Image.new("RGB", original, (128, 128, 128)), size)
        assert target.shape == (expected[1], expected[0], 3)
        np.testing.assert_allclose(target, 128 / 255, atol=1e-6)
    assert DEFAULT_SIZE == 256  # as documented


def sprite(width, height, colours, seed=0):
    """(H, W, 4) uint8 of a few colours, one of them transparent."""
    rng = np.random.default_rng(seed)
    palette = np.array([[0, 0, 0, 0], [216, 40, 0, 255], [0, 88, 248, 255], [252, 152, 56, 255], [60, 30, 0, 255]])
    return palette[rng.integers(0, colours, (height, width))].astype(np.uint8)


def test_pixel_art_is_enlarged_by_whole_pixels():
    for width, height, factor in ((16, 24, 11), (1, 1, 256), (100, 3, 3), (128, 128, 2), (200, 255, 2)):
        values = sprite(width, height, 5)
        over = values[:, :, :3] / 255 * (values[:, :, 3:] / 255) + (1 - values[:, :, 3:] / 255)
        for given_picture in (Image.fromarray(values), saved_png(values)):
            loaded = load_picture(given_picture, background=(1, 1, 1), enlarge=True)
            np.testing.assert_allclose(loaded, over.repeat(factor, axis=0).repeat(factor, axis=1), atol=1e-6)
            assert load_picture(given_picture, max(width, height), enlarge=True).shape[:2] == (height, width)


def test_other_small_pictures_are_enlarged_smoothly():
    across, down = np.meshgrid(np.linspace(0, 1, 60), np.linspace(0, 1, 40))
    waves = 0.5 + 0.4 * np.stack([np.sin(5 * across), np.cos(4 * down), np.sin(3 * across + 3 * down)], axis=2)
    noise = np.random.default_rng(0).normal(0, 0.01, waves.shape)
    for picture, tolerance in ((waves, 0.02), (waves + noise, 0.06)):
        values = (picture * 255).round().astype(np.uint8)
        loaded = load_picture(Image.fromarray(values), enlarge=True)
        assert loaded.shape == (171, 256, 3)
        assert np.abs(np.diff(loaded, axis=1)).max() < 0.05  # nothing steps from one pixel of the file to the next
        assert np.abs(loaded.mean(axis=(0, 1)) - values.mean(axis=(0, 1)) / 255).max() < tolerance


@pytest.mark.parametrize("side", [4, 16, 60])
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


def test_sizes_are_read_as_longest_side_or_width_and_height():
    for text, size in (("384", 384), ("1", 1), (" 64 ", 64), ("40X30", (40, 30)), (f"7x{SIZE_MAX}", (7, SIZE_MAX))):
        assert parse_size(text) == size
    for text in (
        "", " ", "0", "0x5", "5x0", "x", "5x", "x5", "5x5x5", "-5", "+5", "2.5", "1e3", "5 x 5", "big", "5,5", "5\n6",
        str(SIZE_MAX + 1), f"5x{SIZE_MAX + 1}", "9" * 400,
    ):  # fmt: skip
        assert "needs pixels like 384 or 256x256" in refusal(parse_size, text)


# --- refusals ---


def test_what_holds_no_picture_is_refused_in_one_line(tmp_path):
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
        (tmp_path / "none.png", "no file"),
        (tmp_path / "two\nlines\x1b[31m.png", "two\\nlines\\x1b[31m.png"),
    ):
        assert part in refusal(load_picture, path) and part in refusal(picture_size, path)
    path = tmp_path / "a.png"
    for content in (b"hello", bytes(100), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"):
        path.write_bytes(content)
        assert str(path) in refusal(load_picture, path)
    for start in (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"SIMPLE  =  T", b"<svg/>", b"8BPS"):
        path.write_bytes(start + bytes(1000))
        assert "needs JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF" in refusal(load_picture, path)


@pytest.mark.parametrize("ending", ["jpg", "png", "gif", "tif", "bmp", "webp"])
def test_a_picture_that_was_cut_off_is_refused_in_one_line(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)).save(path)
    content = path.read_bytes()
    for kept in (0.1, 0.5, 0.9):
        path.write_bytes(content[: int(kept * len(content))])
        assert str(path) in refusal(load_picture, path)


def bitmap_head(side):
    """A BMP without its pixels."""
    return b"BM" + struct.pack("<IIIIiiHHIIIIII", 54, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.bmp"
    path.write_bytes(bitmap_head(30000))
    assert picture_size(path) == (30000, 30000)
    message = refusal(load_picture, path)
    assert "30000 x 30000 pixels, takes" in message and "scale it down" in message and str(path) in message
    path.write_bytes(bitmap_head(60000))
    for read in (load_picture, picture_size):
        assert "more than 1.5 billion pixels" in refusal(read, path)
    interlaced = png(30000, 30000, 8, RGB, bytes(3_000_000), interlace=1)  # rows cannot be read one by one
    message = refusal(load_picture, interlaced)
    assert "30000 x 30000" in message and "scale it down" in message
    bomb = png(30000, 30000, 8, GREY, zlib.compress(bytes(1000)))
    assert "too short for 30000 x 30000 pixels" in refusal(load_picture, bomb)
    monkeypatch.setitem(sys.modules, "pyvips", None)  # as Python marks it as missing
    assert "pip install 'artpipe[scans]'" in refusal(load_picture, png(30000, 30000, 8, RGB, bytes(3_000_000)))


def test_loading_is_silent_and_leaves_pillow_as_it_was(monkeypatch, capfd, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)  # of which Pillow would warn
    exif = Image.Exif()
    exif[0x0112] = 1
    broken = io.BytesIO()
    Image.fromarray(smooth()).save(broken, "JPEG", exif=exif.tobytes()[:-8] + b"\xff" * 8)
    assert load_picture(png_of(smooth(), 8, RGB), 8).shape == load_picture(broken, 8).shape == (5, 8, 3)
    assert Image.MAX_IMAGE_PIXELS == 50
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


# --- out ---


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9))
def test_a_saved_picture_loads_back_to_the_nearest_of_256_levels(tmp_path_factory, seed, width, height):
    path = tmp_path_factory.getbasetemp() / "saved.png"
    image = np.random.default_rng(seed).uniform(-0.1, 1.1, (height, width, 3)).astype(np.float32)
    save_png(image, path)
    loaded = load_picture(path)
    assert np.abs(loaded - image.clip(0, 1)).max() <= 0.5 / 255 + 1e-6
    save_png(loaded, path)
    np.testing.assert_array_equal(load_picture(path), loaded)


class Failure(Exception):
    pass


@pytest.mark.parametrize("error", [Failure("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_file_that_fails_half_way_leaves_the_old_one_whole(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    expected = InputError if isinstance(error, OSError) else type(error)
    for target in (path, tmp_path / "new.txt"):
        with pytest.raises(expected) as caught, whole_file(target) as file:
            file.write(b"half of the n")
            file.flush()
            assert path.read_text() == "old"
            raise error
        assert expected is not InputError or str(caught.value).startswith(f"cannot write {target}: No space left")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")
def test_a_written_file_is_utf8_and_as_public_as_any_other(tmp_path):
    write_text(tmp_path / "ours.txt", "Grün ≥ 1\n")
    assert (tmp_path / "ours.txt").read_bytes() == "Grün ≥ 1\n".encode()
    (tmp_path / "plain.txt").write_text("x")
    ours, plain = (stat.S_IMODE((tmp_path / f"{name}.txt").stat().st_mode) for name in ("ours", "plain"))
    assert ours == plain


def test_files_that_cannot_be_written_say_so_in_one_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "none" / "a.txt", tmp_path / "folder", tmp_path / "file" / "a.txt", tmp_path / ("a" * 300)):
        assert f"cannot write {path}"[:300] in refusal(write_text, path, "text", most=1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
