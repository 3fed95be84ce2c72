"""Compiles kernels, and keeps the machine code on disk under a name that changes with everything it depends on.

Numba's own cache looks only at the file that a function is in: after an edit of an imported module (`simd`, a column
number) it loads old machine code, and it compiles again in every environment, since it files code by source path.
Here the folder is named by a hash of all kernel sources and of the versions that shape machine code, so that an edit
is never missed and environments with equal sources share one compilation. Numba's index inside the folder tells
Python versions, CPU models and CPU features apart.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from ...errors import BackendUnavailable

# The modules of `artpipe.renderers` that the machine code depends on: the kernels, and all that they import of it.
SOURCES = (
    "errors", "kernels.numba.bins", "kernels.numba.cache", "kernels.numba.candidates",
    "kernels.numba.shapes.circle", "kernels.numba.shapes.dispatch", "kernels.numba.shapes.ellipse",
    "kernels.numba.shapes.layout", "kernels.numba.shapes.spans", "kernels.numba.shapes.stroke",
    "kernels.numba.shapes.sums", "kernels.numba.shapes.triangle", "kernels.numba.sigmoid", "kernels.numba.simd",
    "kernels.numba.tiles", "primitives.base", "primitives.circle", "primitives.ellipse", "primitives.falloff",
    "primitives.stroke", "primitives.triangle",
)  # fmt: skip

# Settings of Numba that change machine code, and are not in its index.
_SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "USING_SVML")

# Folders of machine code: this and the hash.
_PREFIX = "kernels-"
# Those of other sources or versions are removed after this long without use, seconds.
_KEPT_UNUSED = 30 * 86400

_config: Any = numba.config  # its settings come from the environment, unseen by type checkers
if _config.DISABLE_JIT:
    raise BackendUnavailable(
        "NUMBA_DISABLE_JIT is set, and the CPU kernel cannot draw uncompiled; unset NUMBA_DISABLE_JIT"
    )


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorates a function to be compiled by Numba at its first call, without the GIL, and kept on disk.

    Args:
        **options: of `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(nogil=True, **options)(function)
        if _folder() is not None:
            dispatcher._cache = _KernelCache(function)  # as `cache=True` does with the cache of Numba
        return dispatcher

    return decorate


class _Locator:
    """Tells Numba's cache where a function is kept; see `numba.core.caching`."""

    def __init__(self, function: Any, source: str) -> None:
        self._py_file, self._line = source, function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Any, source: str) -> _Locator:
        return cls(function, source)

    def get_cache_path(self) -> str:
        return str(_folder())

    def ensure_cache_path(self) -> None:
        os.makedirs(self.get_cache_path(), mode=0o700, exist_ok=True)  # another process may have removed it

    def get_source_stamp(self) -> str:
        return _stamp()

    def get_disambiguator(self) -> str:
        return str(self._line)


class _KernelCacheImpl(CompileResultCacheImpl):
    _locator_classes = [_Locator]  # noqa: RUF012 - as in the base class


class _KernelCache(FunctionCache):
    """Numba's cache in our folder. A damaged or unwritable file only costs another compilation."""

    _impl_class = _KernelCacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling damaged bytes may raise anything
            with suppress(OSError):
                self.flush()  # saving reads the index too
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # a full disk, say
            super().save_overload(sig, data)


@lru_cache(maxsize=1)
def _stamp() -> str:
    """A hash of the kernel sources, and of what else shapes machine code beside what Numba's index tells apart."""
    settings = [(name, getattr(_config, name, None)) for name in _SETTINGS]
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag, settings)
    digest = hashlib.sha256(repr(versions).encode())
    for name in SOURCES:
        digest.update(name.encode() + b"\0" + _source(name) + b"\0")
    return digest.hexdigest()[:32]


def _source(name: str) -> bytes:
    """The text of a module of `artpipe.renderers`, out of whatever it is imported from."""
    loader: Any = __spec__.loader
    path = Path(__file__)
    data: bytes = loader.get_data(str(path.parents[2].joinpath(*name.split(".")).with_suffix(path.suffix)))
    return data


@lru_cache(maxsize=1)
def _folder() -> Path | None:
    """Where machine code is kept: the first of the candidates that can be used; None if none can."""
    for root, is_private in _candidates():
        try:
            folder = root / f"{_PREFIX}{_stamp()}"
            is_new = not folder.exists()
            mode = 0o700 if is_private else 0o777  # less the umask
            root.mkdir(mode, parents=True, exist_ok=True)
            folder.mkdir(mode, exist_ok=True)
            if is_private and not (_is_ours(root) and _is_ours(folder)):
                continue
            if not os.access(folder, os.W_OK | os.X_OK):
                continue
            os.utime(folder)  # marks it as used
            if is_new:
                _prune(root, folder)
        except (OSError, ValueError):  # ValueError: a null byte in a path
            continue
        return folder
    return None


def _candidates() -> Iterator[tuple[Path, bool]]:
    """Folders to keep machine code in, the best first, and whether others must not be able to write there.

    What lies there is run. The folder that NUMBA_CACHE_DIR names is used as it is, as Numba does: it may be shared on
    purpose.
    """
    if _config.CACHE_DIR:
        yield Path(_config.CACHE_DIR).absolute() / "artpipe", False
    with suppress(RuntimeError, OSError):  # there is no home, or it cannot be looked into
        caches = _user_caches()
        # Root in the home of another user (sudo) would lock that user out of a folder made there.
        if not _is_root() or _first_existing(caches).stat().st_uid == 0:
            yield caches / "artpipe", True
    with suppress(OSError):  # there is no folder for temporary files
        user = os.getuid() if hasattr(os, "getuid") else "kernels"
        yield Path(tempfile.gettempdir()) / f"artpipe-{user}", True
        alone = tempfile.mkdtemp(prefix="artpipe-")
        atexit.register(shutil.rmtree, alone, ignore_errors=True)
        yield Path(alone), True


def _user_caches() -> Path:
    """The folder for caches of this user, by the custom of the system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if os.path.isabs(named) else Path.home() / ".cache"


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _first_existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _is_ours(folder: Path) -> bool:
    """Whether this is a folder, no link, into which this user alone can write."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and found.st_mode & 0o022 == 0)


def _prune(root: Path, used: Path) -> None:
    """Removes folders of other sources and versions that were not used for long.

    A process that still uses one finds files missing, which only costs it a compilation.
    """
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder != used and time.time() - folder.lstat().st_mtime > _KEPT_UNUSED:
                shutil.rmtree(folder, ignore_errors=True)
