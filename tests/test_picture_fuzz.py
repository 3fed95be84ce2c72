"""Thousands of broken pictures: each loads or is refused in one line, quickly, silently, in little memory.

Run as a script, with a seed and a count, it is the process that reads them: a decoder may crash.
"""

import io
import json
import random
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from effort import effort

SECONDS_MOST = 10.0
MEGABYTES_MOST = 2000  # of memory, at most, ever
PROCESSES, MUTATIONS = 2, effort(2000)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(PROCESSES))
def test_broken_pictures_load_or_are_refused_in_one_line(tmp_path, seed):
    command = [sys.executable, __file__, str(seed), str(MUTATIONS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result["loaded"] + result["refused"] == MUTATIONS
    assert min(result["loaded"], result["refused"]) > MUTATIONS / 10, "mutations are too weak or too strong"
    assert result["slowest"] < SECONDS_MOST and result["megabytes"] < MEGABYTES_MOST, result


def seeds(rng):
    """Small pictures of every format and mode, as files."""
    from picture_files import GREY, GREY_ALPHA, RGB, RGB_ALPHA, chunk, cmyk_profile, grey_profile, png_of, rgb_profile
    from PIL import Image

    across, down = np.meshgrid(np.linspace(0, 1, 40), np.linspace(0, 1, 28))
    values = np.stack([across, down, across * down, 1 - across], axis=2) * 255
    colours = Image.fromarray((values[:, :, :3] + rng.uniform(0, 9, (28, 40, 3))).clip(0, 255).astype(np.uint8))
    clear = Image.fromarray(values.astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a title"

    def saved(picture, format, **options):
        file = io.BytesIO()
        picture.save(file, format=format, **options)
        return file.getvalue()

    profile = {"L": grey_profile(1.8), "RGB": rgb_profile(1.4), "CMYK": cmyk_profile()}
    deep, real = (values * 257).astype(np.uint16), Image.fromarray(values[:, :, 0].astype(np.float32))
    for mode in ("1", "L", "P", "RGB", "LA", "RGBA", "I;16"):
        picture = clear.convert(mode) if mode != "I;16" else Image.fromarray(deep[:, :, 0])
        yield saved(picture, "PNG", exif=exif)
        yield saved(picture, "TIFF")
        yield saved(picture, "TIFF", compression="tiff_lzw", exif=exif)
    for mode in ("CMYK", "YCbCr", "LAB"):
        picture = Image.new("LAB", (40, 28), (120, 30, 200)) if mode == "LAB" else colours.convert(mode)
        yield saved(picture, "TIFF", compression="tiff_adobe_deflate", icc_profile=cmyk_profile())
    for picture, format in ((real, "TIFF"), (real, "PPM"), (Image.fromarray(values[:, :, 0].astype(np.int32)), "TIFF")):
        yield saved(picture, format)
    yield saved(colours, "TIFF", compression="jpeg")
    yield saved(colours.convert("1"), "TIFF", compression="group4")
    yield saved(colours, "TIFF", big_tiff=True)
    for mode in profile:
        yield saved(colours.convert(mode), "JPEG", quality=90, exif=exif, icc_profile=profile[mode])
        yield saved(colours.convert(mode), "JPEG", progressive=True)
        yield saved(colours.convert(mode), "JPEG2000")
    yield saved(colours, "MPO", save_all=True, append_images=[colours])
    for picture in (colours, clear):
        yield saved(picture, "WEBP", quality=80, exif=exif, icc_profile=rgb_profile(1.4))
        yield saved(picture, "WEBP", lossless=True)
        yield saved(picture, "AVIF", quality=50, exif=exif)
        yield saved(picture.quantize(16), "GIF", save_all=True, append_images=[clear.quantize(8)], transparency=3)
        yield saved(picture, "BMP")
        yield saved(picture.convert("RGB").quantize(40), "PNG", transparency=bytes(range(0, 256, 8)))
        yield saved(picture, "PNG", save_all=True, append_images=[picture.rotate(90)])
    for mode, format in (("1", "BMP"), ("P", "BMP"), ("1", "PPM"), ("L", "PPM"), ("RGB", "PPM")):
        yield saved(colours.convert(mode), format)
    yield b"P3\n# plain\n3 2\n255\n" + b"9 200 31 " * 6
    yield b"P5\n40 28\n65535\n" + deep[:, :, 0].astype(">u2").tobytes()
    yield png_of(deep[:, :, 0], 16, GREY, chunk(b"tRNS", struct.pack(">H", 300)))
    for kind, channels in ((RGB, 3), (GREY_ALPHA, 2), (RGB_ALPHA, 4)):
        yield png_of(deep[:, :, :channels], 16, kind, chunk(b"gAMA", bytes(4)))
    coded = [chunk(b"cICP", b"\x09\x10\0\1"), chunk(b"tRNS", bytes(6)), chunk(b"zTXt", b"Raw profile type exif\0\0x")]
    yield png_of(deep[:, :, :3], 16, RGB, *coded)
    yield png_of(deep[:, :, :3] >> 8, 8, RGB, chunk(b"gAMA", b"\0\1\0\0"), chunk(b"cHRM", b"\0\0\x7f\0" * 8))


def mutated(content, other, rng):
    """A file with something wrong, or two things; in headers more often."""
    from mutations import broken_bytes

    pick = random.Random(int(rng.integers(2**32)))
    for _ in range(rng.integers(1, 3)):
        kind, head = rng.integers(5), int(len(content) * rng.random() ** 4) + 1
        if kind <= 1:
            content = broken_bytes(pick, content[:head], [other]) + content[head:] if kind else content[:head] + other
        elif kind == 2:
            content = broken_bytes(pick, content or b"-", [other])
        elif content[:4] == b"\x89PNG":
            content = mutated_png(content, rng)
        elif content[:2] == b"\xff\xd8":  # another size, or other counts, in the header of its frame
            place = max(content.find(b"\xff\xc0"), content.find(b"\xff\xc2"), 0) + int(rng.choice([4, 5, 7, 9, 10, 11]))
            number = int(rng.choice([0, 1, 7, 255, 3000, 30000, 65500]))
            content = content[:place] + number.to_bytes(2, "big") + content[place + 2 :]
    return content


def mutated_png(content, rng):
    """With one chunk changed, and its checksum right; pixels change before they are compressed."""
    from picture_files import chunk

    chunks, start = [], 8
    while start + 12 <= len(content):
        (length,) = struct.unpack(">I", content[start : start + 4])
        chunks.append((content[start + 4 : start + 8], bytearray(content[start + 8 : start + 8 + length])))
        start += 12 + length
    if not chunks:
        return content
    chosen = int(rng.integers(len(chunks)))
    kind, data = chunks[chosen]
    if kind == b"IHDR" and rng.random() < 0.5 and len(data) == 13:
        place = int(rng.choice([0, 4]))
        data[place : place + 4] = struct.pack(">I", int(rng.choice([0, 1, 39, 41, 1000, 30000, 60000, 2**31 - 1])))
    elif kind == b"IDAT":
        try:
            pixels = bytearray(zlib.decompressobj().decompress(bytes(data), 100_000))
        except zlib.error:  # it was broken before
            pixels = data
        if pixels:
            pixels[int(rng.integers(len(pixels)))] = int(rng.integers(256))
        data = zlib.compress(bytes(pixels[: int(rng.integers(1, len(pixels) + 2))]))
    elif data:
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    chunks[chosen] = kind, data
    return content[:8] + b"".join(chunk(kind, bytes(data)) for kind, data in chunks)


def read_all(seed, count):
    """Reads mutated pictures until one is handled wrongly; returns counts, the slowest, and memory."""
    from measuring import peak_memory

    from artpipe import InputError
    from artpipe.renderers.errors import PictureWarning
    from artpipe.stages.pictures.picture import load_picture

    warnings.simplefilter("ignore", PictureWarning)
    rng = np.random.default_rng(seed)
    files = list(seeds(rng))
    result = {"loaded": 0, "refused": 0, "slowest": 0.0}
    path = Path("broken")
    for number in range(count):
        index, other = rng.integers(len(files), size=2)
        path.write_bytes(mutated(files[index], files[other], rng))
        size = (None, 16, (9, 7))[number % 3]
        background = None if number % 2 else (1.0, 0.5, 0.0)
        started = time.process_time()
        try:
            image = load_picture(path, size, background)
        except InputError as error:
            assert str(error).isprintable() and 10 < len(str(error)) < 300, repr(str(error))
            result["refused"] += 1
        else:
            assert image.dtype == np.float32 and image.ndim == 3 and image.shape[2] in ((3, 4) if number % 2 else (3,))
            assert size != (9, 7) or image.shape[:2] == (7, 9)
            assert max(image.shape[:2]) == 16 if size == 16 else max(image.shape[:2]) <= 256
            assert np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1
            assert image.shape[2] == 3 or image[:, :, 3].min() < 1
            result["loaded"] += 1
        result["slowest"] = max(result["slowest"], time.process_time() - started)
        assert result["slowest"] < SECONDS_MOST, f"number {number} took {result['slowest']:.1f} s"
    result["megabytes"] = round(peak_memory() / 1e6)
    return result


if __name__ == "__main__":
    print(json.dumps(read_all(int(sys.argv[1]), int(sys.argv[2]))))
