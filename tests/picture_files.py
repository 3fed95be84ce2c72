"""Picture files that Pillow reads but does not write, colour profiles with a plain effect, and refusals."""

import struct
import zlib

import pytest

from artpipe import InputError

GREY, RGB, GREY_ALPHA, RGB_ALPHA = 0, 2, 4, 6  # colour types of PNG


def refusal(function, *arguments, most=400, **options):
    """The one line that refuses an input."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert message.isprintable() and 10 < len(message) < most
    return message


def chunk(kind, content):
    """One chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, depth, colour_type, data, *chunks, interlace=0):
    """A PNG from compressed rows, each after its filter byte, and chunks before them."""
    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, interlace)
    parts = [chunk(b"IHDR", head), *chunks, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_of(values, depth, colour_type, *chunks):
    """A PNG of (H, W) or (H, W, C) uint8 or uint16 values, stored in 8 or 16 bits."""
    rows = values.astype(">u2" if depth == 16 else "u1")
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png(values.shape[1], values.shape[0], depth, colour_type, data, *chunks)


def profile(space, tags, pcs=b"XYZ "):
    """An ICC profile (version 2.4, display) of a colour space from tags, four letters to content."""
    table, body = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content
    size = start + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x02400000, b"prtr" if space == b"CMYK" else b"mntr", space, pcs)
    head += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + D50 + bytes(48)
    return head + table + body


def fixed(*numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


D50 = fixed(0.9642, 1.0, 0.8249)  # the white of profiles
TEXT = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
WHITE = {b"desc": TEXT, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": b"XYZ " + bytes(4) + D50}


def gamma(power):
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(power * 256))


def column(x, y, z):
    return b"XYZ " + bytes(4) + fixed(x, y, z)


# sRGB's primaries, adapted to D50 (IEC 61966-2-1, through Bradford's matrix).
RED, GREEN, BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)


def rgb_profile(power=1.0, red=RED, green=GREEN, blue=BLUE):
    """Of RGB with these primaries, where value ** power is light."""
    primaries = {b"rXYZ": column(*red), b"gXYZ": column(*green), b"bXYZ": column(*blue)}
    return profile(b"RGB ", {**WHITE, **primaries, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(power))})


def grey_profile(power=1.0):
    """Of grey, where value ** power is light."""
    return profile(b"GRAY", {**WHITE, b"kTRC": gamma(power)})


def cmyk_profile():
    """Of inks of which the first alone is light grey, L* 80, and any other is black."""
    nodes = [
        (0 if any(others) else 204 if first else 255, 128, 128)
        for first in (0, 1)
        for others in ((m, y, k) for m in (0, 1) for y in (0, 1) for k in (0, 1))
    ]
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += bytes(range(256)) * 4 + bytes(value for node in nodes for value in node) + bytes(range(256)) * 3
    return profile(b"CMYK", {**WHITE, b"A2B0": table}, pcs=b"Lab ")
