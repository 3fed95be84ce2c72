"""Colours stated other than by an ICC profile look as in a browser, or give a warning."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from picture_files import GREEN, GREY, GREY_ALPHA, RED, RGB, RGB_ALPHA, chunk, png_of, rgb_profile
from PIL import Image, features

from artpipe import PictureWarning
from artpipe.stages.pictures import decode
from artpipe.stages.pictures.picture import load_picture
from artpipe.stages.pictures.scan import can_scan

LEVELS = (55, 128, 200)
# x and y of white, red, green and blue.
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
P3 = (0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
WARM_WHITE = (0.3457, 0.3585, *SRGB[2:])


def cicp(primaries, transfer, matrix=0, full=1):
    return chunk(b"cICP", bytes((primaries, transfer, matrix, full)))


def gama(gamma):
    return chunk(b"gAMA", struct.pack(">I", round(100_000 * gamma)))


def chrm(*numbers):
    return chunk(b"cHRM", struct.pack(">8I", *(round(100_000 * number) for number in numbers)))


def iccp(profile):
    return chunk(b"iCCP", b"name\0\0" + zlib.compress(profile))


SAYS_SRGB = chunk(b"sRGB", b"\0")
LIGHT = rgb_profile(1.0)
UNKNOWN_PACKING = chunk(b"iCCP", b"name\0\1" + zlib.compress(rgb_profile(0.5)))
SWAPPED = rgb_profile(1.0, red=GREEN, green=RED)


def flat(*chunks, colour_type=RGB, depth=8, levels=LEVELS):
    """A PNG of one colour."""
    scale = 257 if depth == 16 else 1
    values = np.full((4, 4, len(levels)), levels, np.uint16) * scale
    return png_of(values[:, :, 0] if colour_type == GREY else values, depth, colour_type, *chunks)


def shown(content, **options):
    """The levels, 0..255, that the first pixel has."""
    return 255 * load_picture(content, (4, 4), **options)[0, 0]


# What Chromium 156 draws, by code points of ITU-T H.273.
CODED = {
    (1, 13): LEVELS, (2, 13): LEVELS, (1, 2): LEVELS,
    (4, 13): (0, 136, 205), (5, 13): (49, 128, 199), (6, 13): (65, 129, 200), (7, 13): (65, 129, 200),
    (8, 13): (0, 128, 205), (9, 13): (0, 133, 207), (10, 13): (0, 171, 207), (11, 13): (24, 130, 206),
    (12, 13): (0, 130, 206), (22, 13): (52, 130, 200),
    (1, 1): (44, 121, 197), (1, 4): (52, 129, 201), (1, 5): (31, 106, 189), (1, 6): (44, 121, 197),
    (1, 7): (73, 141, 206), (1, 8): (128, 188, 229), (1, 14): (44, 121, 197), (1, 15): (44, 121, 197),
    (1, 17): (39, 118, 200), (9, 14): (0, 126, 204),
    (9, 16): (0, 75, 255), (1, 16): (8, 79, 255), (9, 18): (0, 103, 190), (1, 18): (42, 100, 184),
}  # fmt: skip


@pytest.mark.parametrize("codes", CODED)
def test_colours_named_by_code_points_look_as_in_a_browser(codes):
    for depth in (8, 16):
        np.testing.assert_allclose(shown(flat(cicp(*codes), depth=depth)), CODED[codes], atol=1.01)
    values = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    greys = load_picture(png_of(values, 8, RGB, cicp(*codes)), (256, 1))[0]
    assert np.ptp(greys, axis=1).max() < 1e-6 and (np.diff(greys[:, 0]) >= 0).all()  # in their order


def test_high_dynamic_range_is_compressed_as_in_a_browser():
    for transfer, stored, seen in (
        (16, (20, 90, 148, 160, 200), (1, 61, 187, 213, 255)),
        (18, (20, 90, 148, 200, 230), (5, 66, 120, 202, 234)),
    ):
        for level, expected in zip(stored, seen, strict=True):
            for colour_type, count in ((GREY, 1), (RGB, 3)):
                levels = shown(flat(cicp(9, transfer), colour_type=colour_type, levels=(level,) * count))
                np.testing.assert_allclose(levels, expected, atol=1.01)


@pytest.mark.parametrize("nits", [0.1, 10, 203])
def test_sixteen_bits_of_high_dynamic_range_are_not_rounded_to_eight(nits):
    light = (nits / 10_000) ** (2610 / 16384)
    stored = ((3424 / 4096 + 2413 / 128 * light) / (1 + 2392 / 128 * light)) ** (2523 / 32)  # SMPTE ST 2084
    values = np.full((4, 4, 3), round(stored * 65535), np.uint16)
    shade = nits / 203 / 2  # diffuse white is shown at half of what is brightest
    expected = 12.92 * shade if shade <= 0.0031308 else 1.055 * shade ** (1 / 2.4) - 0.055
    np.testing.assert_allclose(shown(png_of(values, 16, RGB, cicp(9, 16))), 255 * expected, atol=0.05)


PLAIN = {
    "gamma 1": ([gama(1.0)], (128, 188, 229)),
    "gamma 1/2": ([gama(0.5)], (61, 137, 206)),
    "gamma 20": ([gama(20)], (247, 251, 254)),
    "gamma of sRGB": ([gama(0.45455)], LEVELS),
    "gamma of sRGB, rounded": ([gama(0.45)], LEVELS),
    "gamma and primaries of sRGB": ([gama(0.45455), chrm(*SRGB)], LEVELS),
    "gamma of sRGB, primaries of P3": ([gama(0.45455), chrm(*P3)], (0, 131, 207)),
    "Adobe RGB": ([gama(0.4547), chrm(*ADOBE)], (0, 129, 204)),
    "a warm white": ([gama(1.0), chrm(*WARM_WHITE)], (118, 187, 227)),
    "sRGB over gamma": ([SAYS_SRGB, gama(1.0)], LEVELS),
    "sRGB over primaries": ([SAYS_SRGB, gama(0.45455), chrm(*P3)], LEVELS),
    "a profile over gamma": ([iccp(LIGHT), gama(0.3)], (128, 188, 229)),
    "a profile over sRGB": ([iccp(LIGHT), SAYS_SRGB], (128, 188, 229)),
    "gamma where the profile is broken": ([iccp(b"no profile" * 30), gama(1.0)], (128, 188, 229)),
    "gamma where no profile can be unpacked": ([UNKNOWN_PACKING, gama(1.0)], (128, 188, 229)),
    "gamma where sRGB has no intent": ([chunk(b"sRGB", b""), gama(1.0)], (128, 188, 229)),
    "gamma where sRGB has an unknown intent": ([chunk(b"sRGB", b"\x09"), gama(1.0)], (128, 188, 229)),
    "code points over a profile": ([iccp(SWAPPED), cicp(12, 13)], CODED[12, 13]),
    "code points of sRGB over a profile": ([iccp(LIGHT), cicp(1, 13)], LEVELS),
    "code points over sRGB": ([SAYS_SRGB, cicp(12, 13)], CODED[12, 13]),
    "code points over gamma": ([gama(1.0), chrm(*P3), cicp(1, 13)], LEVELS),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_png_s_chunks_of_colour_count_in_the_order_of_its_standard(name):
    chunks, expected = PLAIN[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(shown(flat(*chunks)), expected, atol=1.01)


def test_a_png_s_chunks_of_colour_do_not_count_behind_its_pixels():
    content = flat()
    end = content.index(b"IEND") - 4
    for late in (gama(1.0), cicp(12, 13), iccp(LIGHT), chunk(b"tRNS", struct.pack(">3H", *LEVELS))):
        np.testing.assert_array_equal(load_picture(content[:end] + late + content[end:]), load_picture(content))


def test_what_is_srgb_anyway_is_not_touched(rng):
    values = rng.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    plain = load_picture(png_of(values, 8, RGB), 17)
    for chunks in (chunks for chunks, expected in PLAIN.values() if expected is LEVELS):
        np.testing.assert_array_equal(load_picture(png_of(values, 8, RGB, *chunks), 17), plain)


@pytest.mark.parametrize(
    ("chunks", "part"),
    [
        ([cicp(12, 3)], "primaries 12 and transfer 3"),
        ([cicp(3, 13)], "primaries 3 and transfer 13"),
        ([cicp(12, 13, matrix=1)], "matrix 1"),
        ([cicp(12, 13, full=0)], "range 0"),
        ([chrm(*P3)], "cHRM chunk has no gAMA"),
        ([gama(0)], "gamma of 0"),
        ([gama(0.00001)], "gamma of 1e-05"),
        ([gama(1.0), chrm(*[0] * 8)], "0 0 0 0 0 0 0 0"),
        ([gama(1.0), chrm(0.3, 0.3, *[0.2, 0.2] * 3)], "0.2 0.2"),
        ([gama(1.0), chrm(0.3, 0, *SRGB[2:])], "0.3 0 "),
    ],
)
def test_invalid_colour_information_gives_a_warning_of_one_line_and_is_ignored(tmp_path, chunks, part):
    (tmp_path / "a.png").write_bytes(flat(*chunks))
    with pytest.warns(PictureWarning, match=part) as caught:
        np.testing.assert_allclose(shown(tmp_path / "a.png"), LEVELS, atol=1e-4)
    (message,) = [str(warning.message) for warning in caught]
    assert "\n" not in message and message.startswith(str(tmp_path / "a.png")) and len(message) < 400


@given(st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8), st.integers(0, 2**32 - 1))
def test_any_primaries_and_any_gamma_give_colours(numbers, gamma):
    chunks = chunk(b"cHRM", struct.pack(">8I", *numbers)), chunk(b"gAMA", struct.pack(">I", gamma))
    with warnings.catch_warnings(record=True):
        levels = shown(flat(*chunks))
    assert np.isfinite(levels).all() and levels.min() >= 0 and levels.max() <= 255


def test_every_kind_of_png_is_converted():
    for colour_type, levels in ((GREY, (128,)), (GREY_ALPHA, (128, 77)), (RGB_ALPHA, (*LEVELS, 77))):
        for depth in (8, 16):
            loaded = shown(flat(gama(1.0), colour_type=colour_type, depth=depth, levels=levels))
            expected = CODED[1, 8] if colour_type == RGB_ALPHA else (188, 188, 188)
            np.testing.assert_allclose(loaded, [*expected, 77][: len(loaded)], atol=1.01)
    content = png_of(np.ones((4, 4), np.uint8), 8, 3, chunk(b"PLTE", bytes((0, 0, 0, *LEVELS))), gama(1.0))
    np.testing.assert_allclose(shown(content), CODED[1, 8], atol=1.01)


@pytest.mark.skipif(not can_scan(), reason="libvips is not installed: pip install '.[scans]'")
def test_pictures_too_large_to_be_decoded_are_converted_too(monkeypatch):
    for chunks in (
        [cicp(9, 16)],
        [gama(1.0)],
        [iccp(LIGHT), chunk(b"zTXt", b"k\0\0" + bytes(2**21))],
        [iccp(SWAPPED), cicp(1, 13)],
        [iccp(SWAPPED), cicp(12, 13)],
    ):
        content = png_of(np.full((300, 400, 3), LEVELS, np.uint8), 8, RGB, *chunks)
        plain = load_picture(content, 20)
        with monkeypatch.context() as small:
            small.setattr(decode, "MEMORY_MAX", 100_000)
            np.testing.assert_allclose(load_picture(content, 20), plain, atol=1.01 / 255)


# --- other formats ---


def saved(format, mode="RGB", levels=LEVELS, **options):
    file = io.BytesIO()
    Image.new(mode, (32, 32), levels).save(file, format, **options)
    return file.getvalue()


# What Chromium 156 draws; cameras' transfers are taken for sRGB's there.
AVIF = {
    (1, 13): LEVELS, (2, 2): LEVELS, (1, 1): LEVELS, (1, 6): LEVELS, (1, 8): (127, 188, 229),
    (9, 1): (0, 133, 206), (9, 14): (0, 133, 206), (9, 16): (0, 77, 255), (9, 18): (0, 103, 188),
    (12, 2): (0, 130, 205), (12, 13): (0, 130, 205),
}  # fmt: skip


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
@pytest.mark.parametrize("codes", AVIF)
def test_an_avif_s_code_points_look_as_in_a_browser(codes):
    content = bytearray(saved("AVIF", quality=100, subsampling="4:4:4"))
    place = content.index(b"colrnclx") + 8
    content[place : place + 4] = struct.pack(">HH", *codes)
    np.testing.assert_allclose(shown(bytes(content)), AVIF[codes], atol=1.5)
    with_profile = bytearray(saved("AVIF", quality=100, subsampling="4:4:4", icc_profile=LIGHT))
    if b"colrnclx" in with_profile:
        place = with_profile.index(b"colrnclx") + 8
        with_profile[place : place + 4] = struct.pack(">HH", *codes)
    np.testing.assert_allclose(shown(bytes(with_profile)), CODED[1, 8], atol=2.5)


def taken(space, index):
    """Exif of a camera that states a colour space and an index of interoperability."""
    exif = Image.Exif()
    exif[0x0110] = "a camera"
    if space is not None:
        exif.get_ifd(0x8769)[0xA001] = space
    if index is not None:
        exif.get_ifd(0x8769)[0xA005] = {1: index}
    return exif


def test_adobe_rgb_by_a_camera_s_metadata_is_converted_and_no_other():
    exact = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "TIFF": {}}
    said = ((2, None), (2, "R03"), (0xFFFF, "R03"), (None, "R03"))
    for format, space, index in (
        *(("JPEG", *one) for one in said),
        *(("WEBP", *one) for one in said),
        ("TIFF", *said[0]),
    ):
        options = exact[format] | {"exif": taken(space, index).tobytes()}
        np.testing.assert_allclose(shown(saved(format, **options)), (0, 129, 204), atol=2.01)
        np.testing.assert_allclose(shown(saved(format, icc_profile=LIGHT, **options)), CODED[1, 8], atol=3.01)
    for space, index in ((1, None), (1, "R98"), (0xFFFF, None), (0xFFFF, "R98"), (None, None)):
        np.testing.assert_array_equal(shown(saved("JPEG", exif=taken(space, index))), shown(saved("JPEG")))


def bitmap(kind, ends, gamma, profile=b""):
    """A BMP of version 5 of 4 x 4 pixels."""
    pixels = bytes(reversed(LEVELS)) * 16
    head = struct.pack("<IiiHHIIIIII", 124, 4, 4, 1, 24, 0, len(pixels), 0, 0, 0, 0) + bytes(16) + kind
    head += struct.pack("<9i", *(round(number * 2**30) for number in ends)) + struct.pack("<3I", *[gamma] * 3)
    head += struct.pack("<IIII", 4, 124 + len(pixels) if profile else 0, len(profile), 0)
    return b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + head + pixels + profile


# sRGB's primaries as tristimulus values (IEC 61966-2-1), red, green, blue.
SRGB_ENDS = (0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505)


def test_the_colours_of_a_bitmap_s_header_are_respected():
    for content, expected in (
        (bitmap(bytes(4), SRGB_ENDS, 65536), CODED[1, 8]),
        (bitmap(bytes(4), SRGB_ENDS, round(2.2 * 65536)), LEVELS),
        (bitmap(bytes(4), [0] * 9, 0), LEVELS),
        (bitmap(b"BGRs", SRGB_ENDS, 65536), LEVELS),
        (bitmap(b" niW", [0] * 9, 65536), LEVELS),
        (bitmap(b"DEBM", [0] * 9, 0, LIGHT), CODED[1, 8]),
        (bitmap(b"DEBM", [0] * 9, 0, b"no profile"), LEVELS),
    ):
        np.testing.assert_allclose(shown(content), expected, atol=1.01)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_tiff_s_primaries_and_table_of_light_are_respected(mode):
    for numbers, expected in ((P3, (0, 131, 207)), (SRGB, LEVELS)):
        tags = {318: numbers[:2], 319: numbers[2:]}
        np.testing.assert_allclose(shown(saved("TIFF", tiffinfo=tags)), expected, atol=1.01)
    levels, count = (LEVELS, 3) if mode == "RGB" else (128, 1)
    for power, expected in ((1.0, CODED[1, 8]), (2.2, LEVELS), (2.8, CODED[1, 5])):
        table = np.round(65535 * np.linspace(0, 1, 256) ** power).astype(int).tolist()
        loaded = shown(saved("TIFF", mode, levels, tiffinfo={301: table * count}))
        np.testing.assert_allclose(loaded, expected if mode == "RGB" else expected[1], atol=1.01)
    others = [*range(0, 65536, 257), *[0] * 256, *[65535] * 256]
    if mode == "RGB":
        with pytest.warns(PictureWarning, match="TransferFunction"):
            np.testing.assert_allclose(shown(saved("TIFF", tiffinfo={301: others})), LEVELS, atol=1e-4)


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow reads no JPEG 2000")
def test_a_jpeg_2000_s_profile_is_respected():
    content = saved("JPEG2000")
    place = content.index(b"colr") - 4
    length = struct.unpack(">I", content[place : place + 4])[0]
    box = struct.pack(">I", 11 + len(LIGHT)) + b"colr\2\0\0" + LIGHT
    header = content.index(b"jp2h") - 4
    longer = struct.unpack(">I", content[header : header + 4])[0] + len(box) - length
    content = content[:place] + box + content[place + length :]
    content = content[:header] + struct.pack(">I", longer) + content[header + 4 :]
    np.testing.assert_allclose(shown(content), CODED[1, 8], atol=1.01)
    np.testing.assert_allclose(shown(saved("JPEG2000")), LEVELS, atol=1e-4)
