"""Reads weight files of `torch.save` into NumPy arrays, without PyTorch and without executing code of the file."""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

Array = np.ndarray[Any, Any]

_STORAGES = {"HalfStorage": "<f2", "FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8"}
# Pickles before the object in the format before PyTorch 1.6: magic number, protocol, system information.
_LEGACY_PICKLES = 3


def read_torch_file(path: Path) -> Any:
    """The saved object, with NumPy arrays for tensors.

    Raises:
        pickle.UnpicklingError: it holds classes other than tensors and Python's containers.
    """
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            return _read_zip(file)
        file.seek(0)
        return _read_legacy(file)


def _read_zip(file: IO[bytes]) -> Any:
    with zipfile.ZipFile(file) as archive:
        folder = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")

        def storage(key: str, dtype: str, count: int) -> Array:
            return np.frombuffer(archive.read(f"{folder}data/{key}"), dtype, count)

        with archive.open(f"{folder}data.pkl") as data:
            return _Unpickler(data, storage).load()


def _read_legacy(file: IO[bytes]) -> Any:
    storages: dict[str, Array] = {}

    def storage(key: str, dtype: str, count: int) -> Array:
        return storages.setdefault(key, np.empty(count, dtype))  # filled below; tensors are views of it

    for _ in range(_LEGACY_PICKLES):
        _Unpickler(file, storage).load()
    saved = _Unpickler(file, storage).load()
    for key in _Unpickler(file, storage).load():
        file.seek(8, 1)  # skips the repeated count
        storages[key].data.cast("B")[:] = file.read(storages[key].nbytes)
    return saved


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: IO[bytes], storage: Callable[[str, str, int], Array]) -> None:
        super().__init__(file)
        self.storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise pickle.UnpicklingError(f"the file holds {module}.{name}; expected tensors and Python's containers")

    def persistent_load(self, pid: Any) -> Array:
        _, dtype, key, _, count = pid[:5]
        return self.storage(key, dtype, count)


def _tensor(storage: Array, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Array:
    size = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage.data, offset * size, [stride * size for stride in strides])
