"""Named arrays in .npz files: round trips, numpy's view of them, and refusals before memory is taken."""

import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from measuring import peak_of

from artpipe.stages.formats.arrays import Field, pack, unpack

TABLE = {
    "name": Field("<U", (), 12),
    "words": Field("<U", ("W",), 24),
    "step": Field("<i8", (), 1),
    "loss": Field("<f8", (), 1),
    "rows": Field("<f4", ("N", 3), 300),
    "moments": Field("<f8", (2, "N", 3), 600),
    "ids": Field("<i8", ("N",), 100),
    "mask": Field("|u1", ("H", "W"), 1000),
}


def packed(values, table=TABLE, compressed=True):
    file = io.BytesIO()
    pack(values, table, file, compressed)
    return file.getvalue()


def saved(compression=zipfile.ZIP_DEFLATED, **arrays):
    """An .npz file by numpy alone, or of bytes as they are given."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            if not isinstance(array, bytes):
                np.lib.format.write_array(member, np.asarray(array))
            archive.writestr(f"{name}.npy", array if isinstance(array, bytes) else member.getvalue())
    return file.getvalue()


def refusal(data, table=TABLE):
    with pytest.raises(ValueError) as caught:
        unpack(data, table)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300
    return str(caught.value)


counts = st.shared(st.integers(0, 9), key="rows")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
VALUES = st.fixed_dictionaries(
    {},
    optional={
        "name": texts,
        "words": st.lists(texts, min_size=4, max_size=4),
        "step": st.integers(-(2**63), 2**63 - 1),
        "loss": st.floats(),
        "rows": counts.flatmap(lambda count: hnp.arrays("<f4", (count, 3))),
        "moments": counts.flatmap(lambda count: hnp.arrays("<f8", (2, count, 3))),
        "ids": counts.flatmap(lambda count: hnp.arrays("<i8", (count,))),
        "mask": st.integers(0, 9).flatmap(lambda height: hnp.arrays("|u1", (height, 4))),
    },
)


@given(VALUES, st.booleans())
def test_what_is_packed_comes_back_bit_for_bit(values, compressed):
    data = packed(values, compressed=compressed)
    back = unpack(data, TABLE)
    assert list(back) == [name for name in TABLE if name in values]
    for name, value in values.items():
        assert type(back[name]) is type(value)
        if isinstance(value, np.ndarray):
            assert back[name].dtype == value.dtype and back[name].shape == value.shape
            assert back[name].tobytes() == value.tobytes() and not back[name].flags.writeable
        else:
            assert back[name] == value or name == "loss"  # not a number is like nothing
    assert packed(values, compressed=compressed) == data


def test_numpy_reads_what_is_packed_and_what_numpy_writes_is_unpacked():
    values = {"name": "crow", "words": ["a", "", "née"], "rows": np.arange(6, dtype="<f4").reshape(2, 3)}
    with np.load(io.BytesIO(packed(values)), allow_pickle=False) as file:
        assert {name: file[name].tolist() for name in file.files} == {**values, "rows": values["rows"].tolist()}
    for array in (values["rows"], np.asfortranarray(values["rows"])):
        np.testing.assert_array_equal(unpack(saved(rows=array), TABLE)["rows"], values["rows"], strict=True)
    assert unpack(saved(words=np.array(["a", "née"])), TABLE) == {"words": ["a", "née"]}
    assert unpack(saved(step=7, rows=b"broken"), TABLE, ["step", "loss"]) == {"step": 7}  # the names asked for


def test_what_the_table_does_not_allow_is_neither_written_nor_read():
    for values, reason in (
        ({"rows": np.zeros((2, 4))}, "rows has shape (2, 4); needs (N, 3)"),
        ({"rows": np.zeros((101, 3))}, "rows has 303 items; needs at most 300"),
        ({"ids": np.arange(101)}, "ids has shape (101,); needs (N,) of at most 100 items"),
        ({"rows": np.zeros((2, 3)), "ids": np.arange(3)}, "ids has shape (3,); needs (2,)"),
        ({"words": ["a", "b"], "mask": np.zeros((1, 3))}, "mask has shape (1, 3); needs (H, 2)"),
        ({"name": "thirteen long"}, "name has 13 characters; needs at most 12"),
        ({"words": ["of six", *"12345"]}, "words has 36 characters; needs at most 24"),
        ({"step": [1]}, "step has shape (1,); needs ()"),
    ):
        with pytest.raises(ValueError) as caught:
            packed(values)
        assert reason in str(caught.value)
        assert reason in refusal(saved(**{name: np.asarray(v, TABLE[name].dtype) for name, v in values.items()}))


def test_a_side_of_no_length_does_not_hide_one_that_is_absurd():
    table = {"a": Field("<f4", ("N", "M"), 10)}
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (0, " + "9" * 400 + "), }"
    assert "a has shape" in refusal(
        saved(a=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()), table
    )


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_no_more_memory_is_taken_than_the_table_allows(compression):
    """Arrays of 4 MB: refused by what they say, and cut off where they say less than they have."""
    table = {f"a{k}": Field("<f4", ("N",), 10_000) for k in range(3)}
    data = saved(compression, **{name: np.zeros(1_000_000, "<f4") for name in table})
    size = (4_000_128).to_bytes(4, "little")
    assert data.count(size) >= 6
    for hostile in (data, data.replace(size, (40_128).to_bytes(4, "little"))):
        assert peak_of(lambda file=hostile: refusal(file, table)) < 500_000


def test_a_directory_of_countless_entries_is_refused_unread():
    entry = b"PK\x01\x02" + bytes(42)
    data = entry * 200_000 + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(entry) * 200_000, 0, 0)
    assert peak_of(lambda: refusal(data)) < 1_000_000


def test_a_large_array_that_is_not_compressed_is_copied_once():
    table = {"moments": Field("<f4", ("N",), 2_000_000)}
    data = packed({"moments": np.ones(2_000_000, "<f4")}, table, compressed=False)
    assert peak_of(lambda: unpack(data, table)) < 1.1 * len(data)


def test_names_from_a_file_do_not_swell_the_message():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rows.npy", b"")
        archive.writestr("x" * 60_000 + "\n", b"")
    data = file.getvalue()
    at = data.rfind(b"PK\x01\x02")  # the directory gives the second entry another name than the file does
    refusal(data[: at + 46] + b"rows.npy" + b"\0" + data[at + 55 :])
