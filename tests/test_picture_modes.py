"""Pixels of pictures: bit depths, transparency, colour profiles, and scans of any size."""

import json
import struct
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_files import (
    BLUE,
    GREEN,
    GREY,
    GREY_ALPHA,
    RED,
    RGB,
    RGB_ALPHA,
    chunk,
    cmyk_profile,
    grey_profile,
    png,
    png_of,
    refusal,
    rgb_profile,
)
from PIL import Image, ImageCms

from artpipe.stages.pictures import decode, resample
from artpipe.stages.pictures.picture import load_picture, save_png
from artpipe.stages.pictures.scan import can_scan

WIDTH, HEIGHT = 12, 8
needs_libvips = pytest.mark.skipif(not can_scan(), reason="libvips is not installed: pip install '.[scans]'")


def ramp(most, count=WIDTH * HEIGHT):
    """(H, W) whole numbers from 0 to the most."""
    return np.linspace(0, most, count).round().reshape(HEIGHT, WIDTH)


def from_light(light):
    """sRGB of a share of light (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.asarray(light) ** (1 / 2.4) - 0.055)


# --- bits ---


def tiff(values, bits, photometric, sample_format=1):
    """A TIFF of (H, W) values in one strip, not compressed."""
    data = values.tobytes()
    tags = [(256, values.shape[1]), (257, values.shape[0]), (258, bits), (259, 1), (262, photometric), (273, 8)]
    tags += [(277, 1), (278, values.shape[0]), (279, len(data)), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_grey_of_many_bits_keeps_its_shades():
    for dtype, bits, most, sample_format in (
        ("<u2", 16, 65535, 1), ("<u4", 32, 65535, 1), ("<u4", 32, 2**32 - 1, 1), ("<i4", 32, 65535, 2),
        ("<i4", 32, 255, 2), ("<f4", 32, 1, 3), ("<f4", 32, 255, 3), ("<f4", 32, 65535, 3), ("<f4", 32, 1e9, 3),
    ):  # fmt: skip
        shades = np.linspace(0, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)
        stored = (shades * most if dtype == "<f4" else np.round(shades * most)).astype(dtype)
        loaded = load_picture(tiff(stored, bits, 1, sample_format))
        np.testing.assert_allclose(loaded, (stored / most)[:, :, None] * np.ones(3), atol=1e-6)
    negative = ramp(65535).astype("<u2")  # of which white is zero
    np.testing.assert_allclose(load_picture(tiff(negative, 16, 0))[:, :, 0], 1 - negative / 65535, atol=1e-6)
    dark = ramp(200).astype(">u2")
    loaded = load_picture(b"P5\n%d %d\n65535\n" % (WIDTH, HEIGHT) + dark.tobytes())
    np.testing.assert_allclose(loaded[:, :, 0], dark / 65535, atol=1e-6)


def test_floats_that_are_not_finite_are_black_or_white_and_do_not_change_the_scale():
    stored = ramp(1).astype("<f4")
    stored[0] = [np.nan, np.inf, -np.inf, -1e30, 1.2, *[0.5] * 7]
    loaded = load_picture(tiff(stored, 32, 1, 3))[:, :, 1]
    np.testing.assert_allclose(loaded[0], [0, 1, 0, 0, 1, *[0.5] * 7], atol=1e-6)
    np.testing.assert_allclose(loaded[1:], stored[1:], atol=1e-6)


def test_sixteen_bits_are_not_rounded_to_eight_when_they_are_resampled(tmp_path):
    fine = np.repeat(np.linspace(20000, 20200, 64).round()[:, None], 64, axis=1).astype(np.uint16)
    Image.fromarray(fine).save(tmp_path / "a.png")
    loaded = load_picture(tmp_path / "a.png", 16)[:, :, 0]
    assert len(np.unique(loaded[:, 8])) == 16  # 8 bits know one or two of these shades
    np.testing.assert_allclose(loaded[2:-2, 8], fine[:, 8].reshape(16, 4).mean(axis=1)[2:-2] / 65535, atol=1e-5)


def test_colours_of_sixteen_bits_load(rng):
    for colour_type, channels, tolerance in ((RGB, 3, 1e-6), (GREY_ALPHA, 2, 1.01 / 255), (RGB_ALPHA, 4, 2e-6)):
        stored = rng.integers(0, 65536, (HEIGHT, WIDTH, channels)).astype(np.uint16)
        stored[..., -1] = 0x4000 + stored[..., -1] % 0xB000  # neither clear nor, but for a trace, opaque
        expected = stored[:, :, [0, 0, 0, 1]] if channels == 2 else stored
        np.testing.assert_allclose(load_picture(png_of(stored, 16, colour_type)), expected / 65535, atol=tolerance)


def test_colours_of_sixteen_bits_are_turned_and_resampled_in_sixteen(monkeypatch):
    fine = np.linspace(20000, 20200, 64).round()[:, None, None] + np.zeros((64, 48, 3)) + (0, 3000, 9000)
    exif = Image.Exif()
    expected = fine.reshape(16, 4, 12, 4, 3).mean(axis=(1, 3))[2:-2] / 65535
    for orientation in (1, 3, 6, 8):
        exif[0x0112] = orientation
        content = png_of(fine.astype(np.uint16), 16, RGB, chunk(b"eXIf", exif.tobytes()[6:]))
        for pixels in (4_000_000, 1000):
            monkeypatch.setattr(resample, "PIECE_PIXELS", pixels)
            loaded = load_picture(content, 16)
            loaded = np.rot90(loaded, {1: 0, 3: 2, 6: 1, 8: -1}[orientation])
            np.testing.assert_allclose(loaded[2:-2], expected, atol=2e-5)


def test_other_spaces_of_colour_come_back(tmp_path):
    colours = np.array([[[200, 40, 60], [30, 160, 90], [20, 60, 210], [230, 230, 40]]], np.uint8)
    picture = Image.fromarray(colours)
    lab = (ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"))
    for mode in ("LAB", "YCbCr", "CMYK"):
        stored = ImageCms.profileToProfile(picture, *lab, outputMode="LAB") if mode == "LAB" else picture.convert(mode)
        stored.save(tmp_path / "a.tif")
        np.testing.assert_allclose(load_picture(tmp_path / "a.tif"), colours / 255, atol=8 / 255)


# --- transparency ---


def test_a_picture_has_alpha_only_if_some_pixel_is_not_opaque(tmp_path, rng):
    values = rng.integers(0, 256, (HEIGHT, WIDTH, 4)).astype(np.uint8)
    values[:, :, 3] = 255
    Image.fromarray(values).save(tmp_path / "opaque.png")
    Image.fromarray(values[:, :, :3]).save(tmp_path / "plain.png")
    for size in (None, 5):
        loaded = load_picture(tmp_path / "opaque.png", size)
        np.testing.assert_array_equal(loaded, load_picture(tmp_path / "plain.png", size))
    values[3, 4, 3] = 254
    Image.fromarray(values).save(tmp_path / "almost.png")
    almost = load_picture(tmp_path / "almost.png")
    np.testing.assert_allclose(almost, values / 255, atol=1e-6)
    save_png(almost, tmp_path / "again.png")
    np.testing.assert_allclose(load_picture(tmp_path / "again.png"), almost, atol=1e-6)


def kinds_of_transparency(folder):
    """Files of 2 x 2 or 16 x 16 pixels, and their levels of 255, (H, W, 4)."""
    grey = np.array([[0, 85], [170, 255]], np.uint8)
    keyed = np.stack([grey, grey, grey, np.where(grey == 85, 0, 255)], axis=2)
    keyed[0, 1] = 0
    coloured = np.array([[[255, 0, 0, 255], [0, 255, 0, 128]], [[0, 0, 0, 0], [9, 9, 9, 7]]])
    palette = Image.fromarray(np.arange(4, dtype=np.uint8).reshape(2, 2), "P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    palette.save(folder / "bytes.png", transparency=bytes([255, 128, 0, 7]))
    yield folder / "bytes.png", coloured
    palette.save(folder / "one.gif", transparency=1)
    yield folder / "one.gif", np.array([[[255, 0, 0, 255], [0, 0, 0, 0]], [[0, 0, 255, 255], [9, 9, 9, 255]]])
    contents = {}
    for depth, rows, key in ((2, b"\0\x10\0\xb0", 1), (4, b"\0\x05\0\xaf", 5)):
        contents[depth] = png(2, 2, depth, GREY, zlib.compress(rows), chunk(b"tRNS", struct.pack(">H", key)))
    for depth in (8, 16):
        values, key = grey.astype(np.uint16) * (257 if depth == 16 else 1), 85 * (257 if depth == 16 else 1)
        contents[depth] = png_of(values, depth, GREY, chunk(b"tRNS", struct.pack(">H", key)))
        rgb = chunk(b"tRNS", struct.pack(">HHH", key, key, key))
        contents[f"rgb{depth}"] = png_of(np.repeat(values[:, :, None], 3, axis=2), depth, RGB, rgb)
    for name, content in contents.items():
        (folder / f"{name}.png").write_bytes(content)
        yield folder / f"{name}.png", keyed
    Image.fromarray(np.dstack([grey, np.array([[255, 128], [7, 255]], np.uint8)])).save(folder / "la.tif")
    yield folder / "la.tif", np.dstack([grey, grey, grey, [[255, 128], [7, 255]]])
    exact = {"webp": {"lossless": True, "exact": True}, "avif": {"quality": 100, "subsampling": "4:4:4"}}
    for ending in ("webp", "avif", "tif", "png"):
        values = coloured.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(values).save(folder / f"rgba.{ending}", **exact.get(ending, {}))
        yield folder / f"rgba.{ending}", values


def test_every_kind_of_transparency_becomes_alpha(tmp_path):
    for path, levels in kinds_of_transparency(tmp_path):
        loaded = load_picture(path)
        tolerance = 5 / 255 if path.suffix == ".avif" else 1e-6
        np.testing.assert_allclose(loaded, levels / 255, atol=tolerance, err_msg=path.name)
        assert np.all(loaded[loaded[:, :, 3] == 0] == 0)
        alpha = levels[:, :, 3:] / 255
        over = levels[:, :, :3] / 255 * alpha + (1 - alpha) * (0.25, 0.5, 1)
        flat = load_picture(path, background=(0.25, 0.5, 1))
        np.testing.assert_allclose(flat, over, atol=tolerance, err_msg=path.name)


def test_alphas_beyond_the_palette_are_ignored():
    palette, alphas = chunk(b"PLTE", bytes([10, 20, 30] * 2)), chunk(b"tRNS", bytes([64]) * 300)
    content = png(2, 1, 8, 3, zlib.compress(bytes([0, 0, 1])), palette, alphas)
    np.testing.assert_allclose(load_picture(content), [[[10 / 255, 20 / 255, 30 / 255, 64 / 255]] * 2], atol=1e-6)


@settings(max_examples=25)
@given(st.sampled_from([(8, GREY), (16, GREY), (8, RGB), (16, RGB)]), st.integers(0, 2**32 - 1))
def test_the_one_colour_that_is_transparent_is_told_from_its_neighbours(kind, seed):
    (depth, colour_type), rng = kind, np.random.default_rng(seed)
    channels, most = (3 if colour_type == RGB else 1), 2**depth - 1
    key = rng.integers(0, most + 1, channels)
    near = (key + rng.integers(-1, 2, (5, 7, channels)) * rng.choice([1, 256], channels)).clip(0, most)
    transparent = chunk(b"tRNS", b"".join(struct.pack(">H", value) for value in key))
    image = load_picture(png_of(near, depth, colour_type, transparent), (7, 5))
    opaque = (near != key).any(axis=2)
    assert image.shape[2] == (3 if opaque.all() else 4)
    if image.shape[2] == 4:
        np.testing.assert_array_equal(image[:, :, 3], opaque)
    np.testing.assert_allclose(image[opaque][:, :3], (near[opaque] / most) * np.ones(3), atol=1.01 / 255)


def test_colours_of_transparent_pixels_do_not_bleed(tmp_path):
    values = np.zeros((64, 64, 4), np.uint8)
    values[:, :30] = (255, 0, 0, 255)
    values[:, 30:] = (0, 255, 0, 0)
    Image.fromarray(values).save(tmp_path / "a.png")
    loaded = load_picture(tmp_path / "a.png", 8)
    seen = loaded[:, :, 3] > 0
    np.testing.assert_allclose(loaded[seen][:, :3], np.full((seen.sum(), 3), (1, 0, 0)), atol=1e-4)
    assert seen[:, :3].all() and 0.5 < loaded[0, 3, 3] < 1 and not seen[:, 6:].any()


# --- colour profiles ---


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "I;16"])
def test_values_that_are_light_by_their_profile_become_srgb(tmp_path, mode):
    profile = grey_profile(1.0) if mode in ("L", "LA", "I;16") else rgb_profile(1.0)
    levels = ramp(255).astype(np.uint8)
    picture = Image.fromarray(levels.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(levels)
    picture = picture if mode == "I;16" else picture.convert("RGB" if mode == "P" else mode)
    picture = picture.quantize(256) if mode == "P" else picture
    if mode in ("RGBA", "LA"):
        picture.putalpha(77)
    picture.save(tmp_path / "a.png", icc_profile=profile)
    loaded = load_picture(tmp_path / "a.png")
    np.testing.assert_allclose(loaded[:, :, :3], from_light(levels / 255)[:, :, None] * np.ones(3), atol=1.5 / 255)
    if mode in ("RGBA", "LA"):
        np.testing.assert_allclose(loaded[:, :, 3], 77 / 255, atol=1e-6)


def test_every_format_that_carries_profiles_has_them_respected(tmp_path):
    swapped = rgb_profile(1.0, red=GREEN, green=RED, blue=BLUE)
    expected = from_light(np.array([20, 100, 200]) / 255)
    for ending in ("png", "jpg", "tif", "webp", "avif"):
        Image.new("RGB", (16, 16), (100, 20, 200)).save(tmp_path / f"a.{ending}", icc_profile=swapped, quality=100)
        np.testing.assert_allclose(load_picture(tmp_path / f"a.{ending}")[8, 8], expected, atol=6 / 255)


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_inks_look_as_their_profile_says(tmp_path, ending):
    for inks, level in (((0, 0, 0, 0), 255), ((255, 0, 0, 0), 198), ((0, 0, 255, 0), 0)):  # L* 80 is grey 198
        Image.new("CMYK", (16, 16), inks).save(tmp_path / f"a.{ending}", icc_profile=cmyk_profile(), quality=100)
        np.testing.assert_allclose(load_picture(tmp_path / f"a.{ending}"), level / 255, atol=2 / 255)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_broken_profile_is_ignored(tmp_path, capfd, mode):
    picture = Image.new(mode, (3, 3), 100 if mode == "L" else (100, 20, 200, 0)[: len(mode)])
    picture.save(tmp_path / "plain.tif")
    for content in (b"", b"no profile", rgb_profile()[:200], cmyk_profile()[:300] + b"\xff" * 4000):
        picture.save(tmp_path / "a.tif", icc_profile=content)
        np.testing.assert_array_equal(load_picture(tmp_path / "a.tif"), load_picture(tmp_path / "plain.tif"))
    assert capfd.readouterr() == ("", "")


def test_a_profile_for_other_values_and_one_of_srgb_change_nothing(tmp_path, rng):
    values = rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (grey_profile(1.0), cmyk_profile(), srgb):
        Image.fromarray(values).save(tmp_path / "a.png", icc_profile=profile)
        np.testing.assert_array_equal(load_picture(tmp_path / "a.png"), (values / np.float32(255)).astype(np.float32))


# --- large ones ---


@cache
def painting(width, height, channels=3):
    """(H, W, C) uint8, smooth, and different at each edge."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    waves = [across, down, 0.5 + 0.4 * np.sin(9 * across + 4 * down), 0.3 + 0.6 * np.abs(across - down)]
    return np.round(255 * np.stack(waves[:channels], axis=2)).astype(np.uint8)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Paths of files of 351 x 252 pixels."""
    return list(kinds_of_scan(tmp_path_factory.mktemp("scans")))


def kinds_of_scan(folder):
    exif, values = Image.Exif(), painting(351, 252)
    for orientation in range(1, 9):
        exif[0x0112] = orientation
        path = folder / f"{orientation}.{'tif' if orientation % 3 else 'jpg'}"
        Image.fromarray(values).save(path, exif=exif, quality=95)
        yield path
    clear = Image.fromarray(values).quantize(200)
    clear.info["transparency"] = bytes(range(50, 250))
    for name, picture, profile in (
        ("alpha.png", Image.fromarray(painting(351, 252, 4)), None),
        ("grey_alpha.png", Image.fromarray(painting(351, 252, 2)), grey_profile(1.8)),
        ("profile.png", Image.fromarray(values), rgb_profile(1.4, GREEN, RED, BLUE)),
        ("grey.png", Image.fromarray(values[:, :, 2]), grey_profile(1.8)),
        ("deep.png", Image.fromarray(values[:, :, 2].astype(np.uint16) * 257), None),
        ("clear.png", clear, None),
        ("palette.png", Image.fromarray(values).quantize(200), None),
        ("one_bit.png", Image.fromarray(values[:, :, 2] > 100), None),
        ("inks.tif", Image.fromarray(values).convert("CMYK"), cmyk_profile()),
    ):
        picture.save(folder / name, icc_profile=profile, compress_level=1)
        yield folder / name


def assert_looks_alike(shrunk, plain, name):
    """Over any background: colours of pixels that are hardly seen may differ."""
    assert shrunk.shape == plain.shape, name
    for under in (0, 1):
        over = [
            image[:, :, :3] * image[:, :, 3:] + (1 - image[:, :, 3:]) * under if image.shape[2] == 4 else image
            for image in (shrunk, plain)
        ]
        difference = np.abs(over[0] - over[1])
        # Where white meets black, means of squares blur a bit more, or less, than the filter does by itself.
        assert difference.max() < (0.12 if name in ("one_bit", "inks") else 5 / 255), name
        assert difference.mean() < 1 / 255, name


@needs_libvips
def test_pictures_too_large_to_be_decoded_look_as_others_do(scans, monkeypatch):
    for path in scans:
        plain = load_picture(path, 20)
        with monkeypatch.context() as small:
            small.setattr(decode, "MEMORY_MAX", 80_000)
            shrunk = load_picture(path, 20)
        assert not np.array_equal(shrunk, plain), "it was decoded as a whole"
        assert_looks_alike(shrunk, plain, path.stem)


def test_huge_pictures_are_shrunk_piece_by_piece_and_look_as_others_do(scans, monkeypatch):
    for path in scans:
        plain = load_picture(path, 20)
        with monkeypatch.context() as small:
            small.setattr(resample, "PIECE_PIXELS", 5_000)
            np.testing.assert_array_equal(load_picture(path, 20), plain)
            small.setattr(resample, "WHOLE_PIXELS_MAX", 25_000)
            shrunk = load_picture(path, 20)
        assert_looks_alike(shrunk, plain, path.stem)


@needs_libvips
def test_a_large_scan_that_was_cut_off_is_refused_in_one_line(tmp_path, capfd):
    (tmp_path / "a.png").write_bytes(png(30000, 30000, 8, RGB, zlib.compress(bytes(3_000_000), 0)))
    assert "Is the file complete" in refusal(load_picture, tmp_path / "a.png")
    assert capfd.readouterr() == ("", "")


# Prints the corners of a picture, and what memory the process took at most, MB.
MEASURED = """
import json, sys
sys.path.insert(0, sys.argv[2])
from artpipe.stages.pictures.picture import load_picture
from measuring import peak_memory
loaded = load_picture(sys.argv[1], (8, 8))
print(json.dumps([loaded[[0, 0, 7, 7], [0, 7, 0, 7]].tolist(), peak_memory() / 1e6]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("colour_type", [GREY, pytest.param(RGB, marks=needs_libvips)])
def test_a_picture_of_900_million_pixels_is_right_within_two_gigabytes(tmp_path, colour_type):
    colours = [(10, 20, 30), (250, 0, 0), (0, 200, 90), (255, 255, 255)]
    colours = colours if colour_type == RGB else [colour[:1] for colour in colours]
    compressor, data, half = zlib.compressobj(1), b"", 15_000
    for left, right in (colours[:2], colours[2:]):  # four plain quarters
        data += compressor.compress(b"\0" + bytes(left) * half + bytes(right) * half)
        above = b"\2" + bytes(2 * half * len(left))  # as the row above
        for _ in range(half - 1):
            data += compressor.compress(above)
    (tmp_path / "a.png").write_bytes(png(2 * half, 2 * half, 8, colour_type, data + compressor.flush()))
    command = [sys.executable, "-c", MEASURED, tmp_path / "a.png", Path(__file__).parent]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    corners, megabytes = json.loads(done.stdout)
    np.testing.assert_allclose(corners, np.broadcast_to(np.array(colours) / 255, (4, 3)), atol=1.01 / 255)
    assert megabytes < 1700  # JAX, which a run loads too, takes 300 more
