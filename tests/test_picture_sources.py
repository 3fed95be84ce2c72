"""Pictures from wherever a caller has them: files, file objects, bytes, Pillow images and arrays."""

import io
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from picture_files import GREEN, RED, RGB, chunk, png_of, refusal, rgb_profile
from PIL import Image

import artpipe
from artpipe.stages.pictures.picture import load_picture, picture_size
from artpipe.stages.pictures.sources import source_of
from artpipe.stages.pictures.weights import load_mask

WIDTH, HEIGHT = 12, 8


@pytest.fixture
def levels(rng):
    """(H, W, 3) uint8."""
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def png(picture, **options):
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


# --- files ---


class OnlyReads:
    """What a socket or a download offers."""

    def __init__(self, content):
        self._file = io.BytesIO(content)

    def read(self, size=-1):
        return self._file.read(min(size, 100) if size >= 0 else size)


class CannotSeek(io.BytesIO):
    def seekable(self):
        return False

    def seek(self, *arguments):
        raise io.UnsupportedOperation("seek")


def in_the_middle(content):
    file = io.BytesIO(content)
    file.seek(len(content) // 2)
    return file


FILES = {
    "bytes": bytes, "every other byte": lambda content: memoryview(bytes(v for b in content for v in (b, 0)))[::2],
    "bytearray": bytearray, "a file in the middle": in_the_middle, "a stream": CannotSeek, "a socket": OnlyReads,
    "a buffered file": lambda content: io.BufferedReader(io.BytesIO(content)),
    "words in memory": lambda content: memoryview(np.frombuffer(content.ljust(-(-len(content) // 4) * 4, b"\0"), "u4")),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_a_picture_file_may_be_given_in_every_way(levels, kind):
    content = png(Image.fromarray(levels))
    np.testing.assert_array_equal(load_picture(FILES[kind](content), WIDTH), levels / np.float32(255))
    assert picture_size(FILES[kind](content)) == (WIDTH, HEIGHT)


def test_paths_open_files_and_pipes_are_read(tmp_path, levels):
    path = tmp_path / "a.tif"
    Image.fromarray(levels).save(path)
    with path.open("rb", buffering=0) as file:
        for given_file in (path, str(path), file, source_of(path)):
            np.testing.assert_array_equal(load_picture(given_file, WIDTH), levels / np.float32(255))
        assert not file.closed
    reads, writes = os.pipe()
    with open(reads, "rb") as file, open(writes, "wb") as other:
        other.write(png(Image.fromarray(levels)))
        other.close()
        np.testing.assert_array_equal(load_picture(file, WIDTH), levels / np.float32(255))


def test_files_that_hold_no_picture_are_refused_in_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    closed = io.BytesIO(b"x")
    closed.close()
    with (tmp_path / "two\nlines.png").open("wb+") as file:
        file.write(b"no picture")
        assert "two\\nlines.png" in refusal(load_picture, file)
    for given_file, part in (
        (b"", "empty"), (io.BytesIO(), "empty"), (b"no picture", "not an image"), (b"\x89PNG\r\n\x1a\n", "broken"),
        (io.StringIO("text"), "'rb'"), ((tmp_path / "a.txt").open(), "'rb'"), (closed, "closed"),
    ):  # fmt: skip
        assert part in refusal(load_picture, given_file, argument="mask")


# --- Pillow images ---


EXIF = Image.Exif()
EXIF[0x0112] = 6


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LA", "La", "RGBa", "RGBX", "I", "F", "I;16", "LAB"]
)
def test_a_pillow_image_of_every_mode_is_a_picture(mode):
    grey = np.where(np.arange(WIDTH) < 5, 0, 255).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)
    if mode == "LAB":
        image = Image.merge("LAB", [Image.fromarray(grey), *[Image.new("L", (WIDTH, HEIGHT), 128)] * 2])
    elif mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode in ("La", "RGBa"):
        image = Image.fromarray(grey).convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    else:
        image = (
            Image.fromarray(grey).convert("RGB").convert(mode if mode not in ("LA", "I", "F") else "L").convert(mode)
        )
    np.testing.assert_allclose(load_picture(image, WIDTH), grey[:, :, None] / 255 * np.ones(3), atol=0.02)


@pytest.mark.parametrize("opened", [True, False])
def test_a_pillow_image_is_respected_as_its_file_is(levels, opened):
    clear = np.dstack([levels, np.linspace(0, 255, WIDTH).astype(np.uint8) * np.ones((HEIGHT, 1), np.uint8)])
    palette = Image.fromarray(levels).quantize(16)
    deep = np.zeros((HEIGHT, WIDTH, 3), np.uint16)
    deep[:, 5:] = 0x00FF
    for content in (
        png(Image.fromarray(levels), exif=EXIF),
        png(Image.fromarray(levels), icc_profile=rgb_profile(1.0, red=GREEN, green=RED)),
        png(Image.fromarray(clear)),
        png(palette, transparency=3),
        png(Image.fromarray(levels), transparency=tuple(levels[0, 0].tolist())),
        png_of(levels, 8, RGB, chunk(b"gAMA", (100_000).to_bytes(4))),
        *((png_of(levels, 8, RGB, chunk(b"cICP", b"\x0c\x0d\0\1")),) if opened else ()),
        *((png_of(deep, 16, RGB, chunk(b"tRNS", bytes(6))),) if opened else ()),
    ):
        image = Image.open(io.BytesIO(content))
        if not opened:
            image.load()
        before = dict(image.info)
        for size in (None, 7, (5, 9)):
            np.testing.assert_array_equal(load_picture(image, size), load_picture(content, size))
        assert picture_size(image) == picture_size(content)
        assert image.info == before and image.getpixel((0, 0)) is not None  # it is as it was, and open


def test_the_frame_that_a_pillow_image_is_at_is_taken():
    frames = [Image.new("L", (4, 4), level) for level in (0, 255)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    with Image.open(file) as image:
        image.seek(1)
        np.testing.assert_allclose(load_picture(image, 4), 1)


def opened(content, keep_open=True):
    file = io.BytesIO(content)
    image = Image.open(file)
    if not keep_open:
        file.close()
    return image


def noted(mode, **info):
    image = Image.new(mode, (4, 4))
    image.info.update(info)
    return image


def test_a_pillow_image_that_holds_no_picture_is_refused_in_one_line(levels):
    content = png(Image.fromarray(levels.repeat(40, axis=0)))
    for image in (
        Image.new("RGB", (0, 0)), Image.new("RGBA", (5, 0)), opened(content, keep_open=False),
        opened(content[: len(content) // 2]), noted("P", transparency=bytes(300)), noted("P", transparency=700),
        noted("L", transparency=(1, 2)), noted("RGB", transparency=(1, 2)), noted("RGB", gamma="1.0"),
    ):  # fmt: skip
        assert refusal(load_picture, image).startswith(("picture is", "cannot read picture"))
    assert "mask is 0 x 5 pixels; needs at least one" in refusal(picture_size, Image.new("RGB", (0, 5)), "mask")


# --- arrays ---

FLOATS = np.linspace(0, 1, HEIGHT * WIDTH * 3).reshape(HEIGHT, WIDTH, 3)
ARRAYS = {
    "uint8": ((FLOATS * 255).round().astype(np.uint8), (FLOATS * 255).round() / 255),
    "uint16": ((FLOATS * 65535).round().astype(np.uint16), (FLOATS * 65535).round() / 65535),
    "big-endian uint16": ((FLOATS * 65535).round().astype(">u2"), (FLOATS * 65535).round() / 65535),
    "float16": (FLOATS.astype(np.float16), FLOATS.astype(np.float16)),
    "float32": (FLOATS.astype(np.float32), FLOATS),
    "float64": (FLOATS, FLOATS),
    "lists": (FLOATS.tolist(), FLOATS),
    "bool": (FLOATS > 0.5, FLOATS > 0.5),
    "roundings beyond 0..1": (FLOATS * (1 + 4e-7) - 2e-7, FLOATS),
    "grey": (FLOATS[:, :, 0], FLOATS[:, :, [0, 0, 0]]),
    "grey of one channel": (FLOATS[:, :, :1], FLOATS[:, :, [0, 0, 0]]),
    "a view with strides": (np.asfortranarray(FLOATS)[::-1, ::2], FLOATS[::-1, ::2]),
    "read-only": (np.frombuffer(FLOATS.tobytes()).reshape(FLOATS.shape), FLOATS),
    "jax": (jnp.asarray(FLOATS), FLOATS),
    "jax bfloat16": (jnp.asarray(FLOATS, jnp.bfloat16), np.asarray(jnp.asarray(FLOATS, jnp.bfloat16), np.float32)),
    "jax uint8": (jnp.asarray((FLOATS * 255).round(), jnp.uint8), (FLOATS * 255).round() / 255),
    "torch": (torch.tensor(FLOATS), FLOATS),
    "torch with gradients": (torch.tensor(FLOATS, requires_grad=True), FLOATS),
    "torch uint8": (torch.tensor((FLOATS * 255).round().astype(np.uint8)), (FLOATS * 255).round() / 255),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_every_kind_of_array_is_a_picture(name):
    given_array, expected = ARRAYS[name]
    loaded = load_picture(given_array)
    assert loaded.dtype == np.float32 and loaded.min() >= 0 and loaded.max() <= 1
    np.testing.assert_allclose(loaded, expected, atol=3e-7)
    if isinstance(given_array, np.ndarray):
        assert not np.shares_memory(loaded, given_array)
    assert load_picture(given_array, (5, 3)).shape == (3, 5, 3)


def test_arrays_of_bytes_are_what_their_files_are():
    levels = (FLOATS * 255).round().astype(np.uint8)
    clear = np.dstack([levels, 255 - levels[:, :, 0]])
    for values in (levels, clear, levels[:, :, 0], clear[:, :, 2:]):
        content = png(Image.fromarray(values))
        np.testing.assert_allclose(load_picture(values), load_picture(content, WIDTH), atol=1e-6)
        for size in (5, (20, 3)):
            np.testing.assert_allclose(load_picture(values, size), load_picture(content, size), atol=1.6 / 255)


def test_alpha_of_an_array_counts_only_where_it_is_not_one():
    opaque = np.dstack([FLOATS, np.ones((HEIGHT, WIDTH))])
    np.testing.assert_allclose(load_picture(opaque), FLOATS, atol=1e-6)
    opaque[0, 0] = (0.3, 0.4, 0.5, 0)
    loaded = load_picture(opaque)
    assert loaded.shape == (HEIGHT, WIDTH, 4) and not loaded[0, 0].any()
    np.testing.assert_allclose(load_picture(opaque, background=(1, 0, 0))[0, 0], (1, 0, 0), atol=1e-6)


def test_what_is_not_a_picture_is_refused_with_the_reason():
    for values, *parts in (
        (FLOATS * 255, "from 0 to 255", "picture / 255"),
        (FLOATS * 2 - 1, "from -1 to 1", "numpy.clip"),
        (FLOATS + 1e-3, "to 1.001", "numpy.clip"),
        (np.where(FLOATS > 0.9, np.nan, FLOATS), "nan at (7, 2, 1)"),
        (np.where(FLOATS > 0.9, -np.inf, FLOATS), "-inf"),
        ((FLOATS * 255).astype(np.int64), "int64", "uint8 (white is 255)"),
        ((FLOATS * 255).astype(np.int8), "int8"),
        (((FLOATS * 255).astype(int)).tolist(), "int64", "uint8"),
        (FLOATS.astype(complex), "complex128"),
        (FLOATS.astype(object), "object"),
        (FLOATS.astype(str), "<U"),
        (np.moveaxis(FLOATS, 2, 0), "(3, 8, 12)", "numpy.moveaxis(picture, 0, -1)"),
        (torch.zeros(4, 8, 12), "(4, 8, 12)", "numpy.moveaxis"),
        (FLOATS[None], "(1, 8, 12, 3)", "picture[0]"),
        (FLOATS.reshape(-1), "(288,)"),
        (np.zeros((8, 12, 5)), "(8, 12, 5)"),
        (np.zeros((0, 12, 3)), "(0, 12, 3)"),
        (np.ma.masked_greater(FLOATS, 0.5), "masked array"),
        ([[1.0, 2.0], [3.0]], "list"),
        (None, "NoneType"),
        (5, "()"),
        ({"a": 1}, "dict"),
        (Path, "type"),
    ):
        for function in (load_picture, picture_size, lambda given: artpipe.fit(given, count=2, steps=1)):
            message = refusal(function, values)
            assert message.startswith("picture") and all(part in message for part in parts), message


# --- artpipe.fit ---


def fitted(picture, **options):
    return artpipe.fit(picture, **{"count": 6, "steps": 4, "growth": 3, **options})


def test_a_fit_takes_a_picture_in_every_way(levels):
    content = png(Image.fromarray(levels))
    first = fitted(levels)
    assert first.image.shape == (HEIGHT, WIDTH, 3)
    assert fitted(content, size=WIDTH).scene.same_as(first.scene)
    assert fitted(levels, size="5x7").image.shape == (7, 5, 3)


def test_transparent_arrays_are_painted_transparent_unless_a_background_is_given():
    clear = np.dstack([FLOATS, np.linspace(0, 1, WIDTH) * np.ones((HEIGHT, 1))])
    assert fitted(clear).scene.canvas.transparent
    white = fitted(clear, background="white")
    assert not white.scene.canvas.transparent
    np.testing.assert_allclose(white.target, clear[:, :, :3] * clear[:, :, 3:] + 1 - clear[:, :, 3:], atol=1e-6)


def test_a_mask_may_be_anything_that_a_picture_may(tmp_path, levels):
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[2:5, 3:9] = True
    shades = np.where(inside, 255, 0).astype(np.uint8)
    content = png(Image.fromarray(shades))
    (tmp_path / "mask.png").write_bytes(content)
    files = str(tmp_path / "mask.png"), content, io.BytesIO(content), Image.fromarray(shades)
    floats, channels = inside.astype(np.float32), np.dstack([inside] * 3)
    for mask in (*files, inside, shades, floats, channels, torch.tensor(inside), jnp.asarray(inside)):
        np.testing.assert_allclose(load_mask(mask, WIDTH, HEIGHT), inside, atol=1e-6)
    masked = fitted(levels, mask=tmp_path / "mask.png").scene
    assert masked.same_as(fitted(levels, mask=inside).scene) and not masked.same_as(fitted(levels).scene)


def test_invalid_masks_and_weights_are_refused_by_their_names(levels):
    for mask in (FLOATS[:, :, 0] * 9, np.full((HEIGHT, WIDTH), np.nan), [1, 2], b"no picture", np.zeros((9, 9), int)):
        assert refusal(fitted, levels, mask=mask).startswith("mask")
    assert "proportions" in refusal(fitted, levels, mask=np.ones((WIDTH, HEIGHT), bool))
    for weights in (np.ones((3, 3)), "a.png", np.full((HEIGHT, WIDTH), -1.0), np.full((HEIGHT, WIDTH), np.nan)):
        assert refusal(fitted, levels, weights=weights).startswith("weights")
    first = fitted(levels, weights=FLOATS[:, :, 0].astype(np.float32))
    same = torch.tensor(FLOATS[:, :, 0], dtype=torch.float32, requires_grad=True)
    assert fitted(levels, weights=same).scene.same_as(first.scene)
