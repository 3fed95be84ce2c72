"""Pictures in and out, and files that are never half written."""

import os
import stat
import struct
import sys
import zlib

import numpy as np
import pytest
from artpipe import InputError
from artpipe.stages.files import whole_file, write_text
from artpipe.stages.picture import DEFAULT_SIZE, SIZE_MAX, load_picture, parse_size, picture_size, save_png
from hypothesis import given
from hypothesis import strategies as st
from picture_files import GREY, RGB, png
from PIL import Image, features

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
