"""Hostile files, made from good ones: broken bytes, and valid JSON and .npz that say what no file should."""

import io
import json
import math
import pickle
import re
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np

from artpipe.stages.formats.scene_arrays import WIDEST

# Replacements for any JSON value, as text; not all of it is JSON.
RAW = (
    "null", "true", "false", "0", "-0", "1", "-1", "0.0", "2.0", "2.5", "1e-400", "1e308", "-1e308", "1e400", "-1e400",
    "NaN", "Infinity", "-Infinity", "65536", "65537", "9007199254740993", "9223372036854775807", "9223372036854775808",
    "18446744073709551616", "1" + "0" * 400, "9" * 4000, "9" * 5000, "0x10", "1_000", "01", "+1", ".5", "'a'", "", "\0",
    "\ufeff1", "// x", '""', '"circle"', '"1"', '"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\n\\r\\u2028\\u202e"',
    '"</script><svg onload=1>"', '"' + "x" * 100_000 + '"', '"' + "\u00e9" * 30_000 + '"', '"__class__"', '"../../x"',
    "[]", "{}", "[[]]", "[{}]", "[null]", "[0,0,0]", "[1e999,0,0]", '{"a": 1, "a": 2}', '{"": {}}', "[" * 60 + "]" * 60,
    "[" * 900 + "]" * 900, "[" * 100_000 + "]" * 100_000, '{"a":' * 400 + "1" + "}" * 400, '{"a":' * 50_000,
    "[" + "0," * 20_000 + "0]", "[" + "[]," * 9_000 + "[]]",
    '{"format": "artpipe-scene", "version": 1}', '{"circle": []}', '"stroke"',
)  # fmt: skip

TYPES = (
    "<f4", "<f8", "<f2", ">f4", "<i8", ">i8", "<i4", "<u8", "|u1", "|b1", "|O", "O", "|V0", "|V8", "|S0", "|S8", "<U0",
    "<U1", "<U13", "<U64", "<U65", "<U99999999", "<U999999999", "<U4294967295", ">U4", "<M8[s]", "<c8", "<U1'", "f4",
    "", "<i8','x", "<i08", "<U-1",
)  # fmt: skip
_P = WIDEST
SHAPES = (
    "()", "(0,)", "(1,)", "(2,)", "(3,)", f"({_P},)", "(24,)", f"(24, {_P})", f"({_P}, 24)", f"(0, {_P})",
    f"(24, {_P}, 1)", f"({24 * _P},)", f"(250001, {_P})", f"(1000000000000, {_P})", f"(4611686018427387904, {_P})",
    "(18446744073709551616,)", "(-1,)", f"(24, -{_P})", "24", "(24", f"[24, {_P}]", f"(2 4, {_P})",
    f"(24, {_P}), 'x': 1", "(" + "9" * 500 + ",)", "(" + "1, " * 300 + ")", f"(0x18, {_P})", "(__import__('os'),)",
    f"(True, {_P})", f"(24.0, {_P})",
)  # fmt: skip


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def broken_bytes(rng, good, others):
    """Bytes changed, cut off, left out, doubled, put in from elsewhere."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at, length = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 64, 512))
        kind, other = rng.randrange(6), rng.choice(others)
        other = other[rng.randrange(len(other)) :][: rng.choice((length, len(other)))]
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del data[at:]
        else:
            data[at : at + length] = (b"", data[at : at + length] * 2, rng.randbytes(length), other)[kind - 2]
    return bytes(data)


def broken_json(rng, good, others):
    """Broken bytes, or a text in which values are missing, doubled, moved, or of every other kind."""
    if rng.random() < 0.25:
        return broken_bytes(rng, good, others)
    value, raws = json.loads(good), {}
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        value = _edited(rng, value, raws)
    text = json.dumps(value, ensure_ascii=rng.random() < 0.9, indent=rng.choice((None, None, 1)))
    for mark, raw in raws.items():
        text = text.replace(f'"{mark}"', raw)
    prefix = rng.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\n", b"PK", b"\0")) if rng.random() < 0.03 else b""
    return prefix + text.encode(rng.choice(("utf-16", "latin-1")) if rng.random() < 0.02 else "utf-8", "replace")


def _edited(rng, value, raws):
    """The value with one place in it changed."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.75:
        keys = list(value) if isinstance(value, dict) else range(len(value))
        key, kind = rng.choice(keys), rng.randrange(12)
        if kind == 0:
            del value[key]
        elif kind == 1:
            value[key] = value[rng.choice(keys)]
        elif kind == 2 and isinstance(value, list):
            value.insert(key, value[rng.choice(keys)])
        elif kind == 3 and isinstance(value, list):
            value.extend(value * rng.choice((1, 2, 200)) if len(value) < 1000 else value[:1])
        elif kind == 4 and isinstance(value, dict):
            value[rng.choice((key.upper(), key + " ", "", "\ud800", "x\n" * 900))] = value.pop(key)
        else:
            value[key] = _edited(rng, value[key], raws)
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.3:
        return rng.choice((-value, value + 1, value * 1e9, value / 1e9, str(value), [value], float(value)))
    mark = f"@raw {len(raws)}@"
    raws[mark] = rng.choice(RAW)
    return mark


def broken_npz(rng, good, others, trap):
    """Broken bytes, or a zip file whose arrays, names, sizes or directory are not what they should be."""
    if rng.random() < 0.15:
        return broken_bytes(rng, good, others)
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    if rng.random() < 0.75:
        for _ in range(rng.choice((1, 1, 2))):
            at = rng.randrange(len(members))
            members[at] = (members[at][0], _broken_array(rng, members[at][1], others, trap))
    if rng.random() < 0.25:
        _break_names(rng, members)
    data = _zipped(rng, members)
    return _broken_directory(rng, data) if rng.random() < 0.4 else data


def _zipped(rng, members):
    """A zip file of these bytes under these names, with right check sums."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there already
        for name, content in members:
            entry = zipfile.ZipInfo("x" * len(name))
            usual = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            entry.compress_type = rng.choice(usual if rng.random() < 0.98 else (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
            entry.filename = name
            archive.writestr(entry, content)
    return file.getvalue()


def _broken_array(rng, content, others, trap):
    """An .npy file with another header, other numbers, too few or too many, or a pickle."""
    start = 10 + int.from_bytes(content[8:10], "little")
    header, data = content[10:start].decode("latin-1"), content[start:]
    kind = rng.randrange(8)
    if kind == 0:
        return broken_bytes(rng, content, others)
    if kind == 1:
        file = io.BytesIO()
        shape = rng.choice(((), (1,), (3,), (24,), (24, WIDEST)))
        np.lib.format.write_array(file, np.full(shape, Trap(trap), dtype=object), allow_pickle=True)
        return file.getvalue()
    if kind == 2:
        data = pickle.dumps(Trap(trap), rng.randrange(6))
        data += bytes(-len(data) % 8)
    elif kind == 3 and data:
        at = rng.randrange(len(data))
        word = rng.choice((b"\0\0\x80\x7f", b"\0\0\xc0\x7f", b"\xff\xff\xff\xff", rng.randbytes(4)))
        data = data[:at] + word + data[at + 4 :]
    elif kind == 4:
        data = rng.choice((b"", data[:-1], data + b"\0", data * 2, bytes(rng.choice((10**5, 3 * 10**6)))))
    else:
        descr, shape = rng.choice(TYPES), rng.choice(SHAPES)
        old = dict(re.findall(r"'(descr|shape)': *('[^']*'|\([^)]*\))", header))
        parts = [
            f"'descr': {old.get('descr', '') if rng.random() < 0.5 else repr(descr)}",
            f"'fortran_order': {rng.choice(('False', 'False', 'True', '0'))}",
            f"'shape': {shape if rng.random() < 0.7 else old.get('shape', '')}",
        ]
        rng.shuffle(parts)
        header = "{" + ", ".join(parts[: rng.choice((3, 3, 3, 2))]) + rng.choice((", }", "}", ", 'x': 0}", "")) + "\n"
        if rng.random() < 0.5:  # as many numbers as are claimed, where that is not too many
            sides = [int(side) for side in shape.strip("()[], ").split(", ") if side.isdigit()]
            data = bytes(size) if (size := 8 * math.prod(sides)) < 10**5 else data
    length = len(header) if rng.random() < 0.95 else rng.randrange(65536)
    magic = content[:8] if rng.random() < 0.95 else b"\x93NUMPY" + bytes((rng.randrange(5), rng.randrange(2)))
    return magic + struct.pack("<H", length) + header.encode("latin-1") + data


def _break_names(rng, members):
    """Leaves a member out, doubles it, or gives it another name, in place."""
    at, kind = rng.randrange(len(members)), rng.randrange(4)
    name, content = members[at]
    if kind == 0:
        del members[at]
    elif kind == 1:
        members.append((name, rng.choice(members)[1]))
    else:
        names = f"../{name}", f"/{name}", f"..\\{name}", f"C:{name}", name[:-4], name.upper(), f"{name}/", f"./{name}"
        members[at : at + (kind == 2)] = [(rng.choice((*names, "", "x" * 60_000, "a\nb", "é.npy")), content)]


# Bytes of a zip file's entry in the directory, at a member, at the end.
LENGTHS = {b"PK\1\2": 46, b"PK\3\4": 30, b"PK\5\6": 22}
NUMBERS = (0, 1, 2, 8, 9, 12, 20, 64, 192, 2049, 0x2020, 65535, 10**6, 2**31 - 1, 2**32 - 2, 2**32 - 1)


def _broken_directory(rng, data):
    """The zip file's own fields: sizes that lie, members that overlap, flags of encryption, counts, places, zip64."""
    data = bytearray(data)
    marks = {mark: [found.start() for found in re.finditer(re.escape(mark), data)] for mark in LENGTHS}
    entries, (*_, end) = marks[b"PK\1\2"], marks[b"PK\5\6"]
    if rng.random() < 0.15:  # some entries point at one member
        goal = data[(at := rng.choice(entries)) + 42 : at + 46]
        for place in rng.sample(entries, rng.randrange(len(entries) + 1)):
            data[place + 42 : place + 46] = goal
    for _ in range(rng.choice((1, 1, 2, 3))):
        mark = rng.choice(list(LENGTHS))
        size = rng.choice((2, 4))
        offset = rng.randrange(4, LENGTHS[mark] - size + 1, 2)
        value = rng.choice(NUMBERS) % 256**size
        for place in marks[mark] if rng.random() < 0.3 else [rng.choice(marks[mark])]:
            data[place + offset : place + offset + size] = value.to_bytes(size, "little")
    if rng.random() < 0.1:
        count, size, start = (rng.choice((*NUMBERS, 2**63, 2**64 - 1)) for _ in range(3))
        wide = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
        data[end:end] = wide + struct.pack("<4sIQI", b"PK\6\7", 0, rng.choice((end, *NUMBERS)), rng.choice((0, 1)))
    return bytes(data)
