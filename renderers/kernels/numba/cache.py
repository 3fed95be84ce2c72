"""Compiles kernels, and caches the machine code on disk under a hash of everything it depends on.

Numba's own cache checks only the file of a function: after an edit of an imported module (`simd`, a column number) it
loads stale machine code. It also compiles again in every environment, since its key is the source path. Here the key is
a hash of all kernel sources and of the versions that affect machine code, so that no edit is missed and environments
with equal sources share one compilation. Numba's index inside the folder distinguishes Python versions, CPU models and
CPU features.
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
from numba.core.runtime.nrt import rtsys

from ...errors import BackendUnavailable

# The modules of `artpipe.renderers` that the machine code depends on: the kernels and all that they import from it.
SOURCES = (
    "errors", "kernels.numba.bins", "kernels.numba.cache", "kernels.numba.candidates", "kernels.numba.descent",
    "kernels.numba.shapes.circle", "kernels.numba.shapes.dispatch", "kernels.numba.shapes.ellipse",
    "kernels.numba.shapes.layout", "kernels.numba.shapes.logistic", "kernels.numba.shapes.passes",
    "kernels.numba.shapes.spans", "kernels.numba.shapes.stroke", "kernels.numba.shapes.sums",
    "kernels.numba.shapes.triangle", "kernels.numba.sigmoid", "kernels.numba.simd", "kernels.numba.team",
    "kernels.numba.tiles", "kernels.numba.work", "primitives.base", "primitives.circle", "primitives.ellipse",
    "primitives.falloff", "primitives.stroke", "primitives.triangle",
)  # fmt: skip

# Settings of Numba that affect machine code and are not part of its index.
_SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "USING_SVML")

# Folders are named by this prefix and the hash.
_PREFIX = "kernels-"
# Folders of other sources or versions are removed when they were not used for this long, seconds.
_KEPT_UNUSED = 30 * 86400

_config: Any = numba.config  # its attributes come from the environment; type checkers cannot see them
if _config.DISABLE_JIT:
    raise BackendUnavailable("NUMBA_DISABLE_JIT is set, but the CPU kernel needs compilation; unset NUMBA_DISABLE_JIT")


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator that compiles a function with Numba at its first call, without the GIL, and caches it on disk.

    The function can allocate nothing: Numba's reference counts of arrays took a tenth of a step.

    Args:
        **options: of `numba.njit`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        flags: dict[str, Any] = {"nogil": True, "_nrt": False, "forceinline": True, **options}
        dispatcher: Any = numba.njit(**flags)(function)
        if _folder() is not None:
            dispatcher._cache = _KernelCache(function)  # as `cache=True` does with Numba's cache
        return dispatcher

    return decorate


class _Locator:
    """Names the folder and the key of a cached function; see `numba.core.caching`."""

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
    """Numba's cache in our folder. A damaged or unwritable file leads to another compilation, not to an error."""

    _impl_class = _KernelCacheImpl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            # The base class first loads all of Numba's implementations, 0.2 s with the SciPy that they import. Machine
            # code needs none of them, only the runtime; a compilation loads them itself.
            rtsys.initialize(target_context)
            return self._load_overload(sig, target_context)
        except Exception:  # unpickling damaged bytes can raise anything
            with suppress(OSError):
                self.flush()  # discards the damaged index, which saving would read too
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):  # such as a full disk
            super().save_overload(sig, data)


@lru_cache(maxsize=1)
def _stamp() -> str:
    """A hash of the kernel sources, versions and settings that affect machine code and are not in Numba's index."""
    settings = [(name, getattr(_config, name, None)) for name in _SETTINGS]
    versions = (numba.__version__, llvmlite.__version__, np.__version__, sys.implementation.cache_tag, settings)
    digest = hashlib.sha256(repr(versions).encode())
    for name in SOURCES:
        digest.update(name.encode() + b"\0" + _source(name) + b"\0")
    return digest.hexdigest()[:32]


def _source(name: str) -> bytes:
    """The source of a module of `artpipe.renderers`, also from a zip file."""
    loader: Any = __spec__.loader
    path = Path(__file__)
    data: bytes = loader.get_data(str(path.parents[2].joinpath(*name.split(".")).with_suffix(path.suffix)))
    return data


@lru_cache(maxsize=1)
def _folder() -> Path | None:
    """The cache folder: in the first usable candidate; None if none is usable."""
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
    """Root folders for the cache, in order of preference, and whether each must be private to the user.

    Cached machine code is executed, so other users must not be able to write it. NUMBA_CACHE_DIR is exempt, as in
    Numba: it may be shared on purpose.
    """
    if _config.CACHE_DIR:
        yield Path(_config.CACHE_DIR).absolute() / "artpipe", False
    with suppress(RuntimeError, OSError):  # no home folder, or no access to it
        caches = _user_caches()
        # A folder that root creates in another user's home (sudo) would be closed to that user.
        if not _is_root() or _first_existing(caches).stat().st_uid == 0:
            yield caches / "artpipe", True
    with suppress(OSError):  # no folder for temporary files
        user = os.getuid() if hasattr(os, "getuid") else "kernels"
        yield Path(tempfile.gettempdir()) / f"artpipe-{user}", True
        alone = tempfile.mkdtemp(prefix="artpipe-")
        atexit.register(shutil.rmtree, alone, ignore_errors=True)
        yield Path(alone), True


def _user_caches() -> Path:
    """The user's cache folder, by the convention of the operating system."""
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
    """Whether this is a folder, not a link, that only this user can write to."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and found.st_mode & 0o022 == 0)


def _prune(root: Path, used: Path) -> None:
    """Removes folders of other sources and versions that have been unused for `_KEPT_UNUSED`.

    A process that still uses one compiles again.
    """
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder != used and time.time() - folder.lstat().st_mtime > _KEPT_UNUSED:
                shutil.rmtree(folder, ignore_errors=True)
